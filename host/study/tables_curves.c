/* tables_curves.c: what a training gained and lost on the way, and at other strengths of its
 * adapter; and what shared prefixes saved. */
#include "table.h"

static const char *sample_note(const struct mn_report *report, enum mn_language language,
                               mn_arena *arena)
{
    const struct mn_report_stop *stop = &report->curves[0].stops[0];
    return report_filled(
        arena, say(language, SAY_CURVE_NOTE),
        (const char *[]){mn_arena_printf(arena, "%lld", (long long)stop->spider.items),
                         mn_arena_printf(arena, "%lld", (long long)stop->mmlu.items)});
}

static void add_task(struct table *out, const struct mn_change *change, struct mn_interval interval)
{
    if (!change->items) {
        table_blank(out, 2);
        return;
    }
    table_text(out, mn_arena_printf(out->arena, "%s %s",
                                    localized(out->language, cell_percent(change->after)).text,
                                    localized(out->language, cell_interval(interval)).text));
    table_cell(out, cell_points_interval(change));
}

static void add_stop(struct table *out, const struct mn_report_curve *curve,
                     const struct mn_report_stop *stop)
{
    table_text(out, curve->training);
    if (curve->by_strength)
        table_number(out, "%g", stop->strength);
    else
        table_count(out, stop->step);
    add_task(out, &stop->spider, stop->spider_interval);
    add_task(out, &stop->mmlu, stop->mmlu_interval);
    table_text(out, stop->front ? "*" : "");
}

static void make_curves(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                        bool by_strength, struct table *out)
{
    const enum phrase heads[] = {SAY_ADAPTER, by_strength ? SAY_STRENGTH : SAY_STEP,
                                 SAY_SPIDER,  SAY_CHANGE_SPIDER,
                                 SAY_MMLU,    SAY_CHANGE_MMLU,
                                 SAY_FRONT};
    OPEN_TABLE(out, arena, language, by_strength ? SAY_OVER_STRENGTHS : SAY_OVER_STEPS, heads, 1);
    for (size_t c = 0; c < report->curve_count; c++)
        for (size_t i = 0; i < report->curves[c].count; i++)
            if (report->curves[c].by_strength == by_strength &&
                report_stop_has_items(&report->curves[c].stops[i]))
                add_stop(out, &report->curves[c], &report->curves[c].stops[i]);
    if (out->row_count) out->note = sample_note(report, language, arena);
}

void tables_strengths(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                      struct table *out)
{
    make_curves(report, language, arena, true, out);
}

void tables_steps(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                  struct table *out)
{
    make_curves(report, language, arena, false, out);
}

static void add_tokens(struct table *out, const struct mn_token_counts *tokens)
{
    const int64_t all = tokens->computed + tokens->shared;
    if (!all) {
        table_blank(out, 3);
        return;
    }
    table_count(out, all);
    table_count(out, tokens->computed);
    table_cell(out, cell_percent((double)tokens->shared / (double)all));
}

void tables_tokens(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                   struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM,      SAY_TOKENS_SPIDER, SAY_COMPUTED, SAY_SAVED,
                                        SAY_TOKENS_MMLU, SAY_COMPUTED,      SAY_SAVED};
    OPEN_TABLE(out, arena, language, SAY_TOKENS_TITLE, heads, 1);
    out->note = say(language, SAY_TOKENS_NOTE);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_system *system = &report->systems[i].system;
        if (!system->spider_tokens.computed && !system->mmlu_tokens.computed) continue;
        table_text(out, system->name);
        add_tokens(out, &system->spider_tokens);
        add_tokens(out, &system->mmlu_tokens);
    }
}
