/* attention_backward_sm90.cu: dQ, dK and dV on Hopper: wgmma fed by TMA, without atomics.
 *
 * The two kernels of attention_backward.cu in one template. A block owns 128 rows, keys (dK and dV)
 * or packed queries (dQ), 64 a warpgroup, and streams tiles of 64 rows of the other kind through
 * three stages. With X the owned and Y the streamed vectors: scores = X1·Y1ᵀ, dP = X2·Y2ᵀ, and the
 * gradients gain dS·Y1 and, for dV, P·Y2: owned keys      X1 = K, X2 = V,   Y1 = Q, Y2 = dO    dK
 * += dSᵀ·Q, dV += Pᵀ·dO owned queries   X1 = Q, X2 = dO,  Y1 = K, Y2 = V     dQ += dS·K
 * Accumulators stay in registers to the end, so every sum has one order. 7 products instead of 5
 * are the price. */
#include "attention_backward.cuh"
#include "hopper.cuh"

namespace
{

enum {
    OWNED = 128,
    STREAMED = 64,
    STAGES = 3,
    CONSUMERS = 2,
    THREADS = (1 + CONSUMERS) * WARPGROUP
};

template <int HD> struct shared_tiles {
    __nv_bfloat16 x1[OWNED * HD], x2[OWNED * HD], y1[STAGES][STREAMED * HD],
        y2[STAGES][STREAMED * HD];
    row_facts<STREAMED> facts[STAGES]; /* of streamed queries */
    uint64_t owned_full, full[STAGES], empty[STAGES];
};

struct maps {
    CUtensorMap query, dout; /* boxes of packed rows: STREAMED of them, or OWNED */
    CUtensorMap key;         /* boxes of OWNED or STREAMED keys */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct work {
    int begin, length, group, kv;
    int own0;        /* first owned key, or token */
    int first, last; /* streamed tiles */
};

template <int HD, int ROWS>
__device__ __forceinline__ void load_tile(__nv_bfloat16 *to, const CUtensorMap *map,
                                          uint64_t *barrier, int head, int row)
{
    for (int p = 0; p < HD / PANEL; p++)
        tma_load(to + p * ROWS * PANEL, map, barrier, p * PANEL, head, row);
}

/* One warp: lane 0 starts the copies, all lanes fetch the facts of streamed queries. */
template <int HD, bool KEYS_OWNED>
__device__ void produce(shared_tiles<HD> &shared, const work &w, const backward_args &args,
                        const maps &m)
{
    const mn_attention_shape &shape = args.op.shape;
    const int lane = threadIdx.x & 31, k_head = shape.heads + w.kv,
              v_head = k_head + shape.kv_heads, q_head = w.kv * w.group;
    const int tokens = STREAMED / w.group;
    if (lane == 0) {
        barrier_expect(&shared.owned_full, 2 * OWNED * HD * 2);
        const int row = w.begin + w.own0;
        load_tile<HD, OWNED>(shared.x1, KEYS_OWNED ? &m.key : &m.query, &shared.owned_full,
                             KEYS_OWNED ? k_head : q_head, row);
        load_tile<HD, OWNED>(shared.x2, KEYS_OWNED ? &m.key : &m.dout, &shared.owned_full,
                             KEYS_OWNED ? v_head : q_head, row);
    }
    for (int tile = w.first; tile <= w.last; tile++) {
        const int count = tile - w.first, stage = count % STAGES;
        barrier_wait(&shared.empty[stage],
                     (count / STAGES + 1) & 1); /* a new barrier passes a wait for parity 1 */
        if (KEYS_OWNED) {
            const packed_rows rows = {((int64_t)w.begin * shape.heads + q_head) * HD,
                                      (int64_t)shape.heads * HD, tile * tokens, w.length, w.group};
            for (int r = lane; r < STREAMED; r += WARP)
                load_fact<HD>(shared.facts[stage], r, args, rows, tokens);
        }
        if (lane == 0) {
            const int row = w.begin + tile * (KEYS_OWNED ? tokens : STREAMED);
            barrier_expect(&shared.full[stage], 2 * STREAMED * HD * 2);
            load_tile<HD, STREAMED>(shared.y1[stage], KEYS_OWNED ? &m.query : &m.key,
                                    &shared.full[stage], KEYS_OWNED ? q_head : k_head, row);
            load_tile<HD, STREAMED>(shared.y2[stage], KEYS_OWNED ? &m.dout : &m.key,
                                    &shared.full[stage], KEYS_OWNED ? q_head : v_head, row);
        } else {
            barrier_arrive(&shared.full[stage]);
        }
    }
}

/* Starts c = X·Yᵀ for the warpgroup's 64 rows. */
template <int HD>
__device__ __forceinline__ void start_rows(float (&c)[STREAMED / 8][4], const __nv_bfloat16 *x,
                                           const __nv_bfloat16 *y)
{
    const uint32_t a = wgmma_base(x), b = wgmma_base(y);
    wgmma_first(c, descriptor_along<OWNED>(a, 0), descriptor_along<STREAMED>(b, 0));
#pragma unroll
    for (int step = 1; step < HD / 16; step++)
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

__device__ __forceinline__ void pack(uint32_t (&a)[STREAMED / 16][4],
                                     const float (&c)[STREAMED / 8][4])
{
#pragma unroll
    for (int k = 0; k < STREAMED / 16; k++) accumulators_as_a(a[k], c[2 * k], c[2 * k + 1]);
}

/* What one warpgroup knows of its own two rows a thread. */
struct own_rows {
    int index[2]; /* key, or last key the query sees */
    float lse[2], delta[2];
};

/* Scores become probabilities. Columns are streamed tile `tile`; `diagonal`: some pairs are not
 * seen. */
template <bool KEYS_OWNED>
__device__ __forceinline__ void probabilities(float (&s)[STREAMED / 8][4], const own_rows &own,
                                              const row_facts<STREAMED> &facts, int tile,
                                              bool diagonal, float scale_log2)
{
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
            const int column = 8 * n + 2 * ((int)threadIdx.x & 3) + (c & 1), half = c >> 1;
            s[n][c] =
                exp2_fast(s[n][c] * scale_log2 - (KEYS_OWNED ? facts.lse[column] : own.lse[half]));
        }
    if (!diagonal) return;
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
            const int column = 8 * n + 2 * ((int)threadIdx.x & 3) + (c & 1), half = c >> 1;
            if (KEYS_OWNED ? own.index[half] > facts.token[column]
                           : tile * STREAMED + column > own.index[half])
                s[n][c] = 0.0f;
        }
}

/* dP becomes dS = P * (dP - delta). */
template <bool KEYS_OWNED>
__device__ __forceinline__ void
score_gradients(float (&dp)[STREAMED / 8][4], const float (&p)[STREAMED / 8][4],
                const own_rows &own, const row_facts<STREAMED> &facts)
{
#pragma unroll
    for (int n = 0; n < STREAMED / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
            const int column = 8 * n + 2 * ((int)threadIdx.x & 3) + (c & 1);
            dp[n][c] =
                p[n][c] * (dp[n][c] - (KEYS_OWNED ? facts.delta[column] : own.delta[c >> 1]));
        }
}

template <int HD, bool KEYS_OWNED>
__device__ void consume(shared_tiles<HD> &shared, const work &w, const backward_args &args)
{
    const mn_attention_shape &shape = args.op.shape;
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1, lane = threadIdx.x & 31;
    const int row =
        64 * warpgroup + 16 * (((int)threadIdx.x / 32) & 3) + lane / 4; /* and row + 8 */
    const __nv_bfloat16 *x1 = shared.x1 + 64 * warpgroup * PANEL,
                        *x2 = shared.x2 + 64 * warpgroup * PANEL;
    const float scale_log2 = shape.scale * LOG2E;
    const int64_t ld = (int64_t)(shape.heads + 2 * shape.kv_heads) * HD;
    own_rows own;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int r = row + 8 * half, token = w.own0 + r / w.group;
        own.index[half] = KEYS_OWNED ? w.own0 + r : token;
        if (!KEYS_OWNED) {
            const int64_t head =
                (int64_t)(w.begin + token) * shape.heads + w.kv * w.group + r % w.group;
            const bool exists = token < w.length;
            own.lse[half] = exists ? args.op.lse[head] * LOG2E : INFINITY;
            own.delta[half] = exists ? args.delta[head] : 0.0f;
        }
    }

    float d1[HD / 8][4] = {}, d2[KEYS_OWNED ? HD / 8 : 1][4] = {}; /* dK or dQ, and dV */
    float p[STREAMED / 8][4], ds[STREAMED / 8][4];
    uint32_t a[STREAMED / 16][4];
    barrier_wait(&shared.owned_full, 0);
    for (int tile = w.first; tile <= w.last; tile++) {
        const int count = tile - w.first, stage = count % STAGES;
        const row_facts<STREAMED> &facts = shared.facts[stage];
        const bool diagonal = KEYS_OWNED ? tile * (STREAMED / w.group) < w.own0 + OWNED - 1
                                         : tile * STREAMED + STREAMED - 1 > w.own0;
        barrier_wait(&shared.full[stage], (count / STAGES) & 1);
        wgmma_fence();
        start_rows<HD>(p, x1, shared.y1[stage]);
        start_rows<HD>(ds, x2, shared.y2[stage]);
        wgmma_wait<1>();
        probabilities<KEYS_OWNED>(p, own, facts, tile, diagonal, scale_log2);
        wgmma_wait<0>();
        if constexpr (KEYS_OWNED) {
            pack(a, p);
            wgmma_fence();
            start_columns<HD>(d2, a, shared.y2[stage]); /* goes on below the next lines */
        }
        uint32_t b[STREAMED / 16][4];
        score_gradients<KEYS_OWNED>(ds, p, own, facts);
        pack(b, ds);
        wgmma_fence();
        start_columns<HD>(d1, b, shared.y1[stage]);
        wgmma_wait<0>();
        barrier_arrive(&shared.empty[stage]);
    }

#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int r = row + 8 * half;
        if (KEYS_OWNED) {
            if (own.index[half] >= w.length) continue;
            __nv_bfloat16 *to = bf16(args.op.dqkv) + (w.begin + own.index[half]) * ld +
                                (int64_t)(shape.heads + w.kv) * HD;
            store_row<HD>(to, d1, half, shape.scale, lane);
            if constexpr (KEYS_OWNED)
                store_row<HD>(to + (int64_t)shape.kv_heads * HD, d2, half, 1.0f, lane);
        } else {
            if (own.index[half] >= w.length) continue;
            __nv_bfloat16 *to = bf16(args.op.dqkv) + (w.begin + own.index[half]) * ld +
                                (int64_t)(w.kv * w.group + r % w.group) * HD;
            store_row<HD>(to, d1, half, shape.scale, lane);
        }
    }
}

#endif

/* Block = (128 owned rows, kv head, sequence). */
template <int HD, bool KEYS_OWNED>
__global__ void __launch_bounds__(THREADS, 1)
    attention_backward_sm90_kernel(const backward_args args, const __grid_constant__ maps m)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) unsigned char raw[];
    shared_tiles<HD> &shared = *reinterpret_cast<shared_tiles<HD> *>(raw);
    const mn_attention_shape &shape = args.op.shape;
    work w;
    w.begin = args.op.segments.offsets[blockIdx.z];
    w.length = args.op.segments.offsets[blockIdx.z + 1] - w.begin;
    w.group = shape.heads / shape.kv_heads;
    w.kv = blockIdx.y;
    /* The blocks with the most to stream come first: early keys, late queries. */
    w.own0 = KEYS_OWNED ? (int)blockIdx.x * OWNED
                        : (int)(gridDim.x - 1 - blockIdx.x) * (OWNED / w.group);
    if (w.own0 >= w.length) return;
    const int tokens = STREAMED / w.group, last_token = min(w.own0 + OWNED / w.group, w.length) - 1;
    w.first = KEYS_OWNED ? w.own0 / tokens : 0;
    w.last = KEYS_OWNED ? (w.length - 1) / tokens : last_token / STREAMED;

    if (threadIdx.x == 0) {
        barrier_init(&shared.owned_full, 1);
        for (int s = 0; s < STAGES; s++) {
            barrier_init(&shared.full[s], WARP);
            barrier_init(&shared.empty[s], CONSUMERS * WARPGROUP);
        }
        barrier_init_fence();
    }
    __syncthreads(); /* nobody touches a barrier before it exists */
    if (threadIdx.x < WARPGROUP) {
        give_registers<24>();
        if (threadIdx.x < WARP) produce<HD, KEYS_OWNED>(shared, w, args, m);
    } else {
        take_registers<240>();
        consume<HD, KEYS_OWNED>(shared, w, args);
    }
#endif
}

template <int HD, bool KEYS_OWNED> mn_status launch(const backward_args &args, mn_stream s)
{
    const mn_attention_shape &shape = args.op.shape;
    const int group = shape.heads / shape.kv_heads, all_heads = shape.heads + 2 * shape.kv_heads;
    const int packed = KEYS_OWNED ? STREAMED : OWNED, keys = KEYS_OWNED ? OWNED : STREAMED,
              rows = args.op.segments.rows;
    const char *op = "attention_backward";
    maps m;
    MN_TRY(make_tensor_map(&m.query, op, bf16(args.op.qkv), rows, all_heads, HD,
                           (int64_t)all_heads * HD, packed / group, group));
    MN_TRY(make_tensor_map(&m.dout, op, bf16(args.op.dout), rows, shape.heads, HD,
                           (int64_t)shape.heads * HD, packed / group, group));
    MN_TRY(make_tensor_map(&m.key, op, bf16(args.op.qkv), rows, all_heads, HD,
                           (int64_t)all_heads * HD, keys, 1));
    MN_TRY(allow_shared((const void *)attention_backward_sm90_kernel<HD, KEYS_OWNED>,
                        (int)sizeof(shared_tiles<HD>)));
    const dim3 grid(
        (unsigned)ceil_div(args.op.segments.max_length, KEYS_OWNED ? OWNED : OWNED / group),
        (unsigned)shape.kv_heads, (unsigned)args.op.segments.sequences);
    attention_backward_sm90_kernel<HD, KEYS_OWNED>
        <<<grid, THREADS, sizeof(shared_tiles<HD>), s->stream>>>(args, m);
    return launched(op);
}

} // namespace

bool attention_backward_sm90_fits(const mn_attention_shape *shape)
{
    return STREAMED % (shape->heads / shape->kv_heads) == 0;
}

mn_status attention_backward_sm90(const backward_args &args, mn_stream s)
{
    if (args.op.shape.head_dim == 64) {
        MN_TRY((launch<64, true>(args, s)));
        return launch<64, false>(args, s);
    }
    MN_TRY((launch<128, true>(args, s)));
    return launch<128, false>(args, s);
}
