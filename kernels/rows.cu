/* rows.cu: rows copied by index: embedding, gather, scatter. One block a row, 4 bytes moved an
 * element. */
#include "common.cuh"

enum { COPY_THREADS = 256 };

__device__ __forceinline__ void copy_row(__nv_bfloat16 *to, const __nv_bfloat16 *from, int dim,
                                         bool wide)
{
    int step = wide ? VECTOR : 1;
    for (int c = threadIdx.x * step; c < dim; c += blockDim.x * step) {
        if (wide)
            *reinterpret_cast<uint4 *>(to + c) = *reinterpret_cast<const uint4 *>(from + c);
        else
            to[c] = from[c];
    }
}

static __global__ void gather_rows_kernel(__nv_bfloat16 *__restrict__ out, const __nv_bfloat16 *x,
                                          const int32_t *__restrict__ index, int dim, bool wide)
{
    join_stream();
    copy_row(out + (int64_t)blockIdx.x * dim, x + (int64_t)index[blockIdx.x] * dim, dim, wide);
}

static mn_status gather(const char *op, mn_act *out, const mn_act *x, const int32_t *index,
                        int rows, int dim, mn_stream s)
{
    MN_TRY(mn_check_rows(op, rows, dim, dim));
    if (rows == 0) return MN_OK;
    return launch_early(op, gather_rows_kernel, rows, COPY_THREADS, 0, s, bf16(out), bf16(x), index,
                        dim, is_wide(out, dim, dim) && is_wide(x, dim, dim));
}

extern "C" mn_status mn_cuda_embed_forward(mn_act *out, const mn_act *table, const int32_t *ids,
                                           int rows, int dim, int vocab, mn_stream s)
{
    MN_TRY(mn_check_vocab("embed_forward", rows, vocab));
    return gather("embed_forward", out, table, ids, rows, dim, s);
}

extern "C" mn_status mn_cuda_gather_rows(mn_act *out, const mn_act *x, const int32_t *index,
                                         int rows, int dim, mn_stream s)
{
    return gather("gather_rows", out, x, index, rows, dim, s);
}

static __global__ void scatter_rows_kernel(__nv_bfloat16 *__restrict__ out,
                                           const __nv_bfloat16 *__restrict__ x,
                                           const int32_t *__restrict__ index, int dim, bool wide)
{
    copy_row(out + (int64_t)index[blockIdx.x] * dim, x + (int64_t)blockIdx.x * dim, dim, wide);
}

extern "C" mn_status mn_cuda_scatter_rows(mn_act *out, const mn_act *x, const int32_t *index,
                                          int rows, int out_rows, int dim, mn_stream s)
{
    MN_TRY(mn_check_rows("scatter_rows", rows, dim, dim));
    if (out_rows == 0) return MN_OK;
    cudaError_t error =
        cudaMemsetAsync(out, 0, (size_t)out_rows * dim * sizeof(__nv_bfloat16), s->stream);
    if (error != cudaSuccess) return cuda_failed("scatter_rows", error);
    if (rows == 0) return MN_OK;
    scatter_rows_kernel<<<rows, COPY_THREADS, 0, s->stream>>>(
        bf16(out), bf16(x), index, dim, is_wide(out, dim, dim) && is_wide(x, dim, dim));
    return launched("scatter_rows");
}
