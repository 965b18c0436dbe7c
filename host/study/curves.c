/* curves.c: from the points of curves to what they gained and lost.
 *
 * A curve begins with the base and holds the adapter itself: both have answered every item, and
 * stand here with those items that the points were asked. */
#include "curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The rows of `system` whose items `asked` has too. Both are in order. */
static void keep_spider(mn_arena *arena, struct mn_report_system *system,
                        const struct mn_report_system *asked)
{
    struct mn_spider_row *kept = MN_NEW(arena, struct mn_spider_row, system->spider_count);
    size_t count = 0;
    for (size_t i = 0, j = 0; i < system->spider_count; i++) {
        const int64_t index = system->spider_rows[i].index;
        while (j < asked->spider_count && asked->spider_rows[j].index < index) j++;
        if (j < asked->spider_count && asked->spider_rows[j].index == index)
            kept[count++] = system->spider_rows[i];
    }
    system->spider_rows = kept;
    system->spider_count = count;
}

static int compare_rows(const struct mn_mmlu_row *a, const struct mn_mmlu_row *b)
{
    const int order = strcmp(a->subject, b->subject);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

static void keep_mmlu(mn_arena *arena, struct mn_report_system *system,
                      const struct mn_report_system *asked)
{
    struct mn_mmlu_row *kept = MN_NEW(arena, struct mn_mmlu_row, system->mmlu_count);
    size_t count = 0;
    for (size_t i = 0, j = 0; i < system->mmlu_count; i++) {
        const struct mn_mmlu_row *row = &system->mmlu_rows[i];
        while (j < asked->mmlu_count && compare_rows(&asked->mmlu_rows[j], row) < 0) j++;
        if (j < asked->mmlu_count && compare_rows(&asked->mmlu_rows[j], row) == 0)
            kept[count++] = *row;
    }
    system->mmlu_rows = kept;
    system->mmlu_count = count;
}

static struct mn_interval accuracy_interval(const struct mn_change *change)
{
    return mn_wilson(llround(change->after * (double)change->items), change->items);
}

/* `system` on the items of `asked`. */
static struct mn_report_stop make_stop(mn_arena *arena, const struct mn_report *report,
                                       const struct mn_report_system *system,
                                       const struct mn_report_system *asked)
{
    struct mn_report_system part = *system;
    struct mn_report_stop stop = {.system = system->system.name,
                                  .step = system->system.trained.steps,
                                  .strength = system->system.strength};
    if (system != asked) {
        keep_spider(arena, &part, asked);
        keep_mmlu(arena, &part, asked);
    }
    report_compare_spider(&report->systems[0], &part, MN_HARDNESSES, &stop.spider);
    report_compare_mmlu(&report->systems[0], &part, &stop.mmlu);
    stop.spider_interval = accuracy_interval(&stop.spider);
    stop.mmlu_interval = accuracy_interval(&stop.mmlu);
    return stop;
}

static int compare_stops(const void *a, const void *b)
{
    const struct mn_report_stop *x = a, *y = b;
    if (x->strength != y->strength) return x->strength < y->strength ? -1 : 1;
    return (x->step > y->step) - (x->step < y->step);
}

/* Checkpoints have strength 1; the adapter's own row is of its last step. */
static bool belongs(const struct mn_report_system *point, const char *training, bool by_strength)
{
    return strcmp(point->system.training, training) == 0 &&
           (point->system.strength != 1) == by_strength;
}

static void add_curve(mn_arena *arena, struct mn_report *report,
                      const struct mn_report_system *adapter, bool by_strength)
{
    struct mn_report_curve curve = {.training = adapter->system.name, .by_strength = by_strength};
    const struct mn_report_system *first = NULL;
    curve.stops = MN_NEW(arena, struct mn_report_stop, report->point_count + 2);
    for (size_t i = 0; i < report->point_count; i++) {
        const struct mn_report_system *point = &report->points[i];
        if (!belongs(point, adapter->system.name, by_strength)) continue;
        if (!first) first = point;
        curve.stops[curve.count++] = make_stop(arena, report, point, point);
    }
    if (!first) return;
    struct mn_report_stop base = make_stop(arena, report, &report->systems[0], first);
    if (by_strength) base.strength = 0;
    curve.stops[curve.count++] = base;
    curve.stops[curve.count++] = make_stop(arena, report, adapter, first);
    qsort(curve.stops, curve.count, sizeof *curve.stops, compare_stops);
    report->curves[report->curve_count++] = curve;
}

/* Whether `a` is at least as good in both, and better in one. */
static bool dominates(const struct mn_report_stop *a, const struct mn_report_stop *b)
{
    const double spider = a->spider.change - b->spider.change;
    const double mmlu = a->mmlu.change - b->mmlu.change;
    return spider >= 0 && mmlu >= 0 && (spider > 0 || mmlu > 0);
}

/* The front over all curves together: nothing there gains more and loses less. */
static void mark_front(struct mn_report *report)
{
    for (size_t c = 0; c < report->curve_count; c++)
        for (size_t i = 0; i < report->curves[c].count; i++) {
            struct mn_report_stop *stop = &report->curves[c].stops[i];
            stop->front = stop->spider.items > 0 && stop->mmlu.items > 0;
            for (size_t d = 0; d < report->curve_count && stop->front; d++)
                for (size_t j = 0; j < report->curves[d].count && stop->front; j++)
                    stop->front = !dominates(&report->curves[d].stops[j], stop);
        }
}

void report_load_curves(mn_arena *arena, struct mn_report *report)
{
    report->curves = MN_NEW(arena, struct mn_report_curve, 2 * report->system_count);
    for (size_t i = 1; i < report->system_count; i++) {
        add_curve(arena, report, &report->systems[i], true);
        add_curve(arena, report, &report->systems[i], false);
    }
    mark_front(report);
}
