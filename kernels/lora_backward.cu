/* lora_backward.cu: what an adapter takes from du, on mma.sync: dA in one read of x, and its share
 * of dx in one write of it. */
#include "lora_tile.cuh"

/* --- da += duᵀ · masked x
 * -------------------------------------------------------------------------------- */

/* Block: TILES tiles of ranks, which share the loads of x, by 128 columns over a stretch of tokens.
 * Both operands are transposed by ldmatrix; each tile masks its own copy of a fragment of x. */
enum { GRADIENT_THREADS = 128, GRADIENT_COLUMNS = 128, GRADIENT_STAGES = 3 };

template <int TILES> struct gradient_shared {
    __nv_bfloat16 x[STAGE_ROWS][GRADIENT_COLUMNS + PITCH_PAD];
    __nv_bfloat16 du[STAGE_ROWS][TILE_RANK * TILES + PITCH_PAD];
    uint32_t kept[TILES][GRADIENT_COLUMNS / 32][STAGE_ROWS];
};

/* Rows row0 … of du, x and the masks, the `rows` first of them; columns from `column`. */
template <int TILES, bool WIDE>
__device__ __forceinline__ void
stage_gradient(struct gradient_shared<TILES> *shared, const struct rank_tile (&tile)[TILES],
               const __nv_bfloat16 *du, const __nv_bfloat16 *x, const uint32_t *masks,
               int64_t word_rows, int64_t row0, int rows, int rank, int in, int column)
{
    for (int i = threadIdx.x; i < STAGE_ROWS * GRADIENT_COLUMNS / VECTOR; i += GRADIENT_THREADS) {
        int row = i / (GRADIENT_COLUMNS / VECTOR), c = i % (GRADIENT_COLUMNS / VECTOR) * VECTOR;
        stage8<WIDE>(&shared->x[row][c], x + (row0 + row) * in + column + c, in - column - c,
                     row < rows && column + c < in);
    }
    if (threadIdx.x < STAGE_ROWS * 2) {
        int row = threadIdx.x / 2, k = threadIdx.x % 2 * VECTOR;
#pragma unroll
        for (int i = 0; i < TILES; i++)
            stage8<WIDE>(&shared->du[row][i * TILE_RANK + k],
                         du + (row0 + row) * rank + tile[i].begin + k, tile[i].width - k,
                         row < rows && k < tile[i].width);
    }
    if (masks && threadIdx.x < GRADIENT_COLUMNS / 32 * STAGE_ROWS / 4) { /* four rows of a word */
        int w = threadIdx.x / (STAGE_ROWS / 4), row = threadIdx.x % (STAGE_ROWS / 4) * 4;
        int words = mn_bit_groups(in), word = column / 32 + w;
#pragma unroll
        for (int i = 0; i < TILES; i++)
            copy_async_16(shared_address(&shared->kept[i][w][row]),
                          masks + (tile[i].part * words + word) * word_rows + row0 + row,
                          row < rows && word < words);
    }
}

/* The warp's 32 columns of x, masked, times sixteen tokens from row k of the stage. */
template <int TILES>
__device__ __forceinline__ void multiply_gradient(const struct gradient_shared<TILES> *shared,
                                                  float (&sum)[TILES][4][4], int k, bool masked,
                                                  int warp, int lane)
{
    int g = lane / 4, t = lane % 4;
    uint32_t left[TILES][4], kept[TILES][4];
#pragma unroll
    for (int i = 0; i < TILES; i++) {
        load_transposed(
            left[i], &shared->du[k + lane / 16 * 8 + lane % 8][i * TILE_RANK + lane / 8 % 2 * 8]);
#pragma unroll
        for (int half = 0; half < 2; half++) { /* column g of each n-tile to its byte's sign */
            uint2 pair =
                *reinterpret_cast<const uint2 *>(&shared->kept[i][warp][k + half * 8 + 2 * t]);
            kept[i][2 * half] = masked ? pair.x << (7 - g) : ~0u;
            kept[i][2 * half + 1] = masked ? pair.y << (7 - g) : ~0u;
        }
    }
#pragma unroll
    for (int n = 0; n < 4; n += 2) {
        uint32_t right[4];
        load_transposed(
            right, &shared->x[k + lane / 8 % 2 * 8 + lane % 8][warp * 32 + (n + lane / 16) * 8]);
#pragma unroll
        for (int i = 0; i < TILES; i++)
#pragma unroll
            for (int odd = 0; odd < 2; odd++) {
                const uint32_t selector = 0xcc88 + 0x1111 * (n + odd);
                mma_bf16(sum[i][n + odd], left[i],
                         right[2 * odd] & spread_signs(kept[i][0], kept[i][1], selector),
                         right[2 * odd + 1] & spread_signs(kept[i][2], kept[i][3], selector));
            }
    }
}

template <int TILES, bool WIDE>
static __global__ void __launch_bounds__(GRADIENT_THREADS)
    gradient_kernel(float *__restrict__ shares, const __nv_bfloat16 *__restrict__ du,
                    const __nv_bfloat16 *__restrict__ x, const uint32_t *__restrict__ masks,
                    const __grid_constant__ struct mn_lora lora, int rows, int in,
                    int64_t word_rows, int stretch, float factor)
{
    __shared__ __align__(16) struct gradient_shared<TILES> shared[GRADIENT_STAGES];
    struct rank_tile tile[TILES];
#pragma unroll
    for (int i = 0; i < TILES; i++) tile[i] = rank_tile_at(lora, blockIdx.y * TILES + i);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int column = blockIdx.x * GRADIENT_COLUMNS;
    int64_t begin = (int64_t)blockIdx.z * stretch;
    int here = (int)min((int64_t)stretch, rows - begin);
    int stages = (here + STAGE_ROWS - 1) / STAGE_ROWS;
    float sum[TILES][4][4] = {};
    for (int stage = 0; stage < stages + GRADIENT_STAGES - 1; stage++) {
        int row = stage * STAGE_ROWS, used = stage - (GRADIENT_STAGES - 1);
        if (stage < stages)
            stage_gradient<TILES, WIDE>(&shared[stage % GRADIENT_STAGES], tile, du, x, masks,
                                        word_rows, begin + row, here - row, lora.rank, in, column);
        copy_async_commit(); /* empty groups at the end, so that the count below stays right */
        if (used < 0) continue;
        copy_async_wait<GRADIENT_STAGES - 1>();
        __syncthreads(); /* the stage is there */
#pragma unroll
        for (int k = 0; k < STAGE_ROWS; k += 16)
            multiply_gradient(&shared[used % GRADIENT_STAGES], sum, k, masks != nullptr, warp,
                              lane);
        __syncthreads(); /* the stage may be overwritten */
    }
    shares += (int64_t)blockIdx.z * lora.rank * in;
#pragma unroll
    for (int m = 0; m < TILES; m++)
#pragma unroll
        for (int n = 0; n < 4; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int r = lane / 4 + i / 2 * 8;
                int c = column + warp * 32 + n * 8 + lane % 4 * 2 + i % 2;
                if (r < tile[m].width && c < in)
                    shares[(int64_t)(tile[m].begin + r) * in + c] = factor * sum[m][n][i];
            }
}

static __global__ void gradient_sums_kernel(float *__restrict__ da,
                                            const float *__restrict__ shares, int64_t count,
                                            int stretches)
{
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float sum = da[i];
    for (int stretch = 0; stretch < stretches; stretch++) sum += shares[stretch * count + i];
    da[i] = sum;
}

size_t lora_gradient_workspace(const struct mn_lora *lora, int rows, int in)
{
    return (size_t)most_stretches(rows) * lora->rank * in * sizeof(float);
}

mn_status lora_gradient(float *da, const __nv_bfloat16 *du, const __nv_bfloat16 *x,
                        const uint32_t *masks, const struct mn_lora *lora, int rows, int in,
                        void *workspace, mn_stream s)
{
    float *shares = static_cast<float *>(workspace);
    int stretch = stretch_rows(rows), stretches = ceil_div(rows, stretch);
    int tiles = rank_tiles(lora), together = tiles > 1 ? 3 : 1;
    int64_t count = (int64_t)lora->rank * in;
    bool wide = is_wide(x, in, in) && is_wide(du, lora->rank, lora->rank);
    for (int p = 0; p < lora->parts; p++) wide = wide && lora->part[p].rank % VECTOR == 0;
    auto kernel = together > 1 ? (wide ? gradient_kernel<3, true> : gradient_kernel<3, false>)
                               : (wide ? gradient_kernel<1, true> : gradient_kernel<1, false>);
    dim3 grid(ceil_div(in, GRADIENT_COLUMNS), ceil_div(tiles, together), stretches);
    kernel<<<grid, GRADIENT_THREADS, 0, s->stream>>>(shares, du, x, masks, *lora, rows, in,
                                                     mask_rows(rows), stretch, kept_factor(lora));
    MN_TRY(launched("linear_backward: duᵀ·x"));
    gradient_sums_kernel<<<ceil_div(count, 256), 256, 0, s->stream>>>(da, shares, count, stretches);
    return launched("linear_backward: sum of dA");
}

/* --- dx = sum of mask∘(du·A)/(1-p)
 * ---------------------------------------------------------------------- */

/* Block: 128 columns by four times 64 rows, eight warps of 32 by 32. The rows of A of up to three
 * tiles of ranks stand in shared memory, their columns permuted within each group of 32 so that a
 * lane's accumulators are eight neighbours: one byte of mask and one 16-byte store. A tile's
 * product is masked by itself, for masks distribute over sums. */
enum { SPREAD_ROWS = 64, SPREAD_STEPS = 4, SPREAD_COLUMNS = 128, SPREAD_THREADS = 256 };

/* Sixteen rank rows of A from row `begin`, `width` of them. Row k lies where both operands number
 * the depth alike: see load_four. Thread: eight columns of one row. */
__device__ __forceinline__ void
stage_spread(__nv_bfloat16 (&to)[TILE_RANK][SPREAD_COLUMNS + PITCH_PAD], const __nv_bfloat16 *a,
             const struct rank_tile &tile, int first_column, int in, bool wide)
{
    int k = threadIdx.x / 16, c = threadIdx.x % 16 * VECTOR, column = first_column + c;
    uint4 raw = make_uint4(0, 0, 0, 0);
    if (k < tile.width && column < in)
        raw = load8_raw(a + (int64_t)(tile.begin + k) * in + column, in - column, wide);
    const uint32_t pair[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int j = 0; j < 4; j++)
        *reinterpret_cast<uint32_t *>(
            &to[k / 2 % 2 * 8 + k / 4 * 2 + k % 2][c / 32 * 32 + j * 8 + c % 32 / 4]) = pair[j];
}

/* dx of the warp's 32 rows from one tile: the product in the lane's order, masked, is added. */
__device__ __forceinline__ void
multiply_spread(float (&total)[4][VECTOR], const uint2 (&left)[4], const uint32_t (&kept)[4],
                const __nv_bfloat16 (&a)[TILE_RANK][SPREAD_COLUMNS + PITCH_PAD], int own, int lane)
{
    float sum[2][4][4] = {}; /* sixteen rows, n-tile */
#pragma unroll
    for (int n = 0; n < 4; n += 2) {
        uint32_t right[4];
        load_transposed(right, &a[lane / 8 % 2 * 8 + lane % 8][own + (n + lane / 16) * 8]);
#pragma unroll
        for (int m = 0; m < 2; m++) {
            uint32_t rows[4] = {left[2 * m].x, left[2 * m + 1].x, left[2 * m].y, left[2 * m + 1].y};
            mma_bf16(sum[m][n], rows, right[0], right[1]);
            mma_bf16(sum[m][n + 1], rows, right[2], right[3]);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int e = 0; e < VECTOR; e++)
            if (kept[i] >> e & 1) total[i][e] += sum[i / 2][e / 2][i % 2 * 2 + e % 2];
}

/* RESIDENT: at most TILES tiles, whose rows of A are fetched once for all steps. */
template <int TILES, bool RESIDENT, bool WHOLE>
static __global__ void __launch_bounds__(SPREAD_THREADS, 2)
    spread_kernel(__nv_bfloat16 *__restrict__ dx, const __nv_bfloat16 *__restrict__ du,
                  const uint32_t *__restrict__ masks, const __grid_constant__ struct mn_lora lora,
                  int tiles, int rows, int in, int64_t word_rows, float factor, bool wide)
{
    __shared__ __align__(16) __nv_bfloat16 shared_a[TILES][TILE_RANK][SPREAD_COLUMNS + PITCH_PAD];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    int first_column = blockIdx.x * SPREAD_COLUMNS, own = warp % 4 * 32;
    int column = first_column + own + t * VECTOR, words = mn_bit_groups(in);
    int own_row = warp / 4 * 32 + g;
    struct rank_tile tile[TILES];
    for (int step = 0; step < SPREAD_STEPS; step++) {
        int64_t row0 = ((int64_t)blockIdx.y * SPREAD_STEPS + step) * SPREAD_ROWS;
        int here = (int)min((int64_t)SPREAD_ROWS, rows - row0);
        if (here <= 0) break;
        float total[4][VECTOR] = {}; /* row own_row + 8i, neighbour */
        for (int base = 0; base < (RESIDENT ? 1 : tiles); base += TILES) {
            if (!RESIDENT || step == 0) {
                __syncthreads(); /* the tiles before these have been used */
#pragma unroll
                for (int j = 0; j < TILES; j++) {
                    tile[j] = rank_tile_at(lora, base + j);
                    stage_spread(shared_a[j], bf16(lora.a), tile[j], first_column, in, wide);
                }
                __syncthreads();
            }
            uint2 left[TILES][4];
            uint32_t kept[TILES][4];
#pragma unroll
            for (int j = 0; j < TILES; j++) {
                const __nv_bfloat16 *own_du = du + row0 * lora.rank + tile[j].begin;
                const uint32_t *own_masks =
                    masks + (tile[j].part * words + column / 32) * word_rows + row0;
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    int r = own_row + 8 * i;
                    bool there = r < here && tile[j].width > 0;
                    left[j][i] = load_four<WHOLE>(own_du + (there ? r : 0) * lora.rank, 4 * t,
                                                  tile[j].width, there);
                    kept[j][i] = masks && there && column < in ? kept8(own_masks, r, column) : 255u;
                }
            }
#pragma unroll
            for (int j = 0; j < TILES; j++)
                multiply_spread(total, left[j], kept[j], shared_a[j], own, lane);
        }
        if (column >= in) continue;
        __nv_bfloat16 *to = dx + row0 * in + column;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int r = own_row + 8 * i;
            if (r >= here) break;
#pragma unroll
            for (int e = 0; e < VECTOR; e++) total[i][e] *= factor;
            store8(to + r * in, total[i], in - column, wide);
        }
    }
}

template <bool WHOLE> static auto choose_spread(int tiles)
{
    return tiles == 1   ? spread_kernel<1, true, WHOLE>
           : tiles <= 3 ? spread_kernel<3, true, WHOLE>
                        : spread_kernel<3, false, WHOLE>;
}

mn_status lora_spread(__nv_bfloat16 *dx, const __nv_bfloat16 *du, const uint32_t *masks,
                      const struct mn_lora *lora, int rows, int in, mn_stream s)
{
    bool wide = is_wide(dx, in, in) && is_wide(lora->a, in, in);
    int tiles = rank_tiles(lora);
    auto kernel = is_whole(lora, du) ? choose_spread<true>(tiles) : choose_spread<false>(tiles);
    dim3 grid(ceil_div(in, SPREAD_COLUMNS), ceil_div(rows, SPREAD_ROWS * SPREAD_STEPS));
    kernel<<<grid, SPREAD_THREADS, 0, s->stream>>>(dx, du, masks, *lora, tiles, rows, in,
                                                   mask_rows(rows), kept_factor(lora), wide);
    return launched("linear_backward: du·A");
}
