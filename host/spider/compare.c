/* compare.c: are two results the same: as the official evaluator decides, and as the seed study
 * does.
 *
 * Values are numbered first, so that rows and columns are compared as integers. Which column stands
 * for which is found by search: a column can only be matched by one with the same values, and each
 * choice must leave the same multiset of row prefixes. Both are checked by sums of hashes, which
 * never reject what is equal; what they let through is checked exactly at the end. */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

/* Rows looked at in the search: about a second. Real results need a thousandth. */
enum { SEARCH_BUDGET = 200000000 };

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* --- values to ids ---------------------------------------------------------------------------- */

/* Whether a real equals an integer, and which. */
static bool is_integral(double real, int64_t *out)
{
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) return false;
    *out = (int64_t)real;
    return (double)*out == real;
}

static uint64_t hash_value(const struct mn_sql_value *value)
{
    int64_t integer;
    uint64_t hash = 14695981039346656037u;
    switch (value->kind) {
    case MN_SQL_NULL: return 1;
    case MN_SQL_INTEGER: return mix((uint64_t)value->integer + 2);
    case MN_SQL_REAL:
        if (is_integral(value->real, &integer)) return mix((uint64_t)integer + 2);
        memcpy(&hash, &value->real, sizeof hash);
        return mix(hash);
    default:
        for (uint32_t i = 0; i < value->size; i++)
            hash = (hash ^ (unsigned char)value->bytes[i]) * 1099511628211u;
        return mix(hash + value->kind);
    }
}

static bool same_value(const struct mn_sql_value *a, const struct mn_sql_value *b)
{
    int64_t integer;
    if (a->kind == MN_SQL_REAL && b->kind == MN_SQL_INTEGER)
        return is_integral(a->real, &integer) && integer == b->integer;
    if (a->kind == MN_SQL_INTEGER && b->kind == MN_SQL_REAL) return same_value(b, a);
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case MN_SQL_NULL: return true;
    case MN_SQL_INTEGER: return a->integer == b->integer;
    case MN_SQL_REAL: return a->real == b->real;
    default: return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
    }
}

struct numbering {
    struct slot {
        const struct mn_sql_value *value; /* NULL: free */
        uint32_t id;
    } * slot;
    size_t mask;
    uint32_t count;
};

static uint32_t number_of(struct numbering *numbering, const struct mn_sql_value *value)
{
    size_t at = hash_value(value) & numbering->mask;
    while (numbering->slot[at].value && !same_value(numbering->slot[at].value, value))
        at = (at + 1) & numbering->mask;
    if (!numbering->slot[at].value) numbering->slot[at] = (struct slot){value, numbering->count++};
    return numbering->slot[at].id;
}

static size_t cell_count(const struct mn_sql_result *result)
{
    return result->rows * (size_t)result->columns;
}

static uint32_t *number_cells(struct numbering *numbering, const struct mn_sql_result *result)
{
    size_t count = cell_count(result);
    uint32_t *ids = mn_realloc(NULL, count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++) ids[i] = number_of(numbering, &result->cell[i]);
    return ids;
}

struct ids number_values(const struct mn_sql_result *gold, const struct mn_sql_result *found)
{
    size_t capacity = 16, cells = cell_count(gold) + cell_count(found);
    while (capacity < 2 * cells) capacity *= 2;
    struct numbering numbering = {.mask = capacity - 1};
    numbering.slot = mn_realloc(NULL, capacity, sizeof *numbering.slot);
    memset(numbering.slot, 0, capacity * sizeof *numbering.slot);
    struct ids ids = {.gold = number_cells(&numbering, gold)};
    ids.found = number_cells(&numbering, found);
    free(numbering.slot);
    return ids;
}

void ids_free(struct ids *ids)
{
    free(ids->gold);
    free(ids->found);
    *ids = (struct ids){NULL, NULL};
}

static int compare_rows(const void *a, const void *b, void *columns)
{
    const uint32_t *x = a, *y = b;
    for (int i = 0; i < *(int *)columns; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

void sort_rows(uint32_t *matrix, size_t rows, int columns)
{
    qsort_r(matrix, rows, (size_t)columns * sizeof *matrix, compare_rows, &columns);
}

size_t unique_rows(uint32_t *matrix, size_t rows, int columns)
{
    size_t kept = 0, width = (size_t)columns;
    for (size_t i = 0; i < rows; i++) {
        if (kept && compare_rows(matrix + (kept - 1) * width, matrix + i * width, &columns) == 0)
            continue;
        memmove(matrix + kept++ * width, matrix + i * width, width * sizeof *matrix);
    }
    return kept;
}

/* --- column orders ---------------------------------------------------------------------------- */

struct search {
    const uint32_t *gold, *found; /* (rows, columns) */
    size_t rows;
    int columns;
    bool ordered;
    uint64_t *gold_column, *found_column; /* (columns) sum of hashes of the values */
    uint64_t *gold_prefix; /* (columns) sum of hashes of the rows' first columns + 1 values */
    uint64_t *prefix;      /* (columns + 1, rows) of found, in the order chosen so far */
    int *order;            /* (columns) order[i]: column of found that stands for gold's i */
    bool *used;            /* (columns) */
    int64_t budget;
};

static uint32_t at(const uint32_t *matrix, const struct search *s, size_t row, int column)
{
    return matrix[row * (size_t)s->columns + (size_t)column];
}

static bool same_column(const struct search *s, const uint32_t *a, int i, const uint32_t *b, int j)
{
    for (size_t row = 0; row < s->rows; row++)
        if (at(a, s, row, i) != at(b, s, row, j)) return false;
    return true;
}

/* The rows of found in the chosen order are those of gold, as multisets. */
static bool same_rows(const struct search *s)
{
    size_t width = (size_t)s->columns, cells = s->rows * width;
    uint32_t *gold = mn_realloc(NULL, cells + 1, sizeof *gold);
    uint32_t *found = mn_realloc(NULL, cells + 1, sizeof *found);
    memcpy(gold, s->gold, cells * sizeof *gold);
    for (size_t row = 0; row < s->rows; row++)
        for (int i = 0; i < s->columns; i++)
            found[row * width + (size_t)i] = at(s->found, s, row, s->order[i]);
    sort_rows(gold, s->rows, s->columns);
    sort_rows(found, s->rows, s->columns);
    bool same = memcmp(gold, found, cells * sizeof *gold) == 0;
    free(gold);
    free(found);
    return same;
}

/* Extends every row's prefix by a column; the sum over rows. */
static uint64_t extend(const struct search *s, uint64_t *to, const uint64_t *from,
                       const uint32_t *matrix, int column)
{
    uint64_t sum = 0;
    for (size_t row = 0; row < s->rows; row++) {
        to[row] = mix(from[row] * 31 + at(matrix, s, row, column) + 1);
        sum += to[row];
    }
    return sum;
}

/* A column like one that was tried in this place and failed fails as well. */
static bool tried_alike(const struct search *s, int candidate)
{
    for (int j = 0; j < candidate; j++)
        if (!s->used[j] && s->found_column[j] == s->found_column[candidate] &&
            same_column(s, s->found, j, s->found, candidate))
            return true;
    return false;
}

static bool may_stand_for(struct search *s, int column, int candidate)
{
    if (s->used[candidate] || s->gold_column[column] != s->found_column[candidate]) return false;
    s->budget -= (int64_t)s->rows * 2;
    if (s->budget < 0 || tried_alike(s, candidate)) return false;
    if (s->ordered) return same_column(s, s->gold, column, s->found, candidate);
    uint64_t *prefix = s->prefix + (size_t)column * s->rows;
    return extend(s, prefix + s->rows, prefix, s->found, candidate) == s->gold_prefix[column];
}

static bool find_order(struct search *s, int column)
{
    if (column == s->columns) return s->ordered || same_rows(s);
    for (int j = 0; j < s->columns && s->budget >= 0; j++) {
        if (!may_stand_for(s, column, j)) continue;
        s->used[j] = true;
        s->order[column] = j;
        bool found = find_order(s, column + 1);
        s->used[j] = false;
        if (found) return true;
    }
    return false;
}

static void sum_columns(const struct search *s, const uint32_t *matrix, uint64_t *out)
{
    for (int i = 0; i < s->columns; i++) {
        out[i] = 0;
        for (size_t row = 0; row < s->rows; row++) out[i] += mix(at(matrix, s, row, i) + 1);
    }
}

static bool same_in_some_order(const struct ids *ids, size_t rows, int columns, bool ordered)
{
    size_t width = (size_t)columns;
    struct search s = {
        .gold = ids->gold,
        .found = ids->found,
        .rows = rows,
        .columns = columns,
        .ordered = ordered,
        .gold_column = mn_realloc(NULL, width, sizeof(uint64_t)),
        .found_column = mn_realloc(NULL, width, sizeof(uint64_t)),
        .gold_prefix = mn_realloc(NULL, width, sizeof(uint64_t)),
        .prefix = mn_realloc(NULL, (width + 1) * rows, sizeof(uint64_t)),
        .order = mn_realloc(NULL, width, sizeof(int)),
        .used = mn_realloc(NULL, width, sizeof(bool)),
        .budget = SEARCH_BUDGET,
    };
    memset(s.used, 0, width * sizeof(bool));
    memset(s.prefix, 0, rows * sizeof(uint64_t));
    sum_columns(&s, s.gold, s.gold_column);
    sum_columns(&s, s.found, s.found_column);
    for (int i = 0; i < columns; i++) /* gold's own prefixes, in the room of the search's first */
        s.gold_prefix[i] = extend(&s, s.prefix, s.prefix, s.gold, i);
    memset(s.prefix, 0, rows * sizeof(uint64_t));
    bool same = find_order(&s, 0);
    free(s.gold_column);
    free(s.found_column);
    free(s.gold_prefix);
    free(s.prefix);
    free(s.order);
    free(s.used);
    return same;
}

bool mn_sql_equal(const struct mn_sql_result *gold, const struct mn_sql_result *found, bool ordered)
{
    if (gold->error != MN_SQL_NONE || found->error != MN_SQL_NONE) return false;
    if (gold->rows != found->rows) return false;
    if (gold->rows == 0) return true;
    if (gold->columns != found->columns) return false;
    struct ids ids = number_values(gold, found);
    bool same = same_in_some_order(&ids, gold->rows, gold->columns, ordered) &&
                passes_quick_rejection(gold, found, &ids, ordered);
    ids_free(&ids);
    return same;
}

/* --- the seed study's ------------------------------------------------------------------------- */

/* Python orders numbers among each other and text among itself, nothing else. */
static int order_class(const struct mn_sql_value *value)
{
    return value->kind == MN_SQL_REAL ? MN_SQL_INTEGER : (int)value->kind;
}

struct sorted_row {
    const uint32_t *ids;
    const struct mn_sql_value *cell;
};

static int compare_sorted_rows(const void *a, const void *b, void *columns)
{
    return compare_rows(((const struct sorted_row *)a)->ids, ((const struct sorted_row *)b)->ids,
                        columns);
}

/* Sorting must compare two neighbours of its outcome, so it raises exactly where the first values
 * in which two rows differ cannot be ordered. Rows with the same beginning are neighbours here too,
 * whatever the order of ids. */
static bool sorting_raises(const struct mn_sql_result *result, const uint32_t *ids)
{
    bool raises = false;
    int columns = result->columns;
    struct sorted_row *row = mn_realloc(NULL, result->rows + 1, sizeof *row);
    for (size_t i = 0; i < result->rows; i++)
        row[i] = (struct sorted_row){ids + i * (size_t)columns, result->cell + i * (size_t)columns};
    qsort_r(row, result->rows, sizeof *row, compare_sorted_rows, &columns);
    for (size_t i = 1; i < result->rows && !raises; i++) {
        int c = 0;
        while (c < columns && row[i].ids[c] == row[i - 1].ids[c]) c++;
        raises = c < columns && order_class(&row[i].cell[c]) != order_class(&row[i - 1].cell[c]);
    }
    free(row);
    return raises;
}

static bool same_sets(const struct ids *ids, size_t gold_rows, size_t found_rows, int columns)
{
    sort_rows(ids->gold, gold_rows, columns);
    sort_rows(ids->found, found_rows, columns);
    size_t kept = unique_rows(ids->gold, gold_rows, columns);
    return kept == unique_rows(ids->found, found_rows, columns) &&
           memcmp(ids->gold, ids->found, kept * (size_t)columns * sizeof *ids->gold) == 0;
}

bool mn_sql_equal_seed(const struct mn_sql_result *gold, const struct mn_sql_result *found)
{
    if (gold->error != MN_SQL_NONE || found->error != MN_SQL_NONE) return false;
    if (gold->bad_text || found->bad_text) return false;
    if (gold->rows == 0 || found->rows == 0) return gold->rows == found->rows;
    if (gold->columns != found->columns) return false;
    struct ids ids = number_values(gold, found);
    bool same = !sorting_raises(gold, ids.gold) && !sorting_raises(found, ids.found) &&
                same_sets(&ids, gold->rows, found->rows, gold->columns);
    ids_free(&ids);
    return same;
}
