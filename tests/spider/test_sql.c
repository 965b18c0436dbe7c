/* test_sql.c: the query in a reply, the text the official evaluator runs, and when two results are
 * the same. */
#include "fixture.h"

static void check_text(struct mn_text *found, const char *input, const char *expected)
{
    if (strcmp(found->data, expected) != 0)
        fail_msg("%s\n  expected %s\n  found    %s", input, expected, found->data);
    mn_text_clear(found);
}

static void test_extraction_finds_the_query(void **state)
{
    static const char *const cases[][3] = {
        /* reply, plain, seed */
        {"SELECT 1", "SELECT 1", "SELECT 1"},
        {" SQL: SELECT 1;\n", "SELECT 1", "SELECT 1"},
        {"SELECT 1; SELECT 2", "SELECT 1", "SELECT 1; SELECT 2"},
        {"SELECT a\nFROM t\n\nThis lists a.", "SELECT a FROM t", "SELECT a"},
        {"```sql\nSELECT a\nFROM t;\n```", "SELECT a FROM t", "SELECT a"},
        {"Here it is:\n```sql\nSELECT a FROM t;\n``` and ```SELECT b```", "SELECT a FROM t",
         "SELECT a FROM t"},
        {"```\nSELECT 1\n```", "SELECT 1", "SELECT 1"},
        {"```sqlite\nSELECT 1", "SELECT 1", "ite"},
        {"Sure! The query is\nSELECT a\tFROM t -- all\nWHERE b = 'x;\n\ny'",
         "SELECT a FROM t WHERE b = 'x;\n\ny'", "Sure! The query is"},
        {"with a as (select 1)\n select * from a", "with a as (select 1) select * from a",
         "with a as (select 1)"},
        {"SELECT /* c */ \"a;b\"", "SELECT \"a;b\"", "SELECT /* c */ \"a;b\""},
        {"SELECT 'it''s; so' ; x", "SELECT 'it''s; so'", "SELECT 'it''s; so' ; x"},
        {"I don't know", "I don't know", "I don't know"},
        {"Selection is hard", "Selection is hard", "Selection is hard"},
        {"", "", ""},
        {"```", "", ""},
        {";", "", ""},
    };
    struct mn_text found = {0};
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        const char *reply = cases[i][0];
        mn_sql_extract(reply, strlen(reply), MN_EXTRACT_PLAIN, &found);
        check_text(&found, reply, cases[i][1]);
        mn_sql_extract(reply, strlen(reply), MN_EXTRACT_SEED, &found);
        check_text(&found, reply, cases[i][2]);
    }
    mn_text_free(&found);
}

static void test_official_text_of_a_prediction(void **state)
{
    static const char *const cases[][3] = {
        /* query, DISTINCT kept, stripped */
        {"SELECT DISTINCT a FROM t", "SELECT DISTINCT a FROM t", "SELECT  a FROM t"},
        {"select count(distinct a), b.Distinct", "select count(distinct a), b.Distinct",
         "select count( a), b."},
        {"SELECT DISTINCT(a)", "SELECT DISTINCT(a)", "SELECT (a)"},
        {"SELECT 'distinct', \"distinct\", `distinct`, [distinct], distinctive",
         "SELECT 'distinct', \"distinct\", `distinct`, [distinct], distinctive",
         "SELECT 'distinct', \"distinct\", `distinct`, [distinct], distinctive"},
        {"SELECT 1 -- distinct", "SELECT 1 -- distinct", "SELECT 1 -- distinct"},
        {"SELECT /* distinct */ 1", "SELECT /* distinct */ 1", "SELECT /* distinct */ 1"},
        {"SELECT 'it''s' , distinct 'a\\'distinct'", "SELECT 'it''s' , distinct 'a\\'distinct'",
         "SELECT 'it''s' ,  'a\\'distinct'"},
        {"SELECT don't distinct", "SELECT don't distinct", "SELECT don't "},
        {"SELECT 1; SELECT 2", "SELECT 1; SELECT 2", "SELECT 1; "},
        {"SELECT (1; 2); x", "SELECT (1; 2); x", "SELECT (1; 2); "},
        {"SELECT ';'; x", "SELECT ';'; x", "SELECT ';'; "},
        {"a > = b < = c ! = d", "a >= b <= c != d", "a >= b <= c != d"},
        {"x = Year ( CurDate ( ) ) - y", "x = 2020- y", "x = 2020- y"},
        {"a = value and b", "a = value and b", "a = value and b"},
        {"  SELECT 1\tfrom 7", "SELECT 1", "SELECT 1"},
        {"\u00a0\u3000SELECT 1;\u2003\x1f", "SELECT 1;", "SELECT 1;"},
        /* comments on the line of the `;` belong to its statement */
        {"SELECT 1; # x", "SELECT 1; # x", "SELECT 1; # x"},
        {"SELECT 1; -- x\nSELECT 2", "SELECT 1; -- x\nSELECT 2", "SELECT 1; -- x"},
        {"SELECT 1;\n-- x", "SELECT 1;\n-- x", "SELECT 1;"},
        {"SELECT 1; /* x */ y", "SELECT 1; /* x */ y", "SELECT 1; "},
        {"", "", ""},
    };
    struct mn_text found = {0};
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        const char *sql = cases[i][0];
        mn_text_add(&found, "", 0);
        mn_sql_official(sql, strlen(sql), MN_SQL_ROLE_PREDICTION, true, &found);
        check_text(&found, sql, cases[i][1]);
        mn_sql_official(sql, strlen(sql), MN_SQL_ROLE_PREDICTION, false, &found);
        check_text(&found, sql, cases[i][2]);
    }
    mn_sql_official("a = value and\tb", 15, MN_SQL_ROLE_GOLD, true, &found);
    check_text(&found, "gold", "a = value and\tb");
    mn_text_free(&found);
}

static void test_the_same_text_whatever_case_and_margins(void **state)
{
    static const struct {
        const char *gold, *sql;
        bool same;
    } cases[] = {
        {"SELECT a FROM t", "  select A from T\n", true},
        {"SELECT a", "SELECT  a", false},
        {"SELECT a", "SELECT a;", false},
        {"SELECT a", "SELECT", false},
        {"SELECT a", "", false},
        {" ", "", true},
    };
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++)
        assert_int_equal(mn_sql_same_text(cases[i].gold, cases[i].sql, strlen(cases[i].sql)),
                         cases[i].same);
}

/* --- comparison: results made by SQLite itself -------------------------------------------------
 */

struct expected {
    const char *gold, *found;
    int ordered, unordered, seed;
};

static void check_pair(mn_sql *database, const struct expected *e)
{
    struct mn_sql_result gold, found;
    mn_sql_run(database, e->gold, strlen(e->gold), &gold);
    mn_sql_run(database, e->found, strlen(e->found), &found);
    assert_int_equal(gold.error, MN_SQL_NONE);
    assert_int_equal(found.error, MN_SQL_NONE);
    if (mn_sql_equal(&gold, &found, true) != e->ordered ||
        mn_sql_equal(&gold, &found, false) != e->unordered ||
        mn_sql_equal_seed(&gold, &found) != e->seed)
        fail_msg("%s\n%s\nexpected %d %d %d, found %d %d %d", e->gold, e->found, e->ordered,
                 e->unordered, e->seed, mn_sql_equal(&gold, &found, true),
                 mn_sql_equal(&gold, &found, false), mn_sql_equal_seed(&gold, &found));
    mn_sql_result_close(&gold);
    mn_sql_result_close(&found);
}

static mn_sql *open_empty(void)
{
    mn_sql *database = NULL;
    const char *path = test_scratch("empty.sqlite");
    make_database(path, "CREATE TABLE IF NOT EXISTS t (a)");
    OK(mn_sql_open(&database, path, &mn_sql_limits_default));
    return database;
}

static void test_results_are_compared_as_the_evaluators_do(void **state)
{
    static const struct expected cases[] = {
        {"SELECT 1", "SELECT 1", 1, 1, 1},
        {"SELECT 1", "SELECT 1.0", 1, 1, 1},
        {"SELECT 1", "SELECT '1'", 0, 0, 0},
        {"SELECT 'a'", "SELECT 'A'", 0, 0, 0},
        {"SELECT 'a'", "SELECT x'61'", 0, 0, 0},
        {"SELECT NULL", "SELECT NULL", 1, 1, 1},
        {"SELECT NULL", "SELECT 0", 0, 0, 0},
        {"SELECT 0.1 + 0.2", "SELECT 0.3", 0, 0, 0},
        {"SELECT 9007199254740993", "SELECT 9007199254740992.0", 0, 0, 0},
        {"SELECT 9e999", "SELECT 9e999", 1, 1, 1},
        {"SELECT 1 WHERE 0", "SELECT 1, 2 WHERE 0", 1, 1, 1},
        {"SELECT 1 WHERE 0", "SELECT 1", 0, 0, 0},
        {"SELECT 1, 2", "SELECT 2, 1", 1, 1, 0},
        {"SELECT 1, 2", "SELECT 1", 0, 0, 0},
        {"VALUES (1), (2)", "VALUES (2), (1)", 0, 1, 1},
        {"VALUES (1), (1), (2)", "VALUES (1), (2), (2)", 0, 0, 1},
        {"VALUES (1), (1)", "VALUES (1)", 0, 0, 1},
        {"VALUES (1, 2), (2, 1)", "VALUES (1, 1), (2, 2)", 0, 0, 0},
        {"VALUES (1, 2), (2, 1)", "VALUES (2, 1), (1, 2)", 1, 1, 1},
        /* the same values in each column and in each sorted row, but other rows */
        {"VALUES (1, 2, 3), (2, 3, 1), (3, 1, 2)", "VALUES (1, 3, 2), (2, 1, 3), (3, 2, 1)", 1, 1,
         0},
        {"VALUES (1, 1, 2), (1, 2, 1), (2, 1, 1)", "VALUES (2, 1, 1), (2, 1, 1), (1, 1, 2)", 0, 0,
         0},
        /* sorting rows raises in Python: NULL beside a value, text beside a number */
        {"VALUES (1), (NULL)", "VALUES (NULL), (1)", 0, 1, 0},
        {"VALUES (1), ('a')", "VALUES (1), ('a')", 1, 1, 0},
        {"VALUES (NULL), (NULL)", "VALUES (NULL)", 0, 0, 1},
        {"VALUES (1, NULL), (2, 3)", "VALUES (1, NULL), (2, 3)", 1, 1, 1},
        {"VALUES (1, NULL), (1, 3)", "VALUES (1, NULL), (1, 3)", 1, 1, 0},
        {"VALUES (1, 'a'), (2, 'b')", "VALUES (1.0, 'a'), (2, 'b')", 1, 1, 1},
        /* bad UTF-8 is left out, but the seed study's connection raises */
        {"SELECT 'ab'", "SELECT CAST(x'61ff62' AS TEXT)", 1, 1, 0},
        /* the quick rejection sorts 10 before 5, but after 5.0 */
        {"SELECT 1, 10", "SELECT 1.0, 10", 0, 0, 1},
        {"SELECT 5, 60", "SELECT 5.0, 60", 1, 1, 1},
    };
    mn_sql *database = open_empty();
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++) check_pair(database, &cases[i]);
    mn_sql_close(&database);
}

/* Sixteen columns of zeros and ones, shifted: every column alike, sixteen factorial orders. */
static void test_many_like_columns_are_matched_in_bounded_time(void **state)
{
    struct mn_text gold = {0}, found = {0};
    mn_sql *database = open_empty();
    (void)state;
    for (int row = 0; row < 16; row++) {
        mn_text_puts(&gold, row ? ", (" : "VALUES (");
        mn_text_puts(&found, row ? ", (" : "VALUES (");
        for (int c = 0; c < 16; c++) {
            int shifted = (c * 5 + 3) % 16;
            mn_text_printf(&gold, "%s%d", c ? ", " : "", (row * 7 + c) % 16 < 8);
            mn_text_printf(&found, "%s%d", c ? ", " : "", (row * 7 + shifted) % 16 < 8);
        }
        mn_text_puts(&gold, ")");
        mn_text_puts(&found, ")");
    }
    const struct expected pair = {gold.data, found.data, 1, 1, 0};
    check_pair(database, &pair);
    mn_text_free(&gold);
    mn_text_free(&found);
    mn_sql_close(&database);
}

static void test_a_file_that_is_no_database_is_an_error_of_its_queries(void **state)
{
    const char *path = test_scratch("text.sqlite");
    mn_sql *database = NULL;
    struct mn_sql_result result;
    (void)state;
    OK(mn_file_write(path, "this is not a database, however long it may be", 46));
    OK(mn_sql_open(&database, path, &mn_sql_limits_default));
    mn_sql_run(database, "SELECT * FROM t", 15, &result);
    assert_int_equal(result.error, MN_SQL_OTHER);
    assert_non_null(strstr(result.message, "not a database"));
    mn_sql_result_close(&result);
    mn_sql_close(&database);
    FAILS(mn_sql_open(&database, "/nowhere/at all.sqlite", &mn_sql_limits_default), MN_IO,
          "/nowhere/at all.sqlite");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extraction_finds_the_query),
        cmocka_unit_test(test_official_text_of_a_prediction),
        cmocka_unit_test(test_the_same_text_whatever_case_and_margins),
        cmocka_unit_test(test_results_are_compared_as_the_evaluators_do),
        cmocka_unit_test(test_many_like_columns_are_matched_in_bounded_time),
        cmocka_unit_test(test_a_file_that_is_no_database_is_an_error_of_its_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
