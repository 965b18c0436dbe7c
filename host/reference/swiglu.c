/* swiglu.c: silu(gate) * up and its gradient. */
#include "reference.h"

#include <math.h>

struct swiglu {
    float *out;
    const float *dout, *gate_up;
    int dim;
};

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static void forward_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct swiglu *g = job;
    const float *gate = g->gate_up + r * 2 * g->dim, *up = gate + g->dim;
    float *out = g->out + r * g->dim;
    for (int i = 0; i < g->dim; i++) out[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

/* d silu(x) = sigmoid(x) · (1 + x · (1 - sigmoid(x))) */
static void backward_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct swiglu *g = job;
    const float *gate = g->gate_up + r * 2 * g->dim, *up = gate + g->dim;
    const float *dout = g->dout + r * g->dim;
    float *dgate = g->out + r * 2 * g->dim, *dup = dgate + g->dim;
    for (int i = 0; i < g->dim; i++) {
        float x = gate[i], y = up[i], p = sigmoid(x); /* before dgate_up overwrites gate_up */
        dgate[i] = dout[i] * y * p * (1.0f + x * (1.0f - p));
        dup[i] = dout[i] * x * p;
    }
}

mn_status mn_ref_swiglu_forward(mn_act *out, const mn_act *gate_up, int rows, int dim, mn_stream s)
{
    MN_TRY(mn_check_rows("swiglu_forward", rows, dim, dim));
    struct swiglu job = {f32(out), NULL, cf32(gate_up), dim};
    mn_ref_parallel(s, forward_row, &job, rows, 0);
    return MN_OK;
}

mn_status mn_ref_swiglu_backward(mn_act *dgate_up, const mn_act *dout, const mn_act *gate_up,
                                 int rows, int dim, mn_stream s)
{
    MN_TRY(mn_check_rows("swiglu_backward", rows, dim, dim));
    struct swiglu job = {f32(dgate_up), cf32(dout), cf32(gate_up), dim};
    mn_ref_parallel(s, backward_row, &job, rows, 0);
    return MN_OK;
}
