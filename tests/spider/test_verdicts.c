/* test_verdicts.c: queries made to part the official evaluator from others: its verdict on each, by
 * tests/oracle/spider_verdicts.py, is ours. */
#include "fixture.h"

/* A data set whose item i has the gold query of line i. */
static const char *make_data(json_t *lines)
{
    static const char tables[] =
        "[{\"db_id\":\"d\",\"table_names_original\":[],\"column_names_original\":[[-1,\"*\"]],"
        "\"column_types\":[\"text\"],\"primary_keys\":[],\"foreign_keys\":[]}]";
    const char *folder = test_scratch("verdicts");
    char path[4096], *script;
    json_t *items = json_array(), *line;
    mn_arena *arena;
    size_t i;
    OK(mn_arena_open(&arena));
    snprintf(path, sizeof path, "%s/database/d", folder);
    OK(mn_make_directories(path));
    snprintf(path, sizeof path, "%s/tables.json", folder);
    OK(mn_file_write(path, tables, strlen(tables)));
    json_array_foreach (lines, i, line)
        json_array_append_new(items, json_pack("{s:s,s:s,s:O}", "db_id", "d", "question", "q",
                                               "query", json_object_get(line, "gold")));
    snprintf(path, sizeof path, "%s/dev.json", folder);
    OK(mn_json_write(path, items));
    json_decref(items);
    OK(mn_file_read(arena, test_fixture("spider/verdicts.sql"), &script, NULL));
    snprintf(path, sizeof path, "%s/database/d/d.sqlite", folder);
    make_database(path, script);
    mn_arena_close(&arena);
    return folder;
}

static json_t *read_lines(const char *path)
{
    struct mn_jsonl file;
    json_t *lines = json_array(), *line;
    OK(mn_jsonl_open(&file, path));
    for (;;) {
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        json_array_append_new(lines, line);
    }
    mn_jsonl_close(&file);
    return lines;
}

static void test_verdicts_on_hard_cases_are_the_official_evaluators(void **state)
{
    json_t *lines = read_lines(test_fixture("spider/verdicts.jsonl")), *line;
    mn_spider *spider = NULL;
    mn_judge *judge = NULL;
    size_t i;
    int differ = 0, hits = 0;
    (void)state;
    OK(mn_spider_open(&spider, make_data(lines), "dev"));
    OK(mn_judge_open(&judge, spider, NULL));
    json_array_foreach (lines, i, line) {
        struct mn_verdict verdict;
        const char *pred = json_string_value(json_object_get(line, "pred"));
        const int official = (int)json_integer_value(json_object_get(line, "official"));
        const int distinct = (int)json_integer_value(json_object_get(line, "distinct"));
        OK(mn_judge_item(judge, i, pred, strlen(pred), &verdict));
        hits += official;
        if (verdict.official == official && verdict.distinct == distinct) continue;
        differ++;
        print_message("expected %d %d, found %d %d (%s)\n  gold %s\n  pred %s\n", official,
                      distinct, verdict.official, verdict.distinct, verdict.message,
                      json_string_value(json_object_get(line, "gold")), pred);
    }
    assert_int_equal(differ, 0);
    assert_true(hits > 50 && (int)i - hits > 50);
    mn_judge_close(&judge);
    mn_spider_close(&spider);
    json_decref(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_on_hard_cases_are_the_official_evaluators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
