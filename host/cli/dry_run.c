/* dry_run.c: prints what a command that answers would do and take. */
#include "dry_run.h"

static size_t sum_of(const size_t by_use[MN_MEMORY_USES])
{
    size_t sum = 0;
    for (int use = 0; use < MN_MEMORY_USES; use++) sum += by_use[use];
    return sum;
}

void print_memory(const size_t by_use[MN_MEMORY_USES], size_t free_bytes)
{
    for (int use = 0; use < MN_MEMORY_USES; use++)
        if (by_use[use])
            printf("%-12s %12.3f MB\n", mn_memory_use_name(use), 1e-6 * (double)by_use[use]);
    printf("%-12s %12.3f MB\n%-12s %12.3f MB\n", "in all", 1e-6 * (double)sum_of(by_use), "free",
           1e-6 * (double)free_bytes);
}

void add_memory(json_t *line, const size_t by_use[MN_MEMORY_USES], size_t free_bytes)
{
    json_t *bytes = json_object();
    for (int use = 0; use < MN_MEMORY_USES; use++)
        json_object_set_new(bytes, mn_memory_use_name(use), json_integer((json_int_t)by_use[use]));
    json_object_set_new(line, "bytes", bytes);
    json_object_set_new(line, "bytes_needed", json_integer((json_int_t)sum_of(by_use)));
    json_object_set_new(line, "bytes_free", json_integer((json_int_t)free_bytes));
}

mn_status keep_counts(void *user, const struct mn_token_counts *counts)
{
    *(struct mn_token_counts *)user = *counts;
    return MN_OK;
}

static void print_json(const struct mn_infer_plan *plan, const struct mn_token_counts *tokens,
                       int64_t new_tokens, const size_t by_use[MN_MEMORY_USES], size_t free_bytes)
{
    json_t *line = json_pack("{s:I, s:I, s:I, s:i, s:i, s:I}", "items", (json_int_t)plan->items,
                             "tokens_computed", (json_int_t)tokens->computed, "tokens_shared",
                             (json_int_t)tokens->shared, "tokens_at_once", plan->limits.tokens,
                             "sequences_at_once", plan->limits.sequences, "cache_rows",
                             (json_int_t)plan->limits.cache_rows);
    if (new_tokens >= 0) json_object_set_new(line, "new_tokens", json_integer(new_tokens));
    add_memory(line, by_use, free_bytes);
    mn_json_line(stdout, line);
    json_decref(line);
}

mn_status print_infer_plan(const struct invocation *call, const struct opened_model *opened,
                           const struct mn_infer_plan *plan, const struct mn_token_counts *tokens,
                           int64_t new_tokens)
{
    const mn_model *model = opened->model;
    size_t by_use[MN_MEMORY_USES], free_bytes, total_bytes;
    for (int use = 0; use < MN_MEMORY_USES; use++) by_use[use] = plan->by_use[use];
    by_use[MN_MEMORY_WEIGHTS] += mn_model_bytes(model->device, &model->config, &model->options);
    MN_TRY(model->device->calls->memory(model->device, &free_bytes, &total_bytes));
    if (call->common.json) {
        print_json(plan, tokens, new_tokens, by_use, free_bytes);
        return MN_OK;
    }
    printf("items           %zu, %d at once\n", plan->items, plan->limits.sequences);
    printf("prompt tokens   %lld, %lld more from shared prefixes; %d at once\n",
           (long long)tokens->computed, (long long)tokens->shared, plan->limits.tokens);
    if (new_tokens >= 0) printf("new tokens      at most %lld\n", (long long)new_tokens);
    print_memory(by_use, free_bytes);
    return MN_OK;
}
