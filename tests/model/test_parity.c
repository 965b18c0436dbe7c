/* test_parity.c: what transformers and PEFT computed in fp32 with the same files
 * (tests/oracle/make_model_fixtures.py): logits, greedy tokens, losses, gradients, adapters. */
#include "support/parity.h"

#include <math.h>

static const struct mn_limits inference = {
    .tokens = 64, .sequences = 4, .logit_rows = 9, .cache_rows = 128, .lora_rank = 12};
static const struct mn_limits training = {
    .tokens = 64, .sequences = 4, .logit_rows = 9, .training = true, .lora_rank = 12};

static mn_device *device;
static mn_tensors *expected;

static int open_all(void **state)
{
    (void)state;
    OK(mn_reference_device_open(&device, 1));
    OK(mn_tensors_open(&expected, test_fixture("model/expected.safetensors")));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    mn_tensors_close(&expected);
    mn_device_close(&device);
    return 0;
}

/* Relative to the largest logit: 1e-5 is what issue 2 asks for. */
static void check_relative(const float *found, const float *wanted, int64_t count, const char *what)
{
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)wanted[i]));
        worst = fmax(worst, fabs((double)found[i] - (double)wanted[i]));
        if (isnan(found[i])) worst = INFINITY;
    }
    if (!(worst <= 1e-5 * largest))
        fail_msg("%s: error %.3g of %.3g exceeds 1e-5", what, worst, largest);
}

static void check_logits(const char *folder)
{
    char name[64], path[64];
    int32_t ids[MAX_TOKENS];
    int64_t values;
    mn_model *model = NULL;
    mn_context *context = NULL;
    snprintf(path, sizeof path, "model/%s", folder);
    snprintf(name, sizeof name, "%s.ids", folder);
    const int count = expect_ids(expected, name, ids);
    snprintf(name, sizeof name, "%s.logits", folder);
    float *wanted = expect(expected, name, &values);
    OK(mn_model_open(&model, device, test_fixture(path), NULL));
    OK(mn_context_open(&context, model, &inference));
    assert_int_equal(values, (int64_t)count * model->config.vocab);
    float *found = logits_of(context, NULL, ids, count, model->config.vocab);
    check_relative(found, wanted, values, folder);
    free(found);
    free(wanted);
    mn_context_close(&context);
    mn_model_close(&model);
}

static void test_logits_match_transformers_bf16_grouped_heads(void **state)
{
    (void)state;
    check_logits("tiny");
}

static void test_logits_match_transformers_f16_shards_tied(void **state)
{
    (void)state;
    check_logits("sharded");
}

static void test_logits_match_transformers_f32_default_keys(void **state)
{
    (void)state;
    check_logits("old");
}

static void test_greedy_tokens_match_transformers(void **state)
{
    (void)state;
    check_greedy(device, &inference, expected, "tiny", "model/tiny");
}

/* Within 1e-4 of the largest element of the same tensor: transformers' fp32 has that much noise. */
static void check_gradient(const struct mn_tensor *tensor, const char *adapter)
{
    char key[256];
    int64_t count;
    double largest = 0;
    snprintf(key, sizeof key, "%s.grad.%s", adapter, tensor->name);
    float *wanted = expect(expected, key, &count), *found = malloc((size_t)count * sizeof *found);
    assert_int_equal(count, tensor->count);
    memcpy(found, tensor->data, (size_t)count * sizeof *found);
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)wanted[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - (double)wanted[i]) <= 1e-4 * largest))
            fail_msg("%s: element %lld: found %.9g, expected %.9g (largest %.3g)", key,
                     (long long)i, (double)found[i], (double)wanted[i], largest);
    free(found);
    free(wanted);
}

static void check_gradients(mn_adapter *adapter, const char *name)
{
    mn_tensors *found = gradients_by_name(adapter);
    assert_true(mn_tensors_count(found) > 0);
    for (size_t i = 0; i < mn_tensors_count(found); i++)
        check_gradient(mn_tensors_at(found, i), name);
    mn_tensors_close(&found);
}

static void check_adapter(const char *name)
{
    char key[64], path[64];
    struct parity_text text;
    double sum;
    int64_t values;
    mn_model *model = NULL;
    mn_adapter *adapter = NULL;
    mn_context *context = NULL;
    make_text(&text, expected, "tiny.ids");
    snprintf(path, sizeof path, "model/adapters/%s", name);
    OK(mn_model_open(&model, device, test_fixture("model/tiny"), NULL));
    OK(mn_adapter_open(&adapter, model, test_fixture(path), true));
    OK(mn_context_open(&context, model, &training));
    snprintf(key, sizeof key, "%s.logits", name);
    float *wanted = expect(expected, key, &values);
    const int from = text.offsets[1], count = text.offsets[2] - from;
    assert_int_equal(values, (int64_t)count * model->config.vocab);
    float *found = logits_of(context, adapter, text.ids + from, count, model->config.vocab);
    check_relative(found, wanted, values, key);
    free(wanted);

    adapter->config.dropout = 0; /* the oracle's gradients are without */
    for (int i = 0; i < model->config.layers * MN_FUSED; i++) adapter->lora[i].dropout = 0;
    const struct mn_loss loss = {.targets = text.targets, .scale = 1.0 / text.batch.logit_rows};
    OK(mn_loss_backward(context, adapter, &text.batch, &loss, &sum));
    snprintf(key, sizeof key, "%s.loss", name);
    wanted = expect(expected, key, &values);
    assert_true(fabs(sum * loss.scale - (double)wanted[0]) <= 1e-5 * (double)wanted[0]);
    check_gradients(adapter, name);
    free(wanted);
    free(found);
    mn_context_close(&context);
    mn_adapter_close(&adapter);
    mn_model_close(&model);
}

static void test_adapter_on_all_linears_with_rslora_matches_peft(void **state)
{
    (void)state;
    check_adapter("all");
}

static void test_adapter_in_bf16_on_q_and_v_matches_peft(void **state)
{
    (void)state;
    check_adapter("qv");
}

static void test_adapter_in_f16_on_up_and_down_matches_peft(void **state)
{
    (void)state;
    check_adapter("mlp");
}

/* Names, shapes and values of what PEFT wrote survive our own opening and saving. */
static void test_saved_adapter_holds_what_peft_wrote(void **state)
{
    mn_model *model = NULL;
    mn_adapter *adapter = NULL, *again = NULL;
    mn_tensors *ours = NULL, *theirs = NULL;
    (void)state;
    OK(mn_model_open(&model, device, test_fixture("model/tiny"), NULL));
    OK(mn_adapter_open(&adapter, model, test_fixture("model/adapters/all"), false));
    OK(mn_adapter_save(adapter, test_scratch("saved")));
    OK(mn_adapter_save(adapter, test_scratch("saved"))); /* over what is there */
    OK(mn_tensors_open(&ours, test_scratch("saved/adapter_model.safetensors")));
    OK(mn_tensors_open(&theirs, test_fixture("model/adapters/all/adapter_model.safetensors")));
    assert_int_equal(mn_tensors_count(ours), mn_tensors_count(theirs));
    for (size_t i = 0; i < mn_tensors_count(ours); i++) {
        const struct mn_tensor *a = mn_tensors_at(ours, i), *b = mn_tensors_at(theirs, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->dims, b->dims);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_memory_equal(a->data, b->data, (size_t)a->count * sizeof(float));
    }
    OK(mn_adapter_open(&again, model, test_scratch("saved"), true));
    assert_memory_equal(again->config.target, adapter->config.target, sizeof again->config.target);
    assert_true(again->config.rslora && again->config.alpha == 10 && again->config.rank == 4);
    assert_string_equal(again->config.base_model, "tiny");
    mn_tensors_close(&ours);
    mn_tensors_close(&theirs);
    mn_adapter_close(&again);
    mn_adapter_close(&adapter);
    mn_model_close(&model);
}

/* Merged weights are rounded to 16 bits: logits agree to bf16's precision, not to fp32's. */
static void test_merged_model_computes_what_the_adapter_does(void **state)
{
    int32_t ids[MAX_TOKENS];
    mn_model *base = NULL, *merged = NULL;
    mn_adapter *adapter = NULL;
    mn_context *context = NULL, *merged_context = NULL;
    (void)state;
    const int count = expect_ids(expected, "tiny.ids", ids);
    OK(mn_merge(test_fixture("model/tiny"), test_fixture("model/adapters/all"),
                test_scratch("merged")));
    OK(mn_model_open(&base, device, test_fixture("model/tiny"), NULL));
    OK(mn_model_open(&merged, device, test_scratch("merged"), NULL));
    OK(mn_adapter_open(&adapter, base, test_fixture("model/adapters/all"), false));
    OK(mn_context_open(&context, base, &inference));
    OK(mn_context_open(&merged_context, merged, &inference));
    float *wanted = logits_of(context, adapter, ids, count, base->config.vocab);
    float *found = logits_of(merged_context, NULL, ids, count, base->config.vocab);
    double error = 0, size = 0;
    for (int i = 0; i < count * base->config.vocab; i++) {
        error += pow((double)found[i] - (double)wanted[i], 2);
        size += pow((double)wanted[i], 2);
    }
    assert_true(sqrt(error / size) < 0.03);
    assert_string_not_equal(base->fingerprint, merged->fingerprint);
    free(wanted);
    free(found);
    mn_context_close(&merged_context);
    mn_context_close(&context);
    mn_adapter_close(&adapter);
    mn_model_close(&merged);
    mn_model_close(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_match_transformers_bf16_grouped_heads),
        cmocka_unit_test(test_logits_match_transformers_f16_shards_tied),
        cmocka_unit_test(test_logits_match_transformers_f32_default_keys),
        cmocka_unit_test(test_greedy_tokens_match_transformers),
        cmocka_unit_test(test_adapter_on_all_linears_with_rslora_matches_peft),
        cmocka_unit_test(test_adapter_in_bf16_on_q_and_v_matches_peft),
        cmocka_unit_test(test_adapter_in_f16_on_up_and_down_matches_peft),
        cmocka_unit_test(test_saved_adapter_holds_what_peft_wrote),
        cmocka_unit_test(test_merged_model_computes_what_the_adapter_does),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
