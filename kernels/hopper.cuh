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

/* A map of a float array (rows, width) with row stride ld, a multiple of 4, for boxes that may
 * begin at any element. */
mn_status make_row_map(CUtensorMap *out, const char *op, const float *base, int64_t width, int rows,
                       int64_t ld, int box_width, int box_rows);

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

/* One lane tells for its warp: of what products have read, or what lies behind a barrier. What else
 * lanes have read or written, each hands on itself. */
__device__ __forceinline__ void warp_arrive(uint64_t *barrier)
{
    if ((threadIdx.x & 31) == 0) barrier_arrive(barrier);
}

/* Arrives at the same barrier of a block of the cluster. Orders nothing but the threads: what the
 * stage held must have been read already. A release to the cluster would wait for all memory. */
__device__ __forceinline__ void barrier_arrive_at(uint64_t *barrier, int block)
{
    asm volatile("{\n"
                 ".reg .b32 there;\n"
                 "mapa.shared::cluster.u32 there, %0, %1;\n"
                 "mbarrier.arrive.shared::cluster.b64 _, [there];\n"
                 "}\n" ::"r"(shared_u32(barrier)),
                 "r"(block)
                 : "memory");
}

/* All threads of all blocks of the cluster: barriers are there, or nobody needs them any more. */
__device__ __forceinline__ void cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\n"
                 "barrier.cluster.wait.acquire.aligned;\n" ::
                     : "memory");
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

/* Fetches a tensor map before the first copy that needs it. */
__device__ __forceinline__ void tensor_map_prefetch(const CUtensorMap *map)
{
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/* Where a ring of COUNT stages stands, and the parities to wait for by who reads a stage and by who
 * fills it. A new barrier passes a wait for parity 1. */
template <int COUNT> struct ring {
    int count;

    __device__ int stage() const
    {
        return count % COUNT;
    }
    __device__ uint32_t full() const
    {
        return (count / COUNT) & 1;
    }
    __device__ uint32_t empty() const
    {
        return (count / COUNT + 1) & 1;
    }
};

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

/* The same box into both blocks of a cluster of two, at the same place of their shared memories;
 * its bytes count on both barriers. */
__device__ __forceinline__ void tma_load_both(void *to, const CUtensorMap *map, uint64_t *barrier,
                                              int column, int head, int row)
{
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(shared_u32(to)),
                 "l"(map), "r"(shared_u32(barrier)), "r"(column), "r"(head), "r"(row),
                 "h"((uint16_t)3)
                 : "memory");
}

/* One box to global memory, where rows and columns past the end are left out. Belongs to the
 * thread's group, as bulk copies do. */
__device__ __forceinline__ void tma_store(const CUtensorMap *map, const void *from, int column,
                                          int head, int row)
{
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], "
                 "[%1];" ::"l"(map),
                 "r"(shared_u32(from)), "r"(column), "r"(head), "r"(row)
                 : "memory");
}

/* Linear copies, and additions in fp32, of whole pieces of memory; 16-byte units. Those towards
 * global memory belong to the thread's group, which it commits and waits for. */
__device__ __forceinline__ void bulk_load(void *to, const void *from, uint32_t bytes,
                                          uint64_t *barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], "
                 "%2, [%3];" ::"r"(shared_u32(to)),
                 "l"(from), "r"(bytes), "r"(shared_u32(barrier))
                 : "memory");
}

__device__ __forceinline__ void bulk_store(void *to, const void *from, uint32_t bytes)
{
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to),
                 "r"(shared_u32(from)), "r"(bytes)
                 : "memory");
}

__device__ __forceinline__ void bulk_add(float *to, const void *from, uint32_t bytes)
{
    asm volatile(
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(to),
        "r"(shared_u32(from)), "r"(bytes)
        : "memory");
}

__device__ __forceinline__ void bulk_commit()
{
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* Until shared memory has been read, or until global memory has been written as well. */
__device__ __forceinline__ void bulk_wait_read()
{
    asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

__device__ __forceinline__ void bulk_wait()
{
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

/* Between ordinary accesses and those of TMA, bulk copies and wgmma, to shared or global memory: in
 * every thread that wrote, before it tells the one that lets them read. */
__device__ __forceinline__ void async_fence_shared()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void async_fence_global()
{
    asm volatile("fence.proxy.async.global;" ::: "memory");
}

/* A flag in global memory that blocks pass on: what was written before it is seen after it. */
__device__ __forceinline__ void flag_wait(const int *flag, int value)
{
    int found;
    do asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(found) : "l"(flag) : "memory");
    while (found != value);
}

__device__ __forceinline__ void flag_set(int *flag, int value)
{
    asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

/* Four 8 x 8 tiles of bf16 into shared memory; lane l gives the address of row l % 8 of tile l / 8.
 */
__device__ __forceinline__ void store_matrices(uint32_t address, const uint32_t (&w)[4])
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
                 "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3])
                 : "memory");
}

/* One box of a row map. */
__device__ __forceinline__ void tma_load(void *to, const CUtensorMap *map, uint64_t *barrier,
                                         int column, int row)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_u32(to)),
                 "l"(map), "r"(shared_u32(barrier)), "r"(column), "r"(row)
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

/* After a wait: the compiler must not read these accumulators above it. */
template <int COUNT> __device__ __forceinline__ void wgmma_done(float (&d)[COUNT][4])
{
#pragma unroll
    for (int i = 0; i < COUNT; i++)
        asm volatile("" : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])::"memory");
}

/* Where an operand in swizzled panels begins, in the units of descriptors. Its value is hidden from
 * the compiler, which otherwise computes the descriptors of all steps ahead of a loop and runs out
 * of registers. */
__device__ __forceinline__ uint32_t wgmma_base(const void *tile)
{
    uint32_t base = (shared_u32(tile) & 0x3ffff) >> 4;
    asm volatile("" : "+r"(base));
    return base;
}

/* Descriptor of an operand `bytes` behind its base; groups of 8 rows are 1024 bytes apart. lead:
 * bytes between panels where the panel runs along M or N. */
__device__ __forceinline__ uint64_t wgmma_descriptor(uint32_t base, uint32_t bytes, uint32_t lead)
{
    return (uint64_t)(1024 >> 4 | 1 << 30) << 32 | (base + (bytes >> 4 | lead >> 4 << 16));
}

/* K runs along the row (Q, K of QKᵀ): a step of 16 is 32 bytes further in the panel. */
template <int ROWS> __device__ __forceinline__ uint64_t descriptor_along(uint32_t base, int k)
{
    return wgmma_descriptor(base, (uint32_t)((k / 4) * ROWS * PANEL * 2 + (k % 4) * 32), 16);
}

/* K runs down the rows (V of PV): a step of 16 is 16 rows further down. */
template <int ROWS> __device__ __forceinline__ uint64_t descriptor_down(uint32_t base, int k)
{
    return wgmma_descriptor(base, (uint32_t)(k * 16 * PANEL * 2), ROWS * PANEL * 2);
}

/* Operands of the products: rows of accumulators, and how PTX lists them. */
#define WGMMA_F4(d, i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define WGMMA_F16(d, i) WGMMA_F4(d, i), WGMMA_F4(d, i + 1), WGMMA_F4(d, i + 2), WGMMA_F4(d, i + 3)
#define WGMMA_F32(d, i) WGMMA_F16(d, i), WGMMA_F16(d, i + 4)
#define WGMMA_R16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define WGMMA_R32                                                                                  \
    WGMMA_R16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WGMMA_R48                                                                                  \
    WGMMA_R32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define WGMMA_R64                                                                                  \
    WGMMA_R48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WGMMA_R96                                                                                  \
    WGMMA_R64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
              "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define WGMMA_R128                                                                                 \
    WGMMA_R96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, " \
              "%110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, "     \
              "%123, %124, %125, %126, %127"

/* d (64 x 128, 96, 64 or 32) = A·Bᵀ; A and B both run along K in shared memory. */
__device__ __forceinline__ void wgmma_first(float (&d)[16][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WGMMA_R64
                 "}, %64, %65, 0, 1, 1, 0, 0;\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_first(float (&d)[12][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {" WGMMA_R48
                 "}, %48, %49, 0, 1, 1, 0, 0;\n"
                 : WGMMA_F32(d, 0), WGMMA_F16(d, 8)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_first(float (&d)[8][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WGMMA_R32
                 "}, %32, %33, 0, 1, 1, 0, 0;\n"
                 : WGMMA_F32(d, 0)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_first(float (&d)[4][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {" WGMMA_R16
                 "}, %16, %17, 0, 1, 1, 0, 0;\n"
                 : WGMMA_F16(d, 0)
                 : "l"(a), "l"(b));
}

/* d += A·Bᵀ, likewise. */
__device__ __forceinline__ void wgmma_shared(float (&d)[16][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WGMMA_R64
                 "}, %64, %65, 1, 1, 1, 0, 0;\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_shared(float (&d)[12][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {" WGMMA_R48
                 "}, %48, %49, 1, 1, 1, 0, 0;\n"
                 : WGMMA_F32(d, 0), WGMMA_F16(d, 8)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_shared(float (&d)[8][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WGMMA_R32
                 "}, %32, %33, 1, 1, 1, 0, 0;\n"
                 : WGMMA_F32(d, 0)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_shared(float (&d)[4][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {" WGMMA_R16
                 "}, %16, %17, 1, 1, 1, 0, 0;\n"
                 : WGMMA_F16(d, 0)
                 : "l"(a), "l"(b));
}

/* d (64 x 256) = A·Bᵀ, or += where `add`; both run along K in shared memory. */
__device__ __forceinline__ void wgmma_wide(float (&d)[32][4], uint64_t a, uint64_t b, bool add)
{
    asm volatile("{\n"
                 ".reg .pred add;\n"
                 "setp.ne.b32 add, %130, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" WGMMA_R128
                 "}, %128, %129, add, 1, 1, 0, 0;\n"
                 "}\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8), WGMMA_F32(d, 16), WGMMA_F32(d, 24)
                 : "l"(a), "l"(b), "r"((int)add));
}

/* d (64 x 64) = and += Aᵀ·B; K runs down the rows of both in shared memory. */
__device__ __forceinline__ void wgmma_first_down(float (&d)[8][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WGMMA_R32
                 "}, %32, %33, 0, 1, 1, 1, 1;\n"
                 : WGMMA_F32(d, 0)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_down(float (&d)[8][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WGMMA_R32
                 "}, %32, %33, 1, 1, 1, 1, 1;\n"
                 : WGMMA_F32(d, 0)
                 : "l"(a), "l"(b));
}

/* d (64 x 128 or 64) += A·B; A along K, B with K down its rows, both in shared memory. */
__device__ __forceinline__ void wgmma_along_down(float (&d)[16][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WGMMA_R64
                 "}, %64, %65, 1, 1, 1, 0, 1;\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8)
                 : "l"(a), "l"(b));
}

__device__ __forceinline__ void wgmma_along_down(float (&d)[8][4], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WGMMA_R32
                 "}, %32, %33, 1, 1, 1, 0, 1;\n"
                 : WGMMA_F32(d, 0)
                 : "l"(a), "l"(b));
}

/* d (64 x 128 or 64) += A·B; A in registers, B with K down its rows. */
__device__ __forceinline__ void wgmma_registers(float (&d)[16][4], const uint32_t (&a)[4],
                                                uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" WGMMA_R64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;\n"
                 : WGMMA_F32(d, 0), WGMMA_F32(d, 8)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ __forceinline__ void wgmma_registers(float (&d)[8][4], const uint32_t (&a)[4],
                                                uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" WGMMA_R32
                 "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
                 : WGMMA_F32(d, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#endif
#endif
