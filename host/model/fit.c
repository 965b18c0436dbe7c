/* fit.c: whether a model fits its device, asked before anything is loaded. */
#include "minuano/log.h"
#include "internal.h"

mn_status mn_model_fit(mn_device *device, const struct mn_model_config *config,
                       struct mn_model_options *options, size_t beside)
{
    struct mn_model_options packed = *options;
    size_t free_bytes, total_bytes, needed = mn_model_bytes(device, config, options) + beside;
    MN_TRY(device->calls->memory(device, &free_bytes, &total_bytes));
    if (needed <= free_bytes) return MN_OK;
    packed.keep_packed = true;
    if (options->quantization != MN_QUANTIZE_NONE && !options->keep_packed &&
        mn_model_bytes(device, config, &packed) + beside <= free_bytes) {
        mn_info("model: NF4 weights stay packed: expanded the run would need %.2f GB, %.2f GB are "
                "free",
                1e-9 * (double)needed, 1e-9 * (double)free_bytes);
        *options = packed;
        return MN_OK;
    }
    return mn_fail(MN_NO_MEMORY,
                   "%s: the run needs %.2f GB, %.2f GB of them for weights; %.2f GB are free",
                   device->name, 1e-9 * (double)needed, 1e-9 * (double)(needed - beside),
                   1e-9 * (double)free_bytes);
}
