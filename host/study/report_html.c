/* report_html.c: report.html: one page that needs nothing but itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html_script.h"

enum { POINTS_DRAWN = 300 };

static double share(int64_t part, int64_t whole)
{
    return (double)part / (double)whole; /* NaN without items */
}

static void open_table(const struct page *page, const char *class, const char *caption)
{
    fprintf(page->out,
            "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"%s\">"
            "<table class=\"%s\"><caption><span>%s</span></caption><thead><tr>",
            caption, class, caption);
}

/* The columns behind the first `texts` hold numbers. */
static void table_heads(const struct page *page, const enum phrase *heads, size_t count,
                        size_t texts)
{
    for (size_t i = 0; i < count; i++)
        fprintf(page->out, "<th scope=\"col\"%s>%s</th>", i < texts ? "" : " class=\"n\"",
                say(page->language, heads[i]));
    fputs("</tr></thead><tbody>\n", page->out);
}

static void close_table(const struct page *page)
{
    fputs("</tbody></table></div>\n", page->out);
}

static void open_row(const struct page *page, const char *name)
{
    fputs("<tr><th scope=\"row\">", page->out);
    html_string(page->out, name);
    fputs("</th>", page->out);
}

static void close_row(const struct page *page)
{
    fputs("</tr>\n", page->out);
}

static void text_cell(const struct page *page, const char *ours)
{
    fprintf(page->out, "<td>%s</td>", ours);
}

static const struct mn_report_comparison *comparison(const struct page *page, size_t system)
{
    return system ? &page->report->comparisons[system - 1] : NULL;
}

/* --- head ---------------------------------------------------------------------------------------
 */

static void write_fact(const struct page *page, const char *name, const char *value)
{
    fprintf(page->out, "<dt>%s</dt><dd>", name);
    html_string(page->out, value);
    fputs("</dd>\n", page->out);
}

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
    html_lines(out, html_style);
    fprintf(out, "</style>\n</head>\n<body>\n<header><h1>%s ", SAY(page, STUDY));
    html_string(out, report->name);
    fputs("</h1>\n<dl class=\"facts\">\n", out);
    write_fact(page, SAY(page, MODEL), report->model);
    write_fact(page, SAY(page, MODEL_HASH), report->model_fingerprint);
    write_fact(page, SAY(page, DEVICE), report->device);
    write_fact(page, "minuano", report->version);
    write_fact(page, SAY(page, STARTED), report->started);
    write_fact(page, SAY(page, FINISHED), report->finished);
    fprintf(out, "<dt>%s</dt><dd>%lld %s %lld</dd>\n</dl></header>\n", SAY(page, ITEMS_DONE),
            (long long)report->items_done, SAY(page, OF), (long long)report->items_planned);
}

static void write_contents(const struct page *page)
{
    const struct {
        const char *id;
        enum phrase title;
    } parts[] = {{"trade-off", SAY_TRADE_OFF}, {"spider", SAY_SPIDER}, {"mmlu", SAY_MMLU},
                 {"training", SAY_TRAINING},   {"items", SAY_ITEMS},   {"notes", SAY_NOTES}};
    fprintf(page->out, "<nav aria-label=\"%s\"><ul>", SAY(page, CONTENTS));
    for (size_t i = 0; i < MN_COUNT(parts); i++)
        fprintf(page->out, "<li><a href=\"#%s\">%s</a></li>", parts[i].id,
                say(page->language, parts[i].title));
    fputs("</ul></nav>\n<main>\n", page->out);
}

static void open_section(const struct page *page, const char *id, const char *title)
{
    fprintf(page->out, "<section id=\"%s\"><h2>%s</h2>\n", id, title);
}

static void close_section(const struct page *page)
{
    fputs("</section>\n", page->out);
}

/* --- the trade-off ------------------------------------------------------------------------------
 */

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

static void write_trade_off(const struct page *page)
{
    static const enum phrase heads[] = {SAY_ADAPTER,     SAY_CHANGE_SPIDER, SAY_FLIPS,  SAY_MCNEMAR,
                                        SAY_CHANGE_MMLU, SAY_FLIPS,         SAY_MCNEMAR};
    open_section(page, "trade-off", SAY(page, TRADE_OFF));
    if (page->report->system_count > 1) {
        open_table(page, "", SAY(page, TRADE_OFF_TEXT));
        table_heads(page, heads, MN_COUNT(heads), 1);
        for (size_t i = 0; i + 1 < page->report->system_count; i++) {
            const struct mn_report_comparison *c = &page->report->comparisons[i];
            open_row(page, c->system->system.name);
            html_change_cells(page, &c->spider[MN_HARDNESSES]);
            html_change_cells(page, &c->mmlu_micro);
            close_row(page);
        }
        close_table(page);
        draw_trade_off(page);
    }
    close_section(page);
}

/* --- Spider -------------------------------------------------------------------------------------
 */

static void draw_hardness(const struct page *page)
{
    open_table(page, "strips", SAY(page, OFFICIAL));
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
            open_row(page, say_hardness(page->language, h));
            fputs("<td>", page->out);
            html_string(page->out, system->system.name);
            fputs("</td>", page->out);
            /* The base takes the grey at the end; adapters keep the colours of the trade-off. */
            plot_strip(page, accuracy, mn_wilson(count->official, count->judged), 0, 1, 0,
                       i ? i - 1 : 6, true);
            html_cell(page, cell_percent(accuracy));
            close_row(page);
        }
    close_table(page);
}

static void write_spider_row(const struct page *page, size_t system, int h)
{
    const struct mn_report_system *s = &page->report->systems[system];
    const struct mn_spider_count *count = &s->spider.by[h];
    const struct mn_report_comparison *c = comparison(page, system);
    if (!count->total) return;
    open_row(page, s->system.name);
    text_cell(page, say_hardness(page->language, h));
    html_count(page, count->judged);
    html_count(page, count->missing);
    html_cell(page, cell_percent(share(count->official, count->judged)));
    html_cell(page, cell_interval(mn_wilson(count->official, count->judged)));
    html_cell(page, cell_percent(share(count->distinct, count->judged)));
    html_cell(page, cell_percent(share(count->seed, count->judged)));
    html_change_cells(page, c ? &c->spider[h] : NULL);
    close_row(page);
}

static void write_errors(const struct page *page)
{
    open_table(page, "", SAY(page, ERRORS));
    fprintf(page->out, "<th scope=\"col\">%s</th>", SAY(page, SYSTEM));
    for (int e = 1; e < MN_SQL_ERRORS; e++)
        fprintf(page->out, "<th scope=\"col\" class=\"n\">%s</th>",
                say_error(page->language, (enum mn_sql_error)e));
    fputs("</tr></thead><tbody>\n", page->out);
    for (size_t i = 0; i < page->report->system_count; i++) {
        const struct mn_report_system *system = &page->report->systems[i];
        open_row(page, system->system.name);
        for (int e = 1; e < MN_SQL_ERRORS; e++)
            html_count(page, system->spider.by[MN_HARDNESSES].errors[e]);
        close_row(page);
    }
    close_table(page);
}

static void write_spider(const struct page *page)
{
    static const enum phrase heads[] = {SAY_SYSTEM,   SAY_HARDNESS, SAY_JUDGED,   SAY_MISSING,
                                        SAY_OFFICIAL, SAY_INTERVAL, SAY_DISTINCT, SAY_SEED_METRIC,
                                        SAY_CHANGE,   SAY_FLIPS,    SAY_MCNEMAR};
    open_section(page, "spider", SAY(page, SPIDER));
    draw_hardness(page);
    open_table(page, "", SAY(page, SPIDER));
    table_heads(page, heads, MN_COUNT(heads), 2);
    for (size_t i = 0; i < page->report->system_count; i++)
        for (int h = 0; h <= MN_HARDNESSES; h++) write_spider_row(page, i, h);
    close_table(page);
    write_errors(page);
    close_section(page);
}

/* --- MMLU ---------------------------------------------------------------------------------------
 */

static void write_score(const struct page *page, const char *system, const char *slice,
                        const struct mn_mmlu_score *score, const struct mn_change *change)
{
    if (!score->total) return;
    open_row(page, system);
    text_cell(page, slice);
    html_count(page, score->total);
    struct cell accuracy = cell_percent(score->accuracy), error = cell_error(score->standard_error);
    fprintf(page->out, "<td class=\"n\">%s %s</td>", localized(page->language, accuracy).text,
            localized(page->language, error).text);
    html_cell(page, cell_percent(score->mass));
    html_change_cells(page, change);
    close_row(page);
}

static void write_scores(const struct page *page)
{
    static const enum phrase heads[] = {SAY_SYSTEM, SAY_SLICE,  SAY_QUESTIONS, SAY_ACCURACY,
                                        SAY_MASS,   SAY_CHANGE, SAY_FLIPS,     SAY_MCNEMAR};
    open_table(page, "", SAY(page, MMLU));
    table_heads(page, heads, MN_COUNT(heads), 2);
    for (size_t i = 0; i < page->report->system_count; i++) {
        const struct mn_report_comparison *c = comparison(page, i);
        const struct mn_mmlu_scores *scores = &page->report->systems[i].mmlu;
        const char *name = page->report->systems[i].system.name;
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            write_score(page, name, say_group(page->language, g), &scores->groups[g],
                        c ? &c->mmlu_groups[g] : NULL);
        write_score(page, name, SAY(page, MACRO), &scores->macro, c ? &c->mmlu_macro : NULL);
        write_score(page, name, SAY(page, ALL), &scores->micro, c ? &c->mmlu_micro : NULL);
    }
    close_table(page);
}

struct subject {
    const char *name;
    const struct mn_change *change;
};

static int by_change(const void *a, const void *b)
{
    const struct subject *x = a, *y = b;
    if (x->change->change != y->change->change)
        return x->change->change < y->change->change ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The scale reaches the farthest end of any interval, alike on both sides of zero. */
static double subject_scale(const struct subject *subjects, size_t count)
{
    double scale = 0.01;
    for (size_t i = 0; i < count; i++) {
        const struct mn_change *c = subjects[i].change;
        scale = fmax(scale, fabs(c->change));
        if (isfinite(c->interval.low))
            scale = fmax(scale, fmax(fabs(c->interval.low), fabs(c->interval.high)));
    }
    return scale;
}

static void draw_subjects(const struct page *page, size_t system)
{
    const struct mn_report_comparison *c = comparison(page, system);
    const struct mn_mmlu_scores *scores = &c->base->mmlu;
    struct subject *subjects = MN_NEW(page->arena, struct subject, scores->subject_count);
    size_t count = 0;
    for (size_t s = 0; s < scores->subject_count; s++)
        if (c->mmlu_subjects[s].items)
            subjects[count++] = (struct subject){scores->subjects[s].subject, &c->mmlu_subjects[s]};
    if (!count) return;
    qsort(subjects, count, sizeof *subjects, by_change);
    double scale = subject_scale(subjects, count);
    fputs("<h4>", page->out);
    html_string(page->out, c->system->system.name);
    fputs("</h4>\n", page->out);
    open_table(page, "strips", SAY(page, SORTED));
    fprintf(page->out,
            "<th scope=\"col\">%s</th><th scope=\"col\"><div class=\"scale\"><span>%s</span>"
            "<span>0</span><span>%s</span></div></th><th scope=\"col\" class=\"n\">%s</th>"
            "<th scope=\"col\" class=\"n\">%s</th></tr></thead><tbody>\n",
            SAY(page, SUBJECT), localized(page->language, cell_points(-scale)).text,
            localized(page->language, cell_points(scale)).text, SAY(page, CHANGE),
            SAY(page, FLIPS));
    for (size_t i = 0; i < count; i++) {
        open_row(page, subjects[i].name);
        plot_strip(page, subjects[i].change->change, subjects[i].change->interval, -scale, scale, 0,
                   system - 1, false);
        html_cell(page, cell_points_interval(subjects[i].change));
        html_cell(page, cell_flips(subjects[i].change));
        close_row(page);
    }
    close_table(page);
}

static void write_mmlu(const struct page *page)
{
    open_section(page, "mmlu", SAY(page, MMLU));
    write_scores(page);
    if (page->report->system_count > 1) fprintf(page->out, "<h3>%s</h3>\n", SAY(page, BY_SUBJECT));
    for (size_t i = 1; i < page->report->system_count; i++) draw_subjects(page, i);
    close_section(page);
}

/* --- training -----------------------------------------------------------------------------------
 */

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

static struct cell number(const char *format, double value)
{
    struct cell cell;
    snprintf(cell.text, sizeof cell.text, format, value);
    return cell;
}

static void write_training(const struct page *page)
{
    static const enum phrase heads[] = {SAY_ADAPTER,    SAY_STEPS,     SAY_TOKENS, SAY_LOSS_TOKENS,
                                        SAY_FIRST_LOSS, SAY_LAST_LOSS, SAY_SECONDS};
    open_section(page, "training", SAY(page, TRAINING));
    open_table(page, "", SAY(page, TRAINING));
    table_heads(page, heads, MN_COUNT(heads), 1);
    for (size_t i = 0; i < page->report->system_count; i++) {
        const struct mn_system *system = &page->report->systems[i].system;
        if (!system->trained.steps) continue;
        open_row(page, system->name);
        html_count(page, system->trained.steps);
        html_count(page, system->trained.tokens);
        html_count(page, system->trained.loss_tokens);
        html_cell(page, number("%.4f", system->trained.first_loss));
        html_cell(page, number("%.4f", system->trained.last_loss));
        html_cell(page, number("%.1f", system->trained.seconds));
        close_row(page);
    }
    close_table(page);
    draw_curves(page);
    close_section(page);
}

/* --- the rest -----------------------------------------------------------------------------------
 */

static void write_notes(const struct page *page)
{
    open_section(page, "notes", SAY(page, NOTES));
    fputs("<ul>\n", page->out);
    const char **remark = report_remarks(page->report, page->language, page->arena);
    for (; *remark; remark++) {
        fputs("<li>", page->out);
        html_string(page->out, *remark);
        fputs("</li>\n", page->out);
    }
    char *config = json_dumps(page->report->config, JSON_INDENT(2) | JSON_ENCODE_ANY);
    fprintf(page->out, "</ul>\n<details><summary>%s</summary><pre>", SAY(page, CONFIG));
    html_string(page->out, config);
    fputs("</pre></details>\n", page->out);
    free(config);
    close_section(page);
}

mn_status mn_report_html(const struct mn_report *report, enum mn_language language, FILE *out)
{
    struct page page = {.out = out, .report = report, .language = language};
    MN_TRY(mn_arena_open(&page.arena));
    write_head(&page);
    write_contents(&page);
    write_trade_off(&page);
    write_spider(&page);
    write_mmlu(&page);
    write_training(&page);
    write_notes(&page);
    html_items(&page);
    fputs("</main>\n</body>\n</html>\n", out);
    mn_arena_close(&page.arena);
    return MN_OK;
}
