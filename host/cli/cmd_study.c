/* cmd_study.c: `minuano study CONFIG`: the whole experiment, and its report at the end. */
#include "minuano/study.h"
#include "model_settings.h"

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
                "--spider-limit 100 --mmlu-limit 20\n",
    .settings = &mn_study_settings_table,
    .settings_size = sizeof(struct mn_study_settings),
    .takes_config = true,
    .run = run_study,
};
