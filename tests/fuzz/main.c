/* main.c: feeds one fuzz target every seed, and `rounds` random changes of each: flipped, removed,
 * doubled and spliced bytes. Usage: fuzz_PARSER SEED_FOLDER ROUNDS [RANDOM_SEED]. A crash or a
 * sanitizer report is the failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/file.h"
#include "minuano/random.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static uint64_t draws, random_seed = 1;

static size_t below(size_t bound)
{
    return bound ? mn_random_below(random_seed, mn_stream_id(MN_RANDOM_TEST, 0), draws++,
                                   (uint32_t)bound)
                 : 0;
}

static size_t change(unsigned char *data, size_t size, size_t capacity)
{
    static const unsigned char edges[] = {0x00, 0xff, 0x7f, 0x80, '"', '{', '\n', '-', '9', '\''};
    for (size_t edits = 1 + below(8); edits > 0 && size > 0; edits--) {
        size_t at = below(size), length = 1 + below(size - at < 32 ? size - at : 32);
        switch (below(5)) {
        case 0: data[at] ^= (unsigned char)(1u << below(8)); break;
        case 1: data[at] = edges[below(sizeof edges)]; break;
        case 2: /* remove */
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        case 3: /* double */
            if (size + length > capacity) break;
            memmove(data + at + length, data + at, size - at);
            size += length;
            break;
        case 4: /* splice from elsewhere */
            memmove(data + at, data + below(size - length + 1), length);
            break;
        }
    }
    return size;
}

static void run_seed(const unsigned char *seed, size_t size, long rounds)
{
    size_t capacity = size + 4096;
    LLVMFuzzerTestOneInput(seed, size);
    for (long i = 0; i < rounds; i++) {
        unsigned char *data = malloc(capacity);
        if (!data) abort();
        memcpy(data, seed, size);
        size_t changed = change(data, size, capacity);
        unsigned char *exact =
            malloc(changed ? changed : 1); /* so that a read past the end is seen */
        if (!exact) abort();
        memcpy(exact, data, changed);
        LLVMFuzzerTestOneInput(exact, changed);
        free(exact);
        free(data);
    }
}

int main(int argc, char **argv)
{
    char **names = NULL;
    size_t count = 0;
    mn_arena *arena = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: %s SEED_FOLDER ROUNDS [RANDOM_SEED]\n", argv[0]);
        return 2;
    }
    if (argc > 3) random_seed = strtoull(argv[3], NULL, 10);
    if (mn_arena_open(&arena) != MN_OK ||
        mn_directory_list(arena, argv[1], &names, &count) != MN_OK || count == 0) {
        fprintf(stderr, "no seeds: %s: %s\n", argv[1], mn_error());
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        char *data;
        size_t size;
        if (mn_file_read(arena, mn_path(arena, argv[1], names[i]), &data, &size) != MN_OK) return 1;
        run_seed((unsigned char *)data, size, strtol(argv[2], NULL, 10));
    }
    printf("%zu seeds, %s rounds each, random seed %llu: no crash\n", count, argv[2],
           (unsigned long long)random_seed);
    mn_arena_close(&arena);
    return 0;
}
