/* table.cu: the CUDA device's ops. */
#include "minuano/ops.h"

extern "C" const struct mn_ops mn_cuda_ops = {
#define SLOT(slot, type) .slot = mn_cuda_##slot,
    MN_OPS_LIST(SLOT)
#undef SLOT
};
