/* attention_decode.cu: one new token a row against its prefix and its own extent of the cache.
 *
 * Bound by reading the cache: 4 * head_dim bytes a key and kv head, once for all heads of the
 * group, which share the 16 rows of a tensor-core tile. One block a (split of SPLIT keys, kv head,
 * row); the four warps take 16 keys each of every shared tile, keep their own softmax, and merge at
 * the end. Splits have a fixed length and merge in order, so that a row's result does not depend on
 * the batch; a row of one split is written at once. Three stages of copies are in flight. */
#include "attention.cuh"

namespace
{

enum { SPLIT = 128, STAGES = 3, GROUP_ROWS = 16 };

struct decode_args {
    mn_attention_decode op;
    int splits;
    float *partial; /* (rows, heads, splits, head_dim) normalized outputs of the splits */
    float *lse;     /* (rows, heads, splits) base 2; -INFINITY where a split has no keys */
};

template <int HD>
__device__ __forceinline__ key_rows row_keys(const mn_attention_decode &op, int row, int kv)
{
    const int64_t ld = (int64_t)op.shape.kv_heads * HD, at = op.start[row] * ld + kv * HD;
    key_rows keys = {NULL, NULL, bf16(op.cache_k) + at, bf16(op.cache_v) + at, ld,
                     ld,   0,    op.length[row]};
    if (op.prefix_start) {
        const int64_t prefix_at = op.prefix_start[row] * ld + kv * HD;
        keys.prefix_k = bf16(op.cache_k) + prefix_at;
        keys.prefix_v = bf16(op.cache_v) + prefix_at;
        keys.prefix = op.prefix_length[row];
        keys.count += keys.prefix;
    }
    return keys;
}

/* Query rows of the group as A operands, straight from global memory: row r is head kv * group + r,
 * zeros past it. */
template <int HD>
__device__ __forceinline__ void
load_queries(uint32_t (&q)[HD / 16][4], const mn_attention_decode &op, int row, int kv, int group)
{
    const int lane = threadIdx.x & 31;
    const int64_t ld = (int64_t)(op.shape.heads + 2 * op.shape.kv_heads) * HD;
    const __nv_bfloat16 *x = bf16(op.qkv) + row * ld + (int64_t)kv * group * HD;
#pragma unroll
    for (int k = 0; k < HD / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int head = lane / 4 + 8 * (i & 1), column = 16 * k + 2 * (lane & 3) + 8 * (i >> 1);
            q[k][i] =
                head < group ? *reinterpret_cast<const uint32_t *>(x + head * HD + column) : 0u;
        }
}

/* Scores of the warp's 16 keys, softmax, and their share of the output. */
template <int HD>
__device__ __forceinline__ void attend(float (&o)[HD / 8][4], softmax_rows &state,
                                       const uint32_t (&q)[HD / 16][4], uint32_t k_tile,
                                       uint32_t v_tile, int first_key, int count, float scale_log2)
{
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    float s[2][4] = {}, shrink[2];
#pragma unroll
    for (int k = 0; k < HD / 16; k++) {
        uint32_t b[4];
        load_b_rows<HD>(b, k_tile, 16 * warp, k, lane);
        mma_bf16(s[0], q[k], b[0], b[1]);
        mma_bf16(s[1], q[k], b[2], b[3]);
    }
#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            if (first_key + 16 * warp + 8 * n + 2 * (lane & 3) + (c & 1) >= count)
                s[n][c] = -INFINITY;
    softmax_step(state, shrink, s, scale_log2);
    rescale(o, shrink);
    product_columns<HD, 16>(o, s, v_tile, 16 * warp, lane);
}

/* What a warp found, in shared memory: the merge reads all four. */
template <int HD> struct warp_result {
    float o[GROUP_ROWS][HD];
    float max[GROUP_ROWS], sum[GROUP_ROWS];
};

template <int HD>
__device__ __forceinline__ void store_result(warp_result<HD> &to, const float (&o)[HD / 8][4],
                                             const softmax_rows &state, int group)
{
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int head = lane / 4 + 8 * half;
        if (head >= group) continue;
#pragma unroll
        for (int n = 0; n < HD / 8; n++)
            *reinterpret_cast<float2 *>(&to.o[head][8 * n + 2 * (lane & 3)]) =
                make_float2(o[n][2 * half], o[n][2 * half + 1]);
        if ((lane & 3) == 0) {
            to.max[head] = state.max[half];
            to.sum[head] = state.sum[half];
        }
    }
}

template <int HD>
__global__ void __launch_bounds__(ATTENTION_THREADS) attention_decode_kernel(const decode_args args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    constexpr uint32_t TILE_BYTES = TILE * HD * 2;
    const mn_attention_shape shape = args.op.shape;
    const int group = shape.heads / shape.kv_heads, split = blockIdx.x, kv = blockIdx.y,
              row = blockIdx.z;
    join_stream();
    const key_rows keys = row_keys<HD>(args.op, row, kv);
    const int first = split * SPLIT, end = min(first + SPLIT, keys.count);
    const int64_t head0 = (int64_t)row * shape.heads + (int64_t)kv * group;
    if (first >= end) {
        if (args.splits > 1 && threadIdx.x < group)
            args.lse[(head0 + threadIdx.x) * args.splits + split] = -INFINITY;
        return;
    }

    const int tiles = (end - first + TILE - 1) / TILE;
    const uint32_t stages = shared_address(shared);
    auto load_stage = [&](int tile) {
        const uint32_t stage = stages + (tile % STAGES) * 2 * TILE_BYTES;
        if (tile < tiles) load_keys<HD>(stage, stage + TILE_BYTES, keys, first + tile * TILE);
        copy_async_commit(); /* an empty group keeps the count */
    };
    uint32_t q[HD / 16][4];
    float o[HD / 8][4] = {};
    softmax_rows state = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
    for (int tile = 0; tile < STAGES - 1; tile++) load_stage(tile);
    load_queries<HD>(q, args.op, row, kv, group);
    for (int tile = 0; tile < tiles; tile++) {
        load_stage(tile + STAGES - 1);
        copy_async_wait<STAGES - 1>();
        __syncthreads(); /* every thread's part of this tile has arrived */
        const uint32_t k_tile = stages + (tile % STAGES) * 2 * TILE_BYTES;
        attend<HD>(o, state, q, k_tile, k_tile + TILE_BYTES, first + tile * TILE, end,
                   shape.scale * LOG2E);
        __syncthreads(); /* this stage may be overwritten now */
    }

    softmax_end(state);
    copy_async_wait<0>();
    warp_result<HD> *results =
        reinterpret_cast<warp_result<HD> *>(shared); /* the stages are done with */
    __syncthreads();
    store_result<HD>(results[threadIdx.x >> 5], o, state, group);
    __syncthreads();
    for (int i = threadIdx.x; i < group * HD; i += ATTENTION_THREADS) {
        const int head = i / HD, column = i % HD;
        float peak = -INFINITY, sum = 0.0f, value = 0.0f;
        for (int w = 0; w < ATTENTION_WARPS; w++) peak = fmaxf(peak, results[w].max[head]);
        for (int w = 0; w < ATTENTION_WARPS; w++) {
            const float weight = exp2f(results[w].max[head] - peak);
            sum += weight * results[w].sum[head];
            value += weight * results[w].o[head][column];
        }
        value /= sum;
        if (args.splits == 1) {
            bf16(args.op.out)[(head0 + head) * HD + column] = __float2bfloat16_rn(value);
        } else {
            const int64_t at = (head0 + head) * args.splits + split;
            args.partial[at * HD + column] = value;
            if (column == 0) args.lse[at] = peak + log2f(sum);
        }
    }
}

/* Block = (row, head): the splits of a row, in order. */
template <int HD> __global__ void attention_merge_kernel(const decode_args args)
{
    const int64_t at = (int64_t)blockIdx.x * args.splits;
    join_stream();
    float peak = -INFINITY, sum = 0.0f, value = 0.0f;
    for (int i = 0; i < args.splits; i++) peak = fmaxf(peak, args.lse[at + i]);
    for (int i = 0; i < args.splits; i++) {
        const float weight = exp2f(args.lse[at + i] - peak);
        if (weight == 0.0f) continue; /* a split without keys was never written */
        sum += weight;
        value += weight * args.partial[(at + i) * HD + threadIdx.x];
    }
    bf16(args.op.out)[(int64_t)blockIdx.x * HD + threadIdx.x] = __float2bfloat16_rn(value / sum);
}

int split_count(const mn_attention_decode *op)
{
    return ceil_div(op->max_length, SPLIT);
}

template <int HD> mn_status launch_decode(const mn_attention_decode *op, mn_stream s)
{
    constexpr int STAGE_BYTES = STAGES * 2 * TILE * HD * 2,
                  RESULT_BYTES = ATTENTION_WARPS * (int)sizeof(warp_result<HD>);
    constexpr int SHARED = STAGE_BYTES > RESULT_BYTES ? STAGE_BYTES : RESULT_BYTES;
    const int splits = split_count(op);
    float *partial = static_cast<float *>(op->workspace);
    const int64_t outputs = (int64_t)op->rows * op->shape.heads;
    const decode_args args = {*op, splits, partial, partial + outputs * splits * HD};
    MN_TRY(allow_shared((const void *)attention_decode_kernel<HD>, SHARED));
    MN_TRY(launch_early("attention_decode", attention_decode_kernel<HD>,
                        dim3((unsigned)splits, (unsigned)op->shape.kv_heads, (unsigned)op->rows),
                        ATTENTION_THREADS, SHARED, s, args));
    if (splits == 1) return MN_OK;
    return launch_early("attention_decode", attention_merge_kernel<HD>, (unsigned)outputs, HD, 0, s,
                        args);
}

} // namespace

extern "C" size_t mn_cuda_attention_decode_workspace(const mn_attention_decode *args)
{
    const int splits = split_count(args);
    return splits > 1 ? (size_t)args->rows * (size_t)args->shape.heads * (size_t)splits *
                            (size_t)(args->shape.head_dim + 1) * sizeof(float)
                      : 0;
}

extern "C" mn_status mn_cuda_attention_decode(const mn_attention_decode *args, mn_stream s)
{
    MN_TRY(mn_check_attention_decode(args));
    if (args->rows == 0) return MN_OK;
    MN_TRY(check_attention_dim("attention_decode", &args->shape));
    if (args->shape.heads / args->shape.kv_heads > GROUP_ROWS)
        return mn_fail(
            MN_UNSUPPORTED,
            "attention_decode: expected at most %d query heads a kv head on CUDA, found %d",
            (int)GROUP_ROWS, args->shape.heads / args->shape.kv_heads);
    return args->shape.head_dim == 64 ? launch_decode<64>(args, s) : launch_decode<128>(args, s);
}
