/* html_spider.c: Spider by hardness, system and class of miss. */
#include "html.h"

static double share(int64_t part, int64_t whole)
{
    return (double)part / (double)whole; /* NaN without items */
}

static void draw_hardness(const struct page *page)
{
    html_open_table(page, "strips", SAY(page, OFFICIAL));
    fprintf(page->out,
            "<th scope=\"col\">%s</th><th scope=\"col\">%s</th><th scope=\"col\">"
            "<div class=\"scale\"><span>0 %%</span><span>100 %%</span></div></th>"
            "<th scope=\"col\" class=\"n\">%s</th></tr></thead><tbody>\n",
            SAY(page, HARDNESS), SAY(page, SYSTEM), SAY(page, ACCURACY));
    for (int h = 0; h <= MN_HARDNESSES; h++)
        for (size_t i = 0; i < page->report->system_count; i++) {
            const struct mn_report_system *system = &page->report->systems[i];
            const struct mn_spider_count *count = &system->spider.by[h];
            if (!count->judged) continue;
            double accuracy = share(count->official, count->judged);
            html_open_row(page, say_hardness(page->language, h));
            fputs("<td>", page->out);
            html_string(page->out, system->system.name);
            fputs("</td>", page->out);
            /* The base takes the grey at the end; adapters keep the colours of the trade-off. */
            plot_strip(page, accuracy, mn_wilson(count->official, count->judged), 0, 1, 0,
                       i ? i - 1 : 6, true);
            html_cell(page, cell_percent(accuracy));
            html_close_row(page);
        }
    html_close_table(page);
}

static void write_spider_row(const struct page *page, size_t system, int h)
{
    const struct mn_report_system *s = &page->report->systems[system];
    const struct mn_spider_count *count = &s->spider.by[h];
    const struct mn_report_comparison *c = page_comparison(page, system);
    if (!count->total) return;
    html_open_row(page, s->system.name);
    html_text_cell(page, say_hardness(page->language, h));
    html_count(page, count->judged);
    html_count(page, count->missing);
    html_cell(page, cell_percent(share(count->official, count->judged)));
    html_cell(page, cell_interval(mn_wilson(count->official, count->judged)));
    html_cell(page, cell_percent(share(count->distinct, count->judged)));
    html_cell(page, cell_percent(share(count->seed, count->judged)));
    html_change_cells(page, c ? &c->spider[h] : NULL);
    html_close_row(page);
}

static void write_errors(const struct page *page)
{
    html_open_table(page, "", SAY(page, ERRORS));
    fprintf(page->out, "<th scope=\"col\">%s</th>", SAY(page, SYSTEM));
    for (int e = 1; e < MN_SQL_ERRORS; e++)
        fprintf(page->out, "<th scope=\"col\" class=\"n\">%s</th>",
                say_error(page->language, (enum mn_sql_error)e));
    fputs("</tr></thead><tbody>\n", page->out);
    for (size_t i = 0; i < page->report->system_count; i++) {
        const struct mn_report_system *system = &page->report->systems[i];
        html_open_row(page, system->system.name);
        for (int e = 1; e < MN_SQL_ERRORS; e++)
            html_count(page, system->spider.by[MN_HARDNESSES].errors[e]);
        html_close_row(page);
    }
    html_close_table(page);
}

void html_spider(const struct page *page)
{
    static const enum phrase heads[] = {SAY_SYSTEM,   SAY_HARDNESS, SAY_JUDGED,   SAY_MISSING,
                                        SAY_OFFICIAL, SAY_INTERVAL, SAY_DISTINCT, SAY_SEED_METRIC,
                                        SAY_CHANGE,   SAY_FLIPS,    SAY_MCNEMAR};
    draw_hardness(page);
    html_open_table(page, "", SAY(page, SPIDER));
    html_table_heads(page, heads, MN_COUNT(heads), 2);
    for (size_t i = 0; i < page->report->system_count; i++)
        for (int h = 0; h <= MN_HARDNESSES; h++) write_spider_row(page, i, h);
    html_close_table(page);
    write_errors(page);
}
