/* loss.c: cross entropy with its gradient in place, and log-probabilities of given tokens.
 * Sums over the vocabulary are fp64. */
#include "reference.h"

#include <math.h>

#include "rows.h"

struct cross_entropy {
    float *loss, *logits;
    const int32_t *targets;
    int vocab;
    float scale;
};

static void cross_entropy_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct cross_entropy *c = job;
    float *logits = c->logits + r * c->vocab;
    float top = logits[0], target = logits[c->targets[r]];
    for (int i = 1; i < c->vocab; i++) top = logits[i] > top ? logits[i] : top;
    double sum = 0;
    for (int i = 0; i < c->vocab; i++) { /* the exponentials take most of the time: kept */
        logits[i] = expf(logits[i] - top);
        sum += (double)logits[i];
    }
    c->loss[r] = (float)((double)top - (double)target + log(sum));
    float inverse = (float)(1.0 / sum);
    for (int i = 0; i < c->vocab; i++) {
        float p = logits[i] * inverse;
        logits[i] = (i == c->targets[r] ? p - 1.0f : p) * c->scale;
    }
}

mn_status mn_ref_cross_entropy(float *loss, mn_act *logits, const int32_t *targets, int rows,
                               int vocab, float scale, mn_stream s)
{
    MN_TRY(mn_check_vocab("cross_entropy", rows, vocab));
    struct cross_entropy job = {loss, f32(logits), targets, vocab, scale};
    mn_ref_parallel(s, cross_entropy_row, &job, rows, 0);
    return MN_OK;
}

struct logprobs {
    float *out;
    const float *logits;
    const int32_t *targets;
    int vocab, k;
};

static void logprobs_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct logprobs *l = job;
    const float *logits = l->logits + r * l->vocab;
    double lse = log_sum_exp(logits, l->vocab);
    for (int i = 0; i < l->k; i++)
        l->out[r * l->k + i] = (float)((double)logits[l->targets[r * l->k + i]] - lse);
}

mn_status mn_ref_token_logprobs(float *out, const mn_act *logits, const int32_t *targets, int rows,
                                int vocab, int k, mn_stream s)
{
    MN_TRY(mn_check_vocab("token_logprobs", rows, vocab));
    if (k < 1) return mn_fail(MN_INVALID, "token_logprobs: k: expected at least 1, found %d", k);
    struct logprobs job = {out, cf32(logits), targets, vocab, k};
    mn_ref_parallel(s, logprobs_row, &job, rows, 0);
    return MN_OK;
}
