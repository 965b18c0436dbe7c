/* A config's trainings: defaults, then each one's own keys; what cannot be meant is named. */
#include "support/support.h"

#include "minuano/study.h"

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

/* Reads a whole config and plans its trainings. */
static mn_status plan(mn_arena *arena, const char *text, struct mn_study_training **trainings,
                      size_t *count)
{
    struct mn_study_settings settings = {0};
    json_t *config;
    MN_TRY(mn_settings_defaults(&mn_study_settings_table, &settings, arena));
    MN_TRY(mn_json_parse(&config, text, strlen(text), "c.json"));
    mn_status st = mn_settings_read(&mn_study_settings_table, &settings, arena, config, "c.json");
    if (st == MN_OK) st = mn_study_trainings(arena, &settings, "c.json", trainings, count);
    json_decref(config);
    return st;
}

static void test_each_training_overrides_the_defaults(void **state)
{
    struct mn_study_training *trainings;
    size_t count;
    OK(plan(*state,
            "{\"defaults\":{\"lora\":{\"rank\":4},\"train\":{\"steps\":7}},\"trainings\":["
            "{\"name\":\"a\"},{\"name\":\"b-2.x\",\"lora\":{\"rank\":8}}]}",
            &trainings, &count));
    assert_int_equal(count, 2);
    assert_string_equal(trainings[1].name, "b-2.x");
    assert_int_equal(trainings[0].settings.rank, 4);
    assert_int_equal(trainings[1].settings.rank, 8);
    assert_int_equal(trainings[1].settings.steps, 7);
    assert_string_not_equal(trainings[0].json, trainings[1].json);
    OK(plan(*state, "{}", &trainings, &count));
    assert_int_equal(count, 0);
}

static void test_wrong_trainings_are_named(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{\"trainings\":{}}", "c.json: key \"trainings\": expected an array, found an object"},
        {"{\"trainings\":[{}]}", "c.json: trainings[0]: key \"name\": expected a string"},
        {"{\"trainings\":[{\"name\":\"../x\"}]}", "found \"../x\""},
        {"{\"trainings\":[{\"name\":\"base\"}]}", "not \"base\""},
        {"{\"trainings\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
         "trainings[1]: key \"name\": \"a\" is"},
        {"{\"trainings\":[{\"name\":\"a\",\"train\":{\"step\":1}}]}",
         "trainings[0]: unknown key \"train.step\"; did you mean \"train.steps\"?"},
        {"{\"defaults\":{\"lora\":{\"rank\":0}},\"trainings\":[{\"name\":\"a\"}]}",
         "c.json: defaults: key \"lora.rank\""},
    };
    struct mn_study_training *trainings;
    size_t count;
    for (size_t i = 0; i < MN_COUNT(cases); i++)
        FAILS(plan(*state, cases[i].text, &trainings, &count), MN_INVALID, cases[i].words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_training_overrides_the_defaults),
        cmocka_unit_test(test_wrong_trainings_are_named),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
