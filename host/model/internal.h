/* internal.h: what the files of this room share with each other and with nobody else (tests and
 * fuzz targets apart). */
#ifndef MINUANO_MODEL_INTERNAL_H
#define MINUANO_MODEL_INTERNAL_H

#include "minuano/model.h"
#include "minuano/safetensors.h"

/* --- shapes of the linears ------------------------------------------------------------------- */

/* Module m of a layer: a matrix (out, in) that fills rows begin … begin+out-1 of its fused linear.
 */
struct module_shape {
    enum mn_fused fused;
    int out, in, begin;
};
struct module_shape mn_module_shape(const struct mn_model_config *config, enum mn_module module);
/* The fused linear's (out, in), as a weight without data. */
struct mn_weight mn_fused_shape(const struct mn_model_config *config, enum mn_fused fused);
/* "self_attn.q_proj" */
const char *mn_module_path(enum mn_module module);

enum { NAME_ROOM = MN_TENSOR_NAME };

/* --- parsers that work on memory, for the fuzz targets -------------------------------------------
 */

/* Tensors of one file already in memory; *out lives in the arena, sorted by name. */
struct tensor_list {
    struct mn_tensor *item;
    size_t count;
    struct other_tensor { /* of a dtype that we do not read */
        const char *name, *file, *type;
    } * other;
    size_t other_count;
    struct metadatum {
        const char *key, *value;
    } * metadata;
    size_t metadata_count;
};
MN_CHECKED mn_status mn_tensors_parse(struct tensor_list *out, mn_arena *arena,
                                      const unsigned char *data, size_t size, const char *path);
MN_CHECKED mn_status mn_model_config_parse(struct mn_model_config *out, const json_t *object,
                                           const char *path);
MN_CHECKED mn_status mn_lora_config_parse(struct mn_lora_config *out, const json_t *object,
                                          const char *path);

/* out (count) floats from `count` elements at `data`, which may be unaligned. */
void mn_to_floats(float *out, const void *data, enum mn_dtype type, int64_t count);
/* The way back for 16-bit types, to nearest even. */
void mn_from_floats(void *out, enum mn_dtype type, const float *in, int64_t count);

/* --- weights -------------------------------------------------------------------------------------
 */

/* Where the values of a model come from: files, or random numbers. load fills out (rows, columns),
 * columns 0 for one dimension. */
struct weight_source {
    mn_status (*load)(struct weight_source *source, mn_act *out, const char *name, int64_t rows,
                      int64_t columns);
    mn_device *device;
};
/* A model with its buffers and rotary table, still without weights. */
MN_CHECKED mn_status mn_model_new(mn_model **out, mn_device *device,
                                  const struct mn_model_config *config,
                                  const struct mn_model_options *options);
MN_CHECKED mn_status mn_model_load(mn_model *model, struct weight_source *source);
/* Of a model's content, see files.c; names the base in adapters and results. */
void mn_fingerprint(const mn_tensors *tensors, const struct mn_model_config *config, char out[65]);
struct mn_weight *mn_fused_weight(struct mn_layer *layer, enum mn_fused fused);
/* Replaces absmax (count, on the host) by what 8 bits a block keep of it. */
void mn_double_quantize(float *absmax, int64_t count);

/* --- adapters
 * ------------------------------------------------------------------------------------- */

/* Where every A and B lies in the flat array; see struct mn_adapter. lora has no pointers yet. */
struct adapter_layout {
    int64_t count;
    int64_t *a_offset, *b_offset; /* (layers * MN_FUSED) */
    struct mn_lora *lora;         /* (layers * MN_FUSED) */
};
MN_CHECKED mn_status mn_adapter_lay_out(struct adapter_layout *out, mn_arena *arena,
                                        const struct mn_model_config *model,
                                        const struct mn_lora_config *config);
/* Elements where A (rank, in) and B (out, rank) of one targeted module begin. */
void mn_adapter_find(const struct adapter_layout *layout, const struct mn_model_config *model,
                     int layer, enum mn_module module, int64_t *a, int64_t *b);
double mn_lora_scale(const struct mn_lora_config *config);
/* Row o of W + scale · B (out, rank) · A (rank, in) from that row (in) of W. */
void mn_add_update(float *row, int64_t o, const struct mn_lora_config *config, const float *a,
                   const float *b, int in);

/* A PEFT folder on the host. values (layout->count) live in the arena. `base` is the fingerprint of
 * the model; an adapter that was trained on another is refused. It stands in the metadata of
 * adapter_model.safetensors, where PEFT does not look: its config takes no keys but its own. */
#define BASE_FINGERPRINT "base_model_fingerprint"
MN_CHECKED mn_status mn_peft_read_values(float **values, mn_arena *arena,
                                         const struct adapter_layout *layout,
                                         const struct mn_model_config *model,
                                         const struct mn_lora_config *config, const char *base,
                                         const char *folder);
MN_CHECKED mn_status mn_peft_write(const struct adapter_layout *layout,
                                   const struct mn_model_config *model,
                                   const struct mn_lora_config *config, const char *base,
                                   const float *values, const char *folder);
/* "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"; side is 'A' or 'B'. */
void mn_peft_tensor_name(char out[NAME_ROOM], int layer, enum mn_module module, char side);
/* `recorded` may be NULL: not known. */
MN_CHECKED mn_status mn_check_base(const char *folder, const char *recorded, const char *base);

/* --- context
 * -------------------------------------------------------------------------------------- */

/* What a layer leaves behind. When training every layer has its own; else all share one set, and
 * `middle` is `x`. */
struct layer_state {
    mn_act *x, *middle; /* (tokens, hidden) residual stream before attention; before the MLP */
    float *x_rstd, *middle_rstd; /* (tokens); NULL unless training */
    mn_act *qkv;                 /* (tokens, qkv width) rotated */
    float *lse;                  /* (tokens, heads); NULL unless training */
    mn_act *attention;           /* (tokens, heads * head_dim) */
    mn_act *gate_up;             /* (tokens, 2 * ff) */
    mn_act *u[MN_FUSED];         /* (tokens, lora_rank); NULL without adapters */
    mn_act *cache_k, *cache_v;   /* (cache rows, kv_heads * head_dim); always the layer's own */
};

/* Small arrays of one call, gathered on the host and sent in one piece. */
struct upload {
    int32_t *host;
    int32_t *device;
    int used, capacity; /* words */
};
void mn_upload_begin(struct upload *upload);
/* Copies `count` words in and returns where they will be on the device; NULL for NULL. */
const int32_t *mn_upload_add(struct upload *upload, const int32_t *values, int count);
MN_CHECKED mn_status mn_upload_send(struct upload *upload, mn_device *device);

/* The pass being run: arrays on the device, sizes on the host. */
struct pass {
    const mn_adapter *adapter; /* of all rows; or NULL */
    struct pass_group {
        const mn_adapter *adapter;
        int first_row, rows;
    } groups[MN_ADAPTER_GROUPS]; /* (group_count) rows with adapters of their own */
    int group_count;
    struct pass_group narrowed[MN_ADAPTER_GROUPS]; /* (narrowed_count) the same among logit_row */
    int narrowed_count;
    int rows;
    const int32_t *ids, *positions;
    const int32_t *slot;         /* NULL: keys and values are not kept */
    struct mn_segments segments; /* prefill */
    bool decode;                 /* one row a sequence: the rows' own extents instead of segments */
    const int32_t *start, *length, *prefix_start, *prefix_length;
    int max_length; /* of prefix + own extent */
    bool dropout;
    uint64_t dropout_seed;
    const int64_t *first_row; /* on the device */
    int logit_rows;
    const int32_t *logit_row; /* NULL: all rows in order */
};

/* What a captured decode step holds on to: see graph.c. The layout of an adapter follows from its
 * config. */
struct step_key {
    const int32_t *ids, *prefix_length; /* where the arrays lie; NULL: no prefixes */
    const mn_act *shadow;               /* of the adapter; NULL: none */
    double strength, alpha;
    int rows, max_length, rank;
    bool rslora, target[MN_MODULES];
};
struct step_graph {
    struct step_key key;
    mn_graph *graph; /* NULL: not captured */
    int64_t last_use;
    int uses; /* 0: the slot is free */
};
enum { MN_STEP_GRAPHS = 8 };

struct mn_context {
    mn_model *model;
    struct mn_limits limits;
    mn_arena *arena;
    struct mn_pool pool;
    struct layer_state *layer; /* (layers) */
    mn_act *final;             /* (tokens, hidden) residual stream behind the last layer */
    float *final_rstd;         /* NULL unless training */
    mn_act *norm;              /* (tokens, hidden) output of the norm just run */
    mn_act *branch;       /* (tokens, max(hidden, heads*head_dim)) what joins the residual stream */
    mn_act *ff;           /* (tokens, ff) */
    mn_act *gathered;     /* (tokens, hidden) */
    mn_act *logits;       /* (logit_rows, vocab) one chunk */
    float *logit_row_f32; /* (vocab) */
    int32_t *targets;     /* (tokens, MN_TARGETS) */
    float *results;       /* (tokens, MN_TARGETS): losses, log-probabilities; ids and their logs */
    float *host_results;
    /* Gradients, only when training. */
    mn_act *dx;    /* (tokens, hidden) of the residual stream */
    mn_act *dnorm; /* (tokens, hidden) of a norm's output */
    mn_act *dff;   /* (tokens, ff) */
    mn_act *dqkv;  /* (tokens, qkv width) */
    void *workspace;
    size_t workspace_bytes;
    struct upload upload;
    struct pass pass;
    struct step_graph steps[MN_STEP_GRAPHS];
    int64_t step_count;
    const mn_act *hidden; /* (pass.logit_rows, hidden) final normed rows: `norm` or `gathered` */
};

/* Fails when an op asks for more scratch than was planned: a workspace function that is not
 * monotone. */
MN_CHECKED mn_status mn_context_fits(const mn_context *c, const char *op, size_t bytes);

/* Longest prefix and extent of a decode step. */
int mn_decode_length(const mn_context *c);

/* batch.c: checks a batch, sends it, and describes it as c->pass. */
MN_CHECKED mn_status mn_pass_prefill(mn_context *c, const mn_adapter *adapter,
                                     const struct mn_batch *batch, const struct mn_loss *loss);
MN_CHECKED mn_status mn_pass_decode(mn_context *c, const mn_adapter *adapter,
                                    const struct mn_decode_batch *batch);

/* From here on the pass has the rows whose logits are wanted, and no others. */
void mn_pass_narrow(struct pass *pass);

/* forward.c */
MN_CHECKED mn_status mn_run_forward(mn_context *c);

/* graph.c: the same for a decode step, from a graph where the shape has been met before. */
MN_CHECKED mn_status mn_run_step(mn_context *c);
void mn_graphs_close(mn_context *c);

/* The adapter of a fused linear in this pass: without dropout unless it trains; parts 0 for none.
 */
struct mn_lora mn_pass_lora(const struct pass *pass, int layer, enum mn_fused fused);
/* Those of the pass's groups, where they adapt that linear. groups (MN_ADAPTER_GROUPS). */
int mn_pass_groups(const struct pass *pass, int layer, enum mn_fused fused,
                   struct mn_lora_group *groups);
struct mn_attention_shape mn_attention_shape_of(const struct mn_model_config *config);

/* guard.c. A loss that is no number, of the pass that was just run: MN_NUMERIC says where it comes
 * from, the adapter's values or the first activation on the way. */
MN_CHECKED mn_status mn_explain_loss(mn_context *c, const mn_adapter *adapter, int row,
                                     double loss);
/* Of the forward pass that was just run with a training context, in its order. */
MN_CHECKED mn_status mn_scan_activations(mn_context *c);

/* head.c */
MN_CHECKED mn_status mn_head_loss(mn_context *c, const int32_t *targets, double scale,
                                  mn_act *dhidden);
MN_CHECKED mn_status mn_check_targets(const mn_context *c, const int32_t *targets, int64_t count);

/* A layer's range in a profile: "layer 7", "layer 7 backward". */
void mn_layer_range_begin(mn_device *device, int layer, const char *suffix);

#endif
