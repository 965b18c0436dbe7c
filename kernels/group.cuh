/* group.cuh: this GPU among those of other processes. */
#ifndef MINUANO_KERNELS_GROUP_CUH
#define MINUANO_KERNELS_GROUP_CUH

#include "common.cuh"

MN_CHECKED mn_status group_new_id(mn_device *device, struct mn_group_id *id);
MN_CHECKED mn_status group_join(mn_device *device, const struct mn_group_id *id, int rank, int size,
                                double patience);
MN_CHECKED mn_status group_sum(mn_device *device, float *values, int64_t count, double patience);
void group_close(struct group **group);

#endif
