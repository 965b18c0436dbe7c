/* html_plot.c: SVG by hand. Text stands outside of the frame, the legend outside of the drawing, so
 * that nothing can overlap. */
#include "html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A drawing is 380 units wide, about a pixel each on a phone; a small one 260. */
enum { WIDTH = 380, HEIGHT = 274, SMALL_WIDTH = 260, SMALL_HEIGHT = 204 };
enum { LEFT = 48, RIGHT = 12, TOP = 10, BOTTOM = 46 };
enum { COLOURS = 6, GREY = 6 };

struct axis {
    double low, high, step;
};

static void include(struct axis *axis, double value)
{
    if (!isfinite(value)) return;
    if (!(axis->low <= value)) axis->low = value; /* NaN at first */
    if (!(axis->high >= value)) axis->high = value;
}

/* Widens to whole steps of 1, 2 or 5 times a power of ten, about five of them. */
static void round_axis(struct axis *axis)
{
    if (!isfinite(axis->low)) *axis = (struct axis){0, 1, 0};
    if (axis->high - axis->low < 1e-12 * fmax(1, fabs(axis->high))) {
        double half = axis->high == 0 ? 1 : fabs(axis->high) / 2;
        axis->low -= half;
        axis->high += half;
    }
    double rough = (axis->high - axis->low) / 5, power = pow(10, floor(log10(rough)));
    double digit = rough / power;
    axis->step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
    axis->low = floor(axis->low / axis->step + 1e-9) * axis->step;
    axis->high = ceil(axis->high / axis->step - 1e-9) * axis->step;
}

struct frame {
    double width, height; /* of the drawing */
    struct axis x, y;
};

static double at_x(const struct frame *f, double value)
{
    return LEFT + (value - f->x.low) / (f->x.high - f->x.low) * (f->width - LEFT - RIGHT);
}

static double at_y(const struct frame *f, double value)
{
    return f->height - BOTTOM -
           (value - f->y.low) / (f->y.high - f->y.low) * (f->height - TOP - BOTTOM);
}

static struct frame make_frame(const struct plot *plot)
{
    struct frame f = {WIDTH, HEIGHT, {NAN, NAN, 0}, {NAN, NAN, 0}};
    for (size_t s = 0; s < plot->count; s++)
        for (size_t i = 0; i < plot->series[s].count; i++) {
            const struct plot_point *p = &plot->series[s].point[i];
            include(&f.x, p->x);
            include(&f.y, p->y);
            include(&f.x, p->x_interval.low);
            include(&f.x, p->x_interval.high);
            include(&f.y, p->y_interval.low);
            include(&f.y, p->y_interval.high);
        }
    if (plot->zero_lines) {
        include(&f.x, 0);
        include(&f.y, 0);
    }
    round_axis(&f.x);
    round_axis(&f.y);
    return f;
}

/* The power of ten that ticks of a very small step are written in; 0: they stand as they are. */
static int tick_power(const struct axis *axis)
{
    return axis->step < 1e-3 ? (int)floor(log10(fmax(fabs(axis->low), fabs(axis->high)))) : 0;
}

static struct cell tick(const struct page *page, double value, const struct axis *axis)
{
    struct cell cell;
    if (fabs(value) < axis->step / 1e6) value = 0;
    snprintf(cell.text, sizeof cell.text, "%s%.6g", value < 0 ? "\xE2\x88\x92" : "",
             fabs(value) / pow(10, tick_power(axis)));
    return localized(page->language, cell);
}

static void line(FILE *out, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class, x1,
            y1, x2, y2);
}

static size_t colour(size_t series)
{
    return series == PLOT_GREY ? GREY : series % COLOURS;
}

/* Of markers and dashes: with the colours, 18 series can be told apart. */
static size_t shape(size_t series)
{
    return series == PLOT_GREY ? 0 : (series + series / COLOURS) % 3;
}

static void marker(FILE *out, size_t series, double x, double y)
{
    size_t c = colour(series);
    if (shape(series) == 0)
        fprintf(out, "<circle class=\"m f%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", c, x, y);
    else if (shape(series) == 1)
        fprintf(out, "<rect class=\"m f%zu\" x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\"/>", c,
                x - 4.5, y - 4.5);
    else
        fprintf(out, "<path class=\"m f%zu\" d=\"M%.1f %.1fl5.5 10h-11z\"/>", c, x, y - 6.5);
}

static void draw_frame(const struct page *page, const struct plot *plot, const struct frame *f)
{
    FILE *out = page->out;
    double bottom = f->height - BOTTOM, right = f->width - RIGHT;
    for (double x = f->x.low; x < f->x.high + f->x.step / 2; x += f->x.step) {
        line(out, "grid", at_x(f, x), TOP, at_x(f, x), bottom);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", at_x(f, x),
                bottom + 19, tick(page, x, &f->x).text);
    }
    for (double y = f->y.low; y < f->y.high + f->y.step / 2; y += f->y.step) {
        line(out, "grid", LEFT, at_y(f, y), right, at_y(f, y));
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 5,
                at_y(f, y) + 4, tick(page, y, &f->y).text);
    }
    if (plot->zero_lines) {
        line(out, "zero", at_x(f, 0), TOP, at_x(f, 0), bottom);
        line(out, "zero", LEFT, at_y(f, 0), right, at_y(f, 0));
        marker(out, PLOT_GREY, at_x(f, 0), at_y(f, 0)); /* where all of them begin */
    }
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
            (LEFT + right) / 2, f->height - 5, plot->x_label);
}

/* The y axis's name stands above the drawing, where it needs no turning of heads. */
static void open_plot(const struct page *page, const struct plot *plot, const struct frame *f)
{
    FILE *out = page->out;
    fprintf(out, "<p class=\"axis\">%s", plot->y_label);
    if (tick_power(&f->y))
        fprintf(out, " \xC3\x97 10<sup>\xE2\x88\x92%d</sup>", -tick_power(&f->y));
    fprintf(out, "</p><svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
            f->width, f->height);
    html_string(page->out, plot->title);
    fputs("\">\n<title>", page->out);
    html_string(page->out, plot->title);
    fputs("</title>\n", page->out);
}

/* --- names beside points ------------------------------------------------------------------------
 */

struct box {
    double left, top, right, bottom;
};

enum { CHARACTER = 7, LINE = 13 }; /* of a name: at most so wide, so high */

static bool overlap(const struct box *a, const struct box *b)
{
    return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

/* Where drawings and names already are. */
struct taken {
    MN_LIST(struct box) boxes;
};

static void take(struct taken *taken, double x1, double y1, double x2, double y2, double margin)
{
    *MN_PUSH(&taken->boxes) = (struct box){fmin(x1, x2) - margin, fmin(y1, y2) - margin,
                                           fmax(x1, x2) + margin, fmax(y1, y2) + margin};
}

static bool is_free(const struct frame *f, const struct taken *taken, const struct box *box)
{
    if (box->left < LEFT || box->right > f->width - RIGHT) return false;
    if (box->top < TOP || box->bottom > f->height - BOTTOM) return false;
    for (size_t i = 0; i < taken->boxes.count; i++)
        if (overlap(box, &taken->boxes.item[i])) return false;
    return true;
}

/* At the first free place around its point; where all are taken the legend has to do. */
static void write_name(const struct page *page, const struct frame *f, struct taken *taken,
                       const char *name, double x, double y)
{
    static const struct {
        int x, y; /* from the point to the near end of the baseline */
    } places[] = {{9, -5}, {-9, -5}, {9, 13}, {-9, 13}, {9, -19}, {-9, -19}, {9, 27}, {-9, 27}};
    double width = (double)strlen(name) * CHARACTER;
    for (size_t i = 0; i < MN_COUNT(places); i++) {
        double near = x + places[i].x, base = y + places[i].y;
        bool right = places[i].x > 0;
        struct box box = {right ? near : near - width, base - LINE + 3, right ? near + width : near,
                          base + 3};
        if (!is_free(f, taken, &box)) continue;
        *MN_PUSH(&taken->boxes) = box;
        fprintf(page->out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", near,
                base, right ? "start" : "end");
        html_string(page->out, name);
        fputs("</text>\n", page->out);
        return;
    }
}

static bool is_drawn(const struct plot_point *p)
{
    return isfinite(p->x) && isfinite(p->y);
}

static void draw_point(const struct page *page, const struct frame *f, size_t series,
                       const struct plot_point *p, struct taken *taken)
{
    double x = at_x(f, p->x), y = at_y(f, p->y);
    char class[16];
    snprintf(class, sizeof class, "w s%zu", colour(series));
    if (isfinite(p->x_interval.low)) {
        double low = at_x(f, p->x_interval.low), high = at_x(f, p->x_interval.high);
        line(page->out, class, low, y, high, y);
        take(taken, low, y, high, y, 1);
    }
    if (isfinite(p->y_interval.low)) {
        double low = at_y(f, p->y_interval.low), high = at_y(f, p->y_interval.high);
        line(page->out, class, x, low, x, high);
        take(taken, x, low, x, high, 1);
    }
    marker(page->out, series, x, y);
    take(taken, x, y, x, y, 6);
    fputc('\n', page->out);
}

static void draw_line(const struct page *page, const struct frame *f, size_t number,
                      const struct plot_series *series)
{
    bool pen = false;
    fprintf(page->out, "<path class=\"l s%zu d%zu\" d=\"", colour(number), shape(number));
    for (size_t i = 0; i < series->count; i++) {
        bool drawn = is_drawn(&series->point[i]);
        if (drawn)
            fprintf(page->out, "%c%.1f %.1f", pen ? 'L' : 'M', at_x(f, series->point[i].x),
                    at_y(f, series->point[i].y));
        pen = drawn;
    }
    fputs("\"/>\n", page->out);
}

void plot_points(const struct page *page, const struct plot *plot)
{
    struct frame f = make_frame(plot);
    struct taken taken = {0};
    open_plot(page, plot, &f);
    draw_frame(page, plot, &f);
    for (size_t s = 0; s < plot->count; s++)
        if (plot->series[s].stroke != PLOT_MARKERS) draw_line(page, &f, s, &plot->series[s]);
    for (size_t s = 0; s < plot->count; s++)
        for (size_t i = 0; i < plot->series[s].count; i++)
            if (plot->series[s].stroke != PLOT_LINE && is_drawn(&plot->series[s].point[i]))
                draw_point(page, &f, s, &plot->series[s].point[i], &taken);
    for (size_t s = 0; s < plot->count; s++) {
        const struct plot_series *series = &plot->series[s];
        if (series->count == 1 && is_drawn(series->point))
            write_name(page, &f, &taken, series->name, at_x(&f, series->point->x),
                       at_y(&f, series->point->y));
    }
    free(taken.boxes.item);
    fputs("</svg>\n", page->out);
}

void plot_lines(const struct page *page, const struct plot *plot)
{
    struct frame f = make_frame(plot);
    open_plot(page, plot, &f);
    draw_frame(page, plot, &f);
    for (size_t s = 0; s < plot->count; s++) draw_line(page, &f, s, &plot->series[s]);
    fputs("</svg>\n", page->out);
}

void plot_key(const struct page *page, size_t series, enum plot_stroke stroke)
{
    bool line = stroke != PLOT_MARKERS;
    fprintf(page->out, "<svg class=\"key%s\" viewBox=\"%s\" aria-hidden=\"true\">",
            line ? "" : " point", line ? "0 0 34 14" : "10 0 14 14");
    if (line)
        fprintf(page->out, "<path class=\"l s%zu d%zu\" d=\"M0 7H34\"/>", colour(series),
                shape(series));
    if (stroke != PLOT_LINE) marker(page->out, series, 17, 7);
    fputs("</svg> ", page->out);
}

void plot_legend(const struct page *page, const struct plot *plot)
{
    fputs("<ul class=\"legend\">", page->out);
    for (size_t s = 0; s < plot->count; s++) {
        fputs("<li>", page->out);
        plot_key(page, s, plot->series[s].stroke == PLOT_LINE ? PLOT_LINE : PLOT_JOINED);
        html_string(page->out, plot->series[s].name);
        fputs("</li>", page->out);
    }
    fputs("</ul>\n", page->out);
}

void plot_reliability(const struct page *page, const char *title,
                      const struct mn_calibration *calibration, size_t series)
{
    const struct frame f = {SMALL_WIDTH, SMALL_HEIGHT, {0, 100, 25}, {0, 100, 25}};
    const struct plot plot = {
        .title = title, .x_label = SAY(page, CONFIDENCE_AXIS), .y_label = SAY(page, SHARE_RIGHT)};
    char class[16];
    open_plot(page, &plot, &f);
    draw_frame(page, &plot, &f);
    for (int b = 0; b < MN_CALIBRATION_BINS; b++) {
        const struct mn_calibration_bin *bin = &calibration->bins[b];
        double height =
            (double)bin->items / (double)calibration->items * (at_y(&f, 0) - at_y(&f, 100));
        if (!bin->items) continue;
        fprintf(page->out,
                "<rect class=\"h\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
                at_x(&f, 10 * b + 1), at_y(&f, 0) - height, at_x(&f, 8) - at_x(&f, 0), height);
    }
    line(page->out, "zero", at_x(&f, 0), at_y(&f, 0), at_x(&f, 100), at_y(&f, 100));
    snprintf(class, sizeof class, "w s%zu", colour(series));
    for (int b = 0; b < MN_CALIBRATION_BINS; b++) {
        const struct mn_calibration_bin *bin = &calibration->bins[b];
        struct mn_interval interval = mn_wilson(bin->correct, bin->items);
        double x = at_x(&f, 100 * bin->confidence);
        if (!bin->items) continue;
        line(page->out, class, x, at_y(&f, 100 * interval.low), x, at_y(&f, 100 * interval.high));
        marker(page->out, series, x, at_y(&f, 100 * (double)bin->correct / (double)bin->items));
    }
    fputs("</svg>\n", page->out);
}

void plot_bar(const struct page *page, double share, size_t series)
{
    fprintf(page->out,
            "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" "
            "aria-hidden=\"true\"><rect class=\"h\" width=\"100\" height=\"4\"/>"
            "<rect class=\"f%zu\" width=\"%.1f\" height=\"4\"/></svg>",
            colour(series), 100 * share);
}

void plot_strip(const struct page *page, double value, struct mn_interval interval, double low,
                double high, double origin, size_t series, bool bar)
{
    double scale = 200 / (high - low), at = (value - low) * scale, zero = (origin - low) * scale;
    char class[16];
    fputs("<td class=\"strip\"><svg viewBox=\"0 0 200 16\" preserveAspectRatio=\"none\" "
          "aria-hidden=\"true\">",
          page->out);
    if (isfinite(value) && bar)
        fprintf(page->out,
                "<rect class=\"b f%zu\" x=\"%.1f\" y=\"3\" width=\"%.1f\" height=\"10\"/>",
                colour(series), fmin(at, zero), fabs(at - zero));
    line(page->out, "zero", zero, 0, zero, 16);
    snprintf(class, sizeof class, "w %c%zu", bar ? 'x' : 's', colour(series));
    if (isfinite(value) && isfinite(interval.low))
        line(page->out, class, (interval.low - low) * scale, 8, (interval.high - low) * scale, 8);
    snprintf(class, sizeof class, "v s%zu", colour(series));
    if (isfinite(value) && !bar) line(page->out, class, at, 3, at, 13);
    fputs("</svg></td>", page->out);
}
