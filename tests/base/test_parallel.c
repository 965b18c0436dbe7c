/* Every item of a job is done once, and the failure that is told does not depend on the threads; a
 * task runs beside its caller and hands its failure over. */
#include "support/support.h"

#include <sched.h>
#include <stdatomic.h>

#include "minuano/parallel.h"

enum { ITEMS = 1000 };

struct job {
    atomic_int done[ITEMS];
    size_t fails_from; /* items from here on fail */
};

static mn_status work(void *user, size_t item)
{
    struct job *job = user;
    atomic_fetch_add(&job->done[item], 1);
    if (item >= job->fails_from) return mn_fail(MN_INVALID, "item %zu", item);
    return MN_OK;
}

static void test_parallel_does_every_item_once(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, ITEMS};
    for (int threads = 0; threads <= 5; threads++)
        for (size_t c = 0; c < MN_COUNT(counts); c++) {
            struct job job = {.fails_from = ITEMS};
            OK(mn_parallel(threads, counts[c], work, &job));
            for (size_t i = 0; i < ITEMS; i++) assert_int_equal(job.done[i], i < counts[c]);
        }
}

static void test_parallel_tells_the_first_failure(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 5; threads++)
        for (int round = 0; round < 20; round++) {
            struct job job = {.fails_from = 100};
            FAILS(mn_parallel(threads, ITEMS, work, &job), MN_INVALID, "item 100");
            for (size_t i = 0; i < 100; i++) assert_int_equal(job.done[i], 1);
            assert_int_equal(job.done[ITEMS - 1], 0);
        }
}

/* Ends only once its caller has gone on. */
struct meeting {
    atomic_bool caller_went_on;
    mn_status status;
};

static mn_status meet(void *user)
{
    struct meeting *meeting = user;
    while (!atomic_load(&meeting->caller_went_on)) sched_yield();
    return meeting->status == MN_OK ? MN_OK : mn_fail(meeting->status, "a task's own words");
}

static void test_task_runs_beside_its_caller(void **state)
{
    (void)state;
    struct meeting meeting = {.status = MN_OK};
    mn_task *task = NULL;
    OK(mn_task_end(&task));
    mn_task_begin(&task, meet, &meeting);
    atomic_store(&meeting.caller_went_on, true);
    OK(mn_task_end(&task));
    assert_null(task);
}

static void test_task_hands_its_failure_over(void **state)
{
    (void)state;
    struct meeting meeting = {.caller_went_on = true, .status = MN_NOT_FOUND};
    mn_task *task;
    mn_task_begin(&task, meet, &meeting);
    FAILS(mn_task_end(&task), MN_NOT_FOUND, "a task's own words");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel_does_every_item_once),
        cmocka_unit_test(test_parallel_tells_the_first_failure),
        cmocka_unit_test(test_task_runs_beside_its_caller),
        cmocka_unit_test(test_task_hands_its_failure_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
