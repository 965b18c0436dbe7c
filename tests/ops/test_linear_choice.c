/* The choice of a matrix product's algorithm on CUDA: a function of the shape's class, whichever
 * of its members comes first, so that a resumed run has the bits of an uninterrupted one. */
#include "support/pair.h"

enum { MEMBERS = 10, MOST = 768 };

/* Row counts in ascending order: two of each class, the first as far from the second as it can. */
static const int members[MEMBERS] = {33, 40, 65, 72, 249, 256, 257, 384, 513, MOST};

static const struct {
    int in, out;
} shapes[] = {{4096, 1024}, {8192, 256}, {320, 4096}};

/* A device that has remembered nothing. */
static mn_device *fresh_device(void)
{
    mn_device *d = NULL;
#ifdef MN_WITH_CUDA
    OK(mn_cuda_device_open(&d, 0));
#endif
    return d;
}

/* y = x·wᵀ and dx = dy·w of each member, in ascending or descending order. */
static void multiply_all(struct span *const *y, struct span *const *dx, const struct span *x,
                         const struct span *dy, const struct span *w, int in, int out,
                         bool ascending)
{
    mn_device *d = fresh_device();
    for (int i = 0; i < MEMBERS; i++) {
        const int m = ascending ? i : MEMBERS - 1 - i;
        const struct mn_weight weight = {.out = out, .in = in, .dense = acts(d, w)};
        const struct mn_linear_forward forward = {.y = acts(d, y[m]),
                                                  .x = acts(d, x),
                                                  .weight = weight,
                                                  .rows = members[m],
                                                  .ldx = in,
                                                  .ldy = out};
        const struct mn_linear_backward backward = {.dx = acts(d, dx[m]),
                                                    .dy = acts(d, dy),
                                                    .weight = weight,
                                                    .rows = members[m],
                                                    .ldy = out};
        OK(d->ops->linear_forward(&forward, d->stream));
        OK(d->ops->linear_backward(&backward, d->stream));
    }
    OK(d->calls->synchronize(d));
    mn_device_close(&d);
}

static void test_linear_does_not_depend_on_which_rows_came_first(void **state)
{
    struct pair *p = *state;
    if (!p->device[MN_DEVICE_CUDA]) SKIP("no GPU");
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        const int in = shapes[i].in, out = shapes[i].out;
        struct span *x = random_acts(p, (int64_t)MOST * in, 1);
        struct span *dy = random_acts(p, (int64_t)MOST * out, 1);
        struct span *w = random_acts(p, (int64_t)out * in, 0.1f);
        struct span *y[2][MEMBERS], *dx[2][MEMBERS];
        for (int order = 0; order < 2; order++) {
            for (int m = 0; m < MEMBERS; m++) {
                y[order][m] = poisoned_acts(p, (int64_t)members[m] * out);
                dx[order][m] = poisoned_acts(p, (int64_t)members[m] * in);
            }
            multiply_all(y[order], dx[order], x, dy, w, in, out, order == 0);
        }
        for (int m = 0; m < MEMBERS; m++) {
            check_same_bits(p, y[0][m], y[1][m]);
            check_same_bits(p, dx[0][m], dx[1][m]);
        }
        pair_after(state);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_linear_does_not_depend_on_which_rows_came_first),
};
PAIR_MAIN(tests)
