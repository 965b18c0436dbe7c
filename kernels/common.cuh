/* common.cuh: what every kernel file shares: the stream's state, eight-element loads and stores,
 * reductions of a warp and of a block, and the check after a launch.
 *
 * Activations are bf16. Rows are read and written sixteen bytes a thread wherever the row length
 * and the addresses allow it (`wide`, the same for a whole launch); elsewhere element by element,
 * so that any shape is right and the shapes that matter are fast. */
#ifndef MINUANO_KERNELS_COMMON_CUH
#define MINUANO_KERNELS_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "minuano/ops.h"

struct gemm_library;
struct attention_library;
struct group;

/* Behind mn_stream. */
struct mn_stream_state {
    cudaStream_t stream;
    int multiprocessors;
    bool hopper;               /* compute capability 9.0: wgmma and TMA */
    bool capturing;            /* launches are being recorded: nothing may be waited for */
    int *ticket;               /* on the device: for kernels whose blocks draw work; they leave 0 */
    struct gemm_library *gemm; /* see gemm.cuh */
    struct group *group;       /* see group.cuh; NULL: alone */
    struct attention_library *attention; /* cuDNN's; NULL: not opened, or not in this build */
};

enum { WARP = 32, VECTOR = 8 };

__host__ __device__ static inline __nv_bfloat16 *bf16(mn_act *p)
{
    return reinterpret_cast<__nv_bfloat16 *>(p);
}

__host__ __device__ static inline const __nv_bfloat16 *bf16(const mn_act *p)
{
    return reinterpret_cast<const __nv_bfloat16 *>(p);
}

/* MN_DEVICE, naming the op and what the driver said. */
static inline mn_status cuda_failed(const char *what, cudaError_t error)
{
    (void)cudaGetLastError(); /* told here: the next launch is not to report it again */
    return mn_fail(error == cudaErrorMemoryAllocation ? MN_NO_MEMORY : MN_DEVICE,
                   "CUDA: %s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

/* After a launch: a wrong configuration is reported here, a fault inside the kernel by the next
 * synchronization. */
static inline mn_status launched(const char *op)
{
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? MN_OK : cuda_failed(op, error);
}

/* --- launches that begin under the end of the one before ----------------------------------------
 *
 * Programmatic dependent launch (sm_90, CUDA C++ Programming Guide): between two small kernels lie
 * a microsecond or two in which nothing runs. A kernel launched by launch_early may be resident
 * while the one before still runs; it calls join_stream() before it touches anything that earlier
 * launches write or read, and reads what they wrote through pointers that are not __restrict__: the
 * read-only path may hold what stood there before. Behind a kernel that does not call it, it begins
 * when that one has ended. */

__device__ __forceinline__ void join_stream()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

template <typename... Parameters, typename... Arguments>
static inline mn_status launch_early(const char *op, void (*kernel)(Parameters...), dim3 grid,
                                     int threads, size_t shared, mn_stream s,
                                     Arguments... arguments)
{
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared;
    config.stream = s->stream;
    config.attrs = &early;
    config.numAttrs = s->hopper ? 1 : 0;
    cudaError_t error = cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
    return error == cudaSuccess ? MN_OK : cuda_failed(op, error);
}

static inline int ceil_div(int64_t a, int64_t b)
{
    return (int)((a + b - 1) / b);
}

/* Rows of `dim` elements with stride `ld` may be accessed sixteen bytes at a time. */
static inline bool is_wide(const void *p, int64_t dim, int64_t ld)
{
    return dim % VECTOR == 0 && ld % VECTOR == 0 && (uintptr_t)p % 16 == 0;
}

/* --- vectors of eight ---------------------------------------------------------------------------
 */

__device__ __forceinline__ void unpack8(float (&v)[VECTOR], uint4 raw)
{
    const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) { /* bf16 is the upper half of fp32 */
        v[2 * i] = __uint_as_float(word[i] << 16);
        v[2 * i + 1] = __uint_as_float(word[i] & 0xffff0000u);
    }
}

__device__ __forceinline__ uint32_t pack2(float low, float high)
{
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t *>(&pair);
}

__device__ __forceinline__ uint4 pack8(const float (&v)[VECTOR])
{
    return make_uint4(pack2(v[0], v[1]), pack2(v[2], v[3]), pack2(v[4], v[5]), pack2(v[6], v[7]));
}

__device__ __forceinline__ float round_bf16(float v)
{
    return __bfloat162float(__float2bfloat16_rn(v));
}

/* The bits of p[0 … 7]; those at or past `left` are zero. wide implies left >= 8. */
__device__ __forceinline__ uint4 load8_raw(const __nv_bfloat16 *p, int64_t left, bool wide)
{
    if (wide) return *reinterpret_cast<const uint4 *>(p);
    const uint16_t *bits = reinterpret_cast<const uint16_t *>(p);
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t low = 2 * i < left ? bits[2 * i] : 0u,
                 high = 2 * i + 1 < left ? bits[2 * i + 1] : 0u;
        word[i] = low | high << 16;
    }
    return make_uint4(word[0], word[1], word[2], word[3]);
}

__device__ __forceinline__ void load8(float (&v)[VECTOR], const __nv_bfloat16 *p, int64_t left,
                                      bool wide)
{
    unpack8(v, load8_raw(p, left, wide));
}

__device__ __forceinline__ void store8(__nv_bfloat16 *p, const float (&v)[VECTOR], int64_t left,
                                       bool wide)
{
    if (wide) { /* as one instruction: left to itself the compiler has made four of it */
        __stwb(reinterpret_cast<uint4 *>(p), pack8(v));
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; i++)
        if (i < left) p[i] = __float2bfloat16_rn(v[i]);
}

/* --- reductions in a fixed order
 * ------------------------------------------------------------------ */

__device__ __forceinline__ float warp_sum(float v)
{
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) v += __shfl_xor_sync(~0u, v, mask);
    return v;
}

/* The sum over the block in every thread. blockDim.x is a multiple of 32. `shared` (32) may be used
 * again at once: the first barrier keeps a late reader of the previous sum ahead of this one's
 * writers. */
__device__ __forceinline__ float block_sum(float v, float *shared)
{
    v = warp_sum(v);
    __syncthreads();
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = v;
    __syncthreads();
    v = threadIdx.x % WARP < blockDim.x / WARP ? shared[threadIdx.x % WARP] : 0.0f;
    return warp_sum(v);
}

#endif
