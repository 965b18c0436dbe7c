/* gemm.c: the reference's matrix products, on OpenBLAS's single-threaded sgemm and our own threads.
 *
 * minuano promises that a result does not depend on the batch it was computed in, to the last bit.
 * OpenBLAS alone does not keep that promise: it picks another kernel for few rows (a vector product
 * for one, a small-matrix path below a volume), and the kernels' sums differ in the last bits. So
 * the rows are cut into panels of a fixed height, the last one padded with zeros: every call for a
 * weight has one shape, whatever the batch, and thus takes one path. The height is a multiple of
 * the register tile of every sgemm kernel of OpenBLAS (4, 8, 16), so each row of a panel goes
 * through the same instructions. test_linear_forward_row_does_not_depend_on_batch checks it. */
#include "reference.h"

#include <cblas.h>
#include <string.h>

enum {
    PANEL = 64, /* rows a call: below, packing the weights shows; above, a lone row costs more */
    BLOCK = 256 /* columns a call: enough items for the threads even when there is one panel */
};

static int at_most(int64_t left, int most)
{
    return left < most ? (int)left : most;
}

static void multiply(const struct mn_ref_matmul *m, float *c, int64_t ldc, const float *a,
                     int64_t lda, const float *b, int cols)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, m->b_by_column ? CblasTrans : CblasNoTrans, PANEL,
                cols, m->inner, m->alpha, a, (int)lda, b, (int)m->ldb, m->beta, c, (int)ldc);
}

static void copy_rows(float *to, int64_t ldto, const float *from, int64_t ldfrom, int rows,
                      int cols)
{
    for (int r = 0; r < rows; r++)
        memcpy(to + r * ldto, from + r * ldfrom, (size_t)cols * sizeof *to);
}

/* One panel of rows by one block of columns. */
static void matmul_item(const void *job, int64_t item, void *scratch)
{
    const struct mn_ref_matmul *m = job;
    int64_t blocks = (m->cols + BLOCK - 1) / BLOCK;
    int64_t row = item / blocks * PANEL, col = item % blocks * BLOCK;
    int rows = at_most(m->rows - row, PANEL), cols = at_most(m->cols - col, BLOCK);
    const float *a = m->a + row * m->lda, *b = m->b + (m->b_by_column ? col * m->ldb : col);
    float *c = m->c + row * m->ldc + col;
    if (rows == PANEL) {
        multiply(m, c, m->ldc, a, m->lda, b, cols);
        return;
    }
    float *padded_a = scratch, *padded_c = padded_a + (int64_t)PANEL * m->inner;
    memset(padded_a + (int64_t)rows * m->inner, 0,
           (size_t)(PANEL - rows) * (size_t)m->inner * sizeof *padded_a);
    memset(padded_c, 0, sizeof *padded_c * PANEL * BLOCK);
    copy_rows(padded_a, m->inner, a, m->lda, rows, m->inner);
    if (m->beta != 0) copy_rows(padded_c, BLOCK, c, m->ldc, rows, cols);
    multiply(m, padded_c, BLOCK, padded_a, m->inner, b, cols);
    copy_rows(c, m->ldc, padded_c, BLOCK, rows, cols);
}

void mn_ref_matmul(const struct mn_ref_matmul *args, mn_stream s)
{
    int64_t panels = (args->rows + PANEL - 1) / PANEL, blocks = (args->cols + BLOCK - 1) / BLOCK;
    size_t scratch =
        args->rows % PANEL ? sizeof(float) * PANEL * ((size_t)args->inner + (size_t)BLOCK) : 0;
    mn_ref_parallel(s, matmul_item, args, panels * blocks, scratch);
}

/* The longer side is cut into blocks. */
static void outer_item(const void *job, int64_t item, void *scratch)
{
    (void)scratch;
    const struct mn_ref_outer *m = job;
    bool by_row = m->rows > m->cols;
    int64_t row = by_row ? item * BLOCK : 0, col = by_row ? 0 : item * BLOCK;
    int rows = by_row ? at_most(m->rows - row, BLOCK) : m->rows;
    int cols = by_row ? m->cols : at_most(m->cols - col, BLOCK);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, rows, cols, m->inner, 1.0f, m->a + row,
                (int)m->lda, m->b + col, (int)m->ldb, 1.0f, m->c + row * m->ldc + col, (int)m->ldc);
}

void mn_ref_outer(const struct mn_ref_outer *args, mn_stream s)
{
    int longer = args->rows > args->cols ? args->rows : args->cols;
    mn_ref_parallel(s, outer_item, args, (longer + BLOCK - 1) / BLOCK, 0);
}
