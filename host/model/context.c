/* context.c: every buffer that a batch needs, planned for the largest one and carved once. */
#include "internal.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* --- workspace: the most that any op of this model can ask for
 * ------------------------------------ */

/* A linear with `parts` modules of an adapter that share the rank; with dropout when training. */
static struct mn_lora largest_lora(const struct mn_limits *limits, int parts, int out)
{
    struct mn_lora lora = {.parts = parts, .dropout = limits->training ? 0.5f : 0};
    for (int p = 0; p < parts; p++) {
        const int rank = limits->lora_rank / parts + (p < limits->lora_rank % parts);
        lora.part[p] = (struct mn_lora_part){
            .out_begin = 0, .out = out, .rank_begin = lora.rank, .rank = rank, .scale = 1};
        lora.rank += rank;
    }
    return lora;
}

static size_t linear_workspace(const mn_context *c, struct mn_weight weight, int rows, bool adapted)
{
    const struct mn_ops *ops = c->model->device->ops;
    const int most = adapted ? MN_LORA_PARTS : 0;
    size_t bytes = 0;
    for (int parts = 0; parts <= most && parts <= c->limits.lora_rank; parts++) {
        const struct mn_lora lora = largest_lora(&c->limits, parts, weight.out);
        const struct mn_linear_forward forward = {
            .weight = weight, .lora = lora, .rows = rows, .ldx = weight.in, .ldy = weight.out};
        const struct mn_linear_backward backward = {
            .weight = weight, .lora = lora, .rows = rows, .ldy = weight.out};
        bytes = larger(bytes, ops->linear_forward_workspace(&forward));
        if (c->limits.training) bytes = larger(bytes, ops->linear_backward_workspace(&backward));
    }
    return bytes;
}

int mn_decode_length(const mn_context *c)
{
    const int longest = mn_longest_sequence(&c->model->config), asked = c->limits.decode_length;
    return asked > 0 && asked < longest ? asked : longest;
}

static size_t attention_workspace(const mn_context *c)
{
    const struct mn_ops *ops = c->model->device->ops;
    const struct mn_attention_shape shape = mn_attention_shape_of(&c->model->config);
    const int longest = mn_longest_sequence(&c->model->config), tokens = c->limits.tokens;
    const struct mn_segments segments = {.rows = tokens,
                                         .sequences = c->limits.sequences,
                                         .max_length = tokens < longest ? tokens : longest,
                                         .max_prefix = c->limits.cache_rows ? longest : 0};
    const struct mn_attention_forward forward = {.segments = segments, .shape = shape};
    const struct mn_attention_backward backward = {.segments = segments, .shape = shape};
    const struct mn_attention_decode decode = {
        .rows = c->limits.sequences, .max_length = mn_decode_length(c), .shape = shape};
    size_t bytes = ops->attention_forward_workspace(&forward);
    if (c->limits.cache_rows) bytes = larger(bytes, ops->attention_decode_workspace(&decode));
    if (c->limits.training) bytes = larger(bytes, ops->attention_backward_workspace(&backward));
    return bytes;
}

static size_t largest_workspace(const mn_context *c)
{
    const struct mn_layer *layer = &c->model->layer[0];
    const struct mn_weight linears[MN_FUSED] = {layer->qkv, layer->o, layer->gate_up, layer->down};
    size_t bytes = attention_workspace(c);
    for (int f = 0; f < MN_FUSED; f++)
        bytes = larger(bytes, linear_workspace(c, linears[f], c->limits.tokens, true));
    return larger(bytes, linear_workspace(c, c->model->head, c->limits.logit_rows, false));
}

mn_status mn_context_fits(const mn_context *c, const char *op, size_t bytes)
{
    if (bytes <= c->workspace_bytes) return MN_OK;
    return mn_fail(MN_DEVICE, "%s: asks for %zu bytes of workspace, %zu were planned", op, bytes,
                   c->workspace_bytes);
}

/* --- buffers
 * -------------------------------------------------------------------------------------- */

static mn_act *take(const mn_context *c, struct mn_pool *pool, int64_t rows, int64_t columns)
{
    return mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, (size_t)(rows * columns),
                        c->model->device->act_bytes);
}

static float *take_floats(struct mn_pool *pool, int64_t count)
{
    return mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, (size_t)count, sizeof(float));
}

static int qkv_width(const struct mn_model_config *config)
{
    return mn_fused_shape(config, MN_FUSED_QKV).out;
}

static void plan_layer(const mn_context *c, struct mn_pool *pool, struct layer_state *layer)
{
    const struct mn_model_config *m = &c->model->config;
    const int64_t tokens = c->limits.tokens;
    const bool training = c->limits.training;
    layer->x = take(c, pool, tokens, m->hidden);
    layer->middle = training ? take(c, pool, tokens, m->hidden) : layer->x;
    layer->x_rstd = training ? take_floats(pool, tokens) : NULL;
    layer->middle_rstd = training ? take_floats(pool, tokens) : NULL;
    layer->qkv = take(c, pool, tokens, qkv_width(m));
    layer->lse = training ? take_floats(pool, tokens * m->heads) : NULL;
    layer->attention = take(c, pool, tokens, (int64_t)m->heads * m->head_dim);
    layer->gate_up = take(c, pool, tokens, 2 * (int64_t)m->ff);
    for (int f = 0; f < MN_FUSED && c->limits.lora_rank; f++)
        layer->u[f] = f && !training ? layer->u[0] : take(c, pool, tokens, c->limits.lora_rank);
}

static void plan_cache(const mn_context *c, struct mn_pool *pool, struct layer_state *layer)
{
    const struct mn_model_config *m = &c->model->config;
    const size_t count = (size_t)c->limits.cache_rows * (size_t)(m->kv_heads * m->head_dim);
    if (!count) return;
    layer->cache_k = mn_pool_take(pool, MN_MEMORY_CACHE, count, c->model->device->act_bytes);
    layer->cache_v = mn_pool_take(pool, MN_MEMORY_CACHE, count, c->model->device->act_bytes);
}

static void plan_layers(mn_context *c, struct mn_pool *pool)
{
    for (int l = 0; l < c->model->config.layers; l++) {
        struct layer_state *layer = &c->layer[l];
        if (l == 0 || c->limits.training)
            plan_layer(c, pool, layer);
        else
            *layer = c->layer[0];
        plan_cache(c, pool, layer);
    }
    c->final = c->limits.training ? take(c, pool, c->limits.tokens, c->model->config.hidden)
                                  : c->layer[0].x;
    c->final_rstd = c->limits.training ? take_floats(pool, c->limits.tokens) : NULL;
}

static void plan_passing(mn_context *c, struct mn_pool *pool)
{
    const struct mn_model_config *m = &c->model->config;
    const int64_t tokens = c->limits.tokens, queries = (int64_t)m->heads * m->head_dim;
    c->norm = take(c, pool, tokens, m->hidden);
    c->branch = take(c, pool, tokens, m->hidden > queries ? m->hidden : queries);
    c->ff = take(c, pool, tokens, m->ff);
    c->gathered = take(c, pool, tokens, m->hidden);
    c->logits = take(c, pool, c->limits.logit_rows, m->vocab);
    c->logit_row_f32 = take_floats(pool, m->vocab);
    c->targets = mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, (size_t)tokens * MN_TARGETS, 4);
    c->results = take_floats(pool, tokens * MN_TARGETS);
    c->upload.device = mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, (size_t)c->upload.capacity, 4);
    if (!c->limits.training) return;
    c->dx = take(c, pool, tokens, m->hidden);
    c->dnorm = take(c, pool, tokens, m->hidden);
    c->dff = take(c, pool, tokens, m->ff);
    c->dqkv = take(c, pool, tokens, qkv_width(m));
}

static void plan_context(mn_context *c, struct mn_pool *pool)
{
    plan_layers(c, pool);
    plan_passing(c, pool);
    c->workspace = mn_pool_take(pool, MN_MEMORY_WORKSPACE, c->workspace_bytes, 1);
}

/* Up to eight arrays of a row each and three of a sequence each, every one rounded up to 16 bytes.
 */
static int upload_words(const struct mn_limits *limits)
{
    return 8 * (limits->tokens + 4) + 3 * (limits->sequences + 5);
}

static mn_status check_limits(const struct mn_limits *limits)
{
    enum { MOST = 1 << 26 }; /* so that counts of words stay within int */
    if (limits->tokens < 1 || limits->tokens > MOST || limits->sequences < 1 ||
        limits->sequences > MOST || limits->logit_rows < 1 || limits->cache_rows < 0 ||
        limits->cache_rows > INT32_MAX || limits->lora_rank < 0)
        return mn_fail(MN_INVALID,
                       "limits of a batch: %d tokens, %d sequences, %d logit rows, %lld cache "
                       "rows, LoRA rank %d: expected positive numbers",
                       limits->tokens, limits->sequences, limits->logit_rows,
                       (long long)limits->cache_rows, limits->lora_rank);
    return MN_OK;
}

static mn_context *new_context(mn_model *model, const struct mn_limits *limits, mn_arena *arena)
{
    mn_context *c = MN_NEW(arena, mn_context, 1);
    *c = (mn_context){.model = model, .limits = *limits, .arena = arena};
    c->layer = MN_NEW(arena, struct layer_state, model->config.layers);
    c->workspace_bytes = largest_workspace(c);
    c->upload.capacity = upload_words(limits);
    return c;
}

mn_status mn_context_open(mn_context **out, mn_model *model, const struct mn_limits *limits)
{
    mn_status st;
    mn_arena *arena;
    MN_TRY(check_limits(limits));
    if (model->options.plan_only)
        return mn_fail(MN_INVALID, "a model without its weights cannot run");
    MN_TRY(mn_arena_open(&arena));
    mn_context *c = new_context(model, limits, arena);
    c->pool.device = model->device;
    c->upload.host = MN_NEW(arena, int32_t, c->upload.capacity);
    c->host_results = MN_NEW(arena, float, (size_t)limits->tokens *MN_TARGETS);
    plan_context(c, &c->pool);
    MN_GO(mn_pool_commit(&c->pool));
    plan_context(c, &c->pool);
done:
    if (st == MN_OK)
        *out = c;
    else
        mn_context_close(&c);
    return st;
}

void mn_context_close(mn_context **context)
{
    if (!*context) return;
    mn_arena *arena = (*context)->arena;
    mn_graphs_close(*context);
    mn_pool_close(&(*context)->pool);
    mn_arena_close(&arena);
    *context = NULL;
}

/* A model without memory: dense weights are told from packed ones by a pointer that is not NULL. */
static void imagine_model(mn_model *model, struct mn_layer *layer)
{
    static const char somewhere;
    const bool packed =
        model->options.quantization != MN_QUANTIZE_NONE && model->options.keep_packed;
    struct mn_weight *const linears[MN_FUSED] = {&layer->qkv, &layer->o, &layer->gate_up,
                                                 &layer->down};
    for (int f = 0; f < MN_FUSED; f++) {
        *linears[f] = mn_fused_shape(&model->config, (enum mn_fused)f);
        if (!packed) linears[f]->dense = (const mn_act *)&somewhere;
    }
    model->head = (struct mn_weight){.out = model->config.vocab,
                                     .in = model->config.hidden,
                                     .dense = (const mn_act *)&somewhere};
    model->layer = layer;
}

void mn_context_plan(const mn_device *device, const struct mn_model_config *config,
                     const struct mn_model_options *options, const struct mn_limits *limits,
                     size_t by_use[MN_MEMORY_USES])
{
    struct mn_layer layer = {0};
    struct mn_pool pool = {0};
    mn_model model = {.device = (mn_device *)device, .config = *config};
    mn_arena *arena = NULL;
    mn_status st = mn_arena_open(&arena); /* cannot fail: it aborts without memory */
    if (st != MN_OK) return;
    if (options) model.options = *options;
    imagine_model(&model, &layer);
    plan_context(new_context(&model, limits, arena), &pool);
    for (int use = 0; use < MN_MEMORY_USES; use++) by_use[use] = pool.by_use[use];
    mn_arena_close(&arena);
}
