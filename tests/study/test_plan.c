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

static void test_a_sweep_is_a_grid_named_by_what_differs(void **state)
{
    static const char config[] =
        "{\"defaults\":{\"train\":{\"steps\":9}},\"trainings\":[{\"name\":\"first\"}],\"sweep\":{"
        "\"train\":{\"learning_rate\":[1e-4,0.0002],\"batch\":[2]},\"lora\":{\"rank\":[4,16],"
        "\"targets\":[[\"v_proj\",\"q_proj\"],[\"down_proj\"]]}}}";
    static const char *const names[] = {"first",
                                        "lr-0.0001_rank-4_targets-q.v",
                                        "lr-0.0001_rank-4_targets-down",
                                        "lr-0.0001_rank-16_targets-q.v",
                                        "lr-0.0001_rank-16_targets-down",
                                        "lr-0.0002_rank-4_targets-q.v",
                                        "lr-0.0002_rank-4_targets-down",
                                        "lr-0.0002_rank-16_targets-q.v",
                                        "lr-0.0002_rank-16_targets-down"};
    struct mn_study_training *trainings;
    size_t count;
    OK(plan(*state, config, &trainings, &count));
    assert_int_equal(count, MN_COUNT(names));
    for (size_t i = 0; i < count; i++) assert_string_equal(trainings[i].name, names[i]);
    const struct mn_train_settings *last = &trainings[8].settings;
    assert_true(last->learning_rate == 2e-4);
    assert_int_equal(last->rank, 16);
    assert_int_equal(last->batch, 2);
    assert_int_equal(last->steps, 9);
    assert_int_equal(last->targets.count, 1);
    assert_string_equal(last->targets.item[0], "down_proj");
    assert_string_equal(trainings[1].settings.targets.item[0], "v_proj");
    OK(plan(*state, "{\"sweep\":{\"train\":{\"seed\":[7]}}}", &trainings, &count));
    assert_int_equal(count, 1);
    assert_string_equal(trainings[0].name, "adapter");
    assert_int_equal(trainings[0].settings.seed, 7);
}

static void test_wrong_sweeps_are_named(void **state)
{
    static const struct {
        const char *sweep, *words;
    } cases[] = {
        {"[]", "c.json: sweep: expected an object, found an array"},
        {"{}", "c.json: sweep: expected arrays of lora.* and train.* values, found none"},
        {"{\"train\":[]}", "sweep: key \"train\": expected an object of arrays, found an array"},
        {"{\"train\":{\"seed\":3}}",
         "key \"train.seed\": expected an array of values, found an int"},
        {"{\"train\":{\"seed\":[]}}",
         "key \"train.seed\": expected at least one value, found none"},
        {"{\"train\":{\"seed\":[1,2,1]}}", "key \"train.seed\": 1 is there twice"},
        {"{\"train\":{\"learning_rate\":[1,1.0]}}", "\"train.learning_rate\": 1 is there twice"},
        {"{\"lora\":{\"targets\":[[\"q_proj\",\"v_proj\"],[\"v_proj\",\"q_proj\"]]}}",
         "key \"lora.targets\": q.v is there twice"},
        {"{\"lora\":{\"rank\":[8,0]}}", "c.json: sweep: key \"lora.rank\": "},
        {"{\"train\":{\"rate\":[1]}}", "c.json: sweep: unknown key \"train.rate\""},
        {"{\"model\":{\"name\":[1]}}", "c.json: sweep: unknown key \"model\""},
        {"{\"train\":{\"seed\":[1,2,3,4,5,6,7,8],\"steps\":[1,2,3,4,5,6,7,8],"
         "\"batch\":[1,2,3,4,5]}}",
         "expected at most 256 trainings, found 64 and 5 times as many by \"train.batch\""},
    };
    struct mn_study_training *trainings;
    size_t count;
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        char config[600];
        snprintf(config, sizeof config, "{\"sweep\":%s}", cases[i].sweep);
        FAILS(plan(*state, config, &trainings, &count), MN_INVALID, cases[i].words);
    }
    FAILS(plan(*state,
               "{\"trainings\":[{\"name\":\"adapter\"}],\"sweep\":{\"lora\":{\"rank\":[2]}}}",
               &trainings, &count),
          MN_INVALID, "c.json: sweep[0]: key \"name\": \"adapter\" is there twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_training_overrides_the_defaults),
        cmocka_unit_test(test_wrong_trainings_are_named),
        cmocka_unit_test(test_a_sweep_is_a_grid_named_by_what_differs),
        cmocka_unit_test(test_wrong_sweeps_are_named),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
