/* fuzz_audit.c: any bytes as adapter_model.safetensors beside a sound config: refused, or norms
 * that are norms. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/audit.h"
#include "support/support.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void put(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb"); /* mn_file_write would sync each of them */
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const char config[] = "{\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":2,"
                                 "\"target_modules\":[\"q_proj\",\"v_proj\"]}";
    static char folder[4000], path[4096];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s", test_scratch("fuzz"));
        if (mn_make_directories(folder) != MN_OK) abort();
        snprintf(path, sizeof path, "%s/adapter_config.json", folder);
        put(path, config, strlen(config));
        snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    }
    struct mn_audit audit;
    mn_arena *arena = NULL;
    put(path, data, size);
    if (mn_arena_open(&arena) != MN_OK) abort();
    if (mn_adapter_audit(arena, folder, &audit) == MN_OK) {
        json_decref(mn_audit_json(&audit));
        if (audit.count > size) abort();
        for (size_t i = 0; i < audit.count; i++) {
            const struct mn_audit_module *m = &audit.module[i];
            if (m->not_finite ? !isnan(m->delta_norm) : !(m->delta_norm >= 0)) abort();
        }
        if ((audit.not_finite > 0) != (audit.bad_tensor != NULL)) abort();
    }
    mn_arena_close(&arena);
    return 0;
}
