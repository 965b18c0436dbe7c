/* launch.h: whether this process was started as one rank of several. */
#ifndef MINUANO_CLI_LAUNCH_H
#define MINUANO_CLI_LAUNCH_H

#include "command.h"
#include "minuano/dist.h"

/* Joins the job that mpirun's or srun's environment tells of, or is alone. */
MN_CHECKED mn_status join_ranks(mn_ranks **out);
/* After success or an interruption all ranks leave together; else this one leaves at once. */
void leave_ranks(mn_ranks **ranks, mn_status st);
/* Each rank of a host takes a GPU of its own, from --device-index on. */
void spread_devices(struct invocation *call, const mn_ranks *ranks);

#endif
