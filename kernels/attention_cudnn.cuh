/* attention_cudnn.cuh: cuDNN's side of a device. */
#ifndef MINUANO_KERNELS_ATTENTION_CUDNN_CUH
#define MINUANO_KERNELS_ATTENTION_CUDNN_CUH

#include "common.cuh"

void attention_library_close(struct attention_library **library);

#endif
