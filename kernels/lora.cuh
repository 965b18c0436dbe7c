/* lora.cuh: the narrow products of an adapter that cuBLAS cannot do: those with a dropout mask, and
 * those that sum over tokens into a small matrix. linear.cu puts them together. */
#ifndef MINUANO_KERNELS_LORA_CUH
#define MINUANO_KERNELS_LORA_CUH

#include "common.cuh"

/* u (rows, rank) = scale · (mask∘x/(1-p))·Aᵀ; x (rows, in) has row stride ldx. */
MN_CHECKED mn_status lora_project(__nv_bfloat16 *u, const __nv_bfloat16 *x,
                                  const struct mn_lora *lora, int rows, int in, int64_t ldx,
                                  mn_stream s);
/* y (rows, out) = u·Bᵀ in the columns of each part, zero in the others; row stride ldy. */
MN_CHECKED mn_status lora_raise(__nv_bfloat16 *y, const __nv_bfloat16 *u,
                                const struct mn_lora *lora, int rows, int out, int64_t ldy,
                                mn_stream s);
/* dx (rows, in) = sum over the parts of mask∘(du·A)/(1-p); du (rows, rank), dx dense. */
MN_CHECKED mn_status lora_spread(__nv_bfloat16 *dx, const __nv_bfloat16 *du,
                                 const struct mn_lora *lora, int rows, int in, mn_stream s);
/* da (rank, in) += duᵀ·(mask∘x/(1-p)); x (rows, in) dense. */
size_t lora_gradient_workspace(const struct mn_lora *lora, int rows, int in);
MN_CHECKED mn_status lora_gradient(float *da, const __nv_bfloat16 *du, const __nv_bfloat16 *x,
                                   const struct mn_lora *lora, int rows, int in, void *workspace,
                                   mn_stream s);

#endif
