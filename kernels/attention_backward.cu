/* attention_backward.cu: dQ, dK and dV of causal attention over ragged sequences, without atomics.
 *
 * Probabilities are recomputed from the saved log-sum-exp (Dao 2023). One kernel owns a key tile
 * and walks the query tiles below it: dK and dV, summed over the heads of the group in registers.
 * Another owns a query tile and walks its keys: dQ. Scores and dP are computed in both, 7 products
 * instead of 5: the price of a fixed order of summation and of no dQ in fp32. delta = rowsum(dout *
 * out) is computed first, into the workspace. */
#include "attention_backward.cuh"

namespace
{

/* One warp a (row, head). */
__global__ void attention_delta_kernel(float *delta, const __nv_bfloat16 *dout,
                                       const __nv_bfloat16 *out, int64_t count, int head_dim)
{
    const int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    const int lane = threadIdx.x % WARP;
    if (i >= count) return;
    float sum = 0.0f;
    for (int c = 2 * lane; c < head_dim; c += 2 * WARP) {
        float2 a =
            __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(dout + i * head_dim + c));
        float2 b =
            __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162 *>(out + i * head_dim + c));
        sum += a.x * b.x + a.y * b.y;
    }
    sum = warp_sum(sum);
    if (lane == 0) delta[i] = sum;
}

/* What both kernels know of their sequence and kv head. */
template <int HD> struct backward_view {
    int begin, length, group;
    int64_t ld; /* of qkv */
    key_rows keys;

    __device__ backward_view(const backward_args &args, int sequence, int kv)
    {
        const mn_attention_shape &shape = args.op.shape;
        begin = args.op.segments.offsets[sequence];
        length = args.op.segments.offsets[sequence + 1] - begin;
        group = shape.heads / shape.kv_heads;
        ld = (int64_t)(shape.heads + 2 * shape.kv_heads) * HD;
        const __nv_bfloat16 *k = bf16(args.op.qkv) + begin * ld + (int64_t)(shape.heads + kv) * HD;
        keys = {NULL, NULL, k, k + (int64_t)shape.kv_heads * HD, 0, ld, 0, length};
    }
    __device__ packed_rows queries(int kv, int q0) const /* in qkv and dqkv */
    {
        return {begin * ld + (int64_t)kv * group * HD, ld, q0, length, group};
    }
    __device__ packed_rows outputs(const mn_attention_shape &shape, int kv,
                                   int q0) const /* in out and dout */
    {
        return {((int64_t)begin * shape.heads + kv * group) * HD, (int64_t)shape.heads * HD, q0,
                length, group};
    }
};

/* Block = (key tile, kv head, sequence), a warp its 16 keys. Everything is transposed: rows are
 * keys, columns queries, PART of them at a time, for dK and dV take half of the registers. */
template <int HD>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_backward_kv_kernel(const backward_args args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    __shared__ row_facts<TILE> facts[2];
    constexpr uint32_t TILE_BYTES = TILE * HD * 2;
    constexpr int PART = HD == 128 ? 32 : 64;
    const mn_attention_shape shape = args.op.shape;
    const int kv = blockIdx.y,
              key0 = blockIdx.x * TILE; /* the first key tile has the most queries */
    const backward_view<HD> view(args, blockIdx.z, kv);
    if (key0 >= view.length) return;

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, tokens = tile_tokens(view.group);
    const uint32_t k_tile = shared_address(shared), v_tile = k_tile + TILE_BYTES,
                   stages = v_tile + TILE_BYTES;
    const int first = key0 / tokens, last = (view.length - 1) / tokens;
    auto load_queries = [&](int tile) {
        const packed_rows outputs = view.outputs(shape, kv, tile * tokens);
        uint32_t stage = stages + (tile & 1) * 2 * TILE_BYTES;
        load_packed<HD>(stage, bf16(args.op.qkv), view.queries(kv, tile * tokens));
        load_packed<HD>(stage + TILE_BYTES, bf16(args.op.dout), outputs);
        if (threadIdx.x < TILE) load_fact<HD>(facts[tile & 1], threadIdx.x, args, outputs, tokens);
        copy_async_commit();
    };

    float dk[HD / 8][4] = {}, dv[HD / 8][4] = {};
    const float scale_log2 = shape.scale * LOG2E;
    const int key = key0 + 16 * warp + lane / 4; /* and key + 8 */
    load_keys<HD>(k_tile, v_tile, view.keys, key0);
    load_queries(first);
    for (int tile = first; tile <= last; tile++) {
        if (tile < last) {
            load_queries(tile + 1);
            copy_async_wait<1>();
        } else {
            copy_async_wait<0>();
        }
        __syncthreads(); /* tile and facts have arrived */
        const uint32_t q_tile = stages + (tile & 1) * 2 * TILE_BYTES, do_tile = q_tile + TILE_BYTES;
#pragma unroll 1
        for (int r0 = 0; r0 < TILE; r0 += PART) {
            float p[PART / 8][4], ds[PART / 8][4];
            product_rows<HD, PART>(p, k_tile, 16 * warp, q_tile, r0, lane);
#pragma unroll
            for (int n = 0; n < PART / 8; n++)
#pragma unroll
                for (int c = 0; c < 4; c++) {
                    int r = r0 + 8 * n + 2 * (lane & 3) + (c & 1);
                    bool seen = key + 8 * (c >> 1) <= facts[tile & 1].token[r];
                    p[n][c] =
                        seen ? exp2_fast(p[n][c] * scale_log2 - facts[tile & 1].lse[r]) : 0.0f;
                }
            product_columns<HD, PART>(dv, p, do_tile, r0, lane);
            product_rows<HD, PART>(ds, v_tile, 16 * warp, do_tile, r0, lane);
#pragma unroll
            for (int n = 0; n < PART / 8; n++)
#pragma unroll
                for (int c = 0; c < 4; c++)
                    ds[n][c] =
                        p[n][c] *
                        (ds[n][c] - facts[tile & 1].delta[r0 + 8 * n + 2 * (lane & 3) + (c & 1)]);
            product_columns<HD, PART>(dk, ds, q_tile, r0, lane);
        }
        __syncthreads(); /* this stage may be overwritten now */
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        if (key + 8 * half >= view.length) continue;
        __nv_bfloat16 *to = bf16(args.op.dqkv) + (view.begin + key + 8 * half) * view.ld +
                            (int64_t)(shape.heads + kv) * HD;
        store_row<HD>(to, dk, half, shape.scale, lane);
        store_row<HD>(to + (int64_t)shape.kv_heads * HD, dv, half, 1.0f, lane);
    }
}

/* Block = (tile of packed query rows, kv head, sequence), a warp its 16 rows. */
template <int HD>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_backward_q_kernel(const backward_args args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    __shared__ row_facts<TILE> facts;
    constexpr uint32_t TILE_BYTES = TILE * HD * 2;
    const mn_attention_shape shape = args.op.shape;
    const int kv = blockIdx.y;
    const backward_view<HD> view(args, blockIdx.z, kv);
    const int tokens = tile_tokens(view.group), q0 = (int)(gridDim.x - 1 - blockIdx.x) * tokens;
    if (q0 >= view.length) return;

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const uint32_t q_tile = shared_address(shared), do_tile = q_tile + TILE_BYTES,
                   stages = do_tile + TILE_BYTES;
    const int tiles = (min(q0 + tokens, view.length) - 1) / TILE + 1;
    auto load_stage = [&](int tile) {
        const uint32_t stage = stages + (tile & 1) * 2 * TILE_BYTES;
        load_keys<HD>(stage, stage + TILE_BYTES, view.keys, tile * TILE);
        copy_async_commit();
    };

    float dq[HD / 8][4] = {}, p[TILE / 8][4], ds[TILE / 8][4];
    const float scale_log2 = shape.scale * LOG2E;
    const int row = 16 * warp + lane / 4; /* and row + 8 */
    load_packed<HD>(q_tile, bf16(args.op.qkv), view.queries(kv, q0));
    load_packed<HD>(do_tile, bf16(args.op.dout), view.outputs(shape, kv, q0));
    if (threadIdx.x < TILE)
        load_fact<HD>(facts, threadIdx.x, args, view.outputs(shape, kv, q0), tokens);
    load_stage(0);
    for (int tile = 0; tile < tiles; tile++) {
        if (tile + 1 < tiles) {
            load_stage(tile + 1);
            copy_async_wait<1>();
        } else {
            copy_async_wait<0>();
        }
        __syncthreads(); /* every thread's part of this tile has arrived */
        const uint32_t k_tile = stages + (tile & 1) * 2 * TILE_BYTES;
        product_rows<HD, TILE>(p, q_tile, 16 * warp, k_tile, 0, lane);
        product_rows<HD, TILE>(ds, do_tile, 16 * warp, k_tile + TILE_BYTES, 0, lane);
#pragma unroll
        for (int n = 0; n < TILE / 8; n++)
#pragma unroll
            for (int c = 0; c < 4; c++) {
                int r = row + 8 * (c >> 1), key = tile * TILE + 8 * n + 2 * (lane & 3) + (c & 1);
                float probability =
                    key <= facts.token[r] ? exp2_fast(p[n][c] * scale_log2 - facts.lse[r]) : 0.0f;
                ds[n][c] = probability * (ds[n][c] - facts.delta[r]);
            }
        product_columns<HD, TILE>(dq, ds, k_tile, 0, lane);
        __syncthreads(); /* this stage may be overwritten now */
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int64_t offset;
        int token;
        if (packed_row(view.queries(kv, q0), row + 8 * half, HD, &offset, &token))
            store_row<HD>(bf16(args.op.dqkv) + offset, dq, half, shape.scale, lane);
    }
}

mn_status launch_delta(const backward_args &args, mn_stream s)
{
    enum { THREADS = 256 };
    const mn_attention_backward &op = args.op;
    const int64_t count = (int64_t)op.segments.rows * op.shape.heads;
    attention_delta_kernel<<<(unsigned)((count * WARP + THREADS - 1) / THREADS), THREADS, 0,
                             s->stream>>>(args.delta, bf16(op.dout), bf16(op.out), count,
                                          op.shape.head_dim);
    return launched("attention_backward");
}

template <int HD> mn_status launch_backward(const backward_args &args, mn_stream s)
{
    constexpr int SHARED = 6 * TILE * HD * 2;
    const unsigned kv_heads = (unsigned)args.op.shape.kv_heads,
                   sequences = (unsigned)args.op.segments.sequences;
    const int tokens = tile_tokens(args.op.shape.heads / args.op.shape.kv_heads),
              longest = args.op.segments.max_length;
    MN_TRY(allow_shared((const void *)attention_backward_kv_kernel<HD>, SHARED));
    MN_TRY(allow_shared((const void *)attention_backward_q_kernel<HD>, SHARED));
    attention_backward_kv_kernel<HD><<<dim3((unsigned)ceil_div(longest, TILE), kv_heads, sequences),
                                       ATTENTION_THREADS, SHARED, s->stream>>>(args);
    attention_backward_q_kernel<HD>
        <<<dim3((unsigned)ceil_div(longest, tokens), kv_heads, sequences), ATTENTION_THREADS,
           SHARED, s->stream>>>(args);
    return launched("attention_backward");
}

} // namespace

extern "C" size_t mn_cuda_attention_backward_workspace(const mn_attention_backward *args)
{
    return (size_t)args->segments.rows * (size_t)args->shape.heads * sizeof(float);
}

extern "C" mn_status mn_cuda_attention_backward(const mn_attention_backward *args, mn_stream s)
{
    MN_TRY(mn_check_attention("attention_backward", &args->segments, &args->shape));
    if (args->segments.rows == 0) return MN_OK;
    MN_TRY(check_attention_dim("attention_backward", &args->shape));
    const backward_args with_delta = {*args, static_cast<float *>(args->workspace)};
    MN_TRY(launch_delta(with_delta, s));
    if (s->hopper && attention_backward_sm90_fits(&args->shape))
        return attention_backward_sm90(with_delta, s);
    return args->shape.head_dim == 64 ? launch_backward<64>(with_delta, s)
                                      : launch_backward<128>(with_delta, s);
}
