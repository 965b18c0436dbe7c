/* forecast.c: what a study would do and take, before any of it is done. */
#include <string.h>

#include "run.h"

static size_t sum_of(const size_t by_use[MN_MEMORY_USES])
{
    size_t sum = 0;
    for (int use = 0; use < MN_MEMORY_USES; use++) sum += by_use[use];
    return sum;
}

static void keep_larger(size_t kept[MN_MEMORY_USES], const size_t by_use[MN_MEMORY_USES])
{
    if (sum_of(by_use) > sum_of(kept)) memcpy(kept, by_use, MN_MEMORY_USES * sizeof *kept);
}

/* Examples are the same for most trainings of a sweep: they are made anew where they are not. */
struct examples {
    mn_arena *arena;
    struct mn_examples list;
    const struct mn_train_settings *of; /* NULL: none yet */
};

static mn_status make_examples(struct run *run, const struct mn_study_training *training,
                               const struct mn_model_config *model, struct examples *examples)
{
    const struct mn_train_settings *settings = &training->settings, *of = examples->of;
    if (of && of->loss_on == settings->loss_on && of->max_length == settings->max_length)
        return MN_OK;
    mn_examples_free(&examples->list);
    mn_arena_reset(examples->arena);
    examples->list = (struct mn_examples){0};
    examples->of = settings;
    return study_examples(run, training, model, examples->arena, &examples->list);
}

/* Plans as if the weights were packed, which takes most beside them. */
static mn_status fit_training(struct run *run, const struct mn_study_training *training,
                              struct examples *examples, const struct mn_model_config *config,
                              struct mn_model_options *options)
{
    const struct mn_model_options packed = {options->quantization, .keep_packed = true};
    mn_device *device = run->study->device;
    struct mn_train_plan plan;
    MN_TRY(make_examples(run, training, config, examples));
    MN_TRY(mn_train_plan(device, config, &packed, &examples->list, &training->settings,
                         run->study->ranks->size, &plan));
    mn_status st =
        mn_model_fit(device, config, options, sum_of(plan.by_use) - plan.by_use[MN_MEMORY_WEIGHTS]);
    if (st != MN_NO_MEMORY) return st;
    return mn_fail(st,
                   "training \"%s\": %s: lower train.batch, train.max_length or lora.rank, or "
                   "quantize the base",
                   training->name, mn_error());
}

mn_status study_fit(struct run *run, const struct mn_model_config *config,
                    struct mn_model_options *options)
{
    struct examples examples = {0};
    mn_status st;
    MN_GO(mn_infer_fit(run->study->device, config, options));
    MN_GO(mn_arena_open(&examples.arena));
    for (size_t i = 0; i < run->training_count && run->phase[MN_PHASE_TRAIN]; i++) {
        const char *folder = study_training_folder(run, &run->trainings[i]);
        if (mn_file_exists(mn_path(run->arena, folder, "result.json"))) continue;
        MN_GO(fit_training(run, &run->trainings[i], &examples, config, options));
    }
done:
    mn_examples_free(&examples.list);
    mn_arena_close(&examples.arena);
    return st;
}

static mn_status forecast_training(struct run *run, const struct mn_study_training *training,
                                   struct examples *examples, struct mn_study_forecast *out,
                                   struct mn_study_forecast_system *system)
{
    struct mn_train_plan plan;
    MN_TRY(make_examples(run, training, &run->model->config, examples));
    MN_TRY(mn_train_plan(run->study->device, &run->model->config, &run->model->options,
                         &examples->list, &training->settings, run->study->ranks->size, &plan));
    system->steps = plan.steps;
    system->tokens = plan.tokens;
    system->loss_tokens = plan.loss_tokens;
    system->parameters = plan.parameters;
    if (sum_of(plan.by_use) > sum_of(out->training)) out->largest = system->name;
    keep_larger(out->training, plan.by_use);
    return MN_OK;
}

static mn_status forecast_trainings(struct run *run, struct mn_study_forecast *out,
                                    struct mn_study_forecast_system *systems)
{
    struct examples examples = {0};
    mn_status st;
    MN_GO(mn_arena_open(&examples.arena));
    for (size_t i = 0; i < run->training_count && run->phase[MN_PHASE_TRAIN]; i++)
        MN_GO(forecast_training(run, &run->trainings[i], &examples, out, &systems[i]));
done:
    mn_examples_free(&examples.list);
    mn_arena_close(&examples.arena);
    return st;
}

/* The prompts are made as they will be asked, and the context is chosen as it will be. */
static mn_status forecast_answering(struct run *run, struct mn_study_forecast *out)
{
    const struct mn_study_settings *s = run->settings;
    struct mn_infer_plan spider = {0}, mmlu = {0};
    const struct mn_spider_evaluate_options ask_spider = {
        .prompt = run->prompt, .max_new_tokens = (int)s->spider.max_new_tokens, .plan = &spider};
    const struct mn_mmlu_evaluate_options ask_mmlu = {.format = (enum mn_mmlu_format)s->mmlu.format,
                                                      .answering =
                                                          (enum mn_mmlu_answering)s->mmlu.answer,
                                                      .shots = (int)s->mmlu.shots,
                                                      .max_new_tokens = (int)s->mmlu.max_new_tokens,
                                                      .plan = &mmlu};
    if (run->spider && run->phase[MN_PHASE_SPIDER])
        MN_TRY(mn_spider_evaluate(run->model, NULL, run->tokenizer, run->spider, NULL,
                                  run->spider_count, &ask_spider));
    if (run->mmlu && run->phase[MN_PHASE_MMLU])
        MN_TRY(mn_mmlu_evaluate(run->model, NULL, run->tokenizer, run->mmlu_items, run->mmlu_count,
                                &ask_mmlu));
    keep_larger(out->answering, spider.by_use);
    keep_larger(out->answering, mmlu.by_use);
    if (sum_of(out->answering) > 0)
        out->answering[MN_MEMORY_WEIGHTS] +=
            mn_model_bytes(run->study->device, &run->model->config, &run->model->options);
    return MN_OK;
}

static void list_systems(const struct run *run, struct mn_study_forecast *out, size_t *first)
{
    const int64_t spider = run->phase[MN_PHASE_SPIDER] ? (int64_t)run->spider_count : 0;
    const int64_t mmlu = run->phase[MN_PHASE_MMLU] ? study_mmlu_items(run) : 0;
    struct mn_study_forecast_system *systems = out->systems;
    systems[out->count++] =
        (struct mn_study_forecast_system){.name = "base", .spider = spider, .mmlu = mmlu};
    if (run->baseline_count && run->phase[MN_PHASE_BASELINE])
        systems[out->count++] = (struct mn_study_forecast_system){
            .name = MN_STUDY_BASELINE, .spider = (int64_t)run->baseline_count};
    *first = out->count;
    for (size_t i = 0; i < run->training_count; i++)
        systems[out->count++] = (struct mn_study_forecast_system){
            .name = run->trainings[i].name, .spider = spider, .mmlu = mmlu};
    if (spider) out->point_spider = study_point_items(run, run->spider_count);
    if (mmlu) out->point_mmlu = study_point_items(run, run->mmlu_count);
}

static void add_up(const struct run *run, struct mn_study_forecast *out, size_t first)
{
    for (size_t i = 0; i < out->count; i++) {
        struct mn_study_forecast_system *system = &out->systems[i];
        if (i >= first) /* of an adapter that is there already: as it was trained */
            system->points = study_count_points(
                run, &run->trainings[i - first],
                system->steps ? system->steps : run->trainings[i - first].settings.steps);
        out->steps += system->steps;
        out->items +=
            system->spider + system->mmlu + system->points * (out->point_spider + out->point_mmlu);
    }
}

static mn_status check_memory(const struct run *run, const struct mn_study_forecast *forecast)
{
    mn_device *device = run->study->device;
    size_t free_bytes, total_bytes, needed = sum_of(forecast->training);
    MN_TRY(device->calls->memory(device, &free_bytes, &total_bytes));
    if (needed <= free_bytes) return MN_OK;
    return mn_fail(MN_NO_MEMORY,
                   "%s: \"%s\" needs %.2f GB, %.2f GB are free: lower train.batch, "
                   "train.max_length or lora.rank, or quantize the base",
                   device->name, forecast->largest, 1e-9 * (double)needed,
                   1e-9 * (double)free_bytes);
}

mn_status mn_study_forecast(const struct mn_study *study, mn_arena *arena,
                            struct mn_study_forecast *out)
{
    struct run run = {.study = study, .settings = study->settings, .lock = -1};
    struct mn_model_options options = {.quantization =
                                           (enum mn_quantization)study->settings->quantization,
                                       .keep_packed = study->settings->keep_packed,
                                       .plan_only = true};
    struct mn_model_config config;
    size_t first;
    mn_status st;
    *out = (struct mn_study_forecast){0};
    MN_GO(study_open_inputs(&run));
    MN_GO(mn_model_config_read(&config, study->model_folder));
    MN_GO(mn_infer_fit(study->device, &config, &options));
    MN_GO(mn_model_open(&run.model, study->device, study->model_folder, &options));
    out->systems = MN_NEW(arena, struct mn_study_forecast_system, run.training_count + 2);
    list_systems(&run, out, &first);
    MN_GO(forecast_trainings(&run, out, out->systems + first));
    MN_GO(forecast_answering(&run, out));
    add_up(&run, out, first);
    for (size_t i = 0; i < out->count; i++) /* names of trainings are the run's */
        out->systems[i].name = mn_arena_strdup(arena, out->systems[i].name);
    if (out->largest) out->largest = mn_arena_strdup(arena, out->largest);
    MN_GO(check_memory(&run, out));
done:
    study_close(&run);
    return st;
}
