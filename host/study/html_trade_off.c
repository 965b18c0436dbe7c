/* html_trade_off.c: what each adapter gained and lost, and how sure that is: the first screen. */
#include "html.h"

enum { CARDS = 6 }; /* more adapters have the plot and the table alone */

static struct mn_interval in_points(struct mn_interval of)
{
    return (struct mn_interval){100 * of.low, 100 * of.high};
}

static void draw_plot(const struct page *page)
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
    fputs("<figure class=\"trade-off\">\n", page->out);
    plot_points(page, &plot);
    plot_legend(page, &plot);
    fprintf(page->out, "<figcaption>%s</figcaption>\n</figure>\n", SAY(page, TRADE_OFF_UP));
}

static void write_task(const struct page *page, size_t system, const char *task, const char *title,
                       const struct mn_change *change)
{
    static const char *const classes[] = {"bad", "unclear", "good"};
    const char *sentence = report_sentence(change, page->language, page->arena);
    if (!sentence) return;
    FILE *out = page->out;
    fprintf(out,
            "<div class=\"task\"><p class=\"label\">%s</p><p class=\"from-to\">%s "
            "<span aria-hidden=\"true\">\xE2\x86\x92</span> <strong>%s</strong></p>",
            title, localized(page->language, cell_percent(change->before)).text,
            localized(page->language, cell_percent(change->after)).text);
    fprintf(out, "<p class=\"change %s\">%s</p>", classes[report_clear(change) + 1],
            localized(page->language, cell_points(change->change)).text);
    fprintf(out,
            "<p class=\"sentence\">%s. <a "
            "href=\"#items?task=%s&amp;system=%zu&amp;flip=any\">%s</a></p>"
            "</div>\n",
            sentence, task, system, SAY(page, SEE_ITEMS));
}

static void write_card(const struct page *page, size_t system)
{
    const struct mn_report_comparison *c = page_comparison(page, system);
    if (!report_has_items(c)) return;
    fputs("<article class=\"card\"><h3>", page->out);
    plot_key(page, system - 1, PLOT_MARKERS);
    html_string(page->out, c->system->system.name);
    fputs("</h3>\n", page->out);
    write_task(page, system, "spider", SAY(page, SPIDER), &c->spider[MN_HARDNESSES]);
    write_task(page, system, "mmlu", SAY(page, MMLU), &c->mmlu_micro);
    fputs("</article>\n", page->out);
}

/* Some adapter was asked both tasks. */
static bool has_points(const struct mn_report *report)
{
    for (size_t i = 0; i + 1 < report->system_count; i++)
        if (report->comparisons[i].spider[MN_HARDNESSES].items &&
            report->comparisons[i].mmlu_micro.items)
            return true;
    return false;
}

void html_trade_off(const struct page *page)
{
    size_t adapters = page->report->system_count - 1;
    fputs("<div class=\"first\">\n<div class=\"cards\">\n", page->out);
    for (size_t i = 1; i <= adapters && adapters <= CARDS; i++) write_card(page, i);
    if (adapters > CARDS) html_table(page, tables_trade_off);
    fputs("</div>\n", page->out);
    if (has_points(page->report)) draw_plot(page);
    fputs("</div>\n", page->out);
    if (adapters <= CARDS) html_table(page, tables_trade_off);
    html_table(page, tables_power);
}
