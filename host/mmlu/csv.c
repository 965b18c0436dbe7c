/* csv.c: RFC 4180, read in one pass over the bytes of a file. */
#include "minuano/mmlu.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at, *end, *where;
    long line;
    mn_arena *arena;
    char *field; /* as long as the file: holds the field being read */
    size_t length;
};

static bool ends_record(char c)
{
    return c == '\n' || c == '\r';
}

/* Steps over one line end of any kind. */
static void take_line_end(struct reader *r)
{
    if (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n') r->at++;
    r->at++;
    r->line++;
}

/* From behind the opening quote to behind the closing one; line ends inside are kept as they are.
 */
static mn_status take_quoted(struct reader *r)
{
    long opened = r->line;
    while (r->at < r->end) {
        char c = *r->at++;
        if (c == '"') {
            if (r->at == r->end || *r->at != '"') break;
            r->at++;
        } else if (c == '\n' || (c == '\r' && (r->at == r->end || *r->at != '\n'))) {
            r->line++;
        }
        r->field[r->length++] = c;
        if (r->at == r->end)
            return mn_fail(MN_INVALID, "%s:%ld: a quote is opened here and never closed", r->where,
                           opened);
    }
    if (r->at < r->end && *r->at != ',' && !ends_record(*r->at))
        return mn_fail(MN_INVALID,
                       "%s:%ld: expected a comma or the end of the line behind a closing quote, "
                       "found \"%c\"",
                       r->where, r->line, *r->at);
    return MN_OK;
}

/* Leaves r->at on the comma, the line end or the end of the file. */
static mn_status take_field(struct reader *r)
{
    r->length = 0;
    if (r->at < r->end && *r->at == '"') {
        r->at++;
        if (r->at == r->end)
            return mn_fail(MN_INVALID, "%s:%ld: a quote is opened here and never closed", r->where,
                           r->line);
        return take_quoted(r);
    }
    while (r->at < r->end && *r->at != ',' && !ends_record(*r->at))
        r->field[r->length++] = *r->at++;
    return MN_OK;
}

static mn_status take_record(struct reader *r, struct mn_csv_record *out)
{
    MN_LIST(const char *) fields = {0};
    mn_status st = MN_OK;
    out->line = r->line;
    for (;;) {
        MN_GO(take_field(r));
        *MN_PUSH(&fields) = mn_arena_strndup(r->arena, r->field, r->length);
        if (r->at == r->end || *r->at != ',') break;
        r->at++;
    }
    if (r->at < r->end) take_line_end(r);
    out->count = fields.count;
    out->field = MN_NEW(r->arena, const char *, fields.count);
    memcpy(out->field, fields.item, fields.count * sizeof *fields.item);
done:
    free(fields.item);
    return st;
}

mn_status mn_csv_parse(mn_arena *arena, const char *bytes, size_t size, const char *where,
                       struct mn_csv *out)
{
    MN_LIST(struct mn_csv_record) records = {0};
    struct reader r = {.at = bytes, .end = bytes + size, .where = where, .line = 1, .arena = arena};
    mn_status st = MN_OK;
    const char *nul = size ? memchr(bytes, '\0', size) : NULL;
    if (nul) {
        for (const char *c = bytes; c < nul; c++) r.line += *c == '\n';
        return mn_fail(MN_INVALID, "%s:%ld: expected text, found a NUL byte", where, r.line);
    }
    r.field = mn_realloc(NULL, size + 1, 1);
    while (r.at < r.end) {
        struct mn_csv_record record;
        if (ends_record(*r.at)) {
            take_line_end(&r);
            continue;
        }
        MN_GO(take_record(&r, &record));
        *MN_PUSH(&records) = record;
    }
    out->count = records.count;
    out->record = MN_NEW(arena, struct mn_csv_record, records.count);
    if (records.count) memcpy(out->record, records.item, records.count * sizeof *records.item);
done:
    free(records.item);
    free(r.field);
    return st;
}

mn_status mn_csv_read(mn_arena *arena, const char *path, struct mn_csv *out)
{
    struct mn_mapping mapping;
    MN_TRY(mn_mapping_open(&mapping, path));
    mn_status st = mn_csv_parse(arena, mapping.data ? (const char *)mapping.data : "", mapping.size,
                                path, out);
    mn_mapping_close(&mapping);
    return st;
}
