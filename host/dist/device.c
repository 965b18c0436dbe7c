/* device.c: sums of device memory over the ranks.
 *
 * On the reference the memory is the host's: down, over MPI in rank order, up. GPUs form a group of
 * their own, whose id travels over MPI; it adds in rank order, too. A group only knows that someone
 * is missing: then the ranks that are left call the roll over MPI, which names who does not answer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "minuano/arena.h"
#include "job.h"

enum { ROLL_CALL_SECONDS = 10 };

static void add_f32(void *sum, const void *more, int64_t count)
{
    float *to = sum;
    const float *from = more;
    for (int64_t i = 0; i < count; i++) to[i] += from[i];
}

static mn_status sum_through_host(mn_ranks *ranks, mn_device *device, float *values, int64_t count)
{
    size_t bytes = (size_t)count * sizeof *values;
    float *host = mn_realloc(NULL, (size_t)count, sizeof *host);
    mn_status st;
    MN_GO(device->calls->download(device, host, values, bytes));
    MN_GO(sum_in_rank_order(ranks, host, count, sizeof *host, add_f32));
    MN_GO(device->calls->upload(device, values, host, bytes));
done:
    free(host);
    return st;
}

mn_status mn_ranks_join_device(mn_ranks *ranks, mn_device *device)
{
    struct mn_group_id id = {{0}};
    if (ranks->size == 1 || device->kind == MN_DEVICE_REFERENCE || ranks->joined == device)
        return MN_OK;
    if (ranks->rank == 0) MN_TRY(device->calls->group_new_id(device, &id));
    MN_TRY(send_from_first(ranks, &id, sizeof id));
    MN_TRY(device->calls->group_join(device, &id, ranks->rank, ranks->size, ranks->patience));
    ranks->joined = device;
    return MN_OK;
}

/* Keeps the group's own words where everyone answers. */
static mn_status call_the_roll(mn_ranks *ranks, mn_status st)
{
    char words[512];
    snprintf(words, sizeof words, "%s", mn_error());
    if (ranks->patience > ROLL_CALL_SECONDS) ranks->patience = ROLL_CALL_SECONDS;
    MN_TRY(mn_ranks_barrier(ranks));
    return mn_fail(st, "%s; all %d ranks still answer", words, ranks->size);
}

mn_status mn_ranks_sum_device(mn_ranks *ranks, mn_device *device, float *values, int64_t count)
{
    if (ranks->size == 1) return MN_OK;
    if (device->kind == MN_DEVICE_REFERENCE) return sum_through_host(ranks, device, values, count);
    MN_TRY(mn_ranks_join_device(ranks, device));
    mn_status st = device->calls->group_sum(device, values, count, ranks->patience);
    return st == MN_PEER ? call_the_roll(ranks, st) : st;
}
