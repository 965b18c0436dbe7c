/* backward.c: the gradient of the loss with respect to the adapter, by the chain rule backwards
 * through forward.c. Base weights are frozen: no gradient is made for them.
 *
 * The forward pass left, by layer: the residual stream before attention and before the MLP with
 * their 1/rms, rotated QKV, attention's output and log-sums, gate-up, and u of each adapted linear.
 * What a gradient of A needs besides (a norm's output, the output of SwiGLU) is computed again: it
 * costs less than keeping it. Gradients of the residual stream are summed in place, in dx. */
#include <math.h>

#include "internal.h"

/* No adapted linear lies below this one, in the forward's order: the pass ends here, for nothing
 * further down has a gradient to receive. */
static bool is_lowest(const struct mn_adapter *adapter, int l, enum mn_fused fused)
{
    if (l > 0) return false;
    for (int f = 0; f < (int)fused; f++)
        if (adapter->lora[f].parts) return false;
    return true;
}

/* dx = gradient of the linear's input x from dy; adds to the gradients of its A and B. */
static mn_status linear(mn_context *c, mn_adapter *adapter, int l, enum mn_fused fused, mn_act *dx,
                        const mn_act *dy, const mn_act *x)
{
    const struct mn_layer *layer = &c->model->layer[l];
    const struct mn_weight *const weights[MN_FUSED] = {&layer->qkv, &layer->o, &layer->gate_up,
                                                       &layer->down};
    mn_device *device = c->model->device;
    const int i = l * MN_FUSED + (int)fused;
    const bool adapted = adapter->lora[i].parts > 0;
    const struct mn_linear_backward args = {
        .dx = is_lowest(adapter, l, fused) ? NULL : dx,
        .da = adapted ? adapter->gradient + adapter->a_offset[i] : NULL,
        .db = adapted ? adapter->gradient + adapter->b_offset[i] : NULL,
        .dy = dy,
        .x = adapted ? x : NULL,
        .u = adapted ? c->layer[l].u[fused] : NULL,
        .weight = *weights[fused],
        .lora = mn_pass_lora(&c->pass, l, fused),
        .rows = c->pass.rows,
        .ldy = weights[fused]->out,
        .workspace = c->workspace,
    };
    MN_TRY(mn_context_fits(c, "linear_backward", device->ops->linear_backward_workspace(&args)));
    return device->ops->linear_backward(&args, device->stream);
}

/* norm = rmsnorm(x) once more, when the linear behind it is adapted. */
static mn_status norm_again(mn_context *c, const mn_adapter *adapter, int l, enum mn_fused fused,
                            const mn_act *x, const mn_act *weight)
{
    const struct mn_model_config *m = &c->model->config;
    if (!adapter->lora[l * MN_FUSED + (int)fused].parts) return MN_OK;
    return c->model->device->ops->rmsnorm_forward(c->norm, NULL, x, weight, c->pass.rows, m->hidden,
                                                  m->hidden, (float)m->rms_eps,
                                                  c->model->device->stream);
}

/* dx += gradient through the norm whose output has gradient dnorm. */
static mn_status norm_backward(mn_context *c, const mn_act *dresidual, const mn_act *x,
                               const float *rstd, const mn_act *weight)
{
    return c->model->device->ops->rmsnorm_backward(c->dx, c->dnorm, dresidual, x, rstd, weight,
                                                   c->pass.rows, c->model->config.hidden,
                                                   c->model->device->stream);
}

static mn_status ff_backward(mn_context *c, mn_adapter *adapter, int l)
{
    mn_device *device = c->model->device;
    const struct mn_layer *weights = &c->model->layer[l];
    struct layer_state *layer = &c->layer[l];
    const int rows = c->pass.rows, ff = c->model->config.ff;
    if (adapter->lora[l * MN_FUSED + MN_FUSED_DOWN].parts)
        MN_TRY(device->ops->swiglu_forward(c->ff, layer->gate_up, rows, ff, device->stream));
    MN_TRY(linear(c, adapter, l, MN_FUSED_DOWN, c->dff, c->dx, c->ff));
    if (is_lowest(adapter, l, MN_FUSED_DOWN)) return MN_OK;
    MN_TRY(device->ops->swiglu_backward(layer->gate_up, c->dff, layer->gate_up, rows, ff,
                                        device->stream));
    MN_TRY(norm_again(c, adapter, l, MN_FUSED_GATE_UP, layer->middle, weights->ff_norm));
    MN_TRY(linear(c, adapter, l, MN_FUSED_GATE_UP, c->dnorm, layer->gate_up, c->norm));
    if (is_lowest(adapter, l, MN_FUSED_GATE_UP)) return MN_OK;
    return norm_backward(c, c->dx, layer->middle, layer->middle_rstd, weights->ff_norm);
}

static mn_status attention_backward(mn_context *c, struct layer_state *layer)
{
    mn_device *device = c->model->device;
    const struct mn_model_config *m = &c->model->config;
    const struct mn_attention_backward args = {
        .dqkv = c->dqkv,
        .dout = c->branch,
        .out = layer->attention,
        .qkv = layer->qkv,
        .lse = layer->lse,
        .segments = c->pass.segments,
        .shape = mn_attention_shape_of(m),
        .workspace = c->workspace,
    };
    MN_TRY(
        mn_context_fits(c, "attention_backward", device->ops->attention_backward_workspace(&args)));
    MN_TRY(device->ops->attention_backward(&args, device->stream));
    return device->ops->rope(c->dqkv, c->model->rope_table, c->pass.positions, c->pass.rows,
                             m->heads + m->kv_heads, m->head_dim,
                             mn_fused_shape(m, MN_FUSED_QKV).out, -1, device->stream);
}

static mn_status attention_block_backward(mn_context *c, mn_adapter *adapter, int l)
{
    const struct mn_layer *weights = &c->model->layer[l];
    struct layer_state *layer = &c->layer[l];
    MN_TRY(linear(c, adapter, l, MN_FUSED_O, c->branch, c->dx, layer->attention));
    if (is_lowest(adapter, l, MN_FUSED_O)) return MN_OK;
    MN_TRY(attention_backward(c, layer));
    MN_TRY(norm_again(c, adapter, l, MN_FUSED_QKV, layer->x, weights->attention_norm));
    MN_TRY(linear(c, adapter, l, MN_FUSED_QKV, c->dnorm, c->dqkv, c->norm));
    if (is_lowest(adapter, l, MN_FUSED_QKV)) return MN_OK;
    return norm_backward(c, c->dx, layer->x, layer->x_rstd, weights->attention_norm);
}

/* From the losses of the logit rows to dx, the gradient of the residual stream behind the last
 * layer. */
static mn_status head_backward(mn_context *c, const struct mn_loss *loss)
{
    mn_device *device = c->model->device;
    const struct pass *pass = &c->pass;
    const bool every_row = pass->logit_rows == pass->rows;
    MN_TRY(mn_head_loss(c, loss->targets, loss->scale, every_row ? c->dnorm : c->branch));
    if (!every_row)
        MN_TRY(device->ops->scatter_rows(c->dnorm, c->branch, pass->logit_row, pass->logit_rows,
                                         pass->rows, c->model->config.hidden, device->stream));
    return norm_backward(c, NULL, c->final, c->final_rstd, c->model->final_norm);
}

static mn_status fetch_losses(mn_context *c, const mn_adapter *adapter, double *loss_sum)
{
    mn_device *device = c->model->device;
    double sum = 0;
    MN_TRY(device->calls->download(device, c->host_results, c->results,
                                   (size_t)c->pass.logit_rows * sizeof(float)));
    for (int i = 0; i < c->pass.logit_rows; i++) {
        if (!isfinite(c->host_results[i]))
            return mn_explain_loss(c, adapter, i, (double)c->host_results[i]);
        sum += (double)c->host_results[i];
    }
    *loss_sum = sum;
    return MN_OK;
}

mn_status mn_loss_backward(mn_context *c, mn_adapter *adapter, const struct mn_batch *batch,
                           const struct mn_loss *loss, double *loss_sum)
{
    mn_device *device = c->model->device;
    if (!c->limits.training || !adapter || !adapter->gradient)
        return mn_fail(MN_INVALID, "a loss's gradient needs a context and an adapter for training");
    if (batch->prefix_start || batch->slot || batch->group_count)
        return mn_fail(MN_INVALID, "a loss's gradient: expected a batch without cache or groups");
    if (batch->logit_rows == 0) {
        *loss_sum = 0;
        return MN_OK;
    }
    MN_TRY(mn_pass_prefill(c, adapter, batch, loss));
    MN_TRY(mn_run_forward(c));
    device->calls->range_begin(device, "head and loss");
    MN_TRY(head_backward(c, loss));
    device->calls->range_end(device);
    for (int l = c->model->config.layers - 1; l >= 0; l--) {
        mn_layer_range_begin(device, l, " backward");
        MN_TRY(ff_backward(c, adapter, l));
        const bool lowest = is_lowest(adapter, l, MN_FUSED_GATE_UP);
        if (!lowest) MN_TRY(attention_block_backward(c, adapter, l));
        device->calls->range_end(device);
        if (lowest) break;
    }
    return fetch_losses(c, adapter, loss_sum);
}
