/* dist.h: this process as one rank of a job started by mpirun or srun, or alone. */
#ifndef MINUANO_DIST_H
#define MINUANO_DIST_H

#include "minuano/device.h"

typedef struct mn_ranks mn_ranks;
struct mn_ranks {
    int rank, size;             /* 0, 1 when alone */
    int local_rank, local_size; /* on this host: chooses the GPU */
    void *state;                /* the library's own */
};
/* Alone unless a launcher's environment is there (the command line passes what it found). */
MN_CHECKED mn_status mn_ranks_open(mn_ranks **out, bool launched);
void mn_ranks_close(mn_ranks **ranks);
/* In place, same bits on every rank: values on the host, or fp32 on a device. */
MN_CHECKED mn_status mn_ranks_sum_i64(mn_ranks *ranks, int64_t *values, int count);
MN_CHECKED mn_status mn_ranks_sum_f64(mn_ranks *ranks, double *values, int count);
MN_CHECKED mn_status mn_ranks_sum_device(mn_ranks *ranks, mn_device *device, float *values,
                                         int64_t count);
MN_CHECKED mn_status mn_ranks_barrier(mn_ranks *ranks);
#endif
