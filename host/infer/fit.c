/* fit.c: whether a model that will answer fits its device, asked before anything is loaded. */
#include "minuano/infer.h"

mn_status mn_infer_fit(mn_device *device, const struct mn_model_config *config,
                       struct mn_model_options *options)
{
    static const struct mn_limits least = {
        .tokens = 2048, .sequences = 8, .logit_rows = 8, .cache_rows = 4096, .decode_length = 4096};
    const struct mn_model_options packed = {options->quantization, .keep_packed = true};
    size_t by_use[MN_MEMORY_USES], beside = 0;
    mn_context_plan(device, config, &packed, &least, by_use);
    for (int use = 0; use < MN_MEMORY_USES; use++) beside += by_use[use];
    return mn_model_fit(device, config, options, beside);
}
