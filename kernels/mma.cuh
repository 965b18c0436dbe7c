/* mma.cuh: the warp's matrix instructions of sm_80 and later.
 *
 * Fragments of m16n8k16, for lane = 4g + t: a[0] holds (row g, k 2t and 2t+1), a[1] (g+8, same k),
 * a[2] (g, k+8), a[3] (g+8, k+8); b[0] holds (k 2t and 2t+1, column g), b[1] (k+8); c[0], c[1] are
 * (row g, columns 2t and 2t+1), c[2], c[3] (row g+8). */
#ifndef MINUANO_KERNELS_MMA_CUH
#define MINUANO_KERNELS_MMA_CUH

#include "common.cuh"

__device__ __forceinline__ void mma_bf16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1)
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Four 8×8 tiles from shared memory, transposed; lane l gives the address of row l%8 of tile l/8.
 */
__device__ __forceinline__ void load_transposed(uint32_t (&r)[4], const __nv_bfloat16 *row)
{
    uint32_t address = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

#endif
