/* shown.c: the first rows of a result, for people. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/json.h"
#include "minuano/sql.h"

enum { TEXT_BYTES = 160 };
static const int64_t exact_in_a_double = (int64_t)1 << 53;

static json_t *as_text(const char *format, double real, int64_t integer)
{
    char text[40];
    if (format)
        snprintf(text, sizeof text, format, real);
    else
        snprintf(text, sizeof text, "%lld", (long long)integer);
    return json_pack("{s:s}", "number", text);
}

/* No more than TEXT_BYTES, and no part of a character. */
static json_t *text_json(const struct mn_sql_value *value)
{
    size_t kept = 0, size;
    if (value->size <= TEXT_BYTES) return mn_json_text(value->bytes, value->size);
    while ((size = mn_utf8_at(value->bytes + kept, value->size - kept)) > 0 &&
           kept + size <= TEXT_BYTES)
        kept += size;
    return json_pack("{s:o,s:I}", "text", mn_json_text(value->bytes, kept), "bytes",
                     (json_int_t)value->size);
}

static json_t *value_json(const struct mn_sql_value *value)
{
    switch (value->kind) {
    case MN_SQL_INTEGER:
        if (value->integer > exact_in_a_double || value->integer < -exact_in_a_double)
            return as_text(NULL, 0, value->integer);
        return json_integer((json_int_t)value->integer);
    case MN_SQL_REAL:
        return isfinite(value->real) ? json_real(value->real) : as_text("%f", value->real, 0);
    case MN_SQL_TEXT: return text_json(value);
    case MN_SQL_BLOB: return json_pack("{s:I}", "blob", (json_int_t)value->size);
    case MN_SQL_NULL: break;
    }
    return json_null();
}

void mn_sql_show(const struct mn_sql_result *result, struct mn_text *out)
{
    json_t *first = json_array();
    if (result->error != MN_SQL_NONE) {
        json_decref(first);
        return;
    }
    for (size_t r = 0; r < result->rows && r < MN_SQL_SHOWN_ROWS; r++) {
        json_t *row = json_array();
        for (int c = 0; c < result->columns && c < MN_SQL_SHOWN_COLUMNS; c++)
            json_array_append_new(
                row, value_json(&result->cell[r * (size_t)result->columns + (size_t)c]));
        json_array_append_new(first, row);
    }
    json_t *shown = json_pack("{s:I,s:i,s:o}", "rows", (json_int_t)result->rows, "columns",
                              result->columns, "first", first);
    char *text = json_dumps(shown, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text) mn_text_puts(out, text);
    free(text);
    json_decref(shown);
}
