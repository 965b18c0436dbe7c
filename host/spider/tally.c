/* tally.c: counts of verdicts, over all items and by hardness. */
#include <inttypes.h>

#include "minuano/spider.h"

static void add(struct mn_spider_count *count, const struct mn_verdict *verdict)
{
    count->total++;
    if (verdict->official < 0) {
        count->missing++;
        return;
    }
    count->judged++;
    count->official += verdict->official;
    count->distinct += verdict->distinct;
    count->seed += verdict->seed;
    count->errors[verdict->error]++;
}

void mn_spider_tally_add(struct mn_spider_tally *tally, enum mn_hardness hardness,
                         const struct mn_verdict *verdict)
{
    add(&tally->by[hardness], verdict);
    add(&tally->by[MN_HARDNESSES], verdict);
}

static json_t *accuracy(int64_t hits, int64_t judged)
{
    return judged ? json_real((double)hits / (double)judged) : json_null();
}

static json_t *count_json(const struct mn_spider_count *count)
{
    json_t *object = json_object(), *accuracies = json_object();
    json_object_set_new(object, "total", json_integer(count->total));
    json_object_set_new(object, "judged", json_integer(count->judged));
    json_object_set_new(object, "missing", json_integer(count->missing));
    json_object_set_new(object, "official", json_integer(count->official));
    json_object_set_new(object, "distinct", json_integer(count->distinct));
    json_object_set_new(object, "seed", json_integer(count->seed));
    json_object_set_new(accuracies, "official", accuracy(count->official, count->judged));
    json_object_set_new(accuracies, "distinct", accuracy(count->distinct, count->judged));
    json_object_set_new(accuracies, "seed", accuracy(count->seed, count->judged));
    json_object_set_new(object, "accuracy", accuracies);
    return object;
}

json_t *mn_spider_tally_json(const struct mn_spider_tally *tally)
{
    const struct mn_spider_count *all = &tally->by[MN_HARDNESSES];
    json_t *object = count_json(all), *errors = json_object(), *levels = json_object();
    for (int e = MN_SQL_NONE + 1; e < MN_SQL_ERRORS; e++)
        if (all->errors[e])
            json_object_set_new(errors, mn_sql_error_words((enum mn_sql_error)e),
                                json_integer(all->errors[e]));
    for (int h = 0; h < MN_HARDNESSES; h++) {
        const char *name = mn_hardness_name((enum mn_hardness)h);
        if (tally->by[h].total)
            json_object_set_new(levels, name ? name : "unknown", count_json(&tally->by[h]));
    }
    json_object_set_new(object, "errors", errors);
    json_object_set_new(object, "hardness", levels);
    return object;
}

static void print_metric(FILE *out, int64_t hits, int64_t judged)
{
    if (judged)
        fprintf(out, "  %6" PRId64 " %5.1f %%", hits, 100.0 * (double)hits / (double)judged);
    else
        fprintf(out, "  %6s %7s", "-", "");
}

static void print_count(const char *name, const struct mn_spider_count *count, FILE *out)
{
    fprintf(out, "%-8s %6" PRId64 " %7" PRId64 " %8" PRId64, name, count->total, count->judged,
            count->missing);
    print_metric(out, count->official, count->judged);
    print_metric(out, count->distinct, count->judged);
    print_metric(out, count->seed, count->judged);
    fputc('\n', out);
}

void mn_spider_tally_print(const struct mn_spider_tally *tally, FILE *out)
{
    const struct mn_spider_count *all = &tally->by[MN_HARDNESSES];
    const char *separator = "errors: ";
    fprintf(out, "%-8s %6s %7s %8s  %14s  %14s  %14s\n", "", "total", "judged", "missing",
            "official", "distinct", "seed");
    for (int h = 0; h < MN_HARDNESSES; h++) {
        const char *name = mn_hardness_name((enum mn_hardness)h);
        if (tally->by[h].total) print_count(name ? name : "unknown", &tally->by[h], out);
    }
    print_count("all", all, out);
    for (int e = MN_SQL_NONE + 1; e < MN_SQL_ERRORS; e++) {
        if (!all->errors[e]) continue;
        fprintf(out, "%s%s %" PRId64, separator, mn_sql_error_words((enum mn_sql_error)e),
                all->errors[e]);
        separator = ", ";
    }
    if (separator[0] == ',') fputc('\n', out);
}
