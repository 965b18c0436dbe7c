/* The reference's GEMM, against CBLAS, and its threads. */
#include <cblas.h>

#include "../../host/reference/kernel.h"
#include "../../host/reference/reference.h"
#include "support/pair.h"

static const struct {
    int rows, cols, inner;
} shapes[] = {{1, 1, 1}, {13, 33, 7}, {191, 257, 513}, {200, 300, 1030}};

static float *floats_of(struct pair *p, const struct span *s)
{
    return on(p->device[MN_DEVICE_REFERENCE], s);
}

/* c += a·b with either operand transposed, c's rows 3 longer than need be. */
static void matches_cblas(struct pair *p, size_t i, bool a_across, bool b_across)
{
    int m = shapes[i].rows, n = shapes[i].cols, k = shapes[i].inner, ldc = n + 3;
    struct span *a = random_f32(p, (int64_t)m * k, 1), *b = random_f32(p, (int64_t)n * k, 1);
    struct span *c = in_place(random_f32(p, (int64_t)m * ldc, 1));
    double *expected = new_values(p, c->count);
    float *theirs = MN_NEW(p->arena, float, c->count);
    memcpy(theirs, floats_of(p, c), (size_t)c->count * sizeof *theirs);
    cblas_sgemm(CblasRowMajor, a_across ? CblasTrans : CblasNoTrans,
                b_across ? CblasTrans : CblasNoTrans, m, n, k, 0.5f, floats_of(p, a),
                a_across ? m : k, floats_of(p, b), b_across ? k : n, -2, theirs, ldc);
    for (int64_t e = 0; e < c->count; e++) expected[e] = (double)theirs[e];
    struct mn_ref_gemm gemm = {.c = floats_of(p, c),
                               .a = floats_of(p, a),
                               .b = floats_of(p, b),
                               .rows = m,
                               .cols = n,
                               .inner = k,
                               .ldc = ldc,
                               .a_row = a_across ? 1 : k,
                               .a_col = a_across ? m : 1,
                               .b_row = b_across ? 1 : n,
                               .b_col = b_across ? k : 1,
                               .alpha = 0.5f,
                               .beta = -2};
    mn_ref_gemm(&gemm, p->device[MN_DEVICE_REFERENCE]->stream);
    check_values(p, c, expected, 1e-4); /* fp32 sums of up to 1030 products, in either order */
}

static void test_gemm_matches_cblas(void **state)
{
    for (size_t i = 0; i < MN_COUNT(shapes); i++)
        for (int across = 0; across < 4; across++) {
            matches_cblas(*state, i, across & 1, across & 2);
            pair_after(state);
        }
}

/* Wider machines than this one's choice, and narrower ones, take other tiles: all that can run here
 * do. */
static void test_every_tile_this_processor_runs_is_right(void **state)
{
    enum { INNER = 37 };
    struct pair *p = *state;
    int kernels = 0;
    for (const struct mn_ref_kernel *kernel; (kernel = mn_ref_kernel_at(kernels)); kernels++) {
        const float *a = floats_of(p, random_f32(p, INNER * kernel->rows, 1));
        const float *b = floats_of(p, random_f32(p, INNER * kernel->cols, 1));
        float tile[MN_REF_TILE];
        printf("tile: %s\n", kernel->vectors);
        kernel->tile(tile, a, b, INNER);
        for (int r = 0; r < kernel->rows; r++)
            for (int c = 0; c < kernel->cols; c++) {
                double sum = 0;
                for (int k = 0; k < INNER; k++)
                    sum += (double)a[k * kernel->rows + r] * b[k * kernel->cols + c];
                assert_float_equal(tile[r * kernel->cols + c], (float)sum, 1e-5f);
            }
    }
    assert_in_range(kernels, 1, 3);
}

static void test_gemm_does_not_depend_on_threads(void **state)
{
    struct pair *p = *state;
    int m = 500, n = 600, k = 300;
    struct span *a = random_f32(p, (int64_t)m * k, 1), *b = random_f32(p, (int64_t)n * k, 1);
    struct span *alone = poisoned_f32(p, (int64_t)m * n);
    struct mn_ref_gemm gemm = {.c = floats_of(p, alone),
                               .a = floats_of(p, a),
                               .b = floats_of(p, b),
                               .rows = m,
                               .cols = n,
                               .inner = k,
                               .ldc = n,
                               .a_row = k,
                               .a_col = 1,
                               .b_row = n,
                               .b_col = 1,
                               .alpha = 1};
    mn_ref_gemm(&gemm, NULL);
    for (int threads = 1; threads <= 5; threads += 2) {
        mn_device *device;
        struct span *c = poisoned_f32(p, (int64_t)m * n);
        OK(mn_reference_device_open(&device, threads));
        gemm.c = floats_of(p, c);
        mn_ref_gemm(&gemm, device->stream);
        mn_device_close(&device);
        assert_memory_equal(floats_of(p, c), floats_of(p, alone), (size_t)m * (size_t)n * 4);
    }
}

struct tally {
    int *done; /* (items) */
};

static void count_item(const void *job, int64_t item, void *scratch)
{
    const struct tally *tally = job;
    memset(scratch, (int)item, 100);
    tally->done[item]++;
}

static void test_parallel_does_each_item_once(void **state)
{
    struct pair *p = *state;
    for (int threads = 1; threads <= 6; threads++) {
        mn_device *device;
        OK(mn_reference_device_open(&device, threads));
        for (int items = 0; items < 300; items += 7) {
            struct tally tally = {MN_NEW(p->arena, int, items + 1)};
            mn_ref_parallel(device->stream, count_item, &tally, items, 100);
            for (int i = 0; i < items; i++) assert_int_equal(tally.done[i], 1);
            assert_int_equal(tally.done[items], 0);
        }
        mn_device_close(&device);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_gemm_matches_cblas),
    PAIR_TEST(test_every_tile_this_processor_runs_is_right),
    PAIR_TEST(test_gemm_does_not_depend_on_threads),
    PAIR_TEST(test_parallel_does_each_item_once),
};
PAIR_MAIN(tests)
