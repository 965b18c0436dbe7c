/* html.h: the pieces of report.html; one file a piece.
 *
 * html.c            text, numbers and JSON that cannot leave their place in the page
 * html_table.c      tables
 * html_plot.c       SVG: points with intervals, lines, strips
 * html_trade_off.c, html_spider.c, html_mmlu.c, html_training.c, html_items.c: sections
 * page/             style and script
 * report_html.c     the page: a list of its sections */
#ifndef MINUANO_STUDY_HTML_H
#define MINUANO_STUDY_HTML_H

#include "language.h"

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

void html_cell(const struct page *page, struct cell cell); /* <td class="n"> */
void html_count(const struct page *page, int64_t count);
void html_change_cells(const struct page *page, const struct mn_change *change);

/* --- plots: colours and dashes follow a series' number; every plot has a title for those who do
 * not see it -------------------------------------------------------------------------------------
 */

struct plot_point {
    double x, y;
    struct mn_interval x_interval, y_interval; /* NaN: none is drawn */
};
struct plot_series {
    const char *name;
    struct plot_point *point; /* (count) */
    size_t count;
};
struct plot {
    const char *title, *x_label, *y_label; /* title: any text; labels: phrases */
    const struct plot_series *series;      /* (count) */
    size_t count;
    bool zero_lines; /* both axes hold zero, drawn as lines */
};
void plot_points(const struct page *page, const struct plot *plot);
void plot_lines(const struct page *page, const struct plot *plot);
void plot_legend(const struct page *page, const struct plot *plot);
/* A table cell: a value with its interval on the scale low … high, the origin as a line; or a bar
 * from the origin. No text, so it stretches with its column. */
void plot_strip(const struct page *page, double value, struct mn_interval interval, double low,
                double high, double origin, size_t series, bool bar);

/* --- tables -----------------------------------------------------------------------------------
 */

void html_open_table(const struct page *page, const char *class, const char *caption);
/* The columns behind the first `texts` hold numbers. */
void html_table_heads(const struct page *page, const enum phrase *heads, size_t count,
                      size_t texts);
void html_close_table(const struct page *page);
void html_open_row(const struct page *page, const char *name); /* of any text */
void html_close_row(const struct page *page);
void html_text_cell(const struct page *page, const char *ours);

/* --- sections: each writes what stands under its title, see report_html.c ---------------------
 */

/* NULL: the base. */
const struct mn_report_comparison *page_comparison(const struct page *page, size_t system);

void html_trade_off(const struct page *page);
void html_spider(const struct page *page);
void html_mmlu(const struct page *page);
void html_training(const struct page *page);
void html_items(const struct page *page);

extern const char page_style[], page_script[]; /* of page/, see cmake/embed.cmake */

#endif
