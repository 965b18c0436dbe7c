/* lora_tile.cuh: what the kernels of lora.cu, lora_lower.cu and lora_backward.cu share: how the
 * ranks of an adapter are cut into tiles of sixteen, how narrow rows are read, how bits become a
 * mask, and how sums over tokens are cut. */
#ifndef MINUANO_KERNELS_LORA_TILE_CUH
#define MINUANO_KERNELS_LORA_TILE_CUH

#include "lora.cuh"

#include "minuano/random.h"
#include "tile.cuh"

/* --- the ranks, sixteen at a time
 * ------------------------------------------------------------------- */

enum { TILE_RANK = 16 };

/* Masks differ between parts, so a tile lies in one. */
struct rank_tile {
    int part, begin, width; /* begin: column of u; width 0: past the last tile */
};

__host__ __device__ static inline int part_tiles(const struct mn_lora_part &part)
{
    return (part.rank + TILE_RANK - 1) / TILE_RANK;
}

static inline int rank_tiles(const struct mn_lora *lora)
{
    int tiles = 0;
    for (int p = 0; p < lora->parts; p++) tiles += part_tiles(lora->part[p]);
    return tiles;
}

__device__ __forceinline__ struct rank_tile rank_tile_at(const struct mn_lora &lora, int tile)
{
    for (int p = 0; p < lora.parts; p++) {
        int tiles = part_tiles(lora.part[p]), left = lora.part[p].rank - tile * TILE_RANK;
        if (tile < tiles)
            return {p, lora.part[p].rank_begin + tile * TILE_RANK,
                    left < TILE_RANK ? left : (int)TILE_RANK};
        tile -= tiles;
    }
    return {0, 0, 0};
}

static inline float kept_factor(const struct mn_lora *lora)
{
    return lora->dropout > 0 ? 1.0f / (1.0f - lora->dropout) : 1.0f;
}

/* Every tile is whole, and rows of u and du may be read eight bytes at a time. */
static inline bool is_whole(const struct mn_lora *lora, const void *u)
{
    bool whole = (uintptr_t)u % 8 == 0 && (uintptr_t)lora->b % 8 == 0;
    for (int p = 0; p < lora->parts; p++) whole = whole && lora->part[p].rank % TILE_RANK == 0;
    return whole;
}

/* --- reading
 * ---------------------------------------------------------------------------------------- */

/* Two neighbours k, k+1 of a row of a narrow matrix; zero at and past `rank`. */
__device__ __forceinline__ uint32_t load_pair(const __nv_bfloat16 *row, int k, int rank)
{
    const uint16_t *from = reinterpret_cast<const uint16_t *>(row);
    uint32_t low = k < rank ? from[k] : 0u, high = k + 1 < rank ? from[k + 1] : 0u;
    return low | high << 16;
}

/* Four neighbours k … k+3 of a row of a narrow matrix; zero where the row is not `there`. WHOLE:
 * see is_whole; `row` may then be read anyway, and no branch parts the loads. */
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

/* Eight neighbours a lane: column of element 2j + b of lane t in tile j of a group of 32, and the
 * column that a lane's g stands for in the other operand. Used by both kernels that write rows. */
__device__ __forceinline__ int permuted_column(int tile, int g)
{
    return tile / 4 * 32 + g / 2 * 8 + tile % 4 * 2 + g % 2;
}

/* --- masks
 * ------------------------------------------------------------------------------------------ */

/* Each byte of the result is the sign, spread over the byte, of the byte of `b:a` that its nibble
 * in `selector` (8 + number) names. */
__device__ __forceinline__ uint32_t spread_signs(uint32_t a, uint32_t b, uint32_t selector)
{
    uint32_t signs;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(signs) : "r"(a), "r"(b), "r"(selector));
    return signs;
}

/* Bits of columns k … k+7, k a multiple of eight, of one row of a mask; `words` are those of the 32
 * columns around k. */
__device__ __forceinline__ uint32_t kept8(const uint32_t *words, int64_t row, int k)
{
    return reinterpret_cast<const uint8_t *>(words + row)[k % 32 / 8];
}

/* Zero where bit i of `kept` is not set, for the eight elements i of `raw`. */
__device__ __forceinline__ uint4 mask8(uint4 raw, uint32_t kept)
{
    /* Bit 2i at 7 + 2i, bit 2i+1 at 15 + 2i: a shift by 2i brings a pair to the signs of two bytes.
     */
    uint32_t pairs = kept << 7 | kept << 14;
    raw.x &= spread_signs(pairs, 0, 0x9988);
    raw.y &= spread_signs(pairs >> 2, 0, 0x9988);
    raw.z &= spread_signs(pairs >> 4, 0, 0x9988);
    raw.w &= spread_signs(pairs >> 6, 0, 0x9988);
    return raw;
}

/* --- sums over tokens
 * ------------------------------------------------------------------------------- */

/* Cut into stretches, whose shares lie side by side in the workspace and are added in order: no
 * atomics. A stretch passes through shared memory in stages, so that the next one is on its way
 * under the products of this one. */
enum { PITCH_PAD = 8, STRETCHES = 16, STRETCH_LEAST = 64, STAGE_ROWS = 32 };

/* Tokens of a stretch: whole stages, at most STRETCHES stretches. */
static inline int stretch_rows(int rows)
{
    int least = ceil_div(rows, STRETCHES);
    return ceil_div(least > STRETCH_LEAST ? least : (int)STRETCH_LEAST, STAGE_ROWS) * STAGE_ROWS;
}

static inline int most_stretches(int rows)
{
    int stretches = ceil_div(rows, STRETCH_LEAST);
    return stretches < STRETCHES ? stretches : (int)STRETCHES;
}

/* Eight elements to shared memory, the `left` first of them read; zeros where not `there`. */
template <bool WIDE>
__device__ __forceinline__ void stage8(__nv_bfloat16 *to, const __nv_bfloat16 *from, int64_t left,
                                       bool there)
{
    if (WIDE)
        copy_async_16(shared_address(to), from, there);
    else
        *reinterpret_cast<uint4 *>(to) =
            there ? load8_raw(from, left, false) : make_uint4(0, 0, 0, 0);
}

#endif
