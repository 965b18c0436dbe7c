/* hopper.cu: tensor maps, through the driver's entry point, so that libcuda need not be linked. */
#include "hopper.cuh"

#include <cudaTypedefs.h>

namespace
{

mn_status find_encode(PFN_cuTensorMapEncodeTiled_v12000 *out, const char *op)
{
    void *entry = NULL;
    cudaDriverEntryPointQueryResult found;
    cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000,
                                                         cudaEnableDefault, &found);
    if (error != cudaSuccess || found != cudaDriverEntryPointSuccess)
        return mn_fail(MN_DEVICE, "CUDA: %s: the driver has no cuTensorMapEncodeTiled", op);
    *out = (PFN_cuTensorMapEncodeTiled_v12000)entry;
    return MN_OK;
}

mn_status encoded(const char *op, CUresult result)
{
    return result == CUDA_SUCCESS
               ? MN_OK
               : mn_fail(MN_DEVICE, "CUDA: %s: cuTensorMapEncodeTiled: error %d", op, (int)result);
}

} // namespace

mn_status make_tensor_map(CUtensorMap *out, const char *op, const __nv_bfloat16 *base, int64_t rows,
                          int heads, int columns, int64_t ld, int box_rows, int box_heads)
{
    PFN_cuTensorMapEncodeTiled_v12000 encode = NULL;
    MN_TRY(find_encode(&encode, op));
    const cuuint64_t sizes[3] = {(cuuint64_t)columns, (cuuint64_t)heads, (cuuint64_t)rows};
    const cuuint64_t strides[2] = {(cuuint64_t)columns * 2, (cuuint64_t)ld * 2}; /* bytes */
    const cuuint32_t box[3] = {PANEL, (cuuint32_t)box_heads, (cuuint32_t)box_rows},
                     steps[3] = {1, 1, 1};
    return encoded(op,
                   encode(out, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, (void *)base, sizes, strides,
                          box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                          CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
}

mn_status make_row_map(CUtensorMap *out, const char *op, const float *base, int64_t width, int rows,
                       int64_t ld, int box_width, int box_rows)
{
    PFN_cuTensorMapEncodeTiled_v12000 encode = NULL;
    MN_TRY(find_encode(&encode, op));
    const cuuint64_t sizes[2] = {(cuuint64_t)width, (cuuint64_t)rows};
    const cuuint64_t strides[1] = {(cuuint64_t)ld * sizeof *base};
    const cuuint32_t box[2] = {(cuuint32_t)box_width, (cuuint32_t)box_rows}, steps[2] = {1, 1};
    return encoded(op,
                   encode(out, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2, (void *)base, sizes, strides,
                          box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                          CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
}
