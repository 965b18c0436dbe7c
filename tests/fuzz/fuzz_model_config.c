/* fuzz_model_config.c: any bytes as config.json: refused, or sizes that can be computed with. */
#include <stdlib.h>

#include "../../host/model/internal.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct mn_model_config config;
    json_t *object = NULL;
    if (mn_json_parse(&object, (const char *)data, size, "fuzz") != MN_OK) return 0;
    if (mn_model_config_parse(&config, object, "fuzz") == MN_OK) {
        if (mn_model_parameters(&config) <= 0) abort();
    }
    json_decref(object);
    return 0;
}
