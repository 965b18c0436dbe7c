/* html_trade_off.c: what each adapter gained and lost. */
#include "html.h"

static struct mn_interval in_points(struct mn_interval of)
{
    return (struct mn_interval){100 * of.low, 100 * of.high};
}

static void draw_trade_off(const struct page *page)
{
    size_t count = page->report->system_count - 1;
    struct plot_series *series = MN_NEW(page->arena, struct plot_series, count);
    struct plot_point *points = MN_NEW(page->arena, struct plot_point, count);
    for (size_t i = 0; i < count; i++) {
        const struct mn_report_comparison *c = &page->report->comparisons[i];
        const struct mn_change *spider = &c->spider[MN_HARDNESSES], *mmlu = &c->mmlu_micro;
        points[i] = (struct plot_point){100 * mmlu->change, 100 * spider->change,
                                        in_points(mmlu->interval), in_points(spider->interval)};
        series[i] = (struct plot_series){c->system->system.name, &points[i], 1};
    }
    const struct plot plot = {.title = SAY(page, TRADE_OFF),
                              .x_label = SAY(page, CHANGE_MMLU),
                              .y_label = SAY(page, CHANGE_SPIDER),
                              .series = series,
                              .count = count,
                              .zero_lines = true};
    fprintf(page->out, "<figure><figcaption>%s</figcaption>\n", SAY(page, TRADE_OFF_UP));
    plot_legend(page, &plot);
    plot_points(page, &plot);
    fputs("</figure>\n", page->out);
}

void html_trade_off(const struct page *page)
{
    static const enum phrase heads[] = {SAY_ADAPTER,     SAY_CHANGE_SPIDER, SAY_FLIPS,  SAY_MCNEMAR,
                                        SAY_CHANGE_MMLU, SAY_FLIPS,         SAY_MCNEMAR};
    html_open_table(page, "", SAY(page, TRADE_OFF_TEXT));
    html_table_heads(page, heads, MN_COUNT(heads), 1);
    for (size_t i = 0; i + 1 < page->report->system_count; i++) {
        const struct mn_report_comparison *c = &page->report->comparisons[i];
        html_open_row(page, c->system->system.name);
        html_change_cells(page, &c->spider[MN_HARDNESSES]);
        html_change_cells(page, &c->mmlu_micro);
        html_close_row(page);
    }
    html_close_table(page);
    draw_trade_off(page);
}
