/* cmd_study_status.c: `minuano study --status RUN`: how far a study is, while it runs or after. */
#include "command.h"
#include "minuano/study_status.h"

static mn_status run_status(const struct invocation *call)
{
    struct mn_study_status status = {0};
    MN_TRY(mn_study_status_load(call->arena, call->positional[0], &status));
    if (call->common.json) {
        json_t *json = mn_study_status_json(&status);
        mn_json_line(stdout, json);
        json_decref(json);
    } else {
        mn_study_status_print(&status, stdout);
    }
    mn_study_status_close(&status);
    return MN_OK;
}

const struct command command_study_status = {
    .name = "study --status",
    .summary = "how far a study is, from another terminal while it runs, or after",
    .usage = "RUN",
    .examples = "  minuano study --status runs/demo\n"
                "  watch -n 5 minuano study --status runs/demo\n"
                "  minuano study --status runs/demo --json\n",
    .positional_low = 1,
    .positional_high = 1,
    .run = run_status,
};
