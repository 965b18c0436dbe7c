/* report_html.c: report.html: one page that needs nothing but itself. */
#include "html.h"

#include <stdlib.h>

const struct mn_report_comparison *page_comparison(const struct page *page, size_t system)
{
    return system ? &page->report->comparisons[system - 1] : NULL;
}

size_t page_colour(size_t system)
{
    return system ? system - 1 : PLOT_GREY;
}

/* --- head ---------------------------------------------------------------------------------------
 */

static void write_head(const struct page *page)
{
    const struct mn_report *report = page->report;
    FILE *out = page->out;
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>",
            mn_languages[page->language]);
    html_string(out, report->name);
    fputs(" · minuano</title>\n<style>\n", out);
    fputs(page_style, out);
    fprintf(out, "</style>\n</head>\n<body>\n<header><h1>%s ", SAY(page, STUDY));
    html_string(out, report->name);
    fputs("</h1>\n<p class=\"run\">", out);
    html_string(out, report_model(report, page->arena));
    fprintf(out, " %s ", SAY(page, ON));
    html_string(out, report->device);
    fprintf(out, " \xC2\xB7 %lld %s %lld %s \xC2\xB7 minuano ", (long long)report->items_done,
            SAY(page, OF), (long long)report->items_planned, SAY(page, ITEMS_DONE));
    html_string(out, report->version);
    fputs("</p>\n", out);
    const char *unfinished = report_unfinished(report, page->language, page->arena);
    if (unfinished) fprintf(out, "<p class=\"notice\">%s</p>\n", unfinished);
    fputs("</header>\n", out);
}

/* --- sections -----------------------------------------------------------------------------------
 */

static void write_notes(const struct page *page)
{
    fputs("<ul>\n", page->out);
    const char **remark = report_remarks(page->report, page->language, page->arena);
    for (; *remark; remark++) {
        fputs("<li>", page->out);
        html_string(page->out, *remark);
        fputs("</li>\n", page->out);
    }
    fputs("</ul>\n", page->out);
}

static void write_fact(const struct page *page, const char *name, const char *value)
{
    fprintf(page->out, "<dt>%s</dt><dd>", name);
    html_string(page->out, value);
    fputs("</dd>\n", page->out);
}

static void write_run(const struct page *page)
{
    const struct mn_report *report = page->report;
    fputs("<dl class=\"facts\">\n", page->out);
    write_fact(page, SAY(page, MODEL), report_model(report, page->arena));
    write_fact(page, SAY(page, MODEL_HASH), report->model_fingerprint);
    write_fact(page, SAY(page, DEVICE), report->device);
    write_fact(page, "minuano", report->version);
    write_fact(page, SAY(page, STARTED), report->started);
    write_fact(page, SAY(page, FINISHED), report->finished);
    char *config = json_dumps(report->config, JSON_INDENT(2) | JSON_ENCODE_ANY);
    fprintf(page->out, "</dl>\n<details><summary>%s</summary><pre>", SAY(page, CONFIG));
    html_string(page->out, config);
    fputs("</pre></details>\n", page->out);
    free(config);
}

static bool has_comparisons(const struct mn_report *report)
{
    for (size_t i = 0; i + 1 < report->system_count; i++)
        if (report_has_items(&report->comparisons[i])) return true;
    return false;
}

static bool has_adapters(const struct mn_report *report)
{
    return report->system_count > 1;
}

static bool has_points(const struct mn_report *report)
{
    for (size_t c = 0; c < report->curve_count; c++)
        for (size_t i = 0; i < report->curves[c].count; i++)
            if (report_stop_has_items(&report->curves[c].stops[i])) return true;
    return false;
}

/* In order. A section that has nothing to say is left out. */
static const struct section {
    const char *id;
    enum phrase title;
    void (*write)(const struct page *page);
    bool (*has)(const struct mn_report *report); /* NULL: always */
} sections[] = {
    {"trade-off", SAY_TRADE_OFF, html_trade_off, has_comparisons},
    {"curves", SAY_CURVES, html_curves, has_points},
    {"spider", SAY_SPIDER, html_spider, report_has_spider},
    {"mmlu", SAY_MMLU, html_mmlu, report_has_mmlu},
    {"training", SAY_TRAINING, html_training, has_adapters},
    {"items", SAY_ITEMS, html_items, NULL},
    {"notes", SAY_NOTES, write_notes, NULL},
    {"run", SAY_RUN, write_run, NULL},
};

static bool has_section(const struct page *page, const struct section *section)
{
    return !section->has || section->has(page->report);
}

static void write_contents(const struct page *page)
{
    fprintf(page->out, "<nav aria-label=\"%s\"><ul>", SAY(page, CONTENTS));
    for (size_t i = 0; i < MN_COUNT(sections); i++)
        if (has_section(page, &sections[i]))
            fprintf(page->out, "<li><a href=\"#%s\">%s</a></li>", sections[i].id,
                    say(page->language, sections[i].title));
    fputs("</ul></nav>\n", page->out);
}

static void write_sections(const struct page *page)
{
    fputs("<main>\n", page->out);
    for (size_t i = 0; i < MN_COUNT(sections); i++) {
        if (!has_section(page, &sections[i])) continue;
        fprintf(page->out, "<section id=\"%s\"><h2>%s</h2>\n", sections[i].id,
                say(page->language, sections[i].title));
        sections[i].write(page);
        fputs("</section>\n", page->out);
    }
    fputs("</main>\n", page->out);
}

mn_status mn_report_html(const struct mn_report *report, enum mn_language language, FILE *out)
{
    struct page page = {.out = out, .report = report, .language = language};
    MN_TRY(mn_arena_open(&page.arena));
    write_head(&page);
    write_contents(&page);
    write_sections(&page);
    fputs("</body>\n</html>\n", out);
    mn_arena_close(&page.arena);
    return MN_OK;
}
