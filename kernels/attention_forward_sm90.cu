/* attention_forward_sm90.cu: attention on Hopper: wgmma fed by TMA.
 *
 * A tile of work is (128 packed query rows, kv head, sequence). One block a multiprocessor walks
 * its share of all tiles: a producer thread runs ahead through queries, keys and values, so that
 * the loads of a tile lie below the products of the one before; two warpgroups own 64 rows each
 * and take turns at the tensor cores, one's softmax below the other's products (Shah et al. 2024).
 * Flops: 4 * head_dim a (query, key) pair.
 *
 * Keys are counted over prefix and own rows together, in tiles of 128, so that a shared prefix
 * gives the same bits as the same tokens unshared; the tile in which the prefix ends is put
 * together from small boxes. A tile that reaches past its sequence reads its neighbour's rows:
 * finite numbers that the mask or a zero probability removes. */
#include "attention.cuh"
#include "hopper.cuh"

namespace
{

enum { ROWS = 128, KEYS = 128, STAGES = 2, CONSUMERS = 2, THREADS = (1 + CONSUMERS) * WARPGROUP };
enum { BOXES = 3 };

__host__ __device__ constexpr int box_rows(int i)
{
    return i == 0 ? KEYS : i == 1 ? 16 : 1;
}

/* Maps of the packed rows, and of keys and values in boxes of several heights. */
struct maps {
    CUtensorMap query, own[BOXES], cache_k[BOXES], cache_v[BOXES];
};

/* How the tiles are ordered: sequences in sections of a few rounds of the grid, whose rows stay in
 * the L2 cache; in a section the longest tiles first; rounds to and fro, so that every block gets
 * as much. */
struct schedule {
    int query_tiles; /* of the longest sequence; shorter ones leave some out */
    int section;     /* sequences */
    int total;
};

/* One tile. */
struct work {
    int begin, length, prefix, prefix_start;
    int q0, kv;
    int tiles; /* of keys; 0: there is no more work */
};

template <int HD> struct shared_tiles {
    __nv_bfloat16 q[STAGES][ROWS * HD], k[STAGES][KEYS * HD], v[STAGES][KEYS * HD];
    work item[STAGES]; /* beside q */
    uint64_t q_full[STAGES], q_empty[STAGES], k_full[STAGES], k_empty[STAGES], v_full[STAGES],
        v_empty[STAGES];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Where a ring of STAGES stands. A new barrier passes a wait for parity 1. */
struct ring {
    int count;

    __device__ int stage() const
    {
        return count % STAGES;
    }
    __device__ uint32_t full() const
    {
        return (count / STAGES) & 1;
    }
    __device__ uint32_t empty() const
    {
        return (count / STAGES + 1) & 1;
    }
};

/* The block's tile of this round; false where there is none. */
__device__ bool find_work(work *w, int round, const mn_attention_forward &args,
                          const schedule &plan)
{
    const int blocks = (int)gridDim.x, block = (int)blockIdx.x, heads = args.shape.kv_heads;
    const int at = round * blocks + (round & 1 ? blocks - 1 - block : block);
    if (at >= plan.total) return false;
    const int in_section = plan.section * heads * plan.query_tiles, first = at / in_section;
    const int pairs = min(plan.section, args.segments.sequences - first * plan.section) * heads;
    const int rest = at % in_section, pair = rest % pairs;
    const int sequence = first * plan.section + pair / heads,
              tokens = ROWS / (args.shape.heads / heads);
    w->kv = pair % heads;
    w->begin = args.segments.offsets[sequence];
    w->length = args.segments.offsets[sequence + 1] - w->begin;
    w->q0 = (plan.query_tiles - 1 - rest / pairs) * tokens;
    if (w->q0 >= w->length) return false;
    w->prefix = args.segments.max_prefix ? args.segments.prefix_length[sequence] : 0;
    w->prefix_start = args.segments.max_prefix ? args.segments.prefix_start[sequence] : 0;
    w->tiles = (w->prefix + min(w->q0 + tokens, w->length) - 1) / KEYS + 1;
    return true;
}

/* Rows at … end - 1 of a key tile from rows `row` … of the maps, in boxes of 16 rows and of 1. The
 * swizzle comes from the address, so a box may begin at any row. */
template <int HD>
__device__ void load_boxes(__nv_bfloat16 *tile, int at, int end, const CUtensorMap *boxes,
                           uint64_t *barrier, int head, int row)
{
    for (int i = 1; i < BOXES; i++)
        for (; at + box_rows(i) <= end; at += box_rows(i), row += box_rows(i))
            for (int p = 0; p < HD / PANEL; p++)
                tma_load(tile + (p * KEYS + at) * PANEL, &boxes[i], barrier, p * PANEL, head, row);
}

/* Keys or values first_key … +127 of a sequence: head `cache_head` of the cache, `own_head` of the
 * own rows. */
template <int HD>
__device__ void load_keys_tile(__nv_bfloat16 *tile, uint64_t *barrier, const work &w, int first_key,
                               const CUtensorMap *cache, int cache_head, const CUtensorMap *own,
                               int own_head)
{
    barrier_expect(barrier, KEYS * HD * 2);
    const int from_cache = min(max(w.prefix - first_key, 0), (int)KEYS);
    const int cache_row = w.prefix_start + first_key,
              own_row = w.begin + first_key + from_cache - w.prefix;
    if (from_cache == 0 || from_cache == KEYS) {
        const CUtensorMap *map = from_cache ? cache : own;
        for (int p = 0; p < HD / PANEL; p++)
            tma_load(tile + p * KEYS * PANEL, map, barrier, p * PANEL,
                     from_cache ? cache_head : own_head, from_cache ? cache_row : own_row);
        return;
    }
    load_boxes<HD>(tile, 0, from_cache, cache, barrier, cache_head, cache_row);
    load_boxes<HD>(tile, from_cache, KEYS, own, barrier, own_head, own_row);
}

/* One thread: queries, keys and values of all the block's tiles, as stages fall free. */
template <int HD>
__device__ void produce(shared_tiles<HD> &shared, const mn_attention_forward &args,
                        const schedule &plan, const maps &m)
{
    const mn_attention_shape &shape = args.shape;
    const int rounds = (plan.total - 1) / (int)gridDim.x + 1;
    ring items = {0}, keys = {0};
    for (int round = 0; round <= rounds; round++) {
        work w = {};
        if (round < rounds && !find_work(&w, round, args, plan)) continue;
        const int slot = items.stage();
        uint64_t *q_full = &shared.q_full[slot];
        barrier_wait(&shared.q_empty[slot], items.empty());
        items.count++;
        shared.item[slot] = w; /* read after q_full */
        if (round == rounds) {
            barrier_arrive(q_full);
            return;
        }
        barrier_expect(q_full, ROWS * HD * 2);
        for (int p = 0; p < HD / PANEL; p++)
            tma_load(shared.q[slot] + p * ROWS * PANEL, &m.query, q_full, p * PANEL,
                     w.kv * (shape.heads / shape.kv_heads), w.begin + w.q0);
        for (int tile = 0; tile < w.tiles; tile++, keys.count++) {
            const int stage = keys.stage(), k_head = shape.heads + w.kv;
            barrier_wait(&shared.k_empty[stage], keys.empty());
            load_keys_tile<HD>(shared.k[stage], &shared.k_full[stage], w, tile * KEYS, m.cache_k,
                               w.kv, m.own, k_head);
            barrier_wait(&shared.v_empty[stage], keys.empty());
            load_keys_tile<HD>(shared.v[stage], &shared.v_full[stage], w, tile * KEYS, m.cache_v,
                               w.kv, m.own, k_head + shape.kv_heads);
        }
    }
}

/* Starts s = Q·Kᵀ for the warpgroup's 64 rows. */
template <int HD>
__device__ __forceinline__ void start_scores(float (&s)[KEYS / 8][4], const __nv_bfloat16 *q,
                                             const __nv_bfloat16 *k)
{
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < HD / 16; step++)
        wgmma_shared(s, descriptor_along<ROWS>(q, step), descriptor_along<KEYS>(k, step), step > 0);
    wgmma_commit();
}

/* Starts o += P·V. */
template <int HD>
__device__ __forceinline__ void
start_output(float (&o)[HD / 8][4], const uint32_t (&p)[KEYS / 16][4], const __nv_bfloat16 *v)
{
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++)
        wgmma_registers(o, p[step], descriptor_down<KEYS>(v, step));
    wgmma_commit();
}

__device__ __forceinline__ void mask_tile(float (&s)[KEYS / 8][4], int key0,
                                          const int (&last_key)[2])
{
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            if (key0 + 8 * n + 2 * ((int)threadIdx.x & 3) + (c & 1) > last_key[c >> 1])
                s[n][c] = -INFINITY;
}

__device__ __forceinline__ void pack_probabilities(uint32_t (&p)[KEYS / 16][4],
                                                   const float (&s)[KEYS / 8][4])
{
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) accumulators_as_a(p[k], s[2 * k], s[2 * k + 1]);
}

/* One lane tells for its warp, whose part of the products is done. */
__device__ __forceinline__ void warp_arrive(uint64_t *barrier)
{
    if ((threadIdx.x & 31) == 0) barrier_arrive(barrier);
}

/* A warpgroup's 64 rows of one tile. */
template <int HD>
__device__ void attend(shared_tiles<HD> &shared, const work &w, int slot, ring &keys,
                       const mn_attention_forward &args)
{
    const mn_attention_shape &shape = args.shape;
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1, lane = threadIdx.x & 31;
    const int group = shape.heads / shape.kv_heads;
    const int row =
        64 * warpgroup + 16 * (((int)threadIdx.x / 32) & 3) + lane / 4; /* and row + 8 */
    const int last_key[2] = {w.prefix + w.q0 + row / group, w.prefix + w.q0 + (row + 8) / group};
    const int diagonal = w.prefix + w.q0; /* all rows see the keys up to here */
    const __nv_bfloat16 *q = shared.q[slot] + 64 * warpgroup * PANEL;
    const float scale_log2 = shape.scale * LOG2E;
    float o[HD / 8][4] = {}, s[KEYS / 8][4], shrink[2];
    uint32_t p[KEYS / 16][4];
    softmax_rows state = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};

    barrier_wait(&shared.k_full[keys.stage()], keys.full());
    start_scores<HD>(s, q, shared.k[keys.stage()]);
    wgmma_wait<0>();
    warp_arrive(&shared.k_empty[keys.stage()]);
    if (KEYS - 1 > diagonal) mask_tile(s, 0, last_key);
    softmax_step(state, shrink, s, scale_log2);
    pack_probabilities(p, s);
    for (int tile = 1; tile < w.tiles; tile++) {
        const ring before = keys;
        keys.count++;
        barrier_wait(&shared.k_full[keys.stage()], keys.full());
        turn_wait(1 + warpgroup);
        start_scores<HD>(s, q, shared.k[keys.stage()]);
        barrier_wait(&shared.v_full[before.stage()], before.full());
        start_output<HD>(o, p, shared.v[before.stage()]);
        turn_pass(2 - warpgroup);
        wgmma_wait<1>(); /* the scores; the output goes on below the softmax */
        warp_arrive(&shared.k_empty[keys.stage()]);
        if (tile * KEYS + KEYS - 1 > diagonal) mask_tile(s, tile * KEYS, last_key);
        softmax_step(state, shrink, s, scale_log2);
        wgmma_wait<0>();
        warp_arrive(&shared.v_empty[before.stage()]);
        rescale(o, shrink);
        pack_probabilities(p, s);
    }
    warp_arrive(&shared.q_empty[slot]);
    barrier_wait(&shared.v_full[keys.stage()], keys.full());
    start_output<HD>(o, p, shared.v[keys.stage()]);
    softmax_end(state);
    wgmma_wait<0>();
    warp_arrive(&shared.v_empty[keys.stage()]);
    keys.count++;

#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int r = row + 8 * half, token = w.q0 + r / group;
        if (token >= w.length) continue;
        const int64_t head = (int64_t)(w.begin + token) * shape.heads + w.kv * group + r % group;
        store_row<HD>(bf16(args.out) + head * HD, o, half, 1.0f / state.sum[half], lane);
        if (args.lse && (lane & 3) == 0)
            args.lse[head] = (state.max[half] + log2f(state.sum[half])) * LN2;
    }
}

template <int HD>
__device__ void consume(shared_tiles<HD> &shared, const mn_attention_forward &args)
{
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1;
    ring items = {0}, keys = {0};
    if (warpgroup == 1) turn_pass(1); /* the first turn is the other's */
    for (;; items.count++) {
        const int slot = items.stage();
        barrier_wait(&shared.q_full[slot], items.full());
        const work w = shared.item[slot];
        if (w.tiles == 0) break;
        attend<HD>(shared, w, slot, keys, args);
    }
    if (warpgroup == 0) turn_wait(1); /* the last turn passed on */
}

#endif

template <int HD>
__global__ void __launch_bounds__(THREADS, 1)
    attention_forward_sm90_kernel(const mn_attention_forward args, const schedule plan,
                                  const __grid_constant__ maps m)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) unsigned char raw[];
    shared_tiles<HD> &shared = *reinterpret_cast<shared_tiles<HD> *>(raw);
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_init(&shared.q_full[s], 1);
            barrier_init(&shared.k_full[s], 1);
            barrier_init(&shared.v_full[s], 1);
            barrier_init(&shared.q_empty[s], CONSUMERS * WARPGROUP / WARP);
            barrier_init(&shared.k_empty[s], CONSUMERS * WARPGROUP / WARP);
            barrier_init(&shared.v_empty[s], CONSUMERS * WARPGROUP / WARP);
        }
        barrier_init_fence();
    }
    __syncthreads(); /* nobody touches a barrier before it exists */
    if (threadIdx.x < WARPGROUP) {
        give_registers<24>();
        if (threadIdx.x == 0) produce<HD>(shared, args, plan, m);
    } else {
        take_registers<240>();
        consume<HD>(shared, args);
    }
#endif
}

mn_status make_maps(maps *m, const mn_attention_forward *args)
{
    const char *op = "attention_forward";
    const mn_attention_shape &shape = args->shape;
    const int hd = shape.head_dim, group = shape.heads / shape.kv_heads,
              all_heads = shape.heads + 2 * shape.kv_heads;
    const int64_t ld = (int64_t)all_heads * hd, cache_ld = (int64_t)shape.kv_heads * hd;
    const int rows = args->segments.rows, prefixes = args->segments.max_prefix > 0;
    MN_TRY(make_tensor_map(&m->query, op, bf16(args->qkv), rows, all_heads, hd, ld, ROWS / group,
                           group));
    for (int i = 0; i < (prefixes ? BOXES : 1); i++) {
        MN_TRY(make_tensor_map(&m->own[i], op, bf16(args->qkv), rows, all_heads, hd, ld,
                               box_rows(i), 1));
        if (!prefixes) continue;
        /* How many rows the cache has is not known here; only rows of prefixes are read. */
        MN_TRY(make_tensor_map(&m->cache_k[i], op, bf16(args->cache_k), INT32_MAX, shape.kv_heads,
                               hd, cache_ld, box_rows(i), 1));
        MN_TRY(make_tensor_map(&m->cache_v[i], op, bf16(args->cache_v), INT32_MAX, shape.kv_heads,
                               hd, cache_ld, box_rows(i), 1));
    }
    return MN_OK;
}

template <int HD> mn_status launch(const mn_attention_forward *args, mn_stream s)
{
    enum { ROUNDS = 4 }; /* of a section */
    const mn_attention_shape &shape = args->shape;
    maps m = {};
    MN_TRY(make_maps(&m, args));
    MN_TRY(allow_shared((const void *)attention_forward_sm90_kernel<HD>,
                        (int)sizeof(shared_tiles<HD>)));
    schedule plan;
    plan.query_tiles = ceil_div(args->segments.max_length, ROWS / (shape.heads / shape.kv_heads));
    const int of_sequence = plan.query_tiles * shape.kv_heads;
    plan.section = ceil_div(ROUNDS * (int64_t)s->multiprocessors, of_sequence);
    plan.total = args->segments.sequences * of_sequence;
    const int blocks = plan.total < s->multiprocessors ? plan.total : s->multiprocessors;
    attention_forward_sm90_kernel<HD>
        <<<(unsigned)blocks, THREADS, sizeof(shared_tiles<HD>), s->stream>>>(*args, plan, m);
    return launched("attention_forward");
}

} // namespace

bool attention_forward_sm90_fits(const mn_attention_forward *args)
{
    return ROWS % (args->shape.heads / args->shape.kv_heads) == 0;
}

mn_status attention_forward_sm90(const mn_attention_forward *args, mn_stream s)
{
    return args->shape.head_dim == 64 ? launch<64>(args, s) : launch<128>(args, s);
}
