/* device.c: the one place where a device is chosen. */
#include "command.h"
#include "minuano/log.h"

mn_status choose_device(const struct common_settings *common, mn_device **out)
{
#ifdef MN_WITH_CUDA
    if (common->device != DEVICE_REFERENCE) {
        mn_status st = mn_cuda_device_open(out, (int)common->device_index);
        if (st == MN_OK || common->device == DEVICE_CUDA) return st;
        mn_debug("no CUDA device: %s", mn_error());
    }
#else
    if (common->device == DEVICE_CUDA)
        return mn_fail(
            MN_UNSUPPORTED,
            "--device cuda: this build has no CUDA device: it was built without a CUDA toolkit");
#endif
    return mn_reference_device_open(out, (int)common->threads);
}

mn_status open_device(const struct invocation *call, mn_device **out)
{
    MN_TRY(choose_device(&call->common, out));
    mn_info("device: %s%s", (*out)->name,
            call->common.device == DEVICE_AUTO ? " (--device auto)" : "");
    return MN_OK;
}
