/* lora.cuh: the narrow products of an adapter that cuBLAS cannot do at the speed of memory: those
 * with a dropout mask, and those that sum over tokens into a small matrix. linear.cu puts them
 * together; lora.cu has the forward ones, lora_lower.cu and lora_backward.cu the gradients. */
#ifndef MINUANO_KERNELS_LORA_CUH
#define MINUANO_KERNELS_LORA_CUH

#include "common.cuh"

/* The masks of all parts, drawn once a pass. Columns 32·w … +31 of a part stand together, a word a
 * row: bit c of word ((p·mn_bit_groups(in) + w)·mask_rows(rows) + r) is 1 where column 32·w + c of
 * row r of part p is kept. So the rows of a tile are neighbours. */
static inline int64_t mask_rows(int rows)
{
    return ((int64_t)rows + 31) / 32 * 32;
}
size_t lora_masks_bytes(const struct mn_lora *lora, int rows, int in);
/* *masks = NULL without dropout, which stands for all ones; else `room`, filled. */
MN_CHECKED mn_status lora_draw_masks(const uint32_t **masks, void *room, const struct mn_lora *lora,
                                     int rows, int in, mn_stream s);

/* u (rows, rank) = scale · (mask∘x/(1-p))·Aᵀ; x (rows, in) has row stride ldx. */
MN_CHECKED mn_status lora_project(__nv_bfloat16 *u, const __nv_bfloat16 *x, const uint32_t *masks,
                                  const struct mn_lora *lora, int rows, int in, int64_t ldx,
                                  mn_stream s);
/* y (rows, out) = u·Bᵀ in the columns of each part, zero in the others; row stride ldy. */
MN_CHECKED mn_status lora_raise(__nv_bfloat16 *y, const __nv_bfloat16 *u,
                                const struct mn_lora *lora, int rows, int out, int64_t ldy,
                                mn_stream s);

/* Rows of a batch that carry different adapters: u of each group, one after another, and y in one
 * launch each for all groups, zero in rows without one. For few rows, where a launch a group would
 * cost more than its work; many rows are better served group by group. */
struct lora_batch {
    __nv_bfloat16 *y, *u;
    const __nv_bfloat16 *x;
    int rows, in, out;
    int64_t ldx, ldy;
};
bool lora_is_many(int rows, mn_stream s);
MN_CHECKED mn_status lora_groups(const struct lora_batch *batch, const struct mn_lora_group *groups,
                                 int count, mn_stream s);

/* du (rows, rank) = scale · dy·B and db += dyᵀ·u by part, in one read of dy (rows, ·), row stride
 * ldy; u (rows, rank). */
size_t lora_lower_workspace(const struct mn_lora *lora, int rows);
MN_CHECKED mn_status lora_lower(__nv_bfloat16 *du, float *db, const __nv_bfloat16 *dy,
                                const __nv_bfloat16 *u, const struct mn_lora *lora, int rows,
                                int64_t ldy, void *workspace, mn_stream s);
/* da (rank, in) += duᵀ·(mask∘x/(1-p)); x (rows, in) dense. */
size_t lora_gradient_workspace(const struct mn_lora *lora, int rows, int in);
MN_CHECKED mn_status lora_gradient(float *da, const __nv_bfloat16 *du, const __nv_bfloat16 *x,
                                   const uint32_t *masks, const struct mn_lora *lora, int rows,
                                   int in, void *workspace, mn_stream s);
/* dx (rows, in) = sum over the parts of mask∘(du·A)/(1-p); du (rows, rank), dx dense. */
MN_CHECKED mn_status lora_spread(__nv_bfloat16 *dx, const __nv_bfloat16 *du, const uint32_t *masks,
                                 const struct mn_lora *lora, int rows, int in, mn_stream s);

#endif
