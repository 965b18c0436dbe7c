/* train_probe.c: opens the data that a training's probes ask. */
#include "train_probe.h"

enum { SHOTS = 5 };

static mn_status open_spider(struct train_probe *probe, const struct train_probe_data *data)
{
    if (!data->spider)
        return mn_fail(MN_INVALID, "probe.spider: expected data.spider, the folder of Spider");
    MN_TRY(mn_spider_prompt_read(&probe->tasks.spider_options.prompt, data->prompt));
    MN_TRY(mn_spider_open(&probe->spider, data->spider, "dev"));
    probe->tasks.spider = probe->spider;
    probe->tasks.spider_count = probe->spider->count;
    return MN_OK;
}

static mn_status open_mmlu(struct train_probe *probe, const struct train_probe_data *data,
                           mn_arena *arena)
{
    struct mn_mmlu_item *items;
    if (!data->mmlu)
        return mn_fail(MN_INVALID, "probe.mmlu: expected data.mmlu, the folder of MMLU");
    MN_TRY(mn_mmlu_open(&probe->mmlu, data->mmlu, "val"));
    MN_TRY(mn_mmlu_select(probe->mmlu, MN_MMLU_ALL, (struct mn_strings){0}, 0, arena, &items,
                          &probe->tasks.mmlu_count));
    probe->tasks.mmlu_items = items;
    probe->tasks.mmlu_options = (struct mn_mmlu_evaluate_options){
        .format = MN_MMLU_LM_EVAL, .answering = MN_MMLU_BY_LOGITS, .shots = SHOTS};
    return MN_OK;
}

mn_status open_train_probe(struct train_probe *out, const mn_tokenizer *tokenizer,
                           const struct mn_train_settings *settings,
                           const struct train_probe_data *data, mn_arena *arena)
{
    struct train_probe probe = {.tasks = {.tokenizer = tokenizer,
                                          .spider_asked = (size_t)settings->probe_spider,
                                          .mmlu_asked = (size_t)settings->probe_mmlu}};
    mn_status st = MN_OK;
    MN_GO(mn_probe_check(settings));
    if (settings->probe_every == 0) goto done;
    if (!tokenizer) {
        st = mn_fail(MN_NOT_FOUND, "probe.every: the model has no tokenizer.model to ask with");
        goto done;
    }
    if (settings->probe_spider) MN_GO(open_spider(&probe, data));
    if (settings->probe_mmlu) MN_GO(open_mmlu(&probe, data, arena));
done:
    if (st == MN_OK)
        *out = probe;
    else
        close_train_probe(&probe);
    return st;
}

void close_train_probe(struct train_probe *probe)
{
    mn_mmlu_close(&probe->mmlu);
    mn_spider_close(&probe->spider);
}
