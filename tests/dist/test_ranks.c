/* Ranks: sums with the same bits everywhere, and a rank that stalls is named. The program starts
 * itself twice under mpirun. */
#include <math.h>
#include <unistd.h>

#include "minuano/dist.h"
#include "support/ranks.h"
#include "support/support.h"

static mn_ranks *ranks;

static void test_ranks_alone_sum_to_themselves(void **state)
{
    (void)state;
    mn_ranks *alone;
    int64_t n = 5;
    double x = 0.5;
    OK(mn_ranks_open(&alone, false));
    OK(mn_ranks_sum_i64(alone, &n, 1));
    OK(mn_ranks_sum_f64(alone, &x, 1));
    OK(mn_ranks_barrier(alone));
    assert_int_equal(alone->size, 1);
    assert_int_equal(n, 5);
    assert_true(x == 0.5);
    mn_ranks_close(&alone);
    assert_null(alone);
}

static void test_ranks_of_one_host_are_local(void **state)
{
    (void)state;
    assert_int_equal(ranks->size, 2);
    assert_int_equal(ranks->local_size, 2);
    assert_int_equal(ranks->local_rank, ranks->rank);
}

static void test_ranks_sum_counts_all(void **state)
{
    (void)state;
    int64_t n[2] = {ranks->rank + 1, 10};
    OK(mn_ranks_sum_i64(ranks, n, 2));
    assert_int_equal(n[0], 3);
    assert_int_equal(n[1], 20);
}

static void test_ranks_sum_is_in_rank_order(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    double found[COUNT];
    for (int i = 0; i < COUNT; i++) found[i] = sin(i + 7.0 * ranks->rank) * pow(2, i % 60);
    OK(mn_ranks_sum_f64(ranks, found, COUNT));
    for (int i = 0; i < COUNT; i++) {
        double expected = sin(i) * pow(2, i % 60);
        expected += sin(i + 7.0) * pow(2, i % 60);
        assert_true(found[i] == expected);
    }
}

/* More than one message's worth, and not a multiple of it. */
static void test_ranks_sum_on_the_reference_device(void **state)
{
    (void)state;
    enum { COUNT = 5000003 };
    mn_device *device;
    void *memory;
    float *host = malloc(COUNT * sizeof *host);
    assert_non_null(host);
    OK(mn_reference_device_open(&device, 1));
    OK(device->calls->allocate(device, &memory, COUNT * sizeof *host));
    for (int i = 0; i < COUNT; i++) host[i] = (float)(i % 1001) + 0.25f * (float)ranks->rank;
    OK(device->calls->upload(device, memory, host, COUNT * sizeof *host));
    OK(mn_ranks_sum_device(ranks, device, memory, COUNT));
    OK(device->calls->download(device, host, memory, COUNT * sizeof *host));
    for (int i = 0; i < COUNT; i++)
        if (host[i] != 2 * (float)(i % 1001) + 0.25f)
            fail_msg("element %d: %g", i, (double)host[i]);
    device->calls->release(device, memory);
    mn_device_close(&device);
    free(host);
}

/* Last: afterwards the ranks no longer agree where they are. */
static void test_ranks_that_stall_are_named(void **state)
{
    (void)state;
    int64_t n = 1;
    OK(mn_ranks_barrier(ranks));
    ranks->patience = 0.5;
    if (ranks->rank == 0)
        FAILS(mn_ranks_sum_i64(ranks, &n, 1), MN_PEER, "waiting for rank 1");
    else
        sleep(3); /* long enough that a loaded machine lets the other one finish first */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {cmocka_unit_test(test_ranks_alone_sum_to_themselves)};
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_ranks_of_one_host_are_local),
        cmocka_unit_test(test_ranks_sum_counts_all),
        cmocka_unit_test(test_ranks_sum_is_in_rank_order),
        cmocka_unit_test(test_ranks_sum_on_the_reference_device),
        cmocka_unit_test(test_ranks_that_stall_are_named),
    };
    if (argc == 2 && strcmp(argv[1], "together") == 0) {
        if (mn_ranks_open(&ranks, true) != MN_OK) return 1;
        int failed = cmocka_run_group_tests(together, NULL, NULL);
        if (ranks->rank == 0) sleep(5); /* mpirun kills the other when this one leaves */
        mn_ranks_abandon(&ranks);
        _exit(failed); /* what MPI keeps until MPI_Finalize is no leak of ours */
    }
    int failed = cmocka_run_group_tests(alone, NULL, NULL);
    if (failed) return failed;
    return run_as_two_ranks(argv[0], "together", (int)MN_COUNT(together));
}
