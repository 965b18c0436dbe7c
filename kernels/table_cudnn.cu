/* table_cudnn.cu: the CUDA device's ops with attention by cuDNN. */
#include "minuano/ops.h"

#define mn_cuda_attention_forward_workspace mn_cudnn_attention_forward_workspace
#define mn_cuda_attention_forward mn_cudnn_attention_forward
#define mn_cuda_attention_backward_workspace mn_cudnn_attention_backward_workspace
#define mn_cuda_attention_backward mn_cudnn_attention_backward

extern "C" const struct mn_ops mn_cuda_cudnn_ops = {
#define SLOT(slot, type) .slot = mn_cuda_##slot,
    MN_OPS_LIST(SLOT)
#undef SLOT
};
