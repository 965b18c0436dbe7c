/* Rotary embedding against complex multiplication in fp64. */
#include "support/pair.h"

#include <math.h>

enum { POSITIONS = 50 };

static double angle(int position, int i, int head_dim)
{
    return position * pow(1e4, -2.0 * i / head_dim);
}

static struct span *cos_sin_table(struct pair *p, int head_dim)
{
    double *table = new_values(p, (int64_t)POSITIONS * head_dim);
    for (int t = 0; t < POSITIONS; t++)
        for (int i = 0; i < head_dim / 2; i++) {
            table[t * head_dim + i] = cos(angle(t, i, head_dim));
            table[t * head_dim + head_dim / 2 + i] = sin(angle(t, i, head_dim));
        }
    return f32_of(p, table, (int64_t)POSITIONS * head_dim);
}

static const struct {
    int rows, heads, head_dim;
    int64_t ldx;
} shapes[] = {{1, 1, 2, 2}, {7, 3, 64, 3 * 64 + 64}, {33, 6, 128, 8 * 128}};

static const int32_t positions[33] = {0,  1, 2,  49, 7,  7,  30, 0,  1,  2,  3,  4,  5, 6, 7, 8, 9,
                                      10, 0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 1, 2, 3, 4};

static void rotate(struct pair *p, struct span *x, struct span *table, struct span *at, size_t i,
                   int direction)
{
    ON_BOTH(p, d)
    OK(d->ops->rope(acts(d, x), on(d, table), on(d, at), shapes[i].rows, shapes[i].heads,
                    shapes[i].head_dim, shapes[i].ldx, direction, d->stream));
}

static void test_rope_forward_turns_pairs_by_their_position(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        int head_dim = shapes[i].head_dim, half = head_dim / 2;
        int64_t count = shapes[i].rows * shapes[i].ldx;
        struct span *x = in_place(random_acts(p, count, 2)), *table = cos_sin_table(p, head_dim);
        struct span *at = i32_of(p, positions, shapes[i].rows);
        rotate(p, x, table, at, i, 1);
        double *expected = new_values(p, count);
        memcpy(expected, values_of(x),
               (size_t)count * sizeof *expected); /* what lies beyond stays */
        for (int r = 0; r < shapes[i].rows; r++)
            for (int j = 0; j < shapes[i].heads * half; j++) {
                int64_t low = r * shapes[i].ldx + j / half * head_dim + j % half;
                double a = values_of(x)[low], b = values_of(x)[low + half];
                double turn = angle(positions[r], j % half, head_dim);
                expected[low] = a * cos(turn) - b * sin(turn);
                expected[low + half] = a * sin(turn) + b * cos(turn);
            }
        check_values(p, x, expected, 1e-6);
        check_pair(p, x, 0.01);
    }
}

/* The rotation is orthogonal: its transpose, the gradient, is its inverse. */
static void test_rope_backward_undoes_forward(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        int64_t count = shapes[i].rows * shapes[i].ldx;
        struct span *x = in_place(random_acts(p, count, 2));
        struct span *table = cos_sin_table(p, shapes[i].head_dim);
        struct span *at = i32_of(p, positions, shapes[i].rows);
        rotate(p, x, table, at, i, 1);
        rotate(p, x, table, at, i, -1);
        check_values(p, x, values_of(x), 1e-6);
        check_pair(p, x, 0.02);
    }
}

static void test_rope_refuses_another_direction(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        FAILS(d->ops->rope(NULL, NULL, NULL, 1, 1, 64, 64, 0, d->stream), MN_INVALID,
              "rope: direction: expected 1 or -1, found 0");
        FAILS(d->ops->rope(NULL, NULL, NULL, 1, 1, 63, 64, 1, d->stream), MN_INVALID,
              "rope: head_dim");
        FAILS(d->ops->rope(NULL, NULL, NULL, 1, 2, 64, 127, 1, d->stream), MN_INVALID,
              "expected at least 128, found 127");
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_rope_forward_turns_pairs_by_their_position),
    PAIR_TEST(test_rope_backward_undoes_forward),
    PAIR_TEST(test_rope_refuses_another_direction),
};
PAIR_MAIN(tests)
