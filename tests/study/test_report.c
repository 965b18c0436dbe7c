/* A report's numbers from rows whose answers are known by hand, and the same in all four forms. */
#include "support/support.h"

#include <math.h>

#include "minuano/report.h"

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

static void add_spider(mn_results *results, int system, int64_t index, const char *db_id,
                       enum mn_hardness hardness, int verdict)
{
    struct mn_spider_row row = {
        .index = index,
        .db_id = db_id,
        .question = "q",
        .gold = "g",
        .reply = "r",
        .sql = "s",
        .reply_length = 1,
        .sql_length = 1,
        .hardness = hardness,
        .cut = hardness == MN_EASY,
        .verdict = {.official = verdict, .distinct = verdict, .seed = verdict}};
    OK(mn_results_add_spider(results, system, &row));
}

static void add_mmlu(mn_results *results, int system, const char *subject, int64_t index,
                     bool right, float logprob)
{
    struct mn_mmlu_row row = {.subject = subject,
                              .index = index,
                              .answer = 1,
                              .predicted = right ? 1 : 2,
                              .scored = true,
                              .logprob = {-50, logprob, -50, -50}};
    OK(mn_results_add_mmlu(results, system, &row));
}

/* Spider: six items of two databases and one whose database is missing. The adapter wins items 0, 1
 * and 4, loses 3. MMLU: anatomy 2 of 2 to 1 of 2, virology 1 of 4 to 1 of 4 by other questions. */
static const char *make_run(void)
{
    static const int before[] = {0, 0, 1, 1, 0, 0}, after[] = {1, 1, 1, 0, 1, 0};
    const char *folder = test_scratch("run");
    mn_results *results;
    struct mn_system base = {.name = "base", .strength = 1, .spider_planned = 7, .mmlu_planned = 6};
    struct mn_system adapter = {.name = "adapter \"x\"",
                                .settings = "{\"lora\":{\"rank\":4}}",
                                .strength = 1,
                                .spider_planned = 7,
                                .mmlu_planned = 6,
                                .folder = "f",
                                .fingerprint = "abcdef",
                                .trained = {.steps = 3,
                                            .tokens = 30,
                                            .loss_tokens = 10,
                                            .first_loss = 2,
                                            .last_loss = 1,
                                            .seconds = 5}};
    int id;
    OK(mn_make_directories(folder));
    OK(mn_results_open(&results, test_scratch("run/results.sqlite"), true));
    OK(mn_results_set(results, "name", "by hand"));
    OK(mn_results_set(results, "model", "../../a/configs/x/../../tiny"));
    OK(mn_results_set(results, "config", "{\"key\":1}"));
    OK(mn_results_add_system(results, &base, &id));
    OK(mn_results_add_system(results, &adapter, &id));
    OK(mn_results_set_trained(results, 1, &adapter));
    for (int i = 0; i < 6; i++) {
        const char *db = i < 4 ? "farm" : "ferry";
        add_spider(results, 0, i, db, i < 2 ? MN_EASY : MN_EXTRA, before[i]);
        add_spider(results, 1, i, db, i < 2 ? MN_EASY : MN_EXTRA, after[i]);
    }
    add_spider(results, 0, 6, "gone", MN_HARD, -1);
    add_spider(results, 1, 6, "gone", MN_HARD, -1);
    for (int i = 0; i < 2; i++) {
        add_mmlu(results, 0, "anatomy", i, true, -0.25f);
        add_mmlu(results, 1, "anatomy", i, i == 0, -1);
    }
    for (int i = 0; i < 4; i++) {
        add_mmlu(results, 0, "virology", i, i == 0, -0.25f);
        add_mmlu(results, 1, "virology", i, i == 1, -1);
    }
    mn_results_close(&results);
    return folder;
}

static void test_report_numbers_are_those_by_hand(void **state)
{
    struct mn_report report;
    OK(mn_report_load(*state, make_run(), &report));
    assert_true(report.complete);
    assert_int_equal(report.items_done, 26);
    assert_int_equal(report.system_count, 2);
    const struct mn_spider_count *all = &report.systems[1].spider.by[MN_HARDNESSES];
    assert_int_equal(all->total, 7);
    assert_int_equal(all->judged, 6);
    assert_int_equal(all->missing, 1);
    assert_int_equal(all->official, 4);
    const struct mn_report_comparison *c = &report.comparisons[0];
    const struct mn_change *spider = &c->spider[MN_HARDNESSES];
    assert_int_equal(spider->items, 6);
    assert_int_equal(spider->gained, 3);
    assert_int_equal(spider->lost, 1);
    assert_float_equal(spider->change, 2.0 / 6, 1e-15);
    assert_float_equal(spider->p, 0.625, 1e-12); /* 2 (C(4,0) + C(4,1)) / 16 */
    assert_int_equal(spider->clusters, 2);
    assert_float_equal(spider->interval.low, 0.25, 1e-15); /* farm: 1 of 4; ferry: 1 of 2 */
    assert_float_equal(spider->interval.high, 0.5, 1e-15);
    assert_float_equal(c->spider[MN_EASY].change, 1, 0);
    assert_int_equal(c->spider[MN_HARD].items, 0);
    assert_float_equal(c->mmlu_micro.change, -1.0 / 6, 1e-15);
    assert_float_equal(c->mmlu_macro.change, -0.25, 1e-15);
    assert_int_equal(c->mmlu_micro.gained, 1);
    assert_int_equal(c->mmlu_micro.lost, 2);
    assert_float_equal(c->mmlu_groups[MN_MMLU_STEM].change, -0.5, 0);
    assert_float_equal(mn_report_subject_change(c, "virology")->change, 0, 0);
    assert_null(mn_report_subject_change(c, "alchemy"));
    assert_float_equal(c->mass_change, exp(-1.0) - exp(-0.25), 1e-7);
    assert_int_equal(report.systems[0].misses[MN_SQL_NONE], 4);
    assert_int_equal(report.systems[1].misses[MN_SQL_NONE], 2);
    /* anatomy: +0 -1, virology: +1 -1: both have p 1, and Holm's is no more. */
    assert_float_equal(mn_report_subject_change(c, "anatomy")->holm_p, 1, 0);
    assert_true(isnan(c->mmlu_micro.holm_p));
    assert_int_equal(report.systems[0].calibration.items, 6);
    mn_report_close(&report);
}

/* An item that only one of the two has finished is in its accuracy and in no comparison. */
static void test_report_of_an_unfinished_study_compares_what_both_have(void **state)
{
    const char *folder = test_scratch("unfinished");
    mn_results *results;
    struct mn_system system = {
        .name = "base", .strength = 1, .spider_planned = 3, .mmlu_planned = 2};
    struct mn_report report;
    int id;
    OK(mn_make_directories(folder));
    OK(mn_results_open(&results, test_scratch("unfinished/results.sqlite"), true));
    OK(mn_results_add_system(results, &system, &id));
    system.name = "adapter";
    OK(mn_results_add_system(results, &system, &id));
    for (int i = 0; i < 3; i++) add_spider(results, 0, i, "farm", MN_EASY, 0);
    add_spider(results, 1, 2, "farm", MN_EASY, 1);
    add_mmlu(results, 0, "anatomy", 0, true, -1);
    add_mmlu(results, 0, "virology", 0, true, -1);
    add_mmlu(results, 1, "virology", 0, false, -1);
    mn_results_close(&results);
    OK(mn_report_load(*state, folder, &report));
    assert_false(report.complete);
    assert_int_equal(report.comparisons[0].spider[MN_HARDNESSES].items, 1);
    assert_int_equal(report.comparisons[0].spider[MN_HARDNESSES].gained, 1);
    assert_int_equal(report.comparisons[0].mmlu_micro.items, 1);
    assert_int_equal(report.comparisons[0].mmlu_micro.lost, 1);
    mn_report_close(&report);
}

static char *read_file(mn_arena *arena, const char *name)
{
    char *text;
    OK(mn_file_read(arena, test_scratch(name), &text, NULL));
    return text;
}

static void test_all_forms_carry_the_same_numbers(void **state)
{
    const char *folder = test_scratch("run");
    struct mn_report report;
    json_t *json;
    OK(mn_report_load(*state, folder, &report));
    OK(mn_report_write(&report, MN_ENGLISH, folder));
    OK(mn_json_load(&json, test_scratch("run/report.json")));
    json_t *comparison = json_array_get(json_object_get(json, "comparisons"), 0);
    json_t *all = json_object_get(json_object_get(comparison, "spider"), "all");
    assert_string_equal(json_string_value(json_object_get(comparison, "system")), "adapter \"x\"");
    assert_float_equal(json_number_value(json_object_get(all, "change")), 2.0 / 6, 1e-15);
    assert_int_equal(json_integer_value(json_object_get(all, "gained")), 3);
    json_decref(json);
    const char *csv = read_file(*state, "run/report.csv");
    assert_non_null(
        strstr(csv, "\n\"adapter \"\"x\"\"\",spider,all,\"all\",6,1,4,0.6666666666666666"));
    assert_non_null(strstr(csv, "\n\"adapter \"\"x\"\"\",spider,miss,\"wrong rows\",2,"));
    assert_non_null(strstr(csv, "\n\"base\",mmlu,calibration,\"0.9 to 1.0\","));
    const char *markdown = read_file(*state, "run/report.md");
    assert_non_null(
        strstr(markdown, "| adapter \"x\" | all | 6 | 1 | 66.7 % | [30.0, 90.3] | 66.7 % | 66.7 % "
                         "| +33.3 [+25.0, +50.0] | 3 / 1 | 0.625 |"));
    assert_non_null(strstr(markdown, "| model | ../../a/tiny |"));
    assert_non_null(strstr(markdown, "2 Spider answers could not be judged"));
    assert_non_null(strstr(markdown, "4 Spider prompts were longer than the model's context"));
    FILE *file = fopen(test_scratch("run/terminal"), "w");
    assert_non_null(file);
    mn_report_terminal(&report, MN_ENGLISH, file);
    fclose(file);
    assert_non_null(strstr(read_file(*state, "run/terminal"), "+33.3 [+25.0, +50.0]"));
    mn_report_close(&report);
}

/* People's forms have a language, with its decimal mark; machines' have none. */
static void test_portuguese_is_for_people(void **state)
{
    const char *folder = test_scratch("run");
    struct mn_report report;
    OK(mn_report_load(*state, folder, &report));
    OK(mn_report_write(&report, MN_ENGLISH, folder));
    const char *json = read_file(*state, "run/report.json"),
               *csv = read_file(*state, "run/report.csv");
    OK(mn_report_write(&report, MN_PORTUGUESE, folder));
    assert_string_equal(read_file(*state, "run/report.json"), json);
    assert_string_equal(read_file(*state, "run/report.csv"), csv);
    const char *markdown = read_file(*state, "run/report.md");
    assert_non_null(strstr(markdown, "- Spider: +33,3 pontos [+25,0; +50,0], sem mudança clara: "
                                     "ganhou 3, perdeu 1, p 0,625"));
    assert_non_null(strstr(markdown, "| 66,7 % | [30,0; 90,3] |"));
    assert_null(strstr(markdown, "66.7"));
    FILE *file = fopen(test_scratch("run/terminal"), "w");
    assert_non_null(file);
    mn_report_terminal(&report, MN_PORTUGUESE, file);
    fclose(file);
    const char *terminal = read_file(*state, "run/terminal");
    assert_non_null(strstr(terminal, "acurácia de execução"));
    assert_non_null(strstr(terminal, "+33,3 [+25,0; +50,0]"));
    assert_null(strstr(terminal, "66.7"));
    mn_report_close(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_numbers_are_those_by_hand),
        cmocka_unit_test(test_report_of_an_unfinished_study_compares_what_both_have),
        cmocka_unit_test(test_all_forms_carry_the_same_numbers),
        cmocka_unit_test(test_portuguese_is_for_people),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
