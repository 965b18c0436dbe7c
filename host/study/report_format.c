/* report_format.c: numbers and remarks for people. */
#include "language.h"
#include "protocol.h"

#include <math.h>
#include <string.h>

enum { FEW_CLUSTERS = 30, MANY_ADAPTERS = 3, REMARKS = 16 };

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

/* In points, with its sign: a minus as wide as the plus; what rounds to nothing has no sign of its
 * own. */
static struct cell signed_points(double change)
{
    struct cell cell;
    double points = fabs(change) < 0.0005 ? 0 : 100 * change;
    snprintf(cell.text, sizeof cell.text, "%s%.1f",
             points < 0   ? "\xE2\x88\x92"
             : points > 0 ? "+"
                          : "",
             fabs(points));
    return cell;
}

struct cell cell_points(double change)
{
    return isfinite(change) ? signed_points(change) : (struct cell){"-"};
}

static struct cell cell_signed(struct mn_interval of)
{
    struct cell cell;
    snprintf(cell.text, sizeof cell.text, "[%.20s, %.20s]", signed_points(of.low).text,
             signed_points(of.high).text);
    return cell;
}

struct cell cell_points_interval(const struct mn_change *change)
{
    struct cell cell = cell_points(change->change), interval = cell_signed(change->interval);
    size_t length = strlen(cell.text);
    if (isfinite(change->change) && isfinite(change->interval.low))
        snprintf(cell.text + length, sizeof cell.text - length, " %.44s", interval.text);
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
        snprintf(cell.text, sizeof cell.text, "%lld / %lld", (long long)change->gained,
                 (long long)change->lost);
    return cell;
}

struct cell cell_detectable(const struct mn_change *change)
{
    struct cell cell = {"-"};
    if (isfinite(change->detectable))
        snprintf(cell.text, sizeof cell.text, "%.1f", 100 * change->detectable);
    return cell;
}

const char *report_filled(mn_arena *arena, const char *sentence, const char *const *values)
{
    struct mn_text text = {0};
    const char *hole;
    for (; (hole = strstr(sentence, "{}")); sentence = hole + 2) {
        mn_text_add(&text, sentence, (size_t)(hole - sentence));
        mn_text_puts(&text, *values++);
    }
    mn_text_puts(&text, sentence);
    const char *kept = mn_arena_strdup(arena, text.data);
    mn_text_free(&text);
    return kept;
}

static const char *digits(mn_arena *arena, int64_t value)
{
    return mn_arena_printf(arena, "%lld", (long long)value);
}

const char *report_model(const struct mn_report *report, mn_arena *arena)
{
    char *path = mn_arena_strdup(arena, report->model), *back;
    for (char *from = path; (back = strstr(from, "/../"));) {
        char *name = back;
        while (name > path && name[-1] != '/') name--;
        bool is_name = name < back && name[0] != '.';
        if (is_name)
            memmove(name, back + 4, strlen(back + 4) + 1);
        else
            from = back + 1;
    }
    return path;
}

/* --- sentences -------------------------------------------------------------------------------- */

int report_clear(const struct mn_change *change)
{
    const struct mn_interval *interval = &change->interval;
    if (!change->items || change->p >= 0.05) return 0;
    if (isfinite(interval->low) && interval->low <= 0 && interval->high >= 0) return 0;
    return change->change > 0 ? 1 : -1;
}

bool report_is_marked(const struct mn_change *change)
{
    return change->holm_p < 0.05; /* NaN is not */
}

const char *report_sentence(const struct mn_change *change, enum mn_language language,
                            mn_arena *arena)
{
    static const enum phrase verdicts[] = {SAY_CLEAR_LOSS, SAY_UNCLEAR, SAY_CLEAR_GAIN};
    struct cell points = localized(language, cell_points(change->change));
    struct cell p = localized(language, cell_p(change->p));
    struct cell detectable = localized(language, cell_detectable(change));
    int clear = report_clear(change);
    const char *interval = ""; /* with the blank before it */
    if (!change->items) return NULL;
    if (isfinite(change->interval.low))
        interval =
            mn_arena_printf(arena, " %s", localized(language, cell_signed(change->interval)).text);
    const char *sentence = report_filled(
        arena, say(language, SAY_IN_SHORT_LINE),
        (const char *[]){points.text, interval, say(language, verdicts[clear + 1]),
                         digits(arena, change->gained), digits(arena, change->lost), p.text});
    if (clear != 0 || !isfinite(change->detectable)) return sentence;
    return mn_arena_printf(
        arena, "%s%s", sentence,
        report_filled(arena, say(language, SAY_WOULD_SHOW), (const char *[]){detectable.text}));
}

/* --- remarks ---------------------------------------------------------------------------------- */

bool report_has_items(const struct mn_report_comparison *comparison)
{
    return comparison->spider[MN_HARDNESSES].items > 0 || comparison->mmlu_micro.items > 0;
}

bool report_stop_has_items(const struct mn_report_stop *stop)
{
    return stop->spider.items > 0 || stop->mmlu.items > 0;
}

const char *report_unfinished(const struct mn_report *report, enum mn_language language,
                              mn_arena *arena)
{
    if (report->complete) return NULL;
    return report_filled(
        arena, say(language, SAY_NOTE_UNFINISHED),
        (const char *[]){digits(arena, report->items_done), digits(arena, report->items_planned)});
}

bool report_has_spider(const struct mn_report *report)
{
    return report->system_count && report->systems[0].system.spider_planned > 0;
}

bool report_has_mmlu(const struct mn_report *report)
{
    return report->system_count && report->systems[0].system.mmlu_planned > 0;
}

int report_miss(const struct mn_verdict *verdict)
{
    bool none = verdict->error == MN_SQL_NONE && verdict->no_rows;
    return none ? (int)MN_MISS_NO_ROWS : (int)verdict->error;
}

const char *report_miss_words(int miss)
{
    return miss == MN_SQL_NONE       ? "wrong rows"
           : miss == MN_MISS_NO_ROWS ? "no rows"
                                     : mn_sql_error_words((enum mn_sql_error)miss);
}

const char **report_remarks(const struct mn_report *report, enum mn_language language,
                            mn_arena *arena)
{
    const char **protocol = protocol_remarks(report, language, arena), **last = protocol;
    while (*last) last++;
    const char **remarks =
        MN_NEW(arena, const char *,
               REMARKS + (last - protocol) + PROBE_REMARKS * (ptrdiff_t)report->system_count);
    int64_t adapters = 0; /* the baseline is none */
    int64_t databases = 0, subjects = 0, missing = 0, unparsed = 0, cut = 0, spider_cut = 0;
    for (size_t i = 0; i + 1 < report->system_count; i++) {
        databases = report->comparisons[i].spider[MN_HARDNESSES].clusters;
        subjects = report->comparisons[i].mmlu_micro.clusters;
    }
    for (size_t i = 0; i < report->system_count; i++) {
        adapters += report->systems[i].system.settings != NULL;
        missing += report->systems[i].spider.by[MN_HARDNESSES].missing;
        unparsed += report->systems[i].mmlu.micro.unparsed;
        for (size_t q = 0; q < report->systems[i].mmlu_count; q++)
            cut += report->systems[i].mmlu_rows[q].cut;
        for (size_t q = 0; q < report->systems[i].spider_count; q++)
            spider_cut += report->systems[i].spider_rows[q].cut;
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
        {adapters >= MANY_ADAPTERS, SAY_NOTE_MANY, adapters},
        {unparsed > 0, SAY_NOTE_UNPARSED, unparsed},
        {cut > 0, SAY_NOTE_CUT, cut},
        {spider_cut > 0, SAY_NOTE_SPIDER_CUT, spider_cut},
        {true, SAY_NOTE_INTERVALS, 0},
        {true, SAY_NOTE_FLIPS, 0},
    };
    const char *planned = digits(arena, report->items_planned);
    size_t count = 0;
    for (size_t i = 0; i < MN_COUNT(rows); i++)
        if (rows[i].holds)
            remarks[count++] =
                report_filled(arena, say(language, rows[i].sentence),
                              (const char *[]){digits(arena, rows[i].number), planned});
    count += report_probe_remarks(report, language, arena, remarks + count);
    while (*protocol) remarks[count++] = *protocol++;
    remarks[count] = NULL;
    return remarks;
}
