/* Two ranks with a GPU each: sums in rank order whatever the count, the same bits every time, and a
 * rank that stalls is named. The program starts itself twice under mpirun. */
#include <math.h>
#include <unistd.h>

#include "minuano/dist.h"
#include "support/ranks.h"
#include "support/support.h"

#ifdef MN_WITH_NCCL

static mn_ranks *ranks;
static mn_device *device;

/* A group of one needs no rank beside it: its sum is what it was. */
static void test_gpus_alone_sum_to_themselves(void **state)
{
    (void)state;
    struct mn_group_id id;
    float values[3] = {1, -2.5f, 1e30f}, found[3];
    void *memory;
    OK(mn_cuda_device_open(&device, 0));
    OK(device->calls->allocate(device, &memory, sizeof values));
    OK(device->calls->upload(device, memory, values, sizeof values));
    FAILS(device->calls->group_sum(device, memory, 3, 1), MN_INVALID, "has not joined a group");
    OK(device->calls->group_new_id(device, &id));
    OK(device->calls->group_join(device, &id, 0, 1, 60));
    OK(device->calls->group_sum(device, memory, 3, 60));
    OK(device->calls->download(device, found, memory, sizeof found));
    assert_memory_equal(values, found, sizeof found);
    device->calls->release(device, memory);
    mn_device_close(&device);
}

/* What rank `rank` brings: numbers of many magnitudes, so that another order shows. */
static float value_of(int rank, int64_t i)
{
    return (float)(sin((double)i + 7.0 * rank) * pow(2, (double)(i % 40)));
}

static void sum_of(int64_t count)
{
    void *memory;
    float *host = malloc((size_t)count * sizeof *host);
    assert_non_null(host);
    OK(device->calls->allocate(device, &memory, (size_t)count * sizeof *host));
    for (int64_t i = 0; i < count; i++) host[i] = value_of(ranks->rank, i);
    OK(device->calls->upload(device, memory, host, (size_t)count * sizeof *host));
    OK(mn_ranks_sum_device(ranks, device, memory, count));
    OK(device->calls->download(device, host, memory, (size_t)count * sizeof *host));
    for (int64_t i = 0; i < count; i++)
        if (host[i] != value_of(0, i) + value_of(1, i))
            fail_msg("element %lld of %lld: found %.9g, expected %.9g", (long long)i,
                     (long long)count, (double)host[i], (double)(value_of(0, i) + value_of(1, i)));
    device->calls->release(device, memory);
    free(host);
}

/* Below a share's alignment, odd, and beyond the piece that is summed at once. */
static void test_gpus_sum_in_rank_order(void **state)
{
    static const int64_t counts[] = {1, 31, 32, 65, 1000003, (16 << 20) + 7};
    (void)state;
    for (size_t i = 0; i < MN_COUNT(counts); i++) sum_of(counts[i]);
}

/* Last: the group is gone afterwards. */
static void test_gpus_that_stall_are_named(void **state)
{
    void *memory;
    (void)state;
    OK(device->calls->allocate(device, &memory, 1024));
    OK(device->calls->fill(device, memory, 0, 1024));
    OK(mn_ranks_barrier(ranks));
    ranks->patience = 1;
    if (ranks->rank == 0)
        FAILS(mn_ranks_sum_device(ranks, device, memory, 256), MN_PEER, "waiting for rank 1");
    else
        sleep(5);
    device->calls->release(device, memory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest alone[] = {cmocka_unit_test(test_gpus_alone_sum_to_themselves)};
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_gpus_sum_in_rank_order),
        cmocka_unit_test(test_gpus_that_stall_are_named),
    };
    if (argc == 2 && strcmp(argv[1], "together") == 0) {
        if (mn_ranks_open(&ranks, true) != MN_OK) return 1;
        if (mn_cuda_device_open(&device, ranks->local_rank) != MN_OK) return 1;
        int failed = cmocka_run_group_tests(together, NULL, NULL);
        if (ranks->rank == 0) sleep(7); /* mpirun kills the other when this one leaves */
        mn_ranks_abandon(&ranks);
        _exit(failed);
    }
    mn_status st = mn_cuda_device_open(&device, 0);
    mn_device_close(&device);
    if (st == MN_OK) {
        int failed = cmocka_run_group_tests(alone, NULL, NULL);
        if (failed) return failed;
        st = mn_cuda_device_open(&device, 1);
        mn_device_close(&device);
    }
    if (st != MN_OK) {
        printf("skipped: two GPUs are needed: %s\n", mn_error());
        return 77;
    }
    return run_as_two_ranks(argv[0], "together", (int)MN_COUNT(together));
}

#else

int main(void)
{
    puts("skipped: this build has no NCCL");
    return 77;
}

#endif
