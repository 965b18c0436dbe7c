/* html_mmlu.c: MMLU by group, system and subject. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

static void write_score(const struct page *page, const char *system, const char *slice,
                        const struct mn_mmlu_score *score, const struct mn_change *change)
{
    if (!score->total) return;
    html_open_row(page, system);
    html_text_cell(page, slice);
    html_count(page, score->total);
    struct cell accuracy = cell_percent(score->accuracy), error = cell_error(score->standard_error);
    fprintf(page->out, "<td class=\"n\">%s %s</td>", localized(page->language, accuracy).text,
            localized(page->language, error).text);
    html_cell(page, cell_percent(score->mass));
    html_change_cells(page, change);
    html_close_row(page);
}

static void write_scores(const struct page *page)
{
    static const enum phrase heads[] = {SAY_SYSTEM, SAY_SLICE,  SAY_QUESTIONS, SAY_ACCURACY,
                                        SAY_MASS,   SAY_CHANGE, SAY_FLIPS,     SAY_MCNEMAR};
    html_open_table(page, "", SAY(page, MMLU));
    html_table_heads(page, heads, MN_COUNT(heads), 2);
    for (size_t i = 0; i < page->report->system_count; i++) {
        const struct mn_report_comparison *c = page_comparison(page, i);
        const struct mn_mmlu_scores *scores = &page->report->systems[i].mmlu;
        const char *name = page->report->systems[i].system.name;
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            write_score(page, name, say_group(page->language, g), &scores->groups[g],
                        c ? &c->mmlu_groups[g] : NULL);
        write_score(page, name, SAY(page, MACRO), &scores->macro, c ? &c->mmlu_macro : NULL);
        write_score(page, name, SAY(page, ALL), &scores->micro, c ? &c->mmlu_micro : NULL);
    }
    html_close_table(page);
}

struct subject {
    const char *name;
    const struct mn_change *change;
};

static int by_change(const void *a, const void *b)
{
    const struct subject *x = a, *y = b;
    if (x->change->change != y->change->change)
        return x->change->change < y->change->change ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The scale reaches the farthest end of any interval, alike on both sides of zero. */
static double subject_scale(const struct subject *subjects, size_t count)
{
    double scale = 0.01;
    for (size_t i = 0; i < count; i++) {
        const struct mn_change *c = subjects[i].change;
        scale = fmax(scale, fabs(c->change));
        if (isfinite(c->interval.low))
            scale = fmax(scale, fmax(fabs(c->interval.low), fabs(c->interval.high)));
    }
    return scale;
}

static void draw_subjects(const struct page *page, size_t system)
{
    const struct mn_report_comparison *c = page_comparison(page, system);
    const struct mn_mmlu_scores *scores = &c->base->mmlu;
    struct subject *subjects = MN_NEW(page->arena, struct subject, scores->subject_count);
    size_t count = 0;
    for (size_t s = 0; s < scores->subject_count; s++)
        if (c->mmlu_subjects[s].items)
            subjects[count++] = (struct subject){scores->subjects[s].subject, &c->mmlu_subjects[s]};
    if (!count) return;
    qsort(subjects, count, sizeof *subjects, by_change);
    double scale = subject_scale(subjects, count);
    fputs("<h4>", page->out);
    html_string(page->out, c->system->system.name);
    fputs("</h4>\n", page->out);
    html_open_table(page, "strips", SAY(page, SORTED));
    fprintf(page->out,
            "<th scope=\"col\">%s</th><th scope=\"col\"><div class=\"scale\"><span>%s</span>"
            "<span>0</span><span>%s</span></div></th><th scope=\"col\" class=\"n\">%s</th>"
            "<th scope=\"col\" class=\"n\">%s</th></tr></thead><tbody>\n",
            SAY(page, SUBJECT), localized(page->language, cell_points(-scale)).text,
            localized(page->language, cell_points(scale)).text, SAY(page, CHANGE),
            SAY(page, FLIPS));
    for (size_t i = 0; i < count; i++) {
        html_open_row(page, subjects[i].name);
        plot_strip(page, subjects[i].change->change, subjects[i].change->interval, -scale, scale, 0,
                   system - 1, false);
        html_cell(page, cell_points_interval(subjects[i].change));
        html_cell(page, cell_flips(subjects[i].change));
        html_close_row(page);
    }
    html_close_table(page);
}

void html_mmlu(const struct page *page)
{
    write_scores(page);
    if (page->report->system_count > 1) fprintf(page->out, "<h3>%s</h3>\n", SAY(page, BY_SUBJECT));
    for (size_t i = 1; i < page->report->system_count; i++) draw_subjects(page, i);
}
