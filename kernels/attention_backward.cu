/* attention_backward.cu: dQ, dK and dV of causal attention over ragged sequences, without atomics
 * on numbers: every sum has one order.
 *
 * Probabilities are recomputed from the saved log-sum-exp (Dao 2023). One kernel owns a key tile
 * and walks the query tiles below it: dK and dV, summed over the heads of the group in registers.
 * Another owns a query tile and walks its keys: dQ. Scores and dP are computed in both, 7 products
 * instead of 5: the price of a fixed order and of no dQ in fp32, which Hopper need not pay
 * (attention_backward_sm90.cu). What all kernels need of the rows, log-sum-exp and delta =
 * rowsum(dout * out), is laid out first, in the workspace. */
#include "attention_backward.cuh"
#include "attention_schedule.cuh"

namespace
{

/* The last sequence that begins at the row or before: the one that has it. */
__device__ __forceinline__ int sequence_of(const mn_segments &segments, int row)
{
    int low = 0, high = segments.sequences;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (segments.offsets[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Facts of all packed rows: a lane takes eight elements of a (row, head). */
template <int HD>
__device__ __forceinline__ void find_facts(const backward_args &args, int64_t i, int64_t count)
{
    constexpr int LANES = HD / VECTOR;
    const int64_t packed = i / LANES; /* of (row, head) */
    float sum = 0.0f;
    if (packed < count) {
        float a[VECTOR], b[VECTOR];
        load8(a, bf16(args.op.dout) + i * VECTOR, VECTOR, true);
        load8(b, bf16(args.op.out) + i * VECTOR, VECTOR, true);
#pragma unroll
        for (int c = 0; c < VECTOR; c++) sum += a[c] * b[c];
    }
#pragma unroll
    for (int mask = LANES / 2; mask > 0; mask /= 2) sum += __shfl_xor_sync(~0u, sum, mask);
    if (packed >= count || i % LANES != 0) return;
    const int head = (int)(packed % args.op.shape.heads), row = (int)(packed / args.op.shape.heads),
              kv = head / args.group, sequence = sequence_of(args.op.segments, row),
              begin = args.op.segments.offsets[sequence];
    float *lse = args.facts + 2 * kv * args.facts_ld + fact_slot(begin, sequence, args.group) +
                 (int64_t)(row - begin) * args.group + head % args.group;
    lse[0] = args.op.lse[packed] * args.lse_factor;
    lse[args.facts_ld] = sum * args.delta_factor;
}

/* Zeros between the facts of sequences: tiles reach into them, and what is not a number would
 * outlive a probability of zero. */
__device__ void clear_gaps(const backward_args &args)
{
    const mn_segments &segments = args.op.segments;
    for (int i = threadIdx.x; i < segments.sequences; i += blockDim.x) {
        const int begin = segments.offsets[i], end = segments.offsets[i + 1];
        const int64_t next = fact_slot(end, i + 1, args.group);
        for (int64_t f = fact_slot(begin, i, args.group) + (int64_t)(end - begin) * args.group;
             f < next; f++)
            for (int r = 0; r < 2 * args.op.shape.kv_heads; r++)
                args.facts[r * args.facts_ld + f] = 0.0f;
    }
}

/* One block: key blocks in the order of the schedule, a warp every few of them. */
__device__ void plan_blocks(const backward_args &args, const schedule &plan)
{
    const int warp = threadIdx.x / WARP, warps = blockDim.x / WARP, lane = threadIdx.x % WARP,
              kv_heads = args.op.shape.kv_heads, tokens = TILE / args.group;
    section_walk walk = {};
    walk.enter(args.op.segments, plan, kv_heads);
    item it;
    for (int number = warp; walk.find(&it, number, args.op.segments, plan, kv_heads);
         number += warps) {
        const int block = (it.length - 1) / KEY_BLOCK - it.level;
        if (lane == 0)
            args.blocks[number] = {0,
                                   it.begin,
                                   it.length,
                                   it.kv,
                                   block,
                                   block * (KEY_BLOCK / tokens),
                                   (it.length - 1) / tokens,
                                   tile_slot(it.begin, it.sequence, tokens),
                                   (int)fact_slot(it.begin, it.sequence, args.group)};
    }
    if (threadIdx.x == 0) {
        *args.drawn = 0;
        *args.count = walk.before + walk.count;
    }
}

/* What the other kernels start from. The first block plans, where a plan is wanted. flags: how many
 * are cleared, fewer than there are threads. */
template <int HD>
__global__ void attention_facts_kernel(const backward_args args, const schedule plan, int64_t count,
                                       int64_t flags)
{
    const int planners = plan.blocks > 0 ? 1 : 0;
    if ((int)blockIdx.x < planners) {
        clear_gaps(args);
        plan_blocks(args, plan);
        return;
    }
    const int64_t i = ((int64_t)blockIdx.x - planners) * blockDim.x + threadIdx.x;
    if (i < flags) args.flags[i] = 0;
    find_facts<HD>(args, i, count);
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
        uint32_t stage = stages + (tile & 1) * 2 * TILE_BYTES;
        load_packed<HD>(stage, bf16(args.op.qkv), view.queries(kv, tile * tokens));
        load_packed<HD>(stage + TILE_BYTES, bf16(args.op.dout),
                        view.outputs(shape, kv, tile * tokens));
        if (threadIdx.x < TILE)
            load_fact(facts[tile & 1], threadIdx.x, args, blockIdx.z, kv, view.begin, view.length,
                      tile * tokens);
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
        load_fact(facts, threadIdx.x, args, blockIdx.z, kv, view.begin, view.length, q0);
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

template <int HD> mn_status launch_facts(const backward_args &args, bool planned, mn_stream s)
{
    enum { THREADS = 256 };
    const mn_segments &segments = args.op.segments;
    const int64_t count = (int64_t)segments.rows * args.op.shape.heads;
    const schedule plan = make_schedule(NULL, &segments, args.op.shape.kv_heads, KEY_BLOCK, 4,
                                        planned ? s->multiprocessors : 0);
    const unsigned blocks = (unsigned)((count * (HD / VECTOR) + THREADS - 1) / THREADS) + planned;
    attention_facts_kernel<HD><<<blocks, THREADS, 0, s->stream>>>(
        args, plan, count, planned ? (int64_t)dq_tiles(&args.op) : 0);
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

/* The arrays of the workspace, and its end. A workspace is planned for the largest batch without
 * its lengths, so its size depends on rows, sequences and the longest length alone. */
size_t lay_out(backward_args *args, const mn_attention_backward &op)
{
    const size_t kv_heads = (size_t)op.shape.kv_heads, tiles = dq_tiles(&op),
                 blocks = (size_t)key_blocks(op.segments.rows, op.segments.sequences) * kv_heads;
    size_t end = 0;
    auto take = [&](size_t bytes) {
        void *at = static_cast<char *>(op.workspace) + end;
        end += (bytes + 255) / 256 * 256;
        return at;
    };
    args->op = op;
    args->group = op.shape.heads / op.shape.kv_heads;
    for (args->shift = 0; 2 << args->shift <= args->group;) args->shift++;
    args->facts_ld = fact_slot(op.segments.rows, op.segments.sequences, args->group);
    args->facts = static_cast<float *>(take(kv_heads * 2 * (size_t)args->facts_ld * sizeof(float)));
    args->blocks = static_cast<key_block *>(take(blocks * sizeof(key_block)));
    args->drawn = static_cast<int *>(take(2 * sizeof(int)));
    args->count = args->drawn + 1;
    args->flags = static_cast<int *>(take(tiles * sizeof(int)));
    args->dq = static_cast<float *>(take(tiles * TILE * (size_t)op.shape.head_dim * sizeof(float)));
    return end;
}

} // namespace

extern "C" size_t mn_cuda_attention_backward_workspace(const mn_attention_backward *args)
{
    backward_args all;
    return lay_out(&all, *args);
}

extern "C" mn_status mn_cuda_attention_backward(const mn_attention_backward *args, mn_stream s)
{
    MN_TRY(mn_check_attention("attention_backward", &args->segments, &args->shape));
    if (args->segments.rows == 0) return MN_OK;
    MN_TRY(check_attention_dim("attention_backward", &args->shape));
    backward_args all;
    lay_out(&all, *args);
    const bool sm90 = s->hopper && attention_backward_sm90_fits(&args->shape);
    all.lse_factor = sm90 ? -1.0f / args->shape.scale : LOG2E;
    all.delta_factor = sm90 ? -1.0f : 1.0f;
    if (args->shape.head_dim == 64) {
        MN_TRY(launch_facts<64>(all, sm90, s));
        return sm90 ? attention_backward_sm90(all, s) : launch_backward<64>(all, s);
    }
    MN_TRY(launch_facts<128>(all, sm90, s));
    return sm90 ? attention_backward_sm90(all, s) : launch_backward<128>(all, s);
}
