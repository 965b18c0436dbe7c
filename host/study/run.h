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
    size_t spider_count; /* first items of spider */
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

/* Both tasks on one system: the items that have no row yet. adapter NULL: the base. */
MN_CHECKED mn_status study_evaluate(struct run *run, int system, const char *name,
                                    const mn_adapter *adapter);

/* --- training.c --------------------------------------------------------------------------------
 */

/* Trains, or goes on training, records the adapter, then evaluates it. */
MN_CHECKED mn_status study_train(struct run *run, const struct mn_study_training *training,
                                 int system);

#endif
