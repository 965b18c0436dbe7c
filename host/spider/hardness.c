/* hardness.c: how hard a question is, from the parse of its gold query: the rules of the official
 * evaluator, over the `sql` object that dev.json carries.
 *
 * A parse is {"select": [distinct, [[aggregate, value], ...]], "from": {"table_units", "conds"},
 * "where", "having": [condition, "and" | "or", condition, ...], "groupBy": [column, ...],
 * "orderBy": [direction, [value, ...]], "limit", "intersect", "except", "union"}; a condition is
 * [not, operator, value, operand, operand], a value [operator, column, column], a column
 * [aggregate, id, distinct]. */
#include <string.h>

#include "minuano/spider.h"

enum { OPERATOR_LIKE = 9 };

static const char *const names[] = {"easy", "medium", "hard", "extra", NULL};

const char *mn_hardness_name(enum mn_hardness hardness)
{
    return names[hardness];
}

struct parse {
    const json_t *select, *tables, *from, *where, *having, *group, *order;
    bool limit;
    int compound; /* of intersect, except, union */
};

/* Sections that are absent, null or of another kind read as NULL, which counts as empty. */
static bool counts_as_agg(const json_t *unit)
{
    const json_t *first = json_array_get(unit, 0);
    return json_is_true(first) || (json_is_integer(first) && json_integer_value(first) != 0);
}

static int count_aggs(const json_t *units, size_t step)
{
    int count = 0;
    for (size_t i = 0; i < json_array_size(units); i += step) {
        const json_t *unit = json_array_get(units, i);
        /* A connective among them is a non-empty string, whose first letter is not 0 either. */
        count += json_is_string(unit) || counts_as_agg(unit);
    }
    return count;
}

static int count_or_like(const json_t *conditions)
{
    int count = 0;
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *unit = json_array_get(conditions, i);
        if (i % 2 == 1)
            count += json_is_string(unit) && strcmp(json_string_value(unit), "or") == 0;
        else
            count += json_integer_value(json_array_get(unit, 1)) == OPERATOR_LIKE;
    }
    return count;
}

static int count_nested(const json_t *conditions)
{
    int count = 0;
    for (size_t i = 0; i < json_array_size(conditions); i += 2) {
        const json_t *unit = json_array_get(conditions, i);
        count += json_is_object(json_array_get(unit, 3)) + json_is_object(json_array_get(unit, 4));
    }
    return count;
}

static int component1(const struct parse *p)
{
    int tables = (int)json_array_size(p->tables);
    return (json_array_size(p->where) > 0) + (json_array_size(p->group) > 0) +
           (json_array_size(p->order) > 0) + p->limit + (tables > 1 ? tables - 1 : 0) +
           count_or_like(p->from) + count_or_like(p->where) + count_or_like(p->having);
}

static int component2(const struct parse *p)
{
    return count_nested(p->from) + count_nested(p->where) + count_nested(p->having) + p->compound;
}

static int others(const struct parse *p)
{
    const json_t *selected = json_array_get(p->select, 1), *values = json_array_get(p->order, 1);
    int aggs = count_aggs(selected, 1) + count_aggs(p->where, 2) + count_aggs(p->group, 1) +
               count_aggs(p->having, 1);
    for (size_t i = 0; i < json_array_size(values); i++)
        aggs += counts_as_agg(json_array_get(json_array_get(values, i), 1)) +
                counts_as_agg(json_array_get(json_array_get(values, i), 2));
    return (aggs > 1) + (json_array_size(selected) > 1) + (json_array_size(p->where) > 1) +
           (json_array_size(p->group) > 1);
}

static enum mn_hardness grade(int c1, int c2, int rest)
{
    if (c1 <= 1 && rest == 0 && c2 == 0) return MN_EASY;
    if (c2 == 0 && ((rest <= 2 && c1 <= 1) || (c1 <= 2 && rest < 2))) return MN_MEDIUM;
    if ((rest > 2 && c1 <= 2 && c2 == 0) || (c1 == 3 && rest <= 2 && c2 == 0) ||
        (c1 <= 1 && rest == 0 && c2 <= 1))
        return MN_HARD;
    return MN_EXTRA;
}

mn_status mn_hardness_read(const json_t *sql, const char *where, enum mn_hardness *out)
{
    struct parse p = {0};
    const json_t *from;
    MN_TRY(mn_json_object(sql, where, "from", &from));
    MN_TRY(mn_json_array(from, where, "table_units", &p.tables));
    MN_TRY(mn_json_array(from, where, "conds", &p.from));
    MN_TRY(mn_json_array(sql, where, "select", &p.select));
    MN_TRY(mn_json_array(sql, where, "where", &p.where));
    MN_TRY(mn_json_array(sql, where, "having", &p.having));
    MN_TRY(mn_json_array(sql, where, "groupBy", &p.group));
    MN_TRY(mn_json_array(sql, where, "orderBy", &p.order));
    const char *const compounds[] = {"intersect", "except", "union"};
    for (size_t i = 0; i < MN_COUNT(compounds); i++) {
        const json_t *nested = json_object_get(sql, compounds[i]);
        p.compound += nested && !json_is_null(nested);
    }
    const json_t *limit = json_object_get(sql, "limit");
    p.limit = limit && !json_is_null(limit);
    *out = grade(component1(&p), component2(&p), others(&p));
    return MN_OK;
}
