/* report_format.c: numbers and remarks for people. */
#include "language.h"
#include "protocol.h"

#include <math.h>
#include <string.h>

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

/* The sentence with its "{}" replaced by the numbers in order. */
static const char *filled(mn_arena *arena, const char *sentence, int64_t first, int64_t second)
{
    struct mn_text text = {0};
    const char *hole;
    for (; (hole = strstr(sentence, "{}")); sentence = hole + 2, first = second) {
        mn_text_add(&text, sentence, (size_t)(hole - sentence));
        mn_text_printf(&text, "%lld", (long long)first);
    }
    mn_text_puts(&text, sentence);
    const char *kept = mn_arena_strdup(arena, text.data);
    mn_text_free(&text);
    return kept;
}

const char **report_remarks(const struct mn_report *report, enum mn_language language,
                            mn_arena *arena)
{
    const char **protocol = protocol_remarks(report, language, arena), **last = protocol;
    while (*last) last++;
    const char **remarks = MN_NEW(arena, const char *, REMARKS + (last - protocol));
    int64_t databases = 0, subjects = 0, missing = 0, unparsed = 0, cut = 0;
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
    const struct {
        bool holds;
        enum phrase sentence;
        int64_t number;
    } rows[] = {
        {!report->complete, SAY_NOTE_UNFINISHED, report->items_done},
        {missing > 0, SAY_NOTE_MISSING, missing},
        {databases == 1, SAY_NOTE_ONE_DATABASE, 1},
        {databases > 1 && databases < FEW_CLUSTERS, SAY_NOTE_DATABASES, databases},
        {subjects == 1, SAY_NOTE_ONE_SUBJECT, 1},
        {subjects > 1 && subjects < FEW_CLUSTERS, SAY_NOTE_SUBJECTS, subjects},
        {unparsed > 0, SAY_NOTE_UNPARSED, unparsed},
        {cut > 0, SAY_NOTE_CUT, cut},
        {true, SAY_NOTE_INTERVALS, 0},
        {true, SAY_NOTE_FLIPS, 0},
    };
    size_t count = 0;
    for (size_t i = 0; i < MN_COUNT(rows); i++)
        if (rows[i].holds)
            remarks[count++] = filled(arena, say(language, rows[i].sentence), rows[i].number,
                                      report->items_planned);
    while (*protocol) remarks[count++] = *protocol++;
    remarks[count] = NULL;
    return remarks;
}
