/* weights.c: the model on the device: planned buffers, fused and perhaps quantized linears, the
 * rotary table. Where the values come from is the source's affair: files.c or random.c. */
#include <math.h>
#include <stdlib.h>

#include "internal.h"
#include "minuano/parallel.h"

static bool packed(const struct mn_model_options *options)
{
    return options->quantization != MN_QUANTIZE_NONE && options->keep_packed;
}

static struct mn_weight plan_linear(struct mn_pool *pool, const mn_model *model,
                                    enum mn_fused fused)
{
    struct mn_weight weight = mn_fused_shape(&model->config, fused);
    const size_t count = (size_t)weight.out * (size_t)weight.in;
    if (packed(&model->options)) {
        weight.codes = mn_pool_take(pool, MN_MEMORY_WEIGHTS, count / 2, 1);
        weight.absmax = mn_pool_take(pool, MN_MEMORY_WEIGHTS, count / 64, sizeof(float));
    } else {
        weight.dense = mn_pool_take(pool, MN_MEMORY_WEIGHTS, count, model->device->act_bytes);
    }
    return weight;
}

static mn_act *plan_acts(struct mn_pool *pool, const mn_model *model, size_t count)
{
    return mn_pool_take(pool, MN_MEMORY_WEIGHTS, count, model->device->act_bytes);
}

static void plan_weights(mn_model *model, struct mn_pool *pool)
{
    const struct mn_model_config *c = &model->config;
    const size_t hidden = (size_t)c->hidden, table = (size_t)c->vocab * hidden;
    model->embedding = plan_acts(pool, model, table);
    model->final_norm = plan_acts(pool, model, hidden);
    model->head = (struct mn_weight){.out = c->vocab, .in = c->hidden};
    model->head.dense = c->tied ? model->embedding : plan_acts(pool, model, table);
    for (int l = 0; l < c->layers; l++) {
        struct mn_layer *layer = &model->layer[l];
        layer->attention_norm = plan_acts(pool, model, hidden);
        layer->qkv = plan_linear(pool, model, MN_FUSED_QKV);
        layer->o = plan_linear(pool, model, MN_FUSED_O);
        layer->ff_norm = plan_acts(pool, model, hidden);
        layer->gate_up = plan_linear(pool, model, MN_FUSED_GATE_UP);
        layer->down = plan_linear(pool, model, MN_FUSED_DOWN);
    }
    model->rope_table =
        mn_pool_take(pool, MN_MEMORY_WEIGHTS, (size_t)mn_longest_sequence(c) * (size_t)c->head_dim,
                     sizeof(float));
}

size_t mn_model_bytes(const mn_device *device, const struct mn_model_config *config,
                      const struct mn_model_options *options)
{
    struct mn_pool pool = {0};
    mn_model model = {.device = (mn_device *)device, .config = *config};
    if (options) model.options = *options;
    model.layer = mn_realloc(NULL, (size_t)config->layers, sizeof *model.layer);
    plan_weights(&model, &pool);
    free(model.layer);
    return pool.used;
}

/* The rotary table: cos and sin of position / theta^(2i/head_dim), with transformers' fp32 steps.
 * Mistral-7B's four million of them take one thread 0.4 s. */
enum { ROPE_ROWS = 512 };
struct rope {
    float *table;   /* (positions, 2 half) */
    float *inverse; /* (half) */
    int positions, half;
};

static mn_status fill_rope_rows(void *job, size_t block)
{
    const struct rope *rope = job;
    const int first = (int)block * ROPE_ROWS, half = rope->half;
    for (int p = first; p < first + ROPE_ROWS && p < rope->positions; p++) {
        float *row = rope->table + (int64_t)p * 2 * half;
        for (int i = 0; i < half; i++) {
            const float angle = (float)p * rope->inverse[i];
            row[i] = (float)cos(angle);
            row[half + i] = (float)sin(angle);
        }
    }
    return MN_OK;
}

static mn_status fill_rope_table(mn_model *model)
{
    struct rope rope = {.positions = mn_longest_sequence(&model->config),
                        .half = model->config.head_dim / 2};
    const size_t bytes = (size_t)rope.positions * 2 * (size_t)rope.half * sizeof(float);
    rope.table = mn_realloc(NULL, bytes, 1);
    rope.inverse = mn_realloc(NULL, (size_t)rope.half, sizeof *rope.inverse);
    for (int i = 0; i < rope.half; i++) {
        const float exponent = (float)(2 * i) / (float)(2 * rope.half);
        rope.inverse[i] = 1.0f / (float)pow(model->config.rope_theta, exponent);
    }
    mn_status st =
        mn_parallel(0, ((size_t)rope.positions + ROPE_ROWS - 1) / ROPE_ROWS, fill_rope_rows, &rope);
    if (st == MN_OK)
        st = model->device->calls->upload(model->device, (float *)model->rope_table, rope.table,
                                          bytes);
    free(rope.table);
    free(rope.inverse);
    return st;
}

/* NF4 cuts each matrix of the file into blocks of 64 by itself, fused or not. */
static mn_status check_blocks(const struct mn_model_config *config,
                              const struct mn_model_options *options)
{
    for (int m = 0; m < MN_MODULES && options->quantization != MN_QUANTIZE_NONE; m++) {
        struct module_shape shape = mn_module_shape(config, (enum mn_module)m);
        if ((int64_t)shape.out * shape.in % 64)
            return mn_fail(MN_UNSUPPORTED,
                           "NF4: %s has %d x %d elements, which is not a multiple of 64",
                           mn_module_names[m], shape.out, shape.in);
    }
    return MN_OK;
}

mn_status mn_model_new(mn_model **out, mn_device *device, const struct mn_model_config *config,
                       const struct mn_model_options *options)
{
    mn_status st;
    mn_arena *arena;
    MN_TRY(mn_arena_open(&arena));
    mn_model *model = MN_NEW(arena, mn_model, 1);
    *model = (mn_model){.device = device, .config = *config, .arena = arena};
    if (options) model->options = *options;
    model->layer = MN_NEW(arena, struct mn_layer, config->layers);
    model->pool.device = device;
    MN_GO(check_blocks(config, &model->options));
    plan_weights(model, &model->pool);
    if (model->options.plan_only) goto done;
    MN_GO(mn_pool_commit(&model->pool));
    plan_weights(model, &model->pool);
    MN_GO(fill_rope_table(model));
done:
    if (st == MN_OK)
        *out = model;
    else
        mn_model_close(&model);
    return st;
}

void mn_model_close(mn_model **model)
{
    if (!*model) return;
    mn_arena *arena = (*model)->arena;
    mn_pool_close(&(*model)->pool);
    mn_arena_close(&arena);
    *model = NULL;
}

/* Scratch of the quantization: the largest matrix dense, its codes and scales. */
struct scratch {
    struct mn_pool pool;
    mn_act *dense;
    uint8_t *codes;
    float *absmax, *host_absmax;
};

static mn_status open_scratch(struct scratch *scratch, const mn_model *model)
{
    size_t largest = 0;
    scratch->pool = (struct mn_pool){.device = model->device};
    for (int m = 0; m < MN_MODULES; m++) {
        struct module_shape shape = mn_module_shape(&model->config, (enum mn_module)m);
        const size_t count = (size_t)shape.out * (size_t)shape.in;
        if (count > largest) largest = count;
    }
    for (int carving = 0; carving < 2; carving++) {
        if (carving) MN_TRY(mn_pool_commit(&scratch->pool));
        scratch->dense =
            mn_pool_take(&scratch->pool, MN_MEMORY_WORKSPACE, largest, model->device->act_bytes);
        scratch->codes = mn_pool_take(&scratch->pool, MN_MEMORY_WORKSPACE, largest / 2, 1);
        scratch->absmax =
            mn_pool_take(&scratch->pool, MN_MEMORY_WORKSPACE, largest / 64, sizeof(float));
    }
    scratch->host_absmax = mn_realloc(NULL, largest / 64, sizeof(float));
    return MN_OK;
}

static void close_scratch(struct scratch *scratch)
{
    mn_pool_close(&scratch->pool);
    free(scratch->host_absmax);
}

/* From scratch->dense into the codes of a packed weight, or through codes back into a dense one. */
static mn_status quantize(const mn_model *model, const struct scratch *scratch,
                          const struct mn_weight *weight, int64_t begin, int64_t count)
{
    mn_device *device = model->device;
    const size_t bytes = (size_t)(count / 64) * sizeof(float);
    uint8_t *codes = weight->dense ? scratch->codes : (uint8_t *)weight->codes + begin / 2;
    float *absmax = weight->dense ? scratch->absmax : (float *)weight->absmax + begin / 64;
    MN_TRY(device->ops->nf4_quantize(codes, absmax, scratch->dense, count, device->stream));
    if (model->options.quantization == MN_QUANTIZE_NF4_DOUBLE) {
        MN_TRY(device->calls->download(device, scratch->host_absmax, absmax, bytes));
        mn_double_quantize(scratch->host_absmax, count / 64);
        MN_TRY(device->calls->upload(device, absmax, scratch->host_absmax, bytes));
    }
    if (!weight->dense) return MN_OK;
    return device->ops->nf4_dequantize(mn_act_at(device, weight->dense, begin), codes, absmax,
                                       count, device->stream);
}

struct mn_weight *mn_fused_weight(struct mn_layer *layer, enum mn_fused fused)
{
    struct mn_weight *const weights[MN_FUSED] = {&layer->qkv, &layer->o, &layer->gate_up,
                                                 &layer->down};
    return weights[fused];
}

static mn_status load_module(mn_model *model, struct weight_source *source,
                             const struct scratch *scratch, int l, enum mn_module module)
{
    char name[NAME_ROOM];
    const struct module_shape shape = mn_module_shape(&model->config, module);
    const struct mn_weight *weight = mn_fused_weight(&model->layer[l], shape.fused);
    const int64_t begin = (int64_t)shape.begin * shape.in, count = (int64_t)shape.out * shape.in;
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, mn_module_path(module));
    if (model->options.quantization == MN_QUANTIZE_NONE)
        return source->load(source, mn_act_at(model->device, weight->dense, begin), name, shape.out,
                            shape.in);
    MN_TRY(source->load(source, scratch->dense, name, shape.out, shape.in));
    return quantize(model, scratch, weight, begin, count);
}

static mn_status load_layer(mn_model *model, struct weight_source *source,
                            const struct scratch *scratch, int l)
{
    char name[NAME_ROOM];
    const struct mn_layer *layer = &model->layer[l];
    const int hidden = model->config.hidden;
    snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", l);
    MN_TRY(source->load(source, (mn_act *)layer->attention_norm, name, hidden, 0));
    snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", l);
    MN_TRY(source->load(source, (mn_act *)layer->ff_norm, name, hidden, 0));
    for (int m = 0; m < MN_MODULES; m++)
        MN_TRY(load_module(model, source, scratch, l, (enum mn_module)m));
    return MN_OK;
}

mn_status mn_model_load(mn_model *model, struct weight_source *source)
{
    mn_status st = MN_OK;
    struct scratch scratch = {0};
    const struct mn_model_config *c = &model->config;
    if (model->options.quantization != MN_QUANTIZE_NONE) MN_GO(open_scratch(&scratch, model));
    MN_GO(source->load(source, (mn_act *)model->embedding, "model.embed_tokens.weight", c->vocab,
                       c->hidden));
    for (int l = 0; l < c->layers; l++) MN_GO(load_layer(model, source, &scratch, l));
    MN_GO(source->load(source, (mn_act *)model->final_norm, "model.norm.weight", c->hidden, 0));
    if (!c->tied)
        MN_GO(source->load(source, (mn_act *)model->head.dense, "lm_head.weight", c->vocab,
                           c->hidden));
    MN_GO(model->device->calls->synchronize(model->device));
done:
    close_scratch(&scratch);
    return st;
}
