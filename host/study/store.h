/* store.h: statements on the file of a study. Private to host/study.
 *
 * store.c          schema, opening, statements
 * results.c        facts of the run and systems
 * results_items.c  questions and answers
 * results_probes.c what trainings were asked while they ran */
#ifndef MINUANO_STUDY_STORE_H
#define MINUANO_STUDY_STORE_H

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/results.h"

struct mn_results {
    sqlite3 *db;
    char *path;
};

MN_CHECKED mn_status store_prepare(mn_results *results, const char *sql, sqlite3_stmt **out);
/* Runs a statement that gives no rows, and ends it. */
MN_CHECKED mn_status store_finish(mn_results *results, sqlite3_stmt *statement);
/* *row is false behind the last one. */
MN_CHECKED mn_status store_next(mn_results *results, sqlite3_stmt *statement, bool *row);

void bind_text(sqlite3_stmt *statement, int at, const char *text); /* NULL: NULL */
void bind_bytes(sqlite3_stmt *statement, int at, const char *text, size_t length);
/* A verdict of -1 (database missing) is NULL. */
void bind_verdict(sqlite3_stmt *statement, int at, int verdict);
int column_verdict(sqlite3_stmt *statement, int at);
/* In the arena; NULL for NULL. length may be NULL. */
const char *column_text(sqlite3_stmt *statement, mn_arena *arena, int at, size_t *length);

/* Reads every row of a statement by `read` into an array of the arena; one definition a type. */
#define DEFINE_READ_ALL(name, type, read)                                                          \
    static mn_status name(mn_results *results, sqlite3_stmt *statement, mn_arena *arena,           \
                          type **out, size_t *count)                                               \
    {                                                                                              \
        MN_LIST(type) list = {0};                                                                  \
        bool row;                                                                                  \
        mn_status st;                                                                              \
        while ((st = store_next(results, statement, &row)) == MN_OK && row)                        \
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

#endif
