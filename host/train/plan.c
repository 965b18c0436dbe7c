/* plan.c: what a training will run and take, before anything is loaded. */
#include <limits.h>

#include "plan.h"

/* Logits of this many rows at once: 2048 x 32768 in bf16 are 134 MB, and the head's GEMM is full.
 */
enum { LOGIT_ROWS = 2048 };

/* Rows (out) and columns (in) of a linear. */
static void module_shape(const struct mn_model_config *config, enum mn_module module, int64_t *out,
                         int64_t *in)
{
    int64_t queries = (int64_t)config->heads * config->head_dim;
    int64_t keys = (int64_t)config->kv_heads * config->head_dim;
    const int64_t outs[MN_MODULES] = {
        [MN_Q] = queries,          [MN_K] = keys,          [MN_V] = keys,
        [MN_O] = config->hidden,   [MN_GATE] = config->ff, [MN_UP] = config->ff,
        [MN_DOWN] = config->hidden};
    *out = outs[module];
    *in = module == MN_O ? queries : module == MN_DOWN ? config->ff : config->hidden;
}

int lora_rank_of(const struct mn_lora_config *lora)
{
    int qkv = lora->target[MN_Q] + lora->target[MN_K] + lora->target[MN_V];
    int gate_up = lora->target[MN_GATE] + lora->target[MN_UP];
    int parts = qkv > gate_up ? qkv : gate_up;
    return lora->rank * (parts > 0 ? parts : 1);
}

mn_status check_examples(const struct mn_examples *examples, const struct mn_model_config *config)
{
    for (size_t i = 0; i < examples->count; i++) {
        const struct mn_example *example = &examples->item[i];
        int window = mn_longest_sequence(config);
        if (example->count - 1 > window)
            return mn_fail(MN_INVALID,
                           "example %zu: %d tokens, but the model sees at most %d: lower "
                           "train.max_length",
                           i, example->count, window);
        for (int t = 0; t < example->count; t++)
            if (example->ids[t] < 0 || example->ids[t] >= config->vocab)
                return mn_fail(MN_INVALID, "example %zu: id %d is outside the vocabulary of %d", i,
                               example->ids[t], config->vocab);
    }
    return MN_OK;
}

/* Walks through every step: the largest pass of the run, not the largest there could be. */
mn_status measure_run(struct packing *packing, const struct mn_train_settings *settings,
                      struct mn_train_plan *out)
{
    struct pass most = {0};
    int64_t most_sequences = 0;
    struct mn_train_plan plan = {.steps = packing_steps(packing, settings),
                                 .steps_per_epoch = packing->steps_per_epoch};
    if (plan.steps == 0)
        return mn_fail(MN_INVALID, "train.steps and train.epochs are both 0: no step to run");
    for (int64_t step = 0; step < plan.steps; step++) {
        struct step_plan taken;
        packing_step(packing, step, &taken);
        plan.tokens += taken.tokens;
        plan.loss_tokens += taken.loss_tokens;
        for (int rank = 0; rank < packing->ranks; rank++)
            for (struct pass pass = {0}; packing_next_pass(packing, &taken, rank, &pass);) {
                if (pass.rows > most.rows) most.rows = pass.rows;
                if (pass.loss_rows > most.loss_rows) most.loss_rows = pass.loss_rows;
                if (pass.end - pass.begin > most_sequences) most_sequences = pass.end - pass.begin;
            }
    }
    if (most.rows > INT_MAX)
        return mn_fail(MN_INVALID, "train.batch: a micro-batch of %lld tokens is too large",
                       (long long)most.rows);
    plan.limits = (struct mn_limits){.tokens = (int)most.rows,
                                     .sequences = (int)most_sequences,
                                     .logit_rows = most.loss_rows < LOGIT_ROWS ? (int)most.loss_rows
                                                                               : LOGIT_ROWS,
                                     .training = true};
    *out = plan;
    return MN_OK;
}

static int64_t count_parameters(const struct mn_model_config *config,
                                const struct mn_lora_config *lora)
{
    int64_t count = 0, out, in;
    for (int module = 0; module < MN_MODULES; module++) {
        if (!lora->target[module]) continue;
        module_shape(config, module, &out, &in);
        count += config->layers * (int64_t)lora->rank * (out + in);
    }
    return count;
}

mn_status mn_train_plan(const mn_device *device, const struct mn_model_config *config,
                        const struct mn_model_options *options, const struct mn_examples *examples,
                        const struct mn_train_settings *settings, int ranks,
                        struct mn_train_plan *out)
{
    struct packing packing = {0};
    struct mn_train_plan plan;
    struct mn_lora_config lora;
    struct mn_pool pool = {0};
    struct optimizer optimizer;
    mn_status st;
    if (settings->initial)
        MN_GO(mn_adapter_config_read(&lora, settings->initial));
    else
        MN_GO(mn_train_lora(settings, &lora));
    MN_GO(check_examples(examples, config));
    MN_GO(packing_open(&packing, examples, settings, ranks));
    MN_GO(measure_run(&packing, settings, &plan));
    plan.limits.lora_rank = lora_rank_of(&lora);
    plan.parameters = count_parameters(config, &lora);
    mn_context_plan(device, config, options, &plan.limits, plan.by_use);
    optimizer_take(&optimizer, device, &pool, plan.parameters);
    for (int use = 0; use < MN_MEMORY_USES; use++) plan.by_use[use] += pool.by_use[use];
    plan.by_use[MN_MEMORY_WEIGHTS] += mn_model_bytes(device, config, options);
    /* Master, gradient, and what the forward reads. */
    plan.by_use[MN_MEMORY_ADAPTER] +=
        (size_t)plan.parameters * (2 * sizeof(float) + device->act_bytes);
    *out = plan;
done:
    packing_close(&packing);
    return st;
}
