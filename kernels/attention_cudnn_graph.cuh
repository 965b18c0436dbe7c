/* attention_cudnn_graph.cuh: which attention cuDNN is asked for. */
#ifndef MINUANO_KERNELS_ATTENTION_CUDNN_GRAPH_CUH
#define MINUANO_KERNELS_ATTENTION_CUDNN_GRAPH_CUH

#include "cudnn.cuh"

/* What one plan is good for. */
struct attention_key {
    bool backward;
    bool ragged; /* else every sequence has `length` rows */
    int sequences, length, heads, kv_heads, head_dim;
};

/* Heads share keys in a ragged batch: cuDNN finds each head's share of dk and dv by the offsets of
 * dk and dv times the heads that share. In rows as wide as qkv's those shares would take four times
 * their size: dk and dv get rows of their own. */
static inline bool kv_apart(const struct attention_key *key)
{
    return key->backward && key->ragged && key->heads != key->kv_heads;
}

/* Names of the tensors in memory. */
enum attention_uid {
    UID_Q,
    UID_K,
    UID_V,
    UID_OUT,
    UID_LSE,
    UID_SCALE,  /* on the host */
    UID_HIDDEN, /* on the host: the score of a key that may not be seen */
    UID_ONE,    /* on the host */
    UID_LENGTHS,
    UID_QKV_OFFSETS,
    UID_OUT_OFFSETS,
    UID_KV_OFFSETS,
    UID_LSE_OFFSETS,
    UID_DOUT,
    UID_DQ,
    UID_DK,
    UID_DV,
    UID_DELTA,
    UID_DQ_SUM,
    UID_DK_HEADS,
    UID_DV_HEADS,
    ATTENTION_UIDS
};

MN_CHECKED mn_status attention_plan(struct graph_plan *out, const struct attention_key *key,
                                    cudnnHandle_t handle, graph_node properties);

#endif
