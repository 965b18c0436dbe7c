/* html_curves.c: accuracies over an adapter's strength and over the steps of its training, and the
 * front of gain against loss over all of them. */
#include <math.h>
#include <stdlib.h>

#include "html.h"

static struct mn_interval in_percent(struct mn_interval of)
{
    return (struct mn_interval){100 * of.low, 100 * of.high};
}

static struct plot_point point_of(const struct mn_report_curve *curve,
                                  const struct mn_report_stop *stop, bool mmlu)
{
    const struct mn_interval none = {NAN, NAN};
    return (struct plot_point){curve->by_strength ? stop->strength : (double)stop->step,
                               100 * (mmlu ? stop->mmlu : stop->spider).after, none,
                               in_percent(mmlu ? stop->mmlu_interval : stop->spider_interval)};
}

/* One task's accuracies of every training that has such a curve. */
static void draw_task(const struct page *page, bool by_strength, bool mmlu)
{
    const struct mn_report *report = page->report;
    struct plot_series *series = MN_NEW(page->arena, struct plot_series, report->curve_count);
    struct plot plot = {.title = say(page->language, mmlu ? SAY_MMLU : SAY_SPIDER),
                        .x_label = say(page->language, by_strength ? SAY_STRENGTH : SAY_STEP),
                        .y_label = say(page->language, SAY_PERCENT_RIGHT),
                        .series = series};
    for (size_t c = 0; c < report->curve_count; c++) {
        const struct mn_report_curve *curve = &report->curves[c];
        if (curve->by_strength != by_strength) continue;
        struct plot_series *own = &series[plot.count++];
        *own = (struct plot_series){.name = curve->training, .stroke = PLOT_JOINED};
        own->point = MN_NEW(page->arena, struct plot_point, curve->count);
        for (size_t i = 0; i < curve->count; i++) {
            const struct plot_point point = point_of(curve, &curve->stops[i], mmlu);
            if (isfinite(point.y)) own->point[own->count++] = point;
        }
    }
    fprintf(page->out, "<figure><figcaption>%s</figcaption>\n", plot.title);
    plot_legend(page, &plot);
    plot_points(page, &plot);
    fputs("</figure>\n", page->out);
}

static bool has_curves(const struct mn_report *report, bool by_strength)
{
    for (size_t c = 0; c < report->curve_count; c++)
        if (report->curves[c].by_strength == by_strength) return true;
    return false;
}

static void write_curves(const struct page *page, bool by_strength, report_table *table)
{
    if (!has_curves(page->report, by_strength)) return;
    fprintf(page->out, "<h3>%s</h3>\n<div class=\"plots\">\n",
            say(page->language, by_strength ? SAY_OVER_STRENGTHS : SAY_OVER_STEPS));
    if (page->report->systems[0].system.spider_planned) draw_task(page, by_strength, false);
    if (page->report->systems[0].system.mmlu_planned) draw_task(page, by_strength, true);
    fputs("</div>\n", page->out);
    html_table(page, table);
}

static int compare_x(const void *a, const void *b)
{
    const struct plot_point *x = a, *y = b;
    return (x->x > y->x) - (x->x < y->x);
}

static struct plot_point trade(const struct mn_report_stop *stop, bool intervals)
{
    struct plot_point point = {
        100 * stop->mmlu.change, 100 * stop->spider.change, {NAN, NAN}, {NAN, NAN}};
    if (!intervals) return point;
    point.x_interval = in_percent(stop->mmlu.interval);
    point.y_interval = in_percent(stop->spider.interval);
    return point;
}

/* The stops of every curve, and a line along the front. */
static void draw_front(const struct page *page)
{
    const struct mn_report *report = page->report;
    struct plot_series *series = MN_NEW(page->arena, struct plot_series, report->curve_count + 1);
    struct plot_series *front = &series[report->curve_count];
    size_t stops = 0;
    for (size_t c = 0; c < report->curve_count; c++) stops += report->curves[c].count;
    *front = (struct plot_series){.name = SAY(page, FRONT), .stroke = PLOT_LINE};
    front->point = MN_NEW(page->arena, struct plot_point, stops);
    for (size_t c = 0; c < report->curve_count; c++) {
        const struct mn_report_curve *curve = &report->curves[c];
        series[c].name =
            mn_arena_printf(page->arena, "%s, %s", curve->training,
                            say(page->language, curve->by_strength ? SAY_STRENGTH : SAY_STEPS));
        series[c].point = MN_NEW(page->arena, struct plot_point, curve->count);
        for (size_t i = 0; i < curve->count; i++) {
            const struct mn_report_stop *stop = &curve->stops[i];
            if (!stop->spider.items || !stop->mmlu.items) continue;
            series[c].point[series[c].count++] = trade(stop, true);
            if (stop->front) front->point[front->count++] = trade(stop, false);
        }
    }
    qsort(front->point, front->count, sizeof *front->point, compare_x);
    const struct plot plot = {.title = SAY(page, FRONT_TITLE),
                              .x_label = SAY(page, CHANGE_MMLU),
                              .y_label = SAY(page, CHANGE_SPIDER),
                              .series = series,
                              .count = report->curve_count + 1,
                              .zero_lines = true};
    fprintf(page->out, "<h3>%s</h3>\n<figure>\n", SAY(page, FRONT_TITLE));
    plot_legend(page, &plot);
    plot_points(page, &plot);
    fprintf(page->out, "</figure>\n<p class=\"note\">%s</p>\n", SAY(page, FRONT_NOTE));
}

void html_curves(const struct page *page)
{
    write_curves(page, true, tables_strengths);
    write_curves(page, false, tables_steps);
    if (page->report->systems[0].system.spider_planned &&
        page->report->systems[0].system.mmlu_planned)
        draw_front(page);
}
