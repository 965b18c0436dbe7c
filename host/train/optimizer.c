/* optimizer.c: gradient norm, clipping and AdamW, all on the device; the norm alone comes to the
 * host, to be looked at before anything is changed. */
#include "optimizer.h"

#include <math.h>
#include <stdlib.h>

void optimizer_take(struct optimizer *out, const mn_device *device, struct mn_pool *pool,
                    int64_t count)
{
    *out = (struct optimizer){.count = count};
    out->m = mn_pool_take(pool, MN_MEMORY_OPTIMIZER, (size_t)count, sizeof *out->m);
    out->v = mn_pool_take(pool, MN_MEMORY_OPTIMIZER, (size_t)count, sizeof *out->v);
    out->grad_squares = mn_pool_take(pool, MN_MEMORY_OPTIMIZER, 1, sizeof *out->grad_squares);
    out->workspace =
        mn_pool_take(pool, MN_MEMORY_WORKSPACE, device->ops->sum_squares_workspace(count), 1);
}

mn_status optimizer_open(struct optimizer *out, mn_device *device, int64_t count)
{
    struct mn_pool pool = {.device = device};
    struct optimizer optimizer;
    optimizer_take(&optimizer, device, &pool, count);
    MN_TRY(mn_pool_commit(&pool));
    optimizer_take(&optimizer, device, &pool, count);
    optimizer.pool = pool;
    mn_status st = device->calls->fill(device, pool.base, 0, pool.size);
    if (st != MN_OK) {
        optimizer_close(&optimizer);
        return st;
    }
    *out = optimizer;
    return MN_OK;
}

void optimizer_close(struct optimizer *optimizer)
{
    if (optimizer->pool.device) mn_pool_close(&optimizer->pool);
    *optimizer = (struct optimizer){0};
}

/* The block of the flat array that element i lies in: the one that begins last before it. */
static mn_status fail_at(const mn_adapter *adapter, int64_t i, float value)
{
    static const char *const names[MN_FUSED] = {"q, k and v", "o", "gate and up", "down"};
    int64_t begin = -1, linear = 0;
    const char *block = "A";
    for (int64_t l = 0; l < (int64_t)adapter->model->config.layers * MN_FUSED; l++) {
        if (adapter->lora[l].parts == 0) continue;
        if (adapter->a_offset[l] <= i && adapter->a_offset[l] > begin) {
            begin = adapter->a_offset[l];
            linear = l;
            block = "A";
        }
        if (adapter->b_offset[l] <= i && adapter->b_offset[l] > begin) {
            begin = adapter->b_offset[l];
            linear = l;
            block = "B";
        }
    }
    return mn_fail(MN_NUMERIC, "the gradient of layer %lld, %s, %s is %g at element %lld",
                   (long long)(linear / MN_FUSED), names[linear % MN_FUSED], block, (double)value,
                   (long long)(i - begin));
}

/* A gradient whose every element is finite can still have a norm that is not. */
static mn_status find_where(const mn_adapter *adapter, double norm)
{
    mn_device *device = adapter->model->device;
    float *host = mn_realloc(NULL, (size_t)adapter->count, sizeof *host);
    mn_status st = device->calls->download(device, host, adapter->gradient,
                                           (size_t)adapter->count * sizeof *host);
    int64_t i = 0;
    while (st == MN_OK && i < adapter->count && isfinite(host[i])) i++;
    if (st == MN_OK)
        st = i < adapter->count ? fail_at(adapter, i, host[i])
                                : mn_fail(MN_NUMERIC, "the norm of the gradient is %g", norm);
    free(host);
    return st;
}

mn_status optimizer_step(struct optimizer *optimizer, mn_adapter *adapter,
                         const struct mn_train_settings *settings, double lr, int64_t step,
                         double *norm)
{
    mn_device *device = adapter->model->device;
    double squares;
    MN_TRY(device->ops->sum_squares(optimizer->grad_squares, adapter->gradient, optimizer->count,
                                    optimizer->workspace, device->stream));
    MN_TRY(device->calls->download(device, &squares, optimizer->grad_squares, sizeof squares));
    if (!isfinite(squares)) return find_where(adapter, squares);
    *norm = sqrt(squares);
    struct mn_adamw update = {.master = adapter->master,
                              .m = optimizer->m,
                              .v = optimizer->v,
                              .shadow = adapter->shadow,
                              .gradient = adapter->gradient,
                              .grad_squares = optimizer->grad_squares,
                              .count = optimizer->count,
                              .lr = (float)lr,
                              .beta1 = (float)settings->beta1,
                              .beta2 = (float)settings->beta2,
                              .epsilon = (float)settings->epsilon,
                              .weight_decay = (float)settings->weight_decay,
                              .max_norm = (float)settings->max_grad_norm,
                              .step = step};
    return device->ops->adamw(&update, device->stream);
}
