/* What a study would do and take, and that what cannot fit is told before anything is loaded. */
#include "support/support.h"

#include "minuano/study.h"

static mn_device *device;
static struct mn_device_calls calls; /* the reference's, but for how much is free */
static size_t pretended;
static json_t *configs; /* whose trainings the settings borrow */

static mn_status memory(mn_device *of, size_t *free_bytes, size_t *total_bytes)
{
    (void)of;
    *free_bytes = *total_bytes = pretended;
    return MN_OK;
}

static int open_all(void **state)
{
    OK(mn_reference_device_open(&device, 1));
    calls = *device->calls;
    calls.memory = memory;
    device->calls = &calls;
    configs = json_array();
    return mn_arena_open((mn_arena **)state);
}

static int close_all(void **state)
{
    json_decref(configs);
    mn_device_close(&device);
    mn_arena_close((mn_arena **)state);
    return 0;
}

/* A study on what comes with minuano; `output` is never made. */
static void open_study(mn_arena *arena, const char *extra, struct mn_study_settings *settings,
                       struct mn_study *study)
{
    const char *source = MINUANO_SOURCE;
    char config[2000];
    json_t *object;
    snprintf(config, sizeof config,
             "{\"output\":\"%s\",\"model\":\"%s/checkpoints/demo\","
             "\"spider\":{\"folder\":\"%s/spider_db/demo\",\"limit\":9},"
             "\"mmlu\":{\"folder\":\"%s/checkpoints/demo/mmlu\",\"shots\":1,\"limit\":2,"
             "\"also_shots\":[0]},%s}",
             test_scratch("never"), source, source, source, extra);
    OK(mn_settings_defaults(&mn_study_settings_table, settings, arena));
    OK(mn_json_parse(&object, config, strlen(config), "/c.json"));
    json_array_append_new(configs, object);
    OK(mn_settings_read(&mn_study_settings_table, settings, arena, object, "/c.json"));
    *study = (struct mn_study){.settings = settings,
                               .where = "/c.json",
                               .model_folder = settings->model,
                               .version = "test",
                               .device = device};
    OK(mn_ranks_open(&study->ranks, false));
}

static void test_systems_steps_and_items_are_told(void **state)
{
    struct mn_study_settings settings = {0};
    struct mn_study study;
    struct mn_study_forecast f;
    pretended = (size_t)8 << 30;
    open_study(*state,
               "\"baseline\":{\"prompt\":\"seed_few_shot\",\"limit\":4},"
               "\"evaluate\":{\"strengths\":[0,0.5,1],\"limit\":3},"
               "\"defaults\":{\"train\":{\"steps\":7,\"batch\":2}},"
               "\"trainings\":[{\"name\":\"a\"},{\"name\":\"b\",\"lora\":{\"rank\":64}}]",
               &settings, &study);
    OK(mn_study_forecast(&study, *state, &f));
    assert_int_equal(f.count, 4);
    assert_string_equal(f.systems[0].name, "base");
    assert_string_equal(f.systems[1].name, "baseline");
    assert_string_equal(f.systems[3].name, "b");
    assert_int_equal(f.systems[0].spider, 9);
    assert_int_equal(f.systems[0].mmlu, 7 * 2 * 2); /* subjects, questions, numbers of shots */
    assert_int_equal(f.systems[0].steps, 0);
    assert_int_equal(f.systems[1].spider, 4);
    assert_int_equal(f.systems[1].mmlu, 0);
    assert_int_equal(f.systems[2].steps, 7);
    assert_int_equal(f.systems[2].points, 1);
    assert_int_equal(f.systems[3].parameters, 4 * f.systems[2].parameters);
    assert_string_equal(f.largest, "b");
    assert_int_equal(f.steps, 14);
    assert_int_equal(f.items, 3 * (9 + 28) + 4 + 2 * (3 + 3));
    assert_true(f.training[MN_MEMORY_OPTIMIZER] > 0 && f.answering[MN_MEMORY_OPTIMIZER] == 0);
    assert_true(f.answering[MN_MEMORY_WEIGHTS] == f.training[MN_MEMORY_WEIGHTS]);
    assert_false(mn_file_exists(settings.output));
    mn_ranks_close(&study.ranks);
}

static void test_a_training_that_cannot_fit_is_named_before_anything_is_loaded(void **state)
{
    struct mn_study_settings settings = {0};
    struct mn_study study;
    struct mn_study_forecast f;
    pretended = (size_t)400 << 20;
    open_study(*state,
               "\"trainings\":[{\"name\":\"small\",\"train\":{\"batch\":2}},"
               "{\"name\":\"large\",\"train\":{\"batch\":400}}]",
               &settings, &study);
    FAILS(mn_study_run(&study), MN_NO_MEMORY, "training \"large\": ");
    FAILS(mn_study_run(&study), MN_NO_MEMORY, "lower train.batch");
    FAILS(mn_study_forecast(&study, *state, &f), MN_NO_MEMORY, "\"large\" needs ");
    assert_int_equal(f.count, 3); /* it is told all the same */
    settings.phases = (struct mn_strings){&mn_study_phases[MN_PHASE_MMLU], 1};
    OK(mn_study_forecast(&study, *state, &f));
    assert_null(f.largest);
    mn_ranks_close(&study.ranks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_systems_steps_and_items_are_told),
        cmocka_unit_test(test_a_training_that_cannot_fit_is_named_before_anything_is_loaded),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
