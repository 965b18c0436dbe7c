/* optimizer.c: the gradient's sum of squares, and AdamW as PyTorch's single-tensor loop computes
 * it. */
#include "reference.h"

#include <math.h>

enum { CHUNK = 1 << 14 };

static int64_t chunks_of(int64_t count)
{
    return (count + CHUNK - 1) / CHUNK;
}

/* --- sum of squares --- */

struct squares {
    double *partial; /* (chunks) */
    const float *x;
    int64_t count;
};

static void squares_chunk(const void *job, int64_t chunk, void *scratch)
{
    (void)scratch;
    const struct squares *q = job;
    int64_t end = (chunk + 1) * CHUNK < q->count ? (chunk + 1) * CHUNK : q->count;
    double sum = 0;
    for (int64_t i = chunk * CHUNK; i < end; i++) sum += (double)q->x[i] * (double)q->x[i];
    q->partial[chunk] = sum;
}

size_t mn_ref_sum_squares_workspace(int64_t count)
{
    return (size_t)chunks_of(count) * sizeof(double);
}

mn_status mn_ref_sum_squares(double *out, const float *x, int64_t count, void *workspace,
                             mn_stream s)
{
    if (count < 0)
        return mn_fail(MN_INVALID, "sum_squares: count: expected at least 0, found %lld",
                       (long long)count);
    struct squares job = {workspace, x, count};
    mn_ref_parallel(s, squares_chunk, &job, chunks_of(count), 0);
    double sum = 0;
    for (int64_t i = 0; i < chunks_of(count); i++) sum += job.partial[i];
    *out = sum;
    return MN_OK;
}

/* --- AdamW --- */

struct update {
    const struct mn_adamw *args;
    float clip, decay, step_size, root_correction;
};

static void update_chunk(const void *job, int64_t chunk, void *scratch)
{
    (void)scratch;
    const struct update *u = job;
    const struct mn_adamw *a = u->args;
    float *shadow = f32(a->shadow);
    int64_t end = (chunk + 1) * CHUNK < a->count ? (chunk + 1) * CHUNK : a->count;
    for (int64_t i = chunk * CHUNK; i < end; i++) {
        float g = a->gradient[i] * u->clip;
        float m = a->m[i] + (1.0f - a->beta1) * (g - a->m[i]);
        float v = a->beta2 * a->v[i] + (1.0f - a->beta2) * g * g;
        float p = a->master[i] * u->decay;
        p -= u->step_size * m / (sqrtf(v) / u->root_correction + a->epsilon);
        a->m[i] = m;
        a->v[i] = v;
        a->master[i] = p;
        shadow[i] = p;
    }
}

static float clip_factor(const struct mn_adamw *args)
{
    if (!(args->max_norm > 0)) return 1.0f;
    double norm = sqrt(*args->grad_squares);
    return norm > (double)args->max_norm ? (float)((double)args->max_norm / (norm + 1e-6)) : 1.0f;
}

mn_status mn_ref_adamw(const struct mn_adamw *args, mn_stream s)
{
    MN_TRY(mn_check_adamw(args));
    if (args->count == 0) return MN_OK;
    double t = (double)args->step, lr = (double)args->lr;
    struct update job = {
        .args = args,
        .clip = clip_factor(args),
        .decay = (float)(1.0 - lr * (double)args->weight_decay),
        .step_size = (float)(lr / (1.0 - pow((double)args->beta1, t))),
        .root_correction = (float)sqrt(1.0 - pow((double)args->beta2, t)),
    };
    mn_ref_parallel(s, update_chunk, &job, chunks_of(args->count), 0);
    return MN_OK;
}
