/* report_terminal.c: the report for a terminal: four tables and remarks, within 100 columns. */
#include "report_format.h"

enum { NAME = 18 };

static bool has_hardness(const struct mn_report *report, int hardness)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].spider.by[hardness].total) return true;
    return false;
}

static bool has_group(const struct mn_report *report, int group)
{
    for (size_t i = 0; i < report->system_count; i++)
        if (report->systems[i].mmlu.groups[group].total) return true;
    return false;
}

static double accuracy(const struct mn_spider_count *count)
{
    return (double)count->official / (double)count->judged; /* NaN without items */
}

static void print_spider(const struct mn_report *report, FILE *out)
{
    fprintf(out, "\nSpider: execution accuracy (official metric)\n%-*s", NAME, "");
    for (int h = 0; h < MN_HARDNESSES; h++) {
        const char *name = mn_hardness_name((enum mn_hardness)h);
        if (has_hardness(report, h)) fprintf(out, " %8s", name ? name : "other");
    }
    fprintf(out, " %8s %15s\n", "all", "95 %");
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        if (!system->spider_count) continue;
        fprintf(out, "%-*s", NAME, system->system.name);
        for (int h = 0; h < MN_HARDNESSES; h++)
            if (has_hardness(report, h))
                fprintf(out, " %8s", cell_percent(accuracy(&system->spider.by[h])).text);
        fprintf(out, " %8s %15s\n", cell_percent(accuracy(&system->spider.by[MN_HARDNESSES])).text,
                cell_interval(system->spider_interval).text);
    }
}

static void print_mmlu(const struct mn_report *report, FILE *out)
{
    fprintf(out, "\nMMLU: accuracy\n%-*s", NAME, "");
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        if (has_group(report, g)) fprintf(out, " %8.8s", mn_mmlu_group_name((enum mn_mmlu_group)g));
    fprintf(out, " %8s %8s %8s %10s\n", "macro", "all", "error", "A-D mass");
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_report_system *system = &report->systems[i];
        const struct mn_mmlu_score *micro = &system->mmlu.micro;
        if (!system->mmlu_count) continue;
        fprintf(out, "%-*s", NAME, system->system.name);
        for (int g = 0; g < MN_MMLU_GROUPS; g++)
            if (has_group(report, g))
                fprintf(out, " %8s", cell_percent(system->mmlu.groups[g].accuracy).text);
        /* The sign of the error is two bytes wide: printed apart from the padding. */
        fprintf(out, " %8s %8s   ± %4.1f %10s\n", cell_percent(system->mmlu.macro.accuracy).text,
                cell_percent(micro->accuracy).text, 100 * micro->standard_error,
                cell_percent(micro->mass).text);
    }
}

static void print_change(const struct mn_change *change, FILE *out)
{
    fprintf(out, "  %-22s %-13s %6s", cell_points_interval(change).text, cell_flips(change).text,
            cell_p(change->p).text);
}

static void print_trade_off(const struct mn_report *report, FILE *out)
{
    if (report->system_count < 2) return;
    fprintf(out, "\nThe trade-off: change against the base, in points\n%-*s  %-43s  %s\n", NAME, "",
            "Spider", "MMLU");
    fprintf(out, "%-*s  %-22s %-13s %6s  %-22s %-13s %6s\n", NAME, "", "change", "flips", "p",
            "change", "flips", "p");
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        const struct mn_report_comparison *c = &report->comparisons[i];
        fprintf(out, "%-*s", NAME, c->system->system.name);
        print_change(&c->spider[MN_HARDNESSES], out);
        print_change(&c->mmlu_micro, out);
        fputc('\n', out);
    }
}

static void print_training(const struct mn_report *report, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < report->system_count; i++) {
        const struct mn_system *system = &report->systems[i].system;
        if (!system->trained.steps) continue;
        if (!any)
            fprintf(out, "\nTraining\n%-*s %7s %10s %12s %10s %10s %9s\n", NAME, "", "steps",
                    "tokens", "loss tokens", "first loss", "last loss", "seconds");
        any = true;
        fprintf(out, "%-*s %7lld %10lld %12lld %10.4f %10.4f %9.1f\n", NAME, system->name,
                (long long)system->trained.steps, (long long)system->trained.tokens,
                (long long)system->trained.loss_tokens, system->trained.first_loss,
                system->trained.last_loss, system->trained.seconds);
    }
}

void mn_report_terminal(const struct mn_report *report, FILE *out)
{
    mn_arena *arena;
    fprintf(out, "study %s: %s on %s\n", report->name, report->model, report->device);
    print_spider(report, out);
    print_mmlu(report, out);
    print_trade_off(report, out);
    report_details_terminal(report, out);
    print_training(report, out);
    fputc('\n', out);
    if (mn_arena_open(&arena) != MN_OK) return;
    for (const char **remark = report_remarks(report, MN_ENGLISH, arena); *remark; remark++)
        fprintf(out, "%s\n", *remark);
    mn_arena_close(&arena);
}
