/* protocol.c: what a reader must know of the seed study's protocol: its own figures, by its own
 * metrics, and its faults, as far as the config has them. */
#include "protocol.h"

#include <string.h>

#include "language.h"
#include "minuano/study.h"

struct remarks {
    const struct mn_report *report;
    enum mn_language language;
    mn_arena *arena;
    const char **list; /* ends with NULL: the arena's memory is zero */
    size_t count;
};

static void add(struct remarks *remarks, enum phrase sentence, const char *const *words)
{
    remarks->list[remarks->count++] =
        report_filled(remarks->arena, say(remarks->language, sentence), words);
}

static void add_figure(struct remarks *remarks, enum phrase sentence, int64_t hits, int64_t of,
                       const char *system)
{
    const char *const words[] = {mn_arena_printf(remarks->arena, "%lld", (long long)hits),
                                 mn_arena_printf(remarks->arena, "%lld", (long long)of), system};
    if (of > 0) add(remarks, sentence, words);
}

static void add_figures(struct remarks *remarks)
{
    const struct mn_report *report = remarks->report;
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        if (strcmp(system->system.name, MN_STUDY_BASELINE) == 0)
            add_figure(remarks, SAY_SEED_EXACT, system->exact, (int64_t)system->spider_count,
                       system->system.name);
    }
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_spider_count *all = &report->systems[i].spider.by[MN_HARDNESSES];
        add_figure(remarks, SAY_SEED_SPIDER, all->seed, all->judged,
                   report->systems[i].system.name);
    }
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_mmlu_score *micro = &report->systems[i].mmlu.micro;
        add_figure(remarks, SAY_SEED_MMLU, micro->correct, micro->total,
                   report->systems[i].system.name);
    }
}

static const json_t *value(const struct mn_report *report, const char *group, const char *key)
{
    return json_object_get(json_object_get(report->config, group), key);
}

static void add_faults(struct remarks *remarks)
{
    const struct mn_report *report = remarks->report;
    const char *prompt = json_string_value(value(report, "spider", "prompt"));
    const bool training_text = prompt && strcmp(prompt, "seed_train") == 0;
    const bool sampled = json_number_value(value(report, "spider", "temperature")) > 0 ||
                         json_number_value(value(report, "baseline", "temperature")) > 0;
    const int64_t limit = json_integer_value(value(report, "spider", "limit"));
    const char *const first[] = {mn_arena_printf(remarks->arena, "%lld", (long long)limit)};
    const struct {
        bool holds;
        enum phrase sentence;
    } rows[] = {
        {training_text, SAY_FAULT_SCHEMA},
        {training_text, SAY_FAULT_NESTED},
        {sampled, SAY_FAULT_SAMPLING},
        {json_is_true(value(report, "spider", "merged")), SAY_FAULT_MERGED},
        {true, SAY_FAULT_DENOMINATOR},
        {true, SAY_FAULT_SORTING},
        {true, SAY_FAULT_SETS},
        {limit > 0, SAY_FAULT_FIRST},
        {true, SAY_SEED_DEPARTURES},
    };
    for (size_t i = 0; i < MN_COUNT(rows); i++)
        if (rows[i].holds) add(remarks, rows[i].sentence, first);
}

const char **protocol_remarks(const struct mn_report *report, enum mn_language language,
                              mn_arena *arena)
{
    enum { FAULTS = 9 };
    struct remarks remarks = {report, language, arena, NULL, 0};
    const char *protocol = json_string_value(json_object_get(report->config, "protocol"));
    remarks.list = MN_NEW(arena, const char *, 3 * report->system_count + FAULTS + 1);
    if (protocol && strcmp(protocol, mn_study_protocols[MN_PROTOCOL_SEED]) == 0) {
        add_figures(&remarks);
        add_faults(&remarks);
    }
    return remarks.list;
}
