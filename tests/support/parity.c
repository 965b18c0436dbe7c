/* parity.c: see parity.h. */
#include "support/parity.h"

float *expect(const mn_tensors *expected, const char *name, int64_t *count)
{
    const struct mn_tensor *tensor = mn_tensors_find(expected, name);
    if (!tensor) fail_msg("the fixture has no %s", name);
    float *values = malloc((size_t)tensor->count * sizeof *values);
    memcpy(values, tensor->data, (size_t)tensor->count * sizeof *values);
    if (count) *count = tensor->count;
    return values;
}

int expect_ids(const mn_tensors *expected, const char *name, int32_t *out)
{
    int64_t count;
    float *values = expect(expected, name, &count);
    assert_true(count <= MAX_TOKENS);
    for (int64_t i = 0; i < count; i++) out[i] = (int32_t)values[i];
    free(values);
    return (int)count;
}

float *logits_of(mn_context *context, const mn_adapter *adapter, const int32_t *ids, int count,
                 int vocab)
{
    int32_t rows[MAX_TOKENS];
    float *logits = malloc(sizeof(float) * (size_t)count * (size_t)vocab);
    for (int i = 0; i < count; i++) rows[i] = i;
    const struct mn_batch batch = {.tokens = count,
                                   .sequences = 1,
                                   .ids = ids,
                                   .offsets = (const int32_t[]){0, count},
                                   .logit_rows = count,
                                   .logit_row = rows};
    OK(mn_forward(context, adapter, &batch));
    OK(mn_logits(context, logits));
    return logits;
}

void check_greedy(mn_device *device, const struct mn_limits *limits, const mn_tensors *expected,
                  const char *name, const char *folder)
{
    int32_t ids[MAX_TOKENS], wanted[MAX_TOKENS], slots[MAX_TOKENS], next;
    const int32_t zero = 0;
    char key[64];
    float logprob;
    mn_model *model = NULL;
    mn_context *context = NULL;
    snprintf(key, sizeof key, "%s.greedy_prompt", name);
    const int prompt = expect_ids(expected, key, ids);
    snprintf(key, sizeof key, "%s.greedy", name);
    const int count = expect_ids(expected, key, wanted);
    assert_true(count >= 32);
    OK(mn_model_open(&model, device, test_fixture(folder), NULL));
    OK(mn_context_open(&context, model, limits));
    for (int i = 0; i < prompt; i++) slots[i] = i;
    const struct mn_batch batch = {.tokens = prompt,
                                   .sequences = 1,
                                   .ids = ids,
                                   .offsets = (const int32_t[]){0, prompt},
                                   .slot = slots,
                                   .logit_rows = 1,
                                   .logit_row = (const int32_t[]){prompt - 1}};
    OK(mn_forward(context, NULL, &batch));
    for (int t = 0; t < count; t++) {
        OK(mn_next_tokens(context, 0, 0, &zero, &zero, &next, &logprob));
        if (next != wanted[t]) fail_msg("token %d: found %d, expected %d", t, next, wanted[t]);
        const struct mn_decode_batch step = {
            .rows = 1, .ids = &next, .start = &zero, .length = (const int32_t[]){prompt + t + 1}};
        OK(mn_decode(context, NULL, &step));
    }
    mn_context_close(&context);
    mn_model_close(&model);
}

void make_text(struct parity_text *text, const mn_tensors *expected, const char *name)
{
    int32_t all[MAX_TOKENS];
    const int whole = expect_ids(expected, name, all);
    const int begins[] = {0, 3, 11}, ends[] = {whole, 10, 13};
    int tokens = 0, wanted = 0;
    for (int s = 0; s < 3; s++) {
        text->offsets[s] = tokens;
        for (int i = begins[s]; i < ends[s]; i++) {
            if (i + 1 < ends[s]) {
                text->rows[wanted] = tokens;
                text->targets[wanted++] = all[i + 1];
            }
            text->ids[tokens++] = all[i];
        }
    }
    text->offsets[3] = tokens;
    text->batch = (struct mn_batch){.tokens = tokens,
                                    .sequences = 3,
                                    .ids = text->ids,
                                    .offsets = text->offsets,
                                    .logit_rows = wanted,
                                    .logit_row = text->rows};
}

mn_tensors *gradients_by_name(mn_adapter *adapter)
{
    mn_tensors *tensors = NULL;
    float *master = adapter->master;
    adapter->master = adapter->gradient;
    OK(mn_adapter_save(adapter, test_scratch("gradients")));
    adapter->master = master;
    OK(mn_tensors_open(&tensors, test_scratch("gradients/adapter_model.safetensors")));
    return tensors;
}
