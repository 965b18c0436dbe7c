/* put.h: an input as a file, for parsers that read one. */
#ifndef MINUANO_TESTS_FUZZ_PUT_H
#define MINUANO_TESTS_FUZZ_PUT_H

#include <stdio.h>
#include <stdlib.h>

static inline void put(const char *path, const unsigned char *data, size_t size)
{
    FILE *file = fopen(path, "wb"); /* mn_file_write would sync each of them */
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) abort();
}

#endif
