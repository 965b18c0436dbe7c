/* test_quantization.c: NF4 as bitsandbytes computes it, double quantization included; packed
 * weights compute what expanded ones do. */
#include "support/support.h"

#include <math.h>

#include "../../host/model/internal.h"
#include "minuano/nf4.h"

enum { TOKENS = 12, VOCAB = 160 };

static mn_device *device;

static int open_device(void **state)
{
    (void)state;
    OK(mn_reference_device_open(&device, 1));
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    mn_device_close(&device);
    return 0;
}

static float *floats_of(const mn_tensors *tensors, const char *name)
{
    const struct mn_tensor *tensor = mn_tensors_find(tensors, name);
    if (!tensor) fail_msg("no tensor %s", name);
    float *out = malloc((size_t)tensor->count * sizeof *out);
    mn_to_floats(out, tensor->data, tensor->type, tensor->count);
    return out;
}

/* On the reference a device pointer is a host pointer, and an activation an fp32. */
static void test_double_quantization_matches_bitsandbytes(void **state)
{
    mn_tensors *tensors = NULL;
    const struct mn_tensor *weight;
    (void)state;
    OK(mn_tensors_open(&tensors, test_fixture("model/nf4.safetensors")));
    weight = mn_tensors_find(tensors, "weight");
    assert_non_null(weight);
    const int64_t count = weight->count, blocks = count / 64;
    float *values = floats_of(tensors, "weight"), *absmax = floats_of(tensors, "absmax");
    float *twice = floats_of(tensors, "double.absmax"),
          *wanted = floats_of(tensors, "double.values");
    float *found = malloc((size_t)count * sizeof *found);
    float *scales = malloc((size_t)blocks * sizeof *scales);
    uint8_t *codes = malloc((size_t)count / 2);
    OK(device->ops->nf4_quantize(codes, scales, (mn_act *)values, count, device->stream));
    check_close(scales, absmax, (size_t)blocks, 0, "absmax");
    mn_double_quantize(scales, blocks);
    check_close(scales, twice, (size_t)blocks, 1e-7, "absmax in 8 bits");
    assert_memory_not_equal(scales, absmax, (size_t)blocks * sizeof *scales);
    OK(device->ops->nf4_dequantize((mn_act *)found, codes, scales, count, device->stream));
    for (int64_t i = 0; i < count;
         i++) /* the last bit of a scale may flip a value's bf16 rounding */
        assert_true(fabs((double)found[i] - (double)wanted[i]) <=
                    fabs((double)wanted[i]) * (1.0 / 128));
    free(codes);
    free(scales);
    free(found);
    free(wanted);
    free(twice);
    free(absmax);
    free(values);
    mn_tensors_close(&tensors);
}

/* merged: an adapter's folder; NULL: none. */
static void run(float *logits, const struct mn_model_options *options, const char *merged)
{
    static const struct mn_limits limits = {.tokens = TOKENS, .sequences = 1, .logit_rows = 5};
    mn_model *model = NULL;
    mn_context *context = NULL;
    int32_t ids[TOKENS], rows[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        ids[i] = 7 * i % VOCAB;
        rows[i] = i;
    }
    const struct mn_batch batch = {.tokens = TOKENS,
                                   .sequences = 1,
                                   .ids = ids,
                                   .offsets = (const int32_t[]){0, TOKENS},
                                   .logit_rows = TOKENS,
                                   .logit_row = rows};
    OK(mn_model_open(&model, device, test_fixture("model/tiny"), options));
    if (merged) OK(mn_model_merge(model, merged));
    OK(mn_context_open(&context, model, &limits));
    OK(mn_forward(context, NULL, &batch));
    OK(mn_logits(context, logits));
    mn_context_close(&context);
    mn_model_close(&model);
}

static void test_packed_weights_compute_what_expanded_ones_do(void **state)
{
    static float dense[TOKENS * VOCAB], expanded[TOKENS * VOCAB], packed[TOKENS * VOCAB];
    (void)state;
    run(dense, NULL, NULL);
    for (int q = MN_QUANTIZE_NF4; q <= MN_QUANTIZE_NF4_DOUBLE; q++) {
        run(expanded, &(struct mn_model_options){(enum mn_quantization)q, false}, NULL);
        run(packed, &(struct mn_model_options){(enum mn_quantization)q, true}, NULL);
        assert_memory_equal(packed, expanded, sizeof packed);
        assert_memory_not_equal(expanded, dense, sizeof dense);
    }
}

/* W + s·B·A of q_proj in layer 0, from the adapter's file, in fp64. */
static void add_update(double *weight, int out, int in)
{
    mn_tensors *tensors = NULL;
    struct mn_lora_config config;
    OK(mn_tensors_open(&tensors, test_fixture("model/adapters/all/adapter_model.safetensors")));
    OK(mn_adapter_config_read(&config, test_fixture("model/adapters/all")));
    float *a = floats_of(tensors, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
    float *b = floats_of(tensors, "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight");
    const double scale = config.alpha / sqrt(config.rank); /* the fixture is rsLoRA's */
    assert_true(config.rslora);
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++)
            for (int r = 0; r < config.rank; r++)
                weight[o * in + i] +=
                    scale * (double)b[o * config.rank + r] * (double)a[r * in + i];
    free(a);
    free(b);
    mn_tensors_close(&tensors);
}

/* By search for the nearest of the 16 values; what lies between two within rounding may be either.
 */
static void check_nf4(const float *found, const double *sum, int64_t count)
{
    static const float code[] = {MN_NF4_CODES};
    for (int64_t begin = 0; begin < count; begin += 64) {
        double top = 0;
        for (int i = 0; i < 64; i++) top = fmax(top, fabs(sum[begin + i]));
        for (int i = 0; i < 64; i++) {
            double nearest = INFINITY, distance = fabs((double)found[begin + i] - sum[begin + i]);
            for (int c = 0; c < 16; c++)
                nearest = fmin(nearest, fabs((double)code[c] * top - sum[begin + i]));
            assert_true(distance <= nearest + top * (1.0 / 256)); /* bf16 */
        }
    }
}

/* The sum of the weights as they are held, and its quantization, element by element; the rest of
 * the model is left alone, and loading it again brings all of it back. */
static void test_an_adapter_is_merged_into_the_weights_as_they_are_held(void **state)
{
    (void)state;
    for (int q = MN_QUANTIZE_NONE; q <= MN_QUANTIZE_NF4; q++) {
        const struct mn_model_options options = {.quantization = (enum mn_quantization)q};
        mn_model *model = NULL;
        OK(mn_model_open(&model, device, test_fixture("model/tiny"), &options));
        const int in = model->config.hidden, out = model->config.heads * model->config.head_dim;
        const float *weight = (const float *)model->layer[0].qkv.dense;
        double *sum = malloc((size_t)(out * in) * sizeof *sum);
        float *before = malloc((size_t)(out * in) * sizeof *before);
        memcpy(before, weight, (size_t)(out * in) * sizeof *before);
        float norm = *(const float *)model->final_norm;
        for (int i = 0; i < out * in; i++) sum[i] = (double)weight[i];
        add_update(sum, out, in);
        OK(mn_model_merge(model, test_fixture("model/adapters/all")));
        if (q == MN_QUANTIZE_NF4) check_nf4(weight, sum, (int64_t)out * in);
        for (int i = 0; q == MN_QUANTIZE_NONE && i < out * in; i++)
            assert_true(fabs((double)weight[i] - sum[i]) <= 1e-6);
        assert_true(norm == *(const float *)model->final_norm);
        assert_memory_not_equal(weight, before, (size_t)(out * in) * sizeof *before);
        OK(mn_model_reload(model));
        assert_memory_equal(weight, before, (size_t)(out * in) * sizeof *before);
        free(before);
        free(sum);
        mn_model_close(&model);
    }
}

static void test_packed_weights_are_merged_as_expanded_ones(void **state)
{
    static float expanded[TOKENS * VOCAB], packed[TOKENS * VOCAB], plain[TOKENS * VOCAB];
    const char *adapter = test_fixture("model/adapters/all");
    (void)state;
    for (int q = MN_QUANTIZE_NF4; q <= MN_QUANTIZE_NF4_DOUBLE; q++) {
        const struct mn_model_options dense = {(enum mn_quantization)q, false},
                                      codes = {(enum mn_quantization)q, true};
        run(plain, &dense, NULL);
        run(expanded, &dense, adapter);
        run(packed, &codes, adapter);
        assert_memory_equal(packed, expanded, sizeof packed);
        assert_memory_not_equal(expanded, plain, sizeof plain);
    }
}

static void test_matrices_that_do_not_fill_blocks_are_refused(void **state)
{
    static const struct mn_model_config odd = {.hidden = 6,
                                               .layers = 1,
                                               .heads = 1,
                                               .kv_heads = 1,
                                               .head_dim = 6,
                                               .ff = 10,
                                               .vocab = 5,
                                               .max_positions = 8,
                                               .rope_theta = 1e4,
                                               .rms_eps = 1e-5};
    mn_model *model = NULL;
    (void)state;
    FAILS(mn_model_random(&model, device, &odd, 1,
                          &(struct mn_model_options){MN_QUANTIZE_NF4, false}),
          MN_UNSUPPORTED, "q_proj has 6 x 6 elements");
}

/* Against the definition of the formats, bit by bit. */
static void test_halves_round_to_nearest_even(void **state)
{
    static const struct {
        float value;
        uint16_t half, bfloat;
    } cases[] = {{0.0f, 0x0000, 0x0000},           {-2.0f, 0xc000, 0xc000},
                 {1.0f, 0x3c00, 0x3f80},           {65504.0f, 0x7bff, 0x4780},
                 {65520.0f, 0x7c00, 0x4780},       {5.9604645e-8f, 0x0001, 0x3380},
                 {2.9802322e-8f, 0x0000, 0x3300},  {6.1035156e-5f, 0x0400, 0x3880},
                 {1.00048828125f, 0x3c00, 0x3f80}, {1.00146484375f, 0x3c02, 0x3f80},
                 {1.00390625f, 0x3c04, 0x3f80},    {1.01171875f, 0x3c0c, 0x3f82},
                 {INFINITY, 0x7c00, 0x7f80}};
    (void)state;
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        uint16_t half, bfloat;
        mn_from_floats(&half, MN_F16, &cases[i].value, 1);
        mn_from_floats(&bfloat, MN_BF16, &cases[i].value, 1);
        assert_int_equal(half, cases[i].half);
        assert_int_equal(bfloat, cases[i].bfloat);
    }
    for (uint32_t word = 0; word < 65536; word++) { /* every half survives the way there and back */
        uint16_t in = (uint16_t)word, out;
        float value;
        mn_to_floats(&value, &in, MN_F16, 1);
        if (isnan(value)) continue;
        mn_from_floats(&out, MN_F16, &value, 1);
        assert_int_equal(out, in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double_quantization_matches_bitsandbytes),
        cmocka_unit_test(test_packed_weights_compute_what_expanded_ones_do),
        cmocka_unit_test(test_an_adapter_is_merged_into_the_weights_as_they_are_held),
        cmocka_unit_test(test_packed_weights_are_merged_as_expanded_ones),
        cmocka_unit_test(test_matrices_that_do_not_fill_blocks_are_refused),
        cmocka_unit_test(test_halves_round_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
