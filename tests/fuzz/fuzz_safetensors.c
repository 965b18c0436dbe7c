/* fuzz_safetensors.c: any bytes as a safetensors file: refused, or every tensor lies inside. */
#include <stdlib.h>

#include "../../host/model/internal.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct tensor_list list;
    mn_arena *arena = NULL;
    if (mn_arena_open(&arena) != MN_OK) abort();
    if (mn_tensors_parse(&list, arena, data, size, "fuzz") == MN_OK) {
        for (size_t i = 0; i < list.count; i++) {
            const struct mn_tensor *t = &list.item[i];
            const unsigned char *begin = t->data;
            const size_t bytes = (size_t)t->count * mn_dtype_bytes(t->type);
            if (begin < data || bytes > size || begin + bytes > data + size) abort();
        }
    }
    mn_arena_close(&arena);
    return 0;
}
