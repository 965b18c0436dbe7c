/* html_spider.c: Spider by hardness, system and class of miss. */
#include "html.h"

static double share(int64_t part, int64_t whole)
{
    return (double)part / (double)whole; /* NaN without items */
}

/* One bar a system under each name; the first names the group. */
struct bars {
    const struct page *page;
    size_t systems; /* that have a bar in each group */
    size_t next;
};

static void open_bars(const struct page *page, const char *caption, const char *first,
                      const char *value)
{
    html_open_table(page, "strips", caption);
    html_head(page, first, false);
    html_head(page, SAY(page, SYSTEM), false);
    fputs("<th scope=\"col\"><div class=\"scale\"><span>0 %</span><span>100 %</span></div></th>",
          page->out);
    html_head(page, value, true);
    html_end_heads(page);
}

/* The next bar: of the group's first system, its name stands before all of them. */
static void write_bar(struct bars *bars, const char *group, size_t system, double value,
                      struct mn_interval interval, const char *text)
{
    const struct page *page = bars->page;
    bool first = bars->next++ % bars->systems == 0;
    fprintf(page->out, "<tr%s>", first ? " class=\"begins\"" : "");
    if (first)
        fprintf(page->out, "<th scope=\"rowgroup\" rowspan=\"%zu\">%s</th>", bars->systems, group);
    fputs("<td>", page->out);
    html_string(page->out, page->report->systems[system].system.name);
    fputs("</td>", page->out);
    plot_strip(page, value, interval, 0, 1, 0, page_colour(system), true);
    fprintf(page->out, "<td class=\"n\">%s</td>", text);
    html_close_row(page);
}

static size_t count_systems(const struct page *page, int hardness)
{
    size_t count = 0;
    for (size_t i = 0; i < page->report->system_count; i++)
        count += page->report->systems[i].spider.by[hardness].judged > 0;
    return count;
}

static void draw_hardness(const struct page *page)
{
    open_bars(page, SAY(page, SPIDER_TITLE), SAY(page, HARDNESS), SAY(page, ACCURACY));
    for (int h = 0; h <= MN_HARDNESSES; h++) {
        struct bars bars = {.page = page, .systems = count_systems(page, h)};
        for (size_t i = 0; i < page->report->system_count; i++) {
            const struct mn_spider_count *count = &page->report->systems[i].spider.by[h];
            double accuracy = share(count->official, count->judged);
            if (count->judged)
                write_bar(&bars, say_hardness(page->language, h), i, accuracy,
                          mn_wilson(count->official, count->judged),
                          localized(page->language, cell_percent(accuracy)).text);
        }
    }
    html_close_table(page);
}

static void write_miss(const struct page *page, size_t system, int miss, int64_t count,
                       int64_t judged)
{
    fputs("<td class=\"n\">", page->out);
    if (count)
        fprintf(page->out, "<a href=\"#items?task=spider&amp;system=%zu&amp;miss=%d\">%lld</a>",
                system, miss, (long long)count);
    else
        fputs("0", page->out);
    plot_bar(page, share(count, judged), page_colour(system));
    fputs("</td>", page->out);
}

/* A system a row, a class that occurs a column; bars are shares of what was judged. */
static void draw_misses(const struct page *page)
{
    const struct mn_report *report = page->report;
    int classes = 0;
    for (int m = 0; m < MN_MISSES; m++) classes += report_has_miss(report, m);
    if (!classes) return;
    html_open_table(page, "misses", SAY(page, MISSES_TITLE));
    html_head(page, SAY(page, SYSTEM), false);
    html_head(page, SAY(page, MISSES), true);
    for (int m = 0; m < MN_MISSES; m++)
        if (report_has_miss(report, m)) html_head(page, say_miss(page->language, m), true);
    html_end_heads(page);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_spider_count *all = &system->spider.by[MN_HARDNESSES];
        if (!all->judged) continue;
        html_open_row(page, system->system.name);
        fprintf(page->out, "<td class=\"n\">%lld", (long long)(all->judged - all->official));
        plot_bar(page, share(all->judged - all->official, all->judged), page_colour(i));
        fputs("</td>", page->out);
        for (int m = 0; m < MN_MISSES; m++)
            if (report_has_miss(report, m)) write_miss(page, i, m, system->misses[m], all->judged);
        html_close_row(page);
    }
    html_close_table(page);
    fprintf(page->out, "<p class=\"note\">%s</p>\n", SAY(page, MISSES_NOTE));
}

void html_spider(const struct page *page)
{
    draw_hardness(page);
    draw_misses(page);
    html_table(page, tables_spider);
}
