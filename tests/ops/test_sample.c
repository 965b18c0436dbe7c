/* Greedy choice, and sampling: its noise, its distribution, its independence of the batch. */
#include "support/pair.h"

#include <math.h>

#include "minuano/random.h"

struct draw {
    struct span *ids, *logprob;
};

static struct draw sample(struct pair *p, struct span *logits, const int32_t *sequence,
                          const int32_t *step, int rows, int vocab, float temperature)
{
    struct draw out = {poisoned(p, SPAN_I32, rows), poisoned_f32(p, rows)};
    struct span *sequences = i32_of(p, sequence, rows), *steps = i32_of(p, step, rows);
    ON_BOTH(p, d)
    OK(d->ops->sample(on(d, out.ids), on(d, out.logprob), acts(d, logits), on(d, sequences),
                      on(d, steps), rows, vocab, temperature, 99, d->stream));
    return out;
}

static void test_sample_at_temperature_0_takes_the_lowest_of_the_best(void **state)
{
    struct pair *p = *state;
    const double values[3][6] = {
        {1, 3, 2, 3, 3, 0}, {-5, -6, -7, -8, -9, -4.5}, {0, 0, 0, 0, 0, 0}};
    const double expected[3] = {1, 5, 0};
    const int32_t zeros[3] = {0};
    double logprob[3];
    for (int r = 0; r < 3; r++) {
        double sum = 0;
        for (int i = 0; i < 6; i++) sum += exp(values[r][i]);
        logprob[r] = values[r][(int)expected[r]] - log(sum);
    }
    struct span *logits = acts_of(p, &values[0][0], 18);
    struct draw out = sample(p, logits, zeros, zeros, 3, 6, 0);
    check_values(p, out.ids, expected, 0);
    check_values(p, out.logprob, logprob, 1e-6);
    check_pair_equal(p, out.ids);
    check_pair(p, out.logprob, 1e-5);
}

/* The id is the best of logits / temperature + Gumbel noise, in fp64 from the same uniforms. */
static void test_sample_adds_the_noise_of_its_sequence_and_step(void **state)
{
    struct pair *p = *state;
    enum { ROWS = 64, VOCAB = 1000 };
    const float temperature = 0.7f;
    int32_t sequence[ROWS], step[ROWS];
    for (int r = 0; r < ROWS; r++) {
        sequence[r] = 1000 - 3 * r;
        step[r] = r % 5;
    }
    struct span *logits = random_acts(p, ROWS * VOCAB, 1);
    struct draw out = sample(p, logits, sequence, step, ROWS, VOCAB, temperature);
    const double *ids = read_back(p, p->device[MN_DEVICE_REFERENCE], out.ids);
    for (int r = 0; r < ROWS; r++) {
        double best = -INFINITY, found = -INFINITY;
        for (int i = 0; i < VOCAB; i++) {
            double u =
                (double)mn_random_uniform(99, mn_stream_id(MN_RANDOM_SAMPLE, (uint32_t)sequence[r]),
                                          (uint64_t)step[r] * VOCAB + (uint64_t)i);
            double value = values_of(logits)[r * VOCAB + i] / (double)temperature - log(-log(u));
            best = fmax(best, value);
            if (i == (int)ids[r]) found = value;
        }
        if (!(found >= best - 1e-5)) /* fp32 may turn a near tie */
            fail_msg("row %d: id %d reaches %.9g, the best is %.9g", r, (int)ids[r], found, best);
    }
    check_pair_equal(p, out.ids);
}

static void test_sample_follows_the_softmax_of_its_temperature(void **state)
{
    struct pair *p = *state;
    enum { DRAWS = 20000, VOCAB = 6 };
    const float temperature = 2;
    const double row[VOCAB] = {0, 1, 2, 3, -1, -4};
    double *values = new_values(p, DRAWS * VOCAB), weight[VOCAB], sum = 0;
    int32_t *sequence = MN_NEW(p->arena, int32_t, DRAWS), *step = MN_NEW(p->arena, int32_t, DRAWS);
    for (int i = 0; i < DRAWS * VOCAB; i++) values[i] = row[i % VOCAB];
    for (int i = 0; i < DRAWS; i++) {
        sequence[i] = i / 100;
        step[i] = i % 100;
    }
    for (int i = 0; i < VOCAB; i++) sum += weight[i] = exp(row[i] / (double)temperature);
    struct span *logits = acts_of(p, values, DRAWS * VOCAB);
    struct draw out = sample(p, logits, sequence, step, DRAWS, VOCAB, temperature);
    const double *ids = read_back(p, p->device[MN_DEVICE_REFERENCE], out.ids);
    double chi_squares = 0, count[VOCAB] = {0};
    for (int i = 0; i < DRAWS; i++) count[(int)ids[i]]++;
    for (int i = 0; i < VOCAB; i++) {
        double expected = DRAWS * weight[i] / sum;
        chi_squares += (count[i] - expected) * (count[i] - expected) / expected;
    }
    if (chi_squares > 20.5) /* 5 degrees of freedom: one seed in a thousand exceeds it */
        fail_msg("chi-squared %.1f", chi_squares);
}

static void test_sample_does_not_depend_on_batch(void **state)
{
    struct pair *p = *state;
    enum { ROWS = 9, VOCAB = 333 };
    static const int32_t sequence[ROWS] = {5, 6, 7, 8, 9, 10, 11, 12, 13},
                         step[ROWS] = {0, 1, 0, 1, 2, 3, 4, 5, 6};
    struct span *logits = random_acts(p, ROWS * VOCAB, 1);
    struct draw all = sample(p, logits, sequence, step, ROWS, VOCAB, 1);
    mn_device *d = p->device[MN_DEVICE_REFERENCE];
    const double *ids = read_back(p, d, all.ids), *logprob = read_back(p, d, all.logprob);
    for (int r = 0; r < ROWS; r++) {
        struct span *row = acts_of(p, values_of(logits) + r * VOCAB, VOCAB);
        struct draw one = sample(p, row, &sequence[r], &step[r], 1, VOCAB, 1);
        assert_int_equal((int)*read_back(p, d, one.ids), (int)ids[r]);
        assert_true(*read_back(p, d, one.logprob) == logprob[r]);
    }
}

static void test_sample_refuses_a_negative_temperature(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    FAILS(d->ops->sample(NULL, NULL, NULL, NULL, NULL, 1, 4, -1, 0, d->stream), MN_INVALID,
          "sample: temperature");
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_sample_at_temperature_0_takes_the_lowest_of_the_best),
    PAIR_TEST(test_sample_adds_the_noise_of_its_sequence_and_step),
    PAIR_TEST(test_sample_follows_the_softmax_of_its_temperature),
    PAIR_TEST(test_sample_does_not_depend_on_batch),
    PAIR_TEST(test_sample_refuses_a_negative_temperature),
};
PAIR_MAIN(tests)
