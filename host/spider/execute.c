/* execute.c: one query on one database file, as hostile input.
 *
 * What holds it: the file is opened read-only and immutable; the authorizer allows reading,
 * functions and recursion, nothing else; strings, the query and its program are bounded by SQLite's
 * own limits; steps and time by the progress handler; memory, which also holds sorters and
 * temporary tables, by the heap limit. No extensions can be loaded. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/json.h"
#include "minuano/log.h"
#include "minuano/sql.h"

enum { STEPS_A_CALL = 1000, QUERY_BYTES = 100000, PATTERN_BYTES = 1000, PROGRAM = 250000 };

const struct mn_sql_limits mn_sql_limits_default = {
    .seconds = 60,
    .steps = 500000, /* thousands: 5 to 20 s; the slowest gold query takes a hundredth */
    .rows = 1000000,
    .result_bytes = 256 << 20,
    .string_bytes = 100000, /* keeps what is quadratic in it, instr() and trim(), within seconds */
    .heap = 512 << 20,
};

struct mn_sql {
    sqlite3 *connection;
    struct mn_sql_limits limits;
    int64_t steps; /* of the query that runs, in thousands */
    double deadline;
};

const char *mn_sql_error_words(enum mn_sql_error error)
{
    static const char *const words[] = {
#define MN_SQL_ERROR_WORDS(name, text) [name] = text,
        MN_SQL_ERROR_LIST(MN_SQL_ERROR_WORDS)
#undef MN_SQL_ERROR_WORDS
    };
    return words[error];
}

static int authorize(void *user, int action, const char *first, const char *second,
                     const char *schema, const char *trigger)
{
    static const char *const functions[] = {"load_extension", "fts3_tokenizer", "readfile",
                                            "writefile", "edit"};
    (void)user, (void)first, (void)schema, (void)trigger;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_FUNCTION:
        for (size_t i = 0; i < MN_COUNT(functions); i++)
            if (second && sqlite3_stricmp(second, functions[i]) == 0) return SQLITE_DENY;
        return SQLITE_OK;
    default: return SQLITE_DENY;
    }
}

static int over_budget(void *user)
{
    mn_sql *database = user;
    return ++database->steps > database->limits.steps || mn_seconds() > database->deadline;
}

static mn_status fail_open(mn_sql *database, const char *path)
{
    return mn_fail(MN_IO, "%s: cannot open the database: %s", path,
                   database->connection ? sqlite3_errmsg(database->connection) : "no memory");
}

/* The path as a URI, which alone can say immutable. */
static void add_uri(const char *path, struct mn_text *out)
{
    mn_text_puts(out, "file:");
    for (const char *c = path; *c; c++)
        if (strchr("%?#", *c))
            mn_text_printf(out, "%%%02X", (unsigned char)*c);
        else
            mn_text_add(out, c, 1);
    mn_text_puts(out, "?mode=ro&immutable=1");
}

static mn_status harden(mn_sql *database, const char *path)
{
    static const struct {
        int option, value;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 1}, /* "text" in double quotes, as every distribution has it */
    };
    const struct mn_sql_limits *limits = &database->limits;
    sqlite3 *connection = database->connection;
    for (size_t i = 0; i < MN_COUNT(settings); i++)
        if (sqlite3_db_config(connection, settings[i].option, settings[i].value, NULL) != SQLITE_OK)
            return fail_open(database, path);
    /* Sorters and temporary tables stay in memory, where the heap limit counts them. */
    if (sqlite3_exec(connection, "PRAGMA temp_store = 2", NULL, NULL, NULL) != SQLITE_OK)
        return fail_open(database, path);
    sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, (int)limits->string_bytes);
    sqlite3_limit(connection, SQLITE_LIMIT_SQL_LENGTH, QUERY_BYTES);
    sqlite3_limit(connection, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES);
    sqlite3_limit(connection, SQLITE_LIMIT_VDBE_OP, PROGRAM);
    sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(connection, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_progress_handler(connection, STEPS_A_CALL, over_budget, database);
    if (sqlite3_set_authorizer(connection, authorize, NULL) != SQLITE_OK)
        return fail_open(database, path);
    return MN_OK;
}

mn_status mn_sql_open(mn_sql **out, const char *path, const struct mn_sql_limits *limits)
{
    struct mn_text uri = {0};
    mn_sql *database = mn_realloc(NULL, 1, sizeof *database);
    *database = (mn_sql){.limits = *limits, .deadline = mn_seconds() + limits->seconds};
    add_uri(path, &uri);
    int code = sqlite3_open_v2(uri.data, &database->connection,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX |
                                   SQLITE_OPEN_PRIVATECACHE,
                               NULL);
    mn_text_free(&uri);
    mn_status st = code == SQLITE_OK ? harden(database, path) : fail_open(database, path);
    if (st != MN_OK)
        mn_sql_close(&database);
    else
        *out = database;
    return st;
}

void mn_sql_close(mn_sql **database)
{
    if (!*database) return;
    sqlite3_close((*database)->connection);
    free(*database);
    *database = NULL;
}

void mn_sql_result_close(struct mn_sql_result *result)
{
    free(result->cell);
    free(result->bytes);
    *result = (struct mn_sql_result){0};
}

/* --- errors ----------------------------------------------------------------------------------- */

static void set_error(struct mn_sql_result *out, enum mn_sql_error error, const char *message)
{
    out->error = error;
    snprintf(out->message, sizeof out->message, "%s", message);
}

static enum mn_sql_error classify(int code, const char *message)
{
    static const struct {
        const char *words;
        enum mn_sql_error error;
    } known[] = {
        {"no such table", MN_SQL_NO_TABLE},
        {"no such column", MN_SQL_NO_COLUMN},
        {"ambiguous column", MN_SQL_NO_COLUMN},
        {"no such function", MN_SQL_NO_FUNCTION},
        {"syntax error", MN_SQL_SYNTAX},
        {"unrecognized token", MN_SQL_SYNTAX},
        {"incomplete input", MN_SQL_SYNTAX},
        {"not authorized", MN_SQL_DENIED},
        {"prohibited", MN_SQL_DENIED},
        {"unsafe use", MN_SQL_DENIED},
        {"too big", MN_SQL_TOO_BIG},
        {"too complex", MN_SQL_TOO_BIG},
    };
    switch (code & 0xff) {
    case SQLITE_INTERRUPT: return MN_SQL_TIMEOUT;
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM: return MN_SQL_TOO_BIG;
    case SQLITE_AUTH:
    case SQLITE_READONLY: return MN_SQL_DENIED;
    default: break;
    }
    for (size_t i = 0; i < MN_COUNT(known); i++)
        if (strstr(message, known[i].words)) return known[i].error;
    return MN_SQL_OTHER;
}

static void set_sqlite_error(struct mn_sql_result *out, sqlite3 *connection)
{
    const char *message = sqlite3_errmsg(connection);
    set_error(out, classify(sqlite3_errcode(connection), message), message);
}

/* --- rows ------------------------------------------------------------------------------------- */

/* A result while it grows. Cells of text and blobs hold offsets into bytes until it is complete. */
struct rows {
    MN_LIST(struct mn_sql_value) cells;
    struct mn_text bytes;
    int64_t size; /* kept so far */
};

/* Adds text less what is not UTF-8. */
static void add_text(struct mn_text *out, const char *text, size_t length, bool *bad)
{
    for (size_t i = 0; i < length;) {
        size_t run = 0, size = 1;
        while (i + run < length && (size = mn_utf8_at(text + i + run, length - i - run)) > 0)
            run += size;
        mn_text_add(out, text + i, run);
        i += run;
        if (i < length) *bad = true, i++;
    }
}

static void add_cell(struct rows *rows, sqlite3_stmt *statement, int column, bool *bad_text)
{
    struct mn_sql_value value = {.kind = MN_SQL_NULL};
    size_t start = rows->bytes.length;
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        value.kind = MN_SQL_INTEGER;
        value.integer = sqlite3_column_int64(statement, column);
        break;
    case SQLITE_FLOAT:
        value.kind = MN_SQL_REAL;
        value.real = sqlite3_column_double(statement, column);
        break;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(statement, column);
        value.kind = MN_SQL_TEXT;
        if (text)
            add_text(&rows->bytes, text, (size_t)sqlite3_column_bytes(statement, column), bad_text);
        break;
    }
    case SQLITE_BLOB: {
        const void *blob = sqlite3_column_blob(statement, column);
        value.kind = MN_SQL_BLOB;
        if (blob) mn_text_add(&rows->bytes, blob, (size_t)sqlite3_column_bytes(statement, column));
        break;
    }
    default: break;
    }
    if (value.kind == MN_SQL_TEXT || value.kind == MN_SQL_BLOB) {
        value.integer = (int64_t)start;
        value.size = (uint32_t)(rows->bytes.length - start);
    }
    rows->size += (int64_t)(sizeof value + value.size);
    *MN_PUSH(&rows->cells) = value;
}

static void finish(struct rows *rows, struct mn_sql_result *out)
{
    mn_text_add(&rows->bytes, "", 0); /* so that there is an address even for empty text */
    for (size_t i = 0; i < rows->cells.count; i++) {
        struct mn_sql_value *value = &rows->cells.item[i];
        if (value->kind == MN_SQL_TEXT || value->kind == MN_SQL_BLOB)
            value->bytes = rows->bytes.data + value->integer;
    }
    out->cell = rows->cells.item;
    out->bytes = rows->bytes.data;
}

static void fetch(mn_sql *database, sqlite3_stmt *statement, struct mn_sql_result *out)
{
    struct rows rows = {{0}, {0}, 0};
    int code;
    out->columns = sqlite3_column_count(statement);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < out->columns; i++) add_cell(&rows, statement, i, &out->bad_text);
        out->rows++;
        if ((int64_t)out->rows > database->limits.rows ||
            rows.size > database->limits.result_bytes) {
            set_error(out, MN_SQL_TOO_BIG, "the result has too many rows or bytes");
            break;
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) set_sqlite_error(out, database->connection);
    finish(&rows, out);
}

/* --- one statement ---------------------------------------------------------------------------- */

/* White space and comments, as Python's sqlite3 skips them behind the statement. */
static bool only_space(const char *text, const char *end)
{
    while (text < end) {
        if (strchr(" \t\f\n\r", *text) && *text) {
            text++;
        } else if (end - text >= 2 && text[0] == '-' && text[1] == '-') {
            while (text < end && *text != '\n') text++;
        } else if (end - text >= 2 && text[0] == '/' && text[1] == '*') {
            for (text += 2; end - text >= 2 && !(text[0] == '*' && text[1] == '/');) text++;
            text = end - text >= 2 ? text + 2 : end;
        } else {
            return false;
        }
    }
    return true;
}

static void prepare_and_fetch(mn_sql *database, const char *sql, size_t length,
                              struct mn_sql_result *out)
{
    sqlite3_stmt *statement = NULL;
    const char *tail = sql;
    int code = sqlite3_prepare_v2(database->connection, sql, (int)length, &statement, &tail);
    if (code != SQLITE_OK)
        set_sqlite_error(out, database->connection);
    else if (!only_space(tail, sql + length))
        set_error(out, MN_SQL_MULTIPLE, "more than one statement");
    else if (!statement)
        set_error(out, MN_SQL_EMPTY, "no statement");
    else if (sqlite3_column_count(statement) == 0 || !sqlite3_stmt_readonly(statement))
        set_error(out, MN_SQL_DENIED, "not a query"); /* REINDEX with nothing to do, say */
    else if (sqlite3_bind_parameter_count(statement) > 0)
        set_error(out, MN_SQL_OTHER, "the query has parameters without values");
    else
        fetch(database, statement, out);
    sqlite3_finalize(statement);
}

void mn_sql_run(mn_sql *database, const char *sql, size_t length, struct mn_sql_result *out)
{
    *out = (struct mn_sql_result){0};
    if (length && memchr(sql, '\0', length)) {
        set_error(out, MN_SQL_SYNTAX, "the query contains a NUL byte");
    } else if (length >= QUERY_BYTES) {
        set_error(out, MN_SQL_TOO_BIG, "the query itself is too long");
    } else {
        database->steps = 0;
        database->deadline = mn_seconds() + database->limits.seconds;
        /* The limit is the process's: it stands only while this query runs. */
        sqlite3_int64 soft = sqlite3_soft_heap_limit64(-1); /* which the hard one lowers */
        sqlite3_int64 hard = sqlite3_hard_heap_limit64(database->limits.heap);
        prepare_and_fetch(database, sql, length, out);
        sqlite3_hard_heap_limit64(hard);
        sqlite3_soft_heap_limit64(soft);
    }
    if (out->error != MN_SQL_NONE) { /* part of a result is none */
        free(out->cell);
        free(out->bytes);
        out->cell = NULL;
        out->bytes = NULL;
        out->rows = 0;
        out->columns = 0;
    }
}
