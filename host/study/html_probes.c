/* html_probes.c: what trainings were asked while they ran: a curve a task, and the table. */
#include <math.h>

#include "html.h"

static struct plot_point point_of(const struct mn_probe_point *point, enum mn_probe_task task)
{
    const struct mn_interval none = {NAN, NAN};
    const struct mn_interval of = mn_wilson(point->correct[task], point->items[task]);
    return (struct plot_point){(double)point->step, 100 * mn_probe_accuracy(point, task), none,
                               (struct mn_interval){100 * of.low, 100 * of.high}};
}

/* Nothing where no training was asked this. */
static void draw_task(const struct page *page, enum mn_probe_task task)
{
    const struct mn_report *report = page->report;
    struct plot_series *series = MN_NEW(page->arena, struct plot_series, report->system_count);
    struct plot plot = {.title = task == MN_PROBE_MMLU ? SAY(page, MMLU) : SAY(page, SPIDER),
                        .x_label = SAY(page, STEP),
                        .y_label = SAY(page, PERCENT_RIGHT),
                        .series = series};
    size_t asked = 0;
    for (size_t i = 1; i < report->system_count; i++) { /* an adapter keeps its colour */
        const struct mn_report_system *system = &report->systems[i];
        struct plot_series *own = &series[plot.count++];
        *own = (struct plot_series){.name = system->system.name, .stroke = PLOT_JOINED};
        own->point = MN_NEW(page->arena, struct plot_point, system->probe_count);
        for (size_t p = 0; p < system->probe_count; p++)
            if (system->probes[p].items[task])
                own->point[own->count++] = point_of(&system->probes[p], task);
        asked += own->count;
    }
    if (!asked) return;
    fprintf(page->out, "<figure><figcaption>%s</figcaption>\n", plot.title);
    plot_legend(page, &plot);
    plot_points(page, &plot);
    fputs("</figure>\n", page->out);
}

void html_probes(const struct page *page)
{
    size_t points = 0;
    for (size_t i = 0; i < page->report->system_count; i++)
        points += page->report->systems[i].probe_count;
    if (!points) return;
    fprintf(page->out, "<h3>%s</h3>\n<div class=\"plots\">\n", SAY(page, PROBES));
    draw_task(page, MN_PROBE_SPIDER);
    draw_task(page, MN_PROBE_MMLU);
    fputs("</div>\n", page->out);
    html_table(page, tables_probes);
}
