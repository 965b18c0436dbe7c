/* jobs.c: whole jobs on a model whose weights may be random: training steps, option scoring, greedy
 * generation. Times are the host's: what a user waits. */
#include <stdlib.h>

#include "minuano/infer.h"
#include "minuano/log.h"
#include "minuano/random.h"
#include "timing.h"

enum { SEED = 3, WARM_STEPS = 2, MOST_STEPS = 1000, OPTIONS = 4 };

static void draw_ids(int32_t *ids, int64_t count, int vocab)
{
    for (int64_t i = 0; i < count; i++)
        ids[i] = (int32_t)mn_random_below(SEED, mn_stream_id(MN_RANDOM_TEST, 0), (uint64_t)i,
                                          (uint32_t)vocab);
}

static mn_status open_adapter(mn_adapter **out, mn_model *model, const struct mn_bench_job *job)
{
    struct mn_lora_config config = {
        .rank = job->rank, .alpha = 2.0 * job->rank, .dropout = job->dropout};
    config.target[MN_Q] = config.target[MN_K] = config.target[MN_V] = config.target[MN_O] = true;
    return mn_adapter_new(out, model, &config, SEED);
}

/* Operations of the base a token, forward. */
static double token_flops(const struct mn_model_config *c, int length)
{
    const double matrices =
        (double)mn_model_parameters(c) - (double)c->vocab * c->hidden * (c->tied ? 0 : 1);
    const double attention = 2.0 * length * c->heads * c->head_dim * c->layers;
    return 2 * matrices + attention;
}

/* --- training --- */

struct training {
    mn_model *model;
    mn_adapter *adapter;
    mn_context *context;
    struct mn_pool pool;
    float *m, *v;
    double *squares;
    void *workspace;
    mn_arena *arena;
    struct mn_batch batch;
    int32_t *targets;
    mn_ranks *ranks; /* NULL: alone */
    int rank, size;
};

static void take_optimizer(struct training *t)
{
    const size_t count = (size_t)t->adapter->count;
    t->m = mn_pool_take(&t->pool, MN_MEMORY_OPTIMIZER, count, sizeof(float));
    t->v = mn_pool_take(&t->pool, MN_MEMORY_OPTIMIZER, count, sizeof(float));
    t->squares = mn_pool_take(&t->pool, MN_MEMORY_OPTIMIZER, 1, sizeof(double));
    t->workspace = mn_pool_take(&t->pool, MN_MEMORY_WORKSPACE,
                                t->model->device->ops->sum_squares_workspace(t->adapter->count), 1);
}

/* Every token but the last of a sequence predicts its neighbour. */
static void lay_out_batch(struct training *t, const struct mn_bench_job *job)
{
    const int sequences = job->tokens / job->length, tokens = sequences * job->length;
    int32_t *ids = MN_NEW(t->arena, int32_t, tokens + 1);
    int32_t *offsets = MN_NEW(t->arena, int32_t, sequences + 1);
    int32_t *rows = MN_NEW(t->arena, int32_t, tokens);
    int count = 0;
    t->targets = MN_NEW(t->arena, int32_t, tokens);
    draw_ids(ids, tokens + 1, t->model->config.vocab);
    for (int i = 0; i <= sequences; i++) offsets[i] = i * job->length;
    for (int i = 0; i < tokens; i++) {
        if (i % job->length == job->length - 1) continue;
        rows[count] = i;
        t->targets[count++] = ids[i + 1];
    }
    t->batch = (struct mn_batch){.tokens = tokens,
                                 .sequences = sequences,
                                 .ids = ids,
                                 .offsets = offsets,
                                 .logit_rows = count,
                                 .logit_row = rows};
}

static mn_status open_training(struct training *t, mn_model *model, const struct mn_bench_job *job)
{
    const struct mn_limits limits = {.tokens = job->tokens,
                                     .sequences = job->tokens / job->length,
                                     .logit_rows = job->tokens < 2048 ? job->tokens : 2048,
                                     .training = true,
                                     .lora_rank = 3 * job->rank};
    mn_device *device = model->device;
    *t = (struct training){.model = model,
                           .pool = {.device = device},
                           .ranks = job->ranks,
                           .rank = job->ranks ? job->ranks->rank : 0,
                           .size = job->ranks ? job->ranks->size : 1};
    MN_TRY(mn_arena_open(&t->arena));
    MN_TRY(open_adapter(&t->adapter, model, job));
    MN_TRY(mn_context_open(&t->context, model, &limits));
    take_optimizer(t);
    MN_TRY(mn_pool_commit(&t->pool));
    take_optimizer(t);
    MN_TRY(device->calls->fill(device, t->pool.base, 0, t->pool.size));
    lay_out_batch(t, job);
    return MN_OK;
}

static void close_training(struct training *t)
{
    mn_context_close(&t->context);
    mn_adapter_close(&t->adapter);
    mn_pool_close(&t->pool);
    mn_arena_close(&t->arena);
}

static mn_status train_step(struct training *t, int64_t step)
{
    mn_device *device = t->model->device;
    mn_adapter *adapter = t->adapter;
    const size_t bytes = (size_t)adapter->count * sizeof(float);
    const struct mn_loss loss = {.targets = t->targets,
                                 .scale = 1.0 / t->batch.logit_rows / t->size,
                                 .dropout_seed = SEED,
                                 .first_row = (step * t->size + t->rank) * t->batch.tokens};
    double sum;
    MN_TRY(device->calls->fill(device, adapter->gradient, 0, bytes));
    MN_TRY(mn_loss_backward(t->context, adapter, &t->batch, &loss, &sum));
    if (t->ranks) MN_TRY(mn_ranks_sum_f64(t->ranks, &sum, 1));
    if (t->ranks) MN_TRY(mn_ranks_sum_device(t->ranks, device, adapter->gradient, adapter->count));
    MN_TRY(device->ops->sum_squares(t->squares, adapter->gradient, adapter->count, t->workspace,
                                    device->stream));
    const struct mn_adamw update = {.master = adapter->master,
                                    .m = t->m,
                                    .v = t->v,
                                    .shadow = adapter->shadow,
                                    .gradient = adapter->gradient,
                                    .grad_squares = t->squares,
                                    .count = adapter->count,
                                    .lr = 1e-4f,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.999f,
                                    .epsilon = 1e-8f,
                                    .max_norm = 1,
                                    .step = step + 1};
    MN_TRY(device->ops->adamw(&update, device->stream));
    mn_debug("step %lld: loss %.4f", (long long)step, sum / t->batch.logit_rows / t->size);
    return device->calls->synchronize(device);
}

mn_status mn_bench_train(struct mn_bench_rows *rows, mn_model *model,
                         const struct mn_bench_job *job)
{
    struct training t;
    mn_status st;
    double floor, seconds[MOST_STEPS];
    if (job->steps < 1 || job->steps > MOST_STEPS || job->length < 2 || job->tokens < job->length)
        return mn_fail(MN_USAGE, "bench train: expected 1 … %d steps of at least one sequence",
                       (int)MOST_STEPS);
    MN_GO(open_training(&t, model, job));
    for (int i = 0; i < WARM_STEPS + job->steps; i++) {
        const double begin = mn_seconds();
        MN_GO(train_step(&t, i));
        if (i >= WARM_STEPS) seconds[i - WARM_STEPS] = mn_seconds() - begin;
    }
    MN_GO(mn_bench_products(&floor, model->device, &model->config, t.batch.tokens,
                            t.batch.logit_rows));
    const double median = bench_median(seconds, job->steps);
    struct mn_bench_row *row =
        bench_add(rows, "train", median, (double)t.size * t.batch.tokens, "tok/s");
    int written = t.size > 1 ? snprintf(row->shape, sizeof row->shape, "%d ranks, ", t.size) : 0;
    snprintf(row->shape + written, sizeof row->shape - (size_t)written,
             "%d x %d, LoRA r %d, dropout %g", t.batch.sequences, job->length, job->rank,
             job->dropout);
    row->percent = 100 * floor / median;
    row->ceiling = "products alone";
done:
    close_training(&t);
    return st;
}

/* --- inference --- */

static struct mn_prompt *draw_prompts(mn_arena *arena, const mn_model *model, int count, int length)
{
    int32_t *ids = MN_NEW(arena, int32_t, (size_t)count * (size_t)length);
    struct mn_prompt *prompts = MN_NEW(arena, struct mn_prompt, count);
    draw_ids(ids, (int64_t)count * length, model->config.vocab);
    for (int i = 0; i < count; i++)
        prompts[i] = (struct mn_prompt){ids + (int64_t)i * length, length, -1};
    return prompts;
}

mn_status mn_bench_score(struct mn_bench_rows *rows, mn_model *model,
                         const struct mn_bench_job *job)
{
    static const int32_t options[OPTIONS] = {10, 11, 12, 13};
    const struct mn_score_options settings = {0};
    const int count = job->tokens / job->length * job->steps;
    double flops, seconds = 0;
    mn_arena *arena = NULL;
    mn_adapter *adapter = NULL;
    mn_status st;
    if (count < 1) return mn_fail(MN_USAGE, "bench score: expected at least one sequence");
    MN_TRY(mn_bench_product(&flops, model->device, &model->config, job->tokens));
    MN_GO(mn_arena_open(&arena));
    if (job->rank) MN_GO(open_adapter(&adapter, model, job));
    struct mn_prompt *prompts = draw_prompts(arena, model, count, job->length);
    float *out = MN_NEW(arena, float, (size_t)count *OPTIONS);
    for (int round = 0; round < 2; round++) { /* the first loads code and chooses algorithms */
        const double begin = mn_seconds();
        MN_GO(mn_score_options_at_end(model, adapter, NULL, 0, prompts, (size_t)count, options,
                                      OPTIONS, &settings, out));
        seconds = mn_seconds() - begin;
    }
    struct mn_bench_row *row =
        bench_add(rows, "score", seconds, (double)count * job->length, "tok/s");
    snprintf(row->shape, sizeof row->shape, "%d x %d%s", count, job->length,
             job->rank ? ", adapter" : "");
    row->percent = 100 * row->rate * token_flops(&model->config, job->length) / flops;
    row->ceiling = "product";
done:
    mn_adapter_close(&adapter);
    mn_arena_close(&arena);
    return st;
}

mn_status mn_bench_generate(struct mn_bench_rows *rows, mn_model *model,
                            const struct mn_bench_job *job)
{
    const struct mn_generate_options settings = {
        .max_new_tokens = job->new_tokens, .eos = -1, .batch_sequences = job->batch};
    double seconds = 0;
    mn_arena *arena = NULL;
    mn_adapter *adapter = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    if (job->rank) MN_GO(open_adapter(&adapter, model, job));
    struct mn_prompt *prompts = draw_prompts(arena, model, job->batch, job->length);
    struct mn_generation *out = MN_NEW(arena, struct mn_generation, job->batch);
    for (int round = 0; round < 2; round++) {
        const double begin = mn_seconds();
        MN_GO(mn_generate(model, adapter, NULL, 0, prompts, (size_t)job->batch, &settings, arena,
                          out));
        seconds = mn_seconds() - begin;
    }
    struct mn_bench_row *row = bench_add(rows, "generate", seconds, job->batch, "examples/s");
    snprintf(row->shape, sizeof row->shape, "%d x %d + %d new%s", job->batch, job->length,
             job->new_tokens, job->rank ? ", adapter" : "");
done:
    mn_adapter_close(&adapter);
    mn_arena_close(&arena);
    return st;
}
