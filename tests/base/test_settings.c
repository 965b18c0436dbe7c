/* One table reads a config, options and defaults, and says what is wrong with each. */
#include "support/support.h"

#include "minuano/settings.h"

struct sample {
    bool flag;
    int64_t steps;
    double rate;
    const char *name;
    int color;
    struct mn_ints ints;
    struct mn_reals reals;
    struct mn_strings strings;
    json_t *any;
    const char *folder, *model;
};
static const char *const colors[] = {"red", "green", NULL};
static const struct mn_setting rows[] = {
    {"flag", MN_SETTING_BOOL, offsetof(struct sample, flag), "true", "a flag"},
    {"train.steps", MN_SETTING_INT, offsetof(struct sample, steps), "10", "steps", .low = 1,
     .high = 100},
    {"train.rate", MN_SETTING_REAL, offsetof(struct sample, rate), "0.5", "rate", .low = 0,
     .high = 1},
    {"name", MN_SETTING_STRING, offsetof(struct sample, name), NULL, "a name", .required = true},
    {"color", MN_SETTING_CHOICE, offsetof(struct sample, color), "green", "a color",
     .choices = colors},
    {"ints", MN_SETTING_INTS, offsetof(struct sample, ints), "1,2", "ints", .low = 0, .high = 9},
    {"reals", MN_SETTING_REALS, offsetof(struct sample, reals), NULL, "reals"},
    {"strings", MN_SETTING_STRINGS, offsetof(struct sample, strings), "red", "strings",
     .choices = colors},
    {"any", MN_SETTING_JSON, offsetof(struct sample, any), NULL, "anything"},
    {"folder", MN_SETTING_PATH, offsetof(struct sample, folder), "here", "a folder"},
    {"model", MN_SETTING_MODEL, offsetof(struct sample, model), "owner/name", "a model"},
};
static const struct mn_settings table = {"sample", rows, MN_COUNT(rows)};

static int open_arena(void **state)
{
    return mn_arena_open((mn_arena **)state);
}

static int close_arena(void **state)
{
    mn_arena_close((mn_arena **)state);
    return 0;
}

/* Reads `text` over the defaults. */
static mn_status read_text(mn_arena *arena, struct sample *out, const char *text)
{
    json_t *object;
    *out = (struct sample){0};
    MN_TRY(mn_settings_defaults(&table, out, arena));
    MN_TRY(mn_json_parse(&object, text, strlen(text), "a.json"));
    mn_status st = mn_settings_read(&table, out, arena, object, "a.json");
    json_decref(object);
    return st;
}

static void test_defaults_come_from_the_table(void **state)
{
    struct sample s;
    OK(read_text(*state, &s, "{}"));
    assert_true(s.flag);
    assert_int_equal(s.steps, 10);
    assert_float_equal(s.rate, 0.5, 0);
    assert_null(s.name);
    assert_int_equal(s.color, 1);
    assert_int_equal(s.ints.count, 2);
    assert_int_equal(s.ints.item[1], 2);
    assert_int_equal(s.reals.count, 0);
    assert_string_equal(s.strings.item[0], "red");
}

/* Reads {"folder": folder, "model": model} as the file `config`. */
static struct sample read_paths(mn_arena *arena, const char *config, const char *folder,
                                const char *model)
{
    struct sample s = {0};
    json_t *object = json_pack("{s:s,s:s}", "folder", folder, "model", model);
    OK(mn_settings_defaults(&table, &s, arena));
    assert_string_equal(s.folder, "here");
    OK(mn_settings_read(&table, &s, arena, object, config));
    json_decref(object);
    return s;
}

static void test_paths_are_relative_to_the_file_they_stand_in(void **state)
{
    struct sample s = read_paths(*state, "configs/a.json", "../data", "../tiny");
    assert_string_equal(s.folder, "configs/../data");
    assert_string_equal(s.model, "configs/../tiny");
    s = read_paths(*state, "/etc/a.json", "data", "owner/name");
    assert_string_equal(s.folder, "/etc/data");
    assert_string_equal(s.model, "owner/name");
    s = read_paths(*state, "a.json", "data", "./tiny");
    assert_string_equal(s.folder, "data");
    assert_string_equal(s.model, "./tiny");
    s = read_paths(*state, "configs/a.json", "/data", "/tiny");
    assert_string_equal(s.folder, "/data");
    assert_string_equal(s.model, "/tiny");
    OK(mn_settings_set(&table, &s, *state, "folder", "data", "--set"));
    assert_string_equal(s.folder, "data");
}

static void test_a_config_overrides_and_nests(void **state)
{
    struct sample s;
    OK(read_text(*state, &s,
                 "{\"flag\": false, \"train\": {\"steps\": 7, \"rate\": 1}, \"name\": \"n\", "
                 "\"color\": \"red\","
                 " \"ints\": [], \"reals\": [1, 2.5], \"strings\": [\"green\", \"red\"]}"));
    assert_false(s.flag);
    assert_int_equal(s.steps, 7);
    assert_float_equal(s.rate, 1, 0);
    assert_string_equal(s.name, "n");
    assert_int_equal(s.color, 0);
    assert_int_equal(s.ints.count, 0);
    assert_float_equal(s.reals.item[1], 2.5, 0);
    assert_int_equal(s.strings.count, 2);
}

static void test_a_wrong_config_names_file_key_expected_and_found(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[]", "a.json: expected an object, found an array"},
        {"{\"falg\": true}", "a.json: unknown key \"falg\"; did you mean \"flag\"?"},
        {"{\"train\": {\"bread\": 1}}", "unknown key \"train.bread\""},
        {"{\"train\": 3}", "key \"train\": expected an object, found an integer"},
        {"{\"flag\": 1}", "key \"flag\": expected true or false, found an integer"},
        {"{\"train\": {\"steps\": 1.5}}",
         "key \"train.steps\": expected an integer, found a real number"},
        {"{\"train\": {\"steps\": 0}}",
         "key \"train.steps\": expected a number from 1 to 100, found 0"},
        {"{\"train\": {\"rate\": 2}}", "from 0 to 1, found 2"},
        {"{\"name\": 3}", "key \"name\": expected a string, found an integer"},
        {"{\"color\": \"blue\"}", "expected one of red, green, found \"blue\""},
        {"{\"ints\": [1, \"2\"]}", "key \"ints\": expected an array of integers, found a string"},
        {"{\"ints\": [10]}", "from 0 to 9, found 10"},
        {"{\"strings\": [\"blue\"]}", "expected one of red, green, found \"blue\""},
        {"{\"flag\": true, \"flag\": true}", "not JSON"},
    };
    struct sample s;
    for (size_t i = 0; i < MN_COUNT(cases); i++)
        FAILS(read_text(*state, &s, cases[i].text), MN_INVALID, cases[i].words);
}

static void test_text_values_have_the_same_limits(void **state)
{
    struct sample s;
    OK(read_text(*state, &s, "{}"));
    OK(mn_settings_set(&table, &s, *state, "train.steps", "100", "--set"));
    OK(mn_settings_set(&table, &s, *state, "reals", "1e-3,2", "--set"));
    OK(mn_settings_set(&table, &s, *state, "ints", "", "--set"));
    assert_int_equal(s.steps, 100);
    assert_float_equal(s.reals.item[0], 1e-3, 0);
    assert_int_equal(s.ints.count, 0);
    FAILS(mn_settings_set(&table, &s, *state, "train.steps", "101", "--set"), MN_INVALID,
          "from 1 to 100, found 101");
    FAILS(mn_settings_set(&table, &s, *state, "train.steps", "1x", "--set"), MN_INVALID,
          "an integer, found \"1x\"");
    FAILS(mn_settings_set(&table, &s, *state, "train.rate", "nan", "--set"), MN_INVALID,
          "a number, found \"nan\"");
    FAILS(mn_settings_set(&table, &s, *state, "any", "{}", "--set"), MN_INVALID,
          "only be set in a config file");
    FAILS(mn_settings_set(&table, &s, *state, "color", "blue", "--color"), MN_INVALID,
          "--color: key \"color\"");
}

static void test_required_keys_are_asked_for(void **state)
{
    struct sample s;
    OK(read_text(*state, &s, "{}"));
    FAILS(mn_settings_check(&table, &s, "a.json"), MN_INVALID,
          "a.json: key \"name\" is required: a name");
    s.name = "n";
    OK(mn_settings_check(&table, &s, "a.json"));
}

static void test_values_written_as_json_read_back_the_same(void **state)
{
    struct sample s, again = {0};
    OK(read_text(*state, &s, "{\"train\": {\"steps\": 7}, \"name\": \"n\", \"reals\": [0.25]}"));
    json_t *object = mn_settings_json(&table, &s);
    json_object_del(object, "any"); /* null is no value to read */
    OK(mn_settings_read(&table, &again, *state, object, "again"));
    json_t *second = mn_settings_json(&table, &again);
    json_object_del(second, "any");
    assert_true(json_equal(object, second));
    json_decref(object);
    json_decref(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_come_from_the_table),
        cmocka_unit_test(test_a_config_overrides_and_nests),
        cmocka_unit_test(test_paths_are_relative_to_the_file_they_stand_in),
        cmocka_unit_test(test_a_wrong_config_names_file_key_expected_and_found),
        cmocka_unit_test(test_text_values_have_the_same_limits),
        cmocka_unit_test(test_required_keys_are_asked_for),
        cmocka_unit_test(test_values_written_as_json_read_back_the_same),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
