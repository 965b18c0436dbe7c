/* tables_mmlu.c: accuracies by group and subject, and how sure the answers are. */
#include "table.h"

static bool has_group(const struct mn_report *report, int group)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].mmlu.groups[group].total) return true;
    return false;
}

void tables_mmlu_groups(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                        struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM};
    OPEN_TABLE(out, arena, language, SAY_MMLU_TITLE, heads, 1);
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        if (has_group(report, g)) table_column(out, say_group(language, g));
    table_column(out, say(language, SAY_MACRO));
    table_column(out, say(language, SAY_ALL));
    table_column(out, say(language, SAY_ERROR));
    table_column(out, say(language, SAY_MASS));
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_mmlu_scores *scores = &system->mmlu;
        if (!system->mmlu_count) continue;
        table_text(out, system->system.name);
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            if (has_group(report, g)) table_cell(out, cell_percent(scores->groups[g].accuracy));
        table_cell(out, cell_percent(scores->macro.accuracy));
        table_cell(out, cell_percent(scores->micro.accuracy));
        table_cell(out, cell_error(scores->micro.standard_error));
        table_cell(out, cell_percent(scores->micro.mass));
    }
}

static void add_score(struct table *out, const char *system, const char *slice,
                      const struct mn_mmlu_score *score, const struct mn_change *change)
{
    if (!score->total) return;
    table_text(out, system);
    table_text(out, slice);
    table_count(out, score->total);
    table_cell(out, cell_percent(score->accuracy));
    table_cell(out, cell_error(score->standard_error));
    table_cell(out, cell_percent(score->mass));
    table_change(out, change);
}

void tables_mmlu(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                 struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM,   SAY_SLICE, SAY_QUESTIONS,
                                        SAY_ACCURACY, SAY_ERROR, SAY_MASS,
                                        SAY_CHANGE,   SAY_FLIPS, SAY_MCNEMAR};
    OPEN_TABLE(out, arena, language, SAY_MMLU_SLICES, heads, 2);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_comparison *c = i ? &report->comparisons[i - 1] : NULL;
        const struct mn_mmlu_scores *scores = &report->systems[i].mmlu;
        const char *name = report->systems[i].system.name;
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            add_score(out, name, say_group(language, g), &scores->groups[g],
                      c ? &c->mmlu_groups[g] : NULL);
        add_score(out, name, say(language, SAY_MACRO), &scores->macro, c ? &c->mmlu_macro : NULL);
        add_score(out, name, say(language, SAY_ALL), &scores->micro, c ? &c->mmlu_micro : NULL);
    }
}

void tables_mmlu_shots(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                       struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM,   SAY_SHOTS, SAY_QUESTIONS,
                                        SAY_ACCURACY, SAY_ERROR, SAY_MASS,
                                        SAY_CHANGE,   SAY_FLIPS, SAY_MCNEMAR};
    OPEN_TABLE(out, arena, language, SAY_MMLU_SHOTS, heads, 1);
    for (size_t i = 0; i < report->system_count; i++)
        for (size_t s = 0; s < report->systems[i].also_count; s++) {
            const struct mn_report_shots *also = &report->systems[i].also[s];
            add_score(out, report->systems[i].system.name,
                      mn_arena_printf(arena, "%lld", (long long)also->shots), &also->scores.micro,
                      i ? &also->change : NULL);
        }
}

void tables_mmlu_subjects(const struct mn_report *report, enum mn_language language,
                          mn_arena *arena, struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM,  SAY_SUBJECT, SAY_QUESTIONS, SAY_ACCURACY,
                                        SAY_ERROR,   SAY_MASS,    SAY_CHANGE,    SAY_FLIPS,
                                        SAY_MCNEMAR, SAY_HOLM};
    OPEN_TABLE(out, arena, language, SAY_BY_SUBJECT, heads, 2);
    out->note = say(language, SAY_HOLM_NOTE);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_report_comparison *c = i ? &report->comparisons[i - 1] : NULL;
        for (size_t s = 0; s < system->mmlu.subject_count; s++) {
            const struct mn_mmlu_subject_score *subject = &system->mmlu.subjects[s];
            const struct mn_change *change =
                c ? mn_report_subject_change(c, subject->subject) : NULL;
            add_score(out, system->system.name, subject->subject, &subject->score, change);
            if (change)
                table_cell(out, cell_p(change->holm_p));
            else
                table_blank(out, 1);
        }
    }
}

bool report_has_calibration(const struct mn_report *report)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].calibration.items) return true;
    return false;
}

void tables_calibration(const struct mn_report *report, enum mn_language language, mn_arena *arena,
                        struct table *out)
{
    static const enum phrase heads[] = {SAY_SYSTEM, SAY_ACCURACY, SAY_CONFIDENCE,
                                        SAY_CALIBRATION_ERROR, SAY_MASS};
    OPEN_TABLE(out, arena, language, SAY_CALIBRATION_TITLE, heads, 1);
    out->note = say(language, SAY_CALIBRATION_NOTE);
    for (size_t i = 0; report_has_calibration(report) && i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        if (!system->calibration.items) continue;
        table_text(out, system->system.name);
        table_cell(out, cell_percent(system->mmlu.micro.accuracy));
        table_cell(out, cell_percent(system->calibration.confidence));
        table_cell(out, cell_percent(system->calibration.error));
        table_cell(out, cell_percent(system->mmlu.micro.mass));
    }
}
