/* tables_spider.c: accuracies by hardness and classes of misses. */
#include "table.h"

static double share(int64_t part, int64_t whole)
{
    return (double)part / (double)whole; /* NaN without items */
}

static bool has_hardness(const struct mn_report *report, int hardness)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].spider.by[hardness].total) return true;
    return false;
}

void tables_hardness(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                     struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM};
    OPEN_TABLE(out, arena, language, SAY_SPIDER_TITLE, heads, 1);
    for (int h = 0; h <= MN_HARDNESSES; h++)
        if (has_hardness(report, h)) table_column(out, say_hardness(language, h));
    table_column(out, say(language, SAY_INTERVAL));
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        if (!system->spider_count) continue;
        table_text(out, system->system.name);
        for (int h = 0; h <= MN_HARDNESSES; h++) {
            const struct mn_spider_count *count = &system->spider.by[h];
            if (has_hardness(report, h))
                table_cell(out, cell_percent(share(count->official, count->judged)));
        }
        table_cell(out, cell_interval(system->spider_interval));
    }
}

void tables_spider(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                   struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM,   SAY_HARDNESS, SAY_JUDGED,   SAY_MISSING,
                                        SAY_OFFICIAL, SAY_INTERVAL, SAY_DISTINCT, SAY_SEED_METRIC,
                                        SAY_CHANGE,   SAY_FLIPS,    SAY_MCNEMAR,  SAY_DETECTABLE};
    OPEN_TABLE(out, arena, language, SAY_SPIDER_SLICES, heads, 2);
    for (size_t i = 0; i < report->system_count; i++)
        for (int h = 0; h <= MN_HARDNESSES; h++) {
            const struct mn_report_system *system = &report->systems[i];
            const struct mn_spider_count *count = &system->spider.by[h];
            const struct mn_change *change = i ? &report->comparisons[i - 1].spider[h] : NULL;
            if (!count->total) continue;
            table_text(out, system->system.name);
            table_text(out, say_hardness(language, h));
            table_count(out, count->judged);
            table_count(out, count->missing);
            table_cell(out, cell_percent(share(count->official, count->judged)));
            table_cell(out, cell_interval(mn_wilson(count->official, count->judged)));
            table_cell(out, cell_percent(share(count->distinct, count->judged)));
            table_cell(out, cell_percent(share(count->seed, count->judged)));
            table_change(out, change);
            if (change)
                table_cell(out, cell_detectable(change));
            else
                table_blank(out, 1);
        }
}

bool report_has_miss(const struct mn_report *report, int miss)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].misses[miss]) return true;
    return false;
}

void tables_misses(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                   struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM, SAY_MISSES};
    OPEN_TABLE(out, arena, language, SAY_MISSES_TITLE, heads, 1);
    out->note = say(language, SAY_MISSES_NOTE);
    for (int m = 0; m < MN_MISSES; m++)
        if (report_has_miss(report, m)) table_column(out, say_miss(language, m));
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_spider_count *all = &system->spider.by[MN_HARDNESSES];
        if (!system->spider_count) continue;
        table_text(out, system->system.name);
        table_count(out, all->judged - all->official);
        for (int m = 0; m < MN_MISSES; m++)
            if (report_has_miss(report, m)) table_count(out, system->misses[m]);
    }
}
