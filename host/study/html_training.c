/* html_training.c: trainings: their numbers, loss and learning rate. */
#include <math.h>

#include "html.h"

enum { POINTS_DRAWN = 300 };

/* In place: means of so many neighbours that POINTS_DRAWN remain. */
static size_t thin(struct plot_point *points, size_t count)
{
    size_t width = count / POINTS_DRAWN + 1, kept = 0;
    if (width == 1) return count;
    for (size_t i = 0; i < count; i += width, kept++) {
        size_t end = i + width < count ? i + width : count;
        double x = 0, y = 0;
        for (size_t j = i; j < end; j++) {
            x += points[j].x;
            y += points[j].y;
        }
        points[kept].x = x / (double)(end - i);
        points[kept].y = y / (double)(end - i);
    }
    return kept;
}

static void draw_curve(const struct page *page, const char *title, const struct plot_series *series,
                       size_t count)
{
    const struct plot plot = {.title = title,
                              .x_label = SAY(page, STEP),
                              .y_label = "",
                              .series = series,
                              .count = count};
    fprintf(page->out, "<figure><figcaption>%s</figcaption>\n", title);
    plot_legend(page, &plot);
    plot_lines(page, &plot);
    fputs("</figure>\n", page->out);
}

/* Steps of every system but the base; rate: the learning rate instead of the loss. */
static struct plot_series *series_of(const struct page *page, bool rate)
{
    const struct mn_interval none = {NAN, NAN};
    size_t count = page->report->system_count;
    struct plot_series *series = MN_NEW(page->arena, struct plot_series, count);
    for (size_t i = 1; i < count; i++) {
        const struct mn_report_system *system = &page->report->systems[i];
        struct plot_point *points = MN_NEW(page->arena, struct plot_point, system->step_count);
        for (size_t k = 0; k < system->step_count; k++) {
            const struct mn_report_step *step = &system->steps[k];
            points[k] = (struct plot_point){(double)step->step,
                                            rate ? step->learning_rate : step->loss, none, none};
        }
        series[i - 1] = (struct plot_series){.name = system->system.name,
                                             .point = points,
                                             .count = thin(points, system->step_count)};
    }
    return series;
}

static void draw_curves(const struct page *page)
{
    size_t count = page->report->system_count, points = 0;
    for (size_t i = 1; i < count; i++) points += page->report->systems[i].step_count;
    if (!points) return;
    fputs("<div class=\"plots\">\n", page->out);
    draw_curve(page, SAY(page, LOSS), series_of(page, false), count - 1);
    draw_curve(page, SAY(page, LEARNING_RATE), series_of(page, true), count - 1);
    fprintf(page->out, "</div>\n<p>%s</p>\n", SAY(page, MEANS));
}

void html_training(const struct page *page)
{
    html_table(page, tables_training);
    draw_curves(page);
    html_probes(page);
}
