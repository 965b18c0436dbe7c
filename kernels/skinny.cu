/* skinny.cu: d (rows, cols) = a (rows, depth) · bᵀ, b (cols, depth), for at most 32 rows.
 *
 * Bound by reading b once: 2 * cols * depth bytes. b is the left operand of m16n8k16: 16 of its
 * rows against 8 rows of a. The order of k within a chunk of 32 is free as long as both operands
 * agree, so lane 4g + t takes k 8t … 8t+7 of rows g: one load of 16 bytes from global memory is
 * the fragments of two instructions, and nothing goes through shared memory. A block has TILES * 16
 * rows of b; its eight warps take an eighth of the depth each, two stages of 4 KiB in flight a
 * warp, and their sums meet in shared memory in a fixed order. What TILES is changes the time and
 * not the sums. a is read once a block, from L2. */
#include "mma.cuh"
#include "skinny.cuh"

enum {
    SKINNY_THREADS = 256,
    SPLITS = SKINNY_THREADS / WARP, /* of the depth */
    CHUNK = 32,                     /* k of a load */
    STAGE_LOADS = 4,                /* pairs of loads of b a stage and lane */
    TOKENS = 8,                     /* rows of a an instruction takes */
    SKINNY_ROWS = 4 * TOKENS,
    LD_MAX = 1 << 24, /* offsets within a tile are 32-bit */
};

struct skinny {
    __nv_bfloat16 *d;
    const __nv_bfloat16 *a, *b;
    int rows, cols, depth;
    int64_t ldd;
    int lda, ldb;
    bool accumulate, b_is_old;
};

/* Loads of b that nobody will want again. */
__device__ __forceinline__ uint4 load_once(const __nv_bfloat16 *p)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

template <int TILES, int GROUPS> struct stage {
    enum { CHUNKS = STAGE_LOADS / TILES };
    uint4 b[CHUNKS][TILES][2], a[CHUNKS][GROUPS];

    /* k counts from the warp's first; past its last there are zeros. */
    __device__ __forceinline__ void load_b(const __nv_bfloat16 *from, int ld, int k, int depth)
    {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
#pragma unroll
            for (int i = 0; i < 2 * TILES; i++)
                b[c][i / 2][i % 2] = k + c * CHUNK < depth
                                         ? load_once(from + 8 * i * ld + k + c * CHUNK)
                                         : make_uint4(0, 0, 0, 0);
    }

    __device__ __forceinline__ void load_a(const __nv_bfloat16 *from, int ld, int k, int depth,
                                           int rows)
    {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
#pragma unroll
            for (int g = 0; g < GROUPS; g++)
                a[c][g] =
                    k + c * CHUNK < depth && g * TOKENS < rows
                        ? *reinterpret_cast<const uint4 *>(from + g * TOKENS * ld + k + c * CHUNK)
                        : make_uint4(0, 0, 0, 0);
    }

    __device__ __forceinline__ void multiply(float (&sum)[TILES][GROUPS][4]) const
    {
#pragma unroll
        for (int c = 0; c < CHUNKS; c++)
#pragma unroll
            for (int t = 0; t < TILES; t++) {
                const uint4 low = b[c][t][0], high = b[c][t][1];
                const uint32_t first[4] = {low.x, high.x, low.y, high.y};
                const uint32_t second[4] = {low.z, high.z, low.w, high.w};
#pragma unroll
                for (int g = 0; g < GROUPS; g++) {
                    mma_bf16(sum[t][g], first, a[c][g].x, a[c][g].y);
                    mma_bf16(sum[t][g], second, a[c][g].z, a[c][g].w);
                }
            }
    }
};

/* The sums of all warps, in order, into d. */
template <int TILES, int GROUPS>
__device__ __forceinline__ void write_tile(const struct skinny &s, int col0,
                                           const float (&sum)[TILES][GROUPS][4])
{
    __shared__ float sums[SPLITS][GROUPS * TOKENS][TILES * 16 + 1];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int group = 0; group < GROUPS; group++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                sums[warp][group * TOKENS + 2 * t + i % 2][tile * 16 + g + 8 * (i / 2)] =
                    sum[tile][group][i];
    __syncthreads();
    for (int i = threadIdx.x; i < s.rows * TILES * 16; i += SKINNY_THREADS) {
        const int row = i / (TILES * 16), col = i % (TILES * 16);
        __nv_bfloat16 *d = s.d + row * s.ldd + col0 + col;
        float value = s.accumulate ? __bfloat162float(*d) : 0.0f;
#pragma unroll
        for (int split = 0; split < SPLITS; split++) value += sums[split][row][col];
        *d = __float2bfloat16_rn(value);
    }
}

template <int TILES, int GROUPS>
static __global__ void __launch_bounds__(SKINNY_THREADS, GROUPS == 1 ? 2 : 1)
    skinny_kernel(const struct skinny s)
{
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    constexpr bool BOTH = GROUPS == 1; /* stages are in flight throughout: registers allow it */
    const int depth = s.depth / SPLITS, step = stage<TILES, GROUPS>::CHUNKS * CHUNK;
    const int col0 = blockIdx.x * TILES * 16, rows = s.rows - g; /* of a, from the lane's on */
    const __nv_bfloat16 *b = s.b + (int64_t)(col0 + g) * s.ldb + warp * depth + 8 * t;
    const __nv_bfloat16 *a = s.a + (int64_t)g * s.lda + warp * depth + 8 * t;
    float sum[TILES][GROUPS][4] = {};
    stage<TILES, GROUPS> even, odd;
    if (!s.b_is_old) join_stream();
    even.load_b(b, s.ldb, 0, depth); /* under the end of the launch before, where b is old */
    if (BOTH) odd.load_b(b, s.ldb, step, depth);
    if (s.b_is_old) join_stream();
    even.load_a(a, s.lda, 0, depth, rows);
    for (int k = 0; k < depth; k += 2 * step) {
        if (!BOTH) odd.load_b(b, s.ldb, k + step, depth);
        odd.load_a(a, s.lda, k + step, depth, rows);
        even.multiply(sum);
        even.load_b(b, s.ldb, k + 2 * step, depth);
        even.load_a(a, s.lda, k + 2 * step, depth, rows);
        odd.multiply(sum);
        if (BOTH) odd.load_b(b, s.ldb, k + 3 * step, depth);
    }
    write_tile<TILES, GROUPS>(s, col0, sum);
}

bool skinny_fits(const struct gemm *g)
{
    return g->rows <= SKINNY_ROWS && g->b_by_column && g->lda < LD_MAX && g->ldb < LD_MAX &&
           g->cols % (2 * 16) == 0 && g->depth % (SPLITS * CHUNK) == 0 &&
           is_wide(g->a, g->depth, g->lda) && is_wide(g->b, g->depth, g->ldb);
}

template <int TILES, int GROUPS>
static mn_status launch(const struct gemm *g, bool b_is_old, mn_stream s)
{
    const struct skinny args = {.d = g->d,
                                .a = g->a,
                                .b = g->b,
                                .rows = g->rows,
                                .cols = g->cols,
                                .depth = g->depth,
                                .ldd = g->ldd,
                                .lda = (int)g->lda,
                                .ldb = (int)g->ldb,
                                .accumulate = g->beta != 0.0f,
                                .b_is_old = b_is_old};
    return launch_early(g->op, skinny_kernel<TILES, GROUPS>, g->cols / (TILES * 16), SKINNY_THREADS,
                        0, s, args);
}

mn_status skinny_run(const struct gemm *g, bool b_is_old, mn_stream s)
{
    if (g->rows <= TOKENS) return launch<1, 1>(g, b_is_old, s);
    return g->rows <= 2 * TOKENS ? launch<2, 2>(g, b_is_old, s) : launch<2, 4>(g, b_is_old, s);
}
