/* swiglu.cu: silu(gate) * up and its gradient.
 *
 * A thread takes eight columns of one row: gate, up and out are three streams of 16-byte accesses.
 * Forward moves 6 bytes an element of out, backward 10. */
#include "common.cuh"

enum { SWIGLU_THREADS = 256 };

static __global__ void swiglu_forward_kernel(__nv_bfloat16 *__restrict__ out,
                                             const __nv_bfloat16 *gate_up, int dim, bool wide)
{
    join_stream();
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * VECTOR;
    if (c >= dim) return;
    int64_t row = blockIdx.x;
    float gate[VECTOR], up[VECTOR];
    load8(gate, gate_up + row * 2 * dim + c, dim - c, wide);
    load8(up, gate_up + row * 2 * dim + dim + c, dim - c, wide);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) up[i] *= gate[i] / (1.0f + __expf(-gate[i]));
    store8(out + row * dim + c, up, dim - c, wide);
}

extern "C" mn_status mn_cuda_swiglu_forward(mn_act *out, const mn_act *gate_up, int rows, int dim,
                                            mn_stream s)
{
    MN_TRY(mn_check_rows("swiglu_forward", rows, dim, dim));
    if (rows == 0) return MN_OK;
    dim3 grid(rows, ceil_div(dim, SWIGLU_THREADS * VECTOR));
    return launch_early("swiglu_forward", swiglu_forward_kernel, grid, SWIGLU_THREADS, 0, s,
                        bf16(out), bf16(gate_up), dim,
                        is_wide(out, dim, dim) && is_wide(gate_up, dim, dim));
}

/* dgate_up may be gate_up: a thread reads what it overwrites, and nothing else. */
static __global__ void swiglu_backward_kernel(__nv_bfloat16 *dgate_up,
                                              const __nv_bfloat16 *__restrict__ dout,
                                              const __nv_bfloat16 *gate_up, int dim, bool wide)
{
    int c = (blockIdx.y * blockDim.x + threadIdx.x) * VECTOR;
    if (c >= dim) return;
    int64_t row = blockIdx.x;
    float gate[VECTOR], up[VECTOR], d[VECTOR];
    load8(gate, gate_up + row * 2 * dim + c, dim - c, wide);
    load8(up, gate_up + row * 2 * dim + dim + c, dim - c, wide);
    load8(d, dout + row * dim + c, dim - c, wide);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
        float g = gate[i], sigmoid = 1.0f / (1.0f + __expf(-g));
        gate[i] = d[i] * up[i] * sigmoid * (1.0f + g * (1.0f - sigmoid));
        up[i] = d[i] * g * sigmoid;
    }
    store8(dgate_up + row * 2 * dim + c, gate, dim - c, wide);
    store8(dgate_up + row * 2 * dim + dim + c, up, dim - c, wide);
}

extern "C" mn_status mn_cuda_swiglu_backward(mn_act *dgate_up, const mn_act *dout,
                                             const mn_act *gate_up, int rows, int dim, mn_stream s)
{
    MN_TRY(mn_check_rows("swiglu_backward", rows, dim, dim));
    if (rows == 0) return MN_OK;
    dim3 grid(rows, ceil_div(dim, SWIGLU_THREADS * VECTOR));
    bool wide =
        is_wide(dgate_up, dim, dim) && is_wide(dout, dim, dim) && is_wide(gate_up, dim, dim);
    swiglu_backward_kernel<<<grid, SWIGLU_THREADS, 0, s->stream>>>(bf16(dgate_up), bf16(dout),
                                                                   bf16(gate_up), dim, wide);
    return launched("swiglu_backward");
}
