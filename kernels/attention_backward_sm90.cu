/* attention_backward_sm90.cu: dQ, dK and dV on Hopper: wgmma fed by TMA.
 *
 * A block owns 128 keys of a (sequence, kv head), 64 a warpgroup, and streams tiles of 64 packed
 * query rows past them, the last tile first; dK and dV, summed over the heads of the group, stay
 * in registers. Scores and dP are transposed: rows are keys. dQ of a tile is a sum over key
 * blocks: each adds its part to a tile of fp32 in memory, in the order of the keys, which a flag a
 * tile keeps; the block on the diagonal is the last and writes dQ. So there are 5 products, and
 * every sum has one order. Key blocks are drawn in that order too: who waits for a flag waits for
 * blocks that run or are done.
 *
 * The products of a warpgroup lie below its arithmetic: dQ and dK of a tile below the exponentials
 * of the next, dP behind them, dV below dS, the next scores below the exchange of dS. */
#include "attention_backward.cuh"
#include "hopper.cuh"

namespace
{

enum {
    OWNED = KEY_BLOCK,
    STREAMED = 64,
    STAGES = 3,
    ITEMS = 2,
    CONSUMERS = 2,
    THREADS = (1 + CONSUMERS) * WARPGROUP,
};

/* Named barriers: both warpgroups have written dS; warpgroup 0 has left its part of dQ. */
enum { DS_WRITTEN = 1, DQ_HALF = 2 };

template <int HD> struct shared_tiles {
    __nv_bfloat16 k[OWNED * HD], v[OWNED * HD], q[STAGES][STREAMED * HD],
        dout[STAGES][STREAMED * HD], ds[2][OWNED * STREAMED];
    float4 dq[STREAMED * HD / 4]; /* as the warpgroups' accumulators lie in registers */
    /* Of the queries, as products begin with them: delta of a tile, lse of the tile to come. */
    float facts[STAGES][2][STREAMED], first_lse[STREAMED];
    key_block item[ITEMS];
    uint64_t item_full[ITEMS], item_empty[ITEMS], keys_full, keys_empty, full[STAGES],
        empty[STAGES], dq_granted, dq_returned;
};

struct maps {
    CUtensorMap query, dout, facts; /* boxes of STREAMED packed rows */
    CUtensorMap key;                /* boxes of OWNED keys */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* threadIdx.x, read anew each time: what is derived from it is not kept in registers. */
__device__ __forceinline__ int thread()
{
    int x;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(x));
    return x;
}

/* Of lane 0, so that the compiler knows it to be the same in all. */
__device__ __forceinline__ int uniform(int x)
{
    return __shfl_sync(~0u, x, 0);
}

/* The warpgroup among the two that compute. */
__device__ __forceinline__ int consumer()
{
    return uniform(thread() / WARPGROUP - 1);
}

template <int HD, int ROWS>
__device__ __forceinline__ void load_tile(__nv_bfloat16 *to, const CUtensorMap *map,
                                          uint64_t *barrier, int head, int row)
{
    for (int p = 0; p < HD / PANEL; p++)
        tma_load(to + p * ROWS * PANEL, map, barrier, p * PANEL, head, row);
}

/* One thread: items, keys and tiles, as room falls free. It has few registers, so items are read
 * from shared memory. */
template <int HD>
__device__ void produce(shared_tiles<HD> &shared, const backward_args &args, const maps &m)
{
    const int group = args.group, kv_heads = args.op.shape.kv_heads;
    ring<ITEMS> items = {0};
    ring<STAGES> tiles = {0};
    int number = atomicAdd(args.drawn, 1);
    for (;; items.count++) {
        key_block &w = shared.item[items.stage()];
        barrier_wait(&shared.item_empty[items.stage()], items.empty());
        const bool more = number < *args.count;
        if (more)
            w = args.blocks[number];
        else
            w.first = 0, w.last = -1;
        w.count = items.count;
        barrier_arrive(&shared.item_full[items.stage()]);
        if (!more) return;
#pragma unroll 1
        for (int tile = w.last; tile >= w.first; tile--, tiles.count++) {
            const int stage = tiles.stage(), row = w.begin + tile * (STREAMED / group);
            uint64_t *full = &shared.full[stage];
            barrier_wait(&shared.empty[stage], tiles.empty());
            barrier_expect(full, 2 * STREAMED * HD * 2 + sizeof shared.facts[stage]);
            load_tile<HD, STREAMED>(shared.q[stage], &m.query, full, w.kv * group, row);
            load_tile<HD, STREAMED>(shared.dout[stage], &m.dout, full, w.kv * group, row);
            const int fact = w.fact + tile * STREAMED; /* boxes outside of the array are zeros */
            tma_load(shared.facts[stage][0], &m.facts, full, fact, 2 * w.kv + 1);
            tma_load(shared.facts[stage][1], &m.facts, full, fact - STREAMED, 2 * w.kv);
            if (tile != w.last) continue;
            /* The keys of the item before are in use to its end: the first tile goes ahead. */
            barrier_wait(&shared.keys_empty, (items.count + 1) & 1);
            barrier_expect(&shared.keys_full, 2 * OWNED * HD * 2 + sizeof shared.first_lse);
            tma_load(shared.first_lse, &m.facts, &shared.keys_full, fact, 2 * w.kv);
            load_tile<HD, OWNED>(shared.k, &m.key, &shared.keys_full, args.op.shape.heads + w.kv,
                                 w.begin + w.block * OWNED);
            load_tile<HD, OWNED>(shared.v, &m.key, &shared.keys_full,
                                 args.op.shape.heads + kv_heads + w.kv, w.begin + w.block * OWNED);
        }
        number = atomicAdd(args.drawn, 1); /* late, so that long items go to blocks that are free */
    }
}

/* One thread: takes the parts of dQ from the warpgroups and adds them to the sums in memory, or
 * brings the sum to the warpgroups where this block is the last to add. */
template <int HD> __device__ void settle(shared_tiles<HD> &shared, const backward_args &args)
{
    constexpr uint32_t BYTES = sizeof shared.dq;
    ring<ITEMS> items = {0};
    ring<1> turns = {0};
    bool granted = false; /* the next turn is */
    for (;; items.count++) {
        barrier_wait(&shared.item_full[items.stage()], items.full());
        const key_block &w = shared.item[items.stage()];
        if (w.first > w.last) return;
        const int settled = w.first + 2 * args.group; /* tiles below it have their diagonal here */
#pragma unroll 1
        for (int tile = w.last; tile >= w.first; tile--, turns.count++) {
            const int64_t slot = (int64_t)(w.slot + tile) * args.op.shape.kv_heads + w.kv;
            float *sum = args.dq + slot * STREAMED * HD;
            int *flag = args.flags + slot; /* blocks whose parts are in the sum */
            if (tile < settled && w.block > 0) {
                flag_wait(flag, w.block);
                async_fence_global(); /* the sum was written by bulk copies */
                barrier_expect(&shared.dq_granted, BYTES);
                bulk_load(shared.dq, sum, BYTES, &shared.dq_granted);
            } else if (!granted) {
                barrier_arrive(&shared.dq_granted);
            }
            granted = false;
            barrier_wait(&shared.dq_returned, turns.full());
            if (tile < settled) continue;
            if (w.block == 0) {
                bulk_store(sum, shared.dq, BYTES);
            } else {
                flag_wait(flag, w.block);
                async_fence_global();
                bulk_add(sum, shared.dq, BYTES);
            }
            bulk_commit();
            bulk_wait_read();
            granted = tile > settled || w.block == 0;
            if (granted) barrier_arrive(&shared.dq_granted);
            bulk_wait();
            async_fence_global();
            flag_set(flag, w.block + 1);
        }
        barrier_arrive(&shared.item_empty[items.stage()]);
    }
}

/* Starts c += X·Yᵀ for the warpgroup's 64 keys. */
template <int HD>
__device__ __forceinline__ void start_rows(float (&c)[STREAMED / 8][4], const __nv_bfloat16 *x,
                                           const __nv_bfloat16 *y)
{
    const uint32_t a = wgmma_base(x), b = wgmma_base(y);
#pragma unroll
    for (int step = 0; step < HD / 16; step++)
        wgmma_shared(c, descriptor_along<OWNED>(a, step), descriptor_along<STREAMED>(b, step));
    wgmma_commit();
}

/* Starts c += P·Y. */
template <int HD>
__device__ __forceinline__ void
start_columns(float (&c)[HD / 8][4], const uint32_t (&p)[STREAMED / 16][4], const __nv_bfloat16 *y)
{
    const uint32_t b = wgmma_base(y);
#pragma unroll
    for (int step = 0; step < STREAMED / 16; step++)
        wgmma_registers(c, p[step], descriptor_down<STREAMED>(b, step));
    wgmma_commit();
}

/* Starts dq = dS·K. A warpgroup takes half of the columns over all keys; where that would be fewer
 * than 64 columns, all columns over its own keys. */
template <int HD>
__device__ __forceinline__ void start_dq(float (&dq)[STREAMED / 8][4], const __nv_bfloat16 *ds,
                                         const __nv_bfloat16 *k, int warpgroup)
{
    constexpr int KEYS = HD == 128 ? OWNED : OWNED / 2;
    const uint32_t a = wgmma_base(ds + (HD == 128 ? 0 : KEYS * PANEL * warpgroup)),
                   b = wgmma_base(k + KEYS * PANEL * warpgroup);
    wgmma_first_down(dq, descriptor_down<OWNED>(a, 0), descriptor_down<OWNED>(b, 0));
#pragma unroll
    for (int step = 1; step < KEYS / 16; step++)
        wgmma_down(dq, descriptor_down<OWNED>(a, step), descriptor_down<OWNED>(b, step));
    wgmma_commit();
}

__device__ __forceinline__ void pack(uint32_t (&a)[STREAMED / 16][4],
                                     const float (&c)[STREAMED / 8][4])
{
#pragma unroll
    for (int k = 0; k < STREAMED / 16; k++) accumulators_as_a(a[k], c[2 * k], c[2 * k + 1]);
}

/* The thread's first row of the block's; the other is 8 further down. */
__device__ __forceinline__ int own_row()
{
    const int x = thread();
    return (x - WARPGROUP) / WARP * 16 + (x & 31) / 4;
}

/* The facts of the thread's columns. Shared memory answers in the order in which a warp asked it
 * and its products: what is loaded behind the start of a product waits for those before it. */
__device__ __forceinline__ void load_columns(float2 (&f)[STREAMED / 8],
                                             const float (&all)[STREAMED])
{
    const uint32_t at = shared_u32(all + 2 * (thread() & 3));
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++)
        asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];"
                     : "=f"(f[n].x), "=f"(f[n].y)
                     : "r"(at + 32u * n));
}

/* Accumulators begin with the facts of their columns. */
__device__ __forceinline__ void begin_columns(float (&c)[STREAMED / 8][4],
                                              const float2 (&f)[STREAMED / 8])
{
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++) {
        c[n][0] = c[n][2] = f[n].x;
        c[n][1] = c[n][3] = f[n].y;
    }
    wgmma_done(c);
}

/* Scores less log-sum-exp become probabilities. */
__device__ __forceinline__ void probabilities(float (&s)[STREAMED / 8][4], float scale_log2)
{
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) s[n][c] = exp2_fast(s[n][c] * scale_log2);
}

/* Where queries do not see keys, or do not exist. */
__device__ __forceinline__ void mask_tile(float (&p)[STREAMED / 8][4], const key_block &w, int tile,
                                          int shift)
{
    const int token0 = tile * (STREAMED >> shift), column = 2 * (thread() & 3);
    const int seen = (w.block * OWNED + own_row() - token0) * (1 << shift) - column,
              end = (w.length - token0) * (1 << shift) - column;
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
            const int r = 8 * n + (c & 1);
            if (r < seen + (c >> 1) * (8 << shift) || r >= end) p[n][c] = 0.0f;
        }
}

/* dS = P * (dP - delta) of the warpgroup's 64 keys into shared memory, a panel of swizzled rows. P
 * is the one that dV is made from: in fp32 it would not fit in the registers beside the rest. */
__device__ __forceinline__ void store_ds(__nv_bfloat16 *ds, const float (&dp)[STREAMED / 8][4],
                                         const uint32_t (&p)[STREAMED / 16][4])
{
    const int x = thread(), lane = x & 31, row = (x - WARPGROUP) / WARP * 16 + lane % 16;
    const uint32_t at = shared_u32(ds + row * PANEL) + (uint32_t)(((lane >> 4) ^ (lane & 7)) << 4);
#pragma unroll
    for (int k = 0; k < STREAMED / 16; k++) {
        uint32_t a[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int n = 2 * k + i / 2, c = 2 * (i & 1);
            const float low = __uint_as_float(p[k][i] << 16),
                        high = __uint_as_float(p[k][i] & 0xffff0000u);
            a[i] = pack2(low * dp[n][c], high * dp[n][c + 1]);
        }
        store_matrices(at ^ (uint32_t)(k << 5), a);
    }
}

/* Starts dk += dSᵀ·Q. */
template <int HD>
__device__ __forceinline__ void start_dk(float (&dk)[HD / 8][4], const __nv_bfloat16 *ds,
                                         const __nv_bfloat16 *q)
{
    const uint32_t a = wgmma_base(ds), b = wgmma_base(q);
#pragma unroll
    for (int step = 0; step < STREAMED / 16; step++)
        wgmma_along_down(dk, descriptor_along<OWNED>(a, step), descriptor_down<STREAMED>(b, step));
    wgmma_commit();
}

/* Where a sum is complete: rows of dQ. Columns 0 … 63 of them, or 64 … 127. */
template <int HD>
__device__ __forceinline__ void store_dq(const float (&dq)[STREAMED / 8][4], const float4 *others,
                                         const backward_args &args, const key_block &w, int tile,
                                         int column)
{
    const mn_attention_shape &shape = args.op.shape;
    const int x = thread(), lane = x & 31, row = 16 * ((x / WARP) & 3) + lane / 4; /* and row + 8 */
    const int group = args.group, shift = args.shift, tokens = STREAMED >> shift;
    const int64_t ld = (int64_t)(shape.heads + 2 * shape.kv_heads) * HD;
    __nv_bfloat16 *out =
        bf16(args.op.dqkv) + (w.begin + tile * tokens) * ld + (int64_t)w.kv * group * HD + column;
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n += 4) { /* 32 columns at a time, to save registers */
        float sum[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float4 o = others[(n + i) * WARPGROUP];
            const bool add = HD == 64 || w.block > 0;
            sum[i][0] = dq[n + i][0] + (add ? o.x : 0.0f);
            sum[i][1] = dq[n + i][1] + (add ? o.y : 0.0f);
            sum[i][2] = dq[n + i][2] + (add ? o.z : 0.0f);
            sum[i][3] = dq[n + i][3] + (add ? o.w : 0.0f);
        }
        __syncwarp();
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int r = row + 8 * half;
            if (tile * tokens + (r >> shift) < w.length)
                store_row<32>(out + (r >> shift) * ld + (r & (group - 1)) * HD + 8 * n, sum, half,
                              shape.scale, lane);
        }
    }
}

/* A tile's dQ as far as this block knows it: to be added to the others', or, where it is the last,
 * with theirs to memory. turn: tiles before. */
template <int HD>
__device__ __forceinline__ void deliver_dq(const float (&dq)[STREAMED / 8][4],
                                           shared_tiles<HD> &shared, const backward_args &args,
                                           const key_block &w, int warpgroup, int tile, int turn)
{
    const bool last = tile < w.first + 2 * args.group;
    float4 *at = shared.dq + (HD == 128 ? warpgroup * (STREAMED * HD / 8) : 0) + (thread() & 127);
    barrier_wait(&shared.dq_granted, turn & 1);
    if (HD == 64 && warpgroup == 1) turn_wait(DQ_HALF); /* the other's keys come first */
    if (last && (HD == 128 || warpgroup == 1)) {
        store_dq<HD>(dq, at, args, w, tile, HD == 128 ? 64 * warpgroup : 0);
    } else {
        const bool add = HD == 64 && (warpgroup == 1 || (last && w.block > 0));
#pragma unroll
        for (int n = 0; n < STREAMED / 8; n++) {
            float4 part = make_float4(dq[n][0], dq[n][1], dq[n][2], dq[n][3]);
            if (add) {
                const float4 before = at[n * WARPGROUP];
                part.x += before.x, part.y += before.y, part.z += before.z, part.w += before.w;
            }
            at[n * WARPGROUP] = part;
        }
        if (HD == 64 && warpgroup == 0) turn_pass(DQ_HALF);
    }
    async_fence_shared(); /* a bulk copy reads or overwrites these next */
    barrier_arrive(&shared.dq_returned);
}

/* Where a warpgroup stands in the ring of tiles. */
struct place {
    int stage;
    uint32_t phase; /* of the ring's full barriers */
    int turn;       /* tiles before, of all items */

    __device__ __forceinline__ void advance()
    {
        turn++;
        if (++stage == STAGES) {
            stage = 0;
            phase ^= 1;
        }
    }
};

/* What a warpgroup keeps in registers of its 64 keys. */
template <int HD> struct key_state {
    float dk[HD / 8][4], dv[HD / 8][4];
    float s[STREAMED / 8][4];     /* scores, then probabilities, of a tile */
    float t[STREAMED / 8][4];     /* dq of the tile before, then dP */
    uint32_t p[STREAMED / 16][4]; /* probabilities */
};

template <int HD>
__device__ __forceinline__ void start_scores(key_state<HD> &keys, shared_tiles<HD> &shared,
                                             int warpgroup, int stage)
{
    wgmma_fence();
    start_rows<HD>(keys.s, shared.k + 64 * warpgroup * PANEL, shared.q[stage]);
}

template <int HD>
__device__ __forceinline__ void finish_scores(key_state<HD> &keys, const backward_args &args,
                                              const key_block &w, int tile)
{
    wgmma_done(keys.s);
    probabilities(keys.s, args.op.shape.scale * LOG2E);
    if (tile == w.last || tile < w.first + 2 * args.group) mask_tile(keys.s, w, tile, args.shift);
    pack(keys.p, keys.s);
}

/* What dP of a tile and the scores of the next begin with. */
template <int HD, bool LAST>
__device__ __forceinline__ void begin_tile(key_state<HD> &keys, shared_tiles<HD> &shared, int stage)
{
    float2 delta[STREAMED / 8], lse[STREAMED / 8];
    load_columns(delta, shared.facts[stage][0]);
    if (!LAST) load_columns(lse, shared.facts[stage][1]);
    begin_columns(keys.t, delta);
    if (!LAST) begin_columns(keys.s, lse);
}

/* One tile, whose probabilities are there, and, unless it is the LAST, the probabilities of the
 * next. From the tile before, dq is there and dk under way; so they are in the end. */
template <int HD, bool LAST>
__device__ __forceinline__ void step(key_state<HD> &keys, shared_tiles<HD> &shared,
                                     const backward_args &args, const key_block &w, int tile,
                                     bool first, place &at)
{
    const int here = uniform((at.turn & 1) << 2 | at.stage), stage = here & 3,
              next = stage + 1 < STAGES ? stage + 1 : 0, warpgroup = consumer();
    __nv_bfloat16 *ds = shared.ds[here >> 2]; /* the other is free when all are past the barrier: it
                                                 was read before */
    begin_tile<HD, LAST>(keys, shared, stage);
    wgmma_fence();
    start_rows<HD>(keys.t, shared.v + 64 * warpgroup * PANEL, shared.dout[stage]);
    wgmma_wait<1>(); /* dk of the tile before */
    if (!first) warp_arrive(&shared.empty[stage > 0 ? stage - 1 : STAGES - 1]);
    wgmma_fence();
    start_columns<HD>(keys.dv, keys.p, shared.dout[stage]);
    wgmma_wait<1>(); /* dP */
    wgmma_done(keys.t);
    store_ds(ds, keys.t, keys.p);
    async_fence_shared();
    at.advance();
    if (!LAST) {
        barrier_wait(&shared.full[next], at.phase);
        start_scores(keys, shared, warpgroup, next);
    }
    turn_wait(DS_WRITTEN);
    wgmma_fence();
    start_dq<HD>(keys.t, ds, shared.k, warpgroup);
    start_dk<HD>(keys.dk, ds + 64 * warpgroup * PANEL, shared.q[stage]);
    wgmma_wait<2>(); /* dv, and the scores */
    if (!LAST) finish_scores(keys, args, w, tile - 1);
    wgmma_wait<1>();
    wgmma_done(keys.t);
    deliver_dq<HD>(keys.t, shared, args, w, warpgroup, tile, at.turn - 1);
}

/* A warpgroup's 64 keys of one item. */
template <int HD>
__device__ void differentiate(shared_tiles<HD> &shared, const backward_args &args,
                              const key_block &w, place &at)
{
    const mn_attention_shape &shape = args.op.shape;
    const int lane = threadIdx.x & 31;
    key_state<HD> keys;
#pragma unroll
    for (int n = 0; n < HD / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) keys.dk[n][c] = keys.dv[n][c] = 0.0f;
    wgmma_done(keys.dk);
    wgmma_done(keys.dv);

    const int last = uniform(w.last);
    float2 lse[STREAMED / 8];
    load_columns(lse, shared.first_lse);
    begin_columns(keys.s, lse);
    barrier_wait(&shared.full[at.stage], at.phase);
    start_scores(keys, shared, consumer(), uniform(at.stage));
    wgmma_wait<0>();
    finish_scores(keys, args, w, last);
    for (int tile = last; tile > uniform(w.first); tile--)
        step<HD, false>(keys, shared, args, w, tile, tile == last, at);
    step<HD, true>(keys, shared, args, w, uniform(w.first), w.first == last, at);
    wgmma_wait<0>();
    wgmma_done(keys.dk);
    wgmma_done(keys.dv);
    warp_arrive(&shared.empty[at.stage > 0 ? at.stage - 1 : STAGES - 1]);
    warp_arrive(&shared.keys_empty);

    const int64_t ld = (int64_t)(shape.heads + 2 * shape.kv_heads) * HD;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int key = w.block * OWNED + own_row() + 8 * half;
        if (key >= w.length) continue;
        __nv_bfloat16 *to =
            bf16(args.op.dqkv) + (w.begin + key) * ld + (int64_t)(shape.heads + w.kv) * HD;
        store_row<HD>(to, keys.dk, half, shape.scale, lane);
        store_row<HD>(to + (int64_t)shape.kv_heads * HD, keys.dv, half, 1.0f, lane);
    }
}

template <int HD> __device__ void consume(shared_tiles<HD> &shared, const backward_args &args)
{
    place at = {};
    for (int count = 0;;) {
        const ring<ITEMS> items = {count};
        barrier_wait(&shared.item_full[items.stage()], items.full());
        const key_block &w = shared.item[items.stage()];
        if (w.first > w.last) break;
        barrier_wait(&shared.keys_full, count & 1);
        differentiate<HD>(shared, args, w, at);
        count = w.count + 1; /* read anew: a register less to keep */
        barrier_arrive(&shared.item_empty[ring<ITEMS>{count - 1}.stage()]);
    }
}

#endif

template <int HD>
__global__ void __launch_bounds__(THREADS, 1)
    attention_backward_sm90_kernel(const backward_args args, const __grid_constant__ maps m)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) unsigned char raw[];
    /* Through a shuffle, so that descriptors are computed in uniform registers. */
    shared_tiles<HD> &shared = *reinterpret_cast<shared_tiles<HD> *>(
        __cvta_shared_to_generic((unsigned)uniform((int)shared_u32(raw))));
    constexpr int CONSUMER_THREADS = CONSUMERS * WARPGROUP,
                  CONSUMER_WARPS = CONSUMER_THREADS / WARP;
    if (threadIdx.x == 0) {
        tensor_map_prefetch(&m.query);
        tensor_map_prefetch(&m.dout);
        tensor_map_prefetch(&m.facts);
        tensor_map_prefetch(&m.key);
        for (int s = 0; s < ITEMS; s++) {
            barrier_init(&shared.item_full[s], 1);
            barrier_init(&shared.item_empty[s], CONSUMER_THREADS + 1); /* and settle() */
        }
        for (int s = 0; s < STAGES; s++) {
            barrier_init(&shared.full[s], 1);
            barrier_init(&shared.empty[s], CONSUMER_WARPS);
        }
        barrier_init(&shared.keys_full, 1);
        barrier_init(&shared.keys_empty, CONSUMER_WARPS);
        barrier_init(&shared.dq_granted, 1);
        barrier_init(&shared.dq_returned, CONSUMER_THREADS);
        barrier_init_fence();
    }
    __syncthreads(); /* nobody touches a barrier before it exists */
    if (threadIdx.x < WARPGROUP) {
        give_registers<24>();
        if (threadIdx.x == 0)
            produce<HD>(shared, args, m);
        else if (threadIdx.x == WARP)
            settle<HD>(shared, args);
    } else {
        take_registers<240>();
        consume<HD>(shared, args);
    }
#endif
}

template <int HD> mn_status launch(const backward_args &args, mn_stream s)
{
    const mn_attention_shape &shape = args.op.shape;
    const int group = args.group, all_heads = shape.heads + 2 * shape.kv_heads,
              rows = args.op.segments.rows;
    const char *op = "attention_backward";
    maps m;
    MN_TRY(make_tensor_map(&m.query, op, bf16(args.op.qkv), rows, all_heads, HD,
                           (int64_t)all_heads * HD, STREAMED / group, group));
    MN_TRY(make_tensor_map(&m.dout, op, bf16(args.op.dout), rows, shape.heads, HD,
                           (int64_t)shape.heads * HD, STREAMED / group, group));
    MN_TRY(make_tensor_map(&m.key, op, bf16(args.op.qkv), rows, all_heads, HD,
                           (int64_t)all_heads * HD, OWNED, 1));
    MN_TRY(make_row_map(&m.facts, op, args.facts, args.facts_ld, 2 * shape.kv_heads, args.facts_ld,
                        STREAMED, 1));
    MN_TRY(allow_shared((const void *)attention_backward_sm90_kernel<HD>,
                        (int)sizeof(shared_tiles<HD>)));
    const int most = key_blocks(args.op.segments.rows, args.op.segments.sequences) * shape.kv_heads,
              blocks = most < s->multiprocessors ? most : s->multiprocessors;
    attention_backward_sm90_kernel<HD>
        <<<(unsigned)blocks, THREADS, sizeof(shared_tiles<HD>), s->stream>>>(args, m);
    return launched(op);
}

} // namespace

bool attention_backward_sm90_fits(const mn_attention_shape *shape)
{
    return STREAMED % (shape->heads / shape->kv_heads) == 0 && shape->scale != 0.0f;
}

mn_status attention_backward_sm90(const backward_args &args, mn_stream s)
{
    return args.op.shape.head_dim == 64 ? launch<64>(args, s) : launch<128>(args, s);
}
