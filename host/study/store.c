/* store.c: the SQLite file of a study: its tables, and statements on it.
 *
 * What a question says is kept once; what a system answered, once a system. WAL with
 * synchronous=NORMAL: a commit survives the process, whatever ends it, and costs no disk flush an
 * item; should the machine itself lose power, the last items may be missing, never torn, and are
 * simply done again. */
#include "store.h"

enum { APPLICATION = 0x6d6e7374 /* "mnst" */, VERSION = 6 };

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE system(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, settings TEXT,"
    " training TEXT, folder TEXT, fingerprint TEXT, strength REAL NOT NULL, spider_planned INTEGER "
    "NOT NULL,"
    " mmlu_planned INTEGER NOT NULL, steps INTEGER NOT NULL DEFAULT 0,"
    " tokens INTEGER NOT NULL DEFAULT 0, loss_tokens INTEGER NOT NULL DEFAULT 0,"
    " first_loss REAL NOT NULL DEFAULT 0, last_loss REAL NOT NULL DEFAULT 0,"
    " seconds REAL NOT NULL DEFAULT 0, spider_computed INTEGER NOT NULL DEFAULT 0,"
    " spider_shared INTEGER NOT NULL DEFAULT 0, mmlu_computed INTEGER NOT NULL DEFAULT 0,"
    " mmlu_shared INTEGER NOT NULL DEFAULT 0,"
    " planned_steps INTEGER NOT NULL DEFAULT 0, stopped_by TEXT);"
    "CREATE TABLE probe(system INTEGER NOT NULL REFERENCES system, step INTEGER NOT NULL,"
    " spider_items INTEGER, spider_correct INTEGER, mmlu_items INTEGER, mmlu_correct INTEGER,"
    " seconds REAL NOT NULL, PRIMARY KEY(system, step)) WITHOUT ROWID;"
    "CREATE TABLE spider_question(item INTEGER PRIMARY KEY, db_id TEXT NOT NULL,"
    " question TEXT NOT NULL, gold TEXT NOT NULL, hardness TEXT, gold_rows TEXT);"
    "CREATE TABLE spider_item(system INTEGER NOT NULL REFERENCES system,"
    " item INTEGER NOT NULL REFERENCES spider_question, reply TEXT NOT NULL, sql TEXT NOT NULL,"
    " official INTEGER, distinct_kept INTEGER, seed INTEGER, error TEXT, message TEXT NOT NULL,"
    " no_rows INTEGER NOT NULL, rows TEXT, tokens INTEGER NOT NULL, stopped INTEGER NOT NULL,"
    " logprob REAL, cut INTEGER NOT NULL, PRIMARY KEY(system, item)) WITHOUT ROWID;"
    "CREATE TABLE mmlu_question(subject TEXT NOT NULL, item INTEGER NOT NULL,"
    " answer INTEGER NOT NULL, question TEXT, a TEXT, b TEXT, c TEXT, d TEXT,"
    " PRIMARY KEY(subject, item)) WITHOUT ROWID;"
    "CREATE TABLE mmlu_item(system INTEGER NOT NULL REFERENCES system, subject TEXT NOT NULL,"
    " item INTEGER NOT NULL, asked_shots INTEGER NOT NULL, predicted INTEGER, logprob_a REAL, "
    "logprob_b REAL, logprob_c REAL,"
    " logprob_d REAL, reply TEXT, shots INTEGER NOT NULL, cut INTEGER NOT NULL,"
    " PRIMARY KEY(system, asked_shots, subject, item),"
    " FOREIGN KEY(subject, item) REFERENCES mmlu_question) WITHOUT ROWID;";

static mn_status fail_sql(const mn_results *results, const char *verb)
{
    return mn_fail(MN_IO, "%s: cannot %s: %s", results->path, verb, sqlite3_errmsg(results->db));
}

static mn_status execute(mn_results *results, const char *sql)
{
    if (sqlite3_exec(results->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail_sql(results, "write");
    return MN_OK;
}

mn_status store_prepare(mn_results *results, const char *sql, sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(results->db, sql, -1, out, NULL) != SQLITE_OK)
        return fail_sql(results, "read");
    return MN_OK;
}

mn_status store_finish(mn_results *results, sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? MN_OK : fail_sql(results, "write");
}

mn_status store_next(mn_results *results, sqlite3_stmt *statement, bool *row)
{
    int rc = sqlite3_step(statement);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? MN_OK : fail_sql(results, "read");
}

static mn_status read_pragma(mn_results *results, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement;
    bool row;
    MN_TRY(store_prepare(results, sql, &statement));
    mn_status st = store_next(results, statement, &row);
    *out = st == MN_OK && row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return st;
}

/* An empty file gets the tables; any other must be ours. */
static mn_status check_schema(mn_results *results, bool create)
{
    int64_t application, version, tables;
    MN_TRY(read_pragma(results, "PRAGMA application_id", &application));
    MN_TRY(read_pragma(results, "PRAGMA user_version", &version));
    MN_TRY(read_pragma(results, "SELECT count(*) FROM sqlite_schema", &tables));
    if (application == 0 && tables == 0 && create) {
        char *sql = sqlite3_mprintf("BEGIN IMMEDIATE;%s PRAGMA application_id=%d;"
                                    "PRAGMA user_version=%d; COMMIT",
                                    schema, APPLICATION, VERSION);
        if (!sql) return mn_fail(MN_NO_MEMORY, "%s: no memory", results->path);
        mn_status st = execute(results, sql);
        sqlite3_free(sql);
        return st;
    }
    if (application != APPLICATION)
        return mn_fail(MN_INVALID, "%s: not a results file of minuano", results->path);
    if (version != VERSION)
        return mn_fail(
            MN_UNSUPPORTED,
            "%s: expected results of version %d, found %lld: finish or report this study "
            "with the minuano that began it, or choose another output",
            results->path, VERSION, (long long)version);
    return MN_OK;
}

static mn_status connect(mn_results *results, bool create)
{
    int flags = create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
    if (!create && !mn_file_exists(results->path))
        return mn_fail(MN_NOT_FOUND, "%s: no such file", results->path);
    if (sqlite3_open_v2(results->path, &results->db, flags, NULL) != SQLITE_OK)
        return fail_sql(results, "open");
    sqlite3_busy_timeout(results->db, 10000);
    if (create) MN_TRY(execute(results, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"));
    return check_schema(results, create);
}

mn_status mn_results_open(mn_results **out, const char *path, bool create)
{
    mn_results *results = mn_realloc(NULL, 1, sizeof *results);
    *results = (mn_results){.path = mn_realloc(NULL, strlen(path) + 1, 1)};
    strcpy(results->path, path);
    mn_status st = connect(results, create);
    if (st != MN_OK) {
        mn_results_close(&results);
        return st;
    }
    *out = results;
    return MN_OK;
}

void mn_results_close(mn_results **results)
{
    if (!*results) return;
    sqlite3_close((*results)->db);
    free((*results)->path);
    free(*results);
    *results = NULL;
}

/* --- values in and out of statements
 * --------------------------------------------------------------- */

void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text) sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
}

void bind_bytes(sqlite3_stmt *statement, int at, const char *text, size_t length)
{
    sqlite3_bind_text64(statement, at, text ? text : "", length, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void bind_verdict(sqlite3_stmt *statement, int at, int verdict)
{
    if (verdict >= 0) sqlite3_bind_int(statement, at, verdict);
}

int column_verdict(sqlite3_stmt *statement, int at)
{
    return sqlite3_column_type(statement, at) == SQLITE_NULL ? -1
                                                             : sqlite3_column_int(statement, at);
}

const char *column_text(sqlite3_stmt *statement, mn_arena *arena, int at, size_t *length)
{
    const char *text = (const char *)sqlite3_column_text(statement, at);
    size_t size = text ? (size_t)sqlite3_column_bytes(statement, at) : 0;
    if (length) *length = size;
    return text ? mn_arena_strndup(arena, text, size) : NULL;
}
