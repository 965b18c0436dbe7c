/* score.c: log-probabilities of given tokens, by one forward over ragged batches as large as fit.
 */
#include "batch.h"

#include <math.h>
#include <stdlib.h>

#include "minuano/interrupt.h"
#include "minuano/log.h"

/* One sequence: a prompt, what follows it but for the last token, and how many of the last rows
 * have their logits looked at. */
struct sequence {
    const struct mn_prompt *prompt;
    const int32_t *tail;
    int tail_count;
    int rows;
    const int32_t *targets; /* (rows, k) */
    float *out;             /* (rows, k) */
};

struct scorer {
    mn_model *model;
    const mn_adapter *adapter; /* the call's; used through shared.adapters */
    const struct mn_score_options *options;
    struct sequence *sequences; /* (count) */
    size_t count;
    int k; /* targets of a row */
    struct mn_limits limits;
    mn_arena *arena;
    mn_context *context;
    struct mn_extents cache;
    struct mn_shared shared;
    struct mn_builder builder;
    struct mn_order *order;  /* (count) */
    MN_LIST(size_t) pending; /* sequences in the builder */
    MN_LIST(size_t) scored;  /* their results are there, and still to be told */
    MN_LIST(int32_t) targets;
    MN_LIST(float) logprobs;
    size_t finished;
    int64_t tokens;
    struct mn_progress progress;
};

static int tokens_of(const struct sequence *s)
{
    return s->prompt->count + s->tail_count;
}

static struct mn_needs needs_of(const struct scorer *s)
{
    enum { LOGIT_ROWS = 512, CACHED_TOKENS = 16384 };
    struct mn_needs needs = {.memory = s->options ? s->options->memory : 0};
    int64_t logit_rows = 0;
    needs.sequences = s->count < 4096 ? (int)s->count : 4096;
    for (size_t p = 0; p < s->shared.count; p++) {
        int count = s->shared.prefixes[p].count;
        if (count > needs.longest) needs.longest = count;
        if (count > needs.cache_least) needs.cache_least = count;
        needs.cache_useful += (int64_t)count * s->shared.adapters.count;
        needs.tokens += (int64_t)count * s->shared.adapters.count;
    }
    if (needs.cache_useful > needs.cache_least + CACHED_TOKENS)
        needs.cache_useful = needs.cache_least + CACHED_TOKENS;
    for (size_t i = 0; i < s->count; i++) {
        int tokens = tokens_of(&s->sequences[i]);
        if (tokens > needs.longest) needs.longest = tokens;
        needs.tokens += tokens;
        logit_rows += s->sequences[i].rows;
    }
    needs.logit_rows = logit_rows < LOGIT_ROWS ? (int)logit_rows + 1 : LOGIT_ROWS;
    return needs;
}

static mn_status choose_limits(struct scorer *s)
{
    struct mn_needs needs = needs_of(s);
    return mn_limits_choose(s->model, &s->shared.adapters, &needs, &s->limits);
}

static mn_status prepare(struct scorer *s)
{
    MN_TRY(mn_context_open(&s->context, s->model, &s->limits));
    mn_debug("score: %d tokens a forward, %lld cache rows for prefixes", s->limits.tokens,
             (long long)s->limits.cache_rows);
    mn_extents_reset(&s->cache, s->limits.cache_rows);
    mn_shared_open(&s->shared, s->arena, s->context, &s->limits, &s->cache);
    s->shared.ahead = true; /* nothing else is in the cache, and they are wanted in their order */
    s->order = MN_NEW(s->arena, struct mn_order, s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct mn_prompt *prompt = s->sequences[i].prompt;
        s->order[i] = (struct mn_order){.adapter = prompt->adapter,
                                        .prefix = prompt->prefix,
                                        .tokens = tokens_of(&s->sequences[i]),
                                        .index = i};
        mn_shared_user(&s->shared, prompt);
    }
    mn_order_sort(s->order, s->count);
    return MN_OK;
}

/* Targets first ... first + width - 1 of every pending row, into their sequences' out. */
static mn_status take_logprobs(struct scorer *s, int first, int width)
{
    s->targets.count = 0;
    for (size_t i = 0; i < s->pending.count; i++) {
        const struct sequence *q = &s->sequences[s->pending.item[i]];
        for (int r = 0; r < q->rows; r++)
            for (int c = 0; c < width; c++)
                *MN_PUSH(&s->targets) = q->targets[(int64_t)r * s->k + first + c];
    }
    s->logprobs.item = mn_realloc(s->logprobs.item, s->targets.count, sizeof(float));
    MN_TRY(mn_logprobs(s->context, s->targets.item, width, s->logprobs.item));
    const float *found = s->logprobs.item;
    for (size_t i = 0; i < s->pending.count; i++) {
        const struct sequence *q = &s->sequences[s->pending.item[i]];
        for (int r = 0; r < q->rows; r++)
            for (int c = 0; c < width; c++, found++) {
                if (isnan(*found))
                    return mn_fail(MN_NUMERIC, "prompt %zu: the logits are not numbers",
                                   s->pending.item[i]);
                q->out[(int64_t)r * s->k + first + c] = *found;
            }
    }
    return MN_OK;
}

static mn_status tell(struct scorer *s)
{
    for (size_t i = 0; i < s->scored.count; i++) {
        s->finished++;
        if (s->options && s->options->finished)
            MN_TRY(s->options->finished(s->options->user, s->scored.item[i]));
    }
    s->scored.count = 0;
    if (s->options && s->options->title) {
        double seconds = mn_seconds() - s->progress.started;
        mn_progress_note(&s->progress, "%.0f tokens/s", (double)s->tokens / (seconds + 1e-9));
        mn_progress_step(&s->progress, (int64_t)s->finished);
    }
    return MN_OK;
}

static void finish(struct scorer *s, size_t item)
{
    mn_shared_done(&s->shared, s->sequences[item].prompt);
    *MN_PUSH(&s->scored) = item;
}

/* Runs what was gathered. What the batch before gave is told while the device computes. */
static mn_status flush(struct scorer *s)
{
    if (s->pending.count == 0) return MN_OK;
    if (mn_interrupt_check() != MN_OK) {
        MN_TRY(tell(s));
        return mn_interrupt_check();
    }
    struct mn_batch batch = mn_builder_batch(&s->builder);
    MN_TRY(mn_forward(s->context, NULL, &batch));
    MN_TRY(tell(s));
    for (int first = 0; first < s->k; first += MN_TARGETS)
        MN_TRY(take_logprobs(s, first, s->k - first < MN_TARGETS ? s->k - first : MN_TARGETS));
    s->tokens += batch.tokens;
    for (size_t i = 0; i < s->pending.count; i++) finish(s, s->pending.item[i]);
    s->pending.count = 0;
    mn_builder_clear(&s->builder);
    return MN_OK;
}

/* The cache may be full of prefixes that pending sequences use: those are run first. */
static mn_status need_prefix(struct scorer *s, const struct mn_prompt *prompt)
{
    bool there;
    MN_TRY(mn_shared_need(&s->shared, prompt, &there));
    if (there) return MN_OK;
    MN_TRY(flush(s));
    mn_shared_evict(&s->shared);
    MN_TRY(mn_shared_need(&s->shared, prompt, &there));
    return there ? MN_OK
                 : mn_fail(MN_NO_MEMORY, "prefix %d: %d tokens do not fit the cache of %lld rows",
                           prompt->prefix, mn_shared_length(&s->shared, prompt),
                           (long long)s->limits.cache_rows);
}

static mn_status gather(struct scorer *s, size_t item)
{
    const struct sequence *q = &s->sequences[item];
    if (q->rows == 0) {
        finish(s, item);
        return MN_OK;
    }
    if ((int)s->pending.count == s->limits.sequences ||
        (int64_t)s->builder.ids.count + tokens_of(q) > s->limits.tokens)
        MN_TRY(flush(s));
    MN_TRY(need_prefix(s, q->prompt));
    mn_builder_sequence(&s->builder, s->shared.adapters.item[q->prompt->adapter],
                        mn_shared_start(&s->shared, q->prompt),
                        mn_shared_length(&s->shared, q->prompt));
    mn_builder_tokens(&s->builder, q->prompt->ids, q->prompt->count, -1);
    mn_builder_tokens(&s->builder, q->tail, q->tail_count, -1);
    mn_builder_logits(&s->builder, q->rows);
    *MN_PUSH(&s->pending) = item;
    return MN_OK;
}

/* Every prompt with its prefix spelled out. */
static void take_apart(struct scorer *s)
{
    struct mn_prompt *prompts = MN_NEW(s->arena, struct mn_prompt, s->count);
    for (size_t i = 0; i < s->count; i++) prompts[i] = *s->sequences[i].prompt;
    prompts = mn_prompts_whole(s->arena, s->shared.prefixes, prompts, s->count);
    for (size_t i = 0; i < s->count; i++) s->sequences[i].prompt = &prompts[i];
    s->shared.count = 0;
}

static struct mn_token_counts count_tokens(const struct scorer *s)
{
    struct mn_token_counts counts = {.computed = s->tokens + s->shared.computed};
    int64_t all = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct sequence *q = &s->sequences[i];
        if (q->rows) all += tokens_of(q) + mn_shared_length(&s->shared, q->prompt);
    }
    counts.shared = all - counts.computed;
    return counts;
}

/* s->sequences are filled and checked. */
static mn_status run(struct scorer *s)
{
    const char *title = s->options ? s->options->title : NULL;
    mn_status st = MN_OK;
    if (s->options && s->options->counts) *s->options->counts = (struct mn_token_counts){0};
    struct mn_infer_plan *plan = s->options ? s->options->plan : NULL;
    if (plan) *plan = (struct mn_infer_plan){0};
    if (s->count == 0) return MN_OK;
    if (s->options && s->options->apart) take_apart(s);
    MN_GO(choose_limits(s));
    if (plan) {
        mn_infer_plan_fill(plan, &s->shared.adapters, s->model, &s->limits, s->count);
        goto done;
    }
    MN_GO(prepare(s));
    if (title) mn_progress_start(&s->progress, title, "items", (int64_t)s->count, 0);
    for (size_t i = 0; i < s->count; i++) MN_GO(gather(s, s->order[i].index));
    MN_GO(flush(s));
    MN_GO(tell(s));
    if (title) mn_progress_end(&s->progress);
    if (s->options && s->options->counts) *s->options->counts = count_tokens(s);
done:
    mn_context_close(&s->context);
    mn_builder_free(&s->builder);
    mn_extents_free(&s->cache);
    free(s->pending.item);
    free(s->scored.item);
    free(s->targets.item);
    free(s->logprobs.item);
    return st;
}

/* The adapters, and the ids of the prefixes. */
static mn_status check_shared(struct scorer *s)
{
    const struct mn_adapters none = {0};
    MN_TRY(mn_adapters_choose(&s->shared.adapters, &s->adapter,
                              s->options ? &s->options->adapters : &none));
    for (size_t p = 0; p < s->shared.count; p++)
        MN_TRY(mn_ids_check(s->model, s->shared.prefixes[p].ids, s->shared.prefixes[p].count,
                            "prefix", p));
    return MN_OK;
}

mn_status mn_score(mn_model *model, const mn_adapter *adapter, const struct mn_prefix *prefixes,
                   size_t prefix_count, struct mn_completion *completions, size_t count,
                   const struct mn_score_options *options)
{
    struct scorer s = {.model = model,
                       .adapter = adapter,
                       .options = options,
                       .count = count,
                       .k = 1,
                       .shared = {.prefixes = prefixes, .count = prefix_count}};
    mn_status st;
    MN_GO(mn_arena_open(&s.arena));
    MN_GO(check_shared(&s));
    s.sequences = MN_NEW(s.arena, struct sequence, count);
    for (size_t i = 0; i < count; i++) {
        const struct mn_completion *c = &completions[i];
        int tail = c->count > 0 ? c->count - 1 : 0; /* the last token is a target only */
        MN_GO(mn_prompt_check(model, prefixes, prefix_count, s.shared.adapters.count, &c->prompt, i,
                              tail));
        MN_GO(mn_ids_check(model, c->ids, c->count, "completion", i));
        s.sequences[i] = (struct sequence){.prompt = &c->prompt,
                                           .tail = c->ids,
                                           .tail_count = tail,
                                           .rows = c->count,
                                           .targets = c->ids,
                                           .out = c->logprobs};
    }
    MN_GO(run(&s));
done:
    mn_arena_close(&s.arena);
    return st;
}

mn_status mn_score_options_at_end(mn_model *model, const mn_adapter *adapter,
                                  const struct mn_prefix *prefixes, size_t prefix_count,
                                  const struct mn_prompt *prompts, size_t count,
                                  const int32_t *options_ids, int k,
                                  const struct mn_score_options *options, float *out)
{
    struct scorer s = {.model = model,
                       .adapter = adapter,
                       .options = options,
                       .count = count,
                       .k = k,
                       .shared = {.prefixes = prefixes, .count = prefix_count}};
    mn_status st;
    MN_GO(mn_arena_open(&s.arena));
    MN_GO(check_shared(&s));
    MN_GO(mn_ids_check(model, options_ids, k, "options", 0));
    s.sequences = MN_NEW(s.arena, struct sequence, count);
    for (size_t i = 0; i < count; i++) {
        MN_GO(mn_prompt_check(model, prefixes, prefix_count, s.shared.adapters.count, &prompts[i],
                              i, 0));
        s.sequences[i] = (struct sequence){
            .prompt = &prompts[i], .rows = 1, .targets = options_ids, .out = out + (int64_t)i * k};
    }
    MN_GO(run(&s));
done:
    mn_arena_close(&s.arena);
    return st;
}
