/* fuzz_sql.c: a model's reply: extraction, the official text, and its execution. */
#include <sqlite3.h>
#include <stdlib.h>

#include "minuano/sql.h"
#include "support/support.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static mn_sql *open_database(void)
{
    static const struct mn_sql_limits limits = {.seconds = 1,
                                                .steps = 100,
                                                .rows = 1000,
                                                .result_bytes = 1 << 20,
                                                .string_bytes = 10000,
                                                .heap = 16 << 20};
    sqlite3 *connection = NULL;
    mn_sql *database = NULL;
    const char *path = test_scratch("fuzz.sqlite");
    if (sqlite3_open(path, &connection) != SQLITE_OK ||
        sqlite3_exec(connection,
                     "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2.5, NULL)", NULL,
                     NULL, NULL) != SQLITE_OK)
        abort();
    sqlite3_close(connection);
    if (mn_sql_open(&database, path, &limits) != MN_OK) abort();
    return database;
}

static void run(mn_sql *database, const struct mn_text *sql)
{
    struct mn_sql_result result;
    mn_sql_run(database, sql->data, sql->length, &result);
    if (result.error == MN_SQL_NONE && !mn_sql_equal(&result, &result, false)) abort();
    mn_sql_result_close(&result);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static mn_sql *database; /* one for all inputs: nothing a query does may outlive it */
    if (!database) database = open_database();
    struct mn_text text = {0};
    for (int how = MN_EXTRACT_PLAIN; how <= MN_EXTRACT_SEED; how++) {
        mn_text_clear(&text);
        mn_sql_extract((const char *)data, size, (enum mn_sql_extraction)how, &text);
        run(database, &text);
    }
    for (int keep = 0; keep < 2; keep++) {
        mn_text_clear(&text);
        mn_text_add(&text, "", 0);
        mn_sql_official((const char *)data, size, MN_SQL_ROLE_PREDICTION, keep, &text);
        run(database, &text);
    }
    mn_text_free(&text);
    return 0;
}
