/* test_quantization.c: NF4 as bitsandbytes computes it, double quantization included; packed
 * weights compute what expanded ones do. */
#include "support/support.h"

#include <math.h>

#include "../../host/model/internal.h"

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

static void run(float *logits, const struct mn_model_options *options)
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
    run(dense, NULL);
    for (int q = MN_QUANTIZE_NF4; q <= MN_QUANTIZE_NF4_DOUBLE; q++) {
        run(expanded, &(struct mn_model_options){(enum mn_quantization)q, false});
        run(packed, &(struct mn_model_options){(enum mn_quantization)q, true});
        assert_memory_equal(packed, expanded, sizeof packed);
        assert_memory_not_equal(expanded, dense, sizeof dense);
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
        cmocka_unit_test(test_matrices_that_do_not_fill_blocks_are_refused),
        cmocka_unit_test(test_halves_round_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
