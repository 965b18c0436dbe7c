/* fuzz_mmlu.c: MMLU as lines of JSON, the same for shots and questions. */
#include <stdlib.h>
#include <string.h>

#include "minuano/mmlu.h"
#include "put.h"
#include "support/support.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static char folder[4000], dev[4096], test[4096];
    mn_mmlu *mmlu = NULL;
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "%s", test_scratch("fuzz"));
        if (mn_make_directories(folder) != MN_OK) abort();
        snprintf(dev, sizeof dev, "%s/dev.jsonl", folder);
        snprintf(test, sizeof test, "%s/test.jsonl", folder);
    }
    put(dev, data, size);
    put(test, data, size);
    if (mn_mmlu_open(&mmlu, folder, "test") == MN_OK) {
        struct mn_text text = {0};
        for (size_t s = 0; s < mmlu->subject_count; s++) {
            const struct mn_mmlu_subject *subject = &mmlu->subjects[s];
            if (mn_mmlu_prompt_text(subject, &subject->questions[0], MN_MMLU_LM_EVAL,
                                    (int)subject->shot_count, &text) != MN_OK)
                abort();
        }
        mn_text_free(&text);
    }
    mn_mmlu_close(&mmlu);
    return 0;
}
