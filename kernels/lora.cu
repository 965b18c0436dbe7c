/* lora.cu: an adapter's share of the forward pass, on mma.sync: the masks, u = mask∘x·Aᵀ, y = u·Bᵀ.
 *
 * The products are bound by reading or writing one (rows, ·) matrix once for all parts. A mask is a
 * bit an element, drawn before the products that use it, which costs five instructions an element;
 * applying it costs one and a half. */
#include "lora_tile.cuh"

/* --- masks
 * ------------------------------------------------------------------------------------------ */

enum { MASK_THREADS = 256 };

/* Thread: one row, those beyond the last included; blockIdx.y: 32 columns of one part. */
static __global__ void __launch_bounds__(MASK_THREADS)
    masks_kernel(uint32_t *__restrict__ kept, const __grid_constant__ struct mn_lora lora,
                 int64_t rows, int words, uint32_t threshold)
{
    int64_t row = (int64_t)blockIdx.x * MASK_THREADS + threadIdx.x;
    if (row >= rows) return;
    int part = blockIdx.y / words, word = blockIdx.y % words;
    uint64_t stream = mn_stream_id(MN_RANDOM_DROPOUT, lora.part[part].module);
    uint64_t group = (uint64_t)(*lora.first_row + row) * (uint64_t)words + (uint64_t)word;
    kept[blockIdx.y * rows + row] = ~mn_random_bits(lora.seed, stream, group, threshold);
}

size_t lora_masks_bytes(const struct mn_lora *lora, int rows, int in)
{
    if (lora->dropout == 0) return 0;
    return (size_t)lora->parts * mask_rows(rows) * mn_bit_groups(in) * sizeof(uint32_t);
}

mn_status lora_draw_masks(const uint32_t **masks, void *room, const struct mn_lora *lora, int rows,
                          int in, mn_stream s)
{
    uint32_t *kept = static_cast<uint32_t *>(room);
    int64_t padded = mask_rows(rows);
    int words = mn_bit_groups(in);
    *masks = NULL;
    if (lora->dropout == 0) return MN_OK;
    dim3 grid(ceil_div(padded, MASK_THREADS), lora->parts * words);
    masks_kernel<<<grid, MASK_THREADS, 0, s->stream>>>(kept, *lora, padded, words,
                                                       mn_drop_threshold(lora->dropout));
    *masks = kept;
    return launched("linear: dropout masks");
}

/* --- u = scale · masked x · Aᵀ
 * ------------------------------------------------------------------------ */

/* Block: 16·MT rows by TILES tiles of ranks, which share the loads of x; its eight warps split the
 * depth and add up in a fixed order. Operands go from memory to registers sixteen bytes at a time
 * without shared memory: a lane takes eight neighbours of its row, and both operands number the
 * depth in that same order. The loads of STEPS steps are under way together. */
enum { PROJECT_WARPS = 8, PROJECT_DEPTH = 32 };

/* What one step multiplies: MT·16 rows of x with their bits, and the rows of A. */
template <int MT, int TILES> struct project_step {
    uint4 left[2 * MT], right[TILES][2];
    uint32_t kept[TILES][2 * MT];
};

/* Columns k … k+7 of a lane; x and masks begin at the block's first row, `here` rows remain, and
 * words of neighbouring columns lie `word_rows` apart. */
template <int MT, int TILES, bool WIDE>
__device__ __forceinline__ void
load_step(struct project_step<MT, TILES> &step, const __nv_bfloat16 *x, const uint32_t *masks,
          const struct rank_tile (&tile)[TILES], const __nv_bfloat16 *a, int64_t word_rows,
          int here, int in, int64_t ldx, int k, int g)
{
#pragma unroll
    for (int m = 0; m < 2 * MT; m++) {
        int row = m * 8 + g;
        bool there = k < in && row < here;
        step.left[m] = there ? load8_raw(x + row * ldx + k, in - k, WIDE) : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int i = 0; i < TILES; i++)
            step.kept[i][m] =
                masks && there
                    ? kept8(masks + (tile[i].part * mn_bit_groups(in) + k / 32) * word_rows, row, k)
                    : 255u;
    }
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int n = 0; n < 2; n++)
            step.right[i][n] =
                k < in && n * 8 + g < tile[i].width
                    ? load8_raw(a + (int64_t)(tile[i].begin + n * 8 + g) * in + k, in - k, WIDE)
                    : make_uint4(0, 0, 0, 0);
}

template <int MT, int TILES>
__device__ __forceinline__ void multiply_step(float (&sum)[MT][2 * TILES][4],
                                              const struct project_step<MT, TILES> &step)
{
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int m = 0; m < MT; m++) {
            uint4 upper = mask8(step.left[2 * m], step.kept[i][2 * m]);
            uint4 lower = mask8(step.left[2 * m + 1], step.kept[i][2 * m + 1]);
            uint32_t near[4] = {upper.x, lower.x, upper.y, lower.y};
            uint32_t far[4] = {upper.z, lower.z, upper.w, lower.w};
#pragma unroll
            for (int n = 0; n < 2; n++) {
                uint4 right = step.right[i][n];
                mma_bf16(sum[m][2 * i + n], near, right.x, right.y);
                mma_bf16(sum[m][2 * i + n], far, right.z, right.w);
            }
        }
}

/* The block at tiles `tiles_at` and rows `rows_at`, each counted in blocks. */
template <int STEPS, int MT, int TILES, bool WIDE>
__device__ __forceinline__ void
project_block(__nv_bfloat16 *__restrict__ u, const __nv_bfloat16 *__restrict__ x,
              const uint32_t *__restrict__ masks, const struct mn_lora &lora, int rows, int in,
              int64_t ldx, int64_t word_rows, float factor, int tiles_at, int rows_at)
{
    __shared__ float partial[PROJECT_WARPS][16][TILE_RANK * TILES + 1];
    struct rank_tile tile[TILES];
#pragma unroll
    for (int i = 0; i < TILES; i++) tile[i] = rank_tile_at(lora, tiles_at * TILES + i);
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    int first_row = rows_at * 16 * MT;
    float sum[MT][2 * TILES][4] = {};
    x += first_row * ldx;
    if (masks) masks += first_row;
    /* The bound is the warp's, not the lane's: all lanes take part in every product. */
    for (int k0 = warp * PROJECT_DEPTH; k0 < in; k0 += STEPS * PROJECT_WARPS * PROJECT_DEPTH) {
        struct project_step<MT, TILES> step[STEPS];
#pragma unroll
        for (int i = 0; i < STEPS; i++)
            load_step<MT, TILES, WIDE>(step[i], x, masks, tile, bf16(lora.a), word_rows,
                                       rows - first_row, in, ldx,
                                       k0 + i * PROJECT_WARPS * PROJECT_DEPTH + t * VECTOR, g);
#pragma unroll
        for (int i = 0; i < STEPS; i++) multiply_step(sum, step[i]);
    }
#pragma unroll
    for (int m = 0; m < MT; m++) {
        __syncthreads(); /* the sums of the previous sixteen rows have been read */
#pragma unroll
        for (int n = 0; n < 2 * TILES; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                partial[warp][g + i / 2 * 8][n * 8 + 2 * t + i % 2] = sum[m][n][i];
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            int row = threadIdx.x / TILE_RANK, column = threadIdx.x % TILE_RANK;
            if (first_row + m * 16 + row >= rows || column >= tile[i].width) continue;
            float total = 0.0f;
            for (int w = 0; w < PROJECT_WARPS; w++)
                total += partial[w][row][i * TILE_RANK + column];
            u[(int64_t)(first_row + m * 16 + row) * lora.rank + tile[i].begin + column] =
                __float2bfloat16_rn(factor * lora.part[tile[i].part].scale * total);
        }
    }
}

template <int STEPS, int MT, int TILES, bool WIDE>
static __global__ void __launch_bounds__(PROJECT_WARPS *WARP, WIDE ? 2 : 1)
    project_kernel(__nv_bfloat16 *__restrict__ u, const __nv_bfloat16 *__restrict__ x,
                   const uint32_t *__restrict__ masks, const __grid_constant__ struct mn_lora lora,
                   int rows, int in, int64_t ldx, int64_t word_rows, float factor)
{
    project_block<STEPS, MT, TILES, WIDE>(u, x, masks, lora, rows, in, ldx, word_rows, factor,
                                          blockIdx.x, blockIdx.y);
}

template <bool WIDE> static auto choose_project(bool many, bool shared)
{
    return !many                   ? project_kernel<2, 1, 1, WIDE>
           : shared                ? project_kernel<1, 2, 3, WIDE>
           : project_kernel < WIDE ? 2
                                   : 1,
           2, 1, WIDE > ;
}

bool lora_is_many(int rows, mn_stream s)
{
    return rows >= 16 * 2 * s->multiprocessors;
}

mn_status lora_project(__nv_bfloat16 *u, const __nv_bfloat16 *x, const uint32_t *masks,
                       const struct mn_lora *lora, int rows, int in, int64_t ldx, mn_stream s)
{
    bool wide = is_wide(x, in, ldx) && is_wide(lora->a, in, in);
    bool many = lora_is_many(rows, s); /* few rows: smaller tiles, more blocks */
    int tiles = rank_tiles(lora), shared = many && tiles > 1 ? 3 : 1;
    auto kernel =
        wide ? choose_project<true>(many, shared > 1) : choose_project<false>(many, shared > 1);
    dim3 grid(ceil_div(tiles, shared), ceil_div(rows, many ? 32 : 16));
    kernel<<<grid, PROJECT_WARPS * WARP, 0, s->stream>>>(u, x, masks, *lora, rows, in, ldx,
                                                         mask_rows(rows), kept_factor(lora));
    return launched("linear_forward: x·Aᵀ");
}

/* --- y = u·Bᵀ, all parts
 * ----------------------------------------------------------------------------- */

/* Block: 128 rows by 128 columns, eight warps of 64 by 32, so that a row of B is fetched once for
 * 64 rows of y. Both operands are narrow and come from L1 and L2, four neighbours of the depth a
 * lane, which both number in that order; what costs is the writing of y, sixteen bytes a lane. */
enum { RAISE_ROWS = 128, RAISE_COLUMNS = 128, RAISE_THREADS = 256, RAISE_TILES = 4 };

template <bool WHOLE>
__device__ __forceinline__ void
raise_block(__nv_bfloat16 *__restrict__ y, const __nv_bfloat16 *__restrict__ u,
            const struct mn_lora &lora, int rows, int out, int64_t ldy, bool wide, int rows_at)
{
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    int first_row = rows_at * RAISE_ROWS + warp % 2 * 64;
    int first_column = blockIdx.x * RAISE_COLUMNS + warp / 2 * 32;
    int here = rows - first_row;
    float sum[RAISE_TILES][4][4] = {}; /* sixteen rows, eight columns */
    const __nv_bfloat16 *b = bf16(lora.b);
    if (here <= 0 || first_column >= out) return;
    for (int p = 0; p < lora.parts; p++) {
        struct mn_lora_part part = lora.part[p];
        const __nv_bfloat16 *own_u = u + (int64_t)first_row * lora.rank + part.rank_begin;
        const __nv_bfloat16 *own_b = b;
        int begin = first_column - part.out_begin;
        b += (int64_t)part.out * part.rank;
        if (begin >= part.out || begin <= -32) continue;
#pragma unroll 1
        for (int k = 4 * t; k < part_tiles(part) * TILE_RANK; k += TILE_RANK) {
            uint2 right[4];
#pragma unroll
            for (int tile = 0; tile < 4; tile++) {
                int row = begin + permuted_column(tile, g);
                bool there = row >= 0 && row < part.out;
                right[tile] =
                    load_four<WHOLE>(own_b + (there ? row : 0) * part.rank, k, part.rank, there);
            }
#pragma unroll
            for (int m = 0; m < RAISE_TILES; m++) {
                int row = m * 16 + g;
                uint2 upper = load_four<WHOLE>(own_u + (row < here ? row : 0) * lora.rank, k,
                                               part.rank, row < here);
                uint2 lower = load_four<WHOLE>(own_u + (row + 8 < here ? row + 8 : 0) * lora.rank,
                                               k, part.rank, row + 8 < here);
                uint32_t left[4] = {upper.x, lower.x, upper.y, lower.y};
#pragma unroll
                for (int tile = 0; tile < 4; tile++)
                    mma_bf16(sum[m][tile], left, right[tile].x, right[tile].y);
            }
        }
    }
    int column = first_column + t * VECTOR;
    if (column >= out) return;
    y += (int64_t)first_row * ldy + column;
#pragma unroll
    for (int m = 0; m < 2 * RAISE_TILES; m++) {
        int row = m * 8 + g;
        if (row >= here) break;
        float v[VECTOR];
#pragma unroll
        for (int e = 0; e < VECTOR; e++) v[e] = sum[m / 2][e / 2][m % 2 * 2 + e % 2];
        store8(y + row * ldy, v, out - column, wide);
    }
}

template <bool WHOLE>
static __global__ void __launch_bounds__(RAISE_THREADS, 2)
    raise_kernel(__nv_bfloat16 *__restrict__ y, const __nv_bfloat16 *__restrict__ u,
                 const __grid_constant__ struct mn_lora lora, int rows, int out, int64_t ldy,
                 bool wide)
{
    raise_block<WHOLE>(y, u, lora, rows, out, ldy, wide, blockIdx.y);
}

mn_status lora_raise(__nv_bfloat16 *y, const __nv_bfloat16 *u, const struct mn_lora *lora, int rows,
                     int out, int64_t ldy, mn_stream s)
{
    dim3 grid(ceil_div(out, RAISE_COLUMNS), ceil_div(rows, RAISE_ROWS));
    auto kernel = is_whole(lora, u) ? raise_kernel<true> : raise_kernel<false>;
    kernel<<<grid, RAISE_THREADS, 0, s->stream>>>(y, u, *lora, rows, out, ldy,
                                                  is_wide(y, out, ldy));
    return launched("linear_forward: u·Bᵀ");
}

/* --- rows of several adapters
 * ---------------------------------------------------------------------------------------- */

/* The groups of one launch, and the rows between them, as far as a kernel's 4 KiB of parameters
 * reach. A group's blocks begin at number first_project or first_raise of the grid. */
enum { TABLE_ROOM = 24 };
struct group_rows {
    int first_row, rows, first_project, first_raise;
    __nv_bfloat16 *u;
    struct mn_lora lora; /* parts 0: between groups, y is zero */
};
struct group_table {
    int count, projects, raises;
    struct group_rows at[TABLE_ROOM];
};

template <bool WIDE>
static __global__ void __launch_bounds__(PROJECT_WARPS *WARP, WIDE ? 2 : 1)
    project_groups_kernel(const __nv_bfloat16 *__restrict__ x,
                          const __grid_constant__ struct group_table table, int in, int64_t ldx)
{
    int g = 0;
    while (g + 1 < table.count && (int)blockIdx.y >= table.at[g + 1].first_project) g++;
    const struct group_rows &own = table.at[g];
    if (rank_tile_at(own.lora, blockIdx.x).width == 0) return;
    project_block<2, 1, 1, WIDE>(own.u, x + own.first_row * ldx, NULL, own.lora, own.rows, in, ldx,
                                 0, 1.0f, blockIdx.x, blockIdx.y - own.first_project);
}

template <bool WHOLE>
static __global__ void __launch_bounds__(RAISE_THREADS, 2)
    raise_groups_kernel(__nv_bfloat16 *__restrict__ y,
                        const __grid_constant__ struct group_table table, int out, int64_t ldy,
                        bool wide)
{
    int g = 0;
    while (g + 1 < table.count && (int)blockIdx.y >= table.at[g + 1].first_raise) g++;
    const struct group_rows &own = table.at[g];
    raise_block<WHOLE>(y + own.first_row * ldy, own.u, own.lora, own.rows, out, ldy, wide,
                       blockIdx.y - own.first_raise);
}

/* Rows first … end-1 with what `group` says of them; NULL: no adapter. */
static void add_rows(struct group_table *table, int first, int end,
                     const struct mn_lora_group *group, __nv_bfloat16 *u)
{
    if (first == end) return;
    struct group_rows *at = &table->at[table->count++];
    *at = {first, end - first, table->projects, table->raises, u, {}};
    if (group) at->lora = group->lora;
    if (group) table->projects += ceil_div(end - first, 16);
    table->raises += ceil_div(end - first, RAISE_ROWS);
}

static mn_status run_table(struct group_table *table, const struct lora_batch *b, mn_stream s)
{
    bool wide = is_wide(b->x, b->in, b->ldx), whole = true;
    int tiles = 0;
    if (table->count == 0) return MN_OK;
    for (int g = 0; g < table->count; g++) {
        const struct group_rows *at = &table->at[g];
        if (at->lora.parts == 0) continue;
        int own = rank_tiles(&at->lora);
        tiles = own > tiles ? own : tiles;
        wide = wide && is_wide(at->lora.a, b->in, b->in);
        whole = whole && is_whole(&at->lora, at->u);
    }
    if (table->projects > 0) {
        auto project = wide ? project_groups_kernel<true> : project_groups_kernel<false>;
        project<<<dim3(tiles, table->projects), PROJECT_WARPS * WARP, 0, s->stream>>>(
            b->x, *table, b->in, b->ldx);
        MN_TRY(launched("linear_forward: x·Aᵀ by group"));
    }
    auto raise = whole ? raise_groups_kernel<true> : raise_groups_kernel<false>;
    raise<<<dim3(ceil_div(b->out, RAISE_COLUMNS), table->raises), RAISE_THREADS, 0, s->stream>>>(
        b->y, *table, b->out, b->ldy, is_wide(b->y, b->out, b->ldy));
    *table = {};
    return launched("linear_forward: u·Bᵀ by group");
}

mn_status lora_groups(const struct lora_batch *b, const struct mn_lora_group *groups, int count,
                      mn_stream s)
{
    struct group_table table = {};
    __nv_bfloat16 *u = b->u;
    int row = 0;
    for (int g = 0; g < count; g++) {
        const int end = groups[g].first_row + groups[g].rows;
        if (table.count + 2 > TABLE_ROOM) MN_TRY(run_table(&table, b, s));
        add_rows(&table, row, groups[g].first_row, NULL, NULL);
        add_rows(&table, groups[g].first_row, end, &groups[g], u);
        u += (int64_t)groups[g].rows * groups[g].lora.rank;
        row = end;
    }
    if (table.count + 1 > TABLE_ROOM) MN_TRY(run_table(&table, b, s));
    add_rows(&table, row, b->rows, NULL, NULL);
    return run_table(&table, b, s);
}
