/* fp16, bf16 and fp32 to activations and back, against torch's bits (tests/oracle/ops.py). */
#include "support/pair.h"

#include <math.h>

/* Bits of every finite and infinite 16-bit number go in and come out unchanged. */
static void round_trip(struct pair *p, enum mn_dtype type, unsigned infinity)
{
    uint16_t bits[2 * 0x7F81];
    int count = 0;
    for (unsigned b = 0; b <= infinity; b++) {
        bits[count++] = (uint16_t)b;
        bits[count++] = (uint16_t)(b | 0x8000u);
    }
    struct span *in = bytes_of(p, bits, count * 2), *out = poisoned(p, SPAN_BYTE, count * 2);
    struct span *x = poisoned_acts(p, count);
    mn_device *d = p->device[MN_DEVICE_REFERENCE]; /* bf16 activations cannot hold all of fp16 */
    OK(d->ops->load_convert(acts(d, x), on(d, in), type, count, d->stream));
    OK(d->ops->store_convert(on(d, out), type, acts(d, x), count, d->stream));
    check_values(p, out, values_of(in), 0);
}

static void test_convert_keeps_every_16_bit_number(void **state)
{
    round_trip(*state, MN_F16, 0x7C00);
    round_trip(*state, MN_BF16, 0x7F80);
}

static void test_store_convert_rounds_as_torch(void **state)
{
    struct pair *p = *state;
    json_t *golden;
    OK(mn_json_load(&golden, test_fixture("ops/half.json")));
    const json_t *x = json_object_get(golden, "x");
    int count = (int)json_array_size(x);
    float *value = MN_NEW(p->arena, float, count);
    for (int i = 0; i < count; i++)
        value[i] = strtof(json_string_value(json_array_get(x, (size_t)i)), NULL);
    mn_device *d = p->device[MN_DEVICE_REFERENCE];
    static const struct {
        enum mn_dtype type;
        const char *key;
    } half[] = {{MN_F16, "f16"}, {MN_BF16, "bf16"}};
    assert_true(count > 20);
    for (size_t h = 0; h < MN_COUNT(half); h++) {
        uint16_t *found = MN_NEW(p->arena, uint16_t, count);
        OK(d->ops->store_convert(found, half[h].type, (mn_act *)(void *)value, count, d->stream));
        for (int i = 0; i < count; i++) {
            const json_t *expected =
                json_array_get(json_object_get(golden, half[h].key), (size_t)i);
            if (found[i] != json_integer_value(expected))
                fail_msg("%s of %a: found %04x, expected %04x", half[h].key, (double)value[i],
                         found[i], (unsigned)json_integer_value(expected));
        }
    }
    json_decref(golden);
}

static void test_convert_keeps_nan(void **state)
{
    struct pair *p = *state;
    static const enum mn_dtype types[] = {MN_F32, MN_F16, MN_BF16};
    float nan = NAN;
    mn_device *d = p->device[MN_DEVICE_REFERENCE];
    for (size_t i = 0; i < MN_COUNT(types); i++) {
        float stored = 0, back = 0;
        OK(d->ops->store_convert(&stored, types[i], (mn_act *)(void *)&nan, 1, d->stream));
        OK(d->ops->load_convert((mn_act *)(void *)&back, &stored, types[i], 1, d->stream));
        assert_true(isnan(back));
    }
}

static void test_convert_agrees_on_both_devices(void **state)
{
    struct pair *p = *state;
    static const enum mn_dtype types[] = {MN_F32, MN_BF16, MN_F16};
    for (size_t i = 0; i < MN_COUNT(types); i++) {
        int64_t count = 1003, size = types[i] == MN_F32 ? 4 : 2;
        struct span *x = random_acts(p, count, 1), *bytes = poisoned(p, SPAN_BYTE, count * size);
        struct span *back = poisoned_acts(p, count);
        ON_BOTH(p, d)
        {
            OK(d->ops->store_convert(on(d, bytes), types[i], acts(d, x), count, d->stream));
            OK(d->ops->load_convert(acts(d, back), on(d, bytes), types[i], count, d->stream));
        }
        check_values(p, back, values_of(x), types[i] == MN_F16 ? 1e-7 : 0);
        check_pair_equal(p, bytes);
        check_pair_equal(p, back);
    }
}

static void test_convert_refuses_another_type(void **state)
{
    struct pair *p = *state;
    mn_device *d = p->device[MN_DEVICE_REFERENCE];
    FAILS(d->ops->load_convert(NULL, NULL, (enum mn_dtype)3, 1, d->stream), MN_INVALID,
          "load_convert: expected type fp32, fp16 or bf16, found 3");
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_convert_keeps_every_16_bit_number),
    PAIR_TEST(test_store_convert_rounds_as_torch),
    PAIR_TEST(test_convert_keeps_nan),
    PAIR_TEST(test_convert_agrees_on_both_devices),
    PAIR_TEST(test_convert_refuses_another_type),
};
PAIR_MAIN(tests)
