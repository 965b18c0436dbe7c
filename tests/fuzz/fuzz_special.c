/* Special-token parsing and decoding: any bytes become ids within the vocabulary, and ids become
 * text again. The first byte chooses the flags. */
#include "minuano/text.h"
#include "support/support.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const int flags[] = {0, MN_TOKENIZE_PARSE_SPECIAL,
                                MN_TOKENIZE_PARSE_SPECIAL | MN_TOKENIZE_ADD_BOS,
                                MN_TOKENIZE_CONTINUE};
    mn_tokenizer *tokenizer = NULL;
    struct mn_ids ids = {0};
    struct mn_text text = {0};
    if (size == 0) return 0;
    if (mn_tokenizer_open(&tokenizer, test_fixture("tokenizer")) != MN_OK) abort();
    if (mn_tokenize(tokenizer, (const char *)data + 1, size - 1, flags[data[0] % 4], &ids) == MN_OK)
        for (size_t i = 0; i < ids.count; i++)
            if (ids.item[i] < 0 || ids.item[i] >= mn_tokenizer_vocab(tokenizer)) abort();
    if (mn_detokenize(tokenizer, ids.item, ids.count, &text) != MN_OK) abort();
    mn_ids_free(&ids);
    mn_text_free(&text);
    mn_tokenizer_close(&tokenizer);
    return 0;
}
