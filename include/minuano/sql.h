/* sql.h: SQL that a model wrote: found in its reply, run as hostile input, its result compared.
 *
 * Databases open read-only and immutable; only reading is authorized; every query has a budget of
 * steps, seconds, rows, bytes and memory. Nothing a query does outlives it. */
#ifndef MINUANO_SQL_H
#define MINUANO_SQL_H

#include <stdbool.h>
#include <stdint.h>

#include "minuano/arena.h"

/* --- SQL as text ------------------------------------------------------------------------------ */

enum mn_sql_extraction {
    MN_EXTRACT_PLAIN, /* recommended: first fenced block, else from the first line that begins with
                         SELECT or WITH; up to `;` or a blank line; comments left out, white space
                         outside quotes becomes one space */
    MN_EXTRACT_SEED,  /* as the seed study: drop "SQL:", first fenced block, drop "sql", first line,
                         drop one final `;` */
};
extern const char *const mn_sql_extractions[]; /* "plain", "seed", NULL */
/* Appends the query; nothing where the reply holds none. */
void mn_sql_extract(const char *reply, size_t length, enum mn_sql_extraction how,
                    struct mn_text *out);

/* The seed study's exact match: the same text once white space is stripped and letters lower-cased.
 */
bool mn_sql_same_text(const char *gold, const char *sql, size_t length);

/* Appends what the official evaluator runs in place of `sql`: `> =`, `< =`, `! =` closed up and
 * YEAR(CURDATE()) replaced by 2020; without keep_distinct, only the first statement, less its
 * tokens DISTINCT (those in quotes and comments stay). A prediction is also stripped and cut at its
 * first tab. */
enum mn_sql_role { MN_SQL_ROLE_GOLD, MN_SQL_ROLE_PREDICTION };
void mn_sql_official(const char *sql, size_t length, enum mn_sql_role role, bool keep_distinct,
                     struct mn_text *out);

/* --- execution -------------------------------------------------------------------------------- */

/* X(name, words): why a query gave no result. */
#define MN_SQL_ERROR_LIST(X)                                                                       \
    X(MN_SQL_NONE, "none")                                                                         \
    X(MN_SQL_EMPTY, "empty")   /* nothing to run */                                                \
    X(MN_SQL_SYNTAX, "syntax") /* not SQL */                                                       \
    X(MN_SQL_NO_TABLE, "no such table")                                                            \
    X(MN_SQL_NO_COLUMN, "no such column") /* ambiguous names as well */                            \
    X(MN_SQL_NO_FUNCTION, "no such function")                                                      \
    X(MN_SQL_MULTIPLE, "multiple statements")                                                      \
    X(MN_SQL_DENIED, "denied")         /* anything but reading */                                  \
    X(MN_SQL_TIMEOUT, "timeout")       /* step budget or wall clock */                             \
    X(MN_SQL_TOO_BIG, "too big")       /* rows or bytes of the result, a string, memory */         \
    X(MN_SQL_GOLD, "gold query fails") /* the data set's fault, not the prediction's */            \
    X(MN_SQL_OTHER, "other")

enum mn_sql_error {
#define MN_SQL_ERROR_ENUM(name, words) name,
    MN_SQL_ERROR_LIST(MN_SQL_ERROR_ENUM)
#undef MN_SQL_ERROR_ENUM
        MN_SQL_ERRORS
};
const char *mn_sql_error_words(enum mn_sql_error error);

struct mn_sql_limits {
    double seconds;       /* wall clock of a query: a safety net, for the steps come first */
    int64_t steps;        /* instructions of SQLite's virtual machine, counted in thousands */
    int64_t rows;         /* of a result */
    int64_t result_bytes; /* of a result, as kept */
    int64_t string_bytes; /* of any string, blob or row on the way */
    int64_t heap;         /* of all SQLite memory in the process while a query runs */
};
extern const struct mn_sql_limits mn_sql_limits_default;

enum mn_sql_kind { MN_SQL_NULL, MN_SQL_INTEGER, MN_SQL_REAL, MN_SQL_TEXT, MN_SQL_BLOB };
struct mn_sql_value {
    enum mn_sql_kind kind;
    uint32_t size; /* of bytes */
    union {
        int64_t integer;
        double real;
        const char *bytes; /* text less what is not UTF-8; may hold NUL bytes */
    };
};
struct mn_sql_result {
    enum mn_sql_error error;
    char message[160]; /* SQLite's words; "" without an error */
    int columns;
    size_t rows;
    struct mn_sql_value *cell; /* (rows, columns) */
    bool bad_text;             /* some text was not UTF-8 */
    char *bytes;               /* what the cells' bytes point into */
};

/* One database file. */
typedef struct mn_sql mn_sql;
MN_CHECKED mn_status mn_sql_open(mn_sql **out, const char *path,
                                 const struct mn_sql_limits *limits);
void mn_sql_close(mn_sql **database);
/* Runs exactly one statement. Whatever goes wrong is in out->error. sql may hold any bytes. Close
 * the result in any case. */
void mn_sql_run(mn_sql *database, const char *sql, size_t length, struct mn_sql_result *out);
void mn_sql_result_close(struct mn_sql_result *result);

/* Appends the first rows as compact JSON, for people: {"rows":N,"columns":N,"first":[[...]]}, at
 * most MN_SQL_SHOWN_ROWS of MN_SQL_SHOWN_COLUMNS. Values: null, a number, a string; and what these
 * cannot hold: {"text":its beginning,"bytes":of the whole}, {"blob":bytes}, {"number":digits}
 * beyond 2^53. Nothing for a result with an error. */
enum { MN_SQL_SHOWN_ROWS = 5, MN_SQL_SHOWN_COLUMNS = 8 };
void mn_sql_show(const struct mn_sql_result *result, struct mn_text *out);

/* --- comparison ------------------------------------------------------------------------------- */

/* As the official evaluator: rows in order if `ordered`, else as multisets; columns in any order;
 * NULL = NULL, 1 = 1.0, '1' != 1. Two empty results are equal whatever their columns. An unordered
 * comparison that needs more than a bounded search over column orders is false. */
bool mn_sql_equal(const struct mn_sql_result *gold, const struct mn_sql_result *found,
                  bool ordered);
/* As the seed study: sorted lists of distinct rows. Where sorting in Python would raise (NULL
 * against a value, text against a number) or text is not UTF-8, they are unequal. */
bool mn_sql_equal_seed(const struct mn_sql_result *gold, const struct mn_sql_result *found);

#endif
