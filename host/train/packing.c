/* packing.c: ragged micro-batches out of the examples. */
#include "packing.h"

#include <math.h>
#include <stdlib.h>

#include "minuano/random.h"

static int64_t step_sequences(const struct packing *packing)
{
    return packing->batch * packing->accumulation * packing->ranks;
}

mn_status packing_open(struct packing *out, const struct mn_examples *examples,
                       const struct mn_train_settings *settings, int ranks)
{
    if (examples->count == 0)
        return mn_fail(MN_INVALID, "no examples to train on (%lld dropped without a loss token)",
                       (long long)examples->dropped);
    struct packing packing = {.examples = examples,
                              .batch = settings->batch,
                              .accumulation = settings->accumulation,
                              .ranks = ranks,
                              .seed = (uint64_t)settings->seed,
                              .epoch = -1};
    int64_t count = (int64_t)examples->count, sequences = step_sequences(&packing);
    packing.steps_per_epoch = (count + sequences - 1) / sequences;
    MN_TRY(mn_arena_open(&packing.arena));
    packing.order = MN_NEW(packing.arena, int64_t, count);
    packing.rows_before = MN_NEW(packing.arena, int64_t, count + 1);
    *out = packing;
    return MN_OK;
}

void packing_close(struct packing *packing)
{
    mn_arena_close(&packing->arena);
    *packing = (struct packing){0};
}

int64_t packing_steps(const struct packing *packing, const struct mn_train_settings *settings)
{
    if (settings->steps > 0) return settings->steps;
    return (int64_t)ceil(settings->epochs * (double)packing->steps_per_epoch);
}

static const struct mn_example *example_at(const struct packing *packing, int64_t position)
{
    return &packing->examples->item[packing->order[position]];
}

static int64_t loss_rows_of(const struct mn_example *example)
{
    int64_t count = 0;
    for (int i = 1; i < example->count; i++) count += example->mask[i];
    return count;
}

static void move_to_epoch(struct packing *packing, int64_t epoch)
{
    int64_t count = (int64_t)packing->examples->count;
    if (packing->epoch == epoch) return;
    mn_random_permutation(packing->seed, mn_stream_id(MN_RANDOM_SHUFFLE, (uint32_t)epoch),
                          packing->order, count);
    for (int64_t i = 0; i < count; i++)
        packing->rows_before[i + 1] = packing->rows_before[i] + example_at(packing, i)->count - 1;
    packing->epoch = epoch;
}

void packing_step(struct packing *packing, int64_t step, struct step_plan *out)
{
    int64_t count = (int64_t)packing->examples->count, sequences = step_sequences(packing);
    struct step_plan plan = {0};
    move_to_epoch(packing, step / packing->steps_per_epoch);
    plan.begin = step % packing->steps_per_epoch * sequences;
    plan.end = plan.begin + sequences < count ? plan.begin + sequences : count;
    plan.micro_batches = (plan.end - plan.begin + packing->batch - 1) / packing->batch;
    for (int64_t i = plan.begin; i < plan.end; i++) {
        plan.tokens += example_at(packing, i)->count;
        plan.loss_tokens += loss_rows_of(example_at(packing, i));
    }
    *out = plan;
}

static void span_of(const struct packing *packing, const struct step_plan *plan, int64_t g,
                    int64_t *begin, int64_t *end)
{
    *begin = plan->begin + g * packing->batch;
    *end = *begin + packing->batch < plan->end ? *begin + packing->batch : plan->end;
}

void packing_measure(const struct packing *packing, const struct step_plan *plan, int64_t g,
                     int64_t *rows, int64_t *loss_rows)
{
    int64_t begin, end;
    span_of(packing, plan, g, &begin, &end);
    *rows = packing->rows_before[end] - packing->rows_before[begin];
    *loss_rows = 0;
    for (int64_t i = begin; i < end; i++) *loss_rows += loss_rows_of(example_at(packing, i));
}

void packing_reserve(struct packing *packing, int rows, int sequences)
{
    packing->ids = MN_NEW(packing->arena, int32_t, rows);
    packing->logit_row = MN_NEW(packing->arena, int32_t, rows);
    packing->targets = MN_NEW(packing->arena, int32_t, rows);
    packing->offsets = MN_NEW(packing->arena, int32_t, sequences + 1);
}

void packing_micro_batch(const struct packing *packing, const struct step_plan *plan, int64_t step,
                         int64_t g, struct micro_batch *out)
{
    int32_t rows = 0, loss_rows = 0, sequences = 0;
    int64_t begin, end;
    span_of(packing, plan, g, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const struct mn_example *example = example_at(packing, i);
        packing->offsets[sequences++] = rows;
        for (int t = 0; t + 1 < example->count; t++, rows++) {
            packing->ids[rows] = example->ids[t];
            if (!example->mask[t + 1]) continue;
            packing->logit_row[loss_rows] = rows;
            packing->targets[loss_rows++] = example->ids[t + 1];
        }
    }
    packing->offsets[sequences] = rows;
    int64_t epoch_rows = packing->rows_before[packing->examples->count];
    *out = (struct micro_batch){
        .batch = {.tokens = rows,
                  .sequences = sequences,
                  .ids = packing->ids,
                  .offsets = packing->offsets,
                  .logit_rows = loss_rows,
                  .logit_row = packing->logit_row},
        .targets = packing->targets,
        .first_row = step / packing->steps_per_epoch * epoch_rows + packing->rows_before[begin],
        .begin = begin,
        .end = end,
    };
}
