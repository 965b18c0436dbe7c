/* lora_lower.cu: what an adapter takes from dy, on mma.sync: du = scale · dy·B, db += dyᵀ·u.
 *
 * Both in one read of dy, which is what bounds them. One sums over columns, the other over tokens:
 * columns are cut into slices, tokens into stretches, and a second kernel adds the shares. */
#include "lora_tile.cuh"

/* Block: a slice of a part's columns, 512 at a time, by a stretch of tokens by a tile of ranks. A
 * warp owns 64 columns: their rows of B stay in its registers, and so does its share of dB; its
 * share of du is added to the others' at every stage. The fewer slices, the less there is to add
 * afterwards: at most SLICES a tile. */
enum { LOWER_WARPS = 8, LOWER_COLUMNS = 512, LOWER_PITCH = LOWER_COLUMNS + PITCH_PAD, SLICES = 8 };
enum { SHARE_PITCH = TILE_RANK + 8 }; /* of floats: eight rows of a fragment in different banks */

struct lower_shared {
    __nv_bfloat16 dy[2][STAGE_ROWS][LOWER_PITCH];
    __nv_bfloat16 u[2][STAGE_ROWS][TILE_RANK + PITCH_PAD];
    float share[LOWER_WARPS][STAGE_ROWS][SHARE_PITCH];
};

__host__ __device__ static inline int slice_columns(const struct mn_lora_part &part)
{
    int chunks = (part.out + LOWER_COLUMNS - 1) / LOWER_COLUMNS;
    return (chunks + SLICES - 1) / SLICES * LOWER_COLUMNS;
}

__host__ __device__ static inline int part_slices(const struct mn_lora_part &part)
{
    int columns = slice_columns(part);
    return (part.out + columns - 1) / columns;
}

static int all_slices(const struct mn_lora *lora)
{
    int slices = 0;
    for (int p = 0; p < lora->parts; p++)
        slices += part_slices(lora->part[p]) * part_tiles(lora->part[p]);
    return slices;
}

/* One slice of one tile of ranks; columns and ranks are the part's own. */
struct slice {
    int part, rank, width;
    int column, end;
    int64_t b_offset;
};

__device__ __forceinline__ struct slice slice_at(const struct mn_lora &lora, int index)
{
    struct slice s = {};
    for (; s.part < lora.parts; s.part++) {
        const struct mn_lora_part &part = lora.part[s.part];
        int tiles = part_tiles(part), all = tiles * part_slices(part);
        if (index < all) {
            s.rank = index % tiles * TILE_RANK;
            s.width = part.rank - s.rank < TILE_RANK ? part.rank - s.rank : (int)TILE_RANK;
            s.column = index / tiles * slice_columns(part);
            s.end = min(s.column + slice_columns(part), part.out);
            break;
        }
        index -= all;
        s.b_offset += (int64_t)part.out * part.rank;
    }
    return s;
}

template <bool WIDE>
__device__ __forceinline__ void stage_lower(struct lower_shared *shared, int buffer,
                                            const __nv_bfloat16 *dy, const __nv_bfloat16 *u,
                                            int64_t ldy, int rank, int rows, int columns, int width)
{
    enum { TOGETHER = LOWER_WARPS * WARP * VECTOR / LOWER_COLUMNS }; /* rows */
    int column = threadIdx.x * VECTOR % LOWER_COLUMNS;
    for (int row = threadIdx.x * VECTOR / LOWER_COLUMNS; row < STAGE_ROWS; row += TOGETHER)
        stage8<WIDE>(&shared->dy[buffer][row][column], dy + row * ldy + column, columns - column,
                     row < rows && column < columns);
    if (threadIdx.x < STAGE_ROWS * TILE_RANK / VECTOR) {
        int row = threadIdx.x / 2, k = threadIdx.x % 2 * VECTOR;
        stage8<WIDE>(&shared->u[buffer][row][k], u + (int64_t)row * rank + k, width - k,
                     row < rows && k < width);
    }
    copy_async_commit();
}

/* B of the warp's 64 columns as the right operand, sixteen columns at a time. */
__device__ __forceinline__ void load_lower_b(uint32_t (&b)[4][2][2], const __nv_bfloat16 *rows_of_b,
                                             int rank, int columns, int width, int lane)
{
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int column = k * 16 + half * 8 + lane % 4 * 2, r = n * 8 + lane / 4;
                const uint16_t *from =
                    reinterpret_cast<const uint16_t *>(rows_of_b) + (int64_t)column * rank + r;
                uint32_t low = column < columns && r < width ? from[0] : 0u;
                uint32_t high = column + 1 < columns && r < width ? from[rank] : 0u;
                b[k][n][half] = low | high << 16;
            }
}

/* The warp's products of one stage: its share of du to shared memory, dB in registers. */
__device__ __forceinline__ void multiply_lower(struct lower_shared *shared, int buffer,
                                               const uint32_t (&b)[4][2][2], float (&db)[4][2][4],
                                               int warp, int lane)
{
    float du[2][2][4] = {};
#pragma unroll
    for (int k = 0; k < 4; k++)
#pragma unroll
        for (int m = 0; m < 2; m++) {
            uint32_t left[4];
            load_matrices(
                left,
                shared_address(
                    &shared->dy[buffer][m * 16 + lane % 16][warp * 64 + k * 16 + lane / 16 * 8]));
            mma_bf16(du[m][0], left, b[k][0][0], b[k][0][1]);
            mma_bf16(du[m][1], left, b[k][1][0], b[k][1][1]);
        }
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                *reinterpret_cast<float2 *>(
                    &shared->share[warp][m * 16 + half * 8 + lane / 4][n * 8 + lane % 4 * 2]) =
                    make_float2(du[m][n][2 * half], du[m][n][2 * half + 1]);
#pragma unroll
    for (int k = 0; k < STAGE_ROWS; k += 16) {
        uint32_t right[4];
        load_transposed(right, &shared->u[buffer][k + lane / 8 % 2 * 8 + lane % 8][lane / 16 * 8]);
#pragma unroll
        for (int m = 0; m < 4; m++) {
            uint32_t left[4];
            load_transposed(left, &shared->dy[buffer][k + lane / 16 * 8 + lane % 8]
                                             [warp * 64 + m * 16 + lane / 8 % 2 * 8]);
            mma_bf16(db[m][0], left, right[0], right[1]);
            mma_bf16(db[m][1], left, right[2], right[3]);
        }
    }
}

/* dB of the warp's 64 columns; `to` is the first of them in a matrix (·, rank). */
__device__ __forceinline__ void store_lower_b(float *to, const float (&db)[4][2][4], int rank,
                                              int columns, int width, int lane)
{
#pragma unroll
    for (int m = 0; m < 4; m++)
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int column = m * 16 + i / 2 * 8 + lane / 4, r = n * 8 + lane % 4 * 2 + i % 2;
                if (column < columns && r < width) to[(int64_t)column * rank + r] = db[m][n][i];
            }
}

/* du_shares (slices, rows, 16), db_shares (stretches, b_count). */
template <bool WIDE>
static __global__ void __launch_bounds__(LOWER_WARPS *WARP, WIDE ? 2 : 1)
    lower_kernel(float *__restrict__ du_shares, float *__restrict__ db_shares,
                 const __nv_bfloat16 *__restrict__ dy, const __nv_bfloat16 *__restrict__ u,
                 const __grid_constant__ struct mn_lora lora, int rows, int64_t ldy, int stretch,
                 int64_t b_count)
{
    extern __shared__ __align__(16) unsigned char lower_room[];
    struct lower_shared *shared = reinterpret_cast<struct lower_shared *>(lower_room);
    struct slice slice = slice_at(lora, blockIdx.x);
    const struct mn_lora_part &part = lora.part[slice.part];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, own = warp * 64;
    int64_t begin = (int64_t)blockIdx.y * stretch;
    int here = (int)min((int64_t)stretch, rows - begin);
    u += begin * lora.rank + part.rank_begin + slice.rank;
    dy += begin * ldy + part.out_begin;
    du_shares += ((int64_t)blockIdx.x * rows + begin) * TILE_RANK;
    db_shares += blockIdx.y * b_count + slice.b_offset + slice.rank;
    for (int first = slice.column; first < slice.end; first += LOWER_COLUMNS) {
        int columns = slice.end - first;
        uint32_t b[4][2][2];
        float db[4][2][4] = {};
        stage_lower<WIDE>(shared, 0, dy + first, u, ldy, lora.rank, here, columns, slice.width);
        load_lower_b(
            b, bf16(lora.b) + slice.b_offset + (int64_t)(first + own) * part.rank + slice.rank,
            part.rank, columns - own, slice.width, lane);
        for (int row = 0, buffer = 0; row < here; row += STAGE_ROWS, buffer ^= 1) {
            int next = row + STAGE_ROWS;
            if (next < here)
                stage_lower<WIDE>(shared, buffer ^ 1, dy + next * ldy + first,
                                  u + (int64_t)next * lora.rank, ldy, lora.rank, here - next,
                                  columns, slice.width);
            else
                copy_async_commit(); /* nothing, so that one group at most is under way below */
            copy_async_wait<1>();
            __syncthreads(); /* the stage is there; the shares before it have been added */
            multiply_lower(shared, buffer, b, db, warp, lane);
            __syncthreads(); /* the shares are there; the stage may be overwritten */
            int r = threadIdx.x / 8, c = threadIdx.x % 8 * 2;
            if (row + r >= here) continue;
            float2 *to = reinterpret_cast<float2 *>(&du_shares[(int64_t)(row + r) * TILE_RANK + c]);
            float2 sum = first == slice.column ? make_float2(0, 0) : *to;
#pragma unroll
            for (int w = 0; w < LOWER_WARPS; w++) {
                float2 share = *reinterpret_cast<float2 *>(&shared->share[w][r][c]);
                sum.x += share.x, sum.y += share.y;
            }
            *to = sum;
        }
        store_lower_b(db_shares + (int64_t)(first + own) * part.rank, db, part.rank, columns - own,
                      slice.width, lane);
    }
}

/* Thread: one element of du, its slices added and scaled, or one of db, its stretches added. */
static __global__ void lower_sums_kernel(__nv_bfloat16 *__restrict__ du, float *__restrict__ db,
                                         const float *__restrict__ du_shares,
                                         const float *__restrict__ db_shares,
                                         const __grid_constant__ struct mn_lora lora, int rows,
                                         int64_t b_count, int stretches)
{
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x,
            du_count = (int64_t)rows * lora.rank;
    if (i >= du_count) {
        i -= du_count;
        if (i >= b_count) return;
        float sum = db[i];
        for (int stretch = 0; stretch < stretches; stretch++)
            sum += db_shares[stretch * b_count + i];
        db[i] = sum;
        return;
    }
    int k = (int)(i % lora.rank), p = 0;
    for (; k >= lora.part[p].rank; p++) {
        k -= lora.part[p].rank;
        du_shares +=
            (int64_t)part_tiles(lora.part[p]) * part_slices(lora.part[p]) * rows * TILE_RANK;
    }
    int tiles = part_tiles(lora.part[p]), slices = part_slices(lora.part[p]);
    du_shares += (k / TILE_RANK * (int64_t)rows + i / lora.rank) * TILE_RANK + k % TILE_RANK;
    float sum = 0.0f;
    for (int slice = 0; slice < slices; slice++)
        sum += du_shares[(int64_t)slice * tiles * rows * TILE_RANK];
    du[i] = __float2bfloat16_rn(lora.part[p].scale * sum);
}

/* For at most rank/16 + parts tiles, whatever the ranks: a caller plans for the largest. */
static int64_t du_shares_count(const struct mn_lora *lora, int rows)
{
    return (int64_t)(lora->rank / TILE_RANK + lora->parts) * SLICES * rows * TILE_RANK;
}

size_t lora_lower_workspace(const struct mn_lora *lora, int rows)
{
    int64_t db_shares = mn_lora_b_offset(lora, lora->parts) * most_stretches(rows);
    return (size_t)(du_shares_count(lora, rows) + db_shares) * sizeof(float);
}

static bool is_wide_part(const struct mn_lora_part *part)
{
    return part->out % VECTOR == 0 && part->out_begin % VECTOR == 0 && part->rank % VECTOR == 0;
}

mn_status lora_lower(__nv_bfloat16 *du, float *db, const __nv_bfloat16 *dy, const __nv_bfloat16 *u,
                     const struct mn_lora *lora, int rows, int64_t ldy, void *workspace,
                     mn_stream s)
{
    float *du_shares = static_cast<float *>(workspace);
    float *db_shares = du_shares + du_shares_count(lora, rows);
    int64_t b_count = mn_lora_b_offset(lora, lora->parts);
    int stretch = stretch_rows(rows), stretches = ceil_div(rows, stretch);
    bool wide = is_wide(dy, ldy, ldy) && is_wide(u, lora->rank, lora->rank);
    for (int p = 0; p < lora->parts; p++) wide = wide && is_wide_part(&lora->part[p]);
    auto kernel = wide ? lower_kernel<true> : lower_kernel<false>;
    const int shared = sizeof(struct lower_shared);
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    kernel<<<dim3(all_slices(lora), stretches), LOWER_WARPS * WARP, shared, s->stream>>>(
        du_shares, db_shares, dy, u, *lora, rows, ldy, stretch, b_count);
    MN_TRY(launched("linear_backward: dy·B and dyᵀ·u"));
    lower_sums_kernel<<<ceil_div((int64_t)rows * lora->rank + b_count, 256), 256, 0, s->stream>>>(
        du, db, du_shares, db_shares, *lora, rows, b_count, stretches);
    return launched("linear_backward: sums of du and dB");
}
