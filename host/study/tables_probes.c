/* tables_probes.c: what trainings were asked while they ran, and the rules that ended them. */
#include <string.h>

#include "table.h"

static void add_task(struct table *out, const struct mn_probe_point *point, enum mn_probe_task task)
{
    if (!point->items[task]) {
        table_blank(out, 2);
        return;
    }
    table_cell(out, cell_percent(mn_probe_accuracy(point, task)));
    table_count(out, point->items[task]);
}

void tables_probes(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                   struct table *out)
{
    static const enum phrase heads[] = {SAY_ADAPTER, SAY_STEP,      SAY_SPIDER,  SAY_QUESTIONS,
                                        SAY_MMLU,    SAY_QUESTIONS, SAY_ENDED_BY};
    OPEN_TABLE(out, arena, language, SAY_PROBES, heads, 1);
    out->note = say(language, SAY_PROBES_NOTE);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const int64_t stop = system->system.trained.stop;
        for (size_t p = 0; p < system->probe_count; p++) {
            const struct mn_probe_point *point = &system->probes[p];
            table_text(out, system->system.name);
            table_count(out, point->step);
            add_task(out, point, MN_PROBE_SPIDER);
            add_task(out, point, MN_PROBE_MMLU);
            table_text(out, stop && p + 1 == system->probe_count
                                ? mn_arena_printf(arena, "stop.%s", mn_stop_names[stop])
                                : "");
        }
    }
}

/* What the rule looked at is in the settings. */
static bool looked_at_spider(const struct mn_system *system)
{
    json_t *settings = system->settings ? json_loads(system->settings, 0, NULL) : NULL;
    const json_t *stop = json_object_get(settings, "stop");
    const char *metric = json_string_value(json_object_get(stop, "metric"));
    const bool spider = metric && strcmp(metric, mn_probe_names[MN_PROBE_SPIDER]) == 0;
    json_decref(settings);
    return spider && system->trained.stop == MN_STOP_PATIENCE;
}

size_t report_probe_remarks(const struct mn_report *report, enum mn_language language,
                            mn_arena *arena, const char **out)
{
    size_t count = 0;
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_system *system = &report->systems[i].system;
        const struct mn_train_result *trained = &system->trained;
        if (!trained->stop) continue;
        out[count++] = report_filled(
            arena, say(language, SAY_NOTE_STOPPED),
            (const char *[]){system->name, mn_stop_names[trained->stop],
                             mn_arena_printf(arena, "%lld", (long long)trained->steps),
                             mn_arena_printf(arena, "%lld", (long long)trained->planned_steps)});
        if (looked_at_spider(system))
            out[count++] = report_filled(arena, say(language, SAY_NOTE_STOPPED_SPIDER),
                                         (const char *[]){system->name});
    }
    return count;
}
