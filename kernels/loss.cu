/* loss.cu: cross-entropy with its gradient in place, and log-probabilities of given tokens.
 *
 * One block a row of logits. The row is read from memory once: the second read, for the gradient,
 * finds it in L2 (64 KiB at a vocabulary of 32768), so that cross_entropy moves 4 bytes a logit. */
#include "softmax.cuh"

enum { LOSS_THREADS = 512 };

template <bool WIDE>
static __global__ void __launch_bounds__(LOSS_THREADS)
    cross_entropy_kernel(float *__restrict__ loss, __nv_bfloat16 *__restrict__ logits,
                         const int32_t *__restrict__ targets, int vocab, float scale)
{
    __shared__ struct softmax shared[WARP];
    __nv_bfloat16 *row = logits + (int64_t)blockIdx.x * vocab;
    int target = targets[blockIdx.x];
    float picked = __bfloat162float(row[target]);
    struct softmax whole = block_softmax<WIDE>(row, vocab, shared);
    /* The barrier inside stands between every read of `picked` and the first write below. */
    if (threadIdx.x == 0) loss[blockIdx.x] = -log_probability(whole, picked);
    float factor = scale / (1.0f + whole.rest);
    for (int c = threadIdx.x * VECTOR; c < vocab; c += LOSS_THREADS * VECTOR) {
        float v[VECTOR];
        load8(v, row + c, vocab - c, WIDE);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            v[i] = factor * __expf(v[i] - whole.max);
            if (c + i == target) v[i] -= scale;
        }
        store8(row + c, v, vocab - c, WIDE);
    }
}

extern "C" mn_status mn_cuda_cross_entropy(float *loss, mn_act *logits, const int32_t *targets,
                                           int rows, int vocab, float scale, mn_stream s)
{
    MN_TRY(mn_check_vocab("cross_entropy", rows, vocab));
    if (rows == 0) return MN_OK;
    auto kernel =
        is_wide(logits, vocab, vocab) ? cross_entropy_kernel<true> : cross_entropy_kernel<false>;
    kernel<<<rows, LOSS_THREADS, 0, s->stream>>>(loss, bf16(logits), targets, vocab, scale);
    return launched("cross_entropy");
}

template <bool WIDE>
static __global__ void __launch_bounds__(LOSS_THREADS)
    token_logprobs_kernel(float *__restrict__ out, const __nv_bfloat16 *__restrict__ logits,
                          const int32_t *__restrict__ targets, int vocab, int k)
{
    __shared__ struct softmax shared[WARP];
    const __nv_bfloat16 *row = logits + (int64_t)blockIdx.x * vocab;
    struct softmax whole = block_softmax<WIDE>(row, vocab, shared);
    for (int i = threadIdx.x; i < k; i += LOSS_THREADS) {
        int64_t at = (int64_t)blockIdx.x * k + i;
        out[at] = log_probability(whole, __bfloat162float(row[targets[at]]));
    }
}

extern "C" mn_status mn_cuda_token_logprobs(float *out, const mn_act *logits,
                                            const int32_t *targets, int rows, int vocab, int k,
                                            mn_stream s)
{
    MN_TRY(mn_check_vocab("token_logprobs", rows, vocab));
    if (k < 1) return mn_fail(MN_INVALID, "token_logprobs: k: expected at least 1, found %d", k);
    if (rows == 0) return MN_OK;
    auto kernel =
        is_wide(logits, vocab, vocab) ? token_logprobs_kernel<true> : token_logprobs_kernel<false>;
    kernel<<<rows, LOSS_THREADS, 0, s->stream>>>(out, bf16(logits), targets, vocab, k);
    return launched("token_logprobs");
}
