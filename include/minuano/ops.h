/* ops.h: the table of operations a device offers, and their contracts.
 *
 * One typedef a signature: from it come the slot, the reference and the CUDA launcher. Both sides
 * check their arguments with the same mn_check_* functions, so that they reject the same calls. A
 * launcher launches and returns: no allocation, no synchronization. Scratch comes in as
 * `workspace`, whose size the *_workspace twin gives. It never shrinks when rows, sequences or
 * lengths grow, and it reads no array: a caller plans once, for its largest batch.
 *
 * Everything is a ragged batch: `rows` packed tokens, sequence i owning rows offsets[i] …
 * offsets[i+1]-1. All pointers are device pointers; sizes count elements; strides (ld*) count
 * elements. A call with rows == 0 does nothing. Outputs must not overlap inputs unless a comment
 * says that they may. */
#ifndef MINUANO_OPS_H
#define MINUANO_OPS_H

#include "minuano/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- data types on disk and in memory
 * ------------------------------------------------------------------------- */

enum mn_dtype { MN_F32, MN_F16, MN_BF16 };

/* out (count) activations from (count) elements of `type`, round to nearest even. */
typedef mn_status mn_load_convert_fn(mn_act *out, const void *in, enum mn_dtype type, int64_t count,
                                     mn_stream s);
/* The way back: out (count) elements of `type`. */
typedef mn_status mn_store_convert_fn(void *out, enum mn_dtype type, const mn_act *in,
                                      int64_t count, mn_stream s);

/* out[i] = scale * mn_random_normal(seed, stream, first + i) for i < count: weights of random
 * models.
 */
typedef mn_status mn_random_normal_fn(mn_act *out, uint64_t seed, uint64_t stream, uint64_t first,
                                      int64_t count, float scale, mn_stream s);

/* --- embedding and row movement
 * -------------------------------------------------------------------------------- */

/* out (rows, dim) = table[ids]; ids (rows) in 0 … vocab-1, checked by the host beforehand. */
typedef mn_status mn_embed_forward_fn(mn_act *out, const mn_act *table, const int32_t *ids,
                                      int rows, int dim, int vocab, mn_stream s);
/* out (rows, dim) = x[index]; index (rows). */
typedef mn_status mn_gather_rows_fn(mn_act *out, const mn_act *x, const int32_t *index, int rows,
                                    int dim, mn_stream s);
/* out[index] = x for distinct indices; out (out_rows, dim) is zero elsewhere. */
typedef mn_status mn_scatter_rows_fn(mn_act *out, const mn_act *x, const int32_t *index, int rows,
                                     int out_rows, int dim, mn_stream s);

/* --- RMSNorm (Zhang & Sennrich 2019), as transformers computes it
 * ----------------------------------------------- */

/* out = w * round(x / rms(x)) by row, rms = sqrt(mean(x^2) + eps); rstd (rows) = 1/rms is kept for
 * the backward pass (may be NULL). out (rows, dim) is dense, x (rows, dim) has row stride ldx >=
 * dim. */
typedef mn_status mn_rmsnorm_forward_fn(mn_act *out, float *rstd, const mn_act *x, const mn_act *w,
                                        int rows, int dim, int64_t ldx, float eps, mn_stream s);
/* sum = x + y, out = rmsnorm(sum). sum may be x. All dense (rows, dim). */
typedef mn_status mn_add_rmsnorm_forward_fn(mn_act *out, mn_act *sum, float *rstd, const mn_act *x,
                                            const mn_act *y, const mn_act *w, int rows, int dim,
                                            float eps, mn_stream s);
/* dx = dresidual + d rmsnorm(x)·dout. dresidual may be NULL (zero) and may be dx. The weight is
 * frozen: no dw. */
typedef mn_status mn_rmsnorm_backward_fn(mn_act *dx, const mn_act *dout, const mn_act *dresidual,
                                         const mn_act *x, const float *rstd, const mn_act *w,
                                         int rows, int dim, mn_stream s);

/* --- rotary embedding (Su et al. 2021), half-split pairs (i, i + head_dim/2)
 * ------------------------------------- */

/* Rotates the first `heads` heads of each row of x (rows, ldx) in place by its position: x' = x·cos
 * + rotate(x)·sin. table (max_positions, head_dim): cos of the head_dim/2 angles, then sin.
 * direction +1 forward, -1 backward. On a packed QKV row pass heads + kv_heads: queries and keys
 * are neighbours. */
typedef mn_status mn_rope_fn(mn_act *x, const float *table, const int32_t *positions, int rows,
                             int heads, int head_dim, int64_t ldx, int direction, mn_stream s);

/* --- SwiGLU ----------------------------------------------------------------------------------- */

/* gate_up (rows, 2*dim): gate then up. out (rows, dim) = silu(gate) * up. */
typedef mn_status mn_swiglu_forward_fn(mn_act *out, const mn_act *gate_up, int rows, int dim,
                                       mn_stream s);
/* dgate_up (rows, 2*dim) from dout (rows, dim); dgate_up may be gate_up. */
typedef mn_status mn_swiglu_backward_fn(mn_act *dgate_up, const mn_act *dout, const mn_act *gate_up,
                                        int rows, int dim, mn_stream s);

/* --- linear with LoRA (Hu et al. 2021)
 * --------------------------------------------------------------------------- */

/* A frozen matrix (out, in), row-major: dense activations, or NF4 codes that are expanded into the
 * workspace. */
struct mn_weight {
    int out, in;
    const mn_act *dense;  /* (out, in), or NULL: packed */
    const uint8_t *codes; /* (out*in/2) two NF4 codes a byte, first value in the high nibble */
    const float *absmax;  /* (out*in/64) */
};

/* A fused linear (QKV, gate-up) holds up to three adapted modules, in the order of their columns,
 * each with its own A, B, scale and dropout mask: columns out_begin … out_begin+out-1 of y belong
 * to part p. u = its x·Aᵀ, columns rank_begin … +rank-1 of (rows, rank). y[:, part] = x·Wᵀ[part] +
 * scale · (mask∘x/(1-p))·A_pᵀ·B_pᵀ */
enum { MN_LORA_PARTS = 3 };
struct mn_lora_part {
    int out_begin, out;
    int rank_begin, rank;
    float scale;
    uint32_t module; /* number of the module in the model: its dropout stream */
};
struct mn_lora {
    int parts; /* 0: no adapter on this linear */
    int rank;  /* sum over the parts: width of u and rows of a */
    struct mn_lora_part part[MN_LORA_PARTS];
    const mn_act *a; /* (rank, in): the parts' A one under the other */
    const mn_act *b; /* the parts' B one after the other, each dense (out_p, rank_p), at element
                        b_offset below */
    float dropout;   /* probability of zero, on A's input only; 0: none */
    /* Element (row, col) of module m is dropped where bit col % 32 of mn_random_bits(seed,
     * mn_stream_id(MN_RANDOM_DROPOUT, m), (first_row + row) * mn_bit_groups(in) + col / 32,
     * mn_drop_threshold(dropout)) is 1. first_row numbers the tokens of the whole run. */
    uint64_t seed;
    const int64_t
        *first_row; /* one element on the device, so that a captured step can be replayed */
};

/* Of mn_random_bits: the nearest multiple of 2^-16 below 1. */
static inline uint32_t mn_drop_threshold(float dropout)
{
    const uint32_t nearest = (uint32_t)((double)dropout * 65536 + 0.5);
    return nearest < 65535 ? nearest : 65535;
}

/* Element of b where part p begins. */
static inline int64_t mn_lora_b_offset(const struct mn_lora *lora, int p)
{
    int64_t offset = 0;
    for (int i = 0; i < p; i++) offset += (int64_t)lora->part[i].out * lora->part[i].rank;
    return offset;
}

/* Rows first_row … first_row+rows-1 of a batch whose rows carry different adapters. */
struct mn_lora_group {
    int first_row, rows;
    struct mn_lora lora; /* without dropout */
};

struct mn_linear_forward {
    mn_act *y;      /* (rows, out), row stride ldy */
    mn_act *swiglu; /* (rows, out/2) dense = swiglu_forward(y), ldy is out; NULL: not wanted */
    bool y_is_room; /* beside swiglu: what y holds afterwards does not matter */
    mn_act *u; /* (rows, rank) scale·dropout(x)·Aᵀ, kept for the backward pass; with groups theirs
                  one after another, each (its rows, its rank); NULL only without an adapter */
    const mn_act *x; /* (rows, in), row stride ldx */
    struct mn_weight weight;
    struct mn_lora lora;                /* of every row; parts 0 with groups */
    const struct mn_lora_group *groups; /* (group_count) on the host, ascending and apart; rows
                                           outside of them have no adapter */
    int group_count;
    int rows;
    int64_t ldx, ldy;
    void *workspace;
};
typedef size_t mn_linear_forward_workspace_fn(const struct mn_linear_forward *args);
typedef mn_status mn_linear_forward_op_fn(const struct mn_linear_forward *args, mn_stream s);

struct mn_linear_backward {
    mn_act *dx; /* (rows, in) dense = dy·W + mask∘(scale·dy·B·A)/(1-p); NULL: not needed */
    float *da;  /* (rank, in) += ; laid out as lora.a; NULL if parts == 0 */
    float *db;  /* += ; laid out as lora.b */
    const mn_act *dy; /* (rows, out), row stride ldy */
    const mn_act *x;  /* (rows, in) dense: the forward's input; NULL if parts == 0 */
    const mn_act *u;  /* (rows, rank): the forward's u */
    struct mn_weight weight;
    struct mn_lora lora;
    int rows;
    int64_t ldy;
    void *workspace;
};
typedef size_t mn_linear_backward_workspace_fn(const struct mn_linear_backward *args);
typedef mn_status mn_linear_backward_op_fn(const struct mn_linear_backward *args, mn_stream s);

/* --- attention -------------------------------------------------------------------------------- */

/* Query rows of sequence i see: the whole of its prefix (prefix_length[i] rows of the cache from
 * prefix_start[i]), then its own rows up to themselves. Softmax in fp32 (base e), scores times
 * `scale`. heads is a multiple of kv_heads; query head h reads kv head h / (heads/kv_heads).
 * head_dim 64 or 128 on CUDA, any even on the reference. */
struct mn_attention_shape {
    int heads, kv_heads, head_dim;
    float scale;
};

/* The ragged batch as attention sees it. Arrays on the device. */
struct mn_segments {
    int rows, sequences;
    int max_length;               /* longest own segment; the host knows it */
    const int32_t *offsets;       /* (sequences + 1) */
    const int32_t *prefix_start;  /* (sequences) rows of the cache; NULL: no prefixes */
    const int32_t *prefix_length; /* (sequences) */
    int max_prefix;               /* longest prefix; 0: none */
};

struct mn_attention_forward {
    mn_act *out; /* (rows, heads*head_dim) dense */
    float *lse;  /* (rows, heads) natural-log sum of exp of the scaled scores; NULL: not needed */
    const mn_act
        *qkv; /* (rows, (heads + 2*kv_heads)*head_dim) dense, rotated: queries, keys, values */
    const mn_act *cache_k,
        *cache_v; /* (cache rows, kv_heads*head_dim) of this layer; NULL without prefixes */
    struct mn_segments segments;
    struct mn_attention_shape shape;
    void *workspace;
};
typedef size_t mn_attention_forward_workspace_fn(const struct mn_attention_forward *args);
typedef mn_status mn_attention_forward_op_fn(const struct mn_attention_forward *args, mn_stream s);

/* Without prefixes (training). */
struct mn_attention_backward {
    mn_act *dqkv; /* as qkv; every element is written */
    const mn_act *dout, *out, *qkv;
    const float *lse;
    struct mn_segments segments;
    struct mn_attention_shape shape;
    void *workspace;
};
typedef size_t mn_attention_backward_workspace_fn(const struct mn_attention_backward *args);
typedef mn_status mn_attention_backward_op_fn(const struct mn_attention_backward *args,
                                              mn_stream s);

/* cache_k[slot[r]] = key of row r, cache_v likewise. qkv as above; slot (rows) in 0 … cache rows-1,
 * distinct. */
typedef mn_status mn_cache_write_fn(mn_act *cache_k, mn_act *cache_v, const mn_act *qkv,
                                    const int32_t *slot, int rows, struct mn_attention_shape shape,
                                    mn_stream s);

/* One query a row: keys are its prefix, then its own extent of the cache, which already holds the
 * row itself. */
struct mn_attention_decode {
    mn_act *out;       /* (rows, heads*head_dim) */
    const mn_act *qkv; /* (rows, (heads + 2*kv_heads)*head_dim): only the queries are read */
    const mn_act *cache_k, *cache_v;             /* (cache rows, kv_heads*head_dim) */
    const int32_t *start, *length;               /* (rows) own extent */
    const int32_t *prefix_start, *prefix_length; /* (rows); NULL: no prefixes */
    int rows;
    int max_length; /* of prefix_length + length: an upper bound, so that a captured step can be
                       replayed */
    struct mn_attention_shape shape;
    void *workspace;
};
typedef size_t mn_attention_decode_workspace_fn(const struct mn_attention_decode *args);
typedef mn_status mn_attention_decode_op_fn(const struct mn_attention_decode *args, mn_stream s);

/* --- logits ----------------------------------------------------------------------------------- */

/* loss (rows) = -log softmax(logits)[target], then logits become their gradient times `scale`.
 * targets (rows). */
typedef mn_status mn_cross_entropy_fn(float *loss, mn_act *logits, const int32_t *targets, int rows,
                                      int vocab, float scale, mn_stream s);
/* out (rows, k) = log softmax(logits)[targets (rows, k)]. */
typedef mn_status mn_token_logprobs_fn(float *out, const mn_act *logits, const int32_t *targets,
                                       int rows, int vocab, int k, mn_stream s);
/* ids (rows) = argmax (lowest id wins ties) when temperature is 0; else argmax of
 * logits/temperature + Gumbel noise -log(-log(uniform)) with uniform = mn_random_uniform(seed,
 * mn_stream_id(MN_RANDOM_SAMPLE, sequence[r]), step[r] * vocab + id). logprob (rows) = log
 * softmax(logits)[id], without the temperature. sequence, step (rows). */
typedef mn_status mn_sample_fn(int32_t *ids, float *logprob, const mn_act *logits,
                               const int32_t *sequence, const int32_t *step, int rows, int vocab,
                               float temperature, uint64_t seed, mn_stream s);

/* --- optimizer -------------------------------------------------------------------------------- */

/* out (1) = sum of x^2 over count elements, in a fixed order, in fp64. */
typedef size_t mn_sum_squares_workspace_fn(int64_t count);
typedef mn_status mn_sum_squares_fn(double *out, const float *x, int64_t count, void *workspace,
                                    mn_stream s);

/* AdamW (Loshchilov & Hutter 2019) as PyTorch computes it, after clipping by max_norm / (norm +
 * 1e-6) when norm exceeds max_norm > 0, norm = sqrt(*grad_squares). shadow is the 16-bit (or fp32)
 * copy the forward reads. */
struct mn_adamw {
    float *master, *m, *v; /* (count) */
    mn_act *shadow;        /* (count) */
    const float *gradient; /* (count) */
    const double *grad_squares;
    int64_t count;
    float lr, beta1, beta2, epsilon, weight_decay, max_norm;
    int64_t step; /* 1 at the first update: bias correction */
};
typedef mn_status mn_adamw_op_fn(const struct mn_adamw *args, mn_stream s);

/* --- NF4 (Dettmers et al. 2023), as bitsandbytes computes it
 * --------------------------------------------------------- */

/* codes (count/2), absmax (count/64) from count values; count is a multiple of 64. */
typedef mn_status mn_nf4_quantize_fn(uint8_t *codes, float *absmax, const mn_act *in, int64_t count,
                                     mn_stream s);
/* Values rounded to bf16 on every device. */
typedef mn_status mn_nf4_dequantize_fn(mn_act *out, const uint8_t *codes, const float *absmax,
                                       int64_t count, mn_stream s);

/* --- the table -------------------------------------------------------------------------------- */

/* X(slot, type): slot `rmsnorm_forward`, mn_ref_rmsnorm_forward, mn_cuda_rmsnorm_forward. */
#define MN_OPS_LIST(X)                                                                             \
    X(load_convert, mn_load_convert_fn)                                                            \
    X(store_convert, mn_store_convert_fn)                                                          \
    X(random_normal, mn_random_normal_fn)                                                          \
    X(embed_forward, mn_embed_forward_fn)                                                          \
    X(gather_rows, mn_gather_rows_fn)                                                              \
    X(scatter_rows, mn_scatter_rows_fn)                                                            \
    X(rmsnorm_forward, mn_rmsnorm_forward_fn)                                                      \
    X(add_rmsnorm_forward, mn_add_rmsnorm_forward_fn)                                              \
    X(rmsnorm_backward, mn_rmsnorm_backward_fn)                                                    \
    X(rope, mn_rope_fn)                                                                            \
    X(swiglu_forward, mn_swiglu_forward_fn)                                                        \
    X(swiglu_backward, mn_swiglu_backward_fn)                                                      \
    X(linear_forward_workspace, mn_linear_forward_workspace_fn)                                    \
    X(linear_forward, mn_linear_forward_op_fn)                                                     \
    X(linear_backward_workspace, mn_linear_backward_workspace_fn)                                  \
    X(linear_backward, mn_linear_backward_op_fn)                                                   \
    X(attention_forward_workspace, mn_attention_forward_workspace_fn)                              \
    X(attention_forward, mn_attention_forward_op_fn)                                               \
    X(attention_backward_workspace, mn_attention_backward_workspace_fn)                            \
    X(attention_backward, mn_attention_backward_op_fn)                                             \
    X(cache_write, mn_cache_write_fn)                                                              \
    X(attention_decode_workspace, mn_attention_decode_workspace_fn)                                \
    X(attention_decode, mn_attention_decode_op_fn)                                                 \
    X(cross_entropy, mn_cross_entropy_fn)                                                          \
    X(token_logprobs, mn_token_logprobs_fn)                                                        \
    X(sample, mn_sample_fn)                                                                        \
    X(sum_squares_workspace, mn_sum_squares_workspace_fn)                                          \
    X(sum_squares, mn_sum_squares_fn)                                                              \
    X(adamw, mn_adamw_op_fn)                                                                       \
    X(nf4_quantize, mn_nf4_quantize_fn)                                                            \
    X(nf4_dequantize, mn_nf4_dequantize_fn)

struct mn_ops {
#define MN_OPS_SLOT(slot, type) type *slot;
    MN_OPS_LIST(MN_OPS_SLOT)
#undef MN_OPS_SLOT
};

#define MN_OPS_REFERENCE(slot, type) type mn_ref_##slot;
MN_OPS_LIST(MN_OPS_REFERENCE)
#undef MN_OPS_REFERENCE

#define MN_OPS_CUDA(slot, type) type mn_cuda_##slot;
MN_OPS_LIST(MN_OPS_CUDA)
#undef MN_OPS_CUDA

extern const struct mn_ops mn_ref_ops;
extern const struct mn_ops mn_cuda_ops; /* only in builds with the CUDA toolkit */

/* Attention by cuDNN, only in builds that have it (MN_WITH_CUDNN): mn_cuda_ops but for these slots.
 * cuDNN has no shared prefixes and no decoding as we need them: calls with prefixes, and
 * attention_decode, are our own kernels' in this table too. Its backward sums dq in any order: the
 * same call twice may differ in the last bits. */
extern const struct mn_ops mn_cuda_cudnn_ops;
mn_attention_forward_workspace_fn mn_cudnn_attention_forward_workspace;
mn_attention_forward_op_fn mn_cudnn_attention_forward;
mn_attention_backward_workspace_fn mn_cudnn_attention_backward_workspace;
mn_attention_backward_op_fn mn_cudnn_attention_backward;

/* --- argument checks, shared by both devices
 * ------------------------------------------------------------------------ */

MN_CHECKED mn_status mn_check_rows(const char *op, int rows, int dim, int64_t ld);
MN_CHECKED mn_status mn_check_vocab(const char *op, int rows, int vocab);
MN_CHECKED mn_status mn_check_rope(int rows, int heads, int head_dim, int64_t ldx, int direction);
MN_CHECKED mn_status mn_check_linear_forward(const struct mn_linear_forward *args);
MN_CHECKED mn_status mn_check_linear_backward(const struct mn_linear_backward *args);
MN_CHECKED mn_status mn_check_attention(const char *op, const struct mn_segments *segments,
                                        const struct mn_attention_shape *shape);
MN_CHECKED mn_status mn_check_attention_decode(const struct mn_attention_decode *args);
MN_CHECKED mn_status mn_check_adamw(const struct mn_adamw *args);
MN_CHECKED mn_status mn_check_nf4(const char *op, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
