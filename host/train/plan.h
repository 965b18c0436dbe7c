/* plan.h: what a plan and a run both measure. */
#ifndef MINUANO_TRAIN_PLAN_H
#define MINUANO_TRAIN_PLAN_H

#include "optimizer.h"
#include "packing.h"

/* Every id in the vocabulary, no example longer than the model sees. */
MN_CHECKED mn_status check_examples(const struct mn_examples *examples,
                                    const struct mn_model_config *config);
/* Fills in what does not depend on the adapter. */
MN_CHECKED mn_status measure_run(struct packing *packing, const struct mn_train_settings *settings,
                                 struct mn_train_plan *out);
/* Largest sum of ranks in one fused linear. */
int lora_rank_of(const struct mn_lora_config *lora);

#endif
