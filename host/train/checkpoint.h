/* checkpoint.h: all that a run needs to go on, as a folder that is whole or not there.
 *
 *   checkpoints/step-N/adapter/               PEFT folder, F32: the masters; opens like any adapter
 *   checkpoints/step-N/optimizer.safetensors  m and v (parameters), in the adapter's flat layout
 *   checkpoints/step-N/state.json             step, counts, first row of the next step, and the
 *                                             run's identity: settings, data, model, ranks
 *   checkpoints/step-N/SHA256SUMS             of the files above, as sha256sum writes it
 *
 * The random state is nothing but seeds and that row: all random numbers are counter-based. */
#ifndef MINUANO_TRAIN_CHECKPOINT_H
#define MINUANO_TRAIN_CHECKPOINT_H

#include "optimizer.h"

/* What makes two runs the same, {"settings", "data", "model", "ranks"}; the caller owns it. */
json_t *run_identity(const mn_model *model, const struct mn_examples *examples,
                     const struct mn_train_settings *settings, int ranks);
/* MN_INVALID naming the first key that differs; what only says how often to save may differ. */
MN_CHECKED mn_status check_identity(const json_t *begun, const json_t *now, const char *where);

/* How far a run is: the result so far, and the row that its next step begins with. */
struct position {
    struct mn_train_result result; /* .steps are done */
    int64_t first_row;
};
json_t *position_json(const struct position *position, json_t *identity);
MN_CHECKED mn_status position_read(struct position *out, const json_t *state, const char *where);

/* Writes checkpoints/step-N, then removes what keep leaves over, and any that claims to be ahead.
 */
MN_CHECKED mn_status checkpoint_save(const char *folder, const mn_adapter *adapter,
                                     const struct optimizer *optimizer,
                                     const struct position *position, json_t *identity,
                                     int64_t keep);

/* Steps of the newest checkpoint whose sums are right; 0: none. Damaged ones are warned of. */
MN_CHECKED mn_status checkpoint_find(const char *folder, int64_t *steps);

/* Opens what find found, of the same run. The adapter is new; the optimizer is opened to fit. */
MN_CHECKED mn_status checkpoint_load(const char *folder, int64_t steps, mn_model *model,
                                     const json_t *identity, mn_adapter **adapter,
                                     struct optimizer *optimizer, struct position *position);

#endif
