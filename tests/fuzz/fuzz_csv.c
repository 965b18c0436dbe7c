/* Any bytes as CSV: records or an error, never a crash; what is read holds no more text than the
 * file. */
#include <stdlib.h>
#include <string.h>

#include "minuano/mmlu.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    mn_arena *arena;
    struct mn_csv csv;
    size_t total = 0;
    if (mn_arena_open(&arena) != MN_OK) return 0;
    if (mn_csv_parse(arena, (const char *)data, size, "fuzz", &csv) == MN_OK)
        for (size_t i = 0; i < csv.count; i++)
            for (size_t f = 0; f < csv.record[i].count; f++)
                total += strlen(csv.record[i].field[f]);
    if (total > size) abort();
    mn_arena_close(&arena);
    return 0;
}
