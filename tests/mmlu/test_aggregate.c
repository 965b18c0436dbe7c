/* Scores against numbers worked out by hand and by numpy; replies give the first letter. */
#include "support/support.h"

#include <math.h>

#include "minuano/mmlu.h"

static void add(struct mn_mmlu_answer *answers, size_t *count, const char *subject, int right,
                int wrong, double mass)
{
    for (int i = 0; i < right + wrong; i++)
        answers[(*count)++] = (struct mn_mmlu_answer){
            .subject = subject, .answer = 2, .predicted = i < right ? 2 : 0, .mass = mass};
}

/* Accuracies 3/4, 6/10, 1/1 and 2/5. Standard errors of the first two: s/sqrt(n) is 0.25 for
 * [1,1,1,0] and 0.163299 for six of ten (numpy: std(ddof=1)/sqrt(n)). */
static void test_aggregate_weighs_groups_by_size_and_macro_by_subject(void **state)
{
    (void)state;
    struct mn_mmlu_answer answers[32];
    struct mn_mmlu_scores scores;
    size_t count = 0;
    mn_arena *arena;
    OK(mn_arena_open(&arena));
    add(answers, &count, "astronomy", 3, 1, 0.5);
    add(answers, &count, "college_physics", 6, 4, 1.0);
    add(answers, &count, "virology", 1, 0, 0.25);
    add(answers, &count, "made_up", 2, 3, 0.75);
    mn_mmlu_aggregate(arena, answers, count, &scores);
    assert_int_equal(scores.subject_count, 4);
    assert_float_equal(scores.subjects[0].score.standard_error, 0.25, 1e-12);
    assert_float_equal(scores.subjects[1].score.standard_error, 0.16329931618554522, 1e-12);
    assert_true(isnan(scores.subjects[2].score.standard_error));
    const struct mn_mmlu_score *stem = &scores.groups[MN_MMLU_STEM];
    assert_int_equal(stem->total, 14);
    assert_float_equal(stem->accuracy, 9.0 / 14, 1e-12);
    /* sqrt(((4-1) * 4 * 0.25^2 + (10-1) * 10 * 0.1633^2) / (14 - 2) / 14) */
    assert_float_equal(stem->standard_error, 0.13693063937629152, 1e-12);
    assert_int_equal(scores.groups[MN_MMLU_OTHER].total, 6);
    assert_float_equal(scores.groups[MN_MMLU_OTHER].accuracy, 0.5, 1e-12);
    assert_int_equal(scores.groups[MN_MMLU_HUMANITIES].total, 0);
    assert_float_equal(scores.micro.accuracy, 12.0 / 20, 1e-12);
    assert_float_equal(scores.micro.mass, (4 * 0.5 + 10 + 0.25 + 5 * 0.75) / 20, 1e-12);
    assert_float_equal(scores.macro.accuracy, (0.75 + 0.6 + 1 + 0.4) / 4, 1e-12);
    assert_float_equal(scores.macro.mass, (0.5 + 1 + 0.25 + 0.75) / 4, 1e-12);
    mn_arena_close(&arena);
}

static void test_aggregate_of_whole_subjects_has_a_macro_error(void **state)
{
    (void)state;
    struct mn_mmlu_answer answers[32];
    struct mn_mmlu_scores scores;
    size_t count = 0;
    mn_arena *arena;
    OK(mn_arena_open(&arena));
    add(answers, &count, "astronomy", 3, 1, NAN);
    add(answers, &count, "college_physics", 6, 4, NAN);
    mn_mmlu_aggregate(arena, answers, count, &scores);
    assert_float_equal(scores.macro.standard_error, 0.14930394055974098, 1e-12);
    assert_true(isnan(scores.micro.mass));
    json_t *json = mn_mmlu_scores_json(&scores);
    assert_non_null(json);
    assert_true(json_is_null(json_object_get(json_object_get(json, "micro"), "mass")));
    json_decref(json);
    mn_arena_close(&arena);
}

static void test_mass_is_the_sum_of_probabilities(void **state)
{
    (void)state;
    const float logprob[4] = {logf(0.5f), logf(0.25f), logf(0.125f), -100};
    assert_float_equal(mn_mmlu_mass(logprob), 0.875, 1e-6);
}

static void test_a_reply_is_its_first_letter_among_four(void **state)
{
    (void)state;
    assert_int_equal(mn_mmlu_parse_reply("C. because"), 2);
    assert_int_equal(mn_mmlu_parse_reply(" the answer"), 0); /* as the seed study: "THE A" */
    assert_int_equal(mn_mmlu_parse_reply("(d)"), 3);
    assert_int_equal(mn_mmlu_parse_reply("E, 42"), -1);
    assert_int_equal(mn_mmlu_parse_reply(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aggregate_weighs_groups_by_size_and_macro_by_subject),
        cmocka_unit_test(test_aggregate_of_whole_subjects_has_a_macro_error),
        cmocka_unit_test(test_mass_is_the_sum_of_probabilities),
        cmocka_unit_test(test_a_reply_is_its_first_letter_among_four),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
