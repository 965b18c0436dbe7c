/* tables_study.c: what each adapter gained and lost, what could have been found, and its training.
 */
#include "table.h"

static void add_columns(struct table *table, const enum phrase *heads, size_t count)
{
    for (size_t i = 0; i < count; i++) table_column(table, say(table->language, heads[i]));
}

/* A task that the study does not have has no columns. */
void tables_trade_off(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                      struct table *out)
{
    static const enum phrase head[] = {SAY_ADAPTER},
                             spider[] = {SAY_CHANGE_SPIDER, SAY_FLIPS, SAY_P},
                             mmlu[] = {SAY_CHANGE_MMLU, SAY_FLIPS, SAY_P};
    OPEN_TABLE(out, arena, language, SAY_TRADE_OFF_TITLE, head, 1);
    if (report_has_spider(report)) add_columns(out, spider, MN_COUNT(spider));
    if (report_has_mmlu(report)) add_columns(out, mmlu, MN_COUNT(mmlu));
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        const struct mn_report_comparison *c = &report->comparisons[i];
        if (!report_has_items(c)) continue;
        table_text(out, c->system->system.name);
        if (report_has_spider(report)) table_change(out, &c->spider[MN_HARDNESSES]);
        if (report_has_mmlu(report)) table_change(out, &c->mmlu_micro);
    }
}

/* Subjects whose change stands after Holm's correction. */
static void count_changed(const struct mn_report_comparison *c, int *up, int *down, int *all)
{
    *up = *down = *all = 0;
    for (size_t s = 0; s < c->base->mmlu.subject_count; s++) {
        const struct mn_change *change = &c->mmlu_subjects[s];
        *all += change->items > 0;
        *up += report_is_marked(change) && change->change > 0;
        *down += report_is_marked(change) && change->change < 0;
    }
}

void tables_power(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                  struct table *out)
{
    static const enum phrase head[] = {SAY_ADAPTER},
                             spider[] = {SAY_DETECTABLE_SPIDER, SAY_DESIGN_EFFECT},
                             mmlu[] = {SAY_DETECTABLE_MMLU, SAY_DESIGN_EFFECT, SAY_SUBJECTS_UP,
                                       SAY_SUBJECTS_DOWN, SAY_SUBJECTS};
    OPEN_TABLE(out, arena, language, SAY_POWER_TITLE, head, 1);
    if (report_has_spider(report)) add_columns(out, spider, MN_COUNT(spider));
    if (report_has_mmlu(report)) add_columns(out, mmlu, MN_COUNT(mmlu));
    out->note = say(language, SAY_POWER_NOTE);
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        const struct mn_report_comparison *c = &report->comparisons[i];
        int up, down, all;
        if (!report_has_items(c)) continue;
        table_text(out, c->system->system.name);
        if (report_has_spider(report)) {
            table_cell(out, cell_detectable(&c->spider[MN_HARDNESSES]));
            table_number(out, "%.2f", c->spider[MN_HARDNESSES].design_effect);
        }
        if (!report_has_mmlu(report)) continue;
        count_changed(c, &up, &down, &all);
        table_cell(out, cell_detectable(&c->mmlu_micro));
        table_number(out, "%.2f", c->mmlu_micro.design_effect);
        table_count(out, up);
        table_count(out, down);
        table_count(out, all);
    }
}

void tables_training(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                     struct table *out)
{
    static const enum phrase heads[] = {SAY_ADAPTER,    SAY_STEPS,     SAY_TOKENS,  SAY_LOSS_TOKENS,
                                        SAY_FIRST_LOSS, SAY_LAST_LOSS, SAY_SECONDS, SAY_HASH};
    OPEN_TABLE(out, arena, language, SAY_TRAINING, heads, 1);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_system *system = &report->systems[i].system;
        if (!system->trained.steps) continue;
        table_text(out, system->name);
        table_count(out, system->trained.steps);
        table_count(out, system->trained.tokens);
        table_count(out, system->trained.loss_tokens);
        table_number(out, "%.4f", system->trained.first_loss);
        table_number(out, "%.4f", system->trained.last_loss);
        table_number(out, "%.1f", system->trained.seconds);
        table_text(out,
                   mn_arena_printf(arena, "%.12s", system->fingerprint ? system->fingerprint : ""));
    }
}
