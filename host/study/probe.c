/* probe.c: asks an adapter in training a sample of both tasks, as the evaluation would. */
#include "minuano/probe.h"

static mn_status count_spider(void *user, const struct mn_spider_result *result)
{
    struct mn_probe_point *point = user;
    if (result->verdict.official < 0) return MN_OK;
    point->items[MN_PROBE_SPIDER]++;
    point->correct[MN_PROBE_SPIDER] += result->verdict.official;
    return MN_OK;
}

static mn_status count_mmlu(void *user, size_t index, const struct mn_mmlu_result *result)
{
    struct mn_probe_point *point = user;
    (void)index;
    point->items[MN_PROBE_MMLU]++;
    point->correct[MN_PROBE_MMLU] += result->predicted == result->item.question->answer;
    return MN_OK;
}

/* How many of `count` are asked; the i-th is the one at i * count / that. */
static size_t sample(size_t asked, size_t count)
{
    return asked < count ? asked : count;
}

static mn_status ask_spider(const struct mn_probe_tasks *tasks, const mn_adapter *adapter,
                            mn_arena *arena, struct mn_probe_point *point)
{
    struct mn_spider_evaluate_options options = tasks->spider_options;
    const size_t asked = sample(tasks->spider_asked, tasks->spider_count);
    size_t *index = MN_NEW(arena, size_t, asked + 1);
    for (size_t i = 0; i < asked; i++) index[i] = i * tasks->spider_count / asked;
    options.temperature = 0;
    options.adapters = (struct mn_adapters){0};
    options.finished = count_spider;
    options.counted = NULL;
    options.user = point;
    options.title = NULL;
    return mn_spider_evaluate(tasks->model, adapter, tasks->tokenizer, tasks->spider, index, asked,
                              &options);
}

static mn_status ask_mmlu(const struct mn_probe_tasks *tasks, const mn_adapter *adapter,
                          mn_arena *arena, struct mn_probe_point *point)
{
    struct mn_mmlu_evaluate_options options = tasks->mmlu_options;
    const size_t asked = sample(tasks->mmlu_asked, tasks->mmlu_count);
    struct mn_mmlu_item *items = MN_NEW(arena, struct mn_mmlu_item, asked + 1);
    for (size_t i = 0; i < asked; i++) items[i] = tasks->mmlu_items[i * tasks->mmlu_count / asked];
    options.adapters = (struct mn_adapters){0};
    options.finished = count_mmlu;
    options.counted = NULL;
    options.user = point;
    options.title = NULL;
    return mn_mmlu_evaluate(tasks->model, adapter, tasks->tokenizer, items, asked, &options);
}

mn_status mn_probe_ask(void *user, const mn_adapter *adapter, struct mn_probe_point *point)
{
    const struct mn_probe_tasks *tasks = user;
    mn_arena *arena = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    if (tasks->spider_asked) MN_GO(ask_spider(tasks, adapter, arena, point));
    if (tasks->mmlu_asked) MN_GO(ask_mmlu(tasks, adapter, arena, point));
done:
    mn_arena_close(&arena);
    return st;
}
