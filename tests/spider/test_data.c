/* test_data.c: Spider's files are read strictly, and hardness follows the official rules. */
#include "fixture.h"

static const char *file_of(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void test_a_split_is_read_with_its_databases(void **state)
{
    const char *folder = make_spider();
    mn_spider *spider = NULL;
    (void)state;
    make_database(file_of(folder, "database/zoo/another.sqlite"), fixture_script);
    OK(mn_spider_open(&spider, folder, "dev"));
    assert_int_equal(spider->count, 6);
    assert_int_equal(spider->items[5].index, 5);
    assert_string_equal(spider->items[5].db_id, "gone");
    assert_int_equal(spider->items[5].database->file_count, 0);
    assert_int_equal(spider->items[0].hardness, MN_HARDNESS_UNKNOWN);
    assert_null(mn_hardness_name(spider->items[0].hardness));
    const struct mn_spider_database *zoo = spider->items[0].database;
    assert_int_equal(zoo->file_count, 2);
    assert_non_null(strstr(zoo->files[0], "zoo.sqlite")); /* its own file before the others */
    assert_non_null(strstr(zoo->files[1], "another.sqlite"));
    mn_spider_close(&spider);
}

/* A query that is right on one file of a database and wrong on another is wrong, but for the seed
 * metric, which knows one file alone. */
static void test_every_file_of_a_database_must_agree(void **state)
{
    const char *folder = make_spider();
    mn_spider *spider = NULL;
    mn_judge *judge = NULL;
    struct mn_verdict verdict;
    static const char right[] = "SELECT count(id) FROM animal", lucky[] = "SELECT 4";
    (void)state;
    make_database(file_of(folder, "database/zoo/another.sqlite"),
                  "CREATE TABLE animal (id INTEGER, name TEXT, weight REAL);");
    OK(mn_spider_open(&spider, folder, "dev"));
    OK(mn_judge_open(&judge, spider, NULL));
    OK(mn_judge_item(judge, 0, right, strlen(right), &verdict));
    assert_int_equal(verdict.official, 1);
    OK(mn_judge_item(judge, 0, lucky, strlen(lucky), &verdict));
    assert_int_equal(verdict.official, 0);
    assert_int_equal(verdict.distinct, 0);
    assert_int_equal(verdict.seed, 1);
    mn_judge_close(&judge);
    mn_spider_close(&spider);
}

static void test_train_and_others_are_one_split(void **state)
{
    const char *folder = make_spider();
    mn_spider *spider = NULL;
    (void)state;
    OK(mn_file_write(file_of(folder, "train_spider.json"), fixture_items, strlen(fixture_items)));
    OK(mn_spider_open(&spider, folder, "train"));
    assert_int_equal(spider->count, 6);
    mn_spider_close(&spider);
    FAILS(mn_spider_open(&spider, folder, "train+others"), MN_NOT_FOUND,
          "train_others.json: expected for split \"train+others\", found no such file");
    OK(mn_file_write(file_of(folder, "train_others.json"), fixture_items, strlen(fixture_items)));
    OK(mn_spider_open(&spider, folder, "train+others"));
    assert_int_equal(spider->count, 12);
    assert_int_equal(spider->items[11].index, 11);
    mn_spider_close(&spider);
    FAILS(mn_spider_open(&spider, folder, "test"), MN_INVALID, "found \"test\"");
}

/* As the official archives unpack. */
static void test_the_folder_inside_is_found(void **state)
{
    static const char *const names[] = {"spider", "spider_data"};
    char outer[4000], inner[4100];
    (void)state;
    for (size_t i = 0; i < MN_COUNT(names); i++) {
        mn_spider *spider = NULL;
        const char *folder = make_spider();
        snprintf(outer, sizeof outer, "%s", test_scratch(i ? "archive-b" : "archive-a"));
        snprintf(inner, sizeof inner, "%s/%s", outer, names[i]);
        OK(mn_make_directories(outer));
        FAILS(mn_spider_open(&spider, outer, "dev"), MN_NOT_FOUND,
              "expected Spider: tables.json, or a folder spider_data or spider that holds it");
        assert_int_equal(rename(folder, inner), 0);
        OK(mn_spider_open(&spider, outer, "dev"));
        assert_int_equal(spider->count, 6);
        assert_string_equal(spider->folder, inner);
        assert_int_equal(spider->items[0].database->file_count, 1);
        mn_spider_close(&spider);
    }
}

static void test_broken_files_are_named(void **state)
{
    static const struct {
        const char *file, *content, *words;
    } cases[] = {
        {"dev.json", "{}", "dev.json: expected an array"},
        {"dev.json", "[{\"db_id\":\"zoo\"}]", "dev.json: item 0: key \"question\""},
        {"dev.json", "[{\"db_id\":\"x\",\"question\":\"q\",\"query\":\"s\"}]",
         "item 0: db_id \"x\" is not in tables.json"},
        {"dev.json", "[{\"db_id\":\"zoo\",\"question\":\"q\",\"query\":\"s\",\"sql\":{}}]",
         "item 0: key \"from\""},
        {"dev.json", "[", "dev.json: not JSON"},
        {"tables.json", "3", "tables.json: expected an array"},
        {"tables.json", "[{\"db_id\":\"../zoo\"}]", "expected a plain name"},
        {"tables.json",
         "[{\"db_id\":\"a\",\"table_names_original\":[\"t\"],\"column_names_original\":"
         "[[-1,\"*\"],[1,\"c\"]],\"column_types\":[\"text\",\"text\"]}]",
         "column_names_original[1]: expected a table from 0 to 0, found 1"},
        {"tables.json",
         "[{\"db_id\":\"a\",\"table_names_original\":[\"t\"],\"column_names_original\":"
         "[[-1,\"*\"],[0,\"c\"]],\"column_types\":[\"text\"]}]",
         "column_types: expected 2"},
        {"tables.json",
         "[{\"db_id\":\"a\",\"table_names_original\":[\"t\"],\"column_names_original\":"
         "[[-1,\"*\"],[0,\"c\"]],\"column_types\":[\"text\",\"text\"],\"primary_keys\":[2]}]",
         "primary_keys: expected a column from 1 to 1"},
    };
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        mn_spider *spider = NULL;
        const char *folder = make_spider();
        OK(mn_file_write(file_of(folder, cases[i].file), cases[i].content,
                         strlen(cases[i].content)));
        FAILS(mn_spider_open(&spider, folder, "dev"), MN_INVALID, cases[i].words);
        assert_null(spider);
    }
}

/* --- hardness --------------------------------------------------------------------------------- */

/* One column plain or aggregated; a condition "column > 1", LIKE, or against a nested query. */
#define COLUMN "[0, [0, [0, 1, false], null]]"
#define COUNT "[3, [0, [0, 0, false], null]]"
#define CONDITION "[false, 3, [0, [0, 2, false], null], 1.0, null]"
#define LIKE "[false, 9, [0, [0, 2, false], null], \"x\", null]"
#define NESTED "[false, 8, [0, [0, 2, false], null], {}, null]"
#define GROUP "[0, 1, false]"
#define ORDER "\"asc\", [[0, [3, 0, false], null]]"

struct parts {
    const char *select, *tables, *where, *group, *having, *order, *limit, *except;
    enum mn_hardness expected;
};

static void check_hardness(const struct parts *p)
{
    char text[2000];
    json_t *sql;
    enum mn_hardness found;
    snprintf(text, sizeof text,
             "{\"select\": [false, [%s]], \"from\": {\"table_units\": [%s], \"conds\": []}, "
             "\"where\": [%s], \"groupBy\": [%s], \"having\": [%s], \"orderBy\": [%s], "
             "\"limit\": %s, \"intersect\": null, \"except\": %s, \"union\": null}",
             p->select, p->tables ? p->tables : "0", p->where ? p->where : "",
             p->group ? p->group : "", p->having ? p->having : "", p->order ? p->order : "",
             p->limit ? p->limit : "null", p->except ? p->except : "null");
    OK(mn_json_parse(&sql, text, strlen(text), "case"));
    OK(mn_hardness_read(sql, "case", &found));
    if (found != p->expected)
        fail_msg("%s\nexpected %s, found %s", text, mn_hardness_name(p->expected),
                 mn_hardness_name(found));
    json_decref(sql);
}

static void test_hardness_follows_the_official_rules(void **state)
{
    static const struct parts cases[] = {
        {.select = COLUMN, .expected = MN_EASY},
        {.select = COUNT, .where = CONDITION, .expected = MN_EASY},
        {.select = COLUMN ", " COLUMN, .expected = MN_MEDIUM},
        {.select = COUNT, .tables = "0, 0", .where = CONDITION, .expected = MN_MEDIUM},
        {.select = COLUMN, .where = CONDITION ", \"and\", " CONDITION, .expected = MN_MEDIUM},
        {.select = COLUMN, .where = CONDITION ", \"or\", " CONDITION, .expected = MN_MEDIUM},
        {.select = COLUMN ", " COUNT, .where = LIKE ", \"or\", " CONDITION, .expected = MN_HARD},
        {.select = COUNT ", " COLUMN, .group = GROUP, .order = ORDER, .expected = MN_EXTRA},
        {.select = COLUMN, .where = NESTED, .expected = MN_HARD},
        {.select = COLUMN, .except = "{}", .expected = MN_HARD},
        {.select = COLUMN, .where = NESTED, .except = "{}", .expected = MN_EXTRA},
        {.select = COLUMN, .group = GROUP, .order = ORDER, .limit = "1", .expected = MN_HARD},
        {.select = COUNT ", " COLUMN,
         .tables = "0, 0",
         .group = GROUP,
         .order = ORDER,
         .limit = "1",
         .expected = MN_EXTRA},
        /* connectives count as aggregates in HAVING, the NOT flag in WHERE */
        {.select = COLUMN,
         .group = GROUP,
         .having = CONDITION ", \"and\", " CONDITION ", \"and\", " CONDITION,
         .expected = MN_MEDIUM},
        {.select = COUNT,
         .where = "[true, 3, [0, [0, 2, false], null], 1.0, null]",
         .expected = MN_MEDIUM},
    };
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++) check_hardness(&cases[i]);
}

static void test_real_spider_is_read_whole(void **state)
{
    mn_spider *spider = NULL;
    size_t missing = 0;
    (void)state;
    if (!test_shared("spider")) SKIP("no real data: ../shared/data is absent");
    OK(mn_spider_open(&spider, test_shared("spider"), "train"));
    assert_int_equal(spider->count, 7000);
    assert_int_equal(spider->database_count, 166);
    for (size_t i = 0; i < spider->database_count; i++)
        missing += spider->databases[i].file_count == 0;
    assert_int_equal(missing, 3);
    mn_spider_close(&spider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_split_is_read_with_its_databases),
        cmocka_unit_test(test_every_file_of_a_database_must_agree),
        cmocka_unit_test(test_train_and_others_are_one_split),
        cmocka_unit_test(test_the_folder_inside_is_found),
        cmocka_unit_test(test_broken_files_are_named),
        cmocka_unit_test(test_hardness_follows_the_official_rules),
        cmocka_unit_test(test_real_spider_is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
