/* Paired statistics against scipy, statsmodels and numpy (tests/oracle/study_statistics.py), and
 * against published examples. */
#include "support/support.h"

#include <math.h>

#include "minuano/statistics.h"

enum { PAIRS = 120, CLUSTERS = 11 };

static void make_pairs(struct mn_pair pairs[PAIRS])
{
    for (int i = 0; i < PAIRS; i++) {
        int cluster = (i * i + 3 * i) % CLUSTERS;
        pairs[i] = (struct mn_pair){.before = i * 7 % 10 < 5,
                                    .after = (i * i * 3 + cluster * 5) % 13 < 3 + cluster,
                                    .cluster = cluster};
    }
}

static void test_paired_change_matches_statsmodels_and_numpy(void **state)
{
    (void)state;
    struct mn_pair pairs[PAIRS];
    struct mn_change change;
    make_pairs(pairs);
    mn_paired_change(pairs, PAIRS, CLUSTERS, MN_WEIGHT_ITEMS, 42, &change);
    assert_int_equal(change.gained, 40);
    assert_int_equal(change.lost, 18);
    assert_int_equal(change.clusters, 6);
    assert_float_equal(change.p, 0.0053548596508002939, 1e-13);
    /* statsmodels: (clustered / plain standard error of a mean)². */
    assert_float_equal(change.design_effect, 4.7708905703108977, 1e-12);
    /* numpy, 400000 draws, at the ends of an expanded percentile interval of six clusters. There
     * the end of an interval of 10000 draws has an error of 0.065 deviations; three and a half. */
    assert_float_equal(change.interval.low, -0.157025, 0.23 * 0.123108);
    assert_float_equal(change.interval.high, 0.494845, 0.23 * 0.123108);
    assert_true(isnan(change.holm_p));
    assert_float_equal(change.detectable,
                       mn_detectable_change(120, 58.0 / 120, change.design_effect), 0);
}

static void test_design_effect_is_one_where_clusters_say_nothing(void **state)
{
    (void)state;
    struct mn_pair pairs[PAIRS];
    make_pairs(pairs);
    for (int i = 0; i < PAIRS; i++) pairs[i].cluster = 0;
    assert_float_equal(mn_design_effect(pairs, PAIRS, 1), 1, 0);
    for (int i = 0; i < PAIRS; i++) pairs[i].cluster = i;
    assert_float_equal(mn_design_effect(pairs, PAIRS, PAIRS), 1, 1e-12);
    for (int i = 0; i < PAIRS; i++) pairs[i] = (struct mn_pair){1, 1, i % 2};
    assert_float_equal(mn_design_effect(pairs, PAIRS, 2), 1, 0);
    for (int items = 1; items <= PAIRS; items++) { /* all won: rounding is no variance */
        for (int i = 0; i < items; i++) pairs[i] = (struct mn_pair){0, 1, i % 3};
        assert_float_equal(mn_design_effect(pairs, (size_t)items, 3), 1, 0);
    }
}

/* Copies of an item are one item: m copies multiply the variance by m (Kish, with ρ = 1), but for
 * N - 1 against C - 1 degrees of freedom. */
static void test_design_effect_of_copies_is_their_number(void **state)
{
    (void)state;
    struct mn_pair pairs[PAIRS];
    for (int i = 0; i < PAIRS; i++)
        pairs[i] = (struct mn_pair){.after = i / 4 % 3 == 0, .cluster = i / 4};
    assert_float_equal(mn_design_effect(pairs, PAIRS, PAIRS / 4), 4.0 * 119 / 120 * 30 / 29, 1e-12);
}

/* The first is the example of R's p.adjust and of many textbooks. */
static void test_holm_matches_statsmodels(void **state)
{
    (void)state;
    static const double p[] = {0.01, 0.04, 0.03, 0.005}, expected[] = {0.03, 0.06, 0.06, 0.02};
    static const double ties[] = {0.2, 0.001, 0.9, 0.02, 0.02, 0.3},
                        adjusted[] = {0.6, 0.006, 0.9, 0.1, 0.1, 0.6};
    double found[6];
    mn_holm(p, 4, found);
    for (int i = 0; i < 4; i++) assert_float_equal(found[i], expected[i], 1e-15);
    mn_holm(ties, 6, found);
    for (int i = 0; i < 6; i++) assert_float_equal(found[i], adjusted[i], 1e-15);
    mn_holm(NULL, 0, found);
}

/* Chow, Shao and Wang, 5.6: with 0.2 and 0.5 flipping, 59 patients find the difference of 0.3. The
 * rest is scipy's root of the equation. */
static void test_detectable_change_matches_the_published_example_and_scipy(void **state)
{
    (void)state;
    static const struct {
        double items, discordance, change;
    } cases[] = {{59, 0.7, 0.29910130824758407},
                 {1034, 0.25, 0.043512928101180223},
                 {14042, 0.1, 0.0074757176469136804},
                 {20, 0.9, 0.55989685049202764}};
    for (size_t i = 0; i < MN_COUNT(cases); i++)
        assert_float_equal(mn_detectable_change(cases[i].items, cases[i].discordance, 1),
                           cases[i].change, 1e-13);
    assert_true(mn_detectable_change(59, 0.7, 1) < 0.3 && mn_detectable_change(58, 0.7, 1) > 0.3);
    assert_float_equal(mn_detectable_change(2068, 0.25, 2), cases[1].change, 1e-13);
    assert_true(isnan(mn_detectable_change(100, 0, 1)));
    assert_true(isnan(mn_detectable_change(4, 0.5, 1))); /* four items find nothing */
}

static void test_calibration_error_matches_numpy(void **state)
{
    (void)state;
    enum { ITEMS = 40 };
    double confidence[ITEMS];
    int correct[ITEMS];
    struct mn_calibration found;
    int64_t items = 0;
    for (int i = 0; i < ITEMS; i++) {
        confidence[i] = 0.25 + 0.75 * (i * 37 % 40) / 40;
        correct[i] = i * 11 % 7 < 4;
    }
    mn_calibrate(confidence, correct, ITEMS, &found);
    assert_float_equal(found.error, 0.196875, 1e-13);
    assert_float_equal(found.confidence, 0.615625, 1e-13);
    for (int b = 0; b < MN_CALIBRATION_BINS; b++) items += found.bins[b].items;
    assert_int_equal(items, ITEMS);
    assert_int_equal(found.bins[0].items, 0);
    assert_true(isnan(found.bins[0].confidence));
    mn_calibrate(NULL, NULL, 0, &found);
    assert_true(isnan(found.error) && isnan(found.confidence));
    /* Sure and right: no error. Sure and wrong: all of it. */
    mn_calibrate((const double[]){1, 1}, (const int[]){1, 1}, 2, &found);
    assert_float_equal(found.error, 0, 0);
    assert_int_equal(found.bins[9].items, 2);
    mn_calibrate((const double[]){1, 1}, (const int[]){0, 0}, 2, &found);
    assert_float_equal(found.error, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paired_change_matches_statsmodels_and_numpy),
        cmocka_unit_test(test_design_effect_is_one_where_clusters_say_nothing),
        cmocka_unit_test(test_design_effect_of_copies_is_their_number),
        cmocka_unit_test(test_holm_matches_statsmodels),
        cmocka_unit_test(test_detectable_change_matches_the_published_example_and_scipy),
        cmocka_unit_test(test_calibration_error_matches_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
