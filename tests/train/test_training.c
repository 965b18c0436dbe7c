/* A whole training run: against transformers and PEFT, stopped and resumed, damaged, refused. */
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "minuano/interrupt.h"
#include "minuano/safetensors.h"
#include "support/training.h"

static mn_status train(const struct mn_train_settings *settings, const char *folder)
{
    struct mn_train_result result;
    return train_with(settings, NULL, folder, &result);
}

/* --- against transformers and PEFT ------------------------------------------------------------ */

/* One of the fixture's lines and one of ours, both of step `step`. */
static void check_metrics_line(const json_t *found, const json_t *expected, int64_t step)
{
    static const struct {
        const char *key;
        double tolerance; /* relative; the losses' is the one asked for */
    } keys[] = {{"step", 0},
                {"loss", 1e-4},
                {"learning_rate", 1e-12},
                {"grad_norm", 1e-3},
                {"loss_tokens", 0}};
    assert_int_equal(json_object_size(found), 7);
    for (size_t i = 0; i < MN_COUNT(keys); i++) {
        double a = json_number_value(json_object_get(found, keys[i].key));
        double b = json_number_value(json_object_get(expected, keys[i].key));
        if (!(fabs(a - b) <= keys[i].tolerance * fmax(fabs(b), 1e-30)))
            fail_msg("step %lld, %s: found %.9g, expected %.9g", (long long)step, keys[i].key, a,
                     b);
    }
    assert_true(json_integer_value(json_object_get(found, "tokens")) >
                json_integer_value(json_object_get(found, "loss_tokens")));
}

static void check_final_adapter(const char *folder)
{
    mn_tensors *found, *expected;
    OK(mn_tensors_open(&found, mn_path(world.arena, folder, final_weights)));
    OK(mn_tensors_open(&expected, test_fixture("train/final/adapter_model.safetensors")));
    assert_int_equal(mn_tensors_count(found), mn_tensors_count(expected));
    for (size_t i = 0; i < mn_tensors_count(found); i++) {
        const struct mn_tensor *a = mn_tensors_at(found, i), *b = mn_tensors_at(expected, i);
        float *values = MN_NEW(world.arena, float, a->count),
              *wanted = MN_NEW(world.arena, float, b->count);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->count, b->count);
        memcpy(values, a->data, (size_t)a->count * sizeof(float));
        memcpy(wanted, b->data, (size_t)b->count * sizeof(float));
        /* Weights move by about 0.1. Adam divides by the root of tiny squares: rounding of 1e-7 in
         * a gradient of 1e-4 is 1e-3 of a step of 0.01, twenty times. */
        check_close(values, wanted, (size_t)a->count, 2e-4, a->name);
    }
    mn_tensors_close(&found);
    mn_tensors_close(&expected);
}

static void test_training_follows_transformers_and_peft(void **state)
{
    (void)state;
    const char *folder = test_scratch("parity");
    struct mn_train_settings settings = recipe();
    struct mn_jsonl found = {0}, expected = {0};
    json_t *a, *b;
    int64_t step = 0;
    OK(train(&settings, folder));
    OK(mn_jsonl_open(&found, mn_path(world.arena, folder, "metrics.jsonl")));
    OK(mn_jsonl_open(&expected, test_fixture("train/expected.jsonl")));
    for (;;) {
        OK(mn_jsonl_next(&found, &a));
        OK(mn_jsonl_next(&expected, &b));
        assert_true((a == NULL) == (b == NULL));
        if (!a) break;
        check_metrics_line(a, b, ++step);
        json_decref(a);
        json_decref(b);
    }
    assert_int_equal(step, 20);
    check_final_adapter(folder);
    mn_jsonl_close(&found);
    mn_jsonl_close(&expected);
}

/* --- on CUDA ---------------------------------------------------------------------------------- */

/* The world's device and model become CUDA's; false where there is no GPU. */
static bool enter_cuda(struct world *before)
{
    *before = world;
#ifdef MN_WITH_CUDA
    if (mn_cuda_device_open(&world.device, 0) == MN_OK) {
        OK(mn_model_open(&world.model, world.device, test_fixture("train/model"),
                         &(struct mn_model_options){0}));
        return true;
    }
#endif
    return false;
}

static void leave_cuda(const struct world *before)
{
    mn_model_close(&world.model);
    mn_device_close(&world.device);
    world = *before;
}

struct distance {
    double ours, theirs, most; /* sums over the steps; their largest */
};

static void add_step(struct distance *distance, const json_t *found, const json_t *exact,
                     const json_t *bf16, const char *key, size_t step)
{
    const double wanted = json_number_value(json_object_get(exact, key));
    const double ours = fabs(json_number_value(json_object_get(found, key)) - wanted);
    const double theirs =
        fabs(json_number_value(json_array_get(json_object_get(bf16, key), step)) - wanted);
    assert_false(isnan(ours));
    distance->ours += ours;
    distance->theirs += theirs;
    if (theirs > distance->most) distance->most = theirs;
}

/* Losses and gradient norms stay as near to fp32's as those of transformers and PEFT do, when these
 * train the same adapter on the base in bf16 (fixtures/wide/bf16.json): on average within twice
 * their distance, for ours rounds at other places and keeps the adapter's copy in bf16, too. */
static void test_training_on_cuda_follows_transformers_as_bf16_can(void **state)
{
    (void)state;
    struct world before;
    if (!enter_cuda(&before)) SKIP("no GPU");
    static const char *const keys[] = {"loss", "grad_norm"};
    const char *folder = test_scratch("cuda");
    struct mn_train_settings settings = recipe();
    struct distance distance[MN_COUNT(keys)] = {0};
    struct mn_jsonl found = {0}, exact = {0};
    json_t *bf16, *a, *b;
    size_t step = 0;
    OK(mn_json_load(&bf16, test_fixture("wide/bf16.json")));
    OK(train(&settings, folder));
    OK(mn_jsonl_open(&found, mn_path(world.arena, folder, "metrics.jsonl")));
    OK(mn_jsonl_open(&exact, test_fixture("train/expected.jsonl")));
    for (;; step++) {
        OK(mn_jsonl_next(&found, &a));
        OK(mn_jsonl_next(&exact, &b));
        assert_true((a == NULL) == (b == NULL));
        if (!a) break;
        for (size_t k = 0; k < MN_COUNT(keys); k++)
            add_step(&distance[k], a, b, bf16, keys[k], step);
        json_decref(a);
        json_decref(b);
    }
    assert_int_equal(step, 20);
    for (size_t k = 0; k < MN_COUNT(keys); k++) {
        printf("%s: mean distance from fp32 %.3g, of transformers in bf16 %.3g (at most %.3g)\n",
               keys[k], distance[k].ours / 20, distance[k].theirs / 20, distance[k].most);
        assert_true(distance[k].ours <= 2 * distance[k].theirs);
    }
    mn_jsonl_close(&found);
    mn_jsonl_close(&exact);
    json_decref(bf16);
    leave_cuda(&before);
}

static void test_training_on_cuda_twice_gives_the_same_bits(void **state)
{
    (void)state;
    struct world before;
    if (!enter_cuda(&before)) SKIP("no GPU");
    struct mn_train_settings settings = with_dropout();
    const char *once = test_scratch("cuda-once"), *again = test_scratch("cuda-again");
    OK(train(&settings, once));
    OK(train(&settings, again));
    check_same_file(once, again, final_weights);
    leave_cuda(&before);
}

/* --- the same bits ---------------------------------------------------------------------------- */

static const char *uninterrupted(void)
{
    const char *folder = test_scratch("uninterrupted");
    struct mn_train_settings settings = with_dropout();
    OK(train(&settings, folder));
    return folder;
}

static void test_training_twice_gives_the_same_bits(void **state)
{
    (void)state;
    struct mn_train_settings settings = with_dropout();
    const char *again = test_scratch("again");
    OK(train(&settings, again));
    check_same_file(uninterrupted(), again, final_weights);
    check_same_file(uninterrupted(), again, "checkpoints/step-3/optimizer.safetensors");
}

static void test_training_on_more_threads_gives_the_same_bits(void **state)
{
    (void)state;
    struct world one = world;
    struct mn_train_settings settings = with_dropout();
    const char *folder = test_scratch("threads");
    const char *expected = uninterrupted();
    OK(mn_reference_device_open(&world.device, 3));
    OK(mn_model_open(&world.model, world.device, test_fixture("train/model"),
                     &(struct mn_model_options){0}));
    OK(train(&settings, folder));
    check_same_file(expected, folder, final_weights);
    mn_model_close(&world.model);
    mn_device_close(&world.device);
    world = one;
}

static double loss_of_step(const char *folder, int64_t step)
{
    struct mn_jsonl file = {0};
    json_t *line = NULL;
    OK(mn_jsonl_open(&file, mn_path(world.arena, folder, "metrics.jsonl")));
    for (int64_t i = 0; i < step; i++) {
        json_decref(line);
        OK(mn_jsonl_next(&file, &line));
    }
    double loss = json_number_value(json_object_get(line, "loss"));
    json_decref(line);
    mn_jsonl_close(&file);
    return loss;
}

/* Masks of dropout go by the row's number in the run: only the order of sums is another. */
static void test_training_with_micro_batches_together_takes_the_same_steps(void **state)
{
    (void)state;
    const char *together = test_scratch("together"), *apart = uninterrupted();
    struct mn_train_settings settings = with_dropout();
    settings.tokens_at_once = 1000;
    OK(train(&settings, together));
    for (int64_t step = 1; step <= settings.steps; step++)
        assert_true(fabs(loss_of_step(together, step) - loss_of_step(apart, step)) < 1e-5);
}

static void check_same_metrics(const char *a, const char *b)
{
    check_same_lines(a, b, "metrics.jsonl", "tokens_per_second");
}

static mn_status train_job(void *folder)
{
    const struct mn_train_settings settings = with_dropout();
    return train(&settings, folder);
}

/* Killed between checkpoints, or in the midst of one. */
static void test_training_killed_and_resumed_gives_the_same_bits(void **state)
{
    (void)state;
    const char *expected = uninterrupted();
    for (int lines = 1; lines <= 8; lines++) {
        struct mn_train_settings settings = with_dropout();
        char name[32];
        snprintf(name, sizeof name, "killed-%d", lines);
        const char *folder = test_scratch(name);
        kill_at(mn_path(world.arena, folder, "metrics.jsonl"), lines, train_job, (void *)folder);
        OK(train(&settings, folder));
        check_same_file(expected, folder, final_weights);
        check_same_metrics(expected, folder);
    }
}

/* A signal is seen at the end of the first step, every time: eight stops before the end. */
static void test_training_signalled_saves_and_goes_on(void **state)
{
    (void)state;
    const char *folder = test_scratch("signalled"), *expected = uninterrupted();
    struct mn_train_settings settings = with_dropout();
    mn_interrupt_raise(SIGUSR1);
    for (int step = 1; step < 9; step++) {
        FAILS(train(&settings, folder), MN_INTERRUPTED, "is saved");
        assert_true(mn_is_directory(mn_path(
            world.arena, folder, mn_arena_printf(world.arena, "checkpoints/step-%d", step))));
    }
    mn_interrupt_raise(0);
    OK(train(&settings, folder));
    check_same_file(expected, folder, final_weights);
    check_same_metrics(expected, folder);
}

/* --- damage and refusal ----------------------------------------------------------------------- */

static void stop_after(const char *folder, int64_t steps, struct mn_train_settings *settings)
{
    mn_interrupt_raise(SIGTERM);
    for (int64_t i = 0; i < steps; i++) FAILS(train(settings, folder), MN_INTERRUPTED, "is saved");
    mn_interrupt_raise(0);
}

static void damage(const char *path)
{
    size_t size;
    char *data;
    OK(mn_file_read(world.arena, path, &data, &size));
    data[size / 2] ^= 0x10;
    OK(mn_file_write(path, data, size));
}

static void test_training_passes_over_damaged_checkpoints(void **state)
{
    (void)state;
    static const char *const victims[] = {"state.json", "optimizer.safetensors",
                                          "adapter/adapter_model.safetensors",
                                          "adapter/adapter_config.json"};
    const char *expected = uninterrupted();
    for (size_t i = 0; i < MN_COUNT(victims); i++) {
        struct mn_train_settings settings = with_dropout();
        char name[32];
        snprintf(name, sizeof name, "damaged-%zu", i);
        const char *folder = test_scratch(name);
        stop_after(folder, 5, &settings);
        damage(
            mn_path(world.arena, mn_path(world.arena, folder, "checkpoints/step-5"), victims[i]));
        OK(unlink(mn_path(world.arena, folder, "checkpoints/step-4/SHA256SUMS")) == 0
               ? MN_OK
               : mn_fail(MN_IO, "unlink"));
        OK(train(&settings, folder));
        check_same_file(expected, folder, final_weights);
        check_same_metrics(expected, folder);
    }
}

static void test_training_keeps_the_newest_checkpoints(void **state)
{
    (void)state;
    const char *folder = test_scratch("kept");
    struct mn_train_settings settings = with_dropout();
    char **names;
    size_t count;
    settings.checkpoint_every = 2;
    settings.keep_checkpoints = 2;
    OK(train(&settings, folder));
    OK(mn_directory_list(world.arena, mn_path(world.arena, folder, "checkpoints"), &names, &count));
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "step-8");
    assert_string_equal(names[1], "step-9");
}

static void test_training_refuses_to_resume_with_other_settings(void **state)
{
    (void)state;
    const char *folder = test_scratch("changed");
    struct mn_train_settings settings = with_dropout(), other = settings, saving = settings;
    struct mn_examples fewer = world.examples;
    struct mn_train_result result;
    stop_after(folder, 1, &settings);
    other.learning_rate = 3e-3;
    FAILS(train(&other, folder), MN_INVALID, "\"train.learning_rate\" differs");
    fewer.count--;
    FAILS(mn_train(world.model, &fewer, &settings, NULL, world.ranks, folder, &result), MN_INVALID,
          "\"data\" differs");
    saving.checkpoint_every = 4;
    OK(train(&saving, folder));
    FAILS(train(&other, folder), MN_INVALID, "\"train.learning_rate\" differs");
}

static void test_training_that_is_complete_returns_its_result(void **state)
{
    (void)state;
    const char *folder = test_scratch("complete");
    struct mn_train_settings settings = with_dropout();
    struct mn_train_result first, second;
    OK(mn_train(world.model, &world.examples, &settings, NULL, world.ranks, folder, &first));
    OK(mn_train(world.model, &world.examples, &settings, NULL, world.ranks, folder, &second));
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(first.steps, 9);
}

static void test_training_names_the_tensor_it_cannot_start_from(void **state)
{
    (void)state;
    const char *folder = test_scratch("poisoned-run"), *poisoned = test_scratch("poisoned");
    struct mn_train_settings settings = recipe();
    mn_adapter *adapter;
    float nan_value = NAN;
    OK(mn_adapter_open(&adapter, world.model, test_fixture("train/initial"), true));
    OK(world.device->calls->upload(world.device, adapter->master + 5, &nan_value,
                                   sizeof nan_value));
    OK(mn_adapter_save(adapter, poisoned));
    mn_adapter_close(&adapter);
    settings.initial = poisoned;
    FAILS(train(&settings, folder), MN_NUMERIC,
          "layers.0.self_attn.q_proj.lora_A.weight holds nan at element 5");
    assert_false(mn_file_exists(mn_path(world.arena, folder, "final_adapter")));
}

/* The first update leaves values of 1e30, finite; attention multiplies two of them. */
static void test_training_names_the_activation_where_numbers_end(void **state)
{
    (void)state;
    const char *folder = test_scratch("too-fast");
    struct mn_train_settings settings = recipe();
    settings.learning_rate = 1e30;
    settings.warmup_steps = 0;
    settings.checkpoint_every = 1;
    FAILS(train(&settings, folder), MN_NUMERIC, "step 2, batch of examples");
    assert_non_null(strstr(mn_error(), "activations of layer 0"));
    assert_false(mn_file_exists(mn_path(world.arena, folder, "final_adapter")));
}

static void test_training_saves_no_value_that_is_no_number(void **state)
{
    (void)state;
    const char *folder = test_scratch("far-too-fast");
    struct mn_train_settings settings = recipe();
    settings.learning_rate = INFINITY;
    settings.warmup_steps = 0;
    settings.checkpoint_every = 1;
    FAILS(train(&settings, folder), MN_NUMERIC, "step 1: the adapter's base_model.model.model");
    assert_false(mn_file_exists(mn_path(world.arena, folder, "checkpoints")));
    settings.checkpoint_every = 0;
    FAILS(train(&settings, test_scratch("far-too-fast-2")), MN_NUMERIC,
          "the adapter's base_model.model.model");
}

static void test_training_refuses_what_it_cannot_train_on(void **state)
{
    (void)state;
    struct mn_train_settings settings = recipe();
    struct mn_examples none = {.dropped = 3}, wrong = {0};
    struct mn_train_result result;
    const int32_t ids[] = {5, 4000};
    const uint8_t mask[] = {0, 1};
    FAILS(mn_train(world.model, &none, &settings, NULL, world.ranks, test_scratch("none"), &result),
          MN_INVALID, "no examples");
    mn_examples_add(&wrong, world.arena, ids, mask, 2, 10);
    FAILS(
        mn_train(world.model, &wrong, &settings, NULL, world.ranks, test_scratch("wrong"), &result),
        MN_INVALID, "id 4000 is outside the vocabulary of 128");
    mn_examples_free(&wrong);
    settings.steps = 0;
    settings.epochs = 0;
    FAILS(train(&settings, test_scratch("zero")), MN_INVALID, "both 0");
}

static void test_plan_counts_what_the_run_will_do(void **state)
{
    (void)state;
    struct mn_train_settings settings = with_dropout();
    struct mn_train_plan plan;
    struct mn_train_result result;
    settings.steps = 0;
    settings.epochs = 1.5;
    OK(mn_train_plan(world.device, &world.model->config, &world.model->options, &world.examples,
                     &settings, 1, &plan));
    assert_int_equal(plan.steps_per_epoch, 6);
    assert_int_equal(plan.steps, 9);
    assert_int_equal(plan.parameters, 2 * 3 * ((64 + 128) + 2 * (64 + 64) + (128 + 64)));
    OK(mn_train(world.model, &world.examples, &settings, NULL, world.ranks, test_scratch("planned"),
                &result));
    assert_int_equal(result.steps, plan.steps);
    assert_int_equal(result.tokens, plan.tokens);
    assert_int_equal(result.loss_tokens, plan.loss_tokens);
}

static void test_plan_takes_the_rank_of_the_adapter_it_starts_from(void **state)
{
    (void)state;
    struct mn_train_settings settings = recipe();
    struct mn_train_plan plan;
    struct mn_lora_config lora;
    mn_adapter *adapter;
    OK(mn_adapter_config_read(&lora, settings.initial));
    OK(mn_adapter_open(&adapter, world.model, settings.initial, true));
    settings.rank = lora.rank + 60;
    OK(mn_train_plan(world.device, &world.model->config, &world.model->options, &world.examples,
                     &settings, 1, &plan));
    assert_int_equal(plan.parameters, adapter->count);
    assert_true(plan.by_use[MN_MEMORY_ADAPTER] >= adapter->pool.size - 3 * 256 &&
                plan.by_use[MN_MEMORY_ADAPTER] <= adapter->pool.size);
    mn_adapter_close(&adapter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_follows_transformers_and_peft),
        cmocka_unit_test(test_training_on_cuda_follows_transformers_as_bf16_can),
        cmocka_unit_test(test_training_on_cuda_twice_gives_the_same_bits),
        cmocka_unit_test(test_training_twice_gives_the_same_bits),
        cmocka_unit_test(test_training_on_more_threads_gives_the_same_bits),
        cmocka_unit_test(test_training_with_micro_batches_together_takes_the_same_steps),
        cmocka_unit_test(test_training_killed_and_resumed_gives_the_same_bits),
        cmocka_unit_test(test_training_signalled_saves_and_goes_on),
        cmocka_unit_test(test_training_passes_over_damaged_checkpoints),
        cmocka_unit_test(test_training_keeps_the_newest_checkpoints),
        cmocka_unit_test(test_training_refuses_to_resume_with_other_settings),
        cmocka_unit_test(test_training_that_is_complete_returns_its_result),
        cmocka_unit_test(test_training_names_the_tensor_it_cannot_start_from),
        cmocka_unit_test(test_training_names_the_activation_where_numbers_end),
        cmocka_unit_test(test_training_saves_no_value_that_is_no_number),
        cmocka_unit_test(test_training_refuses_what_it_cannot_train_on),
        cmocka_unit_test(test_plan_counts_what_the_run_will_do),
        cmocka_unit_test(test_plan_takes_the_rank_of_the_adapter_it_starts_from),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
