/* train.h: examples, packing, the optimizer's schedule, the training loop and its checkpoints. */
#ifndef MINUANO_TRAIN_H
#define MINUANO_TRAIN_H

#include "minuano/dist.h"
#include "minuano/model.h"
#include "minuano/settings.h"
#include "minuano/text.h"

/* One example: ids, and which of them carry loss (the token itself is predicted; mask[0] is never
 * used). */
struct mn_example {
    const int32_t *ids;
    const uint8_t *mask; /* (count) 1: loss on this token */
    int count;
};
struct mn_examples {
    struct mn_example *item;
    size_t count, capacity;
    int64_t truncated, dropped; /* cut at max_length; left without a loss token */
};
enum mn_loss_on { MN_LOSS_ON_COMPLETION, MN_LOSS_ON_ALL };

/* Adds one example, right-truncated at max_length, dropped and counted when no loss token is left.
 */
void mn_examples_add(struct mn_examples *examples, mn_arena *arena, const int32_t *ids,
                     const uint8_t *mask, size_t count, int max_length);
/* JSONL lines {"text"}, {"prompt","completion"}, {"messages"} or {"ids","loss_mask"}. */
MN_CHECKED mn_status mn_examples_read(struct mn_examples *examples, mn_arena *arena,
                                      const mn_tokenizer *tokenizer, const char *path,
                                      enum mn_loss_on loss_on, int max_length);
void mn_examples_free(struct mn_examples *examples);

enum mn_schedule { MN_SCHEDULE_LINEAR, MN_SCHEDULE_COSINE, MN_SCHEDULE_CONSTANT };
/* Factor of the learning rate after `done` of `total` optimizer steps. */
double mn_schedule_factor(enum mn_schedule schedule, int64_t done, int64_t warmup, int64_t total);

/* What a training needs beyond model and examples; the rows of its table are in
 * host/train/settings.c. */
struct mn_train_settings {
    /* lora.* */
    int64_t rank;
    double alpha, dropout;
    bool rslora;
    struct mn_strings targets;
    /* train.* */
    int64_t steps; /* optimizer steps; 0: epochs decides */
    double epochs;
    int64_t batch, accumulation; /* sequences a micro-batch, micro-batches a step (a rank) */
    int64_t max_length;
    double learning_rate, beta1, beta2, epsilon, weight_decay, max_grad_norm;
    int schedule; /* enum mn_schedule */
    int64_t warmup_steps;
    int64_t seed;
    int64_t checkpoint_every, keep_checkpoints; /* steps; 0: only at the end and on a signal */
    int loss_on;
};
extern const struct mn_settings mn_train_settings_table;

struct mn_train_result {
    int64_t steps, tokens, loss_tokens;
    double first_loss, last_loss, seconds;
};
/* Trains into `folder`: metrics.jsonl, checkpoints/step-N/, final_adapter/. Resumes from the last
 * sound checkpoint there; returns at once with the recorded result when final_adapter is complete.
 */
MN_CHECKED mn_status mn_train(mn_model *model, const struct mn_examples *examples,
                              const struct mn_train_settings *settings, mn_ranks *ranks,
                              const char *folder, struct mn_train_result *out);
#endif
