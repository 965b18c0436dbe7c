/* html_training.c: trainings: their numbers, loss and learning rate. */
#include <math.h>
#include <stdlib.h>

#include "html.h"

enum { POINTS_DRAWN = 300 };

struct curve {
    MN_LIST(struct plot_point) loss, rate;
};

/* What metrics.jsonl holds; a last line that a crash has torn ends it. */
static void read_curve(const char *path, struct curve *curve)
{
    struct mn_jsonl file = {0};
    json_t *line;
    if (mn_jsonl_open(&file, path) != MN_OK) return;
    while (mn_jsonl_next(&file, &line) == MN_OK && line) {
        double step = json_number_value(json_object_get(line, "step"));
        const json_t *loss = json_object_get(line, "loss");
        const json_t *rate = json_object_get(line, "learning_rate");
        const struct mn_interval none = {NAN, NAN};
        *MN_PUSH(&curve->loss) =
            (struct plot_point){step, loss ? json_number_value(loss) : NAN, none, none};
        *MN_PUSH(&curve->rate) =
            (struct plot_point){step, rate ? json_number_value(rate) : NAN, none, none};
        json_decref(line);
    }
    mn_jsonl_close(&file);
}

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

static void draw_curves(const struct page *page)
{
    size_t count = page->report->system_count, points = 0;
    struct curve *curves = MN_NEW(page->arena, struct curve, count);
    struct plot_series *loss = MN_NEW(page->arena, struct plot_series, count);
    struct plot_series *rate = MN_NEW(page->arena, struct plot_series, count);
    const char *folder = mn_path(page->arena, page->report->folder, "trainings");
    for (size_t i = 1; i < count; i++) {
        const char *name = page->report->systems[i].system.name;
        const char *path =
            mn_path(page->arena, mn_path(page->arena, folder, name), "metrics.jsonl");
        if (mn_file_exists(path)) read_curve(path, &curves[i]);
        points += curves[i].loss.count;
        loss[i - 1] = (struct plot_series){name, curves[i].loss.item,
                                           thin(curves[i].loss.item, curves[i].loss.count)};
        rate[i - 1] = (struct plot_series){name, curves[i].rate.item,
                                           thin(curves[i].rate.item, curves[i].rate.count)};
    }
    if (points) {
        fputs("<div class=\"plots\">\n", page->out);
        draw_curve(page, SAY(page, LOSS), loss, count - 1);
        draw_curve(page, SAY(page, LEARNING_RATE), rate, count - 1);
        fprintf(page->out, "</div>\n<p>%s</p>\n", SAY(page, MEANS));
    }
    for (size_t i = 0; i < count; i++) {
        free(curves[i].loss.item);
        free(curves[i].rate.item);
    }
}

void html_training(const struct page *page)
{
    html_table(page, tables_training);
    draw_curves(page);
}
