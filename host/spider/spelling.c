/* spelling.c: the official evaluator's quick rejection, which depends on how Python spells values.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

/* repr() of a float: the fewest digits that read back the same, fixed for exponents -4 … 15. */
static void add_real(double real, struct mn_text *out)
{
    char scientific[40], digits[24];
    int precision = 0, count = 0;
    if (!isfinite(real)) {
        mn_text_puts(out, real > 0 ? "inf" : "-inf");
        return;
    }
    do snprintf(scientific, sizeof scientific, "%.*e", precision, real);
    while (precision++ < 16 && strtod(scientific, NULL) != real);
    int exponent = atoi(strchr(scientific, 'e') + 1);
    for (const char *c = scientific; *c != 'e'; c++)
        if (*c >= '0' && *c <= '9') digits[count++] = *c;
    if (signbit(real)) mn_text_puts(out, "-");
    if (exponent < -4 || exponent > 15) {
        mn_text_add(out, digits, 1);
        if (count > 1) mn_text_puts(out, ".");
        mn_text_add(out, digits + 1, (size_t)count - 1);
        mn_text_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    for (int place = exponent > 0 ? exponent : 0, last = count - 1 - exponent;
         place >= -last || place >= -1; place--) {
        int i = exponent - place;
        if (place == -1) mn_text_puts(out, ".");
        mn_text_add(out, i >= 0 && i < count ? &digits[i] : "0", 1);
    }
}

/* str(value) + str(type(value)). Blobs are spelled raw, not escaped. */
static void add_spelling(const struct mn_sql_value *value, struct mn_text *out)
{
    switch (value->kind) {
    case MN_SQL_NULL: mn_text_puts(out, "None<class 'NoneType'>"); break;
    case MN_SQL_INTEGER: mn_text_printf(out, "%lld<class 'int'>", (long long)value->integer); break;
    case MN_SQL_REAL:
        add_real(value->real, out);
        mn_text_puts(out, "<class 'float'>");
        break;
    case MN_SQL_TEXT:
        mn_text_add(out, value->bytes, value->size);
        mn_text_puts(out, "<class 'str'>");
        break;
    case MN_SQL_BLOB:
        mn_text_puts(out, "b'");
        mn_text_add(out, value->bytes, value->size);
        mn_text_puts(out, "'<class 'bytes'>");
        break;
    }
}

struct spelled {
    size_t start, length;
    uint32_t id;
};

static int compare_spelled(const void *a, const void *b, void *text)
{
    const struct spelled *x = a, *y = b;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = memcmp((char *)text + x->start, (char *)text + y->start, shorter);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* The ids of each row in the order of their values' spelling. */
static void sort_within_rows(const struct mn_sql_result *result, const uint32_t *ids, uint32_t *out)
{
    size_t columns = (size_t)result->columns;
    struct mn_text text = {0};
    struct spelled *row = mn_realloc(NULL, columns, sizeof *row);
    for (size_t r = 0; r < result->rows; r++) {
        mn_text_clear(&text);
        for (size_t c = 0; c < columns; c++) {
            row[c] = (struct spelled){.start = text.length, .id = ids[r * columns + c]};
            add_spelling(&result->cell[r * columns + c], &text);
            row[c].length = text.length - row[c].start;
        }
        qsort_r(row, columns, sizeof *row, compare_spelled, text.data);
        for (size_t c = 0; c < columns; c++) out[r * columns + c] = row[c].id;
    }
    free(row);
    mn_text_free(&text);
}

/* Only a float that equals an integer can be sorted apart from its equal. */
static bool has_integral_float(const struct mn_sql_result *result)
{
    for (size_t i = 0; i < result->rows * (size_t)result->columns; i++)
        if (result->cell[i].kind == MN_SQL_REAL &&
            result->cell[i].real == nearbyint(result->cell[i].real))
            return true;
    return false;
}

bool passes_quick_rejection(const struct mn_sql_result *gold, const struct mn_sql_result *found,
                            const struct ids *ids, bool ordered)
{
    int columns = gold->columns;
    size_t cells = gold->rows * (size_t)columns;
    if (columns == 1 || (!has_integral_float(gold) && !has_integral_float(found))) return true;
    uint32_t *a = mn_realloc(NULL, cells, sizeof *a), *b = mn_realloc(NULL, cells, sizeof *b);
    size_t a_rows = gold->rows, b_rows = found->rows;
    sort_within_rows(gold, ids->gold, a);
    sort_within_rows(found, ids->found, b);
    if (!ordered) { /* as sets */
        sort_rows(a, a_rows, columns);
        sort_rows(b, b_rows, columns);
        a_rows = unique_rows(a, a_rows, columns);
        b_rows = unique_rows(b, b_rows, columns);
    }
    bool same = a_rows == b_rows && memcmp(a, b, a_rows * (size_t)columns * sizeof *a) == 0;
    free(a);
    free(b);
    return same;
}
