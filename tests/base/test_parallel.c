/* Every item of a job is done once, and the failure that is told does not depend on the threads. */
#include "support/support.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel_does_every_item_once),
        cmocka_unit_test(test_parallel_tells_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
