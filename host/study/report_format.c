/* report_format.c: numbers and remarks for people. */
#include "report_format.h"

#include <math.h>

enum { FEW_CLUSTERS = 30, REMARKS = 16 };

struct cell cell_percent(double share)
{
    struct cell cell = {"-"};
    if (isfinite(share)) snprintf(cell.text, sizeof cell.text, "%.1f %%", 100 * share);
    return cell;
}

struct cell cell_interval(struct mn_interval of)
{
    struct cell cell = {"-"};
    if (isfinite(of.low))
        snprintf(cell.text, sizeof cell.text, "[%.1f, %.1f]", 100 * of.low, 100 * of.high);
    return cell;
}

/* In points; what rounds to nothing has no sign of its own. */
static double points(double change)
{
    return fabs(change) < 0.0005 ? 0 : 100 * change;
}

struct cell cell_points(double change)
{
    struct cell cell = {"-"};
    if (isfinite(change)) snprintf(cell.text, sizeof cell.text, "%+.1f", points(change));
    return cell;
}

struct cell cell_points_interval(const struct mn_change *change)
{
    struct cell cell = cell_points(change->change);
    if (isfinite(change->change) && isfinite(change->interval.low))
        snprintf(cell.text, sizeof cell.text, "%+.1f [%+.1f, %+.1f]", points(change->change),
                 points(change->interval.low), points(change->interval.high));
    return cell;
}

struct cell cell_error(double standard_error)
{
    struct cell cell = {""};
    if (isfinite(standard_error))
        snprintf(cell.text, sizeof cell.text, "± %.1f", 100 * standard_error);
    return cell;
}

struct cell cell_p(double p)
{
    struct cell cell = {"-"};
    if (isfinite(p)) snprintf(cell.text, sizeof cell.text, p < 0.0005 ? "%.0e" : "%.3f", p);
    return cell;
}

struct cell cell_flips(const struct mn_change *change)
{
    struct cell cell = {"-"};
    if (change->items)
        snprintf(cell.text, sizeof cell.text, "+%lld / -%lld", (long long)change->gained,
                 (long long)change->lost);
    return cell;
}

const char **report_remarks(const struct mn_report *report, mn_arena *arena)
{
    const char **remarks = MN_NEW(arena, const char *, REMARKS);
    size_t count = 0;
    int databases = 0, subjects = 0;
    int64_t missing = 0, unparsed = 0, cut = 0;
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        databases = report->comparisons[i].spider[MN_HARDNESSES].clusters;
        subjects = report->comparisons[i].mmlu_micro.clusters;
    }
    for (size_t i = 0; i < report->system_count; i++) {
        missing += report->systems[i].spider.by[MN_HARDNESSES].missing;
        unparsed += report->systems[i].mmlu.micro.unparsed;
        for (size_t q = 0; q < report->systems[i].mmlu_count; q++)
            cut += report->systems[i].mmlu_rows[q].cut;
    }
    if (!report->complete)
        remarks[count++] = mn_arena_printf(
            arena, "Unfinished: %lld of %lld items are done; comparisons use the items both have.",
            (long long)report->items_done, (long long)report->items_planned);
    if (missing)
        remarks[count++] = mn_arena_printf(
            arena,
            "%lld Spider answers could not be judged: their database is missing. They are "
            "in no accuracy.",
            (long long)missing);
    if (databases > 0 && databases < FEW_CLUSTERS)
        remarks[count++] = mn_arena_printf(
            arena, "Spider's intervals rest on %d database%s: they are wide, and rough.", databases,
            databases > 1 ? "s" : "");
    if (subjects > 0 && subjects < FEW_CLUSTERS)
        remarks[count++] = mn_arena_printf(
            arena, "MMLU's intervals rest on %d subject%s: they are wide, and rough.", subjects,
            subjects > 1 ? "s" : "");
    if (unparsed)
        remarks[count++] = mn_arena_printf(
            arena, "%lld MMLU replies name no letter: counted as wrong.", (long long)unparsed);
    if (cut)
        remarks[count++] = mn_arena_printf(
            arena,
            "%lld MMLU prompts were longer than the model's context and were cut on the "
            "left.",
            (long long)cut);
    remarks[count++] =
        "Intervals are 95 %: Wilson's for one accuracy; for a change, a paired bootstrap "
        "of whole databases or subjects.";
    remarks[count++] =
        "Flips are items won and lost against the base; p is the exact McNemar test's.";
    remarks[count] = NULL;
    return remarks;
}
