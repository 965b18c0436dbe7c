/* swiglu.cuh: SwiGLU in the epilogue of the product before it, on Hopper, where gate and up
 * themselves are not wanted; linear.cu takes it where it fits and composes elsewhere. */
#ifndef MINUANO_KERNELS_SWIGLU_CUH
#define MINUANO_KERNELS_SWIGLU_CUH

#include "common.cuh"

bool swiglu_product_fits(const struct mn_linear_forward *args, mn_stream s);
/* args->swiglu; `weight` (out, in) is the expanded matrix of the call. */
MN_CHECKED mn_status swiglu_product(const struct mn_linear_forward *args,
                                    const __nv_bfloat16 *weight, mn_stream s);

#endif
