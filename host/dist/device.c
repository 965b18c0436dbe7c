/* device.c: sums of device memory over the ranks.
 *
 * On the reference the memory is the host's: down, over MPI in rank order, up. GPUs do not take
 * that road: their gradients would cross the host at every step. */
#include <stdlib.h>

#include "minuano/arena.h"
#include "job.h"

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

mn_status mn_ranks_sum_device(mn_ranks *ranks, mn_device *device, float *values, int64_t count)
{
    if (ranks->size == 1) return MN_OK;
    switch (device->kind) {
    case MN_DEVICE_REFERENCE: return sum_through_host(ranks, device, values, count);
    case MN_DEVICE_CUDA: break;
    }
    return mn_fail(MN_UNSUPPORTED,
                   "%d ranks on %s: sums over several GPUs need NCCL, which this build lacks; "
                   "run one rank, or --device reference",
                   ranks->size, device->name);
}
