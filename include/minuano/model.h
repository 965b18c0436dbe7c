/* model.h: a Mistral model, its LoRA adapter, and the one place where tokens become logits and
 * gradients.
 *
 *   mn_hub_resolve    name or folder  ->  folder
 *   mn_model_open     folder          ->  weights on a device
 *   mn_adapter_*      PEFT folders, both ways
 *   mn_context        planned buffers, key/value cache; forward, decode, backward over the device's
 * table of ops */
#ifndef MINUANO_MODEL_H
#define MINUANO_MODEL_H

#include "minuano/json.h"
#include "minuano/ops.h"

/* --- where a model is ------------------------------------------------------------------------- */

/* A folder with a config.json as it is; else `owner/name` in the local hub cache:
 * hub_cache/models--owner--name/ snapshots/<commit>, the commit named by refs/main. Nothing is
 * downloaded; the error says where it looked. */
MN_CHECKED mn_status mn_hub_resolve(mn_arena *arena, const char *name, const char *hub_cache,
                                    const char **folder);

/* --- config.json ------------------------------------------------------------------------------ */

struct mn_model_config {
    int hidden, layers, heads, kv_heads, head_dim, ff, vocab;
    int max_positions;
    int sliding_window; /* 0: none. A longer sequence is refused, not silently truncated */
    bool tied;          /* lm_head is the embedding */
    double rope_theta, rms_eps;
    int bos, eos; /* -1 when absent */
};
/* Traps of facts.md included: absent keys take transformers' class defaults, theta is found in both
 * places. */
MN_CHECKED mn_status mn_model_config_read(struct mn_model_config *out, const char *folder);
int64_t mn_model_parameters(const struct mn_model_config *config);
/* Tokens of the longest sequence that positions and sliding window allow. */
int mn_longest_sequence(const struct mn_model_config *config);

/* --- weights ---------------------------------------------------------------------------------- */

enum mn_quantization { MN_QUANTIZE_NONE, MN_QUANTIZE_NF4, MN_QUANTIZE_NF4_DOUBLE };

struct mn_model_options {
    enum mn_quantization quantization;
    bool keep_packed; /* NF4 stays packed and is expanded at each use; else expanded once, with the
                         same values, where that fits (mn_model_fit) */
    bool plan_only;   /* everything but the weights: for plans. A context of it is refused */
};

struct mn_layer {
    const mn_act *attention_norm, *ff_norm; /* (hidden) */
    struct mn_weight qkv, o, gate_up,
        down; /* ((heads+2*kv_heads)*head_dim, hidden), ... (2*ff, hidden) gate then up */
};

typedef struct mn_model mn_model;
struct mn_model {
    mn_device *device; /* borrowed */
    struct mn_model_config config;
    struct mn_model_options options;
    const char *folder;
    const mn_act *embedding;  /* (vocab, hidden) */
    const mn_act *final_norm; /* (hidden) */
    struct mn_weight head;    /* (vocab, hidden); the embedding when tied */
    struct mn_layer *layer;   /* (layers) */
    const float *rope_table;  /* (max positions used, head_dim), see mn_rope_fn */
    char fingerprint[65];     /* SHA-256 over config and tensor bytes' digests; names the base in
                                 adapters and results */
    mn_arena *arena;
    struct mn_pool pool;
};
MN_CHECKED mn_status mn_model_open(mn_model **out, mn_device *device, const char *folder,
                                   const struct mn_model_options *options);
/* Random weights in a given shape, mn_random_normal * 0.02 (norms: 1 + that), rounded to bf16 so
 * that every device holds the same: for tests and bench; no files. The draws repeat after
 * 1,048,568. */
MN_CHECKED mn_status mn_model_random(mn_model **out, mn_device *device,
                                     const struct mn_model_config *config, uint64_t seed,
                                     const struct mn_model_options *options);
void mn_model_close(mn_model **model);
/* The same fingerprint from the files alone. */
MN_CHECKED mn_status mn_model_fingerprint(const char *folder, char out[65]);
/* Bytes the weights take on the device, without loading them: for --dry-run. */
size_t mn_model_bytes(const mn_device *device, const struct mn_model_config *config,
                      const struct mn_model_options *options);
/* Asked before loading: do the weights fit into what is free, beside `beside` bytes of what else
 * the run needs? Sets keep_packed, and says so, where NF4 weights fit packed only. MN_NO_MEMORY
 * names what is needed and what is free. */
MN_CHECKED mn_status mn_model_fit(mn_device *device, const struct mn_model_config *config,
                                  struct mn_model_options *options, size_t beside);

/* --- adapters --------------------------------------------------------------------------------- */

/* The seven linears of a layer, in the order of their tensors; fused linears hold q|k|v, o,
 * gate|up, down. */
enum mn_module { MN_Q, MN_K, MN_V, MN_O, MN_GATE, MN_UP, MN_DOWN, MN_MODULES };
extern const char *const mn_module_names[MN_MODULES + 1]; /* "q_proj" ... NULL-terminated */

struct mn_lora_config {
    int rank;
    double alpha;
    double dropout;
    bool rslora; /* scale alpha/sqrt(rank) instead of alpha/rank */
    bool target[MN_MODULES];
    char base_model[512]; /* base_model_name_or_path */
};

enum mn_fused { MN_FUSED_QKV, MN_FUSED_O, MN_FUSED_GATE_UP, MN_FUSED_DOWN, MN_FUSED };

/* All parameters of an adapter lie in one flat array, layer by layer, fused linear by fused linear,
 * A block then B block (see mn_lora). Masters, gradients and optimizer state share that layout. */
typedef struct mn_adapter mn_adapter;
struct mn_adapter {
    mn_model *model; /* borrowed */
    struct mn_lora_config config;
    int64_t count;                /* parameters */
    mn_act *shadow;               /* (count) what the forward reads */
    float *master;                /* (count) on the device; NULL when opened for inference */
    float *gradient;              /* (count) accumulated; NULL when opened for inference */
    struct mn_lora *lora;         /* (layers * MN_FUSED), pointing into shadow */
    int64_t *a_offset, *b_offset; /* (layers * MN_FUSED) elements into the flat array */
    double strength;              /* λ: multiplies every scale; 1 unless set */
    mn_arena *arena;
    struct mn_pool pool;
};
/* Fresh: A ~ U(-1/sqrt(in), 1/sqrt(in)) by (seed, MN_RANDOM_INIT), B = 0; trainable. */
MN_CHECKED mn_status mn_adapter_new(mn_adapter **out, mn_model *model,
                                    const struct mn_lora_config *config, uint64_t seed);
/* adapter_config.json alone; what we do not do (DoRA, biases, …) is an error that names the key. */
MN_CHECKED mn_status mn_adapter_config_read(struct mn_lora_config *out, const char *folder);
enum { MN_TENSOR_NAME = 160 }; /* room for a tensor's name */
/* The name in a PEFT folder of the tensor that element i of the flat array lies in, and its place
 * there. */
void mn_adapter_element(const mn_adapter *adapter, int64_t i, char name[MN_TENSOR_NAME],
                        int64_t *at);
/* An array (count) on the device in the adapter's layout: its masters, its gradient. MN_NUMERIC
 * names the last tensor with a value that is NaN or infinite: a backward pass, which goes from the
 * last to the first, met it there first. `what` opens the message: "the gradient of". */
MN_CHECKED mn_status mn_adapter_check_finite(const mn_adapter *adapter, const float *array,
                                             const char *what);
/* From a PEFT folder; every tensor's name, shape and dtype is checked; what we do not do (DoRA,
 * ...) is an error, and so is an adapter that records another base than the model. Before anything
 * is scored with it, see mn_adapter_open_audited in audit.h. */
MN_CHECKED mn_status mn_adapter_open(mn_adapter **out, mn_model *model, const char *folder,
                                     bool trainable);
/* As a PEFT folder with F32 tensors, complete or not at all; records the model as its base. */
MN_CHECKED mn_status mn_adapter_save(const mn_adapter *adapter, const char *folder);
void mn_adapter_set_strength(mn_adapter *adapter, double strength);
/* The same adapter at another strength: shares its memory, lives in the arena, is not closed, and
 * must not outlive it. At strength 0 it is the base to the last bit. */
const mn_adapter *mn_adapter_at_strength(mn_arena *arena, const mn_adapter *adapter,
                                         double strength);
void mn_adapter_close(mn_adapter **adapter);
/* Puts W + scale·B·A in the place of each W that the model holds, which is lost. Quantized weights
 * are expanded, summed in fp32 and quantized again, as PEFT merges into a 4-bit base: the outcome
 * is not what base and adapter compute together. */
MN_CHECKED mn_status mn_model_merge(mn_model *model, const char *adapter_folder);
/* Loads the weights once more: what merging did is undone. Adapters of the model stay as they are.
 */
MN_CHECKED mn_status mn_model_reload(mn_model *model);
/* Writes a 16-bit model folder with W + scale·B·A, and the tokenizer's files beside it. */
MN_CHECKED mn_status mn_merge(const char *model_folder, const char *adapter_folder,
                              const char *out_folder);

/* --- context: buffers planned for the largest batch, and what runs in them
 * -------------------------------------------------- */

struct mn_limits {
    int tokens; /* rows of the largest batch */
    int sequences;
    int logit_rows; /* rows whose logits are wanted at once; they are computed in chunks of at most
                       this */
    int64_t cache_rows; /* key/value rows a layer; 0: no cache */
    bool training;      /* keep what the backward pass needs */
    int lora_rank;      /* largest sum of ranks in one fused linear; 0: no adapter will be used */
    int decode_length;  /* longest prefix and extent together of a decode step; 0: what the model
                           allows. With it the workspace of mn_decode stays small */
};

typedef struct mn_context mn_context;
MN_CHECKED mn_status mn_context_open(mn_context **out, mn_model *model,
                                     const struct mn_limits *limits);
void mn_context_close(mn_context **context);
/* What open would take, by use, without taking it: for --dry-run and for choosing limits that fit.
 * options (NULL: none) says how the weights are kept: packed ones are expanded in the workspace. */
void mn_context_plan(const mn_device *device, const struct mn_model_config *config,
                     const struct mn_model_options *options, const struct mn_limits *limits,
                     size_t by_use[MN_MEMORY_USES]);

/* The next so many sequences (or rows, in a decode step) of a batch whose sequences carry their
 * adapters: the base's weights are streamed once for all of them. */
enum { MN_ADAPTER_GROUPS = 64 };
struct mn_adapter_group {
    const mn_adapter *adapter; /* NULL: the base */
    int sequences;
};

/* A ragged batch in host memory, borrowed for the call. */
struct mn_batch {
    int tokens, sequences;
    const int32_t *ids;     /* (tokens) */
    const int32_t *offsets; /* (sequences + 1), offsets[0] = 0 */
    const int32_t
        *prefix_start; /* (sequences) first cache row of the shared prefix; NULL: no prefixes */
    const int32_t
        *prefix_length; /* (sequences); positions of the sequence's own tokens begin there */
    const int32_t
        *slot; /* (tokens) cache row that receives the token's key and value; NULL: not kept */
    int logit_rows;
    const int32_t *logit_row; /* (logit_rows) rows of the batch whose logits are wanted, ascending;
                                 any number: only their logits are computed chunk by chunk */
    const struct mn_adapter_group *groups; /* (group_count) at most MN_ADAPTER_GROUPS; together all
                                              sequences. None: the call's adapter has them all */
    int group_count;
};
/* Leaves the final normed hidden rows of batch->logit_row on the device, for the calls that follow.
 * adapter may be NULL, and is where the batch has groups. */
MN_CHECKED mn_status mn_forward(mn_context *context, const mn_adapter *adapter,
                                const struct mn_batch *batch);

/* One new token a row; its key and value go to cache row start + length - 1 of its own extent. */
struct mn_decode_batch {
    int rows;                                    /* at most the limits' sequences */
    const int32_t *ids;                          /* (rows) */
    const int32_t *start, *length;               /* (rows) own extent, the new token included */
    const int32_t *prefix_start, *prefix_length; /* (rows) or NULL */
    const struct mn_adapter_group *groups;       /* (group_count) as in mn_batch */
    int group_count;
};
MN_CHECKED mn_status mn_decode(mn_context *context, const mn_adapter *adapter,
                               const struct mn_decode_batch *batch);

/* Of the rows that the last mn_forward or mn_decode left (every row, after mn_decode). targets
 * (logit_rows, k), out (logit_rows, k) natural logs; k is at most MN_TARGETS. */
enum { MN_TARGETS = 16 };
MN_CHECKED mn_status mn_logprobs(mn_context *context, const int32_t *targets, int k, float *out);
/* Next ids (logit_rows) and their log-probabilities; see mn_sample_fn. */
MN_CHECKED mn_status mn_next_tokens(mn_context *context, float temperature, uint64_t seed,
                                    const int32_t *sequence, const int32_t *step, int32_t *ids,
                                    float *logprob);
/* The logits themselves in fp32 (logit_rows, vocab): for tests and inspection. */
MN_CHECKED mn_status mn_logits(mn_context *context, float *out);

/* Forward and backward of one micro-batch: adds to adapter->gradient the gradient of scale * sum of
 * -log p(target) over the batch's logit rows; *loss_sum is the unscaled sum. targets (logit_rows)
 * is the token after each logit row. The caller gives scale = 1 / loss tokens of the whole step,
 * over all micro-batches and ranks. dropout_seed and first_row key the masks (see mn_lora);
 * training must be set in the limits. */
struct mn_loss {
    const int32_t *targets;
    double scale;
    uint64_t dropout_seed;
    int64_t first_row;
};
MN_CHECKED mn_status mn_loss_backward(mn_context *context, mn_adapter *adapter,
                                      const struct mn_batch *batch, const struct mn_loss *loss,
                                      double *loss_sum);
/* The loss alone, without dropout: for evaluation during training. */
MN_CHECKED mn_status mn_loss_forward(mn_context *context, const mn_adapter *adapter,
                                     const struct mn_batch *batch, const int32_t *targets,
                                     double *loss_sum);

#endif
