/* run.h: a training at work: train.c begins and ends it, loop.c runs its steps. */
#ifndef MINUANO_TRAIN_RUN_H
#define MINUANO_TRAIN_RUN_H

#include "checkpoint.h"
#include "metrics.h"
#include "minuano/log.h"
#include "packing.h"
#include "probe.h"

struct run {
    mn_model *model;
    const struct mn_examples *examples;
    const struct mn_train_settings *settings;
    mn_ranks *ranks;
    const char *folder;
    json_t *identity;
    struct packing packing;
    struct mn_train_plan plan;
    mn_adapter *adapter;
    mn_context *context;
    struct optimizer optimizer;
    struct position position;
    FILE *metrics; /* of rank 0 */
    struct mn_progress progress;
    const struct mn_probe *probe;
    struct probes probes; /* of rank 0 */
    mn_arena *arena;
};

/* The row, counted over the whole run, that step `step` begins with. */
int64_t row_of_step(struct run *run, int64_t step);
/* Points of the run that goes on after `steps`; those up to there are handed on again. Rank 0. */
MN_CHECKED mn_status open_run_probes(struct run *run, int64_t steps);
/* From where run->position is to the last step, or to where a rule ends it; the last is saved. */
MN_CHECKED mn_status run_steps(struct run *run);

#endif
