/* tile.cuh: what the mma.sync attention kernels share: asynchronous copies and swizzled shared
 * tiles.
 *
 * A shared tile holds rows of HD bf16. A row is HD/8 chunks of 16 bytes; chunk c of row r lies at
 * chunk c ^ (r & 7), so that the eight rows an ldmatrix reads at once lie in eight different bank
 * groups. */
#ifndef MINUANO_KERNELS_TILE_CUH
#define MINUANO_KERNELS_TILE_CUH

#include "mma.cuh"

__device__ __forceinline__ uint32_t shared_address(const void *pointer)
{
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* 16 bytes global to shared without a register; zeros where `valid` is false (the source is then
 * not read). */
__device__ __forceinline__ void copy_async_16(uint32_t to, const void *from, bool valid)
{
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from),
                 "r"(bytes));
}

__device__ __forceinline__ void copy_async_commit()
{
    asm volatile("cp.async.commit_group;\n" ::);
}

template <int PENDING> __device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;\n" ::"n"(PENDING));
}

/* Byte address of chunk `chunk` of row `row` in a swizzled tile at `tile`. */
template <int HD> __device__ __forceinline__ uint32_t tile_chunk(uint32_t tile, int row, int chunk)
{
    return tile + (uint32_t)(row * HD * 2 + ((chunk ^ (row & 7)) << 4));
}

__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

/* Chunk 2 * pair + (0 or 1): a pair of chunks is 16 columns. Bits 5 to 7 of the address come from
 * the pair alone, tiles being aligned to a row, so that walking along the row is one exclusive or.
 */
template <int HD>
__device__ __forceinline__ uint32_t pair_chunk(uint32_t tile, int row, int pair, int odd)
{
    return tile_chunk<HD>(tile, row, odd) ^ (uint32_t)(pair << 5);
}

/* A operand: rows row0 … +15, columns 16k … +15 of the tile. */
template <int HD>
__device__ __forceinline__ void load_a(uint32_t (&a)[4], uint32_t tile, int row0, int k, int lane)
{
    load_matrices(a, pair_chunk<HD>(tile + row0 * HD * 2, lane & 15, k, lane >> 4));
}

/* B operand of X·Tᵀ: tile rows are n. Two n-tiles (rows row0 … +15), columns 16k … +15: {b[0],b[1]}
 * and {b[2],b[3]}. */
template <int HD>
__device__ __forceinline__ void load_b_rows(uint32_t (&b)[4], uint32_t tile, int row0, int k,
                                            int lane)
{
    load_matrices(b, pair_chunk<HD>(tile, (lane & 7) + ((lane >> 4) << 3), k, (lane >> 3) & 1) +
                         row0 * HD * 2);
}

/* B operand of X·T: tile rows are k. Rows row0 … +15, two n-tiles: columns 16n … +15. */
template <int HD>
__device__ __forceinline__ void load_b_columns(uint32_t (&b)[4], uint32_t tile, int row0, int n,
                                               int lane)
{
    load_matrices_transposed(b, pair_chunk<HD>(tile, lane & 15, n, lane >> 4) + row0 * HD * 2);
}

/* Two accumulator tiles side by side (16x8 each) as the A operand of the next product (16x16),
 * rounded to bf16. */
__device__ __forceinline__ void accumulators_as_a(uint32_t (&a)[4], const float (&left)[4],
                                                  const float (&right)[4])
{
    a[0] = pack2(left[0], left[1]);
    a[1] = pack2(left[2], left[3]);
    a[2] = pack2(right[0], right[1]);
    a[3] = pack2(right[2], right[3]);
}

/* Over the four lanes that share an accumulator row. */
__device__ __forceinline__ float quad_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

__device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

#endif
