/* Any bytes as a file of training examples: read or refused, never a crash. */
#include <stdlib.h>
#include <unistd.h>

#include "minuano/train.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static mn_tokenizer *tokenizer; /* opened once: it is what costs */
    struct mn_examples examples = {0};
    mn_arena *arena;
    char path[] = P_tmpdir "/minuano-fuzz-examples-XXXXXX";
    if (!tokenizer &&
        mn_tokenizer_open(&tokenizer, MINUANO_SOURCE "/tests/fixtures/tokenizer") != MN_OK)
        abort();
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) abort();
    if (mn_arena_open(&arena) != MN_OK) abort();
    mn_status st = mn_examples_read(&examples, arena, tokenizer, path, MN_LOSS_ON_COMPLETION, 16);
    for (size_t i = 0; i < examples.count; i++)
        if (examples.item[i].count < 2 || examples.item[i].count > 16) abort();
    if (st != MN_OK && !mn_error()[0]) abort();
    mn_examples_free(&examples);
    mn_arena_close(&arena);
    unlink(path);
    return 0;
}
