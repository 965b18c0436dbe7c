/* test_predictions.c: verdicts and hardness equal those of the official evaluator and of the seed
 * study on the SQL that three real systems wrote for Spider dev. */
#include "minuano/spider.h"
#include "support/support.h"

static int expected_verdict(const json_t *value)
{
    /* The official evaluator dies on an empty prediction: a miss here. */
    return json_is_null(value) ? -1 : json_is_integer(value) ? (int)json_integer_value(value) : 0;
}

static int disagreements(const json_t *line, const struct mn_spider_item *item, const char *system,
                         const struct mn_verdict *verdict)
{
    const char *const keys[] = {"official", "distinct", "seed"};
    const int found[] = {verdict->official, verdict->distinct, verdict->seed};
    int differ = 0;
    for (int k = 0; k < 3; k++) {
        int expected = expected_verdict(json_object_get(line, keys[k]));
        if (expected == found[k]) continue;
        print_message("%s %zu %s: expected %d, found %d (%s)\n  gold %s\n  pred %s\n", system,
                      item->index, keys[k], expected, found[k], verdict->message, item->query,
                      json_string_value(json_object_get(line, "pred")));
        differ++;
    }
    const char *hardness = json_string_value(json_object_get(line, "hardness"));
    assert_string_equal(mn_hardness_name(item->hardness), hardness);
    return differ;
}

static void check_system(mn_judge *judge, const mn_spider *spider, const char *system)
{
    char name[80];
    struct mn_jsonl file;
    json_t *line;
    int differ = 0;
    size_t index = 0;
    snprintf(name, sizeof name, "predictions/%s.jsonl", system);
    OK(mn_jsonl_open(&file, test_shared(name)));
    for (;; index++) {
        struct mn_verdict verdict;
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        const json_t *pred = json_object_get(line, "pred");
        OK(mn_judge_item(judge, index, json_string_value(pred), json_string_length(pred),
                         &verdict));
        differ += disagreements(line, &spider->items[index], system, &verdict);
        json_decref(line);
    }
    mn_jsonl_close(&file);
    assert_int_equal(index, 1034);
    assert_int_equal(differ, 0);
}

static void test_verdicts_equal_the_official_evaluators(void **state)
{
    const char *const systems[] = {"seed_baseline", "dail_gpt4", "graphix"};
    mn_spider *spider = NULL;
    mn_judge *judge = NULL;
    (void)state;
    if (!test_shared("spider")) SKIP("no real data: ../shared/data is absent");
    OK(mn_spider_open(&spider, test_shared("spider"), "dev"));
    OK(mn_judge_open(&judge, spider, NULL));
    for (size_t i = 0; i < MN_COUNT(systems); i++) check_system(judge, spider, systems[i]);
    mn_judge_close(&judge);
    mn_spider_close(&spider);
}

static void test_the_seed_studys_own_counts(void **state)
{
    mn_spider *spider = NULL;
    mn_judge *judge = NULL;
    struct mn_spider_tally tally = {0};
    struct mn_jsonl file;
    json_t *line;
    int exact = 0;
    (void)state;
    if (!test_shared("spider")) SKIP("no real data: ../shared/data is absent");
    OK(mn_spider_open(&spider, test_shared("spider"), "dev"));
    OK(mn_judge_open(&judge, spider, NULL));
    OK(mn_jsonl_open(&file, test_shared("predictions/seed_baseline.jsonl")));
    for (size_t i = 0;; i++) {
        struct mn_verdict verdict;
        OK(mn_jsonl_next(&file, &line));
        if (!line) break;
        const char *pred = json_string_value(json_object_get(line, "pred"));
        OK(mn_judge_item(judge, i, pred, strlen(pred), &verdict));
        mn_spider_tally_add(&tally, spider->items[i].hardness, &verdict);
        exact += mn_sql_same_text(spider->items[i].query, pred, strlen(pred));
        json_decref(line);
    }
    mn_jsonl_close(&file);
    const struct mn_spider_count *all = &tally.by[MN_HARDNESSES];
    assert_int_equal(all->total, 1034);
    assert_int_equal(all->judged, 972);
    assert_int_equal(all->seed, 77);
    assert_int_equal(all->official, 86);
    assert_int_equal(exact, 33);
    mn_judge_close(&judge);
    mn_spider_close(&spider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_equal_the_official_evaluators),
        cmocka_unit_test(test_the_seed_studys_own_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
