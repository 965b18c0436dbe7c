/* gemm.c: the reference's matrix products.
 *
 * minuano promises that a result does not depend on the batch it was computed in, to the last bit.
 * A BLAS does not promise that: OpenBLAS 0.3.21 gives a row other last bits for odd row counts on
 * its SSE3 path, and for counts that are no multiple of 12 on its Haswell path; and where it does
 * not know a processor it computes at SSE3 speed. So the products are our own: an element is Σ over
 * slices of INNER of the running sum over k, whatever its place, its neighbours or the thread.
 * test_linear_forward_row_does_not_depend_on_batch checks it; CBLAS is the oracle in test_gemm. */
#include "reference.h"

#include "kernel.h"

enum {
    ROWS = 192,  /* an item: a multiple of every tile's height */
    COLS = 256,  /* likewise of every tile's width */
    INNER = 512, /* a slice of both operands stays in the second-level cache */
    SCRATCH_FLOATS = (ROWS + COLS) * INNER + MN_REF_TILE
};

size_t mn_ref_gemm_scratch(void)
{
    return SCRATCH_FLOATS * sizeof(float);
}

static int at_most(int64_t left, int most)
{
    return left < most ? (int)left : most;
}

/* to (strips, inner, width): strips of `width` lines of x, zero beyond the last of `count`. */
static void pack(float *to, const float *x, int64_t line, int64_t step, int count, int inner,
                 int width)
{
    for (int first = 0; first < count; first += width) {
        int lines = at_most(count - first, width);
        const float *from = x + first * line;
        for (int k = 0; k < inner; k++, to += width) {
            for (int i = 0; i < lines; i++) to[i] = from[i * line + k * step];
            for (int i = lines; i < width; i++) to[i] = 0;
        }
    }
}

/* One slice's tile into its place in c. The first slice takes beta, the others add. */
static void put(float *c, int64_t ldc, const float *tile, int ld, int rows, int cols, float alpha,
                float beta)
{
    for (int r = 0; r < rows; r++, c += ldc, tile += ld) {
        if (beta == 0) /* c may hold NaN */
            for (int i = 0; i < cols; i++) c[i] = alpha * tile[i];
        else
            for (int i = 0; i < cols; i++) c[i] = beta * c[i] + alpha * tile[i];
    }
}

/* At most ROWS by COLS of the product. */
static void block(const struct mn_ref_gemm *g, int row, int col, float *scratch)
{
    const struct mn_ref_kernel *kernel = mn_ref_kernel();
    int rows = at_most(g->rows - row, ROWS), cols = at_most(g->cols - col, COLS);
    float *a = scratch, *b = a + ROWS * INNER, *tile = b + COLS * INNER;
    for (int k = 0; k < g->inner; k += INNER) {
        int inner = at_most(g->inner - k, INNER);
        pack(a, g->a + row * g->a_row + k * g->a_col, g->a_row, g->a_col, rows, inner,
             kernel->rows);
        pack(b, g->b + k * g->b_row + col * g->b_col, g->b_col, g->b_row, cols, inner,
             kernel->cols);
        for (int j = 0; j < cols; j += kernel->cols)
            for (int i = 0; i < rows; i += kernel->rows) {
                kernel->tile(tile, a + i * inner, b + j * inner, inner);
                put(g->c + (row + i) * g->ldc + col + j, g->ldc, tile, kernel->cols,
                    at_most(rows - i, kernel->rows), at_most(cols - j, kernel->cols), g->alpha,
                    k == 0 ? g->beta : 1.0f);
            }
    }
}

static int blocks(int count, int size)
{
    return (int)(((int64_t)count + size - 1) / size);
}

static void item(const void *job, int64_t number, void *scratch)
{
    const struct mn_ref_gemm *g = job;
    int across = blocks(g->cols, COLS);
    block(g, (int)(number / across) * ROWS, (int)(number % across) * COLS, scratch);
}

void mn_ref_gemm(const struct mn_ref_gemm *args, mn_stream s)
{
    mn_ref_parallel(s, item, args, (int64_t)blocks(args->rows, ROWS) * blocks(args->cols, COLS),
                    mn_ref_gemm_scratch());
}

void mn_ref_gemm_alone(const struct mn_ref_gemm *args, void *scratch)
{
    int64_t count = (int64_t)blocks(args->rows, ROWS) * blocks(args->cols, COLS);
    for (int64_t i = 0; i < count; i++) item(args, i, scratch);
}
