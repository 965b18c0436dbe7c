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
        return mn_fail(MN_INVALID,
                       "no examples to train on: %lld found, %lld cut to "
                       "train.max_length, %lld dropped without a token that carries loss",
                       (long long)examples->dropped, (long long)examples->truncated,
                       (long long)examples->dropped);
    struct packing packing = {.examples = examples,
                              .batch = settings->batch,
                              .accumulation = settings->accumulation,
                              .ranks = ranks,
                              .tokens_at_once = settings->tokens_at_once,
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
    struct step_plan plan = {.step = step};
    move_to_epoch(packing, step / packing->steps_per_epoch);
    plan.begin = step % packing->steps_per_epoch * sequences;
    plan.end = plan.begin + sequences < count ? plan.begin + sequences : count;
    for (int64_t i = plan.begin; i < plan.end; i++) {
        plan.tokens += example_at(packing, i)->count;
        plan.loss_tokens += loss_rows_of(example_at(packing, i));
    }
    *out = plan;
}

static int64_t rows_between(const struct packing *packing, int64_t begin, int64_t end)
{
    return packing->rows_before[end] - packing->rows_before[begin];
}

bool packing_next_pass(const struct packing *packing, const struct step_plan *plan, int rank,
                       struct pass *last)
{
    int64_t share = packing->batch * packing->accumulation;
    int64_t first = plan->begin + rank * share, end = first + share;
    struct pass next = {.begin = last->end > 0 ? last->end : first};
    if (end > plan->end) end = plan->end;
    if (next.begin >= end) return false;
    next.end = next.begin;
    do {
        int64_t more = next.end + packing->batch < end ? next.end + packing->batch : end;
        if (next.end > next.begin &&
            rows_between(packing, next.begin, more) > packing->tokens_at_once)
            break;
        next.end = more;
    } while (next.end < end);
    next.rows = rows_between(packing, next.begin, next.end);
    for (int64_t i = next.begin; i < next.end; i++)
        next.loss_rows += loss_rows_of(example_at(packing, i));
    *last = next;
    return true;
}

void packing_reserve(struct packing *packing, int rows, int sequences)
{
    packing->ids = MN_NEW(packing->arena, int32_t, rows);
    packing->logit_row = MN_NEW(packing->arena, int32_t, rows);
    packing->targets = MN_NEW(packing->arena, int32_t, rows);
    packing->offsets = MN_NEW(packing->arena, int32_t, sequences + 1);
}

void packing_fill(const struct packing *packing, const struct step_plan *plan,
                  const struct pass *pass, struct pass_batch *out)
{
    int32_t rows = 0, loss_rows = 0, sequences = 0;
    int64_t epoch = plan->step / packing->steps_per_epoch;
    for (int64_t i = pass->begin; i < pass->end; i++) {
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
    *out = (struct pass_batch){
        .batch = {.tokens = rows,
                  .sequences = sequences,
                  .ids = packing->ids,
                  .offsets = packing->offsets,
                  .logit_rows = loss_rows,
                  .logit_row = packing->logit_row},
        .targets = packing->targets,
        .first_row = epoch * packing->rows_before[packing->examples->count] +
                     packing->rows_before[pass->begin],
    };
}
