/* Plain lines, figures and what a watcher is told; the live view is tested in tests/cli. */
#include <math.h>
#include <unistd.h>

#include "../../host/base/view.h"
#include "support/support.h"

/* What is written to stderr while `work` runs. */
static const char *written_by(void (*work)(void))
{
    static char text[4096];
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_true(kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    work();
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void run_short_work(void)
{
    struct mn_progress progress;
    mn_progress_start(&progress, "sorting", "items", 5, 2);
    for (int64_t done = 3; done <= 5; done++) {
        mn_progress_figure(&progress, "loss", "%.2f", 1.0 / (double)done);
        mn_progress_note(&progress, "item %lld", (long long)done);
        mn_progress_step(&progress, done);
    }
    mn_progress_now(&progress);
    mn_progress_end(&progress);
}

static void test_short_work_off_a_terminal_is_one_plain_line(void **state)
{
    (void)state;
    const char *text = written_by(run_short_work);
    assert_int_equal(strncmp(text, "sorting: 5/5 items, ", 20), 0);
    assert_non_null(strstr(text, "in all, loss 0.20, item 5\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_null(strchr(text, '\033'));
}

static void test_quiet_work_says_nothing(void **state)
{
    (void)state;
    mn_log_set_level(MN_LOG_WARNING);
    assert_string_equal(written_by(run_short_work), "");
    mn_log_set_level(MN_LOG_INFO);
}

/* --- figures ---------------------------------------------------------------------------------- */

static void test_course_spans_all_values_however_many(void **state)
{
    (void)state;
    static struct mn_progress progress;
    mn_progress_start(&progress, "long", "steps", 10000, 0);
    for (int i = 0; i < 10000; i++) {
        mn_progress_figure(&progress, "ramp", "%.0f", i);
        const struct mn_figure *figure = &progress.figure[0];
        assert_true(figure->count <= MN_FIGURE_COURSE);
        assert_true(i < MN_FIGURE_COURSE / 2 || figure->count >= MN_FIGURE_COURSE / 2);
    }
    const struct mn_figure *figure = &progress.figure[0];
    assert_int_equal(progress.figures, 1);
    assert_string_equal(figure->text, "9999");
    for (int i = 0; i < figure->count; i++) { /* each point is the mean of its `stride` values */
        double mean = i * (double)figure->stride + (figure->stride - 1) / 2.0;
        assert_true(fabs((double)figure->course[i] - mean) < 1e-3 * (mean + 1));
    }
    assert_true(figure->count * figure->stride + figure->pending == 10000);
}

static void test_figures_beyond_the_room_are_not_kept(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    static struct mn_progress progress;
    mn_progress_start(&progress, "many", "steps", 1, 0);
    for (size_t i = 0; i < MN_COUNT(names); i++)
        mn_progress_figure(&progress, names[i], "%.0f", (double)i);
    assert_int_equal(progress.figures, MN_FIGURES);
    assert_string_equal(progress.figure[MN_FIGURES - 1].name, "h");
}

static void test_posted_figures_are_taken_up_at_the_next_step(void **state)
{
    (void)state;
    static struct mn_progress progress;
    mn_progress_post("of work before", "%.0f", 1);
    mn_progress_start(&progress, "answering", "items", 10, 0);
    mn_progress_post("right", "%.0f %%", 50);
    mn_progress_post("right", "%.0f %%", 75);
    mn_progress_step(&progress, 1);
    mn_progress_step(&progress, 2);
    assert_int_equal(progress.figures, 1);
    assert_string_equal(progress.figure[0].name, "right");
    assert_string_equal(progress.figure[0].text, "75 %");
    assert_int_equal(progress.figure[0].count, 1);
}

static void test_sparkline_draws_lowest_to_highest(void **state)
{
    (void)state;
    const float ramp[] = {0, 1, 2, 3, 4, 5, 6, 7}, flat[] = {2, 2}, hole[] = {1, NAN, 2};
    char text[64];
    sparkline(ramp, 8, true, text, sizeof text);
    assert_string_equal(text, "▁▂▃▄▅▆▇█");
    sparkline(ramp, 8, false, text, sizeof text);
    assert_string_equal(text, "_.-=+*%#");
    sparkline(flat, 2, true, text, sizeof text);
    assert_string_equal(text, "▅▅");
    sparkline(hole, 3, true, text, sizeof text);
    assert_string_equal(text, "▁ █");
    sparkline(ramp, 8, true, text, 8); /* whole characters only */
    assert_string_equal(text, "▁▂");
    sparkline(ramp, 0, true, text, sizeof text);
    assert_string_equal(text, "");
}

/* --- the watcher ------------------------------------------------------------------------------ */

static int64_t told[8];
static int calls;

static void watch(void *user, const struct mn_progress *progress)
{
    assert_ptr_equal(user, &calls);
    assert_true(calls < (int)MN_COUNT(told));
    told[calls++] = progress->done;
}

static void test_watcher_is_told_of_the_beginning_and_the_end(void **state)
{
    (void)state;
    mn_progress_watch(watch, &calls);
    written_by(run_short_work);
    mn_progress_watch(NULL, NULL);
    written_by(run_short_work);
    assert_int_equal(calls, 3); /* start, now, end */
    assert_int_equal(told[0], 2);
    assert_int_equal(told[2], 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_work_off_a_terminal_is_one_plain_line),
        cmocka_unit_test(test_quiet_work_says_nothing),
        cmocka_unit_test(test_course_spans_all_values_however_many),
        cmocka_unit_test(test_figures_beyond_the_room_are_not_kept),
        cmocka_unit_test(test_posted_figures_are_taken_up_at_the_next_step),
        cmocka_unit_test(test_sparkline_draws_lowest_to_highest),
        cmocka_unit_test(test_watcher_is_told_of_the_beginning_and_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
