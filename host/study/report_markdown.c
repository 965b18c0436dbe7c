/* report_markdown.c: the report as GitHub's Markdown, every slice in a table. */
#include "report_format.h"

#include <stdlib.h>

static double accuracy(const struct mn_spider_count *count)
{
    return (double)count->official / (double)count->judged; /* NaN without items */
}

static double share(int64_t part, int64_t whole)
{
    return (double)part / (double)whole;
}

static void print_run(const struct mn_report *report, FILE *out)
{
    fprintf(out, "# Study %s\n\n| | |\n| --- | --- |\n", report->name);
    fprintf(out, "| model | `%s` |\n| its SHA-256 | `%s` |\n| device | %s |\n", report->model,
            report->model_fingerprint, report->device);
    fprintf(out, "| minuano | %s |\n| started | %s |\n| finished | %s |\n", report->version,
            report->started, report->finished);
    fprintf(out, "| items | %lld of %lld |\n", (long long)report->items_done,
            (long long)report->items_planned);
}

static void print_spider_row(const struct mn_report_system *system,
                             const struct mn_report_comparison *c, int h, FILE *out)
{
    const struct mn_spider_count *count = &system->spider.by[h];
    const char *name = h == MN_HARDNESSES ? "**all**" : mn_hardness_name((enum mn_hardness)h);
    if (!count->total) return;
    struct mn_interval interval = mn_wilson(count->official, count->judged);
    fprintf(out, "| %s | %s | %lld | %lld | %s %s | %s | %s |", system->system.name,
            name ? name : "unknown", (long long)count->judged, (long long)count->missing,
            cell_percent(accuracy(count)).text, cell_interval(interval).text,
            cell_percent(share(count->distinct, count->judged)).text,
            cell_percent(share(count->seed, count->judged)).text);
    if (c)
        fprintf(out, " %s | %s | %s |\n", cell_points_interval(&c->spider[h]).text,
                cell_flips(&c->spider[h]).text, cell_p(c->spider[h].p).text);
    else
        fputs(" | | |\n", out);
}

static void print_spider(const struct mn_report *report, FILE *out)
{
    fputs(
        "\n## Spider: execution accuracy\n\n"
        "| system | hardness | judged | missing | official | DISTINCT kept | seed metric | change, "
        "points | flips | McNemar p |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        out);
    for (size_t i = 0; i < report->system_count; i++)
        for (int h = 0; h <= MN_HARDNESSES; h++)
            print_spider_row(&report->systems[i], i ? &report->comparisons[i - 1] : NULL, h, out);
}

static void print_mmlu_row(const char *system, const char *slice, const struct mn_mmlu_score *score,
                           const struct mn_change *change, FILE *out)
{
    if (!score->total) return;
    fprintf(out, "| %s | %s | %lld | %s %s | %s |", system, slice, (long long)score->total,
            cell_percent(score->accuracy).text, cell_error(score->standard_error).text,
            cell_percent(score->mass).text);
    if (change)
        fprintf(out, " %s | %s | %s | %s |\n", cell_points_interval(change).text,
                cell_flips(change).text, cell_p(change->p).text, cell_p(change->holm_p).text);
    else
        fputs(" | | | |\n", out);
}

static void print_mmlu_head(const char *title, FILE *out)
{
    fprintf(out,
            "\n%s\n\n| system | slice | questions | accuracy | mass on A–D | change, points | "
            "flips | McNemar p | Holm p |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | "
            "---: |\n",
            title);
}

static void print_mmlu(const struct mn_report *report, FILE *out)
{
    print_mmlu_head("## MMLU", out);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_comparison *c = i ? &report->comparisons[i - 1] : NULL;
        const struct mn_mmlu_scores *scores = &report->systems[i].mmlu;
        const char *name = report->systems[i].system.name;
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            print_mmlu_row(name, mn_mmlu_group_name((enum mn_mmlu_group)g), &scores->groups[g],
                           c ? &c->mmlu_groups[g] : NULL, out);
        print_mmlu_row(name, "mean of subjects", &scores->macro, c ? &c->mmlu_macro : NULL, out);
        print_mmlu_row(name, "**all**", &scores->micro, c ? &c->mmlu_micro : NULL, out);
    }
    print_mmlu_head("### By subject", out);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_report_comparison *c = i ? &report->comparisons[i - 1] : NULL;
        for (size_t s = 0; s < system->mmlu.subject_count; s++) {
            const char *subject = system->mmlu.subjects[s].subject;
            const struct mn_change *change = c ? mn_report_subject_change(c, subject) : NULL;
            print_mmlu_row(system->system.name, subject, &system->mmlu.subjects[s].score, change,
                           out);
        }
    }
}

static void print_training(const struct mn_report *report, FILE *out)
{
    fputs("\n## Training\n\n| adapter | steps | tokens | loss tokens | first loss | last loss | "
          "seconds | SHA-256 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
          out);
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_system *system = &report->systems[i].system;
        if (!system->trained.steps) continue;
        fprintf(out, "| %s | %lld | %lld | %lld | %.4f | %.4f | %.1f | `%.12s` |\n", system->name,
                (long long)system->trained.steps, (long long)system->trained.tokens,
                (long long)system->trained.loss_tokens, system->trained.first_loss,
                system->trained.last_loss, system->trained.seconds,
                system->fingerprint ? system->fingerprint : "");
    }
}

void mn_report_markdown(const struct mn_report *report, FILE *out)
{
    mn_arena *arena;
    print_run(report, out);
    print_spider(report, out);
    print_mmlu(report, out);
    report_details_markdown(report, out);
    print_training(report, out);
    fputs("\n## To read the numbers\n\n", out);
    if (mn_arena_open(&arena) != MN_OK) return;
    for (const char **remark = report_remarks(report, MN_ENGLISH, arena); *remark; remark++)
        fprintf(out, "- %s\n", *remark);
    mn_arena_close(&arena);
    char *config = json_dumps(report->config, JSON_INDENT(2) | JSON_ENCODE_ANY);
    fprintf(out, "\n## Config\n\n```json\n%s\n```\n", config ? config : "null");
    free(config);
}
