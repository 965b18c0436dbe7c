/* html.h: the pieces of report.html; one file a piece.
 *
 * - html.c: text, numbers and JSON that cannot leave their place in the page
 * - html_table.c: tables
 * - html_plot.c: SVG: points with intervals, lines, strips
 * - html_trade_off.c, html_curves.c, html_spider.c, html_mmlu.c, html_training.c, html_items.c:
 *   sections
 * - items_json.c: what the browser of single items shows
 * - page/: style and script
 * - report_html.c: the page: a list of its sections */
#ifndef MINUANO_STUDY_HTML_H
#define MINUANO_STUDY_HTML_H

#include "table.h"

struct page {
    FILE *out;
    const struct mn_report *report;
    enum mn_language language;
    mn_arena *arena;
};
#define SAY(page, name) say((page)->language, SAY_##name)

/* Any bytes as text or as a quoted attribute's value: markup is escaped, what is not UTF-8 and
 * control characters (but tab and LF) become U+FFFD. */
void html_text(FILE *out, const char *bytes, size_t length);
void html_string(FILE *out, const char *string); /* NULL: nothing */
/* A JSON value inside <script type="application/json">: no '<', no byte above 126. */
void html_json(FILE *out, const json_t *value);

void html_parameter(FILE *out, const char *value); /* of a link, percent-encoded */

/* --- plots --------------------------------------------------------------------------------------
 * Colours, shapes and dashes follow a series' number; every plot has a title for those who do not
 * see it. */

enum { PLOT_GREY = 1000 }; /* the series of the base */

struct plot_point {
    double x, y;
    struct mn_interval x_interval, y_interval; /* NaN: none is drawn */
};
struct plot_series {
    const char *name;
    struct plot_point *point; /* (count) */
    size_t count;
    enum plot_stroke { PLOT_MARKERS, PLOT_JOINED, PLOT_LINE } stroke; /* of plot_points */
};
struct plot {
    const char *title, *x_label, *y_label; /* title: any text; labels: phrases */
    const struct plot_series *series;      /* (count) */
    size_t count;
    bool zero_lines; /* both axes hold zero, drawn as lines that meet in the base */
};
/* Markers, joined by a line or not, or the line alone. A series of one point has its name beside
 * it, where there is room. */
void plot_points(const struct page *page, const struct plot *plot);
void plot_lines(const struct page *page, const struct plot *plot);
void plot_legend(const struct page *page, const struct plot *plot);
void plot_key(const struct page *page, size_t series, enum plot_stroke stroke); /* of the legend */
/* Share of right answers over confidence, and how many answers there are of each. */
void plot_reliability(const struct page *page, const char *title,
                      const struct mn_calibration *calibration, size_t series);
/* Under a number: its share, as wide as the cell. */
void plot_bar(const struct page *page, double share, size_t series);
/* A table cell: a value with its interval on the scale low … high, the origin as a line; or a bar
 * from the origin. No text, so it stretches with its column. */
void plot_strip(const struct page *page, double value, struct mn_interval interval, double low,
                double high, double origin, size_t series, bool bar);

/* --- tables -----------------------------------------------------------------------------------
 */

void html_table(const struct page *page, report_table *make); /* and its note; none without rows */
/* By hand, where a column is drawn: open, heads, end of heads, rows, close. */
void html_open_table(const struct page *page, const char *class, const char *caption);
void html_head(const struct page *page, const char *ours, bool number);
void html_end_heads(const struct page *page);
void html_open_row(const struct page *page, const char *name); /* of any text */
void html_cell(const struct page *page, struct cell cell);     /* <td class="n"> */
void html_close_row(const struct page *page);
void html_close_table(const struct page *page);

/* --- sections: each writes what stands under its title, see report_html.c ---------------------
 */

/* NULL: the base. */
const struct mn_report_comparison *page_comparison(const struct page *page, size_t system);
/* The series that a system is everywhere: an adapter its place in the trade-off, the base grey. */
size_t page_colour(size_t system);

void html_trade_off(const struct page *page);
void html_curves(const struct page *page);
void html_spider(const struct page *page);
void html_mmlu(const struct page *page);
void html_training(const struct page *page);
void html_probes(const struct page *page); /* a part of the training's section */
void html_items(const struct page *page);
/* {"systems":[name],"spider":{"names":[database],"items":[...]},"mmlu":{...}}; *left: items did not
 * fit. The caller owns it. */
json_t *items_json(const struct page *page, bool *left);

extern const char page_style[], page_script[]; /* of page/, see cmake/embed.cmake */

#endif
