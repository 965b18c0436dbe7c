/* steps.c: loss and learning rate of a training, step by step, as its metrics.jsonl has them. */
#include "curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A last line that a crash has torn ends it. */
static void read_steps(mn_arena *arena, const char *path, struct mn_report_system *out)
{
    MN_LIST(struct mn_report_step) list = {0};
    struct mn_jsonl file = {0};
    struct mn_report_step *steps;
    json_t *line;
    if (mn_jsonl_open(&file, path) != MN_OK) return;
    while (mn_jsonl_next(&file, &line) == MN_OK && line) {
        const json_t *loss = json_object_get(line, "loss");
        const json_t *rate = json_object_get(line, "learning_rate");
        *MN_PUSH(&list) =
            (struct mn_report_step){json_integer_value(json_object_get(line, "step")),
                                    json_is_number(loss) ? json_number_value(loss) : NAN,
                                    json_is_number(rate) ? json_number_value(rate) : NAN};
        json_decref(line);
    }
    mn_jsonl_close(&file);
    steps = MN_NEW(arena, struct mn_report_step, list.count);
    if (list.count) memcpy(steps, list.item, list.count * sizeof *steps);
    out->steps = steps;
    out->step_count = list.count;
    free(list.item);
}

void report_load_steps(mn_arena *arena, struct mn_report *report)
{
    const char *adapters = json_string_value(json_object_get(report->config, "adapters"));
    const char *folder = mn_path(arena, report->folder, adapters ? adapters : "trainings");
    for (size_t i = 0; i < report->system_count; i++) {
        struct mn_report_system *system = &report->systems[i];
        if (!system->system.training) continue;
        const char *path =
            mn_path(arena, mn_path(arena, folder, system->system.training), "metrics.jsonl");
        if (mn_file_exists(path)) read_steps(arena, path, system);
    }
}
