/* metrics.h: metrics.jsonl, one line a step, in step with the checkpoints. */
#ifndef MINUANO_TRAIN_METRICS_H
#define MINUANO_TRAIN_METRICS_H

#include "minuano/train.h"

struct step_record {
    int64_t step; /* counted from 1 */
    double loss, learning_rate, grad_norm;
    int64_t tokens, loss_tokens; /* of the step, over all ranks */
    double tokens_per_second;
};
/* Opens folder/metrics.jsonl for appending, cut behind the line of `steps`: what a stopped run
 * wrote after its last checkpoint will be written again. */
MN_CHECKED mn_status metrics_open(FILE **out, const char *folder, int64_t steps);
void metrics_write(FILE *file, const struct step_record *record);
/* On disk, before a checkpoint says that the steps are done. */
MN_CHECKED mn_status metrics_sync(FILE *file, const char *folder);

#endif
