/* Probes of a training: they change nothing, none is lost or asked twice, and their rules end it.
 */
#include <signal.h>
#include <unistd.h>

#include "minuano/interrupt.h"
#include "support/training.h"

enum { ITEMS = 1000 };

/* What a probe finds is a function of the adapter's values alone, as it is of a real one. */
struct asked {
    const int64_t *script[MN_PROBE_TASKS]; /* correct by call; NULL: from the adapter's values */
    int64_t calls;
    int64_t interrupt_at; /* the call in which a signal comes; 0: none */
    MN_LIST(struct mn_probe_point) kept;
};

static mn_status ask(void *user, const mn_adapter *adapter, struct mn_probe_point *point)
{
    struct asked *asked = user;
    char digest[65];
    float *values = MN_NEW(world.arena, float, adapter->count);
    if (++asked->calls == asked->interrupt_at) {
        mn_interrupt_raise(SIGTERM);
        return mn_interrupt_check();
    }
    OK(world.device->calls->download(world.device, values, adapter->master,
                                     (size_t)adapter->count * sizeof *values));
    mn_sha256(values, (size_t)adapter->count * sizeof *values, digest);
    for (int t = 0; t < MN_PROBE_TASKS; t++) {
        digest[4 * (t + 1)] = '\0';
        point->items[t] = ITEMS;
        point->correct[t] = asked->script[t] ? asked->script[t][asked->calls - 1]
                                             : strtol(digest + 4 * t, NULL, 16) % ITEMS;
    }
    return MN_OK;
}

static mn_status keep(void *user, const struct mn_probe_point *point)
{
    struct asked *asked = user;
    *MN_PUSH(&asked->kept) = *point;
    return MN_OK;
}

static struct mn_train_settings probed(void)
{
    struct mn_train_settings settings = with_dropout();
    settings.probe_every = 2;
    settings.probe_spider = settings.probe_mmlu = ITEMS;
    return settings;
}

static mn_status train(const struct mn_train_settings *settings, struct asked *asked,
                       const char *folder, struct mn_train_result *result)
{
    const struct mn_probe probe = {ask, keep, asked};
    return train_with(settings, &probe, folder, result);
}

static const char *uninterrupted(void)
{
    const char *folder = test_scratch("uninterrupted");
    const struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked asked = {0};
    OK(train(&settings, &asked, folder, &result));
    free(asked.kept.item);
    return folder;
}

static void check_same_run(const char *a, const char *b)
{
    check_same_file(a, b, final_weights);
    check_same_lines(a, b, "metrics.jsonl", "tokens_per_second");
    check_same_lines(a, b, "probes.jsonl", "seconds");
}

/* --- they change nothing, and none is lost ---------------------------------------------------- */

static void test_probes_do_not_change_the_bits_of_a_training(void **state)
{
    (void)state;
    const char *plain = test_scratch("plain"), *asked_folder = uninterrupted();
    const struct mn_train_settings settings = with_dropout();
    struct mn_train_result result;
    OK(train_with(&settings, NULL, plain, &result));
    check_same_file(plain, asked_folder, final_weights);
    check_same_lines(plain, asked_folder, "metrics.jsonl", "tokens_per_second");
    assert_false(mn_file_exists(mn_path(world.arena, plain, "probes.jsonl")));
}

static void test_points_stand_before_the_first_step_and_after_the_last(void **state)
{
    (void)state;
    static const int64_t steps[] = {0, 2, 4, 6, 8, 9};
    const struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked asked = {0};
    OK(train(&settings, &asked, test_scratch("points"), &result));
    assert_int_equal(asked.kept.count, MN_COUNT(steps));
    for (size_t i = 0; i < MN_COUNT(steps); i++)
        assert_int_equal(asked.kept.item[i].step, steps[i]);
    assert_int_equal(result.stop, MN_STOP_NONE);
    assert_int_equal(result.planned_steps, 9);
    free(asked.kept.item);
}

static mn_status train_job(void *folder)
{
    const struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked asked = {0};
    return train(&settings, &asked, folder, &result);
}

/* Killed after each point, and after each step. */
static void test_training_killed_and_resumed_gives_the_same_points(void **state)
{
    (void)state;
    static const char *const files[] = {"probes.jsonl", "metrics.jsonl"};
    const char *expected = uninterrupted();
    for (size_t f = 0; f < MN_COUNT(files); f++)
        for (int lines = 1; lines <= 6; lines++) {
            const struct mn_train_settings settings = probed();
            const char *folder =
                test_scratch(mn_arena_printf(world.arena, "killed-%zu-%d", f, lines));
            struct mn_train_result result;
            struct asked asked = {0};
            kill_at(mn_path(world.arena, folder, files[f]), lines, train_job, (void *)folder);
            OK(train(&settings, &asked, folder, &result));
            check_same_run(expected, folder);
            free(asked.kept.item);
        }
}

/* A checkpoint at step 3, points at 4 and 6 on disk: gone on with from there, they are not asked
 * again, but are handed on. */
static void test_points_behind_the_last_checkpoint_are_not_asked_again(void **state)
{
    (void)state;
    const char *folder = test_scratch("not-again");
    const struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked first = {.interrupt_at = 5}, second = {0};
    FAILS(train(&settings, &first, folder, &result), MN_INTERRUPTED, "step-8 is saved");
    mn_interrupt_raise(0);
    OK(mn_folder_remove(mn_path(world.arena, folder, "checkpoints/step-8")));
    OK(mn_folder_remove(mn_path(world.arena, folder, "checkpoints/step-6")));
    OK(train(&settings, &second, folder, &result));
    assert_int_equal(second.calls, 2); /* 8 and 9 */
    assert_int_equal(second.kept.count, 6);
    for (size_t i = 1; i < second.kept.count; i++)
        assert_true(second.kept.item[i].step > second.kept.item[i - 1].step);
    check_same_run(uninterrupted(), folder);
    free(first.kept.item);
    free(second.kept.item);
}

static void test_probe_that_is_interrupted_is_asked_when_the_run_goes_on(void **state)
{
    (void)state;
    const char *expected = uninterrupted();
    for (int64_t call = 1; call <= 6; call++) {
        const char *folder =
            test_scratch(mn_arena_printf(world.arena, "signal-%lld", (long long)call));
        const struct mn_train_settings settings = probed();
        struct mn_train_result result;
        struct asked asked = {.interrupt_at = call};
        FAILS(train(&settings, &asked, folder, &result), MN_INTERRUPTED, "");
        mn_interrupt_raise(0);
        OK(train(&settings, &asked, folder, &result));
        check_same_run(expected, folder);
        free(asked.kept.item);
    }
}

static void test_torn_point_is_asked_again(void **state)
{
    (void)state;
    const char *folder = test_scratch("torn");
    const char *path = mn_path(world.arena, folder, "probes.jsonl");
    const struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked asked = {.interrupt_at = 5};
    FAILS(train(&settings, &asked, folder, &result), MN_INTERRUPTED, "is saved");
    mn_interrupt_raise(0);
    assert_int_equal(truncate(path, mn_file_size(path) - 9), 0);
    OK(mn_folder_remove(mn_path(world.arena, folder, "checkpoints/step-8")));
    OK(mn_folder_remove(mn_path(world.arena, folder, "checkpoints/step-6")));
    OK(train(&settings, &asked, folder, &result));
    check_same_run(uninterrupted(), folder);
    free(asked.kept.item);
}

/* --- the rules -------------------------------------------------------------------------------- */

static void test_patience_ends_a_training_that_no_longer_gains(void **state)
{
    (void)state;
    static const int64_t spider[] = {100, 300, 300, 250, 900}, mmlu[] = {1, 2, 3, 4, 5};
    const char *folder = test_scratch("patience");
    struct mn_train_settings settings = probed();
    struct mn_train_result result, again;
    struct asked asked = {.script = {spider, mmlu}};
    settings.stop_patience = 2;
    OK(train(&settings, &asked, folder, &result));
    assert_int_equal(result.stop, MN_STOP_PATIENCE);
    assert_int_equal(result.steps, 6); /* the best is that after 2; 4 and 6 are no better */
    assert_int_equal(result.planned_steps, 9);
    assert_int_equal(asked.kept.count, 4);
    OK(train(&settings, &asked, folder, &again)); /* complete: nothing is asked */
    assert_memory_equal(&result, &again, sizeof result);
    assert_int_equal(asked.calls, 4);
    free(asked.kept.item);
}

static void test_patience_looks_at_the_metric_it_is_told(void **state)
{
    (void)state;
    static const int64_t spider[] = {1, 1, 1, 1, 1, 1}, mmlu[] = {1, 2, 3, 4, 5, 6};
    struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked asked = {.script = {spider, mmlu}};
    settings.stop_patience = 1;
    settings.stop_metric = MN_PROBE_MMLU;
    OK(train(&settings, &asked, test_scratch("metric"), &result));
    assert_int_equal(result.stop, MN_STOP_NONE);
    assert_int_equal(result.steps, 9);
    free(asked.kept.item);
}

static void test_fall_of_mmlu_ends_a_training(void **state)
{
    (void)state;
    static const int64_t spider[] = {1, 2, 3, 4}, mmlu[] = {800, 700, 699, 1};
    struct mn_train_settings settings = probed();
    struct mn_train_result result;
    struct asked asked = {.script = {spider, mmlu}};
    settings.stop_mmlu_drop = 10; /* 10.0 points are not more than 10, 10.1 are */
    OK(train(&settings, &asked, test_scratch("fall"), &result));
    assert_int_equal(result.stop, MN_STOP_MMLU_DROP);
    assert_int_equal(result.steps, 4);
    free(asked.kept.item);
}

/* Stopped by the rule, killed before the result was written: the next start only writes it. */
static void test_training_stopped_by_a_rule_stays_stopped(void **state)
{
    (void)state;
    static const int64_t spider[] = {9, 8, 7}, mmlu[] = {1, 1, 1};
    const char *folder = test_scratch("stays");
    struct mn_train_settings settings = probed();
    struct mn_train_result result, again;
    struct asked asked = {.script = {spider, mmlu}};
    settings.stop_patience = 2;
    OK(train(&settings, &asked, folder, &result));
    assert_int_equal(unlink(mn_path(world.arena, folder, "result.json")), 0);
    OK(train(&settings, &asked, folder, &again));
    assert_int_equal(asked.calls, 3);
    assert_int_equal(again.steps, 4);
    assert_int_equal(again.stop, MN_STOP_PATIENCE);
    free(asked.kept.item);
}

static void test_settings_that_cannot_be_are_named(void **state)
{
    (void)state;
    struct mn_train_settings none = probed(), rule = with_dropout(), metric = probed();
    struct mn_train_result result;
    struct asked asked = {0};
    none.probe_spider = none.probe_mmlu = 0;
    FAILS(train(&none, &asked, test_scratch("none"), &result), MN_INVALID, "probe.spider or");
    rule.stop_patience = 1;
    FAILS(train(&rule, &asked, test_scratch("rule"), &result), MN_INVALID, "probe.every above 0");
    metric.probe_spider = 0;
    metric.stop_patience = 1;
    FAILS(train(&metric, &asked, test_scratch("metric-0"), &result), MN_INVALID,
          "expected probe.spider, its stop.metric, above 0");
    none = probed();
    FAILS(train_with(&none, NULL, test_scratch("nobody"), &result), MN_INVALID, "nothing is there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes_do_not_change_the_bits_of_a_training),
        cmocka_unit_test(test_points_stand_before_the_first_step_and_after_the_last),
        cmocka_unit_test(test_training_killed_and_resumed_gives_the_same_points),
        cmocka_unit_test(test_points_behind_the_last_checkpoint_are_not_asked_again),
        cmocka_unit_test(test_probe_that_is_interrupted_is_asked_when_the_run_goes_on),
        cmocka_unit_test(test_torn_point_is_asked_again),
        cmocka_unit_test(test_patience_ends_a_training_that_no_longer_gains),
        cmocka_unit_test(test_patience_looks_at_the_metric_it_is_told),
        cmocka_unit_test(test_fall_of_mmlu_ends_a_training),
        cmocka_unit_test(test_training_stopped_by_a_rule_stays_stopped),
        cmocka_unit_test(test_settings_that_cannot_be_are_named),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
