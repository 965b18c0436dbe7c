/* dist.h: this process as one rank of a job started by mpirun or srun, or alone. */
#ifndef MINUANO_DIST_H
#define MINUANO_DIST_H

#include "minuano/device.h"

typedef struct mn_ranks mn_ranks;
struct mn_ranks {
    int rank, size;             /* 0, 1 when alone */
    int local_rank, local_size; /* on this host: chooses the GPU */
    double patience;   /* seconds to wait for another rank before it is named as dead or stalled */
    mn_device *joined; /* whose GPU is in the group of the ranks'; NULL: none yet */
    void *state;       /* the library's own; NULL when alone */
};
/* Alone unless a launcher's environment is there (the command line passes what it found). MPI is
 * not touched when alone. Ranks of a host must be neighbours and as many on each host. */
MN_CHECKED mn_status mn_ranks_open(mn_ranks **out, bool launched);
/* Every rank calls it, and waits for the others. */
void mn_ranks_close(mn_ranks **ranks);
/* After a failure, when the others may be anywhere: leaves without MPI_Finalize. The process then
 * exits with an error, and mpirun (or srun --kill-on-bad-exit) ends the job. */
void mn_ranks_abandon(mn_ranks **ranks);
/* In place, added in rank order, same bits on every rank: values on the host, or fp32 on a device.
 * MN_PEER names the rank that died or stalled. */
/* Makes ready for sums on a device: GPUs form a group. The first sum would do it too; a caller who
 * comes here first hears early that it cannot be. All ranks come, none of them twice. */
MN_CHECKED mn_status mn_ranks_join_device(mn_ranks *ranks, mn_device *device);
MN_CHECKED mn_status mn_ranks_sum_i64(mn_ranks *ranks, int64_t *values, int count);
MN_CHECKED mn_status mn_ranks_sum_f64(mn_ranks *ranks, double *values, int count);
MN_CHECKED mn_status mn_ranks_sum_device(mn_ranks *ranks, mn_device *device, float *values,
                                         int64_t count);
MN_CHECKED mn_status mn_ranks_barrier(mn_ranks *ranks);
#endif
