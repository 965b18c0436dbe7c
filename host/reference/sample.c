/* sample.c: the next token: greedy, or by the Gumbel-max trick, whose noise depends on (seed,
 * sequence, step, id) alone: not on the batch. */
#include "reference.h"

#include <math.h>

#include "minuano/random.h"
#include "rows.h"

struct sample {
    int32_t *ids;
    float *logprob;
    const float *logits;
    const int32_t *sequence, *step;
    int vocab;
    float temperature;
    uint64_t seed;
};

static float noisy(const struct sample *s, int64_t r, float logit, int id)
{
    if (s->temperature == 0) return logit;
    uint64_t stream = mn_stream_id(MN_RANDOM_SAMPLE, (uint32_t)s->sequence[r]);
    uint64_t index = (uint64_t)s->step[r] * (uint64_t)s->vocab + (uint64_t)id;
    float uniform = mn_random_uniform(s->seed, stream, index);
    return logit / s->temperature - logf(-logf(uniform));
}

static void sample_row(const void *job, int64_t r, void *scratch)
{
    (void)scratch;
    const struct sample *s = job;
    const float *logits = s->logits + r * s->vocab;
    int best = 0;
    float top = noisy(s, r, logits[0], 0);
    for (int i = 1; i < s->vocab; i++) {
        float value = noisy(s, r, logits[i], i);
        if (value > top) {
            top = value;
            best = i;
        }
    }
    s->ids[r] = best;
    s->logprob[r] = (float)((double)logits[best] - log_sum_exp(logits, s->vocab));
}

mn_status mn_ref_sample(int32_t *ids, float *logprob, const mn_act *logits, const int32_t *sequence,
                        const int32_t *step, int rows, int vocab, float temperature, uint64_t seed,
                        mn_stream s)
{
    MN_TRY(mn_check_vocab("sample", rows, vocab));
    if (!(temperature >= 0))
        return mn_fail(MN_INVALID, "sample: temperature: expected at least 0, found %g",
                       (double)temperature);
    struct sample job = {ids, logprob, cf32(logits), sequence, step, vocab, temperature, seed};
    mn_ref_parallel(s, sample_row, &job, rows, 0);
    return MN_OK;
}
