/* support.h: what every test uses: cmocka with its includes in order, checked statuses, fixtures,
 * real data, scratch. */
#ifndef MINUANO_TESTS_SUPPORT_H
#define MINUANO_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "minuano/arena.h"
#include "minuano/file.h"
#include "minuano/json.h"
#include "minuano/model.h"

/* The call must succeed; its message is printed when it does not. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        mn_status ok_status = (call);                                                              \
        if (ok_status != MN_OK)                                                                    \
            fail_msg("%s: %s: %s", #call, mn_status_words(ok_status), mn_error());                 \
    } while (0)

/* The call must fail with this code, and its message must contain `words`. */
#define FAILS(call, code, words)                                                                   \
    do {                                                                                           \
        mn_status fails_status = (call);                                                           \
        if (fails_status != (code) || !strstr(mn_error(), words))                                  \
            fail_msg("%s: expected %s with \"%s\", found %s: %s", #call, mn_status_words(code),    \
                     words, mn_status_words(fails_status), mn_error());                            \
    } while (0)

/* Paths live until the process ends. */
const char *test_fixture(const char *name); /* tests/fixtures/NAME */
const char *test_source(const char *name);  /* NAME in the source tree */
const char *
test_scratch(const char *name); /* a fresh path in a folder of this process, removed at exit */

/* NAME in the real data ("spider", "mmlu", "golden_tokens.jsonl"), or NULL where the machine has
 * none: then skip with if (!path) SKIP("no real data: ../shared/data is absent"); */
const char *test_shared(const char *name);
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("skipped: %s\n", reason);                                                           \
        skip();                                                                                    \
    } while (0)

/* |a - b| <= tolerance * max(1, |b|) for every element; prints the worst. */
void check_close(const float *found, const float *expected, size_t count, double tolerance,
                 const char *what);

/* Every element drawn, so that B is not zero and all of the adapter matters. */
void randomize_adapter(mn_adapter *adapter, uint64_t stream);

#endif
