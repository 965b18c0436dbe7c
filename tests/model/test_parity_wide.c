/* test_parity_wide.c: logits, greedy tokens, loss, gradients and adapters in head sizes that both
 * devices have (tests/oracle/make_wide_fixtures.py), against transformers and PEFT in fp32: on the
 * reference to fp32's precision, on CUDA to bf16's.
 *
 * What bf16 costs is measured, not guessed: NAME.bf16 in the fixture is the relative error of
 * transformers and PEFT themselves in bf16 on the same weights. Ours rounds at other places, so it
 * may come out larger or smaller: twice theirs is allowed. */
#include "support/parity.h"

#include <math.h>

static const struct mn_limits inference = {
    .tokens = 64, .sequences = 4, .logit_rows = 9, .cache_rows = 128, .lora_rank = 12};
static const struct mn_limits training = {
    .tokens = 64, .sequences = 4, .logit_rows = 9, .training = true, .lora_rank = 12};

static mn_device *devices[2]; /* by mn_device_kind; CUDA is NULL where there is none */
static mn_tensors *expected;

static int open_all(void **state)
{
    (void)state;
    OK(mn_reference_device_open(&devices[MN_DEVICE_REFERENCE], 1));
#ifdef MN_WITH_CUDA
    if (mn_cuda_device_open(&devices[MN_DEVICE_CUDA], 0) != MN_OK)
        printf("the reference alone: %s\n", mn_error());
#endif
    OK(mn_tensors_open(&expected, test_fixture("wide/expected.safetensors")));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    mn_tensors_close(&expected);
    for (int d = 0; d < 2; d++) mn_device_close(&devices[d]);
    return 0;
}

/* Each test has a twin on CUDA, which says why it is skipped. */
#define NEED(device)                                                                               \
    do {                                                                                           \
        if (!(device)) SKIP("no GPU");                                                             \
    } while (0)

static double bf16_error_of(const char *name)
{
    char key[96];
    snprintf(key, sizeof key, "%s.bf16", name);
    float *value = expect(expected, key, NULL);
    const double error = (double)value[0];
    free(value);
    return error;
}

/* What the device may be off by, relative to the norm of what is expected. */
static double allowed(const mn_device *device, const char *name, double exact)
{
    return device->kind == MN_DEVICE_CUDA ? 2 * bf16_error_of(name) : exact;
}

struct error {
    double squares, norm; /* of the differences, of what is expected */
};

static void add_error(struct error *error, const float *found, const float *wanted, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        error->squares += pow((double)found[i] - (double)wanted[i], 2);
        error->norm += pow((double)wanted[i], 2);
    }
}

static void check_error(const mn_device *device, const struct error *error, const char *name,
                        double exact)
{
    const double found = sqrt(error->squares / error->norm), limit = allowed(device, name, exact);
    printf("%s, %s: relative error %.3g, %.3g allowed\n", device->name, name, found, limit);
    assert_true(found <= limit); /* false for NaN */
}

static void check_logits(mn_device *device, mn_model *model, mn_context *context,
                         const mn_adapter *adapter, const int32_t *ids, int count, const char *name)
{
    int64_t values;
    struct error error = {0};
    float *wanted = expect(expected, name, &values);
    assert_int_equal(values, (int64_t)count * model->config.vocab);
    float *found = logits_of(context, adapter, ids, count, model->config.vocab);
    add_error(&error, found, wanted, values);
    check_error(device, &error, name, 1e-5);
    free(found);
    free(wanted);
}

static void logits_match(mn_device *device)
{
    static const char *const folders[] = {"wide64", "wide128"};
    NEED(device);
    for (size_t i = 0; i < MN_COUNT(folders); i++) {
        char name[64];
        int32_t ids[MAX_TOKENS];
        mn_model *model = NULL;
        mn_context *context = NULL;
        snprintf(name, sizeof name, "%s.ids", folders[i]);
        const int count = expect_ids(expected, name, ids);
        snprintf(name, sizeof name, "wide/%s", folders[i]);
        OK(mn_model_open(&model, device, test_fixture(name), NULL));
        OK(mn_context_open(&context, model, &inference));
        snprintf(name, sizeof name, "%s.logits", folders[i]);
        check_logits(device, model, context, NULL, ids, count, name);
        mn_context_close(&context);
        mn_model_close(&model);
    }
}

/* The prompt is one whose best logit leads by several times bf16's error at every step. All but the
 * first two decode steps of a length are replayed from a graph on CUDA. */
static void greedy_tokens_match(mn_device *device)
{
    NEED(device);
    check_greedy(device, &inference, expected, "wide64", "wide/wide64");
}

static void check_gradients(mn_device *device, mn_adapter *adapter)
{
    static const char *const parts[] = {"lora_A", "lora_B"};
    mn_tensors *found = gradients_by_name(adapter);
    assert_int_equal(mn_tensors_count(found), 2 * 2 * MN_MODULES); /* two layers, A and B */
    for (size_t part = 0; part < MN_COUNT(parts); part++) {
        struct error error = {0};
        char key[256];
        for (size_t i = 0; i < mn_tensors_count(found); i++) {
            const struct mn_tensor *tensor = mn_tensors_at(found, i);
            int64_t count;
            if (!strstr(tensor->name, parts[part])) continue;
            snprintf(key, sizeof key, "all.grad.%s", tensor->name);
            float *wanted = expect(expected, key, &count);
            float *values = malloc((size_t)count * sizeof *values);
            assert_int_equal(count, tensor->count);
            memcpy(values, tensor->data, (size_t)count * sizeof *values);
            add_error(&error, values, wanted, count);
            free(values);
            free(wanted);
        }
        snprintf(key, sizeof key, "all.grad.%s", parts[part]);
        check_error(device, &error, key, 1e-4); /* transformers' fp32 has that much noise */
    }
    mn_tensors_close(&found);
}

static void adapter_matches(mn_device *device)
{
    struct parity_text text;
    double sum;
    mn_model *model = NULL;
    mn_adapter *adapter = NULL;
    mn_context *context = NULL;
    NEED(device);
    make_text(&text, expected, "wide64.ids");
    OK(mn_model_open(&model, device, test_fixture("wide/wide64"), NULL));
    OK(mn_adapter_open(&adapter, model, test_fixture("wide/all"), true));
    OK(mn_context_open(&context, model, &training));
    const int from = text.offsets[1], count = text.offsets[2] - from;
    check_logits(device, model, context, adapter, text.ids + from, count, "all.logits");
    const struct mn_loss loss = {.targets = text.targets, .scale = 1.0 / text.batch.logit_rows};
    OK(mn_loss_backward(context, adapter, &text.batch, &loss, &sum));
    float *wanted = expect(expected, "all.loss", NULL);
    const double off = fabs(sum * loss.scale / (double)wanted[0] - 1);
    /* A loss is a mean: errors of its tokens cancel, by luck more or less. A thousandth is what one
     * logit in three rounded the same way would make. */
    const double limit =
        device->kind == MN_DEVICE_CUDA ? fmax(1e-3, 2 * bf16_error_of("all.loss")) : 1e-5;
    printf("%s, all.loss: relative error %.3g, %.3g allowed\n", device->name, off, limit);
    assert_true(off <= limit);
    check_gradients(device, adapter);
    free(wanted);
    mn_context_close(&context);
    mn_adapter_close(&adapter);
    mn_model_close(&model);
}

/* Names and values of what PEFT wrote survive the device's masters, both ways. */
static void saved_adapter_is_peft_s(mn_device *device)
{
    mn_model *model = NULL;
    mn_adapter *adapter = NULL;
    mn_tensors *ours = NULL, *theirs = NULL;
    NEED(device);
    OK(mn_model_open(&model, device, test_fixture("wide/wide64"), NULL));
    OK(mn_adapter_open(&adapter, model, test_fixture("wide/all"), true));
    OK(mn_adapter_save(adapter, test_scratch("saved")));
    OK(mn_tensors_open(&ours, test_scratch("saved/adapter_model.safetensors")));
    OK(mn_tensors_open(&theirs, test_fixture("wide/all/adapter_model.safetensors")));
    assert_int_equal(mn_tensors_count(ours), mn_tensors_count(theirs));
    for (size_t i = 0; i < mn_tensors_count(ours); i++) {
        const struct mn_tensor *a = mn_tensors_at(ours, i), *b = mn_tensors_at(theirs, i);
        assert_string_equal(a->name, b->name);
        assert_memory_equal(a->data, b->data, (size_t)a->count * sizeof(float));
    }
    mn_tensors_close(&ours);
    mn_tensors_close(&theirs);
    mn_adapter_close(&adapter);
    mn_model_close(&model);
}

#define ON_EACH(claim, function)                                                                   \
    static void test_##claim##_on_the_reference(void **state)                                      \
    {                                                                                              \
        (void)state;                                                                               \
        function(devices[MN_DEVICE_REFERENCE]);                                                    \
    }                                                                                              \
    static void test_##claim##_on_cuda(void **state)                                               \
    {                                                                                              \
        (void)state;                                                                               \
        function(devices[MN_DEVICE_CUDA]);                                                         \
    }
ON_EACH(logits_match_transformers, logits_match)
ON_EACH(greedy_tokens_match_transformers, greedy_tokens_match)
ON_EACH(adapter_loss_and_gradients_match_peft, adapter_matches)
ON_EACH(saved_adapter_holds_what_peft_wrote, saved_adapter_is_peft_s)

int main(void)
{
#define TESTS(claim)                                                                               \
    cmocka_unit_test(test_##claim##_on_the_reference), cmocka_unit_test(test_##claim##_on_cuda)
    const struct CMUnitTest tests[] = {
        TESTS(logits_match_transformers),
        TESTS(greedy_tokens_match_transformers),
        TESTS(adapter_loss_and_gradients_match_peft),
        TESTS(saved_adapter_holds_what_peft_wrote),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
