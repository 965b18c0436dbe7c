/* rope.cu: rotary embedding in place.
 *
 * A thread rotates eight pairs (i, i + head_dim/2): 64 bytes moved for 64 bytes of table, which
 * neighbouring heads of the row find in L1. DRAM traffic is 4 bytes an element. */
#include "common.cuh"

enum { ROPE_THREADS = 256 };

static __global__ void rope_kernel(__nv_bfloat16 *__restrict__ x, const float *__restrict__ table,
                                   const int32_t *__restrict__ positions, int64_t work, int chunks,
                                   int heads, int half, int64_t ldx, float direction, bool wide)
{
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    join_stream();
    if (i >= work) return;
    int c = (int)(i % chunks) * VECTOR;
    int64_t head = i / chunks % heads, row = i / chunks / heads;
    const float *cosine = table + (int64_t)positions[row] * 2 * half + c, *sine = cosine + half;
    __nv_bfloat16 *low = x + row * ldx + head * 2 * half + c, *high = low + half;
    float a[VECTOR], b[VECTOR];
    load8(a, low, half - c, wide);
    load8(b, high, half - c, wide);
#pragma unroll
    for (int j = 0; j < VECTOR; j++) {
        if (c + j >= half) break;
        float cj = cosine[j], sj = direction * sine[j], aj = a[j];
        a[j] = aj * cj - b[j] * sj;
        b[j] = b[j] * cj + aj * sj;
    }
    store8(low, a, half - c, wide);
    store8(high, b, half - c, wide);
}

extern "C" mn_status mn_cuda_rope(mn_act *x, const float *table, const int32_t *positions, int rows,
                                  int heads, int head_dim, int64_t ldx, int direction, mn_stream s)
{
    MN_TRY(mn_check_rope(rows, heads, head_dim, ldx, direction));
    if (rows == 0) return MN_OK;
    int half = head_dim / 2, chunks = ceil_div(half, VECTOR);
    int64_t work = (int64_t)rows * heads * chunks;
    return launch_early("rope", rope_kernel, ceil_div(work, ROPE_THREADS), ROPE_THREADS, 0, s,
                        bf16(x), table, positions, work, chunks, heads, half, ldx, (float)direction,
                        is_wide(x, half, ldx));
}
