/* attention_forward.cu: causal attention over ragged sequences, with an optional shared prefix in
 * the cache.
 *
 * One block a (tile of packed query rows, kv head, sequence); four warps of 16 rows. Keys and
 * values pass through two stages of shared memory, copied while the tile before is multiplied;
 * scores, probabilities and the output stay in registers (Dao 2023). Flops: 4 * head_dim a (query,
 * key) pair; a key tile is read once for all heads of its group. The longest tiles of a sequence
 * are started first, for they take longest. */
#include "attention.cuh"

namespace
{

template <int HD>
__device__ __forceinline__ key_rows sequence_keys(const mn_attention_forward &args, int sequence,
                                                  int kv)
{
    const mn_attention_shape &shape = args.shape;
    const int begin = args.segments.offsets[sequence],
              length = args.segments.offsets[sequence + 1] - begin;
    const int64_t ld = (int64_t)(shape.heads + 2 * shape.kv_heads) * HD,
                  prefix_ld = (int64_t)shape.kv_heads * HD;
    const __nv_bfloat16 *k = bf16(args.qkv) + begin * ld + (int64_t)(shape.heads + kv) * HD;
    key_rows keys = {NULL, NULL, k, k + prefix_ld, prefix_ld, ld, 0, length};
    if (args.segments.max_prefix) {
        const int64_t at = args.segments.prefix_start[sequence] * prefix_ld + kv * HD;
        keys.prefix_k = bf16(args.cache_k) + at;
        keys.prefix_v = bf16(args.cache_v) + at;
        keys.prefix = args.segments.prefix_length[sequence];
        keys.count += keys.prefix;
    }
    return keys;
}

template <int HD>
__global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_forward_kernel(const mn_attention_forward args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    constexpr uint32_t TILE_BYTES = TILE * HD * 2;
    const mn_attention_shape shape = args.shape;
    const int group = shape.heads / shape.kv_heads, kv = blockIdx.y, sequence = blockIdx.z;
    const int begin = args.segments.offsets[sequence],
              length = args.segments.offsets[sequence + 1] - begin;
    const int q0 = (int)(gridDim.x - 1 - blockIdx.x) * tile_tokens(group);
    if (q0 >= length) return;

    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int64_t ld = (int64_t)(shape.heads + 2 * shape.kv_heads) * HD;
    const packed_rows rows = {begin * ld + (int64_t)kv * group * HD, ld, q0, length, group};
    const key_rows keys = sequence_keys<HD>(args, sequence, kv);
    const int last_token = min(q0 + tile_tokens(group), length) - 1;
    const int tiles = (keys.prefix + last_token) / TILE + 1;

    const uint32_t q_tile = shared_address(shared);
    const uint32_t stages = q_tile + TILE_BYTES; /* stage s: keys, then values */
    auto load_stage = [&](int tile) {
        const uint32_t stage = stages + (tile & 1) * 2 * TILE_BYTES;
        load_keys<HD>(stage, stage + TILE_BYTES, keys, tile * TILE);
        copy_async_commit();
    };

    float o[HD / 8][4] = {}, s[TILE / 8][4], shrink[2];
    softmax_rows state = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
    const float scale_log2 = shape.scale * LOG2E;
    const int row = 16 * warp + lane / 4; /* and row + 8 */
    const int last_key[2] = {keys.prefix + q0 + row / group, keys.prefix + q0 + (row + 8) / group};

    load_packed<HD>(q_tile, bf16(args.qkv), rows);
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
        product_rows<HD, TILE>(s, q_tile, 16 * warp, k_tile, 0, lane);
        if (tile * TILE + TILE - 1 > keys.prefix + q0) { /* the diagonal; no key lies behind it */
#pragma unroll
            for (int n = 0; n < TILE / 8; n++)
#pragma unroll
                for (int c = 0; c < 4; c++)
                    if (tile * TILE + 8 * n + 2 * (lane & 3) + (c & 1) > last_key[c >> 1])
                        s[n][c] = -INFINITY;
        }
        softmax_step(state, shrink, s, scale_log2);
        rescale(o, shrink);
        product_columns<HD, TILE>(o, s, k_tile + TILE_BYTES, 0, lane);
        __syncthreads(); /* this stage may be overwritten now */
    }

    softmax_end(state);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int64_t offset;
        int t;
        const packed_rows out_rows = {((int64_t)begin * shape.heads + kv * group) * HD,
                                      (int64_t)shape.heads * HD, q0, length, group};
        if (!packed_row(out_rows, row + 8 * half, HD, &offset, &t)) continue;
        store_row<HD>(bf16(args.out) + offset, o, half, 1.0f / state.sum[half], lane);
        if (args.lse && (lane & 3) == 0)
            args.lse[offset / HD] = (state.max[half] + log2f(state.sum[half])) * LN2;
    }
}

template <int HD> mn_status launch_forward(const mn_attention_forward *args, mn_stream s)
{
    constexpr int SHARED = 5 * TILE * HD * 2;
    const int group = args->shape.heads / args->shape.kv_heads;
    MN_TRY(allow_shared((const void *)attention_forward_kernel<HD>, SHARED));
    const dim3 grid((unsigned)ceil_div(args->segments.max_length, tile_tokens(group)),
                    (unsigned)args->shape.kv_heads, (unsigned)args->segments.sequences);
    attention_forward_kernel<HD><<<grid, ATTENTION_THREADS, SHARED, s->stream>>>(*args);
    return launched("attention_forward");
}

} // namespace

extern "C" size_t mn_cuda_attention_forward_workspace(const mn_attention_forward *)
{
    return 0;
}

extern "C" mn_status mn_cuda_attention_forward(const mn_attention_forward *args, mn_stream s)
{
    MN_TRY(mn_check_attention("attention_forward", &args->segments, &args->shape));
    if (args->segments.rows == 0) return MN_OK;
    MN_TRY(check_attention_dim("attention_forward", &args->shape));
    if (s->hopper && attention_forward_sm90_fits(args)) return attention_forward_sm90(args, s);
    return args->shape.head_dim == 64 ? launch_forward<64>(args, s) : launch_forward<128>(args, s);
}
