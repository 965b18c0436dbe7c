/* skinny.cuh: the product of few rows with a frozen matrix, as decoding asks for it. */
#ifndef MINUANO_KERNELS_SKINNY_CUH
#define MINUANO_KERNELS_SKINNY_CUH

#include "gemm.cuh"

/* Whether skinny_run can do this product and is faster at it than cuBLAS: by shape alone. */
bool skinny_fits(const struct gemm *call);
/* As gemm_run, beta 0 or 1. A row of d has the same bits whatever the other rows are and however
 * many of them skinny_fits lets in. b_is_old: b was written before the launch that comes before
 * this one, so that reading it may begin under that one's end. */
MN_CHECKED mn_status skinny_run(const struct gemm *call, bool b_is_old, mn_stream s);

#endif
