/* group.cu: sums over the GPUs of several processes, by NCCL.
 *
 * NCCL's own all-reduce adds in an order that its version and the wiring choose. Here the order is
 * that of the ranks, whatever carries the bytes: every rank gets its share of the values from all
 * others, adds them in rank order, and hands the sum back. The bytes a link sees are those of an
 * all-reduce; the scratch is bounded by going piece by piece. Every wait is polled, so that a rank
 * that never comes ends in an error and not in a hang. */
#include "group.cuh"

#ifdef MN_WITH_NCCL

#include <nccl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "minuano/log.h"

enum {
    PIECE = 16 << 20, /* values summed at once: 64 MiB of scratch */
    ALIGNMENT = 32,   /* values: every share begins on its own line of 128 bytes */
};

struct group {
    ncclComm_t comm;
    int rank, size;
    float *scratch; /* (size, share) what the others sent of this rank's share */
};

static_assert(sizeof(struct mn_group_id) == sizeof(ncclUniqueId), "an id travels whole");

/* --- waiting ---------------------------------------------------------------------------------- */

static mn_status nccl_failed(const char *call, ncclResult_t result)
{
    return mn_fail(result == ncclRemoteError ? MN_PEER : MN_DEVICE, "NCCL: %s: %s (%s)", call,
                   ncclGetErrorString(result), ncclGetLastError(NULL));
}

/* Tests often at first, then gives the processor away. */
static void pause_between_tests(long tests)
{
    struct timespec pause = {};
    pause.tv_nsec = 20000;
    if (tests > 1000) nanosleep(&pause, NULL);
}

/* Until NCCL has taken what was asked and, with a stream, until the GPU has done it. */
static mn_status settle(const struct group *group, const char *call, ncclResult_t asked,
                        cudaStream_t stream, double deadline)
{
    ncclResult_t state = asked;
    for (long tests = 0;; tests++) {
        if (state == ncclSuccess || state == ncclInProgress) {
            ncclResult_t read = ncclCommGetAsyncError(group->comm, &state);
            if (read != ncclSuccess) state = read;
        }
        if (state != ncclSuccess && state != ncclInProgress) return nccl_failed(call, state);
        if (state == ncclSuccess) {
            cudaError_t done = stream ? cudaStreamQuery(stream) : cudaSuccess;
            if (done == cudaSuccess) return MN_OK;
            if (done != cudaErrorNotReady) return cuda_failed(call, done);
        }
        if (mn_seconds() > deadline)
            return mn_fail(MN_PEER, "NCCL: %s: nothing came from some rank in time", call);
        pause_between_tests(tests);
    }
}

/* --- joining and leaving ---------------------------------------------------------------------- */

mn_status group_new_id(mn_device *device, struct mn_group_id *id)
{
    ncclUniqueId made;
    (void)device;
    ncclResult_t result = ncclGetUniqueId(&made);
    if (result != ncclSuccess) return nccl_failed("ncclGetUniqueId", result);
    memcpy(id, &made, sizeof *id);
    return MN_OK;
}

/* Without waiting for the others: they may be gone. Those that are not have met at a barrier. */
void group_close(struct group **group)
{
    if (!*group) return;
    if ((*group)->comm) ncclCommAbort((*group)->comm);
    cudaFree((*group)->scratch);
    free(*group);
    *group = NULL;
}

static mn_status join(struct group *group, const struct mn_group_id *id, double patience)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId unique;
    cudaError_t error =
        cudaMalloc(reinterpret_cast<void **>(&group->scratch),
                   ((size_t)PIECE + (size_t)group->size * ALIGNMENT) * sizeof *group->scratch);
    if (error != cudaSuccess) return cuda_failed("scratch of the sum over GPUs", error);
    config.blocking = 0;
    memcpy(&unique, id, sizeof unique);
    ncclResult_t asked =
        ncclCommInitRankConfig(&group->comm, group->size, unique, group->rank, &config);
    return settle(group, "joining the group of GPUs", asked, NULL, mn_seconds() + patience);
}

mn_status group_join(mn_device *device, const struct mn_group_id *id, int rank, int size,
                     double patience)
{
    struct group *group = static_cast<struct group *>(calloc(1, sizeof *group));
    if (!group) return mn_fail(MN_NO_MEMORY, "no host memory for a group of GPUs");
    group->rank = rank;
    group->size = size;
    mn_status st = join(group, id, patience);
    if (st != MN_OK) {
        group_close(&group);
        return st;
    }
    device->stream->group = group;
    return MN_OK;
}

/* --- sums ------------------------------------------------------------------------------------- */

/* Values `begin` to `begin + share` of a piece belong to one rank; the last ones may have fewer. */
struct piece {
    float *values;
    int64_t count, share;
};

static int64_t begin_of(const struct piece *p, int rank)
{
    int64_t begin = rank * p->share;
    return begin < p->count ? begin : p->count;
}

static int64_t count_of(const struct piece *p, int rank)
{
    return begin_of(p, rank + 1) - begin_of(p, rank);
}

/* Sends to every other rank and receives from it, as one. A part may be empty. */
static ncclResult_t exchange(const struct group *group, const struct piece *p, bool back,
                             cudaStream_t stream)
{
    const int me = group->rank;
    ncclResult_t result = ncclGroupStart();
    for (int peer = 0; peer < group->size && result == ncclSuccess; peer++) {
        const int to = back ? me : peer, from = back ? peer : me; /* whose share is carried */
        float *into = back ? p->values + begin_of(p, peer) : group->scratch + peer * p->share;
        if (peer == me) continue;
        if (count_of(p, to) > 0)
            result = ncclSend(p->values + begin_of(p, to), (size_t)count_of(p, to), ncclFloat, peer,
                              group->comm, stream);
        if (count_of(p, from) > 0 && (result == ncclSuccess || result == ncclInProgress))
            result =
                ncclRecv(into, (size_t)count_of(p, from), ncclFloat, peer, group->comm, stream);
        if (result == ncclInProgress) result = ncclSuccess; /* known at the group's end */
    }
    ncclResult_t ended = ncclGroupEnd();
    return result == ncclSuccess ? ended : result;
}

/* own (count) = the sum over ranks, in their order; rank r's values lie at scratch + r * share. */
__global__ void group_add_kernel(float *own, const float *scratch, int64_t count, int64_t share,
                                 int rank, int size)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float sum = rank == 0 ? own[i] : scratch[i];
    for (int r = 1; r < size; r++) sum += r == rank ? own[i] : scratch[r * share + i];
    own[i] = sum;
}

static mn_status sum_piece(const struct group *group, const struct piece *p, mn_stream s,
                           double deadline)
{
    enum { THREADS = 256 };
    const char *what = "sum over GPUs";
    const int64_t count = count_of(p, group->rank);
    MN_TRY(settle(group, what, exchange(group, p, false, s->stream), NULL, deadline));
    if (count > 0) {
        group_add_kernel<<<(unsigned)ceil_div(count, THREADS), THREADS, 0, s->stream>>>(
            p->values + begin_of(p, group->rank), group->scratch, count, p->share, group->rank,
            group->size);
        MN_TRY(launched(what));
    }
    return settle(group, what, exchange(group, p, true, s->stream), NULL, deadline);
}

mn_status group_sum(mn_device *device, float *values, int64_t count, double patience)
{
    struct group *group = device->stream->group;
    const double deadline = mn_seconds() + patience;
    mn_status st = MN_OK;
    if (!group)
        return mn_fail(MN_INVALID, "sum over GPUs: %s has not joined a group", device->name);
    for (int64_t begin = 0; begin < count && st == MN_OK; begin += PIECE) {
        const int64_t most = count - begin < PIECE ? count - begin : (int64_t)PIECE;
        const struct piece p = {values + begin, most,
                                ceil_div(ceil_div(most, group->size), ALIGNMENT) *
                                    (int64_t)ALIGNMENT};
        st = sum_piece(group, &p, device->stream, deadline);
    }
    if (st == MN_OK)
        st = settle(group, "sum over GPUs", ncclSuccess, device->stream->stream, deadline);
    if (st != MN_OK) group_close(&device->stream->group); /* ends what still waits on the stream */
    return st;
}

#else

static mn_status no_nccl(const mn_device *device)
{
    return mn_fail(MN_UNSUPPORTED,
                   "%s: sums over several GPUs need NCCL, which this build lacks: run one rank, or "
                   "--device reference",
                   device->name);
}

mn_status group_new_id(mn_device *device, struct mn_group_id *id)
{
    (void)id;
    return no_nccl(device);
}

mn_status group_join(mn_device *device, const struct mn_group_id *id, int rank, int size,
                     double patience)
{
    (void)id, (void)rank, (void)size, (void)patience;
    return no_nccl(device);
}

mn_status group_sum(mn_device *device, float *values, int64_t count, double patience)
{
    (void)values, (void)count, (void)patience;
    return no_nccl(device);
}

void group_close(struct group **group)
{
    (void)group;
}

#endif
