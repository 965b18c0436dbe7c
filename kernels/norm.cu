/* norm.cu: RMSNorm, alone, after a residual addition, and backward.
 *
 * One block a row; a thread holds at most two vectors of eight, so that a row is read from memory
 * once: forward moves 4 bytes an element, forward with the addition 8, backward 8. x/rms is rounded
 * to bf16 before the weight, as transformers does. */
#include "common.cuh"

enum { HELD = 2, ROW_MAX = 1024 * HELD * VECTOR };

static int row_threads(int dim)
{
    int threads = 64;
    while (threads < 1024 && threads * HELD * VECTOR < dim) threads *= 2;
    return threads;
}

static mn_status check_norm(const char *op, int rows, int dim, int64_t ld)
{
    MN_TRY(mn_check_rows(op, rows, dim, ld));
    if (dim > ROW_MAX)
        return mn_fail(MN_UNSUPPORTED, "%s on CUDA: rows of at most %d elements, found %d", op,
                       (int)ROW_MAX, dim);
    return MN_OK;
}

/* Writes the row's norm from the sums held by the threads. */
__device__ __forceinline__ void normalize(__nv_bfloat16 *out, float *rstd,
                                          float (&held)[HELD][VECTOR], float squares,
                                          const __nv_bfloat16 *w, int dim, float eps, bool wide,
                                          float *shared)
{
    float r = rsqrtf(block_sum(squares, shared) / (float)dim + eps);
    if (rstd && threadIdx.x == 0) *rstd = r;
#pragma unroll
    for (int h = 0; h < HELD; h++) {
        int c = (h * blockDim.x + threadIdx.x) * VECTOR;
        if (c >= dim) break;
        float weight[VECTOR];
        load8(weight, w + c, dim - c, wide);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) held[h][i] = round_bf16(held[h][i] * r) * weight[i];
        store8(out + c, held[h], dim - c, wide);
    }
}

static __global__ void rmsnorm_forward_kernel(__nv_bfloat16 *__restrict__ out,
                                              float *__restrict__ rstd, const __nv_bfloat16 *x,
                                              const __nv_bfloat16 *__restrict__ w, int dim,
                                              int64_t ldx, float eps, bool wide)
{
    __shared__ float shared[WARP];
    float held[HELD][VECTOR], squares = 0.0f;
    join_stream();
    x += blockIdx.x * ldx;
#pragma unroll
    for (int h = 0; h < HELD; h++) {
        int c = (h * blockDim.x + threadIdx.x) * VECTOR;
        if (c >= dim) break;
        load8(held[h], x + c, dim - c, wide);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) squares += held[h][i] * held[h][i];
    }
    normalize(out + (int64_t)blockIdx.x * dim, rstd ? rstd + blockIdx.x : nullptr, held, squares, w,
              dim, eps, wide, shared);
}

extern "C" mn_status mn_cuda_rmsnorm_forward(mn_act *out, float *rstd, const mn_act *x,
                                             const mn_act *w, int rows, int dim, int64_t ldx,
                                             float eps, mn_stream s)
{
    MN_TRY(check_norm("rmsnorm_forward", rows, dim, ldx));
    if (rows == 0) return MN_OK;
    bool wide = is_wide(x, dim, ldx) && is_wide(out, dim, dim) && is_wide(w, dim, dim);
    return launch_early("rmsnorm_forward", rmsnorm_forward_kernel, rows, row_threads(dim), 0, s,
                        bf16(out), rstd, bf16(x), bf16(w), dim, ldx, eps, wide);
}

/* The sum is rounded to bf16 first: the norm sees what the next layer will read. sum may be x. */
static __global__ void add_rmsnorm_forward_kernel(__nv_bfloat16 *__restrict__ out,
                                                  __nv_bfloat16 *sum, float *__restrict__ rstd,
                                                  const __nv_bfloat16 *x, const __nv_bfloat16 *y,
                                                  const __nv_bfloat16 *__restrict__ w, int dim,
                                                  float eps, bool wide)
{
    __shared__ float shared[WARP];
    float held[HELD][VECTOR], squares = 0.0f;
    int64_t row = (int64_t)blockIdx.x * dim;
    join_stream();
#pragma unroll
    for (int h = 0; h < HELD; h++) {
        int c = (h * blockDim.x + threadIdx.x) * VECTOR;
        if (c >= dim) break;
        float added[VECTOR];
        load8(held[h], x + row + c, dim - c, wide);
        load8(added, y + row + c, dim - c, wide);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            held[h][i] = round_bf16(held[h][i] + added[i]);
            squares += held[h][i] * held[h][i];
        }
        store8(sum + row + c, held[h], dim - c, wide);
    }
    normalize(out + row, rstd ? rstd + blockIdx.x : nullptr, held, squares, w, dim, eps, wide,
              shared);
}

extern "C" mn_status mn_cuda_add_rmsnorm_forward(mn_act *out, mn_act *sum, float *rstd,
                                                 const mn_act *x, const mn_act *y, const mn_act *w,
                                                 int rows, int dim, float eps, mn_stream s)
{
    MN_TRY(check_norm("add_rmsnorm_forward", rows, dim, dim));
    if (rows == 0) return MN_OK;
    bool wide = is_wide(out, dim, dim) && is_wide(sum, dim, dim) && is_wide(x, dim, dim) &&
                is_wide(y, dim, dim) && is_wide(w, dim, dim);
    return launch_early("add_rmsnorm_forward", add_rmsnorm_forward_kernel, rows, row_threads(dim),
                        0, s, bf16(out), bf16(sum), rstd, bf16(x), bf16(y), bf16(w), dim, eps,
                        wide);
}

/* With n = x·rstd and g = w∘dout: dx = dresidual + rstd·(g - n·mean(g∘n)). dresidual may be dx. */
static __global__ void
rmsnorm_backward_kernel(__nv_bfloat16 *dx, const __nv_bfloat16 *__restrict__ dout,
                        const __nv_bfloat16 *dresidual, const __nv_bfloat16 *__restrict__ x,
                        const float *__restrict__ rstd, const __nv_bfloat16 *__restrict__ w,
                        int dim, bool wide)
{
    __shared__ float shared[WARP];
    float n[HELD][VECTOR], g[HELD][VECTOR], dot = 0.0f, r = rstd[blockIdx.x];
    int64_t row = (int64_t)blockIdx.x * dim;
#pragma unroll
    for (int h = 0; h < HELD; h++) {
        int c = (h * blockDim.x + threadIdx.x) * VECTOR;
        if (c >= dim) break;
        float weight[VECTOR];
        load8(n[h], x + row + c, dim - c, wide);
        load8(g[h], dout + row + c, dim - c, wide);
        load8(weight, w + c, dim - c, wide);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) {
            n[h][i] *= r;
            g[h][i] *= weight[i];
            dot += n[h][i] * g[h][i];
        }
    }
    dot = block_sum(dot, shared) / (float)dim;
#pragma unroll
    for (int h = 0; h < HELD; h++) {
        int c = (h * blockDim.x + threadIdx.x) * VECTOR;
        if (c >= dim) break;
        float residual[VECTOR] = {};
        if (dresidual) load8(residual, dresidual + row + c, dim - c, wide);
#pragma unroll
        for (int i = 0; i < VECTOR; i++) residual[i] += r * (g[h][i] - n[h][i] * dot);
        store8(dx + row + c, residual, dim - c, wide);
    }
}

extern "C" mn_status mn_cuda_rmsnorm_backward(mn_act *dx, const mn_act *dout,
                                              const mn_act *dresidual, const mn_act *x,
                                              const float *rstd, const mn_act *w, int rows, int dim,
                                              mn_stream s)
{
    MN_TRY(check_norm("rmsnorm_backward", rows, dim, dim));
    if (rows == 0) return MN_OK;
    bool wide = is_wide(dx, dim, dim) && is_wide(dout, dim, dim) && is_wide(dresidual, dim, dim) &&
                is_wide(x, dim, dim) && is_wide(w, dim, dim);
    rmsnorm_backward_kernel<<<rows, row_threads(dim), 0, s->stream>>>(
        bf16(dx), bf16(dout), bf16(dresidual), bf16(x), rstd, bf16(w), dim, wide);
    return launched("rmsnorm_backward");
}
