/* SwiGLU against fp64 and its numeric gradient. */
#include "support/pair.h"

#include <math.h>

static const struct {
    int rows, dim;
} shapes[] = {{1, 1}, {3, 31}, {4, 256}, {17, 1032}};

static double swiglu(double gate, double up)
{
    return gate / (1 + exp(-gate)) * up;
}

struct point {
    double gate, up;
};

static double loss(const void *context)
{
    const struct point *at = context;
    return swiglu(at->gate, at->up);
}

static void test_swiglu_forward_matches_reference(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        int rows = shapes[i].rows, dim = shapes[i].dim;
        struct span *x = random_acts(p, (int64_t)rows * 2 * dim, 4);
        struct span *y = poisoned_acts(p, (int64_t)rows * dim);
        ON_BOTH(p, d) OK(d->ops->swiglu_forward(acts(d, y), acts(d, x), rows, dim, d->stream));
        double *expected = new_values(p, (int64_t)rows * dim);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < dim; c++)
                expected[r * dim + c] =
                    swiglu(values_of(x)[r * 2 * dim + c], values_of(x)[r * 2 * dim + dim + c]);
        check_values(p, y, expected, 1e-6);
        check_pair(p, y, 0.008); /* one rounding to bf16: 2^-8, and the exponential's own error */
    }
}

static void test_swiglu_forward_holds_at_the_ends(void **state)
{
    struct pair *p = *state;
    const double ends[] = {-1e4, 1e4, -90, 90, 2, 2, 2, 2};
    const double expected[] = {0, 2e4, 0, 180};
    struct span *x = acts_of(p, ends, 8), *y = poisoned_acts(p, 4);
    ON_BOTH(p, d) OK(d->ops->swiglu_forward(acts(d, y), acts(d, x), 1, 4, d->stream));
    double *rounded = new_values(p, 4);
    for (int i = 0; i < 4; i++) rounded[i] = swiglu(round_to_bf16(ends[i]), 2);
    for (int i = 0; i < 4; i++)
        assert_true(fabs(rounded[i] - expected[i]) <= 1e-30 + 0.01 * expected[i]);
    check_values(p, y, rounded, 1e-6);
    check_pair(p, y, 0.008);
}

static void swiglu_backward(struct pair *p, int rows, int dim, bool same_array)
{
    struct span *x = random_acts(p, (int64_t)rows * 2 * dim, 3);
    struct span *dout = random_acts(p, (int64_t)rows * dim, 1);
    struct span *dx = same_array ? in_place(x) : poisoned_acts(p, (int64_t)rows * 2 * dim);
    ON_BOTH(p, d)
    OK(d->ops->swiglu_backward(acts(d, dx), acts(d, dout), acts(d, x), rows, dim, d->stream));
    double *expected = new_values(p, (int64_t)rows * 2 * dim);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < dim; c++) {
            int gate = r * 2 * dim + c, up = gate + dim;
            struct point at = {values_of(x)[gate], values_of(x)[up]};
            double g = values_of(dout)[r * dim + c];
            expected[gate] = g * numeric_gradient(loss, &at, &at.gate);
            expected[up] = g * numeric_gradient(loss, &at, &at.up);
        }
    check_values(p, dx, expected, 2e-6);
    check_pair(p, dx, 0.01);
}

static void test_swiglu_backward_is_the_numeric_gradient(void **state)
{
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        swiglu_backward(*state, shapes[i].rows, shapes[i].dim, false);
        swiglu_backward(*state, shapes[i].rows, shapes[i].dim, true);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_swiglu_forward_matches_reference),
    PAIR_TEST(test_swiglu_forward_holds_at_the_ends),
    PAIR_TEST(test_swiglu_backward_is_the_numeric_gradient),
};
PAIR_MAIN(tests)
