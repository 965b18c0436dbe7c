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
 * ids and mask are copied into the arena. */
void mn_examples_add(struct mn_examples *examples, mn_arena *arena, const int32_t *ids,
                     const uint8_t *mask, size_t count, int max_length);
/* JSONL lines, each in one of four forms (other keys are ignored):
 *   {"text"}                 BOS in front and EOS behind unless they are there; loss on every token
 *   {"prompt","completion"}  BOS, prompt, completion, EOS; loss on completion and EOS
 *   {"messages"}             the chat template; loss on what follows [/INST], EOS included
 *   {"ids","loss_mask"}      as they are, whatever loss_on says
 * Control tokens spelled out in text, prompt and completion are taken as such, as Hugging Face
 * does. tokenizer may be NULL when all lines have ids. */
MN_CHECKED mn_status mn_examples_read(struct mn_examples *examples, mn_arena *arena,
                                      const mn_tokenizer *tokenizer, const char *path,
                                      enum mn_loss_on loss_on, int max_length);
void mn_examples_free(struct mn_examples *examples);

enum mn_schedule { MN_SCHEDULE_LINEAR, MN_SCHEDULE_COSINE, MN_SCHEDULE_CONSTANT };
/* Factor of the learning rate after `done` of `total` optimizer steps. */
double mn_schedule_factor(enum mn_schedule schedule, int64_t done, int64_t warmup, int64_t total);

/* --- probes: what a training is asked while it runs ------------------------------------------- */

/* The caller knows the tasks; a training counts. */
enum mn_probe_task { MN_PROBE_SPIDER, MN_PROBE_MMLU, MN_PROBE_TASKS };
extern const char *const mn_probe_names[]; /* "spider", "mmlu", NULL */

struct mn_probe_point {
    int64_t step;                                           /* done so far; 0: before the first */
    int64_t items[MN_PROBE_TASKS], correct[MN_PROBE_TASKS]; /* items 0: not asked */
    double seconds;
};
double mn_probe_accuracy(const struct mn_probe_point *point, enum mn_probe_task task); /* or NaN */
/* A line of probes.jsonl, but for the seconds; the caller owns it. */
json_t *mn_probe_point_json(const struct mn_probe_point *point);
/* The way back, seconds included. */
MN_CHECKED mn_status mn_probe_point_read(struct mn_probe_point *out, const json_t *line,
                                         const char *where);

struct mn_probe {
    /* Fills items and correct for the adapter as it stands, without changing it. On rank 0. */
    mn_status (*ask)(void *user, const mn_adapter *adapter, struct mn_probe_point *point);
    /* Each point of the run in order, just asked or read back when a run goes on: the same point
     * may come again. NULL: nobody wants them. On rank 0. */
    mn_status (*keep)(void *user, const struct mn_probe_point *point);
    void *user;
};

/* What ended a training before its last step. */
enum mn_stop { MN_STOP_NONE, MN_STOP_PATIENCE, MN_STOP_MMLU_DROP };
extern const char *const mn_stop_names[]; /* "none", "patience", "mmlu_drop", NULL */

/* --- settings --------------------------------------------------------------------------------- */

/* What a training needs beyond model and examples. */
struct mn_train_settings {
    /* lora.* */
    int64_t rank;
    double alpha, dropout;
    bool rslora;
    struct mn_strings targets;
    const char *initial; /* PEFT folder to start from: its own rank, alpha, targets; NULL: fresh */
    /* train.* */
    int64_t steps; /* optimizer steps; 0: epochs decides */
    double epochs;
    int64_t batch, accumulation; /* sequences a micro-batch, micro-batches a step (a rank) */
    int64_t tokens_at_once;      /* micro-batches are run together up to so many; 0: each alone */
    int64_t max_length;
    double learning_rate, beta1, beta2, epsilon, weight_decay, max_grad_norm;
    int schedule; /* enum mn_schedule */
    int64_t warmup_steps;
    int64_t seed;
    int64_t checkpoint_every, keep_checkpoints;
    int loss_on; /* enum mn_loss_on */
    /* probe.*, stop.* */
    int64_t probe_every, probe_spider, probe_mmlu; /* steps; items */
    int stop_metric;                               /* enum mn_probe_task */
    int64_t stop_patience;
    double stop_mmlu_drop; /* points */
    /* Not of the table: the steps, from 1, that a profiler's window holds; 0: none. */
    int64_t profile_from, profile_to;
};
/* probe.* and stop.* that ask for what cannot be are MN_INVALID, naming the key. */
MN_CHECKED mn_status mn_probe_check(const struct mn_train_settings *settings);
extern const struct mn_settings mn_train_settings_table;
extern const char *const mn_schedule_names[], *const mn_loss_on_names[];

/* The rows of that table for a struct mn_train_settings inside another struct, so that a command
 * has one table: MN_TRAIN_ROWS(struct outer, member.), or MN_TRAIN_ROWS(struct mn_train_settings, )
 * for the struct itself. */
#define MN_TRAIN_ROW(type, at, key, kind, field, fallback, help, ...)                              \
    {                                                                                              \
        key, kind, offsetof(type, at field), fallback, help, __VA_ARGS__                           \
    }
#define MN_TRAIN_ROWS(type, at)                                                                    \
    MN_TRAIN_ROW(type, at, "lora.rank", MN_SETTING_INT, rank, "16", "columns of A and B",          \
                 .low = 1, .high = 1024),                                                          \
        MN_TRAIN_ROW(type, at, "lora.alpha", MN_SETTING_REAL, alpha, "32",                         \
                     "the update is scaled by alpha / rank", .low = 0, .high = 1e6),               \
        MN_TRAIN_ROW(type, at, "lora.dropout", MN_SETTING_REAL, dropout, "0.05",                   \
                     "share of A's input set to zero in training", .low = 0, .high = 0.99),        \
        MN_TRAIN_ROW(type, at, "lora.rslora", MN_SETTING_BOOL, rslora, "false",                    \
                     "scale by alpha / sqrt(rank) instead", .required = false),                    \
        MN_TRAIN_ROW(type, at, "lora.targets", MN_SETTING_STRINGS, targets,                        \
                     "q_proj,k_proj,v_proj,o_proj", "linears that get an adapter",                 \
                     .required = false, .choices = mn_module_names),                               \
        MN_TRAIN_ROW(type, at, "lora.initial", MN_SETTING_PATH, initial, NULL,                     \
                     "PEFT folder to start from; its rank, alpha, dropout and targets then hold",  \
                     .required = false),                                                           \
        MN_TRAIN_ROW(type, at, "train.steps", MN_SETTING_INT, steps, "0",                          \
                     "optimizer steps; 0: as many as train.epochs takes", .low = 0, .high = 1e9),  \
        MN_TRAIN_ROW(type, at, "train.epochs", MN_SETTING_REAL, epochs, "1",                       \
                     "passes over the examples, when train.steps is 0", .low = 0, .high = 1e6),    \
        MN_TRAIN_ROW(type, at, "train.batch", MN_SETTING_INT, batch, "4",                          \
                     "sequences of a micro-batch", .low = 1, .high = 65536),                       \
        MN_TRAIN_ROW(type, at, "train.accumulation", MN_SETTING_INT, accumulation, "4",            \
                     "micro-batches of a step, on each rank", .low = 1, .high = 65536),            \
        MN_TRAIN_ROW(type, at, "train.tokens_at_once", MN_SETTING_INT, tokens_at_once, "0",        \
                     "run micro-batches together up to so many tokens: faster, same step; 0: not", \
                     .low = 0, .high = 1e9),                                                       \
        MN_TRAIN_ROW(type, at, "train.max_length", MN_SETTING_INT, max_length, "1024",             \
                     "tokens of an example, and no more than the model has positions; what is "    \
                     "longer is cut at the right",                                                 \
                     .low = 2, .high = 1048576),                                                   \
        MN_TRAIN_ROW(type, at, "train.learning_rate", MN_SETTING_REAL, learning_rate, "0.0002",    \
                     "peak of the schedule", .low = 0, .high = 100),                               \
        MN_TRAIN_ROW(type, at, "train.beta1", MN_SETTING_REAL, beta1, "0.9",                       \
                     "AdamW: decay of the mean of gradients", .low = 0, .high = 0.999999),         \
        MN_TRAIN_ROW(type, at, "train.beta2", MN_SETTING_REAL, beta2, "0.999",                     \
                     "AdamW: decay of the mean of their squares", .low = 0, .high = 0.999999),     \
        MN_TRAIN_ROW(type, at, "train.epsilon", MN_SETTING_REAL, epsilon, "1e-08",                 \
                     "AdamW: added to the root", .low = 0, .high = 1),                             \
        MN_TRAIN_ROW(type, at, "train.weight_decay", MN_SETTING_REAL, weight_decay, "0",           \
                     "AdamW: decoupled decay, times the learning rate", .low = 0, .high = 100),    \
        MN_TRAIN_ROW(type, at, "train.max_grad_norm", MN_SETTING_REAL, max_grad_norm, "1",         \
                     "longer gradients are scaled to this norm; 0: never", .low = 0, .high = 1e9), \
        MN_TRAIN_ROW(type, at, "train.schedule", MN_SETTING_CHOICE, schedule, "linear",            \
                     "course of the learning rate after the warm-up",                              \
                     .choices = mn_schedule_names),                                                \
        MN_TRAIN_ROW(type, at, "train.warmup_steps", MN_SETTING_INT, warmup_steps, "0",            \
                     "steps in which the learning rate rises from 0", .low = 0, .high = 1e9),      \
        MN_TRAIN_ROW(type, at, "train.seed", MN_SETTING_INT, seed, "42",                           \
                     "of adapter, order of examples, and dropout", .low = 0, .high = 9e15),        \
        MN_TRAIN_ROW(type, at, "train.checkpoint_every", MN_SETTING_INT, checkpoint_every, "50",   \
                     "steps between checkpoints; 0: only at the end and on a signal", .low = 0,    \
                     .high = 1e9),                                                                 \
        MN_TRAIN_ROW(type, at, "train.keep_checkpoints", MN_SETTING_INT, keep_checkpoints, "3",    \
                     "newest checkpoints that are kept; 0: all", .low = 0, .high = 1e9),           \
        MN_TRAIN_ROW(type, at, "train.loss_on", MN_SETTING_CHOICE, loss_on, "completion",          \
                     "tokens that carry loss; examples of form text always use all",               \
                     .choices = mn_loss_on_names),                                                 \
        MN_TRAIN_ROW(type, at, "probe.every", MN_SETTING_INT, probe_every, "0",                    \
                     "steps between probes, which ask the adapter as it stands; 0: none",          \
                     .low = 0, .high = 1e9),                                                       \
        MN_TRAIN_ROW(type, at, "probe.spider", MN_SETTING_INT, probe_spider, "0",                  \
                     "Spider questions of a probe, spread over the split that is evaluated",       \
                     .low = 0, .high = 1e9),                                                       \
        MN_TRAIN_ROW(type, at, "probe.mmlu", MN_SETTING_INT, probe_mmlu, "0",                      \
                     "MMLU questions of a probe, spread over the split val", .low = 0,             \
                     .high = 1e9),                                                                 \
        MN_TRAIN_ROW(type, at, "stop.metric", MN_SETTING_CHOICE, stop_metric, "spider",            \
                     "what stop.patience looks at", .choices = mn_probe_names),                    \
        MN_TRAIN_ROW(type, at, "stop.patience", MN_SETTING_INT, stop_patience, "0",                \
                     "stop after so many probes without a better one; 0: never", .low = 0,         \
                     .high = 1e9),                                                                 \
        MN_TRAIN_ROW(type, at, "stop.mmlu_drop", MN_SETTING_REAL, stop_mmlu_drop, "0",             \
                     "stop when MMLU is more than so many points below the first probe; 0: never", \
                     .low = 0, .high = 100)

/* Where examples for this model are cut: at max_length, or at what its positions allow where that
 * is less. */
int mn_train_length(const struct mn_train_settings *settings, const struct mn_model_config *model);

/* The adapter that the settings ask for, base_model empty. Not of lora.initial. */
MN_CHECKED mn_status mn_train_lora(const struct mn_train_settings *settings,
                                   struct mn_lora_config *out);

/* What a training will run and take, without a device doing anything: for --dry-run. */
struct mn_train_plan {
    int64_t steps, steps_per_epoch;
    int64_t tokens, loss_tokens; /* of all steps, over all ranks */
    int64_t parameters;          /* of the adapter */
    struct mn_limits limits;     /* of the context, for the largest pass of the run */
    size_t by_use[MN_MEMORY_USES];
};
MN_CHECKED mn_status mn_train_plan(const mn_device *device, const struct mn_model_config *config,
                                   const struct mn_model_options *options,
                                   const struct mn_examples *examples,
                                   const struct mn_train_settings *settings, int ranks,
                                   struct mn_train_plan *out);

struct mn_train_result {
    int64_t steps, tokens, loss_tokens;
    double first_loss, last_loss, seconds; /* seconds without those of the probes */
    int64_t planned_steps;
    int64_t stop; /* enum mn_stop: the rule that ended it after fewer steps than planned */
};
/* Trains into `folder`:
 *   metrics.jsonl        a line a step: step, loss, learning_rate, grad_norm, tokens, loss_tokens,
 *                        tokens_per_second; tokens are the step's, over all ranks
 *   probes.jsonl         a line a probe, where settings ask for them: the adapter before the first
 *                        step, after every probe_every-th and after the last, asked by `probe`
 *                        (which may else be NULL); stop.* may end the training there
 *   checkpoints/step-N/  adapter/ (PEFT), optimizer.safetensors, state.json, SHA256SUMS
 *   final_adapter/       PEFT, and result.json beside it, written last
 * Resumes from the last sound checkpoint there, to the bits of a run that was never stopped; a
 * damaged one is named in a warning and the one before is used. Returns at once with the recorded
 * result when the run is complete. Settings, data or model that differ from what the folder was
 * begun with are MN_INVALID, naming the key. A signal makes a checkpoint, then MN_INTERRUPTED. NaN
 * or infinity is MN_NUMERIC and names step and place: the tensor of the adapter, of its gradient,
 * or the first activation; nothing of it is saved. Every rank calls it
 * with the same examples and folder (a shared file system). */
MN_CHECKED mn_status mn_train(mn_model *model, const struct mn_examples *examples,
                              const struct mn_train_settings *settings,
                              const struct mn_probe *probe, mn_ranks *ranks, const char *folder,
                              struct mn_train_result *out);
#endif
