/* nf4.cu: NormalFloat-4 in blocks of 64, bit for bit as the reference and bitsandbytes.
 *
 * A warp quantizes a block of 64, two values a lane, so that absmax is a shuffle and a lane writes
 * one byte. Dequantizing, a thread expands four bytes to one 16-byte store: 2.56 bytes an element.
 */
#include "common.cuh"
#include "minuano/nf4.h"

enum { NF4_THREADS = 256, NF4_BLOCK = 64 };

static __constant__ float code_book[16] = {MN_NF4_CODES};
static __constant__ float midpoint[15] = {MN_NF4_MIDPOINTS};

/* A NaN is above no midpoint: code 0. */
__device__ __forceinline__ uint32_t nearest(float x)
{
    uint32_t code = 0;
#pragma unroll
    for (int i = 0; i < 15; i++) code += x > midpoint[i];
    return code;
}

static __global__ void nf4_quantize_kernel(uint8_t *__restrict__ codes, float *__restrict__ absmax,
                                           const __nv_bfloat16 *__restrict__ in, int64_t blocks)
{
    int64_t block = ((int64_t)blockIdx.x * NF4_THREADS + threadIdx.x) / WARP;
    if (block >= blocks) return; /* whole warps leave together */
    int lane = threadIdx.x % WARP;
    const __nv_bfloat16 *x = in + block * NF4_BLOCK + 2 * lane;
    float high = __bfloat162float(x[0]), low = __bfloat162float(x[1]);
    float top = fmaxf(fabsf(high), fabsf(low));
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2)
        top = fmaxf(top, __shfl_xor_sync(~0u, top, mask));
    float inverse = __frcp_rn(top);
    codes[block * NF4_BLOCK / 2 + lane] =
        (uint8_t)(nearest(high * inverse) << 4 | nearest(low * inverse));
    if (lane == 0) absmax[block] = top;
}

extern "C" mn_status mn_cuda_nf4_quantize(uint8_t *codes, float *absmax, const mn_act *in,
                                          int64_t count, mn_stream s)
{
    MN_TRY(mn_check_nf4("nf4_quantize", count));
    if (count == 0) return MN_OK;
    int64_t blocks = count / NF4_BLOCK;
    nf4_quantize_kernel<<<ceil_div(blocks * WARP, NF4_THREADS), NF4_THREADS, 0, s->stream>>>(
        codes, absmax, bf16(in), blocks);
    return launched("nf4_quantize");
}

static __global__ void nf4_dequantize_kernel(__nv_bfloat16 *__restrict__ out,
                                             const uint8_t *__restrict__ codes,
                                             const float *__restrict__ absmax, int64_t count,
                                             bool wide)
{
    __shared__ float book[16]; /* lanes look up different codes: constant memory would take turns */
    if (threadIdx.x < 16) book[threadIdx.x] = code_book[threadIdx.x];
    __syncthreads();
    int64_t c = ((int64_t)blockIdx.x * NF4_THREADS + threadIdx.x) * VECTOR;
    if (c >= count) return;
    uint32_t byte[4];
    if (wide) {
        uint32_t four = *reinterpret_cast<const uint32_t *>(codes + c / 2);
#pragma unroll
        for (int i = 0; i < 4; i++) byte[i] = four >> (8 * i) & 255;
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) byte[i] = codes[c / 2 + i];
    }
    float scale = absmax[c / NF4_BLOCK], v[VECTOR];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[2 * i] = book[byte[i] >> 4] * scale;
        v[2 * i + 1] = book[byte[i] & 15] * scale;
    }
    store8(out + c, v, VECTOR, wide);
}

extern "C" mn_status mn_cuda_nf4_dequantize(mn_act *out, const uint8_t *codes, const float *absmax,
                                            int64_t count, mn_stream s)
{
    MN_TRY(mn_check_nf4("nf4_dequantize", count));
    if (count == 0) return MN_OK;
    bool wide = (uintptr_t)out % 16 == 0 && (uintptr_t)codes % 4 == 0;
    nf4_dequantize_kernel<<<ceil_div(count, NF4_THREADS * VECTOR), NF4_THREADS, 0, s->stream>>>(
        bf16(out), codes, absmax, count, wide);
    return launched("nf4_dequantize");
}
