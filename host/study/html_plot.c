/* html_plot.c: SVG by hand. Text stands outside of the frame, the legend outside of the drawing, so
 * that nothing can overlap. */
#include "html.h"

#include <math.h>

/* A drawing is 380 units wide: about a pixel each on a phone. */
enum { WIDTH = 380, HEIGHT = 270, LEFT = 48, RIGHT = 12, TOP = 10, BOTTOM = 42, COLOURS = 7 };

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
    struct axis x, y;
};

static double at_x(const struct frame *f, double value)
{
    return LEFT + (value - f->x.low) / (f->x.high - f->x.low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct frame *f, double value)
{
    return HEIGHT - BOTTOM - (value - f->y.low) / (f->y.high - f->y.low) * (HEIGHT - TOP - BOTTOM);
}

static struct frame make_frame(const struct plot *plot)
{
    struct frame f = {{NAN, NAN, 0}, {NAN, NAN, 0}};
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

static struct cell tick(const struct page *page, double value, double step)
{
    struct cell cell;
    if (fabs(value) < step / 1e6) value = 0;
    snprintf(cell.text, sizeof cell.text, step < 1e-3 ? "%.1e" : "%.6g", value);
    return localized(page->language, cell);
}

static void line(FILE *out, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class, x1,
            y1, x2, y2);
}

static void draw_frame(const struct page *page, const struct plot *plot, const struct frame *f)
{
    FILE *out = page->out;
    double bottom = HEIGHT - BOTTOM;
    for (double x = f->x.low; x < f->x.high + f->x.step / 2; x += f->x.step) {
        line(out, "grid", at_x(f, x), TOP, at_x(f, x), bottom);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", at_x(f, x),
                bottom + 15, tick(page, x, f->x.step).text);
    }
    for (double y = f->y.low; y < f->y.high + f->y.step / 2; y += f->y.step) {
        line(out, "grid", LEFT, at_y(f, y), WIDTH - RIGHT, at_y(f, y));
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 5,
                at_y(f, y) + 4, tick(page, y, f->y.step).text);
    }
    if (plot->zero_lines) {
        line(out, "zero", at_x(f, 0), TOP, at_x(f, 0), bottom);
        line(out, "zero", LEFT, at_y(f, 0), WIDTH - RIGHT, at_y(f, 0));
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, plot->x_label);
}

/* The y axis's name stands above the drawing, where it needs no turning of heads. */
static void open_plot(const struct page *page, const struct plot *plot)
{
    fprintf(page->out,
            "<p class=\"axis\">%s</p><svg class=\"plot\" viewBox=\"0 0 %d %d\" "
            "role=\"img\" aria-label=\"",
            plot->y_label, WIDTH, HEIGHT);
    html_string(page->out, plot->title);
    fputs("\">\n<title>", page->out);
    html_string(page->out, plot->title);
    fputs("</title>\n", page->out);
}

static size_t colour(size_t series)
{
    return series % COLOURS;
}

/* Shapes differ where colours do not reach. */
static void marker(FILE *out, size_t series, double x, double y)
{
    size_t c = colour(series);
    if (series % 3 == 0)
        fprintf(out, "<circle class=\"m f%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", c, x, y);
    else if (series % 3 == 1)
        fprintf(out, "<rect class=\"m f%zu\" x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\"/>", c,
                x - 4.5, y - 4.5);
    else
        fprintf(out, "<path class=\"m f%zu\" d=\"M%.1f %.1fl5.5 10h-11z\"/>", c, x, y - 6.5);
}

void plot_points(const struct page *page, const struct plot *plot)
{
    struct frame f = make_frame(plot);
    char class[16];
    open_plot(page, plot);
    draw_frame(page, plot, &f);
    for (size_t s = 0; s < plot->count; s++)
        for (size_t i = 0; i < plot->series[s].count; i++) {
            const struct plot_point *p = &plot->series[s].point[i];
            if (!isfinite(p->x) || !isfinite(p->y)) continue;
            double x = at_x(&f, p->x), y = at_y(&f, p->y);
            snprintf(class, sizeof class, "w s%zu", colour(s));
            if (isfinite(p->x_interval.low))
                line(page->out, class, at_x(&f, p->x_interval.low), y, at_x(&f, p->x_interval.high),
                     y);
            if (isfinite(p->y_interval.low))
                line(page->out, class, x, at_y(&f, p->y_interval.low), x,
                     at_y(&f, p->y_interval.high));
            marker(page->out, s, x, y);
            fputc('\n', page->out);
        }
    fputs("</svg>\n", page->out);
}

void plot_lines(const struct page *page, const struct plot *plot)
{
    struct frame f = make_frame(plot);
    open_plot(page, plot);
    draw_frame(page, plot, &f);
    for (size_t s = 0; s < plot->count; s++) {
        const struct plot_series *series = &plot->series[s];
        bool pen = false;
        fprintf(page->out, "<path class=\"l s%zu d%zu\" d=\"", colour(s), s % 3);
        for (size_t i = 0; i < series->count; i++) {
            bool drawn = isfinite(series->point[i].x) && isfinite(series->point[i].y);
            if (drawn)
                fprintf(page->out, "%c%.1f %.1f", pen ? 'L' : 'M', at_x(&f, series->point[i].x),
                        at_y(&f, series->point[i].y));
            pen = drawn;
        }
        fputs("\"/>\n", page->out);
    }
    fputs("</svg>\n", page->out);
}

void plot_legend(const struct page *page, const struct plot *plot)
{
    fputs("<ul class=\"legend\">", page->out);
    for (size_t s = 0; s < plot->count; s++) {
        fprintf(page->out,
                "<li><svg class=\"key\" viewBox=\"0 0 34 14\" aria-hidden=\"true\">"
                "<path class=\"l s%zu d%zu\" d=\"M0 7H34\"/>",
                colour(s), s % 3);
        marker(page->out, s, 17, 7);
        fputs("</svg> ", page->out);
        html_string(page->out, plot->series[s].name);
        fputs("</li>", page->out);
    }
    fputs("</ul>\n", page->out);
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
