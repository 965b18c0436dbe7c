/* softmax.cuh: maximum and sum of exponentials of a row of logits, by one block, in one pass. */
#ifndef MINUANO_KERNELS_SOFTMAX_CUH
#define MINUANO_KERNELS_SOFTMAX_CUH

#include <float.h>

#include "common.cuh"

/* The largest logit, and the sum of exp(x - max) over all the others: with its own 1 left out, the
 * logarithm of a probability near 1 keeps its digits. */
struct softmax {
    float max, rest;
};

/* Nothing: the 1 of a maximum that is not there is taken back. */
__device__ __forceinline__ struct softmax softmax_empty(void)
{
    return {-FLT_MAX, -1.0f};
}

/* Without a branch: one exponential either way. A NaN ends up in rest. */
__device__ __forceinline__ void softmax_add(struct softmax &s, float v)
{
    float e = __expf(-fabsf(v - s.max));
    s.rest = v > s.max ? (1.0f + s.rest) * e : s.rest + e;
    s.max = fmaxf(v, s.max);
}

__device__ __forceinline__ struct softmax softmax_join(struct softmax a, struct softmax b)
{
    struct softmax high = a.max >= b.max ? a : b, low = a.max >= b.max ? b : a;
    high.rest += (1.0f + low.rest) * __expf(low.max - high.max);
    return high;
}

/* Log of the sum of exp over the row. */
__device__ __forceinline__ float log_probability(struct softmax whole, float logit)
{
    return logit - whole.max - log1pf(whole.rest);
}

/* The block's from its threads', in every thread. blockDim.x is a multiple of 32; shared (32). */
__device__ __forceinline__ struct softmax block_join(struct softmax own, struct softmax *shared)
{
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) {
        struct softmax other = {__shfl_xor_sync(~0u, own.max, mask),
                                __shfl_xor_sync(~0u, own.rest, mask)};
        own = softmax_join(own, other);
    }
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = own;
    __syncthreads();
    own = shared[0];
    for (int warp = 1; warp < blockDim.x / WARP; warp++) own = softmax_join(own, shared[warp]);
    return own;
}

/* Of a whole row. Eight sums a thread, so that eight chains of dependent steps are under way. */
template <bool WIDE>
__device__ __forceinline__ struct softmax block_softmax(const __nv_bfloat16 *row, int vocab,
                                                        struct softmax *shared)
{
    struct softmax own[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; i++) own[i] = softmax_empty();
    for (int c = threadIdx.x * VECTOR; c < vocab; c += blockDim.x * VECTOR) {
        float v[VECTOR];
        load8(v, row + c, vocab - c, WIDE);
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            if (WIDE || c + i < vocab) softmax_add(own[i], v[i]);
    }
#pragma unroll
    for (int step = 1; step < VECTOR; step *= 2)
#pragma unroll
        for (int i = 0; i < VECTOR; i += 2 * step) own[i] = softmax_join(own[i], own[i + step]);
    return block_join(own[0], shared);
}

#endif
