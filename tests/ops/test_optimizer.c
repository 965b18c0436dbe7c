/* AdamW against torch (tests/oracle/ops.py), and the sum of squares that clips it. */
#include "support/pair.h"

#include <math.h>

static double *numbers(struct pair *p, const json_t *object, const char *key)
{
    const json_t *array = json_object_get(object, key);
    double *values = new_values(p, (int64_t)json_array_size(array));
    for (size_t i = 0; i < json_array_size(array); i++)
        values[i] = json_number_value(json_array_get(array, i));
    return values;
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void test_adamw_follows_torch(void **state)
{
    struct pair *p = *state;
    json_t *golden;
    OK(mn_json_load(&golden, test_fixture("ops/adamw.json")));
    int64_t count = (int64_t)json_array_size(json_object_get(golden, "start"));
    struct span *master = in_place(f32_of(p, numbers(p, golden, "start"), count));
    struct span *m = in_place(f32_of(p, new_values(p, count), count));
    struct span *v = in_place(f32_of(p, new_values(p, count), count));
    struct span *shadow = poisoned_acts(p, count), *squares = poisoned(p, SPAN_F64, 1);
    const json_t *steps = json_object_get(golden, "steps");
    assert_int_equal(json_array_size(steps), 5);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *step = json_array_get(steps, i);
        struct span *gradient = f32_of(p, numbers(p, step, "gradient"), count);
        ON_BOTH(p, d)
        {
            void *room = workspace(p, d, d->ops->sum_squares_workspace(count));
            OK(d->ops->sum_squares(on(d, squares), on(d, gradient), count, room, d->stream));
            struct mn_adamw args = {.master = on(d, master),
                                    .m = on(d, m),
                                    .v = on(d, v),
                                    .shadow = acts(d, shadow),
                                    .gradient = on(d, gradient),
                                    .grad_squares = on(d, squares),
                                    .count = count,
                                    .lr = (float)number(step, "lr"),
                                    .beta1 = 0.9f,
                                    .beta2 = 0.999f,
                                    .epsilon = 1e-8f,
                                    .weight_decay = (float)number(golden, "weight_decay"),
                                    .max_norm = (float)number(golden, "max_norm"),
                                    .step = (int64_t)i + 1};
            OK(d->ops->adamw(&args, d->stream));
        }
        check_values(p, master, numbers(p, step, "p"), 1e-6);
        check_values(p, m, numbers(p, step, "m"), 1e-7);
        check_values(p, v, numbers(p, step, "v"), 1e-8);
        check_values(p, shadow, numbers(p, step, "p"), 1e-6);
        check_pair(p, master, 1e-6);
        check_pair(p, m, 1e-6);
        check_pair(p, v, 1e-6);
        check_pair_ulps(p, shadow, 1);
    }
    json_decref(golden);
}

/* Without clipping the gradient's scale cancels: the first step is lr · sign(gradient). */
static void test_adamw_first_step_is_the_rate(void **state)
{
    struct pair *p = *state;
    const double zeros[4] = {0}, gradient[4] = {1e3, -1e3, 20, -7};
    const double expected[4] = {-0.01, 0.01, -0.01, 0.01};
    struct span *master = in_place(f32_of(p, zeros, 4)), *m = in_place(f32_of(p, zeros, 4));
    struct span *v = in_place(f32_of(p, zeros, 4)), *g = f32_of(p, gradient, 4);
    struct span *shadow = poisoned_acts(p, 4);
    ON_BOTH(p, d)
    {
        struct mn_adamw args = {.master = on(d, master),
                                .m = on(d, m),
                                .v = on(d, v),
                                .shadow = acts(d, shadow),
                                .gradient = on(d, g),
                                .count = 4,
                                .lr = 0.01f,
                                .beta1 = 0.9f,
                                .beta2 = 0.999f,
                                .epsilon = 1e-8f,
                                .step = 1};
        OK(d->ops->adamw(&args, d->stream));
    }
    check_values(p, master, expected, 1e-7);
    check_pair(p, master, 1e-6);
}

static void test_sum_squares_is_exact_beyond_one_chunk(void **state)
{
    struct pair *p = *state;
    static const int64_t counts[] = {0, 1, 31, 4097, 16384, 100001};
    for (size_t i = 0; i < MN_COUNT(counts); i++) {
        struct span *x = random_f32(p, counts[i], 2), *out = poisoned(p, SPAN_F64, 1);
        double expected = 0;
        for (int64_t j = 0; j < counts[i]; j++) expected += values_of(x)[j] * values_of(x)[j];
        ON_BOTH(p, d)
        {
            void *room = workspace(p, d, d->ops->sum_squares_workspace(counts[i]));
            OK(d->ops->sum_squares(on(d, out), on(d, x), counts[i], room, d->stream));
        }
        check_values(p, out, &expected, 1e-12);
        check_pair(p, out, 1e-12);
        pair_after(state);
    }
}

static void test_adamw_refuses_step_zero(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        struct mn_adamw args = {.count = 1, .step = 0};
        FAILS(d->ops->adamw(&args, d->stream), MN_INVALID,
              "adamw: step: expected at least 1, found 0");
        args = (struct mn_adamw){.count = 1, .step = 1, .max_norm = 1};
        FAILS(d->ops->adamw(&args, d->stream), MN_INVALID, "adamw: grad_squares");
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_adamw_follows_torch),
    PAIR_TEST(test_adamw_first_step_is_the_rate),
    PAIR_TEST(test_sum_squares_is_exact_beyond_one_chunk),
    PAIR_TEST(test_adamw_refuses_step_zero),
};
PAIR_MAIN(tests)
