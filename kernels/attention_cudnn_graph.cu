/* attention_cudnn_graph.cu: causal attention and its gradients as graphs that cuDNN's fused engines
 * recognise: the formula with every product, mask and sum spelled out, in the order and with the
 * types that they look for (those of NVIDIA's cudnn-frontend, nodes sdpa and sdpa_backward). What
 * is virtual never reaches memory. */
#include "attention_cudnn_graph.cuh"

namespace
{

const cudnnDataType_t F32 = CUDNN_DATA_FLOAT, BF16 = CUDNN_DATA_BFLOAT16, I32 = CUDNN_DATA_INT32,
                      BOOLEAN = CUDNN_DATA_BOOLEAN;

/* The graph under construction, and the tensors that both directions have. */
struct attention {
    struct graph g;
    const struct attention_key *key;
    struct graph_layout scores, rows; /* (sequences, heads, length, length or 1) */
    graph_node lengths, qkv_offsets, out_offsets, kv_offsets, lse_offsets; /* NULL: not ragged */
    graph_node q, k_columns, scale, hidden;
};

/* (sequences, heads, length, cols) in rows of `width` elements; heads lie side by side. */
graph_layout rows_of(const attention_key *key, int heads, int64_t cols, int64_t width)
{
    return {{key->sequences, heads, key->length, cols}, {key->length * width, cols, width, 1}};
}

/* The same with length and cols exchanged. */
graph_layout columns_of(const attention_key *key, int heads, int64_t cols, int64_t width)
{
    return {{key->sequences, heads, cols, key->length}, {key->length * width, cols, 1, width}};
}

int64_t qkv_width(const attention_key *key)
{
    return (int64_t)(key->heads + 2 * key->kv_heads) * key->head_dim;
}

/* Sequences, then heads, then rows: cuDNN's own order for what only it reads. */
graph_layout heads_first(const attention_key *key, int64_t cols)
{
    const int64_t s = key->length, h = key->heads;
    return {{key->sequences, h, s, cols}, {h * s * cols, s * cols, cols, 1}};
}

graph_node offsets_of(attention *a, int64_t uid)
{
    const graph_layout layout = {{a->key->sequences + 1, 1, 1, 1}, {1, 1, 1, 1}};
    return a->key->ragged ? graph_tensor(&a->g, uid, CUDNN_DATA_INT64, &layout, NULL) : NULL;
}

void start(attention *a, const attention_key *key)
{
    const graph_layout one_each = {{key->sequences, 1, 1, 1}, {1, 1, 1, 1}};
    *a = {};
    a->g.op = key->backward ? "attention_backward" : "attention_forward";
    a->key = key;
    a->scores = heads_first(key, key->length);
    a->rows = heads_first(key, 1);
    a->qkv_offsets = offsets_of(a, UID_QKV_OFFSETS);
    a->out_offsets = offsets_of(a, UID_OUT_OFFSETS);
    a->lse_offsets = offsets_of(a, UID_LSE_OFFSETS);
    if (kv_apart(key)) a->kv_offsets = offsets_of(a, UID_KV_OFFSETS);
    if (key->ragged) a->lengths = graph_tensor(&a->g, UID_LENGTHS, I32, &one_each, NULL);
    const graph_layout q = rows_of(key, key->heads, key->head_dim, qkv_width(key)),
                       k = columns_of(key, key->kv_heads, key->head_dim, qkv_width(key));
    a->q = graph_tensor(&a->g, UID_Q, BF16, &q, a->qkv_offsets);
    a->k_columns = graph_tensor(&a->g, UID_K, BF16, &k, a->qkv_offsets);
    a->scale = graph_scalar(&a->g, UID_SCALE);
    a->hidden = graph_scalar(&a->g, UID_HIDDEN);
}

graph_node scores(attention *a, cudnnDataType_t type)
{
    return graph_virtual(&a->g, type, &a->scores, NULL);
}

/* One operation between scores, or between scores and a value a row. */
graph_node combine(attention *a, cudnnPointwiseMode_t mode, graph_node x, graph_node b)
{
    return graph_pointwise(&a->g, mode, F32, scores(a, F32), x, b, NULL);
}

graph_node compare(attention *a, cudnnPointwiseMode_t mode, graph_node x, graph_node b)
{
    return graph_pointwise(&a->g, mode, BOOLEAN, scores(a, BOOLEAN), x, b, NULL);
}

graph_node position(attention *a, int64_t axis, graph_node x)
{
    return graph_index(&a->g, axis, scores(a, I32), x);
}

graph_node keep(attention *a, graph_node x, graph_node seen)
{
    return graph_pointwise(&a->g, CUDNN_POINTWISE_BINARY_SELECT, F32, scores(a, F32), x, a->hidden,
                           seen);
}

/* Rows and keys past a sequence's end are hidden. */
graph_node within_length(attention *a, graph_node x)
{
    if (!a->key->ragged) return x;
    graph_node row = position(a, 2, x), col = position(a, 3, x);
    graph_node row_in = compare(a, CUDNN_POINTWISE_CMP_LT, row, a->lengths);
    graph_node col_in = compare(a, CUDNN_POINTWISE_CMP_LT, col, a->lengths);
    return keep(a, x, compare(a, CUDNN_POINTWISE_LOGICAL_AND, row_in, col_in));
}

graph_node causal(attention *a, graph_node x)
{
    graph_node row = position(a, 2, x), col = position(a, 3, x);
    return keep(a, x, compare(a, CUDNN_POINTWISE_CMP_GE, row, col));
}

/* (sequences, heads, length, length) = a·b: every row of the sequence with every other. */
graph_node rows_by_rows(attention *a, graph_node x, graph_node columns)
{
    return graph_matmul(&a->g, scores(a, F32), x, columns, a->lengths, a->lengths, NULL);
}

graph_node a_row(attention *a)
{
    return graph_virtual(&a->g, F32, &a->rows, NULL);
}

/* --- forward: out = softmax(mask(scale · q·kᵀ)) · v, lse = max + log(sum) --- */

void describe_forward(attention *a)
{
    const attention_key *key = a->key;
    struct graph *g = &a->g;
    const graph_layout v = rows_of(key, key->kv_heads, key->head_dim, qkv_width(key)),
                       out = rows_of(key, key->heads, key->head_dim, key->heads * key->head_dim),
                       lse = rows_of(key, key->heads, 1, key->heads);
    graph_node values = graph_tensor(g, UID_V, BF16, &v, a->qkv_offsets);
    graph_node to = graph_tensor(g, UID_OUT, BF16, &out, a->out_offsets);
    graph_node stats = graph_tensor(g, UID_LSE, F32, &lse, a->lse_offsets);

    graph_node s = rows_by_rows(a, a->q, a->k_columns);
    s = causal(a, within_length(a, combine(a, CUDNN_POINTWISE_MUL, s, a->scale)));
    graph_node max = graph_reduce(g, CUDNN_REDUCE_TENSOR_MAX, a_row(a), s);
    graph_node less = combine(a, CUDNN_POINTWISE_SUB, s, max);
    graph_node e = combine(a, CUDNN_POINTWISE_EXP, less, NULL);
    graph_node sum = graph_reduce(g, CUDNN_REDUCE_TENSOR_ADD, a_row(a), e);
    graph_node log = graph_pointwise(g, CUDNN_POINTWISE_LOG, F32, a_row(a), sum, NULL, NULL);
    graph_pointwise(g, CUDNN_POINTWISE_ADD, F32, stats, max, log, NULL);
    graph_node p = graph_pointwise(g, CUDNN_POINTWISE_DIV, F32, scores(a, BF16), e, sum, NULL);
    graph_matmul(g, to, p, values, a->lengths, NULL, a->lengths);
}

/* --- backward: p = exp(mask(scale · q·kᵀ) - lse), ds = p ∘ (dout·vᵀ - delta) · scale --- */

/* delta (sequences, heads, length, 1) = rowsum(dout ∘ out), which cuDNN's first kernel leaves in
 * memory for the second. */
graph_node delta_of(attention *a, graph_node dout, graph_node out)
{
    struct graph *g = &a->g;
    const attention_key *key = a->key;
    graph_layout product = heads_first(key, key->head_dim);
    product.stride[2] = (int64_t)key->heads * key->head_dim;
    const graph_layout sum = key->ragged ? rows_of(key, key->heads, 1, key->heads) : a->rows;
    graph_node to = graph_tensor(g, UID_DELTA, F32, &sum, a->lse_offsets);
    graph_node both = graph_pointwise(g, CUDNN_POINTWISE_MUL, F32,
                                      graph_virtual(g, F32, &product, NULL), dout, out, NULL);
    graph_node one = graph_scalar(g, UID_ONE);
    graph_node rows = graph_reduce(g, CUDNN_REDUCE_TENSOR_ADD, a_row(a), both);
    return graph_pointwise(g, CUDNN_POINTWISE_MUL, F32, to, rows, one, NULL);
}

/* d (sequences, kv_heads, length, head_dim) = pᵀ·x, summed over the query heads of a kv head, which
 * lie in `heads_uid` until then. */
void gradient_of_keys(attention *a, int64_t uid, int64_t heads_uid, graph_node p, graph_node x)
{
    struct graph *g = &a->g;
    const attention_key *key = a->key;
    const int64_t d = key->head_dim;
    graph_layout turned = a->scores;
    turned.stride[2] = 1;
    turned.stride[3] = key->length;
    graph_node across = graph_reshape(g, graph_virtual(g, BF16, &turned, NULL), p);
    const bool apart = kv_apart(key);
    const graph_layout narrow =
        rows_of(key, key->kv_heads, d, apart ? key->kv_heads * d : qkv_width(key));
    graph_node to = graph_tensor(g, uid, BF16, &narrow, apart ? a->kv_offsets : a->qkv_offsets);
    if (key->heads == key->kv_heads) {
        graph_matmul(g, to, across, x, a->lengths, NULL, a->lengths);
        return;
    }
    const graph_layout packed = rows_of(key, key->heads, d, key->heads * d),
                       own = heads_first(key, d);
    graph_node heads = apart ? graph_tensor(g, heads_uid, BF16, &packed, a->out_offsets)
                             : graph_virtual(g, BF16, &own, NULL);
    graph_matmul(g, heads, across, x, a->lengths, NULL, a->lengths);
    graph_reduce(g, CUDNN_REDUCE_TENSOR_ADD, to, heads);
}

/* dq = ds·k, summed in fp32 by blocks of keys that finish in any order. The sum of a ragged batch
 * must lie as dq does: cuDNN finds both by dq's offsets and strides. */
void gradient_of_queries(attention *a, graph_node ds)
{
    struct graph *g = &a->g;
    const attention_key *key = a->key;
    const int64_t d = key->head_dim;
    const graph_layout k = rows_of(key, key->kv_heads, d, qkv_width(key)),
                       dq = rows_of(key, key->heads, d, qkv_width(key)),
                       apart = heads_first(key, d);
    graph_node keys = graph_reshape(g, graph_virtual(g, BF16, &k, a->qkv_offsets), a->k_columns);
    graph_node sum = graph_tensor(g, UID_DQ_SUM, F32, key->ragged ? &dq : &apart, a->qkv_offsets);
    graph_matmul(g, sum, ds, keys, a->lengths, NULL, a->lengths);
    graph_node to = graph_tensor(g, UID_DQ, BF16, &dq, a->qkv_offsets);
    graph_pointwise(g, CUDNN_POINTWISE_IDENTITY, F32, to, sum, NULL, NULL);
}

void describe_backward(attention *a)
{
    const attention_key *key = a->key;
    struct graph *g = &a->g;
    const int64_t d = key->head_dim;
    const graph_layout v = columns_of(key, key->kv_heads, d, qkv_width(key)),
                       out = rows_of(key, key->heads, d, key->heads * d),
                       lse = rows_of(key, key->heads, 1, key->heads);
    graph_node v_columns = graph_tensor(g, UID_V, BF16, &v, a->qkv_offsets);
    graph_node o = graph_tensor(g, UID_OUT, BF16, &out, a->out_offsets);
    graph_node dout = graph_tensor(g, UID_DOUT, BF16, &out, a->out_offsets);
    graph_node stats = graph_tensor(g, UID_LSE, F32, &lse, a->lse_offsets);

    graph_node delta = delta_of(a, dout, o);
    graph_node s = rows_by_rows(a, a->q, a->k_columns);
    s = within_length(a, combine(a, CUDNN_POINTWISE_MUL, s, a->scale));
    s = causal(a, combine(a, CUDNN_POINTWISE_SUB, s, stats));
    graph_node p = combine(a, CUDNN_POINTWISE_EXP, s, NULL);
    gradient_of_keys(a, UID_DV, UID_DV_HEADS, p, dout);
    graph_node dp = rows_by_rows(a, dout, v_columns);
    dp = combine(a, CUDNN_POINTWISE_SUB, dp, delta);
    graph_node ds = combine(a, CUDNN_POINTWISE_MUL, dp, p);
    ds = combine(a, CUDNN_POINTWISE_MUL, ds, a->scale);
    gradient_of_keys(a, UID_DK, UID_DK_HEADS, ds, a->q);
    gradient_of_queries(a, ds);
}

} // namespace

mn_status attention_plan(struct graph_plan *out, const struct attention_key *key,
                         cudnnHandle_t handle, graph_node properties)
{
    attention a;
    start(&a, key);
    if (key->backward)
        describe_backward(&a);
    else
        describe_forward(&a);
    return graph_plan(out, &a.g, handle, properties);
}
