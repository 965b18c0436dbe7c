/* Probes in a report: the same points in all its forms, in both languages, and the rule that ended
 * a training. */
#include "minuano/report.h"
#include "support/support.h"

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

/* Base and two adapters: "curbed" asked three times and ended by `stop`, "free" never asked. */
static const char *make_run(const char *name, enum mn_stop stop, const char *settings)
{
    static const struct mn_probe_point points[] = {
        {.step = 0, .items = {16, 20}, .correct = {1, 15}, .seconds = 3.25},
        {.step = 5, .items = {16, 20}, .correct = {9, 13}, .seconds = 3.5},
        {.step = 10, .items = {16, 0}, .correct = {7, 0}, .seconds = 3.75}};
    const char *folder = test_scratch(name);
    struct mn_system system = {.name = "base", .strength = 1};
    mn_arena *arena;
    mn_results *results;
    int id;
    OK(mn_arena_open(&arena));
    OK(mn_make_directories(folder));
    OK(mn_results_open(&results, mn_path(arena, folder, "results.sqlite"), true));
    OK(mn_results_set(results, "name", "probed"));
    OK(mn_results_add_system(results, &system, &id));
    system.settings = settings;
    system.name = system.training = "curbed";
    system.trained = (struct mn_train_result){.steps = 10, .planned_steps = 90, .stop = stop};
    OK(mn_results_add_system(results, &system, &id));
    OK(mn_results_set_trained(results, id, &system));
    for (size_t i = 0; i < MN_COUNT(points); i++) OK(mn_results_add_probe(results, id, &points[i]));
    system.name = system.training = "free";
    system.trained = (struct mn_train_result){.steps = 90, .planned_steps = 90};
    OK(mn_results_add_system(results, &system, &id));
    OK(mn_results_set_trained(results, id, &system));
    mn_results_close(&results);
    mn_arena_close(&arena);
    return folder;
}

static const char spider_rule[] = "{\"stop\":{\"metric\":\"spider\",\"patience\":1}}";
static const char mmlu_rule[] = "{\"stop\":{\"metric\":\"mmlu\",\"patience\":1}}";

static const char *written(mn_arena *arena, const struct mn_report *report,
                           enum mn_language language, bool html)
{
    const char *path = test_scratch("written");
    FILE *file = fopen(path, "w");
    char *text;
    assert_non_null(file);
    if (html)
        OK(mn_report_html(report, language, file));
    else
        mn_report_markdown(report, language, file);
    fclose(file);
    OK(mn_file_read(arena, path, &text, NULL));
    return text;
}

static void expect(const char *text, const char *words)
{
    if (!strstr(text, words)) fail_msg("expected \"%s\"", words);
}

static void test_every_form_carries_the_points(void **state)
{
    struct mn_report report;
    OK(mn_report_load(*state, make_run("forms", MN_STOP_PATIENCE, spider_rule), &report));
    assert_int_equal(report.systems[1].probe_count, 3);
    assert_int_equal(report.systems[2].probe_count, 0);

    json_t *json = mn_report_json(&report);
    const json_t *training =
        json_object_get(json_array_get(json_object_get(json, "systems"), 1), "training");
    json_t *expected = json_loads(
        "[{\"step\":0,\"spider\":{\"items\":16,\"correct\":1},\"mmlu\":{\"items\":20,"
        "\"correct\":15}},{\"step\":5,\"spider\":{\"items\":16,\"correct\":9},\"mmlu\":"
        "{\"items\":20,\"correct\":13}},{\"step\":10,\"spider\":{\"items\":16,\"correct\":7}}]",
        0, NULL);
    assert_true(json_equal(json_object_get(training, "probes"), expected));
    assert_string_equal(json_string_value(json_object_get(training, "stopped_by")), "patience");
    assert_int_equal(json_integer_value(json_object_get(training, "planned_steps")), 90);
    json_decref(expected);
    json_decref(json);

    const char *markdown = written(*state, &report, MN_ENGLISH, false);
    expect(markdown, "### While it trained");
    expect(markdown, "| curbed | 5 | 56.2 % | 16 | 65.0 % | 20 |  |");
    expect(markdown, "stop.patience |");
    assert_null(strstr(markdown, "| free | 0 |"));
    const char *page = written(*state, &report, MN_PORTUGUESE, true);
    expect(page, "<h3>Durante o treinamento</h3>");
    expect(page, "56,2 %");
    expect(page, "encerrado por");
    mn_report_close(&report);
}

static void test_rule_that_ended_a_training_is_told(void **state)
{
    struct mn_report report;
    OK(mn_report_load(*state, make_run("spider", MN_STOP_PATIENCE, spider_rule), &report));
    const char *text = written(*state, &report, MN_ENGLISH, false);
    expect(text, "- curbed was ended by its rule stop.patience after 10 of 90 steps.");
    expect(text, "ended curbed looked at Spider questions that are evaluated here as well.");
    mn_report_close(&report);

    OK(mn_report_load(*state, make_run("mmlu", MN_STOP_PATIENCE, mmlu_rule), &report));
    text = written(*state, &report, MN_PORTUGUESE, true);
    expect(text, "curbed foi encerrado pela regra stop.patience após 10 de 90 passos.");
    assert_null(strstr(text, "olhou perguntas do Spider"));
    mn_report_close(&report);
}

static void test_report_without_probes_says_nothing_of_them(void **state)
{
    const char *folder = test_scratch("none");
    struct mn_system system = {.name = "base", .strength = 1};
    struct mn_report report;
    mn_results *results;
    int id;
    OK(mn_make_directories(folder));
    OK(mn_results_open(&results, test_scratch("none/results.sqlite"), true));
    OK(mn_results_add_system(results, &system, &id));
    mn_results_close(&results);
    OK(mn_report_load(*state, folder, &report));
    assert_null(strstr(written(*state, &report, MN_ENGLISH, false), "While it trained"));
    assert_null(strstr(written(*state, &report, MN_ENGLISH, true), "While it trained"));
    mn_report_close(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_carries_the_points),
        cmocka_unit_test(test_rule_that_ended_a_training_is_told),
        cmocka_unit_test(test_report_without_probes_says_nothing_of_them),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
