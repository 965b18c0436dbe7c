/* launch.c: the environment of Open MPI, of PMI (MPICH, Intel MPI) and of srun. */
#include "launch.h"

#include <stdlib.h>

/* Ranks that the launcher speaks of; 1 without a launcher. A batch script under Slurm is no rank:
 * only srun sets the step's own variable. */
static long launched_ranks(const char **name)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < MN_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        *name = names[i];
        if (value && strtol(value, NULL, 10) > 1) return strtol(value, NULL, 10);
    }
    return 1;
}

mn_status join_ranks(mn_ranks **out)
{
    mn_ranks *ranks;
    const char *name;
    long expected = launched_ranks(&name);
    MN_TRY(mn_ranks_open(&ranks, expected > 1));
    if (ranks->size != expected) { /* else each would train alone, into the same folder */
        int found = ranks->size;
        mn_ranks_abandon(&ranks);
        return mn_fail(MN_INVALID,
                       "%s says %ld ranks, MPI says %d: launcher and MPI library do not know each "
                       "other; with srun, try --mpi=pmix",
                       name, expected, found);
    }
    *out = ranks;
    return MN_OK;
}

void leave_ranks(mn_ranks **ranks, mn_status st)
{
    if (st == MN_OK || st == MN_INTERRUPTED)
        mn_ranks_close(ranks);
    else
        mn_ranks_abandon(ranks);
}

void spread_devices(struct invocation *call, const mn_ranks *ranks)
{
    call->common.device_index += ranks->local_rank;
}
