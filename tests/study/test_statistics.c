/* Statistics against published examples and against scipy 1.17. */
#include "support/support.h"

#include <math.h>

#include "minuano/random.h"
#include "minuano/statistics.h"

static void test_mcnemar_exact_matches_scipy_binomtest(void **state)
{
    (void)state;
    static const struct {
        int64_t gained, lost;
        double p;
    } cases[] = {
        {0, 0, 1},
        {3, 3, 1},
        {2, 1, 1},
        {5, 0, 0.0625},
        {1, 9, 0.021484375},
        {12, 25, 0.04703102743951604},
        {59, 6, 4.964650327128616e-12},
        {700, 600, 0.0060157938610449395},
    };
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        double found = mn_mcnemar_exact(cases[i].gained, cases[i].lost);
        /* Logarithms of factorials near 1e4 leave 12 digits. */
        if (fabs(found / cases[i].p - 1) > 1e-11)
            fail_msg("%lld and %lld: found %.17g, expected %.17g", (long long)cases[i].gained,
                     (long long)cases[i].lost, found, cases[i].p);
        assert_true(found == mn_mcnemar_exact(cases[i].lost, cases[i].gained));
    }
}

/* Newcombe, Statistics in Medicine 17 (1998), table I, method 3, to more digits by scipy. */
static void test_wilson_matches_newcombe(void **state)
{
    (void)state;
    static const struct {
        int64_t correct, total;
        double low, high;
    } cases[] = {
        {81, 263, 0.2552885198782742, 0.36620957698280004},
        {15, 148, 0.06238639953073629, 0.16048724172330803},
        {0, 10, 0, 0.27753279986288926},
        {10, 10, 0.7224672001371109, 1},
        {1, 1, 0.20654931437723745, 1},
    };
    for (size_t i = 0; i < MN_COUNT(cases); i++) {
        struct mn_interval found = mn_wilson(cases[i].correct, cases[i].total);
        assert_float_equal(found.low, cases[i].low, 1e-12);
        assert_float_equal(found.high, cases[i].high, 1e-12);
    }
    assert_true(isnan(mn_wilson(0, 0).low));
}

static void test_standard_error_has_one_degree_less(void **state)
{
    (void)state;
    assert_float_equal(mn_standard_error(3, 4), 0.25, 1e-15); /* std([1,1,1,0], ddof=1) / 2 */
    assert_float_equal(mn_standard_error(6, 10), 0.16329931618554522, 1e-15);
    assert_true(isnan(mn_standard_error(1, 1)));
}

/* Two clusters: a resample holds (a, a), (a, b), (b, a) or (b, b), so the percentile interval runs
 * from the change of the one to the change of the other, whatever the draws. */
static void test_bootstrap_of_two_clusters_spans_their_changes(void **state)
{
    (void)state;
    static const struct mn_pair pairs[] = {{0, 1, 0}, {0, 1, 0}, {0, 0, 0}, {0, 0, 0},
                                           {1, 0, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 1}};
    struct mn_change change;
    mn_paired_change(pairs, MN_COUNT(pairs), 2, MN_WEIGHT_ITEMS, 42, &change);
    assert_int_equal(change.items, 8);
    assert_int_equal(change.gained, 2);
    assert_int_equal(change.lost, 1);
    assert_float_equal(change.before, 3.0 / 8, 1e-15);
    assert_float_equal(change.after, 4.0 / 8, 1e-15);
    assert_float_equal(change.change, 1.0 / 8, 1e-15);
    assert_float_equal(change.interval.low, -0.25, 1e-15);
    assert_float_equal(change.interval.high, 0.5, 1e-15);
    assert_float_equal(change.p, 1, 0);
    assert_int_equal(change.clusters, 2);
}

/* With one item a cluster the bootstrap is the ordinary one: its standard error is that of a mean,
 * so the interval is the change ± 1.96 s/sqrt(n), within the noise of 10000 draws (2 %) and of the
 * lattice (1/n). */
static void test_bootstrap_of_single_items_is_as_wide_as_a_mean(void **state)
{
    (void)state;
    enum { ITEMS = 1000 };
    struct mn_pair pairs[ITEMS];
    struct mn_change change;
    double sum = 0, squares = 0;
    for (int i = 0; i < ITEMS; i++) {
        int kind = i % 10; /* 30 % gained, 10 % lost */
        pairs[i] = (struct mn_pair){.before = kind == 3, .after = kind < 3, .cluster = i};
        double d = pairs[i].after - pairs[i].before;
        sum += d;
        squares += d * d;
    }
    double mean = sum / ITEMS;
    double error = sqrt((squares / ITEMS - mean * mean) / (ITEMS - 1));
    mn_paired_change(pairs, ITEMS, ITEMS, MN_WEIGHT_ITEMS, 1, &change);
    assert_float_equal(change.change, 0.2, 1e-12);
    assert_float_equal(change.interval.low, mean - 1.96 * error, 0.05 * error + 1.0 / ITEMS);
    assert_float_equal(change.interval.high, mean + 1.96 * error, 0.05 * error + 1.0 / ITEMS);
    struct mn_change again, other;
    mn_paired_change(pairs, ITEMS, ITEMS, MN_WEIGHT_ITEMS, 1, &again);
    mn_paired_change(pairs, ITEMS, ITEMS, MN_WEIGHT_ITEMS, 2, &other);
    assert_memory_equal(&change.interval, &again.interval, sizeof again.interval);
    assert_float_equal(change.interval.low, other.interval.low, 0.05 * error + 1.0 / ITEMS);
}

static void test_student_quantile_matches_scipy(void **state)
{
    (void)state;
    static const struct {
        int freedom;
        double t;
    } cases[] = {{1, 12.706204736174694},  {2, 4.3026527297494619},  {4, 2.7764451051977934},
                 {19, 2.0930240544083087}, {56, 2.0032407188478718}, {165, 1.9744456300923825}};
    for (size_t i = 0; i < MN_COUNT(cases); i++)
        assert_float_equal(mn_student_975(cases[i].freedom), cases[i].t, 1e-10);
}

/* Studies of five databases that differ, whose true change is known: gains 2/8 and losses 1/10 of
 * the items on average. Plain percentiles would hold it in 83 of 100; numpy says 92 for these
 * (tests/oracle/study_statistics.py). Of 300 studies the share has a deviation of 0.016. */
static void test_intervals_of_few_clusters_hold_the_true_change(void **state)
{
    (void)state;
    enum { STUDIES = 300, DATABASES = 5, ITEMS = 60 };
    static const double up[] = {0.02, 0.10, 0.18, 0.26, 0.34, 0.42, 0.43},
                        down[] = {0.25, 0.20, 0.05, 0.05, 0.05, 0.05, 0.05};
    double truth = 0;
    int held = 0;
    for (size_t k = 0; k < MN_COUNT(up); k++) truth += (up[k] - down[k]) / (double)MN_COUNT(up);
    for (uint64_t s = 0; s < STUDIES; s++) {
        struct mn_pair pairs[DATABASES * ITEMS];
        struct mn_change change;
        for (int i = 0; i < DATABASES * ITEMS; i++) {
            int cluster = i / ITEMS;
            uint32_t kind = mn_random_below(7, s, (uint64_t)cluster, MN_COUNT(up));
            double u = mn_random_uniform(8, s, (uint64_t)i);
            bool gains = u < up[kind], loses = !gains && u < up[kind] + down[kind];
            pairs[i] = (struct mn_pair){.before = loses, .after = gains, .cluster = cluster};
        }
        mn_paired_change(pairs, MN_COUNT(pairs), DATABASES, MN_WEIGHT_ITEMS, s, &change);
        held += change.interval.low <= truth && truth <= change.interval.high;
    }
    if (held < 0.87 * STUDIES || held > 0.98 * STUDIES)
        fail_msg("%d of %d intervals hold the true change", held, STUDIES);
}

/* The bootstrap has nothing to vary where all clusters changed alike; the items still do. */
static void test_clusters_that_change_alike_leave_an_interval(void **state)
{
    (void)state;
    enum { ITEMS = 60 };
    static const struct {
        int before, after;
    } cases[] = {{0, 0}, {1, 1}, {0, 1}, {1, 0}}; /* all wrong, all right, all won, all lost */
    for (size_t c = 0; c < MN_COUNT(cases); c++)
        for (int weight = MN_WEIGHT_ITEMS; weight <= MN_WEIGHT_CLUSTERS; weight++) {
            struct mn_pair pairs[ITEMS];
            struct mn_change change;
            for (int i = 0; i < ITEMS; i++)
                pairs[i] = (struct mn_pair){cases[c].before, cases[c].after, i % 20};
            mn_paired_change(pairs, ITEMS, 20, (enum mn_cluster_weight)weight, 42, &change);
            struct mn_interval expected = mn_paired_interval(change.gained, change.lost, ITEMS);
            assert_float_equal(change.change, cases[c].after - cases[c].before, 0);
            assert_float_equal(change.interval.low, expected.low, 0);
            assert_float_equal(change.interval.high, expected.high, 0);
            assert_true(change.interval.low < change.interval.high);
            assert_true(change.interval.low <= change.change &&
                        change.change <= change.interval.high);
        }
}

static void test_macro_gives_each_cluster_one_voice(void **state)
{
    (void)state;
    static const struct mn_pair pairs[] = {{0, 1, 0}, {0, 0, 1}, {0, 0, 1}, {0, 0, 1}};
    struct mn_change change;
    mn_paired_change(pairs, MN_COUNT(pairs), 3, MN_WEIGHT_CLUSTERS, 42, &change);
    assert_float_equal(change.change, 0.5, 1e-15);
    assert_int_equal(change.clusters, 2); /* the third holds no item */
    assert_float_equal(change.interval.low, 0, 0);
    assert_float_equal(change.interval.high, 1, 0);
}

static void test_nothing_is_said_of_one_cluster_or_none(void **state)
{
    (void)state;
    static const struct mn_pair pairs[] = {{0, 1, 0}, {0, 0, 0}};
    struct mn_change change;
    mn_paired_change(pairs, MN_COUNT(pairs), 1, MN_WEIGHT_ITEMS, 42, &change);
    assert_float_equal(change.change, 0.5, 0);
    assert_true(isnan(change.interval.low) && isnan(change.interval.high));
    mn_paired_change(NULL, 0, 0, MN_WEIGHT_ITEMS, 42, &change);
    assert_true(isnan(change.change) && change.items == 0 && change.p == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mcnemar_exact_matches_scipy_binomtest),
        cmocka_unit_test(test_wilson_matches_newcombe),
        cmocka_unit_test(test_standard_error_has_one_degree_less),
        cmocka_unit_test(test_bootstrap_of_two_clusters_spans_their_changes),
        cmocka_unit_test(test_bootstrap_of_single_items_is_as_wide_as_a_mean),
        cmocka_unit_test(test_student_quantile_matches_scipy),
        cmocka_unit_test(test_intervals_of_few_clusters_hold_the_true_change),
        cmocka_unit_test(test_clusters_that_change_alike_leave_an_interval),
        cmocka_unit_test(test_macro_gives_each_cluster_one_voice),
        cmocka_unit_test(test_nothing_is_said_of_one_cluster_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
