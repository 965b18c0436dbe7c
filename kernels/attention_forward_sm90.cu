/* attention_forward_sm90.cu: attention without prefixes on Hopper: wgmma fed by TMA.
 *
 * One block a (tile of 128 packed query rows, kv head, sequence): a producer warp and two
 * warpgroups of 64 rows (Shah et al. 2024). Keys come in tiles of 128, two stages deep. While the
 * tensor cores multiply a tile's probabilities by its values, the warpgroup takes the softmax of
 * the next tile; the other warpgroup fills what gaps remain. A tile that reaches past its sequence
 * reads its neighbour's rows: finite numbers that the mask or a zero probability removes. Flops: 4
 * * head_dim a (query, key) pair. */
#include "attention.cuh"
#include "hopper.cuh"

namespace
{

enum { ROWS = 128, KEYS = 128, STAGES = 2, CONSUMERS = 2, THREADS = (1 + CONSUMERS) * WARPGROUP };

template <int HD> struct shared_tiles {
    __nv_bfloat16 q[ROWS * HD], k[STAGES][KEYS * HD], v[STAGES][KEYS * HD];
    uint64_t q_full, k_full[STAGES], k_empty[STAGES], v_full[STAGES], v_empty[STAGES];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct work {
    int begin, length, q0, group, kv, tiles;
};

/* One thread: the query tile, then keys and values as stages fall free. */
template <int HD>
__device__ void produce(shared_tiles<HD> &shared, const work &w, const mn_attention_shape &shape,
                        const CUtensorMap *q_map, const CUtensorMap *kv_map)
{
    constexpr int PANELS = HD / PANEL;
    constexpr uint32_t BYTES = KEYS * HD * 2;
    barrier_expect(&shared.q_full, ROWS * HD * 2);
    for (int p = 0; p < PANELS; p++)
        tma_load(shared.q + p * ROWS * PANEL, q_map, &shared.q_full, p * PANEL, w.kv * w.group,
                 w.begin + w.q0);
    for (int tile = 0; tile < w.tiles; tile++) {
        const int stage = tile % STAGES, row = w.begin + tile * KEYS;
        const uint32_t free_phase =
            (tile / STAGES + 1) & 1; /* a new barrier passes a wait for parity 1 */
        barrier_wait(&shared.k_empty[stage], free_phase);
        barrier_expect(&shared.k_full[stage], BYTES);
        for (int p = 0; p < PANELS; p++)
            tma_load(shared.k[stage] + p * KEYS * PANEL, kv_map, &shared.k_full[stage], p * PANEL,
                     shape.heads + w.kv, row);
        barrier_wait(&shared.v_empty[stage], free_phase);
        barrier_expect(&shared.v_full[stage], BYTES);
        for (int p = 0; p < PANELS; p++)
            tma_load(shared.v[stage] + p * KEYS * PANEL, kv_map, &shared.v_full[stage], p * PANEL,
                     shape.heads + shape.kv_heads + w.kv, row);
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

template <int HD>
__device__ void consume(shared_tiles<HD> &shared, const work &w, const mn_attention_forward &args)
{
    const mn_attention_shape &shape = args.shape;
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1, lane = threadIdx.x & 31;
    const int row =
        64 * warpgroup + 16 * (((int)threadIdx.x / 32) & 3) + lane / 4; /* and row + 8 */
    const int last_key[2] = {w.q0 + row / w.group, w.q0 + (row + 8) / w.group};
    const __nv_bfloat16 *q = shared.q + 64 * warpgroup * PANEL;
    const float scale_log2 = shape.scale * LOG2E;
    float o[HD / 8][4] = {}, s[KEYS / 8][4], shrink[2];
    uint32_t p[KEYS / 16][4];
    softmax_rows state = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};

    barrier_wait(&shared.q_full, 0);
    barrier_wait(&shared.k_full[0], 0);
    start_scores<HD>(s, q, shared.k[0]);
    wgmma_wait<0>();
    barrier_arrive(&shared.k_empty[0]);
    if (KEYS - 1 > w.q0) mask_tile(s, 0, last_key);
    softmax_step(state, shrink, s, scale_log2);
    pack_probabilities(p, s);
    for (int tile = 1; tile < w.tiles; tile++) {
        const int stage = tile % STAGES, before = (tile - 1) % STAGES;
        barrier_wait(&shared.k_full[stage], (tile / STAGES) & 1);
        start_scores<HD>(s, q, shared.k[stage]);
        barrier_wait(&shared.v_full[before], ((tile - 1) / STAGES) & 1);
        start_output<HD>(o, p, shared.v[before]);
        wgmma_wait<1>(); /* the scores; the output goes on below the softmax */
        barrier_arrive(&shared.k_empty[stage]);
        if (tile * KEYS + KEYS - 1 > w.q0) mask_tile(s, tile * KEYS, last_key);
        softmax_step(state, shrink, s, scale_log2);
        wgmma_wait<0>();
        barrier_arrive(&shared.v_empty[before]);
        rescale(o, shrink);
        pack_probabilities(p, s);
    }
    const int last = w.tiles - 1;
    barrier_wait(&shared.v_full[last % STAGES], (last / STAGES) & 1);
    start_output<HD>(o, p, shared.v[last % STAGES]);
    wgmma_wait<0>();

#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int r = row + 8 * half, token = w.q0 + r / w.group;
        if (token >= w.length) continue;
        const int64_t head =
            (int64_t)(w.begin + token) * shape.heads + w.kv * w.group + r % w.group;
        uint32_t *to = reinterpret_cast<uint32_t *>(bf16(args.out) + head * HD) + (lane & 3);
        const float inverse = 1.0f / state.sum[half];
#pragma unroll
        for (int n = 0; n < HD / 8; n++)
            to[4 * n] = pack2(o[n][2 * half] * inverse, o[n][2 * half + 1] * inverse);
        if (args.lse && (lane & 3) == 0)
            args.lse[head] = (state.max[half] + log2f(state.sum[half])) * LN2;
    }
}

#endif

template <int HD>
__global__ void __launch_bounds__(THREADS, 1)
    attention_forward_sm90_kernel(const mn_attention_forward args,
                                  const __grid_constant__ CUtensorMap q_map,
                                  const __grid_constant__ CUtensorMap kv_map)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) unsigned char raw[];
    shared_tiles<HD> &shared = *reinterpret_cast<shared_tiles<HD> *>(raw);
    work w;
    w.begin = args.segments.offsets[blockIdx.z];
    w.length = args.segments.offsets[blockIdx.z + 1] - w.begin;
    w.group = args.shape.heads / args.shape.kv_heads;
    w.q0 = (int)(gridDim.x - 1 - blockIdx.x) * (ROWS / w.group);
    w.kv = blockIdx.y;
    if (w.q0 >= w.length) return;
    w.tiles = (min(w.q0 + ROWS / w.group, w.length) - 1) / KEYS + 1;

    if (threadIdx.x == 0) {
        barrier_init(&shared.q_full, 1);
        for (int s = 0; s < STAGES; s++) {
            barrier_init(&shared.k_full[s], 1);
            barrier_init(&shared.v_full[s], 1);
            barrier_init(&shared.k_empty[s], CONSUMERS * WARPGROUP);
            barrier_init(&shared.v_empty[s], CONSUMERS * WARPGROUP);
        }
        barrier_init_fence();
    }
    __syncthreads(); /* nobody touches a barrier before it exists */
    if (threadIdx.x < WARPGROUP) {
        give_registers<24>();
        if (threadIdx.x == 0) produce<HD>(shared, w, args.shape, &q_map, &kv_map);
    } else {
        take_registers<240>();
        consume<HD>(shared, w, args);
    }
#endif
}

template <int HD> mn_status launch(const mn_attention_forward *args, mn_stream s)
{
    const mn_attention_shape &shape = args->shape;
    const int group = shape.heads / shape.kv_heads, all_heads = shape.heads + 2 * shape.kv_heads;
    const int64_t ld = (int64_t)all_heads * HD;
    CUtensorMap q_map, kv_map;
    MN_TRY(make_tensor_map(&q_map, "attention_forward", bf16(args->qkv), args->segments.rows,
                           all_heads, HD, ld, ROWS / group, group));
    MN_TRY(make_tensor_map(&kv_map, "attention_forward", bf16(args->qkv), args->segments.rows,
                           all_heads, HD, ld, KEYS, 1));
    MN_TRY(allow_shared((const void *)attention_forward_sm90_kernel<HD>,
                        (int)sizeof(shared_tiles<HD>)));
    const dim3 grid((unsigned)ceil_div(args->segments.max_length, ROWS / group),
                    (unsigned)shape.kv_heads, (unsigned)args->segments.sequences);
    attention_forward_sm90_kernel<HD>
        <<<grid, THREADS, sizeof(shared_tiles<HD>), s->stream>>>(*args, q_map, kv_map);
    return launched("attention_forward");
}

} // namespace

bool attention_forward_sm90_fits(const mn_attention_forward *args)
{
    return args->segments.max_prefix == 0 && ROWS % (args->shape.heads / args->shape.kv_heads) == 0;
}

mn_status attention_forward_sm90(const mn_attention_forward *args, mn_stream s)
{
    return args->shape.head_dim == 64 ? launch<64>(args, s) : launch<128>(args, s);
}
