/* swiglu_sm90.cu: silu(gate)·up of [gate, up] = x·Wᵀ on Hopper, wgmma fed by TMA. Gate and up never
 * reach memory: a kernel for each would write and read 8 bytes an element of them. Flops: 2 · rows
 * · depth · columns.
 *
 * A tile is 128 rows by 128 columns of gate and the same 128 of up, so that both meet in one
 * thread. One block a multiprocessor takes every n-th tile: a producer thread runs ahead through
 * the depth, also under the epilogue of the tile before; two warpgroups own 64 rows each. Blocks of
 * a pair have tiles one below the other, and each fetches half of the weight's tile for both. Tiles
 * that run together lie in a square of rows and columns, whose operands L2 holds. */
#include "hopper.cuh"
#include "swiglu.cuh"

namespace
{

enum {
    CONSUMERS = 2,
    THREADS = (1 + CONSUMERS) * WARPGROUP,
    OWN_ROWS = 64, /* of a warpgroup */
    TILE_ROWS = CONSUMERS * OWN_ROWS,
    HALF = 128, /* columns of gate, or of up */
    PAIR = 2,
    PAIR_ROWS = PAIR * TILE_ROWS,
    SQUARE = 8, /* pairs of tiles, one below the other, that a group of tiles has */
    STAGES = 4,
    CHUNKS = PANEL / VECTOR
};

struct product {
    CUtensorMap x, weight, out; /* (rows, depth), (2·columns, depth), (rows, columns) */
    int rows, columns;
    int steps; /* panels of the depth */
};

struct shared_tiles {
    __nv_bfloat16 x[STAGES][TILE_ROWS * PANEL], weight[STAGES][2 * HALF * PANEL];
    __nv_bfloat16 out[CONSUMERS][HALF / PANEL][OWN_ROWS * PANEL]; /* on its way to memory */
    uint64_t full[STAGES], empty[STAGES];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct place {
    int row, column;
    bool there; /* else there are no more tiles */
};

/* This block's tile of the pair of that number. */
__device__ place place_of(int number, const product &p)
{
    const int pairs = (p.rows + PAIR_ROWS - 1) / PAIR_ROWS, tiles = p.columns / HALF;
    const int group = number / (SQUARE * tiles), rest = number % (SQUARE * tiles);
    const int here = min((int)SQUARE, pairs - group * SQUARE);
    if (number >= pairs * tiles) return place{0, 0, false};
    const int pair = group * SQUARE + rest % here;
    return place{(pair * PAIR + (int)blockIdx.x % PAIR) * TILE_ROWS, rest / here * HALF, true};
}

__device__ __forceinline__ int first_number()
{
    return blockIdx.x / PAIR;
}

__device__ __forceinline__ int stride()
{
    return gridDim.x / PAIR;
}

/* One thread: the operands of all tiles, as stages fall free in both blocks. The first block
 * fetches gate's rows of the weight for both, the second up's. */
__device__ void produce(shared_tiles &shared, const product &p)
{
    const int half = blockIdx.x % PAIR;
    ring<STAGES> filled = {0};
    for (int number = first_number();; number += stride()) {
        const place at = place_of(number, p);
        if (!at.there) return;
        for (int step = 0; step < p.steps; step++, filled.count++) {
            const int stage = filled.stage();
            uint64_t *full = &shared.full[stage];
            barrier_wait(&shared.empty[stage], filled.empty());
            barrier_expect(full, (TILE_ROWS + 2 * HALF) * PANEL * 2);
            tma_load(shared.x[stage], &p.x, full, step * PANEL, 0, at.row);
            tma_load_both(shared.weight[stage] + half * HALF * PANEL, &p.weight, full, step * PANEL,
                          0, half * p.columns + at.column);
        }
    }
}

/* Tells both blocks that this warpgroup needs a stage no longer. */
__device__ __forceinline__ void release(uint64_t *empty)
{
    const int block = threadIdx.x % WARPGROUP;
    if (block < PAIR) barrier_arrive_at(empty, block);
}

/* d (64 rows, gate and up) = the warpgroup's rows of the tile. */
__device__ __forceinline__ void multiply(float (&d)[32][4], shared_tiles &shared,
                                         ring<STAGES> &filled, int steps, int warpgroup)
{
    for (int step = 0; step < steps; step++, filled.count++) {
        const int stage = filled.stage();
        barrier_wait(&shared.full[stage], filled.full());
        const uint32_t a = wgmma_base(shared.x[stage] + warpgroup * OWN_ROWS * PANEL);
        const uint32_t b = wgmma_base(shared.weight[stage]);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < PANEL / 16; k++)
            wgmma_wide(d, descriptor_along<TILE_ROWS>(a, k), descriptor_along<2 * HALF>(b, k),
                       step + k > 0);
        wgmma_commit();
        if (step == 0) continue;
        wgmma_wait<1>(); /* the stage before has been read */
        release(&shared.empty[(filled.count - 1) % STAGES]);
    }
    wgmma_wait<0>();
    wgmma_done(d);
    release(&shared.empty[(filled.count - 1) % STAGES]);
}

__device__ __forceinline__ void warpgroup_sync(int warpgroup)
{
    asm volatile("bar.sync %0, %1;" ::"r"(1 + warpgroup), "n"((int)WARPGROUP) : "memory");
}

/* Gate and up are rounded to bf16 first, as a SwiGLU of its own would read them. */
__device__ __forceinline__ float swiglu(float gate, float up)
{
    gate = round_bf16(gate);
    return round_bf16(up) * __fdividef(gate, 1.0f + __expf(-gate));
}

/* Tile j of eight columns, packed as a fragment of two tiles of eight rows. */
__device__ __forceinline__ void swiglu_tile(uint32_t &upper, uint32_t &lower,
                                            const float (&d)[32][4], int j)
{
    const float(&gate)[4] = d[j], (&up)[4] = d[j + 16];
    upper = pack2(swiglu(gate[0], up[0]), swiglu(gate[1], up[1]));
    lower = pack2(swiglu(gate[2], up[2]), swiglu(gate[3], up[3]));
}

__device__ __forceinline__ void store(const float (&d)[32][4], shared_tiles &shared,
                                      const product &p, const place &at, int warpgroup)
{
    __nv_bfloat16(&out)[HALF / PANEL][OWN_ROWS * PANEL] = shared.out[warpgroup];
    const int own = threadIdx.x % WARPGROUP, r = own / WARP * 16 + own % 16;
    const int row = at.row + warpgroup * OWN_ROWS;
    if (own == 0) bulk_wait_read();
    warpgroup_sync(warpgroup); /* the tile before has left */
#pragma unroll
    for (int j = 0; j < HALF / VECTOR; j += 2) {
        uint32_t w[4];
        swiglu_tile(w[0], w[1], d, j);
        swiglu_tile(w[2], w[3], d, j + 1);
        const int c = j + own % WARP / 16;
        store_matrices(shared_u32(out[c / CHUNKS] + r * PANEL + (c % CHUNKS ^ r % CHUNKS) * VECTOR),
                       w);
    }
    async_fence_shared();
    warpgroup_sync(warpgroup); /* the tile is written */
    if (own != 0) return;
    for (int i = 0; i < HALF / PANEL; i++) tma_store(&p.out, out[i], at.column + i * PANEL, 0, row);
    bulk_commit();
}

__device__ void consume(shared_tiles &shared, const product &p, int warpgroup)
{
    ring<STAGES> filled = {0};
    for (int number = first_number();; number += stride()) {
        const place at = place_of(number, p);
        if (!at.there) break;
        float d[32][4];
        multiply(d, shared, filled, p.steps, warpgroup);
        store(d, shared, p, at, warpgroup);
    }
    if (threadIdx.x % WARPGROUP == 0) bulk_wait();
}

__device__ void init_barriers(shared_tiles &shared)
{
    for (int i = 0; i < STAGES; i++) {
        barrier_init(&shared.full[i], 1);
        barrier_init(&shared.empty[i], CONSUMERS * PAIR);
    }
    barrier_init_fence();
}

#endif

__global__ void __launch_bounds__(THREADS, 1)
    swiglu_product_kernel(const __grid_constant__ product p)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) unsigned char raw[];
    shared_tiles &shared = *reinterpret_cast<shared_tiles *>(raw);
    const int warpgroup = (int)threadIdx.x / WARPGROUP - 1;
    if (threadIdx.x == 0) init_barriers(shared);
    cluster_sync(); /* nobody touches a barrier before it exists */
    if (warpgroup < 0) {
        give_registers<40>();
        if (threadIdx.x == 0) produce(shared, p);
    } else {
        take_registers<232>();
        consume(shared, p, warpgroup);
    }
    __syncwarp();
    cluster_sync(); /* nobody leaves whose barriers the other block may still arrive at */
#endif
}

/* Tiles fill nine tenths of the device, to the end of the last wave: cuBLAS has a choice of tiles
 * where these would leave it idle. */
bool fills(int rows, int columns, mn_stream s)
{
    const int64_t tiles = columns / HALF, at_once = s->multiprocessors / PAIR;
    const int64_t waves = (ceil_div(rows, PAIR_ROWS) * tiles + at_once - 1) / at_once;
    return 10 * (int64_t)rows * tiles >= 9 * waves * at_once * PAIR_ROWS;
}

} // namespace

bool swiglu_product_fits(const struct mn_linear_forward *args, mn_stream s)
{
    const int in = args->weight.in, columns = args->weight.out / 2;
    return s->hopper && args->swiglu && args->y_is_room && args->lora.parts == 0 &&
           args->group_count == 0 && columns % HALF == 0 && fills(args->rows, columns, s) &&
           is_wide(args->x, in, args->ldx) && is_wide(args->weight.dense, in, in) &&
           is_wide(args->swiglu, columns, columns);
}

mn_status swiglu_product(const struct mn_linear_forward *args, const __nv_bfloat16 *weight,
                         mn_stream s)
{
    const char *op = "linear_forward with SwiGLU";
    const int rows = args->rows, in = args->weight.in, columns = args->weight.out / 2;
    product p = {};
    p.rows = rows, p.columns = columns, p.steps = ceil_div(in, PANEL);
    MN_TRY(make_tensor_map(&p.x, op, bf16(args->x), rows, 1, in, args->ldx, TILE_ROWS, 1));
    MN_TRY(make_tensor_map(&p.weight, op, weight, 2 * columns, 1, in, in, HALF, 1));
    MN_TRY(make_tensor_map(&p.out, op, bf16(args->swiglu), rows, 1, columns, columns, OWN_ROWS, 1));
    cudaLaunchAttribute pairs = {};
    pairs.id = cudaLaunchAttributeClusterDimension;
    pairs.val.clusterDim.x = PAIR, pairs.val.clusterDim.y = pairs.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(s->multiprocessors / PAIR * PAIR);
    config.blockDim = dim3(THREADS);
    config.dynamicSmemBytes = sizeof(shared_tiles);
    config.stream = s->stream;
    config.attrs = &pairs;
    config.numAttrs = 1;
    cudaError_t error =
        cudaFuncSetAttribute(swiglu_product_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             (int)config.dynamicSmemBytes);
    if (error == cudaSuccess) error = cudaLaunchKernelEx(&config, swiglu_product_kernel, p);
    return error == cudaSuccess ? MN_OK : cuda_failed(op, error);
}
