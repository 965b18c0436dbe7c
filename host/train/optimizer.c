/* optimizer.c: gradient norm, clipping and AdamW, all on the device; the norm alone comes to the
 * host, to be looked at before anything is changed. */
#include "optimizer.h"

#include <math.h>

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

mn_status optimizer_step(struct optimizer *optimizer, mn_adapter *adapter,
                         const struct mn_train_settings *settings, double lr, int64_t step,
                         double *norm)
{
    mn_device *device = adapter->model->device;
    double squares;
    MN_TRY(device->ops->sum_squares(optimizer->grad_squares, adapter->gradient, optimizer->count,
                                    optimizer->workspace, device->stream));
    MN_TRY(device->calls->download(device, &squares, optimizer->grad_squares, sizeof squares));
    if (!isfinite(squares)) {
        /* Every element can be finite, and their squares still too large for a sum. */
        MN_TRY(mn_adapter_check_finite(adapter, adapter->gradient, "the gradient of"));
        return mn_fail(MN_NUMERIC, "the norm of the gradient is %g", squares);
    }
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
