/* cmd_study.c: `minuano study CONFIG`: the whole experiment, and its report at the end. */
#include <string.h>

#include "dry_run.h"
#include "minuano/study.h"

/* --- the forecast ------------------------------------------------------------------------------
 */

static json_t *forecast_json(const struct mn_study_forecast *forecast)
{
    json_t *systems = json_array();
    for (size_t i = 0; i < forecast->count; i++) {
        const struct mn_study_forecast_system *s = &forecast->systems[i];
        json_array_append_new(
            systems, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", s->name, "steps",
                               (json_int_t)s->steps, "tokens", (json_int_t)s->tokens, "loss_tokens",
                               (json_int_t)s->loss_tokens, "parameters", (json_int_t)s->parameters,
                               "spider", (json_int_t)s->spider, "mmlu", (json_int_t)s->mmlu,
                               "points", (json_int_t)s->points));
    }
    return json_pack("{s:o, s:I, s:I}", "systems", systems, "steps", (json_int_t)forecast->steps,
                     "items", (json_int_t)forecast->items);
}

static void print_systems(const struct mn_study_forecast *forecast)
{
    int name = 6;
    for (size_t i = 0; i < forecast->count; i++)
        if ((int)strlen(forecast->systems[i].name) > name)
            name = (int)strlen(forecast->systems[i].name);
    printf("%-*s %8s %12s %8s %8s %8s\n", name, "system", "steps", "tokens", "Spider", "MMLU",
           "points");
    for (size_t i = 0; i < forecast->count; i++) {
        const struct mn_study_forecast_system *s = &forecast->systems[i];
        printf("%-*s %8lld %12lld %8lld %8lld %8lld\n", name, s->name, (long long)s->steps,
               (long long)s->tokens, (long long)s->spider, (long long)s->mmlu,
               (long long)s->points);
    }
    printf("\n%lld training steps, %lld items\n", (long long)forecast->steps,
           (long long)forecast->items);
}

static mn_status print_forecast(const struct invocation *call, const struct mn_study *study)
{
    struct mn_study_forecast forecast;
    size_t free_bytes, total_bytes;
    mn_status st = mn_study_forecast(study, call->arena, &forecast);
    if (st != MN_OK && st != MN_NO_MEMORY) return st;
    MN_TRY(study->device->calls->memory(study->device, &free_bytes, &total_bytes));
    if (call->common.json) {
        json_t *line = forecast_json(&forecast), *training = json_object(),
               *answering = json_object();
        add_memory(training, forecast.training, free_bytes);
        add_memory(answering, forecast.answering, free_bytes);
        json_object_set_new(line, "training", training);
        json_object_set_new(line, "answering", answering);
        mn_json_line(stdout, line);
        json_decref(line);
        return st;
    }
    print_systems(&forecast);
    if (forecast.largest) {
        printf("\nmemory of the largest training, %s\n", forecast.largest);
        print_memory(forecast.training, free_bytes);
    }
    if (forecast.items > 0) {
        printf("\nmemory of answering\n");
        print_memory(forecast.answering, free_bytes);
    }
    return st;
}

/* --- the run -----------------------------------------------------------------------------------
 */

mn_status run_study(const struct invocation *call)
{
    const struct mn_study_settings *settings = call->settings;
    struct mn_study study = {
        .settings = settings, .where = call->config_path, .version = MINUANO_VERSION};
    struct mn_report report = {0};
    mn_status st;
    MN_GO(resolve_model(call, settings->model, &study.model_folder));
    MN_GO(open_device(call, &study.device));
    MN_GO(mn_ranks_open(&study.ranks, false));
    if (settings->dry_run) {
        MN_GO(print_forecast(call, &study));
        goto done;
    }
    MN_GO(mn_study_run(&study));
    MN_GO(mn_report_load(call->arena, settings->output, &report));
    if (call->common.json) {
        json_t *json = mn_report_json(&report);
        mn_json_line(stdout, json);
        json_decref(json);
    } else {
        mn_report_terminal(&report, (enum mn_language)settings->language, stdout);
        printf("\n%s holds report.html, report.md, report.json, report.csv and results.sqlite\n",
               settings->output);
    }
done:
    mn_report_close(&report);
    mn_ranks_close(&study.ranks);
    mn_device_close(&study.device);
    return st;
}

const struct command command_study = {
    .name = "study",
    .summary = "the whole experiment: base, trainings, evaluations, report; goes on where it was",
    .usage = "CONFIG [options]",
    .examples = "  minuano study configs/demo.json\n"
                "  minuano study configs/spider-mistral-7b.json --output runs/first "
                "--spider-limit 100 --mmlu-limit 20\n"
                "  minuano study configs/sweep.json --dry-run\n"
                "  minuano study configs/seed/phase1.json\n"
                "  minuano study --status runs/first\n",
    .settings = &mn_study_settings_table,
    .settings_size = sizeof(struct mn_study_settings),
    .takes_config = true,
    .run = run_study,
};
