/* run.h: a study at work, shared by the files that do its parts. Private to host/study. */
#ifndef MINUANO_STUDY_RUN_H
#define MINUANO_STUDY_RUN_H

#include "minuano/study.h"

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
    int system; /* whose items are being evaluated */
};

/* --- identity.c --------------------------------------------------------------------------------
 */

/* Writes what the study is into its results. What must be the same when it goes on is compared with
 * what it was begun with: MN_INVALID names the key. */
MN_CHECKED mn_status study_record(struct run *run);
/* The time now under `key`, unless one is there. */
MN_CHECKED mn_status study_record_time(struct run *run, const char *key);

/* --- evaluate.c --------------------------------------------------------------------------------
 */

/* The tasks of this run's phases on one system: the items that have no row yet. adapter NULL: the
 * base. */
MN_CHECKED mn_status study_evaluate(struct run *run, int system, const char *name,
                                    const mn_adapter *adapter);

/* Which of the first `planned` items of Spider the system has not answered. *left lives in the
 * arena. */
MN_CHECKED mn_status study_spider_left(struct run *run, int system, size_t planned, mn_arena *arena,
                                       size_t **left, size_t *count);
/* A row of run->system. */
MN_CHECKED mn_status study_keep_spider(struct run *run, const struct mn_spider_result *result);

/* --- baseline.c --------------------------------------------------------------------------------
 */

/* The base with the baseline's prompt, into its rows and OUTPUT/baseline.jsonl. */
MN_CHECKED mn_status study_baseline(struct run *run, int system);

/* --- training.c --------------------------------------------------------------------------------
 */

/* Trains, or goes on training, records the adapter, then evaluates it; as far as this run's phases
 * say. An adapter that is needed and neither there nor trained now is MN_INVALID. */
MN_CHECKED mn_status study_train(struct run *run, const struct mn_study_training *training,
                                 int system);

#endif
