/* html_mmlu.c: MMLU by group, system and subject. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

enum { SUBJECTS_OPEN = 2 }; /* adapters whose subjects are not folded */

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

/* "high_school_physics" as people write it. */
static const char *spaced(mn_arena *arena, const char *name)
{
    char *text = mn_arena_strdup(arena, name);
    for (char *c = text; *c; c++)
        if (*c == '_') *c = ' ';
    return text;
}

static void write_subject(const struct page *page, size_t system, const struct subject *subject,
                          double scale)
{
    const struct mn_change *change = subject->change;
    bool marked = report_is_marked(change);
    fprintf(
        page->out,
        "<tr%s><th scope=\"row\"><a href=\"#items?task=mmlu&amp;system=%zu&amp;flip=any&amp;name=",
        marked ? " class=\"marked\"" : "", system);
    html_parameter(page->out, subject->name);
    fputs("\">", page->out);
    html_string(page->out, spaced(page->arena, subject->name));
    fputs("</a></th>", page->out);
    plot_strip(page, change->change, change->interval, -scale, scale, 0, page_colour(system),
               false);
    html_cell(page, cell_points_interval(change));
    html_cell(page, cell_flips(change));
    fprintf(page->out, "<td class=\"n\">%s%s</td>",
            localized(page->language, cell_p(change->holm_p)).text,
            marked ? " <span class=\"mark\" aria-hidden=\"true\">\xE2\x97\x8F</span>" : "");
    html_close_row(page);
}

static void write_subject_heads(const struct page *page, double scale)
{
    html_open_table(page, "strips", SAY(page, SORTED));
    html_head(page, SAY(page, SUBJECT), false);
    fprintf(page->out,
            "<th scope=\"col\"><div class=\"scale\"><span>%s</span><span>0</span><span>%s</span>"
            "</div></th>",
            localized(page->language, cell_points(-scale)).text,
            localized(page->language, cell_points(scale)).text);
    html_head(page, SAY(page, CHANGE), true);
    html_head(page, SAY(page, FLIPS), true);
    html_head(page, SAY(page, HOLM), true);
    html_end_heads(page);
}

static bool any_marked(const struct subject *subjects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (report_is_marked(subjects[i].change)) return true;
    return false;
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
    fprintf(page->out, "<details%s><summary>", system <= SUBJECTS_OPEN ? " open" : "");
    plot_key(page, system - 1, PLOT_MARKERS);
    html_string(page->out, c->system->system.name);
    fputs("</summary>\n", page->out);
    write_subject_heads(page, scale);
    for (size_t i = 0; i < count; i++) write_subject(page, system, &subjects[i], scale);
    html_close_table(page);
    if (any_marked(subjects, count))
        fprintf(page->out, "<p class=\"note\"><span class=\"mark\">\xE2\x97\x8F</span> %s</p>\n",
                SAY(page, HOLM_MARK));
    fputs("</details>\n", page->out);
}

static void draw_calibration(const struct page *page)
{
    if (!report_has_calibration(page->report)) return;
    html_table(page, tables_calibration);
    fputs("<div class=\"plots small\">\n", page->out);
    for (size_t i = 0; i < page->report->system_count; i++) {
        const struct mn_report_system *system = &page->report->systems[i];
        if (!system->calibration.items) continue;
        fputs("<figure><figcaption>", page->out);
        html_string(page->out, system->system.name);
        fputs("</figcaption>\n", page->out);
        plot_reliability(page, system->system.name, &system->calibration, page_colour(i));
        fputs("</figure>\n", page->out);
    }
    fprintf(page->out, "</div>\n<p class=\"note\">%s</p>\n", SAY(page, RELIABILITY));
}

void html_mmlu(const struct page *page)
{
    html_table(page, tables_mmlu_groups);
    if (page->report->system_count > 1) fprintf(page->out, "<h3>%s</h3>\n", SAY(page, BY_SUBJECT));
    for (size_t i = 1; i < page->report->system_count; i++) draw_subjects(page, i);
    draw_calibration(page);
    html_table(page, tables_mmlu_shots);
    html_table(page, tables_mmlu);
}
