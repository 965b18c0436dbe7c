/* optimizer.h: AdamW's state on the device, and one update of an adapter. */
#ifndef MINUANO_TRAIN_OPTIMIZER_H
#define MINUANO_TRAIN_OPTIMIZER_H

#include "minuano/train.h"

struct optimizer {
    struct mn_pool pool;
    int64_t count;
    float *m, *v;         /* (count) in the adapter's flat layout */
    double *grad_squares; /* (1) */
    void *workspace;
};

/* Buffers for `count` parameters out of the pool, which may be planning. */
void optimizer_take(struct optimizer *out, const mn_device *device, struct mn_pool *pool,
                    int64_t count);
MN_CHECKED mn_status optimizer_open(struct optimizer *out, mn_device *device, int64_t count);
void optimizer_close(struct optimizer *optimizer);

/* Clips and applies adapter->gradient as update number `step`, counted from 1; *norm is the
 * gradient's before clipping. A norm that is not finite is MN_NUMERIC naming where it comes from,
 * and nothing is changed. */
MN_CHECKED mn_status optimizer_step(struct optimizer *optimizer, mn_adapter *adapter,
                                    const struct mn_train_settings *settings, double lr,
                                    int64_t step, double *norm);

#endif
