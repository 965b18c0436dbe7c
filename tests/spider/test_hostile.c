/* test_hostile.c: whatever a model writes is judged a miss in bounded time and memory, and leaves
 * the database as it was, byte for byte. */
#include "fixture.h"
#include "minuano/log.h"

/* Small enough that a query which only stops at a limit stops soon. */
static const struct mn_sql_limits limits = {
    .seconds = 5,
    .steps = 20000,
    .rows = 10000,
    .result_bytes = 4 << 20,
    .string_bytes = 100000,
    .heap = 32 << 20,
};

struct zoo {
    mn_spider *spider;
    mn_judge *judge;
    const char *folder, *database;
    char before[65];
};

static void digest_file(const char *path, char out[65])
{
    struct mn_mapping mapping;
    OK(mn_mapping_open(&mapping, path));
    mn_sha256(mapping.data, mapping.size, out);
    mn_mapping_close(&mapping);
}

static int open_zoo(void **state)
{
    static struct zoo zoo;
    static char database[4096];
    zoo.folder = make_spider();
    snprintf(database, sizeof database, "%s/database/zoo/zoo.sqlite", zoo.folder);
    zoo.database = database;
    digest_file(zoo.database, zoo.before);
    OK(mn_spider_open(&zoo.spider, zoo.folder, "dev"));
    OK(mn_judge_open(&zoo.judge, zoo.spider, &limits));
    *state = &zoo;
    return 0;
}

static int close_zoo(void **state)
{
    struct zoo *zoo = *state;
    mn_judge_close(&zoo->judge);
    mn_spider_close(&zoo->spider);
    return 0;
}

/* A miss on every item, also on the one whose gold result is empty. */
static void check_miss(struct zoo *zoo, const char *sql, size_t length, enum mn_sql_error expected)
{
    char after[65];
    char **names;
    size_t count;
    mn_arena *arena;
    for (size_t item = 0; item < 4; item++) {
        struct mn_verdict verdict;
        double start = mn_seconds();
        OK(mn_judge_item(zoo->judge, item, sql, length, &verdict));
        if (verdict.official || verdict.distinct || verdict.seed)
            fail_msg("item %zu: a hit: %.60s", item, sql);
        if (verdict.error != expected)
            fail_msg("%.60s: expected %s, found %s: %s", sql, mn_sql_error_words(expected),
                     mn_sql_error_words(verdict.error), verdict.message);
        assert_true(mn_seconds() - start < 60); /* three variants, a slow machine, sanitizers */
    }
    digest_file(zoo->database, after);
    assert_string_equal(after, zoo->before);
    OK(mn_arena_open(&arena)); /* no journal, no copy, no attached file beside it */
    OK(mn_directory_list(arena, mn_path(arena, zoo->folder, "database/zoo"), &names, &count));
    assert_int_equal(count, 1);
    mn_arena_close(&arena);
}

static void check_all(struct zoo *zoo, const char *const *queries, size_t count,
                      enum mn_sql_error expected)
{
    for (size_t i = 0; i < count; i++) check_miss(zoo, queries[i], strlen(queries[i]), expected);
}

static void test_writes_are_denied(void **state)
{
    static const char *const queries[] = {
        "DROP TABLE animal",
        "DELETE FROM animal",
        "UPDATE animal SET name = 'x'",
        "INSERT INTO animal VALUES (9, 'x', 1, 1)",
        "REPLACE INTO animal VALUES (1, 'x', 1, 1)",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t AS SELECT * FROM animal",
        "CREATE VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE v USING fts5(a)",
        "ALTER TABLE animal RENAME TO beast",
        "WITH a AS (SELECT 1) DELETE FROM animal",
        "DELETE FROM animal RETURNING name",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
    };
    check_all(*state, queries, MN_COUNT(queries), MN_SQL_DENIED);
}

static void test_other_files_and_settings_are_out_of_reach(void **state)
{
    static const char *const queries[] = {
        "ATTACH DATABASE '/tmp/other.sqlite' AS other",
        "ATTACH ':memory:' AS m",
        "DETACH main",
        "VACUUM INTO '/tmp/copy.sqlite'",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = WAL",
        "PRAGMA table_info(animal)",
        "SELECT * FROM pragma_table_info('animal')",
        "SELECT load_extension('/tmp/evil')",
    };
    check_all(*state, queries, MN_COUNT(queries), MN_SQL_DENIED);
}

static void test_endless_work_stops_at_the_budget(void **state)
{
    static const char *const queries[] = {
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n",
        "SELECT count(*) FROM animal a, animal b, animal c, animal d, animal e, animal f, animal g,"
        " animal h, animal i, animal j, animal k, animal l, animal m, animal n, animal o, animal p",
        "SELECT name FROM animal WHERE weight > (SELECT sum(a.id * b.id * c.id) FROM animal a, "
        "animal b, animal c, animal d, animal e, animal f, animal g, animal h, animal i, animal j,"
        " animal k, animal l, animal m, animal n WHERE a.id > animal.id - 9)",
    };
    check_all(*state, queries, MN_COUNT(queries), MN_SQL_TIMEOUT);
}

static void test_huge_results_stop_at_the_caps(void **state)
{
    static const char *const queries[] = {
        "SELECT zeroblob(2000000000)",
        "SELECT randomblob(1000000000)",
        "SELECT replace(hex(zeroblob(40000)), '0', 'many more than one')",
        "SELECT hex(hex(hex(hex(zeroblob(20000)))))",
        "WITH RECURSIVE n(s) AS (SELECT 'ab' UNION ALL SELECT s || s FROM n) SELECT s FROM n",
        "SELECT * FROM animal a, animal b, animal c, animal d, animal e, animal f, animal g, "
        "animal h, animal i, animal j",
        "SELECT a.name FROM animal a, animal b, animal c, animal d, animal e, animal f, animal g, "
        "animal h, animal i, animal j ORDER BY a.name || b.name || c.name",
        "WITH RECURSIVE n(i, s) AS (SELECT 1, zeroblob(90000) UNION ALL SELECT i + 1, s FROM n) "
        "SELECT s FROM n ORDER BY i DESC",
        "SELECT group_concat(hex(randomblob(30000))) FROM animal",
    };
    check_all(*state, queries, MN_COUNT(queries), MN_SQL_TOO_BIG);
}

/* Every reference to a common table is expanded before the query runs, where no step is counted. */
static void test_a_query_that_explodes_in_the_parser_is_bounded(void **state)
{
    struct mn_text sql = {0};
    mn_text_puts(&sql, "WITH a0 AS (SELECT 1 AS x)");
    for (int i = 1; i < 40; i++)
        mn_text_printf(&sql, ", a%d AS (SELECT p.x FROM a%d p, a%d q LIMIT 5)", i, i - 1, i - 1);
    mn_text_puts(&sql, " SELECT x FROM a39");
    struct zoo *zoo = *state;
    struct mn_verdict verdict;
    double start = mn_seconds();
    OK(mn_judge_item(zoo->judge, 0, sql.data, sql.length, &verdict));
    assert_false(verdict.official || verdict.distinct || verdict.seed);
    assert_int_not_equal(verdict.error, MN_SQL_NONE);
    assert_true(mn_seconds() - start < 60);
    mn_text_clear(&sql);
    for (int i = 0; i < 20000; i++) mn_text_puts(&sql, "(");
    check_miss(zoo, sql.data, sql.length, MN_SQL_SYNTAX);
    mn_text_clear(&sql);
    mn_text_puts(&sql, "SELECT 1");
    for (int i = 0; i < 20000; i++) mn_text_puts(&sql, "+1");
    OK(mn_judge_item(zoo->judge, 0, sql.data, sql.length, &verdict));
    assert_int_not_equal(verdict.error, MN_SQL_NONE);
    mn_text_clear(&sql);
    for (int i = 0; i < 20000; i++) mn_text_puts(&sql, "SELECT 1 UNION ");
    check_miss(zoo, sql.data, sql.length, MN_SQL_TOO_BIG);
    mn_text_free(&sql);
}

static void test_functions_that_are_quadratic_end_in_bounded_time(void **state)
{
    struct zoo *zoo = *state;
    static const char *const queries[] = {
        "SELECT instr(hex(zeroblob(49000)), hex(zeroblob(24000)) || '1')",
        "SELECT trim(hex(randomblob(24000)), hex(randomblob(24000)) || 'x')",
        "SELECT hex(zeroblob(49000)) LIKE '%0%0%0%0%0%0%0%0%0%0%0%1'",
    };
    for (size_t i = 0; i < MN_COUNT(queries); i++) {
        struct mn_verdict verdict;
        double start = mn_seconds();
        OK(mn_judge_item(zoo->judge, 1, queries[i], strlen(queries[i]), &verdict));
        assert_false(verdict.official || verdict.distinct || verdict.seed);
        assert_true(mn_seconds() - start < 120);
    }
}

static void test_more_than_one_statement_is_a_miss(void **state)
{
    static const char *const queries[] = {
        "SELECT name FROM keeper; DROP TABLE animal",
        "SELECT name FROM keeper;; ",
        "SELECT name FROM keeper; SELECT name FROM animal",
    };
    check_all(*state, queries, MN_COUNT(queries), MN_SQL_MULTIPLE);
}

static void test_what_is_no_query_is_a_miss(void **state)
{
    static const char *const empty[] = {"", "   ", "\n\t", "-- nothing", "/* nothing */", ";"};
    static const char *const syntax[] = {"I cannot answer that.", "SELECT", "SELECT * FROM", "'"};
    static const char *const parameters[] = {"SELECT name FROM animal WHERE id > ?",
                                             "SELECT name FROM animal WHERE id > :id"};
    check_all(*state, empty, MN_COUNT(empty), MN_SQL_EMPTY);
    check_all(*state, syntax, MN_COUNT(syntax), MN_SQL_SYNTAX);
    check_all(*state, parameters, MN_COUNT(parameters), MN_SQL_OTHER);
}

static void test_nul_bytes_are_a_miss(void **state)
{
    static const char inside[] = "SELECT name FROM animal\0; DROP TABLE animal";
    static const char before[] = "\0SELECT name FROM animal";
    static const char alone[] = "\0";
    check_miss(*state, inside, sizeof inside - 1, MN_SQL_SYNTAX);
    check_miss(*state, before, sizeof before - 1, MN_SQL_SYNTAX);
    check_miss(*state, alone, 1, MN_SQL_SYNTAX);
}

static void test_errors_are_classified(void **state)
{
    struct zoo *zoo = *state;
    static const char *const table = "SELECT x FROM beast", *const column = "SELECT x FROM animal",
                             *const ambiguous = "SELECT id FROM animal JOIN keeper",
                             *const function = "SELECT year(weight) FROM animal";
    check_miss(zoo, table, strlen(table), MN_SQL_NO_TABLE);
    check_miss(zoo, column, strlen(column), MN_SQL_NO_COLUMN);
    check_miss(zoo, ambiguous, strlen(ambiguous), MN_SQL_NO_COLUMN);
    check_miss(zoo, function, strlen(function), MN_SQL_NO_FUNCTION);
}

static void test_a_good_query_is_a_hit_after_all_that(void **state)
{
    struct zoo *zoo = *state;
    struct mn_verdict verdict;
    static const char sql[] = "select weight, name from animal order by weight; -- done\n";
    OK(mn_judge_item(zoo->judge, 3, sql, strlen(sql), &verdict));
    assert_int_equal(verdict.error, MN_SQL_NONE);
    assert_int_equal(verdict.official, 1);
    assert_int_equal(verdict.distinct, 1);
    assert_int_equal(verdict.seed, 0); /* columns in another order */
    OK(mn_judge_item(zoo->judge, 4, sql, strlen(sql), &verdict));
    assert_int_equal(verdict.error, MN_SQL_GOLD);
    assert_int_equal(verdict.official, 0);
    OK(mn_judge_item(zoo->judge, 5, sql, strlen(sql), &verdict));
    assert_int_equal(verdict.official, -1);
    FAILS(mn_judge_item(zoo->judge, 6, sql, strlen(sql), &verdict), MN_INVALID, "has 6");
}

/* However much a query returns, little of it is shown, and all of it as it is. */
static void test_shown_rows_are_few_short_and_plain(void **state)
{
    struct zoo *zoo = *state;
    struct mn_verdict verdict;
    static const char sql[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
        "SELECT i, 0.1, NULL, '</script>' || char(0), x'00ff', 9007199254740993, -1e999, "
        "replace(hex(zeroblob(100)), '0', char(233)), 9 FROM n";
    OK(mn_judge_item(zoo->judge, 3, sql, strlen(sql), &verdict));
    assert_false(verdict.no_rows);
    json_t *shown, *row, *cell;
    OK(mn_json_parse(&shown, mn_judge_rows(zoo->judge), strlen(mn_judge_rows(zoo->judge)), "rows"));
    assert_int_equal(json_integer_value(json_object_get(shown, "rows")), 5000);
    assert_int_equal(json_integer_value(json_object_get(shown, "columns")), 9);
    assert_int_equal(json_array_size(json_object_get(shown, "first")), MN_SQL_SHOWN_ROWS);
    row = json_array_get(json_object_get(shown, "first"), 4);
    assert_int_equal(json_array_size(row), MN_SQL_SHOWN_COLUMNS);
    cell = json_pack("[i,f,n,s#,{s:i},{s:s},{s:s}]", 5, 0.1, "</script>", 10, "blob", 2, "number",
                     "9007199254740993", "number", "-inf");
    for (size_t i = 0; i < 7; i++)
        assert_true(json_equal(json_array_get(row, i), json_array_get(cell, i)));
    json_decref(cell);
    cell = json_array_get(row, 7);
    assert_int_equal(json_integer_value(json_object_get(cell, "bytes")), 400);
    assert_int_equal(json_string_length(json_object_get(cell, "text")), 160); /* whole characters */
    json_decref(shown);
    static const char none[] = "SELECT 1 WHERE 0", wrong[] = "SELECT";
    OK(mn_judge_item(zoo->judge, 3, none, strlen(none), &verdict));
    assert_true(verdict.no_rows);
    assert_string_equal(mn_judge_rows(zoo->judge), "{\"rows\":0,\"columns\":1,\"first\":[]}");
    assert_true(strlen(mn_judge_gold_rows(zoo->judge)) > 0);
    OK(mn_judge_item(zoo->judge, 3, wrong, strlen(wrong), &verdict));
    assert_false(verdict.no_rows);
    assert_string_equal(mn_judge_rows(zoo->judge), "");
    OK(mn_judge_item(zoo->judge, 5, none, strlen(none), &verdict)); /* no database */
    assert_string_equal(mn_judge_gold_rows(zoo->judge), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_are_denied),
        cmocka_unit_test(test_other_files_and_settings_are_out_of_reach),
        cmocka_unit_test(test_endless_work_stops_at_the_budget),
        cmocka_unit_test(test_huge_results_stop_at_the_caps),
        cmocka_unit_test(test_a_query_that_explodes_in_the_parser_is_bounded),
        cmocka_unit_test(test_functions_that_are_quadratic_end_in_bounded_time),
        cmocka_unit_test(test_more_than_one_statement_is_a_miss),
        cmocka_unit_test(test_what_is_no_query_is_a_miss),
        cmocka_unit_test(test_nul_bytes_are_a_miss),
        cmocka_unit_test(test_errors_are_classified),
        cmocka_unit_test(test_shown_rows_are_few_short_and_plain),
        cmocka_unit_test(test_a_good_query_is_a_hit_after_all_that),
    };
    return cmocka_run_group_tests(tests, open_zoo, close_zoo);
}
