/* results.c: the SQLite file of a study.
 *
 * WAL with synchronous=NORMAL: a commit survives the process, whatever ends it, and costs no disk
 * flush an item; should the machine itself lose power, the last items may be missing, never torn,
 * and are simply done again. */
#include "minuano/results.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct mn_results {
    sqlite3 *db;
    char *path;
};

enum { APPLICATION = 0x6d6e7374 /* "mnst" */, VERSION = 1 };

static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE system(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, settings TEXT,"
    " folder TEXT, fingerprint TEXT, strength REAL NOT NULL, spider_planned INTEGER NOT NULL,"
    " mmlu_planned INTEGER NOT NULL, steps INTEGER NOT NULL DEFAULT 0,"
    " tokens INTEGER NOT NULL DEFAULT 0, loss_tokens INTEGER NOT NULL DEFAULT 0,"
    " first_loss REAL NOT NULL DEFAULT 0, last_loss REAL NOT NULL DEFAULT 0,"
    " seconds REAL NOT NULL DEFAULT 0);"
    "CREATE TABLE spider_item(system INTEGER NOT NULL REFERENCES system, item INTEGER NOT NULL,"
    " db_id TEXT NOT NULL, question TEXT NOT NULL, gold TEXT NOT NULL, reply TEXT NOT NULL,"
    " sql TEXT NOT NULL, hardness TEXT, official INTEGER, distinct_kept INTEGER, seed INTEGER,"
    " error TEXT, message TEXT NOT NULL, tokens INTEGER NOT NULL, stopped INTEGER NOT NULL,"
    " logprob REAL, PRIMARY KEY(system, item)) WITHOUT ROWID;"
    "CREATE TABLE mmlu_item(system INTEGER NOT NULL REFERENCES system, subject TEXT NOT NULL,"
    " item INTEGER NOT NULL, answer INTEGER NOT NULL, predicted INTEGER, logprob_a REAL,"
    " logprob_b REAL, logprob_c REAL, logprob_d REAL, reply TEXT, shots INTEGER NOT NULL,"
    " cut INTEGER NOT NULL, PRIMARY KEY(system, subject, item)) WITHOUT ROWID;";

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

static mn_status prepare(mn_results *results, const char *sql, sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(results->db, sql, -1, out, NULL) != SQLITE_OK)
        return fail_sql(results, "read");
    return MN_OK;
}

/* Runs a statement that gives no rows, and ends it. */
static mn_status finish(mn_results *results, sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? MN_OK : fail_sql(results, "write");
}

/* *row is false behind the last one. */
static mn_status next_row(mn_results *results, sqlite3_stmt *statement, bool *row)
{
    int rc = sqlite3_step(statement);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? MN_OK : fail_sql(results, "read");
}

static mn_status read_pragma(mn_results *results, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement;
    bool row;
    MN_TRY(prepare(results, sql, &statement));
    mn_status st = next_row(results, statement, &row);
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
        return mn_fail(MN_UNSUPPORTED, "%s: expected results of version %d, found %lld",
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

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text) sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
}

static void bind_bytes(sqlite3_stmt *statement, int at, const char *text, size_t length)
{
    sqlite3_bind_text64(statement, at, text ? text : "", length, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* A verdict of -1 (database missing) is NULL. */
static void bind_verdict(sqlite3_stmt *statement, int at, int verdict)
{
    if (verdict >= 0) sqlite3_bind_int(statement, at, verdict);
}

static int column_verdict(sqlite3_stmt *statement, int at)
{
    return sqlite3_column_type(statement, at) == SQLITE_NULL ? -1
                                                             : sqlite3_column_int(statement, at);
}

static const char *column_text(sqlite3_stmt *statement, mn_arena *arena, int at, size_t *length)
{
    const char *text = (const char *)sqlite3_column_text(statement, at);
    size_t size = text ? (size_t)sqlite3_column_bytes(statement, at) : 0;
    if (length) *length = size;
    return text ? mn_arena_strndup(arena, text, size) : NULL;
}

/* --- meta
 * ------------------------------------------------------------------------------------------ */

mn_status mn_results_set(mn_results *results, const char *key, const char *value)
{
    sqlite3_stmt *statement;
    MN_TRY(prepare(results, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", &statement));
    bind_text(statement, 1, key);
    bind_text(statement, 2, value);
    return finish(results, statement);
}

mn_status mn_results_get(mn_results *results, mn_arena *arena, const char *key, const char **value)
{
    sqlite3_stmt *statement;
    bool row;
    MN_TRY(prepare(results, "SELECT value FROM meta WHERE key = ?1", &statement));
    bind_text(statement, 1, key);
    mn_status st = next_row(results, statement, &row);
    if (st == MN_OK) *value = row ? column_text(statement, arena, 0, NULL) : NULL;
    sqlite3_finalize(statement);
    return st;
}

mn_status mn_results_agree(mn_results *results, const char *key, const char *value)
{
    mn_arena *arena;
    const char *kept = NULL;
    MN_TRY(mn_arena_open(&arena));
    mn_status st = mn_results_get(results, arena, key, &kept);
    if (st == MN_OK && !kept)
        st = mn_results_set(results, key, value);
    else if (st == MN_OK && strcmp(kept, value) != 0)
        st = mn_fail(MN_INVALID,
                     "%s: was begun with another %s: expected %s, found %s; choose another output",
                     results->path, key, kept, value);
    mn_arena_close(&arena);
    return st;
}

/* --- systems
 * --------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static mn_status insert_system(mn_results *results, const struct mn_system *system, int id)
{
    sqlite3_stmt *statement;
    MN_TRY(prepare(results,
                   "INSERT INTO system(id, name, settings, strength, spider_planned, mmlu_planned)"
                   " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                   &statement));
    sqlite3_bind_int(statement, 1, id);
    bind_text(statement, 2, system->name);
    bind_text(statement, 3, system->settings);
    sqlite3_bind_double(statement, 4, system->strength);
    sqlite3_bind_int64(statement, 5, system->spider_planned);
    sqlite3_bind_int64(statement, 6, system->mmlu_planned);
    return finish(results, statement);
}

mn_status mn_results_add_system(mn_results *results, const struct mn_system *system, int *id)
{
    mn_arena *arena = NULL;
    struct mn_system *known;
    size_t count;
    mn_status st = MN_OK;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_results_systems(results, arena, &known, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i].name, system->name) != 0) continue;
        bool same = same_text(known[i].settings, system->settings) &&
                    known[i].strength == system->strength &&
                    known[i].spider_planned == system->spider_planned &&
                    known[i].mmlu_planned == system->mmlu_planned;
        if (!same)
            st =
                mn_fail(MN_INVALID,
                        "%s: \"%s\" was begun with other settings: expected %s, found %s; choose "
                        "another name or output",
                        results->path, system->name, known[i].settings ? known[i].settings : "none",
                        system->settings ? system->settings : "none");
        *id = known[i].id;
        goto done;
    }
    *id = (int)count;
    MN_GO(insert_system(results, system, *id));
done:
    mn_arena_close(&arena);
    return st;
}

static mn_status check_fingerprint(mn_results *results, int id, const char *fingerprint)
{
    mn_arena *arena = NULL;
    struct mn_system *known;
    size_t count;
    mn_status st = MN_OK;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_results_systems(results, arena, &known, &count));
    for (size_t i = 0; i < count; i++)
        if (known[i].id == id && known[i].fingerprint &&
            !same_text(known[i].fingerprint, fingerprint))
            st = mn_fail(MN_INVALID,
                         "%s: adapter \"%s\" has changed: its items were made with %.12s, now it "
                         "is %.12s",
                         results->path, known[i].name, known[i].fingerprint,
                         fingerprint ? fingerprint : "none");
done:
    mn_arena_close(&arena);
    return st;
}

mn_status mn_results_set_trained(mn_results *results, int id, const struct mn_system *system)
{
    sqlite3_stmt *statement;
    const struct mn_train_result *trained = &system->trained;
    MN_TRY(check_fingerprint(results, id, system->fingerprint));
    MN_TRY(prepare(results,
                   "UPDATE system SET folder = ?2, fingerprint = ?3, steps = ?4, tokens = ?5,"
                   " loss_tokens = ?6, first_loss = ?7, last_loss = ?8, seconds = ?9 WHERE id = ?1",
                   &statement));
    sqlite3_bind_int(statement, 1, id);
    bind_text(statement, 2, system->folder);
    bind_text(statement, 3, system->fingerprint);
    sqlite3_bind_int64(statement, 4, trained->steps);
    sqlite3_bind_int64(statement, 5, trained->tokens);
    sqlite3_bind_int64(statement, 6, trained->loss_tokens);
    sqlite3_bind_double(statement, 7, trained->first_loss);
    sqlite3_bind_double(statement, 8, trained->last_loss);
    sqlite3_bind_double(statement, 9, trained->seconds);
    return finish(results, statement);
}

static void read_system(sqlite3_stmt *s, mn_arena *arena, struct mn_system *out)
{
    *out = (struct mn_system){
        .id = sqlite3_column_int(s, 0),
        .name = column_text(s, arena, 1, NULL),
        .settings = column_text(s, arena, 2, NULL),
        .folder = column_text(s, arena, 3, NULL),
        .fingerprint = column_text(s, arena, 4, NULL),
        .strength = sqlite3_column_double(s, 5),
        .spider_planned = sqlite3_column_int64(s, 6),
        .mmlu_planned = sqlite3_column_int64(s, 7),
        .trained = {.steps = sqlite3_column_int64(s, 8),
                    .tokens = sqlite3_column_int64(s, 9),
                    .loss_tokens = sqlite3_column_int64(s, 10),
                    .first_loss = sqlite3_column_double(s, 11),
                    .last_loss = sqlite3_column_double(s, 12),
                    .seconds = sqlite3_column_double(s, 13)},
    };
}

static void read_spider(sqlite3_stmt *s, mn_arena *arena, struct mn_spider_row *out)
{
    const char *hardness = (const char *)sqlite3_column_text(s, 6);
    const char *error = (const char *)sqlite3_column_text(s, 10);
    *out = (struct mn_spider_row){.index = sqlite3_column_int64(s, 0),
                                  .db_id = column_text(s, arena, 1, NULL),
                                  .question = column_text(s, arena, 2, NULL),
                                  .gold = column_text(s, arena, 3, NULL),
                                  .hardness = MN_HARDNESS_UNKNOWN,
                                  .tokens = sqlite3_column_int(s, 12),
                                  .stopped = sqlite3_column_int(s, 13) != 0,
                                  .logprob = sqlite3_column_double(s, 14)};
    out->reply = column_text(s, arena, 4, &out->reply_length);
    out->sql = column_text(s, arena, 5, &out->sql_length);
    for (int h = 0; hardness && h < MN_HARDNESS_UNKNOWN; h++)
        if (strcmp(mn_hardness_name((enum mn_hardness)h), hardness) == 0)
            out->hardness = (enum mn_hardness)h;
    out->verdict.official = column_verdict(s, 7);
    out->verdict.distinct = column_verdict(s, 8);
    out->verdict.seed = column_verdict(s, 9);
    for (int e = 0; error && e < MN_SQL_ERRORS; e++)
        if (strcmp(mn_sql_error_words((enum mn_sql_error)e), error) == 0)
            out->verdict.error = (enum mn_sql_error)e;
    snprintf(out->verdict.message, sizeof out->verdict.message, "%s",
             (const char *)sqlite3_column_text(s, 11));
}

static void read_mmlu(sqlite3_stmt *s, mn_arena *arena, struct mn_mmlu_row *out)
{
    *out = (struct mn_mmlu_row){
        .subject = column_text(s, arena, 0, NULL),
        .index = sqlite3_column_int64(s, 1),
        .answer = sqlite3_column_int(s, 2),
        .predicted = column_verdict(s, 3),
        .scored = sqlite3_column_type(s, 4) != SQLITE_NULL,
        .reply = column_text(s, arena, 8, NULL),
        .shots = sqlite3_column_int(s, 9),
        .cut = sqlite3_column_int(s, 10) != 0,
    };
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        out->logprob[i] = (float)sqlite3_column_double(s, 4 + i);
}

/* Reads every row of a statement by `read` into an array of the arena; one definition a type. */
#define DEFINE_READ_ALL(name, type, read)                                                          \
    static mn_status name(mn_results *results, sqlite3_stmt *statement, mn_arena *arena,           \
                          type **out, size_t *count)                                               \
    {                                                                                              \
        MN_LIST(type) list = {0};                                                                  \
        bool row;                                                                                  \
        mn_status st;                                                                              \
        while ((st = next_row(results, statement, &row)) == MN_OK && row)                          \
            read(statement, arena, MN_PUSH(&list));                                                \
        if (st == MN_OK) {                                                                         \
            *out = MN_NEW(arena, type, list.count);                                                \
            if (list.count) memcpy(*out, list.item, list.count * sizeof *list.item);               \
            *count = list.count;                                                                   \
        }                                                                                          \
        free(list.item);                                                                           \
        sqlite3_finalize(statement);                                                               \
        return st;                                                                                 \
    }
DEFINE_READ_ALL(read_systems, struct mn_system, read_system)
DEFINE_READ_ALL(read_spider_rows, struct mn_spider_row, read_spider)
DEFINE_READ_ALL(read_mmlu_rows, struct mn_mmlu_row, read_mmlu)

mn_status mn_results_systems(mn_results *results, mn_arena *arena, struct mn_system **systems,
                             size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(prepare(results,
                   "SELECT id, name, settings, folder, fingerprint, strength, spider_planned,"
                   " mmlu_planned, steps, tokens, loss_tokens, first_loss, last_loss, seconds"
                   " FROM system ORDER BY id",
                   &statement));
    return read_systems(results, statement, arena, systems, count);
}

/* --- items
 * ----------------------------------------------------------------------------------------- */

mn_status mn_results_add_spider(mn_results *results, int system, const struct mn_spider_row *row)
{
    sqlite3_stmt *s;
    const char *hardness = mn_hardness_name(row->hardness);
    const char *error = row->verdict.error ? mn_sql_error_words(row->verdict.error) : NULL;
    MN_TRY(prepare(results,
                   "INSERT INTO spider_item VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
                   " ?12, ?13, ?14, ?15, ?16)",
                   &s));
    sqlite3_bind_int(s, 1, system);
    sqlite3_bind_int64(s, 2, row->index);
    bind_text(s, 3, row->db_id);
    bind_text(s, 4, row->question);
    bind_text(s, 5, row->gold);
    bind_bytes(s, 6, row->reply, row->reply_length);
    bind_bytes(s, 7, row->sql, row->sql_length);
    bind_text(s, 8, hardness);
    bind_verdict(s, 9, row->verdict.official);
    bind_verdict(s, 10, row->verdict.distinct);
    bind_verdict(s, 11, row->verdict.seed);
    bind_text(s, 12, error);
    bind_text(s, 13, row->verdict.message);
    sqlite3_bind_int(s, 14, row->tokens);
    sqlite3_bind_int(s, 15, row->stopped);
    sqlite3_bind_double(s, 16, row->logprob);
    return finish(results, s);
}

mn_status mn_results_add_mmlu(mn_results *results, int system, const struct mn_mmlu_row *row)
{
    sqlite3_stmt *s;
    MN_TRY(prepare(
        results, "INSERT INTO mmlu_item VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &s));
    sqlite3_bind_int(s, 1, system);
    bind_text(s, 2, row->subject);
    sqlite3_bind_int64(s, 3, row->index);
    sqlite3_bind_int(s, 4, row->answer);
    bind_verdict(s, 5, row->predicted);
    for (int i = 0; i < MN_MMLU_CHOICES && row->scored; i++)
        sqlite3_bind_double(s, 6 + i, (double)row->logprob[i]);
    bind_text(s, 10, row->reply);
    sqlite3_bind_int(s, 11, row->shots);
    sqlite3_bind_int(s, 12, row->cut);
    return finish(results, s);
}

mn_status mn_results_spider(mn_results *results, int system, mn_arena *arena,
                            struct mn_spider_row **rows, size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(prepare(results,
                   "SELECT item, db_id, question, gold, reply, sql, hardness, official,"
                   " distinct_kept, seed, error, message, tokens, stopped, logprob"
                   " FROM spider_item WHERE system = ?1 ORDER BY item",
                   &statement));
    sqlite3_bind_int(statement, 1, system);
    return read_spider_rows(results, statement, arena, rows, count);
}

mn_status mn_results_mmlu(mn_results *results, int system, mn_arena *arena,
                          struct mn_mmlu_row **rows, size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(prepare(results,
                   "SELECT subject, item, answer, predicted, logprob_a, logprob_b, logprob_c,"
                   " logprob_d, reply, shots, cut FROM mmlu_item WHERE system = ?1"
                   " ORDER BY subject, item",
                   &statement));
    sqlite3_bind_int(statement, 1, system);
    return read_mmlu_rows(results, statement, arena, rows, count);
}
