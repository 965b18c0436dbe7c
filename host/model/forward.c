/* forward.c: the model, once, over the device's table of ops.
 *
 *   x = embedding[ids]
 *   each layer:  x += O(attention(rope(QKV(norm(x)))));   x += Down(swiglu(GateUp(norm(x))))
 *   hidden = norm(x) of the rows whose logits are wanted
 *
 * SwiGLU is fused with the linear before it, each addition to the residual stream with the norm
 * that follows it. Prefill, training and decode differ only in how attention finds its keys. */
#include <math.h>
#include <stdio.h>

#include "internal.h"

struct mn_attention_shape mn_attention_shape_of(const struct mn_model_config *config)
{
    return (struct mn_attention_shape){config->heads, config->kv_heads, config->head_dim,
                                       (float)(1.0 / sqrt(config->head_dim))};
}

struct mn_lora mn_pass_lora(const struct pass *pass, int layer, enum mn_fused fused)
{
    if (!pass->adapter || pass->adapter->strength == 0) return (struct mn_lora){0};
    struct mn_lora lora = pass->adapter->lora[layer * MN_FUSED + (int)fused];
    if (!pass->dropout) lora.dropout = 0;
    lora.seed = pass->dropout_seed;
    lora.first_row = pass->first_row;
    return lora;
}

int mn_pass_groups(const struct pass *pass, int layer, enum mn_fused fused,
                   struct mn_lora_group *groups)
{
    int count = 0;
    for (int g = 0; g < pass->group_count; g++) {
        const struct pass_group *from = &pass->groups[g];
        const struct mn_lora *lora = &from->adapter->lora[layer * MN_FUSED + (int)fused];
        if (!lora->parts) continue;
        groups[count] = (struct mn_lora_group){from->first_row, from->rows, *lora};
        groups[count++].lora.dropout = 0;
    }
    return count;
}

/* y = linear(x), both dense; swiglu = SwiGLU of y, unless NULL: only training wants y beside it. */
static mn_status linear(mn_context *c, int l, enum mn_fused fused, mn_act *y, mn_act *swiglu,
                        const mn_act *x)
{
    const struct mn_layer *layer = &c->model->layer[l];
    const struct mn_weight *const weights[MN_FUSED] = {&layer->qkv, &layer->o, &layer->gate_up,
                                                       &layer->down};
    struct mn_lora_group groups[MN_ADAPTER_GROUPS];
    mn_device *device = c->model->device;
    const struct mn_linear_forward args = {
        .y = y,
        .swiglu = swiglu,
        .y_is_room = !c->limits.training,
        .u = c->layer[l].u[fused],
        .x = x,
        .weight = *weights[fused],
        .lora = mn_pass_lora(&c->pass, l, fused),
        .groups = groups,
        .group_count = mn_pass_groups(&c->pass, l, fused, groups),
        .rows = c->pass.rows,
        .ldx = weights[fused]->in,
        .ldy = weights[fused]->out,
        .workspace = c->workspace,
    };
    MN_TRY(mn_context_fits(c, "linear_forward", device->ops->linear_forward_workspace(&args)));
    return device->ops->linear_forward(&args, device->stream);
}

static mn_status attend_to_segments(mn_context *c, struct layer_state *layer)
{
    mn_device *device = c->model->device;
    const bool prefixes = c->pass.segments.prefix_start != NULL;
    const struct mn_attention_forward args = {
        .out = layer->attention,
        .lse = layer->lse,
        .qkv = layer->qkv,
        .cache_k = prefixes ? layer->cache_k : NULL,
        .cache_v = prefixes ? layer->cache_v : NULL,
        .segments = c->pass.segments,
        .shape = mn_attention_shape_of(&c->model->config),
        .workspace = c->workspace,
    };
    MN_TRY(
        mn_context_fits(c, "attention_forward", device->ops->attention_forward_workspace(&args)));
    return device->ops->attention_forward(&args, device->stream);
}

static mn_status attend_to_cache(mn_context *c, struct layer_state *layer)
{
    mn_device *device = c->model->device;
    const struct mn_attention_decode args = {
        .out = layer->attention,
        .qkv = layer->qkv,
        .cache_k = layer->cache_k,
        .cache_v = layer->cache_v,
        .start = c->pass.start,
        .length = c->pass.length,
        .prefix_start = c->pass.prefix_start,
        .prefix_length = c->pass.prefix_length,
        .rows = c->pass.rows,
        .max_length = c->pass.max_length,
        .shape = mn_attention_shape_of(&c->model->config),
        .workspace = c->workspace,
    };
    MN_TRY(mn_context_fits(c, "attention_decode", device->ops->attention_decode_workspace(&args)));
    return device->ops->attention_decode(&args, device->stream);
}

/* Behind the keys and values of the last layer, a pass that only answers needs no other rows than
 * those whose logits are wanted. */
static bool narrows(const mn_context *c, int l)
{
    return l == c->model->config.layers - 1 && !c->limits.training &&
           c->pass.logit_rows < c->pass.rows;
}

/* Gathers these rows of the attention's output (where queries were: qkv) and of the residual stream
 * (in `gathered`): the pass goes on with them alone. */
static mn_status narrow(mn_context *c, struct layer_state *layer)
{
    const struct mn_model_config *m = &c->model->config;
    const struct mn_ops *ops = c->model->device->ops;
    const struct pass *pass = &c->pass;
    mn_stream stream = c->model->device->stream;
    MN_TRY(ops->gather_rows(layer->qkv, layer->attention, pass->logit_row, pass->logit_rows,
                            m->heads * m->head_dim, stream));
    MN_TRY(ops->gather_rows(c->gathered, layer->x, pass->logit_row, pass->logit_rows, m->hidden,
                            stream));
    mn_pass_narrow(&c->pass);
    return MN_OK;
}

/* branch = O(attention(rope(QKV(norm)))) */
static mn_status attention_block(mn_context *c, int l)
{
    const struct mn_model_config *m = &c->model->config;
    const struct mn_ops *ops = c->model->device->ops;
    mn_stream stream = c->model->device->stream;
    struct layer_state *layer = &c->layer[l];
    MN_TRY(linear(c, l, MN_FUSED_QKV, layer->qkv, NULL, c->norm));
    MN_TRY(ops->rope(layer->qkv, c->model->rope_table, c->pass.positions, c->pass.rows,
                     m->heads + m->kv_heads, m->head_dim, c->model->layer[l].qkv.out, 1, stream));
    if (c->pass.slot)
        MN_TRY(ops->cache_write(layer->cache_k, layer->cache_v, layer->qkv, c->pass.slot,
                                c->pass.rows, mn_attention_shape_of(m), stream));
    if (c->pass.logit_rows > 0 || !narrows(c, l))
        MN_TRY(c->pass.decode ? attend_to_cache(c, layer) : attend_to_segments(c, layer));
    if (!narrows(c, l)) return linear(c, l, MN_FUSED_O, c->branch, NULL, layer->attention);
    MN_TRY(narrow(c, layer));
    return linear(c, l, MN_FUSED_O, c->branch, NULL, layer->qkv);
}

/* branch = Down(swiglu(GateUp(norm))) */
static mn_status ff_block(mn_context *c, int l)
{
    MN_TRY(linear(c, l, MN_FUSED_GATE_UP, c->layer[l].gate_up, c->ff, c->norm));
    return linear(c, l, MN_FUSED_DOWN, c->branch, NULL, c->ff);
}

/* sum = x + branch, norm = rmsnorm(sum) */
static mn_status join(mn_context *c, mn_act *sum, float *rstd, const mn_act *x,
                      const mn_act *norm_weight)
{
    const struct mn_model_config *m = &c->model->config;
    return c->model->device->ops->add_rmsnorm_forward(c->norm, sum, rstd, x, c->branch, norm_weight,
                                                      c->pass.rows, m->hidden, (float)m->rms_eps,
                                                      c->model->device->stream);
}

void mn_layer_range_begin(mn_device *device, int layer, const char *suffix)
{
    char name[32];
    snprintf(name, sizeof name, "layer %d%s", layer, suffix);
    device->calls->range_begin(device, name);
}

/* From one layer's x to the next layer's x, and its norm. */
static mn_status run_layer(mn_context *c, int l)
{
    const struct mn_model *model = c->model;
    struct layer_state *layer = &c->layer[l], *next = layer + 1;
    const bool last = l == model->config.layers - 1, narrowed = narrows(c, l);
    const mn_act *x = narrowed ? c->gathered : layer->x;
    mn_act *middle = narrowed ? c->gathered : layer->middle;
    MN_TRY(attention_block(c, l));
    MN_TRY(join(c, middle, layer->middle_rstd, x, model->layer[l].ff_norm));
    MN_TRY(ff_block(c, l));
    return join(c, last ? c->final : next->x, last ? c->final_rstd : next->x_rstd, middle,
                last ? model->final_norm : model->layer[l + 1].attention_norm);
}

mn_status mn_run_forward(mn_context *c)
{
    const struct mn_model *model = c->model;
    const struct mn_model_config *m = &model->config;
    const struct mn_ops *ops = model->device->ops;
    const struct pass *pass = &c->pass;
    mn_stream stream = model->device->stream;
    MN_TRY(ops->embed_forward(c->layer[0].x, model->embedding, pass->ids, pass->rows, m->hidden,
                              m->vocab, stream));
    MN_TRY(ops->rmsnorm_forward(c->norm, c->layer[0].x_rstd, c->layer[0].x,
                                model->layer[0].attention_norm, pass->rows, m->hidden, m->hidden,
                                (float)m->rms_eps, stream));
    for (int l = 0; l < m->layers; l++) {
        mn_layer_range_begin(model->device, l, "");
        MN_TRY(run_layer(c, l));
        model->device->calls->range_end(model->device);
    }
    c->hidden = c->norm;
    if (pass->logit_rows == pass->rows) return MN_OK;
    c->hidden = c->gathered;
    return ops->gather_rows(c->gathered, c->norm, pass->logit_row, pass->logit_rows, m->hidden,
                            stream);
}

mn_status mn_forward(mn_context *context, const mn_adapter *adapter, const struct mn_batch *batch)
{
    MN_TRY(mn_pass_prefill(context, adapter, batch, NULL));
    return mn_run_forward(context);
}

mn_status mn_decode(mn_context *context, const mn_adapter *adapter,
                    const struct mn_decode_batch *batch)
{
    MN_TRY(mn_pass_decode(context, adapter, batch));
    return mn_run_step(context);
}
