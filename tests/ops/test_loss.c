/* Cross entropy with its gradient, and log-probabilities, against fp64. */
#include "support/pair.h"

#include <math.h>

static const struct {
    int rows, vocab;
} shapes[] = {{1, 2}, {3, 31}, {5, 1024}, {2, 32768}};

static double log_sum_exp(const double *x, int count)
{
    double top = x[0], sum = 0;
    for (int i = 1; i < count; i++) top = fmax(top, x[i]);
    for (int i = 0; i < count; i++) sum += exp(x[i] - top);
    return top + log(sum);
}

static int32_t *targets_of(struct pair *p, int count, int vocab)
{
    int32_t *targets = MN_NEW(p->arena, int32_t, count);
    for (int i = 0; i < count; i++) targets[i] = (int32_t)((i * 7919LL + 1) % vocab);
    targets[0] = vocab - 1;
    return targets;
}

static void test_cross_entropy_matches_reference(void **state)
{
    struct pair *p = *state;
    const double scale = 0.125;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        int rows = shapes[i].rows, vocab = shapes[i].vocab;
        int32_t *target = targets_of(p, rows, vocab);
        struct span *logits = in_place(random_acts(p, (int64_t)rows * vocab, 4));
        struct span *targets = i32_of(p, target, rows), *loss = poisoned_f32(p, rows);
        ON_BOTH(p, d)
        OK(d->ops->cross_entropy(on(d, loss), acts(d, logits), on(d, targets), rows, vocab,
                                 (float)scale, d->stream));
        double *expected = new_values(p, rows), *gradient = new_values(p, logits->count);
        for (int r = 0; r < rows; r++) {
            const double *x = values_of(logits) + (int64_t)r * vocab;
            double lse = log_sum_exp(x, vocab);
            expected[r] = lse - x[target[r]];
            for (int c = 0; c < vocab; c++)
                gradient[(int64_t)r * vocab + c] =
                    scale * (exp(x[c] - lse) - (c == target[r] ? 1 : 0));
        }
        check_values(p, loss, expected, 1e-6);
        check_values(p, logits, gradient, 1e-6);
        check_pair(p, loss, 1e-5);
        check_pair(p, logits, 0.01); /* one rounding to bf16 */
        pair_after(state);
    }
}

struct one_row {
    double logits[5];
    int target;
};

static double row_loss(const void *context)
{
    const struct one_row *row = context;
    return log_sum_exp(row->logits, 5) - row->logits[row->target];
}

static void test_cross_entropy_leaves_the_numeric_gradient(void **state)
{
    struct pair *p = *state;
    struct one_row row = {{0.5, -1.25, 3, 0, 2.5}, 2};
    const int32_t target = 2;
    struct span *logits = in_place(acts_of(p, row.logits, 5)), *targets = i32_of(p, &target, 1);
    struct span *loss = poisoned_f32(p, 1);
    ON_BOTH(p, d)
    OK(d->ops->cross_entropy(on(d, loss), acts(d, logits), on(d, targets), 1, 5, 2, d->stream));
    double expected[5];
    for (int i = 0; i < 5; i++) expected[i] = 2 * numeric_gradient(row_loss, &row, &row.logits[i]);
    check_values(p, logits, expected, 1e-6);
    check_pair(p, logits, 0.01);
}

static void test_cross_entropy_holds_for_huge_logits(void **state)
{
    struct pair *p = *state;
    const double values[] = {1e4, -1e4, 0, 1e4}, expected_loss = log(2),
                 expected[] = {-0.5, 0, 0, 0.5};
    const int32_t target = 0;
    struct span *logits = in_place(acts_of(p, values, 4)), *targets = i32_of(p, &target, 1);
    struct span *loss = poisoned_f32(p, 1);
    ON_BOTH(p, d)
    OK(d->ops->cross_entropy(on(d, loss), acts(d, logits), on(d, targets), 1, 4, 1, d->stream));
    check_values(p, loss, &expected_loss, 1e-3); /* fp32 holds 1e4 + ln 2 to 2^-10 */
    check_values(p, logits, expected, 1e-3);
    check_pair(p, loss, 2e-3);
    check_pair(p, logits, 0.01);
}

static void test_token_logprobs_match_reference(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++)
        for (int k = 1; k <= 4; k += 3) {
            int rows = shapes[i].rows, vocab = shapes[i].vocab;
            int32_t *target = targets_of(p, rows * k, vocab);
            struct span *logits = random_acts(p, (int64_t)rows * vocab, 4);
            struct span *targets = i32_of(p, target, rows * k);
            struct span *out = poisoned_f32(p, (int64_t)rows * k);
            ON_BOTH(p, d)
            OK(d->ops->token_logprobs(on(d, out), acts(d, logits), on(d, targets), rows, vocab, k,
                                      d->stream));
            double *expected = new_values(p, (int64_t)rows * k);
            for (int j = 0; j < rows * k; j++) {
                const double *x = values_of(logits) + (int64_t)(j / k) * vocab;
                expected[j] = x[target[j]] - log_sum_exp(x, vocab);
            }
            check_values(p, out, expected, 1e-6);
            check_pair(p, out, 1e-5);
            pair_after(state);
        }
}

static void test_loss_refuses_an_empty_vocabulary(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        FAILS(d->ops->cross_entropy(NULL, NULL, NULL, 1, 0, 1, d->stream), MN_INVALID,
              "cross_entropy: vocab: expected at least 1, found 0");
        FAILS(d->ops->token_logprobs(NULL, NULL, NULL, -1, 8, 1, d->stream), MN_INVALID,
              "token_logprobs: rows: expected at least 0, found -1");
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_cross_entropy_matches_reference),
    PAIR_TEST(test_cross_entropy_leaves_the_numeric_gradient),
    PAIR_TEST(test_cross_entropy_holds_for_huge_logits),
    PAIR_TEST(test_token_logprobs_match_reference),
    PAIR_TEST(test_loss_refuses_an_empty_vocabulary),
};
PAIR_MAIN(tests)
