/* norm.c: RMSNorm, forward (with and without the residual sum) and backward.
 * Sums in fp64; x/rms is a float before the weight comes, as transformers rounds it. */
#include "reference.h"

#include <math.h>

static double dot(const float *x, const float *y, int dim)
{
    double lane[4] = {0};
    int i = 0;
    for (; i + 4 <= dim; i += 4)
        for (int l = 0; l < 4; l++) lane[l] += (double)x[i + l] * (double)y[i + l];
    for (; i < dim; i++) lane[0] += (double)x[i] * (double)y[i];
    return lane[0] + lane[1] + (lane[2] + lane[3]);
}

static void normalize(float *out, float *rstd, const float *x, const float *w, int dim, float eps)
{
    float inverse = (float)(1.0 / sqrt(dot(x, x, dim) / dim + (double)eps));
    for (int i = 0; i < dim; i++) {
        float normal = x[i] * inverse;
        out[i] = w[i] * normal;
    }
    if (rstd) *rstd = inverse;
}

struct forward {
    float *out, *sum, *rstd;
    const float *x, *y, *w;
    int dim;
    int64_t ldx;
    float eps;
};

static void forward_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct forward *f = job;
    const float *x = f->x + r * f->ldx;
    if (f->sum) {
        float *sum = f->sum + r * f->dim;
        const float *y = f->y + r * f->dim;
        for (int i = 0; i < f->dim; i++) sum[i] = x[i] + y[i];
        x = sum;
    }
    normalize(f->out + r * f->dim, f->rstd ? f->rstd + r : NULL, x, f->w, f->dim, f->eps);
}

mn_status mn_ref_rmsnorm_forward(mn_act *out, float *rstd, const mn_act *x, const mn_act *w,
                                 int rows, int dim, int64_t ldx, float eps, mn_stream s)
{
    MN_TRY(mn_check_rows("rmsnorm_forward", rows, dim, ldx));
    struct forward job = {.out = f32(out),
                          .rstd = rstd,
                          .x = cf32(x),
                          .w = cf32(w),
                          .dim = dim,
                          .ldx = ldx,
                          .eps = eps};
    mn_ref_parallel(s, forward_row, &job, rows, 0);
    return MN_OK;
}

mn_status mn_ref_add_rmsnorm_forward(mn_act *out, mn_act *sum, float *rstd, const mn_act *x,
                                     const mn_act *y, const mn_act *w, int rows, int dim, float eps,
                                     mn_stream s)
{
    MN_TRY(mn_check_rows("add_rmsnorm_forward", rows, dim, dim));
    struct forward job = {.out = f32(out),
                          .sum = f32(sum),
                          .rstd = rstd,
                          .x = cf32(x),
                          .y = cf32(y),
                          .w = cf32(w),
                          .dim = dim,
                          .ldx = dim,
                          .eps = eps};
    mn_ref_parallel(s, forward_row, &job, rows, 0);
    return MN_OK;
}

struct backward {
    float *dx;
    const float *dout, *dresidual, *x, *rstd, *w;
    int dim;
};

/* With n = x·rstd and g = w∘dout: dx = rstd · (g - n · mean(g∘n)). */
static void backward_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct backward *b = job;
    const float *x = b->x + r * b->dim, *dout = b->dout + r * b->dim;
    const float *dresidual = b->dresidual ? b->dresidual + r * b->dim : NULL;
    float *dx = b->dx + r * b->dim;
    double rstd = b->rstd[r], mean = 0;
    for (int i = 0; i < b->dim; i++)
        mean += (double)b->w[i] * (double)dout[i] * ((double)x[i] * rstd);
    mean /= b->dim;
    for (int i = 0; i < b->dim; i++) {
        double normal = (double)x[i] * rstd;
        double d = rstd * ((double)b->w[i] * (double)dout[i] - normal * mean);
        dx[i] = (float)(d + (dresidual ? (double)dresidual[i] : 0.0));
    }
}

mn_status mn_ref_rmsnorm_backward(mn_act *dx, const mn_act *dout, const mn_act *dresidual,
                                  const mn_act *x, const float *rstd, const mn_act *w, int rows,
                                  int dim, mn_stream s)
{
    MN_TRY(mn_check_rows("rmsnorm_backward", rows, dim, dim));
    struct backward job = {f32(dx), cf32(dout), cf32(dresidual), cf32(x), rstd, cf32(w), dim};
    mn_ref_parallel(s, backward_row, &job, rows, 0);
    return MN_OK;
}
