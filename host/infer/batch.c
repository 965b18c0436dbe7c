/* batch.c: checked prompts, limits that fit, prefixes in the cache, ragged batches. */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

/* --- prompts ---------------------------------------------------------------------------------- */

mn_status mn_ids_check(const mn_model *model, const int32_t *ids, int count, const char *what,
                       size_t index)
{
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= model->config.vocab)
            return mn_fail(MN_INVALID, "%s %zu: token %d: expected an id from 0 to %d, found %d",
                           what, index, i, model->config.vocab - 1, ids[i]);
    return MN_OK;
}

mn_status mn_adapters_choose(struct mn_adapters *out, const mn_adapter *const *one,
                             const struct mn_adapters *list)
{
    *out = list->count ? *list : (struct mn_adapters){one, 1};
    if (list->count < 0 || list->count > MN_ADAPTER_GROUPS)
        return mn_fail(MN_INVALID, "adapters: expected at most %d in one pass, found %d",
                       (int)MN_ADAPTER_GROUPS, list->count);
    if (list->count && *one)
        return mn_fail(MN_INVALID, "adapters: expected one for all prompts or a list, found both");
    return MN_OK;
}

mn_status mn_prompt_check(const mn_model *model, const struct mn_prefix *prefixes,
                          size_t prefix_count, int adapter_count, const struct mn_prompt *prompt,
                          size_t index, int more)
{
    if (prompt->adapter < 0 || prompt->adapter >= adapter_count)
        return mn_fail(MN_INVALID, "prompt %zu: expected one of %d adapters, found %d", index,
                       adapter_count, prompt->adapter);
    if (prompt->prefix < -1 || (prompt->prefix >= 0 && (size_t)prompt->prefix >= prefix_count))
        return mn_fail(MN_INVALID, "prompt %zu: expected one of %zu prefixes or -1, found %d",
                       index, prefix_count, prompt->prefix);
    if (prompt->count < 1)
        return mn_fail(MN_INVALID, "prompt %zu: expected at least one token%s", index,
                       prompt->prefix < 0 ? "" : " behind its prefix");
    MN_TRY(mn_ids_check(model, prompt->ids, prompt->count, "prompt", index));
    int prefix = prompt->prefix < 0 ? 0 : prefixes[prompt->prefix].count;
    int64_t total = (int64_t)prefix + prompt->count + more;
    if (total > mn_longest_sequence(&model->config))
        return mn_fail(MN_INVALID,
                       "prompt %zu: %lld tokens, but the model takes %d (max_position_embeddings, "
                       "sliding_window)",
                       index, (long long)total, mn_longest_sequence(&model->config));
    return MN_OK;
}

struct mn_prompt *mn_prompts_whole(mn_arena *arena, const struct mn_prefix *prefixes,
                                   const struct mn_prompt *prompts, size_t count)
{
    struct mn_prompt *whole = MN_NEW(arena, struct mn_prompt, count);
    for (size_t i = 0; i < count; i++) {
        whole[i] = prompts[i];
        if (prompts[i].prefix < 0) continue;
        const struct mn_prefix *prefix = &prefixes[prompts[i].prefix];
        int32_t *ids = MN_NEW(arena, int32_t, prefix->count + prompts[i].count);
        memcpy(ids, prefix->ids, (size_t)prefix->count * sizeof *ids);
        memcpy(ids + prefix->count, prompts[i].ids, (size_t)prompts[i].count * sizeof *ids);
        whole[i].ids = ids;
        whole[i].count += prefix->count;
        whole[i].prefix = -1;
    }
    return whole;
}

struct mn_token_counts mn_prompts_count(const struct mn_prefix *prefixes, size_t prefix_count,
                                        const struct mn_prompt *prompts, size_t count)
{
    struct mn_token_counts counts = {0};
    bool *used = mn_realloc(NULL, prefix_count + 1, sizeof *used);
    memset(used, 0, prefix_count * sizeof *used);
    for (size_t i = 0; i < count; i++) {
        const int p = prompts[i].prefix;
        counts.computed += prompts[i].count;
        if (p < 0) continue;
        *(used[p] ? &counts.shared : &counts.computed) += prefixes[p].count;
        used[p] = true;
    }
    free(used);
    return counts;
}

void mn_prompts_ask(struct mn_asked *out, mn_arena *arena, const struct mn_adapters *adapters,
                    const bool *skip, const struct mn_prompt *prompts, size_t count)
{
    const size_t times = adapters->count > 0 ? (size_t)adapters->count : 1;
    out->prompts = MN_NEW(arena, struct mn_prompt, times * count);
    out->item = MN_NEW(arena, size_t, times * count);
    out->count = 0;
    for (size_t a = 0; a < times; a++)
        for (size_t i = 0; i < count; i++) {
            if (skip && skip[a * count + i]) continue;
            out->prompts[out->count] = prompts[i];
            out->prompts[out->count].adapter = (int)a;
            out->item[out->count++] = i;
        }
}

static int compare_order(const void *a, const void *b)
{
    const struct mn_order *x = a, *y = b;
    if (x->adapter != y->adapter) return x->adapter < y->adapter ? -1 : 1;
    if (x->prefix != y->prefix) return x->prefix < y->prefix ? -1 : 1;
    if (x->tokens != y->tokens) return x->tokens > y->tokens ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void mn_order_sort(struct mn_order *order, size_t count)
{
    if (count) qsort(order, count, sizeof *order, compare_order);
}

/* --- limits ----------------------------------------------------------------------------------- */

/* A forward of more tokens than this is not faster. On CUDA as many tiles of 128 rows as an H100 or
 * H200 has multiprocessors: products in tiles then fill whole waves, whatever their columns. */
static int useful_tokens(const mn_device *device)
{
    return device->kind == MN_DEVICE_CUDA ? 132 * 128 : 2048;
}

static size_t bytes_of(const mn_model *model, const struct mn_limits *limits)
{
    size_t by_use[MN_MEMORY_USES] = {0}, sum = 0;
    mn_context_plan(model->device, &model->config, &model->options, limits, by_use);
    for (int i = 0; i < MN_MEMORY_USES; i++) sum += by_use[i];
    return sum;
}

static mn_status memory_allowed(const mn_model *model, size_t asked, size_t *out)
{
    mn_device *device = model->device;
    size_t free_bytes, total_bytes;
    if (asked) {
        *out = asked;
    } else if (device->kind == MN_DEVICE_REFERENCE) {
        *out = (size_t)1 << 30;
    } else {
        MN_TRY(device->calls->memory(device, &free_bytes, &total_bytes));
        if (model->options.plan_only) {
            const size_t weights = mn_model_bytes(device, &model->config, &model->options);
            free_bytes = weights < free_bytes ? free_bytes - weights : 0;
        }
        *out = free_bytes / 10 * 9;
    }
    return MN_OK;
}

static int largest_lora_rank(const mn_model *model, const struct mn_adapters *adapters)
{
    int largest = 0;
    for (int a = 0; a < adapters->count; a++)
        for (int i = 0; adapters->item[a] && i < model->config.layers * MN_FUSED; i++)
            if (adapters->item[a]->lora[i].rank > largest)
                largest = adapters->item[a]->lora[i].rank;
    return largest;
}

mn_status mn_limits_choose(const mn_model *model, const struct mn_adapters *adapters,
                           const struct mn_needs *needs, struct mn_limits *out)
{
    enum { STEP = 4096 };
    size_t allowed;
    int64_t tokens = useful_tokens(model->device);
    if (tokens > needs->tokens) tokens = needs->tokens;
    if (tokens < needs->longest) tokens = needs->longest;
    struct mn_limits limits = {.tokens = (int)tokens,
                               .sequences = needs->sequences,
                               .logit_rows = needs->logit_rows,
                               .cache_rows = needs->cache_least,
                               .decode_length = (int)needs->cache_least,
                               .lora_rank = largest_lora_rank(model, adapters)};
    MN_TRY(memory_allowed(model, needs->memory, &allowed));
    while (bytes_of(model, &limits) > allowed) {
        int fewer = limits.tokens / 2 > needs->longest ? limits.tokens / 2 : needs->longest;
        if (fewer == limits.tokens && limits.sequences == 1) break;
        limits.tokens = fewer;
        limits.sequences = (limits.sequences + 1) / 2;
        if (limits.logit_rows > limits.sequences) limits.logit_rows = limits.sequences;
    }
    size_t least = bytes_of(model, &limits);
    if (least > allowed && needs->memory)
        return mn_fail(MN_NO_MEMORY, "%.3g GB are allowed, but at least %.3g GB are needed",
                       1e-9 * (double)allowed, 1e-9 * (double)least);
    if (needs->cache_useful > limits.cache_rows && least < allowed) {
        struct mn_limits more = limits;
        more.cache_rows += STEP;
        size_t step = bytes_of(model, &more) - least;
        int64_t extra = (int64_t)((double)(allowed - least) / (double)step * STEP);
        limits.cache_rows += extra;
        if (limits.cache_rows > needs->cache_useful) limits.cache_rows = needs->cache_useful;
    }
    if (limits.cache_rows > INT32_MAX) limits.cache_rows = INT32_MAX;
    *out = limits;
    return MN_OK;
}

void mn_infer_plan_fill(struct mn_infer_plan *out, const struct mn_adapters *adapters,
                        const mn_model *model, const struct mn_limits *limits, size_t items)
{
    *out = (struct mn_infer_plan){.items = items, .limits = *limits};
    mn_context_plan(model->device, &model->config, &model->options, limits, out->by_use);
    for (int a = 0; a < adapters->count; a++)
        if (adapters->item[a]) out->by_use[MN_MEMORY_ADAPTER] += adapters->item[a]->pool.size;
}

/* --- shared prefixes in the cache ------------------------------------------------------------- */

static size_t pair_of(const struct mn_shared *shared, const struct mn_prompt *prompt)
{
    return (size_t)prompt->adapter * shared->count + (size_t)prompt->prefix;
}

void mn_shared_open(struct mn_shared *shared, mn_arena *arena, mn_context *context,
                    const struct mn_limits *limits, struct mn_extents *cache)
{
    const size_t pairs = (size_t)shared->adapters.count * shared->count;
    shared->context = context;
    shared->limits = *limits;
    shared->cache = cache;
    shared->start = MN_NEW(arena, int32_t, pairs);
    shared->users = MN_NEW(arena, size_t, pairs);
    for (size_t i = 0; i < pairs; i++) shared->start[i] = -1;
}

void mn_shared_user(struct mn_shared *shared, const struct mn_prompt *prompt)
{
    if (prompt->prefix >= 0) shared->users[pair_of(shared, prompt)]++;
}

int mn_shared_length(const struct mn_shared *shared, const struct mn_prompt *prompt)
{
    return prompt->prefix < 0 ? 0 : shared->prefixes[prompt->prefix].count;
}

int32_t mn_shared_start(const struct mn_shared *shared, const struct mn_prompt *prompt)
{
    return mn_shared_length(shared, prompt) ? shared->start[pair_of(shared, prompt)] : 0;
}

/* Takes rows of the cache for a pair and adds its prefix to the batch; false: there is no room. */
static bool add_prefix(struct mn_shared *shared, size_t pair, struct mn_builder *builder)
{
    const struct mn_prefix *prefix = &shared->prefixes[pair % shared->count];
    if ((int64_t)builder->ids.count + prefix->count > shared->limits.tokens ||
        (int)builder->offsets.count == shared->limits.sequences)
        return false;
    int32_t start = mn_extents_take(shared->cache, prefix->count);
    if (start < 0) return false;
    mn_builder_sequence(builder, shared->adapters.item[pair / shared->count], 0, 0);
    mn_builder_tokens(builder, prefix->ids, prefix->count, start);
    shared->start[pair] = start;
    shared->computed += prefix->count;
    return true;
}

static bool is_missing(const struct mn_shared *shared, size_t pair)
{
    return shared->start[pair] < 0 && shared->users[pair] > 0 &&
           shared->prefixes[pair % shared->count].count > 0;
}

mn_status mn_shared_need(struct mn_shared *shared, const struct mn_prompt *prompt, bool *there)
{
    struct mn_builder builder = {0};
    mn_status st = MN_OK;
    const size_t end = ((size_t)prompt->adapter + 1) * shared->count; /* of the adapter's pairs */
    *there = mn_shared_length(shared, prompt) == 0 || mn_shared_start(shared, prompt) >= 0;
    if (*there) return MN_OK;
    size_t pair = pair_of(shared, prompt);
    if (add_prefix(shared, pair, &builder)) {
        for (pair++; shared->ahead && pair < end; pair++)
            if (is_missing(shared, pair) && !add_prefix(shared, pair, &builder)) break;
        struct mn_batch batch = mn_builder_batch(&builder);
        st = mn_forward(shared->context, NULL, &batch);
        *there = true;
    }
    mn_builder_free(&builder);
    return st;
}

static void give_back(struct mn_shared *shared, size_t pair)
{
    if (shared->start[pair] < 0) return;
    mn_extents_give(shared->cache, shared->start[pair],
                    shared->prefixes[pair % shared->count].count);
    shared->start[pair] = -1;
}

void mn_shared_done(struct mn_shared *shared, const struct mn_prompt *prompt)
{
    if (prompt->prefix < 0) return;
    const size_t pair = pair_of(shared, prompt);
    if (--shared->users[pair] == 0) give_back(shared, pair);
}

void mn_shared_evict(struct mn_shared *shared)
{
    for (size_t i = 0; i < (size_t)shared->adapters.count * shared->count; i++)
        give_back(shared, i);
}

/* --- a ragged batch that grows ---------------------------------------------------------------- */

void mn_builder_clear(struct mn_builder *b)
{
    b->ids.count = b->offsets.count = b->prefix_start.count = b->prefix_length.count = 0;
    b->slot.count = b->logit_row.count = 0;
    b->prefixed = false;
    b->group_count = 0;
}

void mn_builder_free(struct mn_builder *b)
{
    free(b->ids.item);
    free(b->offsets.item);
    free(b->prefix_start.item);
    free(b->prefix_length.item);
    free(b->slot.item);
    free(b->logit_row.item);
    *b = (struct mn_builder){0};
}

void mn_group_add(struct mn_adapter_group *groups, int *count, const mn_adapter *adapter)
{
    if (*count == 0 || groups[*count - 1].adapter != adapter)
        groups[(*count)++] = (struct mn_adapter_group){adapter, 0};
    groups[*count - 1].sequences++;
}

void mn_builder_sequence(struct mn_builder *b, const mn_adapter *adapter, int32_t start,
                         int32_t length)
{
    mn_group_add(b->groups, &b->group_count, adapter);
    *MN_PUSH(&b->offsets) = (int32_t)b->ids.count;
    *MN_PUSH(&b->prefix_start) = length > 0 ? start : 0;
    *MN_PUSH(&b->prefix_length) = length;
    b->prefixed |= length > 0;
}

void mn_builder_tokens(struct mn_builder *b, const int32_t *ids, int count, int32_t slot)
{
    for (int i = 0; i < count; i++) {
        *MN_PUSH(&b->ids) = ids[i];
        if (slot >= 0) *MN_PUSH(&b->slot) = slot + i;
    }
}

void mn_builder_logits(struct mn_builder *b, int count)
{
    for (int i = count; i > 0; i--) *MN_PUSH(&b->logit_row) = (int32_t)b->ids.count - i;
}

struct mn_batch mn_builder_batch(struct mn_builder *b)
{
    int sequences = (int)b->offsets.count;
    *MN_PUSH(&b->offsets) = (int32_t)b->ids.count;
    b->offsets.count--;
    return (struct mn_batch){.tokens = (int)b->ids.count,
                             .sequences = sequences,
                             .ids = b->ids.item,
                             .offsets = b->offsets.item,
                             .prefix_start = b->prefixed ? b->prefix_start.item : NULL,
                             .prefix_length = b->prefixed ? b->prefix_length.item : NULL,
                             .slot = b->slot.count ? b->slot.item : NULL,
                             .logit_rows = (int)b->logit_row.count,
                             .logit_row = b->logit_row.item,
                             .groups = b->groups,
                             .group_count = b->group_count};
}
