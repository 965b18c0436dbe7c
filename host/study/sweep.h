/* sweep.h: lists of settings as a grid of trainings. Private to host/study. */
#ifndef MINUANO_STUDY_SWEEP_H
#define MINUANO_STUDY_SWEEP_H

#include "minuano/study.h"

enum { STUDY_GRID_LIMIT = 256 };

/* Entries as `trainings` has them, {"name", "lora", "train"}: every combination of the lists in
 * `sweep`, the last key changing fastest, named by the keys that have more than one value:
 * "lr-0.0001_rank-8". sweep NULL: none. *entries is an array that the caller owns. */
MN_CHECKED mn_status study_sweep(mn_arena *arena, const json_t *sweep, const char *where,
                                 json_t **entries);

#endif
