/* study_status.h: how far a study is, seen from another process while it runs, or afterwards. */
#ifndef MINUANO_STUDY_STATUS_H
#define MINUANO_STUDY_STATUS_H

#include "minuano/results.h"

struct mn_system_status {
    struct mn_system system;
    int64_t spider_done, mmlu_done; /* of system.spider_planned, .mmlu_planned */
    bool trains;                  /* an adapter of its own; not the base, not a point of a curve */
    int64_t steps, planned_steps; /* planned 0: not known before it begins */
    json_t *step;                 /* the last line of its metrics.jsonl; NULL: none */
    struct mn_probe_point *probe; /* the last; NULL: none */
};
struct mn_study_status {
    const char *folder, *name, *started, *finished; /* "" where not yet */
    bool running;                                   /* a process is at work on it */
    /* What that process is, or the last one was, at: {"process", "phase", "title", "unit", "done",
     * "total", "rate", "updated", "figures"}; NULL: nothing yet. */
    json_t *now;
    struct mn_system_status *systems; /* (count) */
    size_t count;
    int64_t items_done, items_planned;
};
/* Reads OUTPUT/results.sqlite, and metrics.jsonl of each training; a study at work is not held up.
 * MN_NOT_FOUND where no study was begun. */
MN_CHECKED mn_status mn_study_status_load(mn_arena *arena, const char *folder,
                                          struct mn_study_status *out);
void mn_study_status_close(struct mn_study_status *status);
json_t *mn_study_status_json(const struct mn_study_status *status); /* the caller owns it */
void mn_study_status_print(const struct mn_study_status *status, FILE *out);

#endif
