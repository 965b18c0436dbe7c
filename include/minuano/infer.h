/* infer.h: many prompts through one model: batched generation over a key/value cache, and scoring
 * of given completions.
 *
 * Prompts are token ids, at least one of their own behind a prefix. Rows enter and leave the
 * running batch as they start and finish; shared prefixes are computed once. The result of an item
 * does not depend on what else is in the batch. A prompt that does not fit the model's positions is
 * an error; a generation ends there. MN_INTERRUPTED after a signal: what was reported as finished
 * is whole.
 */
#ifndef MINUANO_INFER_H
#define MINUANO_INFER_H

#include "minuano/model.h"

/* mn_model_fit for a model that will answer: beside its weights lies a context that is of use. */
MN_CHECKED mn_status mn_infer_fit(mn_device *device, const struct mn_model_config *config,
                                  struct mn_model_options *options);

/* What a call would take, for --dry-run: where options ask for it, the call fills it in and does
 * nothing else, and the model may be one without weights (plan_only). */
struct mn_infer_plan {
    size_t items;
    struct mn_limits limits;
    size_t by_use[MN_MEMORY_USES]; /* bytes beside the model's weights */
};

struct mn_prompt {
    const int32_t *ids;
    int count;
    int prefix;  /* index into the prefixes given beside it; -1: none. The prompt's own ids follow
                    the prefix */
    int adapter; /* index into the options' adapters */
};
struct mn_prefix {
    const int32_t *ids;
    int count;
};

/* Several adapters in one pass: each prompt names its own, and the base's weights are streamed once
 * for all. An item that is asked of every adapter is a prompt for each; they share its ids, but a
 * prefix is computed once an adapter. */
struct mn_adapters {
    const mn_adapter *const *item; /* (count) NULL among them: the base. All of one model */
    int count; /* at most MN_ADAPTER_GROUPS; 0: the call's adapter, else that must be NULL */
};

/* Of all prompts, their prefixes included; and those that were read from the cache instead. */
struct mn_token_counts {
    int64_t computed, shared;
};

/* What that will be for prompts of one adapter, unless a prefix has to leave the cache early. */
struct mn_token_counts mn_prompts_count(const struct mn_prefix *prefixes, size_t prefix_count,
                                        const struct mn_prompt *prompts, size_t count);

/* Items asked of several adapters as prompts of one pass. */
struct mn_asked {
    struct mn_prompt *prompts; /* (count) */
    size_t *item;              /* (count) which of the items it is */
    size_t count;
};
/* skip (adapters or 1, count) true: is not asked; NULL: everything is. */
void mn_prompts_ask(struct mn_asked *out, mn_arena *arena, const struct mn_adapters *adapters,
                    const bool *skip, const struct mn_prompt *prompts, size_t count);

enum mn_finish { MN_FINISH_STOP, MN_FINISH_LENGTH };

struct mn_generation {
    int32_t *ids; /* without the EOS; lives in the arena given */
    int count;
    enum mn_finish finish;
    double logprob; /* sum over the generated ids, EOS included */
};

struct mn_generate_options {
    int max_new_tokens;
    int eos;
    double temperature; /* 0: greedy */
    uint64_t seed;
    const int32_t *streams; /* (count) sampling stream of each item; NULL: its index. What goes on
                               with a part of the items gives their numbers in the whole */
    int batch_sequences;    /* 0: as many as fit */
    size_t memory; /* bytes for context and cache; 0: a share of what is free (device) or 1 GiB
                      (reference) */
    struct mn_adapters adapters;
    bool apart;                     /* every prompt computes its prefix itself: to compare with */
    struct mn_token_counts *counts; /* out; NULL: not wanted */
    struct mn_infer_plan *plan;     /* out, in place of all the rest; NULL: run */
    /* Called as each item finishes, in order of completion; an error stops the run. May be NULL. */
    mn_status (*finished)(void *user, size_t index, const struct mn_generation *generation);
    void *user;
    const char *title; /* of the progress bar; NULL: no bar */
};
MN_CHECKED mn_status mn_generate(mn_model *model, const mn_adapter *adapter,
                                 const struct mn_prefix *prefixes, size_t prefix_count,
                                 const struct mn_prompt *prompts, size_t count,
                                 const struct mn_generate_options *options, mn_arena *arena,
                                 struct mn_generation *out /* (count) */);

/* Log-probabilities of given continuations: logprobs (completion_count) of each completion token
 * after the prompt. */
struct mn_completion {
    struct mn_prompt prompt;
    const int32_t *ids;
    int count;
    float *logprobs; /* (count) out; caller's memory */
};
struct mn_score_options {
    size_t memory;
    struct mn_adapters adapters; /* these four as in mn_generate_options */
    bool apart;
    struct mn_token_counts *counts;
    struct mn_infer_plan *plan;
    const char *title;
    mn_status (*finished)(void *user, size_t index);
    void *user;
};
MN_CHECKED mn_status mn_score(mn_model *model, const mn_adapter *adapter,
                              const struct mn_prefix *prefixes, size_t prefix_count,
                              struct mn_completion *completions, size_t count,
                              const struct mn_score_options *options);

/* Log-probabilities of k single-token options at the end of each prompt: one forward a prompt. out
 * (count, k). */
MN_CHECKED mn_status mn_score_options_at_end(mn_model *model, const mn_adapter *adapter,
                                             const struct mn_prefix *prefixes, size_t prefix_count,
                                             const struct mn_prompt *prompts, size_t count,
                                             const int32_t *options_ids, int k,
                                             const struct mn_score_options *options, float *out);
#endif
