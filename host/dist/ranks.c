/* ranks.c: this process among the ranks of its job, and sums of host values over MPI.
 *
 * MPI_Allreduce may add in any order, and in another one on another day: sums here go through rank
 * 0, which adds in rank order and hands the bits back. So does every wait: nonblocking calls are
 * polled under a deadline, and the rank that was waited for in vain is named. Leaves out: sums on a
 * device (device.c). */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "minuano/arena.h"
#include "minuano/log.h"
#include "job.h"

enum { TAG = 77, HOST_NAME = 64, CHUNK = 1 << 24 /* bytes a message */ };

struct job {
    char (*host)[HOST_NAME]; /* (size) */
    char *inbox;             /* CHUNK bytes, on rank 0 */
};

static mn_status check(const mn_ranks *ranks, int code, const char *what, int peer)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    const struct job *job = ranks->state;
    if (code == MPI_SUCCESS) return MN_OK;
    MPI_Error_string(code, text, &length);
    return mn_fail(MN_PEER, "rank %d of %d: %s rank %d (%s): %s", ranks->rank, ranks->size, what,
                   peer, job->host ? job->host[peer] : "host unknown", text);
}

/* Tests often at first, then gives the processor away: ranks may share one. */
static void pause_between_tests(long tests)
{
    struct timespec pause = {.tv_nsec = 50000};
    if (tests > 200) nanosleep(&pause, NULL);
}

static mn_status wait_for(const mn_ranks *ranks, MPI_Request *request, const char *what, int peer)
{
    const struct job *job = ranks->state;
    double started = mn_seconds();
    for (long tests = 0;; tests++) {
        int done = 0;
        MN_TRY(check(ranks, MPI_Test(request, &done, MPI_STATUS_IGNORE), what, peer));
        if (done) return MN_OK;
        if (mn_seconds() - started > ranks->patience)
            return mn_fail(MN_PEER,
                           "rank %d of %d: %s rank %d (%s): nothing for %.0f s: it died or stalled",
                           ranks->rank, ranks->size, what, peer,
                           job->host ? job->host[peer] : "host unknown", ranks->patience);
        pause_between_tests(tests);
    }
}

static mn_status receive(mn_ranks *ranks, void *to, size_t bytes, int peer)
{
    MPI_Request request;
    MN_TRY(check(ranks, MPI_Irecv(to, (int)bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &request),
                 "waiting for", peer));
    return wait_for(ranks, &request, "waiting for", peer);
}

static mn_status send(mn_ranks *ranks, const void *from, size_t bytes, int peer)
{
    MPI_Request request;
    MN_TRY(check(ranks, MPI_Isend(from, (int)bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &request),
                 "sending to", peer));
    return wait_for(ranks, &request, "sending to", peer);
}

static mn_status sum_chunk(mn_ranks *ranks, char *values, int64_t count, size_t size, add_fn *add)
{
    const struct job *job = ranks->state;
    size_t bytes = (size_t)count * size;
    if (ranks->rank > 0) {
        MN_TRY(send(ranks, values, bytes, 0));
        return receive(ranks, values, bytes, 0);
    }
    for (int peer = 1; peer < ranks->size; peer++) {
        MN_TRY(receive(ranks, job->inbox, bytes, peer));
        add(values, job->inbox, count);
    }
    for (int peer = 1; peer < ranks->size; peer++) MN_TRY(send(ranks, values, bytes, peer));
    return MN_OK;
}

mn_status sum_in_rank_order(mn_ranks *ranks, void *values, int64_t count, size_t size, add_fn *add)
{
    int64_t most = CHUNK / (int64_t)size;
    for (int64_t begin = 0; ranks->size > 1 && begin < count; begin += most)
        MN_TRY(sum_chunk(ranks, (char *)values + (size_t)begin * size,
                         count - begin < most ? count - begin : most, size, add));
    return MN_OK;
}

mn_status send_from_first(mn_ranks *ranks, void *bytes, size_t count)
{
    if (ranks->rank > 0) return receive(ranks, bytes, count, 0);
    for (int peer = 1; peer < ranks->size; peer++) MN_TRY(send(ranks, bytes, count, peer));
    return MN_OK;
}

static void add_i64(void *sum, const void *more, int64_t count)
{
    int64_t *to = sum;
    const int64_t *from = more;
    for (int64_t i = 0; i < count; i++) to[i] += from[i];
}

static void add_f64(void *sum, const void *more, int64_t count)
{
    double *to = sum;
    const double *from = more;
    for (int64_t i = 0; i < count; i++) to[i] += from[i];
}

mn_status mn_ranks_sum_i64(mn_ranks *ranks, int64_t *values, int count)
{
    return sum_in_rank_order(ranks, values, count, sizeof *values, add_i64);
}

mn_status mn_ranks_sum_f64(mn_ranks *ranks, double *values, int count)
{
    return sum_in_rank_order(ranks, values, count, sizeof *values, add_f64);
}

mn_status mn_ranks_barrier(mn_ranks *ranks)
{
    int64_t nothing = 0;
    return mn_ranks_sum_i64(ranks, &nothing, 1);
}

/* Rank and size among the processes that share this host's memory, and every rank's host. */
static mn_status find_topology(mn_ranks *ranks, struct job *job)
{
    MPI_Comm local;
    char name[MPI_MAX_PROCESSOR_NAME + 1] = "", mine[HOST_NAME] = "";
    int length = 0;
    MN_TRY(check(ranks,
                 MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, ranks->rank,
                                     MPI_INFO_NULL, &local),
                 "splitting the job by host, on", ranks->rank));
    MPI_Comm_rank(local, &ranks->local_rank);
    MPI_Comm_size(local, &ranks->local_size);
    MPI_Comm_free(&local);
    MPI_Get_processor_name(name, &length);
    snprintf(mine, sizeof mine, "%s", name);
    char(*host)[HOST_NAME] = mn_realloc(NULL, (size_t)ranks->size, HOST_NAME);
    mn_status st = check(
        ranks, MPI_Allgather(mine, HOST_NAME, MPI_CHAR, host, HOST_NAME, MPI_CHAR, MPI_COMM_WORLD),
        "exchanging host names, on", ranks->rank);
    if (st == MN_OK)
        job->host = host;
    else
        free(host);
    return st;
}

/* Printed, so that a job that landed elsewhere than meant is seen; asserted, because a GPU is
 * chosen by local rank: ranks of one host must be neighbours, as many on each host. */
static mn_status check_topology(mn_ranks *ranks, const struct job *job)
{
    int64_t most_local = ranks->local_size;
    for (int rank = 0; rank < ranks->size; rank++) {
        int first = rank - rank % ranks->local_size;
        if (strcmp(job->host[rank], job->host[first]) != 0)
            return mn_fail(MN_INVALID,
                           "ranks: rank %d is on %s and rank %d on %s: expected the %d ranks of a "
                           "host to be neighbours, and as many on each host",
                           rank, job->host[rank], first, job->host[first], ranks->local_size);
    }
    MN_TRY(mn_ranks_sum_i64(ranks, &most_local, 1));
    if (most_local != (int64_t)ranks->local_size * ranks->size)
        return mn_fail(MN_INVALID, "ranks: expected as many ranks on each host; %s has %d of %d",
                       job->host[ranks->rank], ranks->local_size, ranks->size);
    for (int rank = 0; ranks->rank == 0 && rank < ranks->size; rank += ranks->local_size)
        mn_info("ranks: %d to %d of %d on %s", rank, rank + ranks->local_size - 1, ranks->size,
                job->host[rank]);
    return MN_OK;
}

static mn_status join(mn_ranks *ranks, struct job *job)
{
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) return mn_fail(MN_PEER, "MPI_Init failed");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &ranks->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks->size);
    MN_TRY(find_topology(ranks, job));
    if (ranks->rank == 0) job->inbox = mn_realloc(NULL, CHUNK, 1);
    return check_topology(ranks, job);
}

static void leave(mn_ranks **ranks)
{
    struct job *job = *ranks ? (*ranks)->state : NULL;
    if (job) {
        free(job->host);
        free(job->inbox);
        free(job);
    }
    free(*ranks);
    *ranks = NULL;
}

mn_status mn_ranks_open(mn_ranks **out, bool launched)
{
    mn_ranks *ranks = mn_realloc(NULL, 1, sizeof *ranks);
    *ranks = (mn_ranks){.size = 1, .local_size = 1, .patience = 1800};
    if (launched) {
        struct job *job = mn_realloc(NULL, 1, sizeof *job);
        *job = (struct job){0};
        ranks->state = job;
        mn_status st = join(ranks, job);
        if (st != MN_OK) {
            leave(&ranks);
            return st;
        }
    }
    *out = ranks;
    return MN_OK;
}

void mn_ranks_close(mn_ranks **ranks)
{
    if (*ranks && (*ranks)->state) MPI_Finalize();
    leave(ranks);
}

void mn_ranks_abandon(mn_ranks **ranks)
{
    leave(ranks);
}
