/* Curves from rows whose answers are known by hand: a curve begins with the base and holds the
 * adapter, both on the items that its points were asked; and the same numbers in every form. */
#include "support/support.h"

#include <math.h>

#include "../../host/study/run.h"
#include "minuano/report.h"

enum { ITEMS = 12, ASKED = 4, BASE = 0, ADAPTER = 1, HALF = 2, MORE = 3, STEP = 4, SYSTEMS = 5 };

/* Of items 2, 5, 8 and 11, which the points are asked: 1, 3, 2, 4, 2 of Spider; MMLU 3, 2, 3, 1, 3
 * right. The other items say otherwise, and must not count. */
static bool right(int system, int item, bool mmlu)
{
    static const int spider[SYSTEMS] = {1, 3, 2, 4, 2}, knows[SYSTEMS] = {3, 2, 3, 1, 3};
    if (item % 3 != 2) return system == BASE;
    return item / 3 < (mmlu ? knows : spider)[system];
}

static void add_items(mn_results *results, int system)
{
    for (int i = 0; i < ITEMS; i++) {
        const bool point = system >= HALF;
        if (point && !study_is_asked((size_t)i, ITEMS, ASKED)) continue;
        const int hit = right(system, i, false);
        const struct mn_spider_row row = {.index = i,
                                          .db_id = i < 6 ? "farm" : "ferry",
                                          .question = "q",
                                          .gold = "g",
                                          .reply = "r",
                                          .sql = "s",
                                          .reply_length = 1,
                                          .sql_length = 1,
                                          .verdict = {hit, hit, hit}};
        const struct mn_mmlu_row answer = {.subject = i < 6 ? "anatomy" : "virology",
                                           .index = i,
                                           .answer = 1,
                                           .predicted = right(system, i, true) ? 1 : 2,
                                           .scored = true};
        OK(mn_results_add_spider(results, system, &row));
        OK(mn_results_add_mmlu(results, system, &answer));
    }
}

static const char *make_run(void)
{
    static const char *const names[SYSTEMS] = {"base", "a <b>", "a <b>@0.5", "a <b>@1.25",
                                               "a <b>@step-7"};
    static const double strengths[SYSTEMS] = {1, 1, 0.5, 1.25, 1};
    const char *folder = test_scratch("curves");
    const struct mn_token_counts tokens = {300, 700};
    mn_results *results;
    OK(mn_make_directories(folder));
    OK(mn_results_open(&results, test_scratch("curves/results.sqlite"), true));
    for (int s = 0; s < SYSTEMS; s++) {
        const bool point = s >= HALF;
        const struct mn_system system = {.name = names[s],
                                         .training = s ? names[ADAPTER] : NULL,
                                         .settings = s ? "{}" : NULL,
                                         .folder = "f",
                                         .fingerprint = "abc",
                                         .strength = strengths[s],
                                         .spider_planned = point ? ASKED : ITEMS,
                                         .mmlu_planned = point ? ASKED : ITEMS,
                                         .trained = {.steps = s == STEP ? 7 : 20}};
        int id;
        OK(mn_results_add_system(results, &system, &id));
        assert_int_equal(id, s);
        if (s) OK(mn_results_set_trained(results, id, &system));
        if (!point) OK(mn_results_set_tokens(results, id, false, &tokens));
        add_items(results, s);
    }
    mn_results_close(&results);
    return folder;
}

static mn_arena *arena;

static int load(void **state)
{
    static struct mn_report report;
    OK(mn_arena_open(&arena));
    OK(mn_report_load(arena, make_run(), &report));
    *state = &report;
    return 0;
}

static int unload(void **state)
{
    mn_report_close(*state);
    mn_arena_close(&arena);
    return 0;
}

static void check_stop(const struct mn_report_stop *stop, int system, double at, bool by_strength)
{
    int spider = 0, mmlu = 0;
    for (int i = 0; i < ITEMS; i++) {
        spider += study_is_asked((size_t)i, ITEMS, ASKED) && right(system, i, false);
        mmlu += study_is_asked((size_t)i, ITEMS, ASKED) && right(system, i, true);
    }
    assert_true((by_strength ? stop->strength : (double)stop->step) == at);
    assert_int_equal(stop->spider.items, ASKED);
    assert_int_equal(stop->mmlu.items, ASKED);
    assert_float_equal(stop->spider.after, spider / 4.0, 0);
    assert_float_equal(stop->mmlu.after, mmlu / 4.0, 0);
    assert_float_equal(stop->spider.change, (spider - 1) / 4.0, 1e-15);
    assert_float_equal(stop->mmlu.change, (mmlu - 3) / 4.0, 1e-15);
    assert_float_equal(stop->spider_interval.low, mn_wilson(spider, 4).low, 0);
}

/* Strength 0 is the base, 1 the adapter; step 0 and the last likewise. */
static void test_curves_go_from_the_base_through_the_adapter(void **state)
{
    const struct mn_report *report = *state;
    assert_true(report->complete);
    assert_int_equal(report->system_count, 2);
    assert_int_equal(report->point_count, 3);
    assert_int_equal(report->items_planned, 4 * ITEMS + 6 * ASKED);
    assert_int_equal(report->curve_count, 2);
    const struct mn_report_curve *strengths = &report->curves[0], *steps = &report->curves[1];
    assert_true(strengths->by_strength && !steps->by_strength);
    assert_int_equal(strengths->count, 4);
    check_stop(&strengths->stops[0], BASE, 0, true);
    check_stop(&strengths->stops[1], HALF, 0.5, true);
    check_stop(&strengths->stops[2], ADAPTER, 1, true);
    check_stop(&strengths->stops[3], MORE, 1.25, true);
    assert_int_equal(steps->count, 3);
    check_stop(&steps->stops[0], BASE, 0, false);
    check_stop(&steps->stops[1], STEP, 7, false);
    check_stop(&steps->stops[2], ADAPTER, 20, false);
}

/* (Spider, MMLU) of the stops: (1, 3), (2, 3), (3, 2), (4, 1): the base alone is behind another. */
static void test_front_is_what_nothing_surpasses(void **state)
{
    const struct mn_report *report = *state;
    const struct mn_report_stop *stops = report->curves[0].stops;
    assert_false(stops[0].front);
    for (int i = 1; i < 4; i++) assert_true(stops[i].front);
    assert_false(report->curves[1].stops[0].front);
    assert_true(report->curves[1].stops[1].front && report->curves[1].stops[2].front);
}

static char *printed(void (*print)(const struct mn_report *report, FILE *out),
                     const struct mn_report *report)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(report, out);
    fclose(out);
    return text;
}

static void print_markdown(const struct mn_report *report, FILE *out)
{
    mn_report_markdown(report, MN_PORTUGUESE, out);
}

static void print_html(const struct mn_report *report, FILE *out)
{
    OK(mn_report_html(report, MN_ENGLISH, out));
}

static void test_every_form_tells_the_same(void **state)
{
    const struct mn_report *report = *state;
    char *csv = printed(mn_report_csv, report), *markdown = printed(print_markdown, report);
    char *html = printed(print_html, report);
    json_t *json = mn_report_json(report);
    const json_t *curve = json_array_get(json_object_get(json, "curves"), 0);
    const json_t *half = json_array_get(json_object_get(curve, "points"), 1);
    assert_string_equal(json_string_value(json_object_get(curve, "over")), "strength");
    assert_true(json_number_value(json_object_get(json_object_get(half, "spider"), "after")) ==
                0.5);
    assert_true(json_is_true(json_object_get(half, "front")));
    assert_non_null(strstr(csv, "\"a <b>\",spider,strength,\"0.5\",4,0,2,0.5,"));
    assert_non_null(strstr(csv, "\"a <b>\",mmlu,step,\"7\",4,0,3,0.75,"));
    assert_non_null(strstr(csv, "\"base\",spider,prompt tokens,\"shared\",700,"));
    assert_non_null(strstr(markdown, "Em função da força do adaptador"));
    assert_non_null(strstr(markdown, "| 0,5 | 50,0 % ["));
    assert_non_null(strstr(markdown, "| base | 1000 | 300 | 70,0 % |"));
    assert_non_null(strstr(html, "<section id=\"curves\">"));
    assert_non_null(strstr(html, "50.0 % ["));
    assert_null(strstr(html, "a <b>"));
    json_decref(json);
    free(csv);
    free(markdown);
    free(html);
}

/* As many as asked, none twice, and no two neighbours of a spread farther apart than they must. */
static void test_points_are_asked_a_part_spread_evenly(void **state)
{
    static const size_t counts[] = {1, 7, 100, 1034, 14042};
    (void)state;
    for (size_t c = 0; c < MN_COUNT(counts); c++)
        for (int64_t limit = 0; limit < 1500; limit += 1 + limit / 3) {
            const size_t count = counts[c];
            size_t asked = 0, gap = 0, widest = 0;
            for (size_t i = 0; i < count; i++) {
                const bool is = study_is_asked(i, count, limit);
                asked += is;
                gap = is ? 0 : gap + 1;
                if (gap > widest) widest = gap;
            }
            if (limit == 0 || (size_t)limit > count)
                assert_int_equal(asked, count);
            else
                assert_int_equal(asked, limit);
            if (limit) assert_in_range(widest, 0, count / (size_t)limit + 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curves_go_from_the_base_through_the_adapter),
        cmocka_unit_test(test_front_is_what_nothing_surpasses),
        cmocka_unit_test(test_every_form_tells_the_same),
        cmocka_unit_test(test_points_are_asked_a_part_spread_evenly),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
