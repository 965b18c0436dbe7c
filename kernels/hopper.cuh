/* hopper.cuh: what sm_90a adds: barriers that count bytes, the tensor memory accelerator (TMA),
 * products of a warpgroup (wgmma). PTX ISA 8.0, "Asynchronous warpgroup level matrix instructions"
 * and "Tensor memory access".
 *
 * Shared tiles are panels of 64 bf16 columns: a row of a panel is 128 bytes, swizzled in 1024-byte
 * groups of 8 rows, as TMA writes it (SWIZZLE_128B) and wgmma reads it. Panels lie one behind the
 * other and begin at multiples of 1024 bytes. */
#ifndef MINUANO_KERNELS_HOPPER_CUH
#define MINUANO_KERNELS_HOPPER_CUH

#include <cuda.h>
#include <stdint.h>

#include "common.cuh"

enum { PANEL = 64, WARPGROUP = 128 };

/* The host's side: a map of a bf16 array (rows, heads, columns), columns innermost, from which TMA
 * copies boxes of (box_rows, box_heads, PANEL). Rows past the end are read as zeros. ld counts
 * elements a row. */
mn_status make_tensor_map(CUtensorMap *out, const char *op, const __nv_bfloat16 *base, int64_t rows,
                          int heads, int columns, int64_t ld, int box_rows, int box_heads);

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ __forceinline__ uint32_t shared_u32(const void *pointer)
{
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

__device__ __forceinline__ void barrier_init(uint64_t *barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_u32(barrier)),
                 "r"(arrivals));
}

/* Makes initialized barriers visible to TMA, before the block synchronizes. */
__device__ __forceinline__ void barrier_init_fence()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::);
}

__device__ __forceinline__ void barrier_expect(uint64_t *barrier, uint32_t bytes)
{
    asm volatile(
        "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_u32(barrier)),
        "r"(bytes)
        : "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t *barrier)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_u32(barrier)) : "memory");
}

/* Waits for the phase of this parity to end. */
__device__ __forceinline__ void barrier_wait(uint64_t *barrier, uint32_t parity)
{
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@!done bra again;\n"
                 "}\n" ::"r"(shared_u32(barrier)),
                 "r"(parity)
                 : "memory");
}

/* Named barriers (1 … 15) of two warpgroups: one waits until the other has arrived. */
__device__ __forceinline__ void turn_wait(int barrier)
{
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(2 * WARPGROUP) : "memory");
}

__device__ __forceinline__ void turn_pass(int barrier)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "n"(2 * WARPGROUP) : "memory");
}

/* One box into shared memory; its bytes count on the barrier. */
__device__ __forceinline__ void tma_load(void *to, const CUtensorMap *map, uint64_t *barrier,
                                         int column, int head, int row)
{
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5}], "
                 "[%2];" ::"r"(shared_u32(to)),
                 "l"(map), "r"(shared_u32(barrier)), "r"(column), "r"(head), "r"(row)
                 : "memory");
}

template <int REGISTERS> __device__ __forceinline__ void give_registers()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

template <int REGISTERS> __device__ __forceinline__ void take_registers()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

/* Before the first product that reads registers written since the last. */
__device__ __forceinline__ void wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int PENDING> __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

/* Descriptor of an operand in swizzled panels. lead: bytes between panels where the panel runs
 * along M or N; stride: bytes between groups of 8 rows. */
__device__ __forceinline__ uint64_t wgmma_descriptor(const void *tile, uint32_t lead,
                                                     uint32_t stride)
{
    uint64_t address = (shared_u32(tile) & 0x3ffff) >> 4;
    return address | (uint64_t)(lead >> 4) << 16 | (uint64_t)(stride >> 4) << 32 |
           (uint64_t)1 << 62;
}

/* K runs along the row (Q, K of QKᵀ): a step of 16 is 32 bytes further in the panel. */
template <int ROWS> __device__ __forceinline__ uint64_t descriptor_along(const void *tile, int k)
{
    const char *at = (const char *)tile + (k / 4) * ROWS * PANEL * 2 + (k % 4) * 32;
    return wgmma_descriptor(at, 16, 1024);
}

/* K runs down the rows (V of PV): a step of 16 is 16 rows further down. */
template <int ROWS> __device__ __forceinline__ uint64_t descriptor_down(const void *tile, int k)
{
    return wgmma_descriptor((const char *)tile + k * 16 * PANEL * 2, ROWS * PANEL * 2, 1024);
}

#define WGMMA_F4(d, i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define WGMMA_F32(d, i)                                                                            \
    WGMMA_F4(d, i), WGMMA_F4(d, i + 1), WGMMA_F4(d, i + 2), WGMMA_F4(d, i + 3),                    \
        WGMMA_F4(d, i + 4), WGMMA_F4(d, i + 5), WGMMA_F4(d, i + 6), WGMMA_F4(d, i + 7)
#define WGMMA_R32                                                                                  \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "  \
    "%20, %21, %22, %23, "                                                                         \
    "%24, %25, %26, %27, %28, %29, %30, %31}"
#define WGMMA_R64                                                                                  \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "  \
    "%20, %21, %22, %23, "                                                                         \
    "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, "   \
    "%42, %43, %44, %45, %46, "                                                                    \
    "%47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"

/* d (64 x 128 or 64) = or += A·Bᵀ; A and B both run along K in shared memory. */
__device__ __forceinline__ void wgmma_shared(float (&d)[16][4], uint64_t a, uint64_t b,
                                             int accumulate)
{
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "setp.ne.b32 p, %66, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " WGMMA_R64
                 ", %64, %65, p, 1, 1, 0, 0;\n"
                 "}\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8)
                 : "l"(a), "l"(b), "r"(accumulate));
}

__device__ __forceinline__ void wgmma_shared(float (&d)[8][4], uint64_t a, uint64_t b,
                                             int accumulate)
{
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "setp.ne.b32 p, %34, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " WGMMA_R32
                 ", %32, %33, p, 1, 1, 0, 0;\n"
                 "}\n"
                 : WGMMA_F32(d, 0)
                 : "l"(a), "l"(b), "r"(accumulate));
}

/* d (64 x 128 or 64) += A·B; A in registers, B with K down its rows. */
__device__ __forceinline__ void wgmma_registers(float (&d)[16][4], const uint32_t (&a)[4],
                                                uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " WGMMA_R64
                 ", {%64, %65, %66, %67}, %68, 1, 1, 1, 1;\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ __forceinline__ void wgmma_registers(float (&d)[8][4], const uint32_t (&a)[4],
                                                uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " WGMMA_R32
                 ", {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
                 : WGMMA_F32(d, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#endif
#endif
