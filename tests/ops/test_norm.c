/* RMSNorm against a naive fp64 loop and its numeric gradient. */
#include "support/pair.h"

#include <math.h>

static const struct {
    int rows, dim;
    int64_t ldx;
} shapes[] = {{1, 1, 1}, {3, 31, 31}, {2, 257, 260}, {5, 256, 256}, {64, 1024, 1536}};

static const double eps = 1e-5;

/* out may be NULL; returns 1/rms. */
static double naive_row(double *out, const double *x, const double *w, int dim)
{
    double squares = 0;
    for (int i = 0; i < dim; i++) squares += x[i] * x[i];
    double rstd = 1 / sqrt(squares / dim + eps);
    for (int i = 0; out && i < dim; i++) out[i] = w[i] * (x[i] * rstd);
    return rstd;
}

static void test_rmsnorm_forward_matches_reference(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        int rows = shapes[i].rows, dim = shapes[i].dim;
        int64_t ldx = shapes[i].ldx;
        struct span *x = random_acts(p, rows * ldx, 3), *w = random_acts(p, dim, 1);
        struct span *y = poisoned_acts(p, (int64_t)rows * dim), *rstd = poisoned_f32(p, rows);
        struct span *again = poisoned_acts(p, (int64_t)rows * dim);
        ON_BOTH(p, d)
        {
            OK(d->ops->rmsnorm_forward(acts(d, y), on(d, rstd), acts(d, x), acts(d, w), rows, dim,
                                       ldx, (float)eps, d->stream));
            OK(d->ops->rmsnorm_forward(acts(d, again), NULL, acts(d, x), acts(d, w), rows, dim, ldx,
                                       (float)eps, d->stream));
        }
        double *expected = new_values(p, (int64_t)rows * dim), *expected_rstd = new_values(p, rows);
        for (int r = 0; r < rows; r++)
            expected_rstd[r] =
                naive_row(expected + r * dim, values_of(x) + r * ldx, values_of(w), dim);
        check_values(p, y, expected, 1e-6);
        check_values(p, rstd, expected_rstd, 1e-6);
        check_pair(p, rstd, 1e-6);
        check_pair_ulps(p, y, 2); /* a last-bit flip in x/rms can cost two */
        check_same_bits(p, y, again);
    }
}

static void add_and_norm(struct pair *p, int rows, int dim, bool sum_is_x)
{
    int64_t count = (int64_t)rows * dim;
    struct span *x = random_acts(p, count, 2), *y = random_acts(p, count, 2);
    struct span *w = random_acts(p, dim, 1), *rstd = poisoned_f32(p, rows);
    struct span *sum = sum_is_x ? in_place(x) : poisoned_acts(p, count);
    struct span *out = poisoned_acts(p, count);
    ON_BOTH(p, d)
    OK(d->ops->add_rmsnorm_forward(acts(d, out), acts(d, sum), on(d, rstd), acts(d, x), acts(d, y),
                                   acts(d, w), rows, dim, (float)eps, d->stream));
    double *total = new_values(p, count), *expected = new_values(p, count);
    for (int64_t i = 0; i < count; i++) total[i] = values_of(x)[i] + values_of(y)[i];
    for (int r = 0; r < rows; r++)
        naive_row(expected + r * dim, total + r * dim, values_of(w), dim);
    check_values(p, sum, total, 1e-6);
    check_values(p, out, expected, 2e-6);
    check_pair_ulps(p, sum, 1);
    check_pair(p, out, 0.02); /* the norm of a sum that was rounded to bf16, or was not */
}

static void test_add_rmsnorm_forward_matches_reference(void **state)
{
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        add_and_norm(*state, shapes[i].rows, shapes[i].dim, false);
        add_and_norm(*state, shapes[i].rows, shapes[i].dim, true);
    }
}

struct problem {
    int rows, dim;
    double *x;
    const double *w, *dout;
    double *out;
};

static double loss(const void *context)
{
    const struct problem *q = context;
    double sum = 0;
    for (int r = 0; r < q->rows; r++)
        naive_row(q->out + r * q->dim, q->x + r * q->dim, q->w, q->dim);
    for (int i = 0; i < q->rows * q->dim; i++) sum += q->out[i] * q->dout[i];
    return sum;
}

static void test_rmsnorm_backward_is_the_numeric_gradient(void **state)
{
    struct pair *p = *state;
    for (int residual = 0; residual < 3; residual++) { /* none, apart, the same array as dx */
        int rows = 3, dim = 37, count = rows * dim;
        struct span *x = random_acts(p, count, 2), *w = random_acts(p, dim, 1);
        struct span *dout = random_acts(p, count, 1), *rstd = poisoned_f32(p, rows);
        struct span *y = poisoned_acts(p, count);
        struct span *dresidual = residual ? random_acts(p, count, 1) : NULL;
        struct span *dx = residual == 2 ? in_place(dresidual) : poisoned_acts(p, count);
        ON_BOTH(p, d)
        {
            OK(d->ops->rmsnorm_forward(acts(d, y), on(d, rstd), acts(d, x), acts(d, w), rows, dim,
                                       dim, (float)eps, d->stream));
            OK(d->ops->rmsnorm_backward(acts(d, dx), acts(d, dout), acts(d, dresidual), acts(d, x),
                                        on(d, rstd), acts(d, w), rows, dim, d->stream));
        }
        struct problem q = {
            rows, dim, new_values(p, count), values_of(w), values_of(dout), new_values(p, count)};
        memcpy(q.x, values_of(x), (size_t)count * sizeof *q.x);
        double *expected = new_values(p, count);
        for (int i = 0; i < count; i++)
            expected[i] =
                numeric_gradient(loss, &q, &q.x[i]) + (dresidual ? values_of(dresidual)[i] : 0);
        check_values(p, dx, expected, 2e-6);
        check_pair(p, dx, 0.01);
    }
}

static void test_rmsnorm_refuses_a_stride_below_its_width(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        FAILS(d->ops->rmsnorm_forward(NULL, NULL, NULL, NULL, 2, 8, 7, 1e-5f, d->stream),
              MN_INVALID, "rmsnorm_forward: row stride: expected at least 8, found 7");
        OK(d->ops->rmsnorm_forward(NULL, NULL, NULL, NULL, 0, 8, 8, 1e-5f, d->stream));
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_rmsnorm_forward_matches_reference),
    PAIR_TEST(test_add_rmsnorm_forward_matches_reference),
    PAIR_TEST(test_rmsnorm_backward_is_the_numeric_gradient),
    PAIR_TEST(test_rmsnorm_refuses_a_stride_below_its_width),
};
PAIR_MAIN(tests)
