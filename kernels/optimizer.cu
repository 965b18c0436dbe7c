/* optimizer.cu: the gradient's norm in a fixed order, and AdamW. */
#include "common.cuh"

enum { OPTIMIZER_THREADS = 256, NORM_BLOCKS = 512 };

__device__ __forceinline__ double block_sum_f64(double v, double *shared)
{
#pragma unroll
    for (int mask = WARP / 2; mask > 0; mask /= 2) v += __shfl_xor_sync(~0u, v, mask);
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = v;
    __syncthreads();
    v = 0.0;
    for (int warp = 0; warp < (int)blockDim.x / WARP; warp++) v += shared[warp];
    return v;
}

/* Block b sums every NORM_BLOCKS-th stretch: the order depends on count alone. */
static __global__ void sum_squares_kernel(double *__restrict__ partial, const float *__restrict__ x,
                                          int64_t count)
{
    __shared__ double shared[WARP];
    double sum = 0.0;
    for (int64_t i = (int64_t)blockIdx.x * OPTIMIZER_THREADS + threadIdx.x; i < count;
         i += (int64_t)NORM_BLOCKS * OPTIMIZER_THREADS)
        sum += (double)x[i] * x[i];
    sum = block_sum_f64(sum, shared);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

static __global__ void sum_partials_kernel(double *__restrict__ out,
                                           const double *__restrict__ partial)
{
    __shared__ double shared[WARP];
    double sum = 0.0;
    for (int i = threadIdx.x; i < NORM_BLOCKS; i += OPTIMIZER_THREADS) sum += partial[i];
    sum = block_sum_f64(sum, shared);
    if (threadIdx.x == 0) *out = sum;
}

extern "C" size_t mn_cuda_sum_squares_workspace(int64_t count)
{
    (void)count;
    return NORM_BLOCKS * sizeof(double);
}

extern "C" mn_status mn_cuda_sum_squares(double *out, const float *x, int64_t count,
                                         void *workspace, mn_stream s)
{
    double *partial = static_cast<double *>(workspace);
    sum_squares_kernel<<<NORM_BLOCKS, OPTIMIZER_THREADS, 0, s->stream>>>(partial, x, count);
    sum_partials_kernel<<<1, OPTIMIZER_THREADS, 0, s->stream>>>(out, partial);
    return launched("sum_squares");
}

/* The scalars of a step, so that the kernel does no double arithmetic but the clipping factor's. */
struct adamw_step {
    float decay, beta1, beta2, epsilon, step_size, root_correction, max_norm;
};

static __global__ void adamw_kernel(float *__restrict__ master, float *__restrict__ m,
                                    float *__restrict__ v, __nv_bfloat16 *__restrict__ shadow,
                                    const float *__restrict__ gradient,
                                    const double *__restrict__ grad_squares, int64_t count,
                                    struct adamw_step step)
{
    int64_t i = (int64_t)blockIdx.x * OPTIMIZER_THREADS + threadIdx.x;
    if (i >= count) return;
    float clip = 1.0f;
    if (step.max_norm > 0.0f) {
        double norm = sqrt(*grad_squares);
        if (norm > step.max_norm) clip = (float)(step.max_norm / (norm + 1e-6));
    }
    float g = gradient[i] * clip;
    float mi = step.beta1 * m[i] + (1.0f - step.beta1) * g;
    float vi = step.beta2 * v[i] + (1.0f - step.beta2) * g * g;
    float value = master[i] * step.decay;
    value -= step.step_size * mi / (sqrtf(vi) / step.root_correction + step.epsilon);
    m[i] = mi;
    v[i] = vi;
    master[i] = value;
    shadow[i] = __float2bfloat16_rn(value);
}

extern "C" mn_status mn_cuda_adamw(const struct mn_adamw *args, mn_stream s)
{
    MN_TRY(mn_check_adamw(args));
    if (args->count == 0) return MN_OK;
    struct adamw_step step = {
        .decay = 1.0f - args->lr * args->weight_decay,
        .beta1 = args->beta1,
        .beta2 = args->beta2,
        .epsilon = args->epsilon,
        .step_size = (float)(args->lr / (1.0 - pow((double)args->beta1, (double)args->step))),
        .root_correction = (float)sqrt(1.0 - pow((double)args->beta2, (double)args->step)),
        .max_norm = args->max_norm,
    };
    adamw_kernel<<<ceil_div(args->count, OPTIMIZER_THREADS), OPTIMIZER_THREADS, 0, s->stream>>>(
        args->master, args->m, args->v, bf16(args->shadow), args->gradient, args->grad_squares,
        args->count, step);
    return launched("adamw");
}
