/* test_fit.c: a model that cannot fit is refused before it is loaded, and NF4 weights stay packed
 * where only that fits. */
#include "support/support.h"

#include <string.h>

#include "minuano/model.h"

static const struct mn_model_config config = {.hidden = 256,
                                              .layers = 4,
                                              .heads = 4,
                                              .kv_heads = 2,
                                              .head_dim = 64,
                                              .ff = 512,
                                              .vocab = 64,
                                              .max_positions = 128,
                                              .rope_theta = 1e6,
                                              .rms_eps = 1e-5};
enum { BESIDE = 1000 };
static mn_device *reference;
static size_t free_now;

static mn_status memory(mn_device *device, size_t *free_bytes, size_t *total_bytes)
{
    (void)device;
    *free_bytes = free_now;
    *total_bytes = free_now;
    return MN_OK;
}

static int open_device(void **state)
{
    (void)state;
    OK(mn_reference_device_open(&reference, 1));
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    mn_device_close(&reference);
    return 0;
}

/* Asks a device with so many bytes free. */
static mn_status fit(size_t bytes, struct mn_model_options *options)
{
    struct mn_device_calls calls = *reference->calls;
    mn_device small = *reference;
    calls.memory = memory;
    small.calls = &calls;
    free_now = bytes;
    return mn_model_fit(&small, &config, options, BESIDE);
}

static size_t bytes_of(enum mn_quantization quantization, bool keep_packed)
{
    const struct mn_model_options options = {quantization, keep_packed};
    return mn_model_bytes(reference, &config, &options);
}

static void test_nf4_is_expanded_where_it_fits_and_packed_where_it_must(void **state)
{
    (void)state;
    const size_t expanded = bytes_of(MN_QUANTIZE_NF4, false), packed = bytes_of(MN_QUANTIZE_NF4, 1);
    assert_true(packed < expanded);
    struct mn_model_options options = {MN_QUANTIZE_NF4, false};
    OK(fit(expanded + BESIDE, &options));
    assert_false(options.keep_packed);
    OK(fit(expanded + BESIDE - 1, &options));
    assert_true(options.keep_packed);
    options.keep_packed = false;
    OK(fit(packed + BESIDE, &options));
    assert_true(options.keep_packed);
    assert_int_equal(options.quantization, MN_QUANTIZE_NF4);
}

static void test_what_does_not_fit_is_refused_with_its_sizes(void **state)
{
    (void)state;
    struct mn_model_options options = {MN_QUANTIZE_NF4, false};
    assert_int_equal(fit(bytes_of(MN_QUANTIZE_NF4, true) + BESIDE - 1, &options), MN_NO_MEMORY);
    assert_false(options.keep_packed); /* written on success only */
    options.quantization = MN_QUANTIZE_NONE;
    assert_int_equal(fit(bytes_of(MN_QUANTIZE_NONE, false), &options), MN_NO_MEMORY);
    assert_non_null(strstr(mn_error(), "GB are free"));
    OK(fit(bytes_of(MN_QUANTIZE_NONE, false) + BESIDE, &options));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nf4_is_expanded_where_it_fits_and_packed_where_it_must),
        cmocka_unit_test(test_what_does_not_fit_is_refused_with_its_sizes),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
