/* batch.h: what generation and scoring share: checked prompts, limits that fit the memory, shared
 * prefixes in the cache, and a ragged batch that grows. Private to host/infer. */
#ifndef MINUANO_INFER_BATCH_H
#define MINUANO_INFER_BATCH_H

#include "extents.h"
#include "minuano/infer.h"

/* --- prompts ---------------------------------------------------------------------------------- */

/* Ids within the vocabulary, prefix and adapter within their lists, at least one token of its own,
 * and prefix + own + `more` tokens within the model's positions. The message names the prompt by
 * its index. */
MN_CHECKED mn_status mn_prompt_check(const mn_model *model, const struct mn_prefix *prefixes,
                                     size_t prefix_count, int adapter_count,
                                     const struct mn_prompt *prompt, size_t index, int more);
MN_CHECKED mn_status mn_ids_check(const mn_model *model, const int32_t *ids, int count,
                                  const char *what, size_t index);
/* The call's adapter as a list of one, or the options' list; not both. */
MN_CHECKED mn_status mn_adapters_choose(struct mn_adapters *out, const mn_adapter *const *one,
                                        const struct mn_adapters *list);
/* The prompts with their prefixes spelled out, for `apart`. */
struct mn_prompt *mn_prompts_whole(mn_arena *arena, const struct mn_prefix *prefixes,
                                   const struct mn_prompt *prompts, size_t count);

/* The order in which items are worked on: those of one adapter together, so that the rows of a
 * batch are grouped by it; of these those that share a prefix, the longest first. */
struct mn_order {
    int adapter, prefix, tokens;
    size_t index;
};
void mn_order_sort(struct mn_order *order, size_t count);

/* --- limits ----------------------------------------------------------------------------------- */

struct mn_needs {
    int longest;          /* tokens of the longest forward that cannot be split */
    int64_t tokens;       /* of all there is to do: more room is of no use */
    int sequences;        /* wanted at once */
    int logit_rows;       /* wanted at once */
    int64_t cache_least;  /* rows without which nothing goes */
    int64_t cache_useful; /* rows beyond which more is of no use */
    size_t memory;        /* bytes; 0: a share of what is free (CUDA) or 1 GiB (reference) */
};
/* The largest limits up to these needs that fit; MN_NO_MEMORY where a memory that was asked for
 * cannot do. */
MN_CHECKED mn_status mn_limits_choose(const mn_model *model, const struct mn_adapters *adapters,
                                      const struct mn_needs *needs, struct mn_limits *out);

/* What those limits take. */
void mn_infer_plan_fill(struct mn_infer_plan *out, const struct mn_adapters *adapters,
                        const mn_model *model, const struct mn_limits *limits, size_t items);

/* --- shared prefixes in the cache ------------------------------------------------------------- */

/* One of each adapter and prefix: keys and values differ between adapters. */
struct mn_shared {
    mn_context *context;
    struct mn_adapters adapters;
    const struct mn_prefix *prefixes;
    size_t count;
    int32_t *start;           /* (adapters, count) first row; -1: not in the cache */
    size_t *users;            /* (adapters, count) items not finished yet; at 0 the rows are given
                                 back */
    struct mn_extents *cache; /* borrowed */
    int64_t computed;         /* tokens of prefixes so far */
    struct mn_limits limits;  /* of the context */
    bool ahead; /* the cache has room for prefixes before they are needed; set after open */
};
/* A user for each prompt. adapters, prefixes and count are there. */
void mn_shared_open(struct mn_shared *shared, mn_arena *arena, mn_context *context,
                    const struct mn_limits *limits, struct mn_extents *cache);
void mn_shared_user(struct mn_shared *shared, const struct mn_prompt *prompt);
/* Puts the prompt's prefix in the cache if it is not there; with `ahead`, together with those of
 * its adapter that come next, as many as one forward and the cache have room for. *there is false
 * where the cache has no room for the prompt's now. */
MN_CHECKED mn_status mn_shared_need(struct mn_shared *shared, const struct mn_prompt *prompt,
                                    bool *there);
/* Its tokens; 0: the prompt has none. */
int mn_shared_length(const struct mn_shared *shared, const struct mn_prompt *prompt);
/* Its first row, when it is there; 0 for a prompt without one. */
int32_t mn_shared_start(const struct mn_shared *shared, const struct mn_prompt *prompt);
/* One of its items is finished. */
void mn_shared_done(struct mn_shared *shared, const struct mn_prompt *prompt);
/* Takes every prefix out of the cache; they are computed again where they are needed again. */
void mn_shared_evict(struct mn_shared *shared);

/* --- a ragged batch that grows ---------------------------------------------------------------- */

struct mn_builder {
    MN_LIST(int32_t) ids;
    MN_LIST(int32_t) offsets;
    MN_LIST(int32_t) prefix_start;
    MN_LIST(int32_t) prefix_length;
    MN_LIST(int32_t) slot;
    MN_LIST(int32_t) logit_row;
    struct mn_adapter_group groups[MN_ADAPTER_GROUPS];
    int group_count;
    bool prefixed; /* some sequence has a prefix */
};
void mn_builder_clear(struct mn_builder *builder);
void mn_builder_free(struct mn_builder *builder);
/* Opens a sequence behind `length` cached rows from `start` (length 0: none), ... Those of one
 * adapter come one after another. */
void mn_builder_sequence(struct mn_builder *builder, const mn_adapter *adapter, int32_t start,
                         int32_t length);
/* One more sequence of the adapter, behind those that the groups hold. */
void mn_group_add(struct mn_adapter_group *groups, int *count, const mn_adapter *adapter);
/* ... and adds tokens to it; slot: cache row of the first, -1: not kept. */
void mn_builder_tokens(struct mn_builder *builder, const int32_t *ids, int count, int32_t slot);
/* The logits of the last `count` tokens added are wanted. */
void mn_builder_logits(struct mn_builder *builder, int count);
/* Borrowed until the builder changes. */
struct mn_batch mn_builder_batch(struct mn_builder *builder);

#endif
