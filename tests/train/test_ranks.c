/* Two ranks train as one rank with twice the accumulation. The program starts itself under mpirun.
 */
#include <math.h>
#include <unistd.h>

#include "minuano/safetensors.h"
#include "minuano/train.h"
#include "support/support.h"

/* Better after step 2, no better after step 4; only rank 0 is asked. */
static mn_status ask_once_better(void *user, const mn_adapter *adapter,
                                 struct mn_probe_point *point)
{
    const mn_ranks *ranks = user;
    (void)adapter;
    if (ranks->rank != 0) return mn_fail(MN_INVALID, "rank %d was asked", ranks->rank);
    point->items[MN_PROBE_MMLU] = 10;
    point->correct[MN_PROBE_MMLU] = point->step == 0 ? 3 : 5;
    return MN_OK;
}

/* Dropout too: a mask depends on the row's number in the run, not on the rank that has it. */
static mn_status train_here(mn_ranks *ranks, int64_t accumulation, const char *folder, bool probed)
{
    mn_arena *arena = NULL;
    mn_device *device = NULL;
    mn_model *model = NULL;
    struct mn_examples examples = {0};
    struct mn_train_settings settings = {0};
    struct mn_train_result result;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_reference_device_open(&device, 1));
    MN_GO(
        mn_model_open(&model, device, test_fixture("train/model"), &(struct mn_model_options){0}));
    MN_GO(mn_examples_read(&examples, arena, NULL, test_fixture("train/examples.jsonl"),
                           MN_LOSS_ON_COMPLETION, 64));
    MN_GO(mn_settings_defaults(&mn_train_settings_table, &settings, arena));
    settings.steps = 7;
    settings.batch = 3;
    settings.accumulation = accumulation;
    settings.dropout = 0.2;
    settings.learning_rate = 1e-3;
    if (probed) {
        settings.probe_every = 2;
        settings.probe_mmlu = 10;
        settings.stop_metric = MN_PROBE_MMLU;
        settings.stop_patience = 1;
    }
    const struct mn_probe probe = {ask_once_better, NULL, ranks};
    MN_GO(mn_train(model, &examples, &settings, &probe, ranks, folder, &result));
    if (probed && (result.steps != 4 || result.stop != MN_STOP_PATIENCE))
        st = mn_fail(MN_INVALID, "expected a stop after step 4, found %lld steps",
                     (long long)result.steps);
done:
    mn_examples_free(&examples);
    mn_model_close(&model);
    mn_device_close(&device);
    mn_arena_close(&arena);
    return st;
}

static int run_as_rank(const char *folder, bool probed)
{
    mn_ranks *ranks;
    if (mn_ranks_open(&ranks, true) != MN_OK) return 1;
    mn_status st = train_here(ranks, 1, folder, probed);
    if (st != MN_OK) fprintf(stderr, "rank %d: %s\n", ranks->rank, mn_error());
    if (st == MN_OK)
        mn_ranks_close(&ranks);
    else
        mn_ranks_abandon(&ranks);
    _exit(st != MN_OK); /* what MPI keeps is no leak of ours */
}

static const char *program;

static mn_status compare_adapters(const char *a_path, const char *b_path)
{
    mn_tensors *a, *b;
    MN_TRY(mn_tensors_open(&a, a_path));
    MN_TRY(mn_tensors_open(&b, b_path));
    for (size_t i = 0; i < mn_tensors_count(a); i++) {
        const struct mn_tensor *x = mn_tensors_at(a, i), *y = mn_tensors_at(b, i);
        float *values = malloc((size_t)x->count * 4), *wanted = malloc((size_t)x->count * 4);
        memcpy(values, x->data, (size_t)x->count * 4);
        memcpy(wanted, y->data, (size_t)y->count * 4);
        /* Seven updates of 1e-3; only the order of a sum differs. */
        check_close(values, wanted, (size_t)x->count, 2e-5, x->name);
        free(values);
        free(wanted);
    }
    mn_tensors_close(&a);
    mn_tensors_close(&b);
    return MN_OK;
}

static double loss_of_line(const char *folder, int64_t line)
{
    struct mn_jsonl file = {0};
    json_t *value = NULL;
    char path[4300];
    snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
    OK(mn_jsonl_open(&file, path));
    for (int64_t i = 0; i < line; i++) {
        json_decref(value);
        OK(mn_jsonl_next(&file, &value));
    }
    double loss = json_number_value(json_object_get(value, "loss"));
    json_decref(value);
    mn_jsonl_close(&file);
    return loss;
}

static int run_two_ranks(const char *folder, const char *more)
{
    char command[4400];
    snprintf(command, sizeof command,
             "mpirun -n 2 --oversubscribe --allow-run-as-root %s %s %s 2>&1", program, folder,
             more);
    return system(command);
}

static void test_two_ranks_train_as_one_with_twice_the_accumulation(void **state)
{
    (void)state;
    const char *apart = test_scratch("apart"), *alone = test_scratch("alone");
    char a[4300], b[4300];
    mn_ranks *ranks;
    assert_int_equal(run_two_ranks(apart, ""), 0);
    OK(mn_ranks_open(&ranks, false));
    OK(train_here(ranks, 2, alone, false));
    mn_ranks_close(&ranks);
    for (int64_t step = 1; step <= 7; step++)
        assert_true(fabs(loss_of_line(apart, step) - loss_of_line(alone, step)) < 1e-6);
    snprintf(a, sizeof a, "%s/final_adapter/adapter_model.safetensors", apart);
    snprintf(b, sizeof b, "%s/final_adapter/adapter_model.safetensors", alone);
    OK(compare_adapters(a, b));
}

/* The rule is looked at on rank 0; both end after the same step, or one would wait for ever. */
static void test_rule_ends_every_rank_after_the_same_step(void **state)
{
    (void)state;
    assert_int_equal(run_two_ranks(test_scratch("probed"), "probed"), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_ranks_train_as_one_with_twice_the_accumulation),
        cmocka_unit_test(test_rule_ends_every_rank_after_the_same_step)};
    if (argc >= 2) return run_as_rank(argv[1], argc == 3);
    program = argv[0];
    if (system("command -v mpirun >/dev/null") != 0) {
        puts("skipped: mpirun is not installed");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
