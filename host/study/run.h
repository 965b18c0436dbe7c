/* run.h: a study at work, shared by the files that do its parts. Private to host/study. */
#ifndef MINUANO_STUDY_RUN_H
#define MINUANO_STUDY_RUN_H

#include "minuano/study.h"

/* A system that is asked in a pass with others. */
struct study_asked {
    int system;
    const char *name;
    const mn_adapter *adapter; /* NULL: the base */
    bool point;                /* of a curve: asked a part of the items, see study_is_asked */
};

struct run {
    const struct mn_study *study;
    const struct mn_study_settings *settings;
    mn_arena *arena;
    int lock; /* file descriptor of the output folder; -1: none */
    mn_results *results;
    mn_model *model;
    mn_tokenizer *tokenizer;
    mn_spider *spider, *train; /* NULL: not asked for */
    mn_mmlu *mmlu;
    struct mn_spider_prompt prompt;
    size_t spider_count;   /* first items of spider */
    size_t baseline_count; /* likewise; 0: no baseline */
    bool phase[MN_PHASES]; /* what is done now */
    struct mn_mmlu_item *mmlu_items;
    size_t mmlu_count;
    struct mn_study_training *trainings;
    size_t training_count;
    MN_LIST(struct study_asked) asked; /* the base first; adapters as they are there */
    MN_LIST(mn_adapter *) adapters;    /* open, and owned */
};

/* --- run.c -------------------------------------------------------------------------------------
 */

/* Everything that is read: trainings, data, tokenizer. Nothing is written, no model loaded. */
MN_CHECKED mn_status study_open_inputs(struct run *run);
void study_close(struct run *run);
/* That a system is asked: each question with every number of shots. */
int64_t study_mmlu_items(const struct run *run);

/* --- leftovers.c -------------------------------------------------------------------------------
 */

/* Removes what killed processes left half written below the folder, whose lock is held. */
MN_CHECKED mn_status study_remove_leftovers(mn_arena *arena, const char *folder);

/* --- identity.c --------------------------------------------------------------------------------
 */

/* Writes what the study is into its results. What must be the same when it goes on is compared with
 * what it was begun with: MN_INVALID names the key. */
MN_CHECKED mn_status study_record(struct run *run);
/* The time now under `key`, unless one is there. */
MN_CHECKED mn_status study_record_time(struct run *run, const char *key);

/* --- evaluate.c --------------------------------------------------------------------------------
 */

/* The tasks of this run's phases on everything in run->asked, in one pass over the items of each:
 * those that have no row yet. */
MN_CHECKED mn_status study_evaluate(struct run *run);

/* Spider alone, on the adapter merged into the weights as the model holds them, which are loaded
 * again behind it. A later pass finds its rows there. */
MN_CHECKED mn_status study_evaluate_merged(struct run *run, int system, const char *name,
                                           const char *folder);

/* Which of the first `planned` items of Spider the system has not answered. *left lives in the
 * arena. */
MN_CHECKED mn_status study_spider_left(struct run *run, int system, size_t planned, mn_arena *arena,
                                       size_t **left, size_t *count);
/* A row of the system. */
MN_CHECKED mn_status study_keep_spider(struct run *run, int system,
                                       const struct mn_spider_result *result);

/* --- baseline.c --------------------------------------------------------------------------------
 */

/* The base with the baseline's prompt, into its rows and OUTPUT/baseline.jsonl. */
MN_CHECKED mn_status study_baseline(struct run *run, int system);

/* --- beat.c ------------------------------------------------------------------------------------
 */

#define STUDY_PROGRESS "progress" /* key in the results */
/* From now on the results say what the study is at; NULL: no longer. */
void study_beat(struct run *run);

/* --- training.c --------------------------------------------------------------------------------
 */

/* What the trainings' probes need is there, before anything is done. */
MN_CHECKED mn_status study_check_probes(const struct run *run);
const char *study_training_folder(const struct run *run, const struct mn_study_training *training);
/* What it is trained on. */
MN_CHECKED mn_status study_examples(struct run *run, const struct mn_study_training *training,
                                    const struct mn_model_config *model, mn_arena *arena,
                                    struct mn_examples *out);
/* Trains, or goes on training, records the adapter, and puts it and its points into run->asked; as
 * far as this run's phases say. An adapter that is needed and neither there nor trained now is
 * MN_INVALID. */
MN_CHECKED mn_status study_train(struct run *run, const struct mn_study_training *training,
                                 int system);

/* --- forecast.c --------------------------------------------------------------------------------
 */

/* Chooses how the weights are kept. MN_NO_MEMORY names the first training of this run, of those not
 * yet done, that cannot fit: before anything is loaded. */
MN_CHECKED mn_status study_fit(struct run *run, const struct mn_model_config *config,
                               struct mn_model_options *options);

/* --- points.c ----------------------------------------------------------------------------------
 */

/* Whether a point is asked item i of `count`: `limit` of them, spread evenly; 0: all. */
bool study_is_asked(size_t i, size_t count, int64_t limit);
/* The points of a trained system's curves, as the config's evaluate.* says, into run->asked.
 * trained: as it is in the results, with its folder. */
MN_CHECKED mn_status study_add_points(struct run *run, const struct mn_study_training *training,
                                      const struct mn_system *trained, const mn_adapter *adapter,
                                      const char *folder);
/* How many those will be, by a training of so many steps; and of how many items each. */
int64_t study_count_points(const struct run *run, const struct mn_study_training *training,
                           int64_t steps);
int64_t study_point_items(const struct run *run, size_t count);
/* Opens an adapter into run->adapters; its tensors' SHA-256. */
MN_CHECKED mn_status study_fingerprint(mn_arena *arena, const char *folder, const char **out);

#endif
