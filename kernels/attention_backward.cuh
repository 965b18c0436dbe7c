/* attention_backward.cuh: what the mma.sync and the Hopper backward kernels share. */
#ifndef MINUANO_KERNELS_ATTENTION_BACKWARD_CUH
#define MINUANO_KERNELS_ATTENTION_BACKWARD_CUH

#include "attention.cuh"

struct backward_args {
    mn_attention_backward op;
    float *delta; /* (rows, heads): rowsum(dout * out) */
};

/* What is known of COUNT packed rows besides their vectors. */
template <int COUNT> struct row_facts {
    float lse[COUNT], delta[COUNT]; /* lse in base 2 */
    int token[COUNT];
};

/* Fact r of the packed rows of `outputs` (in dout), `tokens` of them a tile; a row that does not
 * exist gets probability 0. */
template <int HD, int COUNT>
__device__ __forceinline__ void load_fact(row_facts<COUNT> &facts, int r, const backward_args &args,
                                          const packed_rows &outputs, int tokens)
{
    const int t = r / outputs.group, token = outputs.q0 + t;
    const int64_t head = (outputs.first + token * outputs.ld) / HD + (r - t * outputs.group);
    const bool exists = t < tokens && token < outputs.length;
    facts.lse[r] = exists ? args.op.lse[head] * LOG2E : INFINITY;
    facts.delta[r] = exists ? args.delta[head] : 0.0f;
    facts.token[r] = token;
}

/* attention_backward_sm90.cu; delta has been computed. */
bool attention_backward_sm90_fits(const mn_attention_shape *shape);
mn_status attention_backward_sm90(const backward_args &args, mn_stream s);

#endif
