/* fuzz_spider.c: tables.json and dev.json, in one input, separated by a NUL byte. */
#include <stdlib.h>
#include <string.h>

#include "minuano/spider.h"
#include "put.h"
#include "support/support.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char folder[4000], tables[4096], dev[4096];
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s", test_scratch("fuzz"));
        if (mn_make_directories(folder) != MN_OK) abort();
        snprintf(tables, sizeof tables, "%s/tables.json", folder);
        snprintf(dev, sizeof dev, "%s/dev.json", folder);
    }
    const unsigned char *split = size ? memchr(data, '\0', size) : NULL;
    size_t first = split ? (size_t)(split - data) : size;
    mn_spider *spider = NULL;
    struct mn_text text = {0};
    put(tables, data, first);
    put(dev, split ? split + 1 : data, split ? size - first - 1 : 0);
    if (mn_spider_open(&spider, folder, "dev") == MN_OK)
        for (size_t i = 0; i < spider->count; i++)
            mn_spider_schema_text(spider->items[i].database, &text);
    mn_text_free(&text);
    mn_spider_close(&spider);
    return 0;
}
