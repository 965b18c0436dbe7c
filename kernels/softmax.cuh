/* softmax.cuh: maximum and sum of exponentials of a row of logits, by one block, in one pass. */
#ifndef MINUANO_KERNELS_SOFTMAX_CUH
#define MINUANO_KERNELS_SOFTMAX_CUH

#include "common.cuh"

/* sum counts exp(x - max). */
struct softmax {
    float max, sum;
};

__device__ __forceinline__ struct softmax softmax_join(struct softmax a, struct softmax b)
{
    struct softmax joined = {fmaxf(a.max, b.max), 0.0f};
    if (joined.max != -INFINITY) /* else both are empty, and the differences are NaN */
        joined.sum = a.sum * __expf(a.max - joined.max) + b.sum * __expf(b.max - joined.max);
    return joined;
}

/* The whole row's in every thread. blockDim.x is a multiple of 32; shared (32). */
__device__ __forceinline__ struct softmax block_softmax(const __nv_bfloat16 *row, int vocab,
                                                        bool wide, struct softmax *shared)
{
    struct softmax own = {-INFINITY, 0.0f};
    for (int c = threadIdx.x * VECTOR; c < vocab; c += blockDim.x * VECTOR) {
        float v[VECTOR];
        load8(v, row + c, vocab - c, wide);
        struct softmax chunk = {-INFINITY, 0.0f};
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            if (c + i < vocab) chunk.max = fmaxf(chunk.max, v[i]);
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            if (c + i < vocab) chunk.sum += __expf(v[i] - chunk.max);
        own = softmax_join(own, chunk);
    }
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) {
        struct softmax other = {__shfl_xor_sync(~0u, own.max, mask),
                                __shfl_xor_sync(~0u, own.sum, mask)};
        own = softmax_join(own, other);
    }
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = own;
    __syncthreads();
    own = {-INFINITY, 0.0f};
    for (int warp = 0; warp < blockDim.x / WARP; warp++) own = softmax_join(own, shared[warp]);
    return own;
}

#endif
