/* sample.cu: the next token of every row: argmax, or argmax of noisy logits (Gumbel), which draws
 * from the softmax. One block a row, one pass over it. */
#include "minuano/random.h"
#include "softmax.cuh"

enum { SAMPLE_THREADS = 512 };

/* The better of two: higher score; among equals the lower id, whatever the order of comparison. */
struct best {
    float score;
    int id;
};

__device__ __forceinline__ struct best better(struct best a, struct best b)
{
    return b.score > a.score || (b.score == a.score && b.id < a.id) ? b : a;
}

template <bool WIDE, bool NOISE>
static __global__ void __launch_bounds__(SAMPLE_THREADS)
    sample_kernel(int32_t *__restrict__ ids, float *__restrict__ logprob,
                  const __nv_bfloat16 *__restrict__ logits, const int32_t *__restrict__ sequence,
                  const int32_t *__restrict__ step, int vocab, float temperature, uint64_t seed)
{
    __shared__ struct softmax shared[WARP];
    __shared__ struct best candidates[WARP];
    const __nv_bfloat16 *row = logits + (int64_t)blockIdx.x * vocab;
    struct softmax sum[VECTOR];
    struct best own = {-INFINITY, vocab};
    uint64_t stream = 0, base = 0;
    if (NOISE) {
        stream = mn_stream_id(MN_RANDOM_SAMPLE, (uint32_t)sequence[blockIdx.x]);
        base = (uint64_t)step[blockIdx.x] * (uint64_t)vocab;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; i++) sum[i] = softmax_empty();
    for (int c = threadIdx.x * VECTOR; c < vocab; c += SAMPLE_THREADS * VECTOR) {
        float v[VECTOR];
        load8(v, row + c, vocab - c, WIDE);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            if (!WIDE && c + i >= vocab) break;
            struct best candidate = {v[i], c + i};
            if (NOISE) {
                float uniform = mn_random_uniform(seed, stream, base + c + i);
                candidate.score = v[i] / temperature - logf(-logf(uniform));
            }
            softmax_add(sum[i], v[i]);
            if (candidate.score > own.score) own = candidate; /* ids rise: the first stays */
        }
    }
#pragma unroll
    for (int i = 1; i < VECTOR; i++) sum[0] = softmax_join(sum[0], sum[i]);
    struct softmax whole = block_join(sum[0], shared);
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) {
        struct best other = {__shfl_xor_sync(~0u, own.score, mask),
                             __shfl_xor_sync(~0u, own.id, mask)};
        own = better(own, other);
    }
    if (threadIdx.x % WARP == 0) candidates[threadIdx.x / WARP] = own;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int warp = 1; warp < SAMPLE_THREADS / WARP; warp++) own = better(own, candidates[warp]);
    if (own.id == vocab) own.id = 0; /* a row of NaN: the log-probability tells */
    ids[blockIdx.x] = own.id;
    logprob[blockIdx.x] = log_probability(whole, __bfloat162float(row[own.id]));
}

extern "C" mn_status mn_cuda_sample(int32_t *ids, float *logprob, const mn_act *logits,
                                    const int32_t *sequence, const int32_t *step, int rows,
                                    int vocab, float temperature, uint64_t seed, mn_stream s)
{
    MN_TRY(mn_check_vocab("sample", rows, vocab));
    if (!(temperature >= 0.0f))
        return mn_fail(MN_INVALID, "sample: temperature: expected at least 0, found %g",
                       (double)temperature);
    if (rows == 0) return MN_OK;
    bool wide = is_wide(logits, vocab, vocab), noise = temperature > 0.0f;
    auto kernel = wide ? (noise ? sample_kernel<true, true> : sample_kernel<true, false>)
                       : (noise ? sample_kernel<false, true> : sample_kernel<false, false>);
    kernel<<<rows, SAMPLE_THREADS, 0, s->stream>>>(ids, logprob, bf16(logits), sequence, step,
                                                   vocab, temperature, seed);
    return launched("sample");
}
