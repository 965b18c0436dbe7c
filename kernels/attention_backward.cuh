/* attention_backward.cuh: what the mma.sync and the Hopper backward kernels share. */
#ifndef MINUANO_KERNELS_ATTENTION_BACKWARD_CUH
#define MINUANO_KERNELS_ATTENTION_BACKWARD_CUH

#include "attention.cuh"

enum { KEY_BLOCK = 128 };

/* What a block of the Hopper kernel does at a time: 128 keys of a (sequence, kv head), and the
 * tiles of 64 packed query rows that see them, counted over the sequence. */
struct key_block {
    int count; /* blocks that the same multiprocessor has done before */
    int begin, length, kv;
    int block;       /* of keys */
    int first, last; /* tiles */
    int slot;        /* of the sequence's first tile among all sums */
    int fact;        /* fact_slot of the sequence */
};

struct backward_args {
    mn_attention_backward op;
    float *facts; /* (kv_heads, 2, facts_ld): lse and delta = rowsum(dout * out) of packed rows,
                     each times its factor; a sequence's begin at fact_slot */
    int64_t facts_ld;
    /* So that probabilities are 2^(scaled score - lse) and dS is P * (dP - delta); on Hopper the
     * products begin with the facts: 2^((score + lse) * scale) and P * (dP + delta). */
    float lse_factor, delta_factor;
    float *dq;  /* (tile slots, kv_heads, 64, head_dim): sums over key blocks; Hopper */
    int *flags; /* (tile slots, kv_heads): key blocks in the sum */
    /* Key blocks in the order in which they are drawn; how many are drawn, and are there. */
    key_block *blocks;
    int *drawn, *count;
    int group, shift; /* heads / kv_heads, and its logarithm where it is a power of 2 */
};

/* Key blocks of all sequences, at most. */
static inline int key_blocks(int rows, int sequences)
{
    return rows / KEY_BLOCK + sequences;
}

/* Tiles of packed rows, `tokens` of each, have slots; sequences begin anew. With rows and their
 * number for a sequence, how many there are at most. */
__host__ __device__ __forceinline__ int tile_slot(int begin, int sequence, int tokens)
{
    return begin / tokens + sequence;
}

/* Where the facts of a sequence begin: at a multiple of four, as TMA wants it. With rows and their
 * number for a sequence, how many there are. */
__host__ __device__ __forceinline__ int64_t fact_slot(int64_t begin, int sequence, int group)
{
    return (begin * group + 3) / 4 * 4 + 4 * (int64_t)sequence;
}

/* Tiles of dQ that are sums over key blocks: none where each sequence has one. */
static inline size_t dq_tiles(const mn_attention_backward *op)
{
    const int group = op->shape.heads / op->shape.kv_heads;
    if (TILE % group != 0 || op->segments.max_length <= KEY_BLOCK) return 0;
    return (size_t)tile_slot(op->segments.rows, op->segments.sequences, TILE / group) *
           (size_t)op->shape.kv_heads;
}

/* What is known of COUNT packed rows besides their vectors. */
template <int COUNT> struct row_facts {
    float lse[COUNT], delta[COUNT];
    int token[COUNT];
};

/* Fact r of the packed rows of a tile of kv head `kv` that begins at token q0 of a sequence; a row
 * that does not exist gets probability 0. */
template <int COUNT>
__device__ __forceinline__ void load_fact(row_facts<COUNT> &facts, int r, const backward_args &args,
                                          int sequence, int kv, int begin, int length, int q0)
{
    const int token = q0 + r / args.group;
    const bool exists = r / args.group < tile_tokens(args.group) && token < length;
    const float *lse = args.facts + 2 * kv * args.facts_ld +
                       fact_slot(begin, sequence, args.group) + (int64_t)q0 * args.group + r;
    facts.lse[r] = exists ? *lse : INFINITY;
    facts.delta[r] = exists ? lse[args.facts_ld] : 0.0f;
    facts.token[r] = token;
}

/* attention_backward_sm90.cu; facts and plan are there. */
bool attention_backward_sm90_fits(const mn_attention_shape *shape);
mn_status attention_backward_sm90(const backward_args &args, mn_stream s);

#endif
