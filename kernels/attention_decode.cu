/* attention_decode.cu: one new token a row against its prefix and its own extent of the cache.
 *
 * Bound by reading the cache: 4 * head_dim bytes a key and kv head, once for all heads of the
 * group, which share the 16 rows of a tensor-core tile. The keys of a row are cut into splits of a
 * fixed length; the four warps take 16 keys each of every shared tile, keep their own softmax, and
 * merge at the end of a split. Splits merge in order, so that a row's result does not depend on the
 * batch; a row of one split is written at once.
 *
 * Where rows are few, one block a (split, kv head, row) fills the chip, and another kernel merges.
 * Where they are many, one block a (kv head, row) goes through the splits and merges them itself:
 * the same sums in the same order, without blocks for the splits that a short row lacks. */
#include "attention.cuh"

namespace
{

enum { SPLIT = 128, STAGES = 2, GROUP_ROWS = 16 };
enum { MANY_BLOCKS = 8 }; /* blocks a multiprocessor, from which on rows alone fill the chip */

struct decode_args {
    mn_attention_decode op;
    int splits;
    int block_splits; /* that a block goes through: 1 or all */
    float *partial;   /* (rows, heads, splits, head_dim) normalized outputs of the splits */
    float *lse;       /* (rows, heads, splits) base 2; -INFINITY where a split has no keys */
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

/* What the warps found in a split, in shared memory: the merge reads all four. */
template <int HD> struct warp_results {
    float *o;         /* (warps, group, HD) */
    float *max, *sum; /* (warps, group) */
    __host__ __device__ static int bytes(int group)
    {
        return ATTENTION_WARPS * group * (HD + 2) * (int)sizeof(float);
    }
    __device__ warp_results(void *memory, int group)
        : o(static_cast<float *>(memory)), max(o + ATTENTION_WARPS * group * HD),
          sum(max + ATTENTION_WARPS * group)
    {
    }
};

template <int HD>
__device__ __forceinline__ void store_result(const warp_results<HD> &to,
                                             const float (&o)[HD / 8][4], const softmax_rows &state,
                                             int group)
{
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int head = lane / 4 + 8 * half;
        if (head >= group) continue;
#pragma unroll
        for (int n = 0; n < HD / 8; n++)
            *reinterpret_cast<float2 *>(
                &to.o[(warp * group + head) * HD + 8 * n + 2 * (lane & 3)]) =
                make_float2(o[n][2 * half], o[n][2 * half + 1]);
        if ((lane & 3) == 0) {
            to.max[warp * group + head] = state.max[half];
            to.sum[warp * group + head] = state.sum[half];
        }
    }
}

/* The split's output: the row's where it has no other, else a part. head0: the group's first. */
template <int HD>
__device__ __forceinline__ void write_split(const decode_args &args, const warp_results<HD> &from,
                                            int64_t head0, int group, int split)
{
    for (int i = threadIdx.x; i < group * HD; i += ATTENTION_THREADS) {
        const int head = i / HD, column = i % HD;
        float peak = -INFINITY, sum = 0.0f, value = 0.0f;
        for (int w = 0; w < ATTENTION_WARPS; w++) peak = fmaxf(peak, from.max[w * group + head]);
        for (int w = 0; w < ATTENTION_WARPS; w++) {
            const float weight = exp2f(from.max[w * group + head] - peak);
            sum += weight * from.sum[w * group + head];
            value += weight * from.o[(w * group + head) * HD + column];
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

/* One element of a row and head out of its first `count` splits. */
template <int HD>
__device__ __forceinline__ void merge_splits(const decode_args &args, int64_t head, int column,
                                             int count)
{
    const int64_t at = head * args.splits;
    float peak = -INFINITY, sum = 0.0f, value = 0.0f;
    for (int i = 0; i < count; i++) peak = fmaxf(peak, args.lse[at + i]);
    for (int i = 0; i < count; i++) {
        const float weight = exp2f(args.lse[at + i] - peak);
        if (weight == 0.0f) continue; /* a split without keys was never written */
        sum += weight;
        value += weight * args.partial[(at + i) * HD + column];
    }
    bf16(args.op.out)[head * HD + column] = __float2bfloat16_rn(value / sum);
}

template <int HD>
__global__ void __launch_bounds__(ATTENTION_THREADS) attention_decode_kernel(const decode_args args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    constexpr uint32_t TILE_BYTES = TILE * HD * 2;
    const mn_attention_shape shape = args.op.shape;
    const int group = shape.heads / shape.kv_heads, split = blockIdx.x * args.block_splits,
              kv = blockIdx.y, row = blockIdx.z;
    join_stream();
    const key_rows keys = row_keys<HD>(args.op, row, kv);
    const int first = split * SPLIT, end = min(first + args.block_splits * SPLIT, keys.count);
    const int64_t head0 = (int64_t)row * shape.heads + (int64_t)kv * group;
    if (first >= end) {
        if (args.splits > 1 && threadIdx.x < group)
            args.lse[(head0 + threadIdx.x) * args.splits + split] = -INFINITY;
        return;
    }

    const int tiles = (end - first + TILE - 1) / TILE;
    const uint32_t stages = shared_address(shared);
    const warp_results<HD> results(shared + STAGES * 2 * TILE_BYTES, group);
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
        const int key = first + tile * TILE, split_end = min(key / SPLIT * SPLIT + SPLIT, end);
        const bool ends = key + TILE >= split_end;
        load_stage(tile + STAGES - 1);
        copy_async_wait<STAGES - 1>();
        __syncthreads(); /* every thread's part of this tile has arrived */
        const uint32_t k_tile = stages + (tile % STAGES) * 2 * TILE_BYTES;
        attend<HD>(o, state, q, k_tile, k_tile + TILE_BYTES, key, split_end, shape.scale * LOG2E);
        if (ends) {
            softmax_end(state);
            store_result<HD>(results, o, state, group);
        }
        __syncthreads(); /* this stage may be overwritten now, and the results are there */
        if (!ends) continue;
        write_split<HD>(args, results, head0, group, key / SPLIT);
        state = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
#pragma unroll
        for (int n = 0; n < HD / 8; n++) o[n][0] = o[n][1] = o[n][2] = o[n][3] = 0.0f;
    }
    copy_async_wait<0>();
    if (args.block_splits == 1) return;
    __syncthreads(); /* every split's lse is written */
    for (int i = threadIdx.x; i < group * HD; i += ATTENTION_THREADS)
        merge_splits<HD>(args, head0 + i / HD, i % HD, (end + SPLIT - 1) / SPLIT);
}

/* Block = (row, head): the splits of a row, in order. */
template <int HD> __global__ void attention_merge_kernel(const decode_args args)
{
    join_stream();
    merge_splits<HD>(args, blockIdx.x, threadIdx.x, args.splits);
}

int split_count(const mn_attention_decode *op)
{
    return ceil_div(op->max_length, SPLIT);
}

template <int HD> mn_status launch_decode(const mn_attention_decode *op, mn_stream s)
{
    const int splits = split_count(op), group = op->shape.heads / op->shape.kv_heads;
    const int shared = STAGES * 2 * TILE * HD * 2 + warp_results<HD>::bytes(group);
    const int64_t outputs = (int64_t)op->rows * op->shape.heads;
    const bool many =
        (int64_t)op->rows * op->shape.kv_heads >= (int64_t)MANY_BLOCKS * s->multiprocessors;
    float *partial = static_cast<float *>(op->workspace);
    const decode_args args = {*op, splits, many ? splits : 1, partial,
                              partial + outputs * splits * HD};
    MN_TRY(allow_shared((const void *)attention_decode_kernel<HD>, shared));
    MN_TRY(launch_early(
        "attention_decode", attention_decode_kernel<HD>,
        dim3((unsigned)(many ? 1 : splits), (unsigned)op->shape.kv_heads, (unsigned)op->rows),
        ATTENTION_THREADS, (size_t)shared, s, args));
    if (splits == 1 || many) return MN_OK;
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
