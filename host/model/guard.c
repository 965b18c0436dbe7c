/* guard.c: where a number stopped being one: which tensor of the adapter, which of its gradients,
 * which activation. Looks only after something went wrong, and so may be slow. */
#include <math.h>
#include <stdlib.h>

#include "internal.h"

void mn_adapter_element(const mn_adapter *adapter, int64_t i, char name[MN_TENSOR_NAME],
                        int64_t *at)
{
    const struct mn_model_config *model = &adapter->model->config;
    const struct adapter_layout layout = {adapter->count, adapter->a_offset, adapter->b_offset,
                                          adapter->lora};
    for (int l = 0; l < model->layers; l++)
        for (int m = 0; m < MN_MODULES; m++) {
            const enum mn_module module = (enum mn_module)m;
            int64_t a, b;
            if (!adapter->config.target[m]) continue;
            const struct module_shape shape = mn_module_shape(model, module);
            mn_adapter_find(&layout, model, l, module, &a, &b);
            const int64_t rank = adapter->config.rank;
            const bool in_a = i >= a && i < a + rank * shape.in;
            if (!in_a && !(i >= b && i < b + rank * shape.out)) continue;
            mn_peft_tensor_name(name, l, module, in_a ? 'A' : 'B');
            *at = i - (in_a ? a : b);
            return;
        }
}

mn_status mn_adapter_check_finite(const mn_adapter *adapter, const float *array, const char *what)
{
    mn_device *device = adapter->model->device;
    float *host = mn_realloc(NULL, (size_t)adapter->count, sizeof *host);
    int64_t found = 0, last = 0, at = 0;
    char name[MN_TENSOR_NAME] = "";
    mn_status st =
        device->calls->download(device, host, array, (size_t)adapter->count * sizeof *host);
    for (int64_t i = 0; st == MN_OK && i < adapter->count; i++) {
        if (isfinite(host[i])) continue;
        last = i;
        found++;
    }
    if (found) {
        mn_adapter_element(adapter, last, name, &at);
        st = mn_fail(MN_NUMERIC, "%s %s is %g at element %lld (%lld such values in all)", what,
                     name, (double)host[last], (long long)at, (long long)found);
    }
    free(host);
    return st;
}

/* --- activations ------------------------------------------------------------------------------ */

enum { ELEMENTS_AT_ONCE = 1 << 20 };

struct scan {
    mn_device *device;
    int rows;
    float *on_device, *on_host; /* (ELEMENTS_AT_ONCE) */
};

/* MN_NUMERIC names `what` and the place in it. Activations are (rows, width), dense. */
static mn_status scan(const struct scan *s, const mn_act *act, int width, const char *what)
{
    const int64_t count = (int64_t)s->rows * width;
    for (int64_t begin = 0, n; begin < count; begin += n) {
        n = count - begin < ELEMENTS_AT_ONCE ? count - begin : ELEMENTS_AT_ONCE;
        MN_TRY(s->device->ops->store_convert(s->on_device, MN_F32, mn_act_at(s->device, act, begin),
                                             n, s->device->stream));
        MN_TRY(s->device->calls->download(s->device, s->on_host, s->on_device,
                                          (size_t)n * sizeof *s->on_host));
        for (int64_t i = 0; i < n; i++)
            if (!isfinite(s->on_host[i]))
                return mn_fail(MN_NUMERIC, "%s: %g in row %lld, column %lld", what,
                               (double)s->on_host[i], (long long)((begin + i) / width),
                               (long long)((begin + i) % width));
    }
    return MN_OK;
}

static mn_status scan_layer(const struct scan *s, const mn_context *c, int l)
{
    const struct layer_state *layer = &c->layer[l];
    const struct mn_model_config *m = &c->model->config;
    const struct {
        const char *what;
        const mn_act *act;
        int width;
    } places[] = {
        {"what enters it", layer->x, m->hidden},
        {"q, k and v", layer->qkv, mn_fused_shape(m, MN_FUSED_QKV).out},
        {"attention", layer->attention, m->heads * m->head_dim},
        {"what enters its MLP", layer->middle, m->hidden},
        {"gate and up", layer->gate_up, 2 * m->ff},
    };
    for (size_t i = 0; i < MN_COUNT(places); i++) {
        mn_status st = scan(s, places[i].act, places[i].width, places[i].what);
        if (st != MN_OK) return mn_fail_in(st, "activations of layer %d", l);
    }
    return MN_OK;
}

mn_status mn_scan_activations(mn_context *c)
{
    struct mn_pool pool = {.device = c->model->device};
    struct scan s = {.device = c->model->device, .rows = c->pass.rows};
    mn_status st;
    mn_pool_take(&pool, MN_MEMORY_WORKSPACE, ELEMENTS_AT_ONCE, sizeof *s.on_device);
    MN_GO(mn_pool_commit(&pool));
    s.on_device = mn_pool_take(&pool, MN_MEMORY_WORKSPACE, ELEMENTS_AT_ONCE, sizeof *s.on_device);
    s.on_host = mn_realloc(NULL, ELEMENTS_AT_ONCE, sizeof *s.on_host);
    for (int l = 0; l < c->model->config.layers; l++) MN_GO(scan_layer(&s, c, l));
    MN_GO(scan(&s, c->final, c->model->config.hidden, "what leaves the last layer"));
done:
    free(s.on_host);
    mn_pool_close(&pool);
    return st;
}

mn_status mn_explain_loss(mn_context *c, const mn_adapter *adapter, int row, double loss)
{
    /* The backward pass may have overwritten what the forward pass left. */
    MN_TRY(mn_adapter_check_finite(adapter, adapter->master, "the adapter's"));
    MN_TRY(mn_run_forward(c));
    MN_TRY(mn_scan_activations(c));
    return mn_fail(MN_NUMERIC,
                   "the loss of logit row %d is %g, though every activation before it is finite",
                   row, loss);
}
