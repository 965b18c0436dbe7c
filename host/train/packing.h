/* packing.h: which sequences a step takes, and in what order; nothing here but arithmetic on the
 * examples, so that a resumed run needs no more than the number of its step. */
#ifndef MINUANO_TRAIN_PACKING_H
#define MINUANO_TRAIN_PACKING_H

#include "minuano/train.h"

/* An epoch is the examples in the order of mn_random_permutation(seed, MN_RANDOM_SHUFFLE | epoch).
 * A step takes the next batch * accumulation * ranks of them, the last step of an epoch what is
 * left. Micro-batch g of a step belongs to rank g / accumulation. A pass through the model takes
 * one micro-batch, or as many neighbours of a rank as tokens_at_once allows: the sums are the same.
 * The rows of an example are its ids but the last, which is only predicted. */
struct packing {
    const struct mn_examples *examples;
    int64_t batch, accumulation, ranks, tokens_at_once;
    int64_t steps_per_epoch;
    uint64_t seed;
    int64_t epoch;        /* that `order` is of; -1: none yet */
    int64_t *order;       /* (count) */
    int64_t *rows_before; /* (count + 1) of the epoch, in order */
    mn_arena *arena;      /* of the buffers below */
    int32_t *ids, *offsets, *logit_row, *targets;
};

/* A step as all ranks see it. */
struct step_plan {
    int64_t step;
    int64_t begin, end; /* positions in the epoch's order */
    int64_t tokens, loss_tokens;
};

MN_CHECKED mn_status packing_open(struct packing *out, const struct mn_examples *examples,
                                  const struct mn_train_settings *settings, int ranks);
void packing_close(struct packing *packing);
int64_t packing_steps(const struct packing *packing, const struct mn_train_settings *settings);
/* Of step `step`, counted from 0; moves `order` to its epoch. */
void packing_step(struct packing *packing, int64_t step, struct step_plan *out);

/* What one pass takes: consecutive positions in the epoch's order. */
struct pass {
    int64_t begin, end;
    int64_t rows, loss_rows;
};
/* The pass of `rank` that follows *last (begin == end == 0 before the first); false: there is none.
 */
bool packing_next_pass(const struct packing *packing, const struct step_plan *plan, int rank,
                       struct pass *last);

/* A pass as the model takes it; arrays are valid until the next call. first_row numbers its rows in
 * the whole run. The sizes of the largest pass must have been reserved. */
struct pass_batch {
    struct mn_batch batch;
    const int32_t *targets; /* (batch.logit_rows) */
    int64_t first_row;
};
void packing_reserve(struct packing *packing, int rows, int sequences);
void packing_fill(const struct packing *packing, const struct step_plan *plan,
                  const struct pass *pass, struct pass_batch *out);

#endif
