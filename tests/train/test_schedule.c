/* Learning rates against transformers' schedules, and the seed study's log. */
#include <math.h>

#include "minuano/train.h"
#include "support/support.h"

static int schedule_named(const char *name)
{
    int i = 0;
    while (strcmp(mn_schedule_names[i], name) != 0) i++;
    return i;
}

static void test_schedules_match_transformers(void **state)
{
    (void)state;
    json_t *rows, *row, *factor;
    size_t r, k;
    OK(mn_json_load(&rows, test_fixture("train/schedules.json")));
    assert_true(json_array_size(rows) == 12);
    json_array_foreach (rows, r, row) {
        int schedule = schedule_named(json_string_value(json_object_get(row, "schedule")));
        int64_t warmup = json_integer_value(json_object_get(row, "warmup"));
        int64_t total = json_integer_value(json_object_get(row, "total"));
        json_array_foreach (json_object_get(row, "factors"), k, factor) {
            double found = mn_schedule_factor(schedule, (int64_t)k, warmup, total);
            double expected = json_number_value(factor);
            if (fabs(found - expected) > 1e-14)
                fail_msg("%s, warm-up %lld of %lld, step %zu: found %.17g, expected %.17g",
                         mn_schedule_names[schedule], (long long)warmup, (long long)total, k, found,
                         expected);
        }
    }
    json_decref(rows);
}

static void test_schedule_gives_the_rate_of_the_seeds_log(void **state)
{
    (void)state;
    double rate = 1e-4 * mn_schedule_factor(MN_SCHEDULE_LINEAR, 49, 0, 75); /* its 50th step */
    assert_true(fabs(rate - 3.4667e-5) < 5e-10);
}

static void test_schedule_ends_at_zero(void **state)
{
    (void)state;
    assert_true(mn_schedule_factor(MN_SCHEDULE_LINEAR, 75, 0, 75) == 0);
    assert_true(mn_schedule_factor(MN_SCHEDULE_LINEAR, 5, 5, 5) == 0);
    assert_true(fabs(mn_schedule_factor(MN_SCHEDULE_COSINE, 75, 10, 75)) < 1e-15);
    assert_true(mn_schedule_factor(MN_SCHEDULE_CONSTANT, 75, 10, 75) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules_match_transformers),
        cmocka_unit_test(test_schedule_gives_the_rate_of_the_seeds_log),
        cmocka_unit_test(test_schedule_ends_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
