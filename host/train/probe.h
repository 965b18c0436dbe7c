/* probe.h: what a training was asked while it ran, and the rule that may end it.
 *
 *   probes.jsonl  a line a point: {"step", "spider": {"items", "correct"}, "mmlu": {...},
 * "seconds"}
 *
 * Points are asked of the adapter between two steps and change nothing about it, so that a point
 * that a stopped run left behind its last checkpoint is the one that the resumed run would find. */
#ifndef MINUANO_TRAIN_PROBE_H
#define MINUANO_TRAIN_PROBE_H

#include "minuano/train.h"

struct probes {
    const char *path;
    MN_LIST(struct mn_probe_point) points; /* in order of step */
};

/* Takes the whole lines of a run that goes on after `steps`; with 0 it begins anew. */
MN_CHECKED mn_status probes_open(struct probes *out, mn_arena *arena, const char *folder,
                                 int64_t steps);
void probes_close(struct probes *probes);

/* Whether there is a point after `steps` of `total`. */
bool probes_due(const struct mn_train_settings *settings, int64_t steps, int64_t total);
const struct mn_probe_point *probes_find(const struct probes *probes, int64_t step); /* or NULL */
/* Keeps a point, on disk when it returns. */
MN_CHECKED mn_status probes_add(struct probes *probes, const struct mn_probe_point *point);
/* Whether a rule ends the training, by the points up to `step`. */
enum mn_stop probes_stop(const struct probes *probes, const struct mn_train_settings *settings,
                         int64_t step);

#endif
