/* cmd_merge.c: `minuano merge`: an adapter merged into a 16-bit model folder. */
#include "command.h"
#include "minuano/audit.h"
#include "minuano/log.h"
#include "model_settings.h"

struct merge_settings {
    const char *model, *adapter, *output;
    bool allow_dead_adapter;
};

static const struct mn_setting rows[] = {
    {"model", MN_SETTING_STRING, offsetof(struct merge_settings, model), NULL,
     "model folder, or owner/name in the hub cache", .required = true},
    {"adapter", MN_SETTING_STRING, offsetof(struct merge_settings, adapter), NULL,
     "adapter folder (PEFT layout)", .required = true},
    {"allow_dead_adapter", MN_SETTING_BOOL, offsetof(struct merge_settings, allow_dead_adapter),
     "false", "take an adapter that changes nothing, such as one whose every B is zero"},
    {"output", MN_SETTING_STRING, offsetof(struct merge_settings, output), NULL,
     "folder to make; it must not exist yet", .required = true},
};
static const struct mn_settings table = {"minuano merge", rows, MN_COUNT(rows)};

static mn_status run(const struct invocation *call)
{
    const struct merge_settings *settings = call->settings;
    const char *folder;
    char base[65];
    MN_TRY(resolve_model(call, settings->model, &folder));
    MN_TRY(mn_model_fingerprint(folder, base));
    MN_TRY(mn_audit_folder(settings->adapter, base, settings->allow_dead_adapter));
    MN_TRY(mn_merge(folder, settings->adapter, settings->output));
    if (call->common.json) {
        json_t *result = json_pack("{s:s}", "output", settings->output);
        mn_json_line(stdout, result);
        json_decref(result);
    }
    mn_info("merged: %s", settings->output);
    return MN_OK;
}

const struct command command_merge = {
    .name = "merge",
    .summary = "an adapter merged into a 16-bit model folder",
    .usage = "--model DIR --adapter DIR --output DIR",
    .examples = "  minuano merge --model mistralai/Mistral-7B-Instruct-v0.3 "
                "--adapter runs/lr1e-4/final_adapter --output merged\n",
    .settings = &table,
    .settings_size = sizeof(struct merge_settings),
    .run = run,
};
