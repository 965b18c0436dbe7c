/* job.h: what the two files of this room share: MPI's side of a job. */
#ifndef MINUANO_DIST_JOB_H
#define MINUANO_DIST_JOB_H

#include "minuano/dist.h"

/* In place: values become the sum over all ranks, added in rank order in `type`'s own arithmetic,
 * with the same bits on every rank. size counts bytes of one element. */
typedef void add_fn(void *sum, const void *more, int64_t count);
MN_CHECKED mn_status sum_in_rank_order(mn_ranks *ranks, void *values, int64_t count, size_t size,
                                       add_fn *add);
/* What rank 0 holds reaches every rank. */
MN_CHECKED mn_status send_from_first(mn_ranks *ranks, void *bytes, size_t count);

#endif
