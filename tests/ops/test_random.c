/* Random weights: the numbers of random.h, wherever they are drawn. */
#include "support/pair.h"

#include "minuano/random.h"

static void test_random_normal_is_the_stream_of_random_h(void **state)
{
    struct pair *p = *state;
    static const int64_t counts[] = {1, 7, 8, 257, 40000};
    const uint64_t seed = 9, stream = mn_stream_id(MN_RANDOM_WEIGHTS, 3), first = 12345;
    for (size_t i = 0; i < MN_COUNT(counts); i++) {
        struct span *x = poisoned_acts(p, counts[i]);
        ON_BOTH(p, d)
        OK(d->ops->random_normal(acts(d, x), seed, stream, first, counts[i], 0.02f, d->stream));
        double *expected = new_values(p, counts[i]);
        for (int64_t j = 0; j < counts[i]; j++)
            expected[j] = (double)(0.02f * mn_random_normal(seed, stream, first + (uint64_t)j));
        check_values(p, x, expected, 0);
        check_pair_ulps(p, x, 1); /* logf and cosf differ in the last bits, then bf16 rounds */
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_random_normal_is_the_stream_of_random_h),
};
PAIR_MAIN(tests)
