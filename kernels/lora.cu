/* lora.cu: the masked and the token-summing products of an adapter, on mma.sync.
 *
 * All of them are bound by reading or writing one (rows, in) matrix. The dropout mask is never
 * stored: the thread that holds eight neighbours of a row draws two Philox blocks for them. With
 * dropout that arithmetic, about 25 instructions an element, is what the time goes to. */
#include "lora.cuh"

#include "minuano/random.h"
#include "mma.cuh"

enum { TILE_RANK = 32 }; /* rank columns of a block: more would cost registers */

/* --- dropout
 * -------------------------------------------------------------------------------------- */

struct dropout {
    uint64_t seed, stream, first; /* first: element number of (row 0, column 0) */
    uint32_t threshold;           /* words below are dropped; 0: none */
};

static uint32_t drop_threshold(const struct mn_lora *lora)
{
    double words = ceil((double)lora->dropout * 4294967296.0);
    return words >= 4294967295.0 ? 0xffffffffu : (uint32_t)words;
}

static float kept_factor(const struct mn_lora *lora)
{
    return lora->dropout > 0 ? 1.0f / (1.0f - lora->dropout) : 1.0f;
}

__device__ __forceinline__ struct dropout dropout_of(const struct mn_lora &lora, int part,
                                                     uint32_t threshold, int in)
{
    struct dropout d = {lora.seed, mn_stream_id(MN_RANDOM_DROPOUT, lora.part[part].module), 0,
                        threshold};
    if (threshold) d.first = (uint64_t)*lora.first_row * (uint64_t)in;
    return d;
}

/* Bit i: element i of the eight from (row, column) is kept. */
template <bool WIDE>
__device__ __forceinline__ uint32_t kept8(const struct dropout &d, int64_t row, int column, int in)
{
    uint64_t index = d.first + (uint64_t)row * (uint64_t)in + (uint64_t)column;
    uint32_t kept = 0;
    if (WIDE || index % 4 == 0) { /* wide rows are multiples of eight */
#pragma unroll
        for (int half = 0; half < 2; half++) {
            struct mn_philox block = mn_philox(d.seed, d.stream, index / 4 + half);
#pragma unroll
            for (int i = 0; i < 4; i++)
                kept |= (uint32_t)(block.word[i] >= d.threshold) << (4 * half + i);
        }
    } else { /* rows that are no multiple of four: test shapes */
        for (int i = 0; i < 8; i++)
            kept |= (uint32_t)(mn_random_word(d.seed, d.stream, index + i) >= d.threshold) << i;
    }
    return kept;
}

__device__ __forceinline__ uint4 drop8(uint4 raw, uint32_t kept)
{
    uint32_t *word = reinterpret_cast<uint32_t *>(&raw);
#pragma unroll
    for (int i = 0; i < 4; i++)
        word[i] &=
            (kept >> (2 * i) & 1 ? 0xffffu : 0u) | (kept >> (2 * i + 1) & 1 ? 0xffff0000u : 0u);
    return raw;
}

/* --- the rank columns of one block
 * ------------------------------------------------------------------ */

/* Masks differ between parts, so a tile of rank columns lies in one. */
struct rank_tile {
    int part, begin, width; /* begin: column of u */
};

static __host__ __device__ int rank_tiles(const struct mn_lora &lora)
{
    int tiles = 0;
    for (int p = 0; p < lora.parts; p++) tiles += (lora.part[p].rank + TILE_RANK - 1) / TILE_RANK;
    return tiles;
}

__device__ __forceinline__ struct rank_tile rank_tile_at(const struct mn_lora &lora, int tile)
{
    int p = 0;
    for (;; p++) {
        int tiles = (lora.part[p].rank + TILE_RANK - 1) / TILE_RANK;
        if (tile < tiles) break;
        tile -= tiles;
    }
    int left = lora.part[p].rank - tile * TILE_RANK;
    struct rank_tile found = {p, lora.part[p].rank_begin + tile * TILE_RANK,
                              left < TILE_RANK ? left : (int)TILE_RANK};
    return found;
}

static bool is_narrow(const struct mn_lora *lora)
{
    for (int p = 0; p < lora->parts; p++)
        if (lora->part[p].rank > 16) return false;
    return true;
}

/* --- u = scale · masked x · Aᵀ
 * ------------------------------------------------------------------------ */

/* Block: 16·MT rows by 8·NT rank columns; its eight warps split the depth and add up in a fixed
 * order. Operands go from memory to registers sixteen bytes at a time without shared memory: a lane
 * takes eight neighbours of its row, and both operands number the depth in that same order. */
enum { PROJECT_WARPS = 8, PROJECT_DEPTH = 32 };

template <int MT, int NT, bool WIDE>
static __global__ void __launch_bounds__(PROJECT_WARPS *WARP, WIDE ? 2 : 1)
    project_kernel(__nv_bfloat16 *__restrict__ u, const __nv_bfloat16 *__restrict__ x,
                   const __grid_constant__ struct mn_lora lora, int rows, int in, int64_t ldx,
                   uint32_t threshold, float factor)
{
    __shared__ float partial[PROJECT_WARPS][16 * MT][8 * NT + 1];
    struct rank_tile tile = rank_tile_at(lora, blockIdx.x);
    struct dropout drop = dropout_of(lora, tile.part, threshold, in);
    const __nv_bfloat16 *a = bf16(lora.a) + (int64_t)tile.begin * in;
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    int first_row = blockIdx.y * 16 * MT;
    float sum[MT][NT][4] = {};
    /* The bound is the warp's, not the lane's: all lanes take part in every product. */
    for (int k0 = warp * PROJECT_DEPTH; k0 < in; k0 += PROJECT_WARPS * PROJECT_DEPTH) {
        int k = k0 + t * VECTOR;
        uint4 left[MT][2], right[NT];
#pragma unroll
        for (int n = 0; n < NT; n++)
            right[n] = k < in && n * 8 + g < tile.width
                           ? load8_raw(a + (int64_t)(n * 8 + g) * in + k, in - k, WIDE)
                           : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int m = 0; m < 2 * MT; m++) {
            int64_t row = first_row + m * 8 + g;
            left[m / 2][m % 2] = k < in && row < rows ? load8_raw(x + row * ldx + k, in - k, WIDE)
                                                      : make_uint4(0, 0, 0, 0);
        }
        if (threshold) { /* apart from the loads, so that all of those are under way */
#pragma unroll
            for (int m = 0; m < 2 * MT; m++)
                left[m / 2][m % 2] =
                    drop8(left[m / 2][m % 2], kept8<WIDE>(drop, first_row + m * 8 + g, k, in));
        }
#pragma unroll
        for (int m = 0; m < MT; m++) {
            uint32_t low[4] = {left[m][0].x, left[m][1].x, left[m][0].y, left[m][1].y};
            uint32_t high[4] = {left[m][0].z, left[m][1].z, left[m][0].w, left[m][1].w};
#pragma unroll
            for (int n = 0; n < NT; n++) {
                mma_bf16(sum[m][n], low, right[n].x, right[n].y);
                mma_bf16(sum[m][n], high, right[n].z, right[n].w);
            }
        }
    }
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                partial[warp][m * 16 + g + i / 2 * 8][n * 8 + 2 * t + i % 2] = sum[m][n][i];
    __syncthreads();
    factor *= lora.part[tile.part].scale;
    for (int e = threadIdx.x; e < 16 * MT * 8 * NT; e += PROJECT_WARPS * WARP) {
        int row = e / (8 * NT), column = e % (8 * NT);
        if (first_row + row >= rows || column >= tile.width) continue;
        float total = 0.0f;
        for (int w = 0; w < PROJECT_WARPS; w++) total += partial[w][row][column];
        u[(int64_t)(first_row + row) * lora.rank + tile.begin + column] =
            __float2bfloat16_rn(factor * total);
    }
}

template <bool WIDE> static auto choose_project(bool many, bool narrow)
{
    return many ? (narrow ? project_kernel<2, 2, WIDE> : project_kernel<2, 4, WIDE>)
                : (narrow ? project_kernel<1, 2, WIDE> : project_kernel<1, 4, WIDE>);
}

mn_status lora_project(__nv_bfloat16 *u, const __nv_bfloat16 *x, const struct mn_lora *lora,
                       int rows, int in, int64_t ldx, mn_stream s)
{
    bool wide = is_wide(x, in, ldx) && is_wide(lora->a, in, in), narrow = is_narrow(lora);
    bool many = rows >= 16 * 2 * s->multiprocessors; /* few rows: smaller tiles, more blocks */
    auto kernel = wide ? choose_project<true>(many, narrow) : choose_project<false>(many, narrow);
    dim3 grid(rank_tiles(*lora), ceil_div(rows, many ? 32 : 16));
    kernel<<<grid, PROJECT_WARPS * WARP, 0, s->stream>>>(u, x, *lora, rows, in, ldx,
                                                         drop_threshold(lora), kept_factor(lora));
    return launched("linear_forward: x·Aᵀ");
}

/* --- y = u·Bᵀ, all parts
 * ----------------------------------------------------------------------------- */

/* Eight neighbours a lane: column of element 2j + b of lane t in tile j of a group of 32, and the
 * column that a lane's g stands for in the other operand. Used by both kernels that write rows. */
__device__ __forceinline__ int permuted_column(int tile, int g)
{
    return tile / 4 * 32 + g / 2 * 8 + tile % 4 * 2 + g % 2;
}

/* Two neighbours k, k+1 of a row of a narrow matrix; zero at and past `rank`. */
__device__ __forceinline__ uint32_t load_pair(const __nv_bfloat16 *row, int k, int rank)
{
    const uint16_t *from = reinterpret_cast<const uint16_t *>(row);
    uint32_t low = k < rank ? from[k] : 0u, high = k + 1 < rank ? from[k + 1] : 0u;
    return low | high << 16;
}

/* Four neighbours k … k+3 of a row of a narrow matrix; zero where the row is not `there`. WHOLE:
 * the rank is a multiple of sixteen, so that `row` may be read anyway and no branch parts the
 * loads. */
template <bool WHOLE>
__device__ __forceinline__ uint2 load_four(const __nv_bfloat16 *row, int k, int rank, bool there)
{
    if (WHOLE) {
        uint2 four = *reinterpret_cast<const uint2 *>(row + k);
        return there ? four : make_uint2(0, 0);
    }
    if (!there) return make_uint2(0, 0);
    return make_uint2(load_pair(row, k, rank), load_pair(row, k + 2, rank));
}

/* Block: 64 rows by 128 columns, eight warps of 16 by 64. Both operands are narrow and come from
 * L1 and L2, four neighbours of the depth a lane, which both number in that order; what costs is
 * the writing of y, sixteen bytes a lane. */
enum { RAISE_ROWS = 64, RAISE_COLUMNS = 128, RAISE_THREADS = 256 };

template <bool WHOLE>
static __global__ void __launch_bounds__(RAISE_THREADS, 2)
    raise_kernel(__nv_bfloat16 *__restrict__ y, const __nv_bfloat16 *__restrict__ u,
                 const __grid_constant__ struct mn_lora lora, int rows, int out, int64_t ldy,
                 bool wide)
{
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    int64_t first_row = (int64_t)blockIdx.y * RAISE_ROWS + warp % 4 * 16;
    int first_column = blockIdx.x * RAISE_COLUMNS + warp / 4 * 64;
    float sum[8][4] = {};
    const __nv_bfloat16 *b = bf16(lora.b);
    if (first_row >= rows || first_column >= out) return;
    for (int p = 0; p < lora.parts; p++) {
        struct mn_lora_part part = lora.part[p];
        const __nv_bfloat16 *own = b;
        b += (int64_t)part.out * part.rank;
        if (part.out_begin >= first_column + 64 || part.out_begin + part.out <= first_column)
            continue;
#pragma unroll 1
        for (int k = 4 * t; k < (part.rank + 15) / 16 * 16; k += 16) {
            uint32_t left[4];
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int64_t row = first_row + half * 8 + g;
                const __nv_bfloat16 *from =
                    u + (row < rows ? row : first_row) * lora.rank + part.rank_begin;
                uint2 four = load_four<WHOLE>(from, k, part.rank, row < rows);
                left[half] = four.x;
                left[half + 2] = four.y;
            }
#pragma unroll
            for (int group = 0; group < 8; group += 4) {
                uint2 right[4];
#pragma unroll
                for (int tile = 0; tile < 4; tile++) {
                    int row = first_column + permuted_column(group + tile, g) - part.out_begin;
                    bool there = row >= 0 && row < part.out;
                    right[tile] = load_four<WHOLE>(own + (int64_t)(there ? row : 0) * part.rank, k,
                                                   part.rank, there);
                }
#pragma unroll
                for (int tile = 0; tile < 4; tile++) {
                    mma_bf16(sum[group + tile], left, right[tile].x, right[tile].y);
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) { /* group of columns; row g or g+8 */
        int64_t row = first_row + i % 2 * 8 + g;
        int column = first_column + i / 2 * 32 + t * VECTOR;
        if (row >= rows || column >= out) continue;
        float v[VECTOR];
#pragma unroll
        for (int e = 0; e < VECTOR; e++) v[e] = sum[i / 2 * 4 + e / 2][i % 2 * 2 + e % 2];
        store8(y + row * ldy + column, v, out - column, wide);
    }
}

mn_status lora_raise(__nv_bfloat16 *y, const __nv_bfloat16 *u, const struct mn_lora *lora, int rows,
                     int out, int64_t ldy, mn_stream s)
{
    dim3 grid(ceil_div(out, RAISE_COLUMNS), ceil_div(rows, RAISE_ROWS));
    bool whole = (uintptr_t)u % 8 == 0 && (uintptr_t)lora->b % 8 == 0;
    for (int p = 0; p < lora->parts; p++) whole = whole && lora->part[p].rank % 16 == 0;
    auto kernel = whole ? raise_kernel<true> : raise_kernel<false>;
    kernel<<<grid, RAISE_THREADS, 0, s->stream>>>(y, u, *lora, rows, out, ldy,
                                                  is_wide(y, out, ldy));
    return launched("linear_forward: u·Bᵀ");
}

/* --- dx = sum of mask∘(du·A)/(1-p)
 * ---------------------------------------------------------------------- */

/* Block: 64 rows by 128 columns, eight warps of 16 rows by 64 columns. Sixteen rank rows of A at a
 * time stand in shared memory, their columns permuted within each group of 32 so that a lane's
 * accumulators are eight neighbours: one mask draw and one 16-byte store. */
enum { SPREAD_ROWS = 64, SPREAD_COLUMNS = 128, SPREAD_THREADS = 256, PITCH_PAD = 8 };

static __global__ void __launch_bounds__(SPREAD_THREADS)
    spread_kernel(__nv_bfloat16 *__restrict__ dx, const __nv_bfloat16 *__restrict__ du,
                  const __grid_constant__ struct mn_lora lora, int rows, int in, uint32_t threshold,
                  float factor, bool wide)
{
    __shared__ __align__(16) __nv_bfloat16 shared_a[16][SPREAD_COLUMNS + PITCH_PAD];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    int64_t row = (int64_t)blockIdx.y * SPREAD_ROWS + warp % 4 * 16 + g;
    int first_column = blockIdx.x * SPREAD_COLUMNS, own_column = warp / 4 * 64;
    float total[2][2][VECTOR] = {}; /* group of 32 columns, row g or g+8, neighbour */
    for (int p = 0; p < lora.parts; p++) {
        struct mn_lora_part part = lora.part[p];
        float sum[2][4][4] = {};
        for (int k0 = 0; k0 < part.rank; k0 += 16) {
            { /* thread: eight columns of one rank row */
                int k = threadIdx.x / 16, c = threadIdx.x % 16 * VECTOR, column = first_column + c;
                uint4 raw = make_uint4(0, 0, 0, 0);
                if (k0 + k < part.rank && column < in)
                    raw =
                        load8_raw(bf16(lora.a) + (int64_t)(part.rank_begin + k0 + k) * in + column,
                                  in - column, wide);
                const uint32_t pair[4] = {raw.x, raw.y, raw.z, raw.w};
                __syncthreads(); /* the previous sixteen have been used */
#pragma unroll
                for (int j = 0; j < 4; j++)
                    *reinterpret_cast<uint32_t *>(&shared_a[k][c / 32 * 32 + j * 8 + c % 32 / 4]) =
                        pair[j];
                __syncthreads();
            }
            uint32_t left[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int64_t r = row + i % 2 * 8;
                const __nv_bfloat16 *from = du + r * lora.rank + part.rank_begin;
                left[i] = r < rows ? load_pair(from, k0 + i / 2 * 8 + 2 * t, part.rank) : 0u;
            }
#pragma unroll
            for (int tile = 0; tile < 8; tile += 2) {
                uint32_t right[4];
                load_transposed(
                    right,
                    &shared_a[lane / 8 % 2 * 8 + lane % 8][own_column + (tile + lane / 16) * 8]);
                mma_bf16(sum[tile / 4][tile % 4], left, right[0], right[1]);
                mma_bf16(sum[tile / 4][tile % 4 + 1], left, right[2], right[3]);
            }
        }
        struct dropout drop = dropout_of(lora, p, threshold, in);
#pragma unroll
        for (int group = 0; group < 2; group++) {
            int column = first_column + own_column + group * 32 + t * VECTOR;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                uint32_t kept = threshold ? kept8<false>(drop, row + half * 8, column, in) : 255u;
#pragma unroll
                for (int i = 0; i < VECTOR; i++)
                    if (kept >> i & 1) total[group][half][i] += sum[group][i / 2][half * 2 + i % 2];
            }
        }
    }
#pragma unroll
    for (int group = 0; group < 2; group++) {
        int column = first_column + own_column + group * 32 + t * VECTOR;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (row + half * 8 >= rows || column >= in) continue;
#pragma unroll
            for (int i = 0; i < VECTOR; i++) total[group][half][i] *= factor;
            store8(dx + (row + half * 8) * in + column, total[group][half], in - column, wide);
        }
    }
}

mn_status lora_spread(__nv_bfloat16 *dx, const __nv_bfloat16 *du, const struct mn_lora *lora,
                      int rows, int in, mn_stream s)
{
    bool wide = is_wide(dx, in, in) && is_wide(lora->a, in, in);
    dim3 grid(ceil_div(in, SPREAD_COLUMNS), ceil_div(rows, SPREAD_ROWS));
    spread_kernel<<<grid, SPREAD_THREADS, 0, s->stream>>>(
        dx, du, *lora, rows, in, drop_threshold(lora), kept_factor(lora), wide);
    return launched("linear_backward: du·A");
}

/* --- da += duᵀ · masked x
 * -------------------------------------------------------------------------------- */

/* Block: one tile of rank rows by 128 columns of x over a stretch of tokens, 32 at a time through
 * shared memory (masked on the way in), both operands transposed by ldmatrix. The stretches' sums
 * lie side by side in the workspace and are added in order: no atomics. */
enum { GRADIENT_THREADS = 128, GRADIENT_COLUMNS = 128, GRADIENT_ROWS = 32, GRADIENT_SPLITS = 16 };

static int gradient_splits(int rows)
{
    int splits = ceil_div(rows, 8 * GRADIENT_ROWS);
    return splits < GRADIENT_SPLITS ? splits : (int)GRADIENT_SPLITS;
}

template <int MT, bool WIDE>
static __global__ void __launch_bounds__(GRADIENT_THREADS)
    gradient_kernel(float *__restrict__ partial, const __nv_bfloat16 *__restrict__ du,
                    const __nv_bfloat16 *__restrict__ x,
                    const __grid_constant__ struct mn_lora lora, int rows, int in, int rows_a_split,
                    uint32_t threshold, float factor)
{
    enum { LOADS = GRADIENT_ROWS * GRADIENT_COLUMNS / VECTOR / GRADIENT_THREADS };
    __shared__ __align__(16) __nv_bfloat16 shared_x[GRADIENT_ROWS][GRADIENT_COLUMNS + PITCH_PAD];
    __shared__ __align__(16) __nv_bfloat16 shared_u[GRADIENT_ROWS][16 * MT + PITCH_PAD];
    struct rank_tile tile = rank_tile_at(lora, blockIdx.y);
    struct dropout drop = dropout_of(lora, tile.part, threshold, in);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int column = blockIdx.x * GRADIENT_COLUMNS + threadIdx.x % 16 * VECTOR;
    int64_t begin = (int64_t)blockIdx.z * rows_a_split;
    int64_t end = begin + rows_a_split < rows ? begin + rows_a_split : rows;
    float sum[MT][4][4] = {};
    for (int64_t row0 = begin; row0 < end; row0 += GRADIENT_ROWS) {
        uint4 raw[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++) { /* in flight together, and under the previous products */
            int64_t row = row0 + i * (GRADIENT_ROWS / LOADS) + threadIdx.x / 16;
            raw[i] = row < end && column < in ? load8_raw(x + row * in + column, in - column, WIDE)
                                              : make_uint4(0, 0, 0, 0);
        }
        if (threshold) {
#pragma unroll
            for (int i = 0; i < LOADS; i++)
                raw[i] = drop8(
                    raw[i], kept8<WIDE>(drop, row0 + i * (GRADIENT_ROWS / LOADS) + threadIdx.x / 16,
                                        column, in));
        }
        __syncthreads(); /* the previous rows have been used */
#pragma unroll
        for (int i = 0; i < LOADS; i++)
            *reinterpret_cast<uint4 *>(&shared_x[i * (GRADIENT_ROWS / LOADS) + threadIdx.x / 16]
                                                [threadIdx.x % 16 * VECTOR]) = raw[i];
        for (int e = threadIdx.x; e < GRADIENT_ROWS * 16 * MT; e += GRADIENT_THREADS) {
            int r = e / (16 * MT), c = e % (16 * MT);
            shared_u[r][c] = row0 + r < end && c < tile.width
                                 ? du[(row0 + r) * lora.rank + tile.begin + c]
                                 : __float2bfloat16_rn(0.0f);
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < GRADIENT_ROWS; k += 16) {
            uint32_t left[MT][4];
#pragma unroll
            for (int m = 0; m < MT; m++)
                load_transposed(left[m],
                                &shared_u[k + lane / 16 * 8 + lane % 8][m * 16 + lane / 8 % 2 * 8]);
#pragma unroll
            for (int n = 0; n < 4; n += 2) {
                uint32_t right[4];
                load_transposed(
                    right,
                    &shared_x[k + lane / 8 % 2 * 8 + lane % 8][warp * 32 + (n + lane / 16) * 8]);
#pragma unroll
                for (int m = 0; m < MT; m++) {
                    mma_bf16(sum[m][n], left[m], right[0], right[1]);
                    mma_bf16(sum[m][n + 1], left[m], right[2], right[3]);
                }
            }
        }
    }
    partial += (int64_t)blockIdx.z * lora.rank * in;
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < 4; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int r = m * 16 + lane / 4 + i / 2 * 8;
                int c = blockIdx.x * GRADIENT_COLUMNS + warp * 32 + n * 8 + lane % 4 * 2 + i % 2;
                if (r < tile.width && c < in)
                    partial[(int64_t)(tile.begin + r) * in + c] = factor * sum[m][n][i];
            }
}

static __global__ void add_partials_kernel(float *__restrict__ da,
                                           const float *__restrict__ partial, int64_t count,
                                           int splits)
{
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float sum = da[i];
    for (int split = 0; split < splits; split++) sum += partial[split * count + i];
    da[i] = sum;
}

size_t lora_gradient_workspace(const struct mn_lora *lora, int rows, int in)
{
    return (size_t)gradient_splits(rows) * lora->rank * in * sizeof(float);
}

mn_status lora_gradient(float *da, const __nv_bfloat16 *du, const __nv_bfloat16 *x,
                        const struct mn_lora *lora, int rows, int in, void *workspace, mn_stream s)
{
    float *partial = static_cast<float *>(workspace);
    int splits = gradient_splits(rows), rows_a_split = ceil_div(rows, splits);
    int64_t count = (int64_t)lora->rank * in;
    bool narrow = is_narrow(lora);
    auto kernel = is_wide(x, in, in)
                      ? (narrow ? gradient_kernel<1, true> : gradient_kernel<2, true>)
                      : (narrow ? gradient_kernel<1, false> : gradient_kernel<2, false>);
    dim3 grid(ceil_div(in, GRADIENT_COLUMNS), rank_tiles(*lora), splits);
    kernel<<<grid, GRADIENT_THREADS, 0, s->stream>>>(partial, du, x, *lora, rows, in, rows_a_split,
                                                     drop_threshold(lora), kept_factor(lora));
    MN_TRY(launched("linear_backward: duᵀ·x"));
    add_partials_kernel<<<ceil_div(count, 256), 256, 0, s->stream>>>(da, partial, count, splits);
    return launched("linear_backward: sum of dA");
}
