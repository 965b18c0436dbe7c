/* parity.h: what the tests against transformers and PEFT share: the fixture's arrays, the batch of
 * the oracle, logits, gradients by PEFT's names. */
#ifndef MINUANO_TESTS_PARITY_H
#define MINUANO_TESTS_PARITY_H

#include "minuano/model.h"
#include "minuano/safetensors.h"
#include "support/support.h"

enum { MAX_TOKENS = 128 };

/* A copy to free, for data in a file may be unaligned. count may be NULL. */
float *expect(const mn_tensors *expected, const char *name, int64_t *count);
/* The number of ids. out (MAX_TOKENS). */
int expect_ids(const mn_tensors *expected, const char *name, int32_t *out);

/* (count, vocab) to free. */
float *logits_of(mn_context *context, const mn_adapter *adapter, const int32_t *ids, int count,
                 int vocab);

/* NAME.greedy is what the model in the fixture's folder writes behind NAME.greedy_prompt. */
void check_greedy(mn_device *device, const struct mn_limits *limits, const mn_tensors *expected,
                  const char *name, const char *folder);

/* The batch of the oracle: the whole text, two pieces of it; every token but the first of each is
 * predicted. */
struct parity_text {
    int32_t ids[MAX_TOKENS], offsets[4], rows[MAX_TOKENS], targets[MAX_TOKENS];
    struct mn_batch batch;
};
void make_text(struct parity_text *text, const mn_tensors *expected, const char *name);

/* Where PEFT's name lies in the adapter's flat array is asked of the saved folder: gradients are
 * put in the place of the values, saved, and read by name. */
mn_tensors *gradients_by_name(mn_adapter *adapter);

#endif
