/* attention_forward_sm90.cu: attention on Hopper: wgmma fed by TMA.
 *
 * A tile of work is (128 packed query rows, kv head, sequence). One block a multiprocessor draws
 * tiles (attention_schedule.cuh): a producer warp runs ahead through queries, keys and values, so
 * that the loads of a tile lie below the products of the one before; two warpgroups own 64 rows
 * each and take turns at the tensor cores, one's softmax below the other's products (Shah et al.
 * 2024). Flops: 4 * head_dim a (query, key) pair.
 *
 * Keys are counted over prefix and own rows together, in tiles of 128, so that a shared prefix
 * gives the same bits as the same tokens unshared; the tile in which the prefix ends is put
 * together from small boxes. Tiles are taken from the last to the first, and of the last only as
 * many keys as are seen, in steps of 32: what is left out has probability 0. A tile that reaches
 * past its sequence reads its neighbour's rows: finite numbers that the mask or a zero probability
 * removes. */
#include "attention.cuh"
#include "attention_schedule.cuh"
#include "hopper.cuh"

namespace
{

enum { ROWS = 128, KEYS = 128, STAGES = 2, CONSUMERS = 2, THREADS = (1 + CONSUMERS) * WARPGROUP };
enum { BOXES = 4 };

__host__ __device__ constexpr int box_rows(int i)
{
    return i == 0 ? KEYS : i == 1 ? 32 : i == 2 ? 16 : 1;
}

/* Maps of the packed rows, and of keys and values in boxes of several heights. */
struct maps {
    CUtensorMap query, own[BOXES], cache_k[BOXES], cache_v[BOXES];
};

/* One tile. */
struct work {
    int begin, length, prefix, prefix_start;
    int q0, kv;
    int tiles; /* of keys; 0: there is no more work */
    int last;  /* keys of the last of them, a multiple of 32 */
};

template <int HD> struct shared_tiles {
    __nv_bfloat16 q[STAGES][ROWS * HD], k[STAGES][KEYS * HD], v[STAGES][KEYS * HD];
    work item[STAGES]; /* beside q */
    uint64_t q_full[STAGES], q_empty[STAGES], k_full[STAGES], k_empty[STAGES], v_full[STAGES],
        v_empty[STAGES];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ __forceinline__ work work_of(const item &it, const mn_attention_forward &args,
                                        int tokens)
{
    work w;
    w.begin = it.begin;
    w.length = it.length;
    w.kv = it.kv;
    w.q0 = it.level * tokens;
    w.prefix = args.segments.max_prefix ? args.segments.prefix_length[it.sequence] : 0;
    w.prefix_start = args.segments.max_prefix ? args.segments.prefix_start[it.sequence] : 0;
    const int seen = w.prefix + min(w.q0 + tokens, w.length);
    w.tiles = (seen - 1) / KEYS + 1;
    w.last = (seen - (w.tiles - 1) * KEYS + 31) / 32 * 32;
    return w;
}

/* Rows at … end - 1 of a key tile from rows `row` … of the maps, in the largest boxes that fit. The
 * swizzle comes from the address, so a box may begin at any row. */
template <int HD>
__device__ void load_boxes(__nv_bfloat16 *tile, int at, int end, const CUtensorMap *boxes,
                           uint64_t *barrier, int head, int row)
{
    for (int i = 0; i < BOXES; i++)
        for (; at + box_rows(i) <= end; at += box_rows(i), row += box_rows(i))
            for (int p = 0; p < HD / PANEL; p++)
                tma_load(tile + (p * KEYS + at) * PANEL, &boxes[i], barrier, p * PANEL, head, row);
}

/* `count` keys or values of a sequence from first_key on: head `cache_head` of the cache,
 * `own_head` of the own rows. */
template <int HD>
__device__ void load_keys_tile(__nv_bfloat16 *tile, uint64_t *barrier, const work &w, int first_key,
                               int count, const CUtensorMap *cache, int cache_head,
                               const CUtensorMap *own, int own_head)
{
    barrier_expect(barrier, count * HD * 2);
    const int from_cache = min(max(w.prefix - first_key, 0), count);
    load_boxes<HD>(tile, 0, from_cache, cache, barrier, cache_head, w.prefix_start + first_key);
    load_boxes<HD>(tile, from_cache, count, own, barrier, own_head,
                   w.begin + first_key + from_cache - w.prefix);
}

/* One warp: queries, keys and values of all the block's tiles, as stages fall free. Lane 0 starts
 * the copies. Keys come from the last tile to the first. */
template <int HD>
__device__ void produce(shared_tiles<HD> &shared, const mn_attention_forward &args,
                        const schedule &plan, const maps &m)
{
    const mn_attention_shape &shape = args.shape;
    const bool leads = (threadIdx.x & 31) == 0;
    ring<STAGES> items = {}, keys = {};
    int number = draw(plan);
    section_walk walk = {};
    walk.enter(args.segments, plan, shape.kv_heads);
    for (;; items.count++) {
        item it;
        const bool found = walk.find(&it, number, args.segments, plan, shape.kv_heads);
        const work w = found ? work_of(it, args, plan.tokens) : work{};
        const int slot = items.stage();
        uint64_t *q_full = &shared.q_full[slot];
        barrier_wait(&shared.q_empty[slot], items.empty());
        if (leads) shared.item[slot] = w; /* read after q_full */
        if (!found) {
            if (leads) barrier_arrive(q_full);
            end_draws(number, walk, plan);
            return;
        }
        if (leads) {
            barrier_expect(q_full, ROWS * HD * 2);
            for (int p = 0; p < HD / PANEL; p++)
                tma_load(shared.q[slot] + p * ROWS * PANEL, &m.query, q_full, p * PANEL,
                         w.kv * (shape.heads / shape.kv_heads), w.begin + w.q0);
        }
        for (int tile = w.tiles - 1; tile >= 0; tile--, keys.count++) {
            const int stage = keys.stage(), k_head = shape.heads + w.kv,
                      count = tile == w.tiles - 1 ? w.last : (int)KEYS;
            barrier_wait(&shared.k_empty[stage], keys.empty());
            if (leads)
                load_keys_tile<HD>(shared.k[stage], &shared.k_full[stage], w, tile * KEYS, count,
                                   m.cache_k, w.kv, m.own, k_head);
            barrier_wait(&shared.v_empty[stage], keys.empty());
            if (leads)
                load_keys_tile<HD>(shared.v[stage], &shared.v_full[stage], w, tile * KEYS, count,
                                   m.cache_v, w.kv, m.own, k_head + shape.kv_heads);
        }
        number = draw(plan); /* late, so that long items go to blocks that are free */
    }
}

/* Starts s = Q·Kᵀ for the warpgroup's 64 rows and WIDTH keys. */
template <int HD, int WIDTH>
__device__ __forceinline__ void start_scores(float (&s)[WIDTH / 8][4], const __nv_bfloat16 *q,
                                             const __nv_bfloat16 *k)
{
    wgmma_fence();
    const uint32_t a = wgmma_base(q), b = wgmma_base(k);
    wgmma_first(s, descriptor_along<ROWS>(a, 0), descriptor_along<KEYS>(b, 0));
#pragma unroll
    for (int step = 1; step < HD / 16; step++)
        wgmma_shared(s, descriptor_along<ROWS>(a, step), descriptor_along<KEYS>(b, step));
    wgmma_commit();
}

/* Starts o += P·V over WIDTH keys. */
template <int HD, int WIDTH>
__device__ __forceinline__ void
start_output(float (&o)[HD / 8][4], const uint32_t (&p)[KEYS / 16][4], const __nv_bfloat16 *v)
{
    wgmma_fence();
    const uint32_t b = wgmma_base(v);
#pragma unroll
    for (int step = 0; step < WIDTH / 16; step++)
        wgmma_registers(o, p[step], descriptor_down<KEYS>(b, step));
    wgmma_commit();
}

template <int TILES_S>
__device__ __forceinline__ void mask_tile(float (&s)[TILES_S][4], int key0,
                                          const int (&last_key)[2])
{
#pragma unroll
    for (int n = 0; n < TILES_S; n++)
#pragma unroll
        for (int c = 0; c < 4; c++)
            if (key0 + 8 * n + 2 * ((int)threadIdx.x & 3) + (c & 1) > last_key[c >> 1])
                s[n][c] = -INFINITY;
}

template <int TILES_S>
__device__ __forceinline__ void pack_probabilities(uint32_t (&p)[KEYS / 16][4],
                                                   const float (&s)[TILES_S][4])
{
#pragma unroll
    for (int k = 0; k < TILES_S / 2; k++) accumulators_as_a(p[k], s[2 * k], s[2 * k + 1]);
}

/* What a warpgroup keeps in registers of its 64 rows of one tile. */
template <int HD> struct rows_state {
    float o[HD / 8][4];
    uint32_t p[KEYS / 16][4]; /* of the key tile before; its product with the values is due */
    softmax_rows softmax;
    int last_key[2]; /* that the thread's two rows see */
    int diagonal;    /* all rows see the keys up to here */
};

/* Scores and probabilities of the last key tile, WIDTH keys. */
template <int HD, int WIDTH>
__device__ __forceinline__ void first_step(rows_state<HD> &rows, shared_tiles<HD> &shared,
                                           const __nv_bfloat16 *q, const ring<STAGES> &keys,
                                           int key0, float scale_log2)
{
    float s[WIDTH / 8][4], shrink[2];
    barrier_wait(&shared.k_full[keys.stage()], keys.full());
    start_scores<HD, WIDTH>(s, q, shared.k[keys.stage()]);
    wgmma_wait<0>();
    warp_arrive(&shared.k_empty[keys.stage()]);
    mask_tile(s, key0, rows.last_key);
    softmax_step(rows.softmax, shrink, s, scale_log2);
    pack_probabilities(rows.p, s);
}

/* The next key tile's scores and probabilities, above the product of the WIDTH keys before it. */
template <int HD, int WIDTH>
__device__ __forceinline__ void step(rows_state<HD> &rows, shared_tiles<HD> &shared,
                                     const __nv_bfloat16 *q, ring<STAGES> &keys, int key0,
                                     bool masked, float scale_log2)
{
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1;
    const ring<STAGES> before = keys;
    float s[KEYS / 8][4], shrink[2];
    keys.count++;
    barrier_wait(&shared.k_full[keys.stage()], keys.full());
    turn_wait(1 + warpgroup);
    start_scores<HD, KEYS>(s, q, shared.k[keys.stage()]);
    barrier_wait(&shared.v_full[before.stage()], before.full());
    start_output<HD, WIDTH>(rows.o, rows.p, shared.v[before.stage()]);
    turn_pass(2 - warpgroup);
    wgmma_wait<1>(); /* the scores; the output goes on below the softmax */
    warp_arrive(&shared.k_empty[keys.stage()]);
    if (masked) mask_tile(s, key0, rows.last_key);
    softmax_step(rows.softmax, shrink, s, scale_log2);
    wgmma_wait<0>();
    warp_arrive(&shared.v_empty[before.stage()]);
    rescale(rows.o, shrink);
    pack_probabilities(rows.p, s);
}

/* The product that is still due. */
template <int HD, int WIDTH>
__device__ __forceinline__ void last_step(rows_state<HD> &rows, shared_tiles<HD> &shared,
                                          ring<STAGES> &keys)
{
    barrier_wait(&shared.v_full[keys.stage()], keys.full());
    start_output<HD, WIDTH>(rows.o, rows.p, shared.v[keys.stage()]);
    softmax_end(rows.softmax);
    wgmma_wait<0>();
    warp_arrive(&shared.v_empty[keys.stage()]);
    keys.count++;
}

/* The last key tile and, where there is one, the tile before it, which the diagonal can reach when
 * a prefix shifts it. */
template <int HD, int WIDTH>
__device__ __forceinline__ void begin_rows(rows_state<HD> &rows, shared_tiles<HD> &shared,
                                           const __nv_bfloat16 *q, ring<STAGES> &keys,
                                           const work &w, int slot, float scale_log2)
{
    const int key0 = (w.tiles - 1) * KEYS;
    first_step<HD, WIDTH>(rows, shared, q, keys, key0, scale_log2);
    if (w.tiles == 1) {
        warp_arrive(&shared.q_empty[slot]);
        last_step<HD, WIDTH>(rows, shared, keys);
    } else {
        step<HD, WIDTH>(rows, shared, q, keys, key0 - KEYS, key0 - 1 > rows.diagonal, scale_log2);
    }
}

/* A warpgroup's 64 rows of one tile. */
template <int HD>
__device__ void attend(shared_tiles<HD> &shared, const work &w, int slot, ring<STAGES> &keys,
                       const mn_attention_forward &args)
{
    const mn_attention_shape &shape = args.shape;
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1, lane = threadIdx.x & 31;
    const int group = shape.heads / shape.kv_heads,
              shift = 31 - __clz(group); /* a power of 2, as ROWS is */
    const int row =
        64 * warpgroup + 16 * (((int)threadIdx.x / 32) & 3) + lane / 4; /* and row + 8 */
    const __nv_bfloat16 *q = shared.q[slot] + 64 * warpgroup * PANEL;
    const float scale_log2 = shape.scale * LOG2E;
    rows_state<HD> rows = {};
    rows.softmax = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
    rows.diagonal = w.prefix + w.q0;
    rows.last_key[0] = rows.diagonal + (row >> shift);
    rows.last_key[1] = rows.diagonal + ((row + 8) >> shift);

    if (w.last == 32)
        begin_rows<HD, 32>(rows, shared, q, keys, w, slot, scale_log2);
    else if (w.last == 64)
        begin_rows<HD, 64>(rows, shared, q, keys, w, slot, scale_log2);
    else if (w.last == 96)
        begin_rows<HD, 96>(rows, shared, q, keys, w, slot, scale_log2);
    else
        begin_rows<HD, 128>(rows, shared, q, keys, w, slot, scale_log2);
    if (w.tiles > 1) {
        for (int tile = w.tiles - 3; tile >= 0; tile--)
            step<HD, KEYS>(rows, shared, q, keys, tile * KEYS, false, scale_log2);
        warp_arrive(&shared.q_empty[slot]);
        last_step<HD, KEYS>(rows, shared, keys);
    }

#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int r = row + 8 * half, token = w.q0 + (r >> shift);
        if (token >= w.length) continue;
        const int64_t head =
            (int64_t)(w.begin + token) * shape.heads + w.kv * group + (r & (group - 1));
        store_row<HD>(bf16(args.out) + head * HD, rows.o, half,
                      __fdividef(1.0f, rows.softmax.sum[half]), lane);
        if (args.lse && (lane & 3) == 0)
            args.lse[head] = (rows.softmax.max[half] + __log2f(rows.softmax.sum[half])) * LN2;
    }
}

/* The tile, read by one lane for its warp: that lane hands back the place, too. */
__device__ __forceinline__ work take_work(const work &from)
{
    enum { WORDS = sizeof(work) / sizeof(int) };
    int word[WORDS];
    work w;
    const int *at = &from.begin;
    const bool reads = (threadIdx.x & 31) == 0;
#pragma unroll
    for (int i = 0; i < WORDS; i++) word[i] = __shfl_sync(~0u, reads ? at[i] : 0, 0);
    memcpy(&w, word, sizeof w);
    return w;
}

template <int HD>
__device__ void consume(shared_tiles<HD> &shared, const mn_attention_forward &args)
{
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1;
    ring<STAGES> items = {}, keys = {};
    if (warpgroup == 1) turn_pass(1); /* the first turn is the other's */
    for (;; items.count++) {
        const int slot = items.stage();
        barrier_wait(&shared.q_full[slot], items.full());
        const work w = take_work(shared.item[slot]);
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
        tensor_map_prefetch(&m.query);
        tensor_map_prefetch(&m.own[0]);
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
        give_registers<40>();
        if (threadIdx.x < WARP) produce<HD>(shared, args, plan, m);
    } else {
        take_registers<232>();
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
    const int rows = args->segments.rows;
    MN_TRY(make_tensor_map(&m->query, op, bf16(args->qkv), rows, all_heads, hd, ld, ROWS / group,
                           group));
    for (int i = 0; i < BOXES; i++) {
        MN_TRY(make_tensor_map(&m->own[i], op, bf16(args->qkv), rows, all_heads, hd, ld,
                               box_rows(i), 1));
        if (args->segments.max_prefix == 0) continue;
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
    enum { ROUNDS = 4 };
    const mn_attention_shape &shape = args->shape;
    maps m = {};
    MN_TRY(make_maps(&m, args));
    MN_TRY(allow_shared((const void *)attention_forward_sm90_kernel<HD>,
                        (int)sizeof(shared_tiles<HD>)));
    const schedule plan =
        make_schedule(s->ticket, &args->segments, shape.kv_heads,
                      ROWS / (shape.heads / shape.kv_heads), ROUNDS, s->multiprocessors);
    attention_forward_sm90_kernel<HD>
        <<<(unsigned)plan.blocks, THREADS, sizeof(shared_tiles<HD>), s->stream>>>(*args, plan, m);
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
