/* device.c: the one place where a device is chosen, and whose attention it has. */
#include "command.h"
#include "minuano/log.h"

static mn_status choose_device(const struct common_settings *common, mn_device **out)
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

/* What is asked for by name is there or is an error; what cuDNN cannot do is said at the start. */
static mn_status choose_attention(mn_device *device)
{
#ifdef MN_WITH_CUDNN
    const int version = mn_cuda_cudnn_version();
    if (device->kind != MN_DEVICE_CUDA)
        return mn_fail(MN_UNSUPPORTED, "--attention cudnn: expected a GPU, found %s", device->name);
    if (version < MN_CUDNN_PACKED)
        return mn_fail(MN_UNSUPPORTED,
                       "--attention cudnn: expected cuDNN %d or later, for packed sequences with "
                       "grouped heads, found %d",
                       (int)MN_CUDNN_PACKED, version);
    MN_TRY(mn_cuda_cudnn_open(device, &device->ops));
    device->attention = "cudnn";
    mn_info(
        "attention: cuDNN %d.%d.%d, forward and backward; shared prefixes and decoding, which it "
        "lacks, by our own kernels; gradients may differ in their last bits from run to run",
        version / 10000, version / 100 % 100, version % 100);
    return MN_OK;
#else
    return mn_fail(MN_UNSUPPORTED, "--attention cudnn: this build has no cuDNN (found %s)",
                   device->name);
#endif
}

mn_status open_device(const struct invocation *call, mn_device **out)
{
    mn_device *device = NULL;
    MN_TRY(choose_device(&call->common, &device));
    mn_info("device: %s%s", device->name,
            call->common.device == DEVICE_AUTO ? " (--device auto)" : "");
    if (call->common.attention == ATTENTION_CUDNN) {
        mn_status st = choose_attention(device);
        if (st != MN_OK) {
            mn_device_close(&device);
            return st;
        }
    }
    *out = device;
    return MN_OK;
}
