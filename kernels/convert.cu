/* convert.cu: between the types of files and activations, and random weights drawn in place. Eight
 * elements a thread; the work is the memory's. */
#include <cuda_fp16.h>

#include "common.cuh"
#include "minuano/random.h"

enum { CONVERT_THREADS = 256 };

__device__ __forceinline__ float to_float(float v)
{
    return v;
}
__device__ __forceinline__ float to_float(__half v)
{
    return __half2float(v);
}
__device__ __forceinline__ float to_float(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}
__device__ __forceinline__ void from_float(float *out, float v)
{
    *out = v;
}
__device__ __forceinline__ void from_float(__half *out, float v)
{
    *out = __float2half_rn(v);
}

/* `in` comes from a file: its address keeps the type's own alignment and no more. */
template <typename From>
static __global__ void load_convert_kernel(__nv_bfloat16 *__restrict__ out,
                                           const From *__restrict__ in, int64_t count, bool wide)
{
    int64_t c = ((int64_t)blockIdx.x * CONVERT_THREADS + threadIdx.x) * VECTOR;
    if (c >= count) return;
    float v[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; i++) v[i] = c + i < count ? to_float(in[c + i]) : 0.0f;
    store8(out + c, v, count - c, wide && c + VECTOR <= count);
}

template <typename To>
static __global__ void store_convert_kernel(To *__restrict__ out,
                                            const __nv_bfloat16 *__restrict__ in, int64_t count,
                                            bool wide)
{
    int64_t c = ((int64_t)blockIdx.x * CONVERT_THREADS + threadIdx.x) * VECTOR;
    if (c >= count) return;
    float v[VECTOR];
    load8(v, in + c, count - c, wide && c + VECTOR <= count);
#pragma unroll
    for (int i = 0; i < VECTOR; i++)
        if (c + i < count) from_float(out + c + i, v[i]);
}

static int convert_blocks(int64_t count)
{
    return ceil_div(count, CONVERT_THREADS * VECTOR);
}

static mn_status copy_bf16(const char *op, void *out, const void *in, int64_t count, mn_stream s)
{
    cudaError_t error = cudaMemcpyAsync(out, in, (size_t)count * sizeof(__nv_bfloat16),
                                        cudaMemcpyDeviceToDevice, s->stream);
    return error == cudaSuccess ? MN_OK : cuda_failed(op, error);
}

extern "C" mn_status mn_cuda_load_convert(mn_act *out, const void *in, enum mn_dtype type,
                                          int64_t count, mn_stream s)
{
    if (count == 0) return MN_OK;
    bool wide = (uintptr_t)out % 16 == 0;
    switch (type) {
    case MN_F32:
        load_convert_kernel<<<convert_blocks(count), CONVERT_THREADS, 0, s->stream>>>(
            bf16(out), static_cast<const float *>(in), count, wide);
        break;
    case MN_F16:
        load_convert_kernel<<<convert_blocks(count), CONVERT_THREADS, 0, s->stream>>>(
            bf16(out), static_cast<const __half *>(in), count, wide);
        break;
    case MN_BF16: return copy_bf16("load_convert", out, in, count, s);
    }
    return launched("load_convert");
}

extern "C" mn_status mn_cuda_store_convert(void *out, enum mn_dtype type, const mn_act *in,
                                           int64_t count, mn_stream s)
{
    if (count == 0) return MN_OK;
    bool wide = (uintptr_t)in % 16 == 0;
    switch (type) {
    case MN_F32:
        store_convert_kernel<<<convert_blocks(count), CONVERT_THREADS, 0, s->stream>>>(
            static_cast<float *>(out), bf16(in), count, wide);
        break;
    case MN_F16:
        store_convert_kernel<<<convert_blocks(count), CONVERT_THREADS, 0, s->stream>>>(
            static_cast<__half *>(out), bf16(in), count, wide);
        break;
    case MN_BF16: return copy_bf16("store_convert", out, in, count, s);
    }
    return launched("store_convert");
}

static __global__ void random_normal_kernel(__nv_bfloat16 *__restrict__ out, uint64_t seed,
                                            uint64_t stream, uint64_t first, int64_t count,
                                            float scale, bool wide)
{
    int64_t c = ((int64_t)blockIdx.x * CONVERT_THREADS + threadIdx.x) * VECTOR;
    if (c >= count) return;
    float v[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; i++)
        v[i] = scale * mn_random_normal(seed, stream, first + (uint64_t)(c + i));
    store8(out + c, v, count - c, wide && c + VECTOR <= count);
}

extern "C" mn_status mn_cuda_random_normal(mn_act *out, uint64_t seed, uint64_t stream,
                                           uint64_t first, int64_t count, float scale, mn_stream s)
{
    if (count == 0) return MN_OK;
    random_normal_kernel<<<convert_blocks(count), CONVERT_THREADS, 0, s->stream>>>(
        bf16(out), seed, stream, first, count, scale, (uintptr_t)out % 16 == 0);
    return launched("random_normal");
}
