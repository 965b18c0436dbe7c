/* NF4 against golden codes (tests/oracle/ops.py). */
#include "support/pair.h"

#include <math.h>

static struct span *acts_from(struct pair *p, const json_t *array)
{
    int64_t count = (int64_t)json_array_size(array);
    double *values = new_values(p, count);
    for (int64_t i = 0; i < count; i++)
        values[i] = json_number_value(json_array_get(array, (size_t)i));
    return acts_of(p, values, count);
}

static double *numbers(struct pair *p, const json_t *array)
{
    double *values = new_values(p, (int64_t)json_array_size(array));
    for (size_t i = 0; i < json_array_size(array); i++)
        values[i] = json_number_value(json_array_get(array, i));
    return values;
}

static void test_nf4_codes_and_values_are_the_golden_ones(void **state)
{
    struct pair *p = *state;
    json_t *golden;
    OK(mn_json_load(&golden, test_fixture("ops/nf4.json")));
    struct span *x = acts_from(p, json_object_get(golden, "x"));
    struct span *codes = poisoned(p, SPAN_BYTE, x->count / 2);
    struct span *absmax = poisoned_f32(p, x->count / 64), *back = poisoned_acts(p, x->count);
    assert_int_equal(x->count, 6 * 64);
    ON_BOTH(p, d)
    {
        OK(d->ops->nf4_quantize(on(d, codes), on(d, absmax), acts(d, x), x->count, d->stream));
        OK(d->ops->nf4_dequantize(acts(d, back), on(d, codes), on(d, absmax), x->count, d->stream));
    }
    check_values(p, codes, numbers(p, json_object_get(golden, "codes")), 0);
    check_values(p, absmax, numbers(p, json_object_get(golden, "absmax")), 0);
    check_values(p, back, numbers(p, json_object_get(golden, "values")), 0);
    check_pair_equal(p, codes);
    check_pair_equal(p, absmax);
    check_pair_equal(p, back);
    json_decref(golden);
}

/* What was expanded is packed into the same codes again: the code book is a fixed point. */
static void test_nf4_round_trip_keeps_codes(void **state)
{
    struct pair *p = *state;
    int64_t count = 64 * 50;
    struct span *x = random_acts(p, count, 0.02f), *value = poisoned_acts(p, count);
    struct span *codes[2], *absmax[2];
    for (int i = 0; i < 2; i++) {
        codes[i] = poisoned(p, SPAN_BYTE, count / 2);
        absmax[i] = poisoned_f32(p, count / 64);
    }
    ON_BOTH(p, d)
    {
        OK(d->ops->nf4_quantize(on(d, codes[0]), on(d, absmax[0]), acts(d, x), count, d->stream));
        OK(d->ops->nf4_dequantize(acts(d, value), on(d, codes[0]), on(d, absmax[0]), count,
                                  d->stream));
        OK(d->ops->nf4_quantize(on(d, codes[1]), on(d, absmax[1]), acts(d, value), count,
                                d->stream));
        const double *before = values_of(x), *after = read_back(p, d, value);
        const double *scale = read_back(p, d, absmax[0]);
        for (int64_t i = 0; i < count; i++) { /* the widest gap of the book is 0.304 */
            if (!(fabs(after[i] - before[i]) <= 0.155 * scale[i / 64]))
                fail_msg("%s: %g became %g", d->name, before[i], after[i]);
        }
    }
    check_same_bits(p, codes[0], codes[1]);
    check_same_bits(p, absmax[0], absmax[1]);
    check_pair_equal(p, codes[0]);
    check_pair_equal(p, value);
}

static void test_nf4_refuses_a_part_of_a_block(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        FAILS(d->ops->nf4_quantize(NULL, NULL, NULL, 65, d->stream), MN_INVALID,
              "nf4_quantize: count: expected a multiple of 64, found 65");
        OK(d->ops->nf4_dequantize(NULL, NULL, NULL, 0, d->stream));
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_nf4_codes_and_values_are_the_golden_ones),
    PAIR_TEST(test_nf4_round_trip_keeps_codes),
    PAIR_TEST(test_nf4_refuses_a_part_of_a_block),
};
PAIR_MAIN(tests)
