/* results_items.c: questions and answers, in the file of a study. */
#include "store.h"

static void read_spider(sqlite3_stmt *s, mn_arena *arena, struct mn_spider_row *out)
{
    const char *hardness = (const char *)sqlite3_column_text(s, 6);
    const char *error = (const char *)sqlite3_column_text(s, 10);
    *out = (struct mn_spider_row){.index = sqlite3_column_int64(s, 0),
                                  .db_id = column_text(s, arena, 1, NULL),
                                  .question = column_text(s, arena, 2, NULL),
                                  .gold = column_text(s, arena, 3, NULL),
                                  .hardness = MN_HARDNESS_UNKNOWN,
                                  .verdict = {.no_rows = sqlite3_column_int(s, 12) != 0},
                                  .tokens = sqlite3_column_int(s, 13),
                                  .stopped = sqlite3_column_int(s, 14) != 0,
                                  .logprob = sqlite3_column_double(s, 15),
                                  .gold_rows = column_text(s, arena, 16, NULL),
                                  .rows = column_text(s, arena, 17, NULL),
                                  .cut = sqlite3_column_int(s, 18) != 0};
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
        .question = column_text(s, arena, 11, NULL),
        .asked_shots = sqlite3_column_int(s, 16),
    };
    for (int i = 0; i < MN_MMLU_CHOICES; i++) out->choice[i] = column_text(s, arena, 12 + i, NULL);
    for (int i = 0; i < MN_MMLU_CHOICES; i++)
        out->logprob[i] = (float)sqlite3_column_double(s, 4 + i);
}

DEFINE_READ_ALL(read_spider_rows, struct mn_spider_row, read_spider)
DEFINE_READ_ALL(read_mmlu_rows, struct mn_mmlu_row, read_mmlu)

/* --- items
 * ----------------------------------------------------------------------------------------- */

/* The first system to answer a question brings its text; whoever comes later asks the same one: the
 * study's identity holds a digest of the data. */
static mn_status add_spider_question(mn_results *results, const struct mn_spider_row *row)
{
    sqlite3_stmt *s;
    MN_TRY(store_prepare(
        results, "INSERT OR IGNORE INTO spider_question VALUES(?1, ?2, ?3, ?4, ?5, ?6)", &s));
    sqlite3_bind_int64(s, 1, row->index);
    bind_text(s, 2, row->db_id);
    bind_text(s, 3, row->question);
    bind_text(s, 4, row->gold);
    bind_text(s, 5, mn_hardness_name(row->hardness));
    bind_text(s, 6, row->gold_rows);
    return store_finish(results, s);
}

mn_status mn_results_add_spider(mn_results *results, int system, const struct mn_spider_row *row)
{
    sqlite3_stmt *s;
    const char *error = row->verdict.error ? mn_sql_error_words(row->verdict.error) : NULL;
    MN_TRY(add_spider_question(results, row));
    MN_TRY(store_prepare(results,
                         "INSERT INTO spider_item VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
                         " ?11, ?12, ?13, ?14, ?15)",
                         &s));
    sqlite3_bind_int(s, 1, system);
    sqlite3_bind_int64(s, 2, row->index);
    bind_bytes(s, 3, row->reply, row->reply_length);
    bind_bytes(s, 4, row->sql, row->sql_length);
    bind_verdict(s, 5, row->verdict.official);
    bind_verdict(s, 6, row->verdict.distinct);
    bind_verdict(s, 7, row->verdict.seed);
    bind_text(s, 8, error);
    bind_text(s, 9, row->verdict.message);
    sqlite3_bind_int(s, 10, row->verdict.no_rows);
    bind_text(s, 11, row->rows);
    sqlite3_bind_int(s, 12, row->tokens);
    sqlite3_bind_int(s, 13, row->stopped);
    sqlite3_bind_double(s, 14, row->logprob);
    sqlite3_bind_int(s, 15, row->cut);
    return store_finish(results, s);
}

static mn_status add_mmlu_question(mn_results *results, const struct mn_mmlu_row *row)
{
    sqlite3_stmt *s;
    MN_TRY(store_prepare(
        results, "INSERT OR IGNORE INTO mmlu_question VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", &s));
    bind_text(s, 1, row->subject);
    sqlite3_bind_int64(s, 2, row->index);
    sqlite3_bind_int(s, 3, row->answer);
    bind_text(s, 4, row->question);
    for (int i = 0; i < MN_MMLU_CHOICES; i++) bind_text(s, 5 + i, row->choice[i]);
    return store_finish(results, s);
}

mn_status mn_results_add_mmlu(mn_results *results, int system, const struct mn_mmlu_row *row)
{
    sqlite3_stmt *s;
    MN_TRY(add_mmlu_question(results, row));
    MN_TRY(store_prepare(
        results, "INSERT INTO mmlu_item VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &s));
    sqlite3_bind_int(s, 1, system);
    bind_text(s, 2, row->subject);
    sqlite3_bind_int64(s, 3, row->index);
    sqlite3_bind_int(s, 4, row->asked_shots);
    bind_verdict(s, 5, row->predicted);
    for (int i = 0; i < MN_MMLU_CHOICES && row->scored; i++)
        sqlite3_bind_double(s, 6 + i, (double)row->logprob[i]);
    bind_text(s, 10, row->reply);
    sqlite3_bind_int(s, 11, row->shots);
    sqlite3_bind_int(s, 12, row->cut);
    return store_finish(results, s);
}

mn_status mn_results_count(mn_results *results, int system, int64_t *spider, int64_t *mmlu)
{
    sqlite3_stmt *statement;
    bool row;
    MN_TRY(store_prepare(results,
                         "SELECT (SELECT count(*) FROM spider_item WHERE system = ?1),"
                         " (SELECT count(*) FROM mmlu_item WHERE system = ?1)",
                         &statement));
    sqlite3_bind_int(statement, 1, system);
    mn_status st = store_next(results, statement, &row);
    if (st == MN_OK) {
        *spider = sqlite3_column_int64(statement, 0);
        *mmlu = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return st;
}

mn_status mn_results_spider(mn_results *results, int system, mn_arena *arena,
                            struct mn_spider_row **rows, size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(store_prepare(results,
                         "SELECT item, db_id, question, gold, reply, sql, hardness, official,"
                         " distinct_kept, seed, error, message, no_rows, tokens, stopped, logprob,"
                         " gold_rows, rows, cut FROM spider_item JOIN spider_question USING(item)"
                         " WHERE system = ?1 ORDER BY item",
                         &statement));
    sqlite3_bind_int(statement, 1, system);
    return read_spider_rows(results, statement, arena, rows, count);
}

mn_status mn_results_mmlu(mn_results *results, int system, int64_t asked_shots, mn_arena *arena,
                          struct mn_mmlu_row **rows, size_t *count)
{
    sqlite3_stmt *statement;
    MN_TRY(store_prepare(results,
                         "SELECT subject, item, answer, predicted, logprob_a, logprob_b, logprob_c,"
                         " logprob_d, reply, shots, cut, question, a, b, c, d, asked_shots"
                         " FROM mmlu_item JOIN mmlu_question USING(subject, item)"
                         " WHERE system = ?1 AND asked_shots = ?2 ORDER BY subject, item",
                         &statement));
    sqlite3_bind_int(statement, 1, system);
    sqlite3_bind_int64(statement, 2, asked_shots);
    return read_mmlu_rows(results, statement, arena, rows, count);
}
