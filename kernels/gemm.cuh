/* gemm.cuh: matrix products by cuBLASLt: bf16 operands, fp32 accumulators.
 *
 * Calls of similar row counts are a class, which shares a choice. The library is asked for the
 * class's own size, so that the choice does not depend on which member came first. The candidates
 * are timed once, on the operands of the call at hand, and the fastest is remembered. That is the
 * one place where a launcher waits for the device: never while a graph is being captured, never
 * for a product of few rows, and once a class. A candidate is taken only if its bits are those of
 * the library's first choice, so that the clock decides about time and never about results; few
 * rows are left to the library's own first choice, which may split the depth. */
#ifndef MINUANO_KERNELS_GEMM_CUH
#define MINUANO_KERNELS_GEMM_CUH

#include "common.cuh"

MN_CHECKED mn_status gemm_library_open(struct gemm_library **out);
void gemm_library_close(struct gemm_library **library);

/* d (rows, cols) = a·b + beta · d, all row-major: a (rows, depth); b (depth, cols), or
 * (cols, depth) when b_by_column. */
struct gemm {
    const char *op; /* for messages */
    __nv_bfloat16 *d;
    const __nv_bfloat16 *a, *b;
    int rows, cols, depth;
    int64_t ldd, lda, ldb;
    bool b_by_column = false;
    float beta = 0.0f;
};
MN_CHECKED mn_status gemm_run(const struct gemm *call, mn_stream s);
/* Chooses for a call that will accumulate (beta != 0) while d may still be overwritten. */
MN_CHECKED mn_status gemm_prepare(const struct gemm *call, mn_stream s);

#endif
