/* The product of few rows (decoding): against the reference, and that on CUDA a row's bits do not
 * depend on its company. */
#include "support/pair.h"

enum { FEW = 32 };

/* Depths of one chunk a warp, of an odd number of stages, and of Mistral-7B; columns of one block
 * and of several, on both sides of where blocks become wider. */
static const struct {
    int in, out, ldx, ldy;
} shapes[] = {
    {256, 64, 256, 64},       {512, 192, 520, 200},
    {768, 128, 768, 131},     {1280, 64, 1280, 64},
    {256, 16384, 256, 16384}, {4096, 1024, 4096, 1024},
    {14336, 64, 14344, 64},   {512, 16448, 512, 16448},
    {320, 64, 320, 64}, /* cuBLAS: no whole chunk */
    {256, 48, 256, 48}, /* cuBLAS: no whole tile */
};

static void multiply(mn_device *d, size_t i, struct span *y, struct span *x, struct span *w,
                     int first, int rows)
{
    const struct mn_linear_forward args = {
        .y = mn_act_at(d, acts(d, y), (int64_t)first * shapes[i].ldy),
        .x = mn_act_at(d, acts(d, x), (int64_t)first * shapes[i].ldx),
        .weight = {.out = shapes[i].out, .in = shapes[i].in, .dense = acts(d, w)},
        .rows = rows,
        .ldx = shapes[i].ldx,
        .ldy = shapes[i].ldy,
    };
    OK(d->ops->linear_forward(&args, d->stream));
}

/* What lies between the rows of y keeps its poison on both devices; the rest agrees. */
static void check_rows(struct pair *p, size_t i, struct span *y, int rows)
{
    mn_device *cuda = p->device[MN_DEVICE_CUDA];
    const double *expected = read_back(p, p->device[MN_DEVICE_REFERENCE], y);
    const double *found = cuda ? read_back(p, cuda, y) : expected;
    double squares = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < shapes[i].out; c++) {
            const double e = expected[(int64_t)r * shapes[i].ldy + c];
            squares += e * e / ((double)rows * shapes[i].out);
        }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < shapes[i].ldy; c++) {
            const double e = expected[(int64_t)r * shapes[i].ldy + c],
                         f = found[(int64_t)r * shapes[i].ldy + c];
            if (c >= shapes[i].out) {
                assert_true(e != e && f != f);
                continue;
            }
            /* One rounding to bf16, and sums in fp32 of up to 14336 products. */
            if (!((e - f) * (e - f) <= 0.006 * 0.006 * (e * e > squares ? e * e : squares)))
                fail_msg("(%d, %d) by %d: row %d, column %d: found %g, expected %g", rows,
                         shapes[i].in, shapes[i].out, r, c, f, e);
        }
}

static void test_few_rows_match_reference(void **state)
{
    struct pair *p = *state;
    static const int rows[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, FEW, FEW + 1};
    for (size_t i = 0; i < MN_COUNT(shapes); i++)
        for (size_t k = 0; k < MN_COUNT(rows); k++) {
            if (rows[k] != 1 && rows[k] != 9 && (int64_t)shapes[i].in * shapes[i].out > 1 << 21)
                continue; /* the reference takes its time */
            struct span *x = random_acts(p, (int64_t)rows[k] * shapes[i].ldx, 1);
            struct span *w = random_acts(p, (int64_t)shapes[i].in * shapes[i].out, 0.1f);
            struct span *y = poisoned_acts(p, (int64_t)rows[k] * shapes[i].ldy);
            ON_BOTH(p, d) multiply(d, i, y, x, w, 0, rows[k]);
            check_rows(p, i, y, rows[k]);
            pair_after(state);
        }
}

static void test_few_rows_have_the_same_bits_in_any_company(void **state)
{
    struct pair *p = *state;
    static const int splits[] = {1, 2, 5, 8, 16}; /* 32 in all */
    for (size_t i = 0; i + 2 < MN_COUNT(shapes); i++) {
        struct span *x = random_acts(p, (int64_t)FEW * shapes[i].ldx, 1);
        struct span *w = random_acts(p, (int64_t)shapes[i].in * shapes[i].out, 0.1f);
        struct span *whole = poisoned_acts(p, (int64_t)FEW * shapes[i].ldy);
        struct span *parts = poisoned_acts(p, (int64_t)FEW * shapes[i].ldy);
        ON_BOTH(p, d)
        {
            multiply(d, i, whole, x, w, 0, FEW);
            for (size_t k = 0, first = 0; k < MN_COUNT(splits); first += (size_t)splits[k++])
                multiply(d, i, parts, x, w, (int)first, splits[k]);
        }
        check_same_bits(p, whole, parts);
        pair_after(state);
    }
}

/* The adapter's share is written first, and the product joins it. */
static void test_few_rows_join_an_adapter(void **state)
{
    struct pair *p = *state;
    enum { IN = 512, OUT = 192, RANK = 16 };
    for (int rows = 1; rows <= FEW; rows += 5) {
        struct span *x = random_acts(p, rows * IN, 1), *w = random_acts(p, IN * OUT, 0.1f);
        struct span *a = random_acts(p, RANK * IN, 0.1f), *b = random_acts(p, 128 * RANK, 0.1f);
        struct span *u = poisoned_acts(p, rows * RANK), *y = poisoned_acts(p, rows * OUT);
        ON_BOTH(p, d)
        {
            const struct mn_linear_forward args = {
                .y = acts(d, y),
                .u = acts(d, u),
                .x = acts(d, x),
                .weight = {.out = OUT, .in = IN, .dense = acts(d, w)},
                .lora = {.parts = 1,
                         .rank = RANK,
                         .part = {{32, 128, 0, RANK, 2.0f, 1}},
                         .a = acts(d, a),
                         .b = acts(d, b)},
                .rows = rows,
                .ldx = IN,
                .ldy = OUT,
            };
            OK(d->ops->linear_forward(&args, d->stream));
        }
        check_pair(p, y, 0.02); /* u and the adapter's share are rounded to bf16 on the way */
        pair_after(state);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_few_rows_match_reference),
    PAIR_TEST(test_few_rows_have_the_same_bits_in_any_company),
    PAIR_TEST(test_few_rows_join_an_adapter),
};
PAIR_MAIN(tests)
