/* report_details.c: what stands behind the accuracies: classes of misses, confidence, power. */
#include "report_format.h"

#include <math.h>

enum { NAME = 18 };

const char *report_miss_words(enum mn_sql_error error)
{
    return error == MN_SQL_NONE ? "wrong rows" : mn_sql_error_words(error);
}

static bool has_miss(const struct mn_report *report, int error)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].misses[error]) return true;
    return false;
}

static bool has_calibration(const struct mn_report *report)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].calibration.items) return true;
    return false;
}

static struct cell cell_detectable(const struct mn_change *change)
{
    struct cell cell = {"-"};
    if (isfinite(change->detectable))
        snprintf(cell.text, sizeof cell.text, "%.1f", 100 * change->detectable);
    return cell;
}

/* Subjects whose change stands after Holm's correction. */
static void count_changed(const struct mn_report_comparison *c, int *up, int *down, int *all)
{
    *up = *down = *all = 0;
    for (size_t s = 0; s < c->base->mmlu.subject_count; s++) {
        const struct mn_change *change = &c->mmlu_subjects[s];
        bool sure = change->holm_p < 0.05;
        *all += change->items > 0;
        *up += sure && change->change > 0;
        *down += sure && change->change < 0;
    }
}

/* --- Markdown --------------------------------------------------------------------------------- */

static void markdown_misses(const struct mn_report *report, FILE *out)
{
    fputs("\n### Why queries miss\n\n| system |", out);
    for (int e = 0; e < MN_SQL_ERRORS; e++)
        fprintf(out, " %s |", report_miss_words((enum mn_sql_error)e));
    fputs("\n| --- |", out);
    for (int e = 0; e < MN_SQL_ERRORS; e++) fputs(" ---: |", out);
    fputc('\n', out);
    for (size_t i = 0; i < report->system_count; i++) {
        fprintf(out, "| %s |", report->systems[i].system.name);
        for (int e = 0; e < MN_SQL_ERRORS; e++)
            fprintf(out, " %lld |", (long long)report->systems[i].misses[e]);
        fputc('\n', out);
    }
}

static void markdown_calibration(const struct mn_report *report, FILE *out)
{
    if (!has_calibration(report)) return;
    fputs("\n### How sure the answers are\n\n| system | accuracy | confidence | calibration error "
          "|\n| --- | ---: | ---: | ---: |\n",
          out);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        fprintf(out, "| %s | %s | %s | %s |\n", system->system.name,
                cell_percent(system->mmlu.micro.accuracy).text,
                cell_percent(system->calibration.confidence).text,
                cell_percent(system->calibration.error).text);
    }
    fputs(
        "\nConfidence is the probability of the answer given, when A to D sum to one; the "
        "calibration error is its mean distance from the share of right answers, over ten bins.\n",
        out);
}

static void markdown_power(const struct mn_report *report, FILE *out)
{
    if (report->system_count < 2) return;
    fputs("\n## What could have been found\n\n| adapter | Spider, points | design effect | MMLU, "
          "points | design effect | subjects up | subjects down | of |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
          out);
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        const struct mn_report_comparison *c = &report->comparisons[i];
        const struct mn_change *spider = &c->spider[MN_HARDNESSES], *mmlu = &c->mmlu_micro;
        int up, down, all;
        count_changed(c, &up, &down, &all);
        fprintf(out, "| %s | %s | %.2f | %s | %.2f | %d | %d | %d |\n", c->system->system.name,
                cell_detectable(spider).text, spider->design_effect, cell_detectable(mmlu).text,
                mmlu->design_effect, up, down, all);
    }
    fputs("\nThe smallest change that McNemar's test finds in four of five studies like this one, "
          "at 5 %, given the items, the share that flipped, and how much items of one database or "
          "subject move together (design effect). Subjects up and down: by p after Holm's "
          "correction over all of them, at 5 %.\n",
          out);
}

void report_details_markdown(const struct mn_report *report, FILE *out)
{
    markdown_misses(report, out);
    markdown_calibration(report, out);
    markdown_power(report, out);
}

/* --- terminal --------------------------------------------------------------------------------- */

static void terminal_misses(const struct mn_report *report, FILE *out)
{
    bool any = false;
    for (int e = 0; e < MN_SQL_ERRORS; e++) any = any || has_miss(report, e);
    if (!any) return;
    fputs("\nSpider: why queries miss\n", out);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const char *comma = "";
        if (!system->spider_count) continue;
        fprintf(out, "%-*s ", NAME, system->system.name);
        for (int e = 0; e < MN_SQL_ERRORS; e++) {
            if (!system->misses[e]) continue;
            fprintf(out, "%s %lld %s", comma, (long long)system->misses[e],
                    report_miss_words((enum mn_sql_error)e));
            comma = ",";
        }
        fputc('\n', out);
    }
}

static void terminal_calibration(const struct mn_report *report, FILE *out)
{
    if (!has_calibration(report)) return;
    fprintf(out, "\nMMLU: how sure the answers are\n%-*s %10s %10s %18s\n", NAME, "", "accuracy",
            "confidence", "calibration error");
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        fprintf(out, "%-*s %10s %10s %18s\n", NAME, system->system.name,
                cell_percent(system->mmlu.micro.accuracy).text,
                cell_percent(system->calibration.confidence).text,
                cell_percent(system->calibration.error).text);
    }
}

static void terminal_power(const struct mn_report *report, FILE *out)
{
    if (report->system_count < 2) return;
    fprintf(out,
            "\nWhat could have been found: smallest change in points, at 5 %% with 80 %% power\n"
            "%-*s %8s %8s  %s\n",
            NAME, "", "Spider", "MMLU", "subjects that changed, by Holm at 5 %");
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        const struct mn_report_comparison *c = &report->comparisons[i];
        int up, down, all;
        count_changed(c, &up, &down, &all);
        fprintf(out, "%-*s %8s %8s  %d up, %d down of %d\n", NAME, c->system->system.name,
                cell_detectable(&c->spider[MN_HARDNESSES]).text,
                cell_detectable(&c->mmlu_micro).text, up, down, all);
    }
}

void report_details_terminal(const struct mn_report *report, FILE *out)
{
    terminal_misses(report, out);
    terminal_calibration(report, out);
    terminal_power(report, out);
}
