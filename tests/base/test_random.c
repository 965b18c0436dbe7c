/* Philox against Random123's known answers, and what is made of its words. */
#include "support/support.h"

#include <math.h>

#include "minuano/random.h"

/* kat_vectors of Random123: philox4x32, 10 rounds: counter, key, answer. */
static const struct {
    uint32_t counter[4], key[2], answer[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static uint64_t joined(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static void test_philox_gives_the_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < MN_COUNT(known); i++) {
        uint64_t seed = joined(known[i].key[0], known[i].key[1]);
        uint64_t index = joined(known[i].counter[0], known[i].counter[1]);
        uint64_t stream = joined(known[i].counter[2], known[i].counter[3]);
        struct mn_philox found = mn_philox(seed, stream, index);
        assert_memory_equal(found.word, known[i].answer, sizeof found.word);
    }
}

static void test_four_words_share_a_block(void **state)
{
    (void)state;
    struct mn_philox block = mn_philox(3, 4, 25);
    for (unsigned i = 0; i < 4; i++) assert_int_equal(mn_random_word(3, 4, 100 + i), block.word[i]);
}

static void test_uniform_never_reaches_its_ends(void **state)
{
    (void)state;
    assert_true(mn_word_uniform(0) > 0.0f);
    assert_true(mn_word_uniform(UINT32_MAX) < 1.0f);
    double sum = 0;
    enum { COUNT = 100000 };
    for (uint64_t i = 0; i < COUNT; i++) sum += (double)mn_random_uniform(1, 2, i);
    assert_true(fabs(sum / COUNT - 0.5) < 5 * sqrt(1.0 / 12 / COUNT)); /* five deviations */
}

static void test_normal_has_mean_0_and_variance_1(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = (double)mn_random_normal(1, 2, i);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / COUNT) < 5 / sqrt(COUNT));
    assert_true(fabs(squares / COUNT - 1) < 5 * sqrt(2.0 / COUNT));
}

static void test_bits_carry_their_share_at_every_place(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static const uint32_t thresholds[] = {0, 1, 255, 3277, 32768, 65535};
    for (size_t t = 0; t < MN_COUNT(thresholds); t++) {
        const double p = thresholds[t] / 65536.0;
        int ones[32] = {0};
        for (uint64_t i = 0; i < COUNT; i++) {
            const uint32_t bits = mn_random_bits(1, 2, i, thresholds[t]);
            for (int b = 0; b < 32; b++) ones[b] += (int)(bits >> b & 1);
        }
        for (int b = 0; b < 32; b++) /* five deviations, and none where nothing can vary */
            assert_true(fabs(ones[b] - p * COUNT) <= 5 * sqrt(COUNT * p * (1 - p)));
    }
}

/* Halfway between two upper digits, where the lower ones matter most. */
static void test_bits_of_a_group_do_not_depend_on_each_other(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    const double p = 32896 / 65536.0;
    static int both[32];
    for (uint64_t i = 0; i < COUNT; i++) {
        const uint32_t bits = mn_random_bits(3, 4, i, 32896);
        for (int d = 1; d < 32; d++) both[d] += (int)(bits & bits >> d & 1);
    }
    for (int d = 1; d < 32; d++)
        assert_true(fabs(both[d] - p * p * COUNT) <= 5 * sqrt(COUNT * p * p * (1 - p * p)));
}

static void test_permutation_holds_each_once_and_moves_them(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    int64_t order[COUNT], again[COUNT], moved = 0;
    bool seen[COUNT] = {false};
    mn_random_permutation(5, 6, order, COUNT);
    mn_random_permutation(5, 6, again, COUNT);
    assert_memory_equal(order, again, sizeof order);
    for (int i = 0; i < COUNT; i++) {
        assert_in_range(order[i], 0, COUNT - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
        moved += order[i] != i;
    }
    assert_true(moved > COUNT / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_gives_the_known_answers),
        cmocka_unit_test(test_four_words_share_a_block),
        cmocka_unit_test(test_uniform_never_reaches_its_ends),
        cmocka_unit_test(test_normal_has_mean_0_and_variance_1),
        cmocka_unit_test(test_bits_carry_their_share_at_every_place),
        cmocka_unit_test(test_bits_of_a_group_do_not_depend_on_each_other),
        cmocka_unit_test(test_permutation_holds_each_once_and_moves_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
