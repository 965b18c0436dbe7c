/* tasks.c: MMLU's and Spider's work without their files: random tokens in as many groups, questions
 * and lengths, one prefix a group, asked of the base. */
#include "minuano/infer.h"
#include "minuano/log.h"
#include "minuano/random.h"
#include "timing.h"

enum { SEED = 5, OPTIONS = 4, MOST_ROUNDS = 100 };

/* Counted with Mistral's tokenizer over the real prompts. */
struct task {
    const char *name;
    int groups, questions; /* that share a prefix; in all */
    int prefix, own;       /* tokens, on average */
};
static const struct task mmlu = {"mmlu", 57, 14042, 583, 116};   /* 5 shots of a subject */
static const struct task spider = {"spider", 20, 1034, 281, 24}; /* a database's schema */

struct bench_task {
    mn_model *model;
    const struct mn_bench_job *job;
    mn_arena *arena;
    struct mn_prefix *prefixes;
    struct mn_prompt *prompts;
    size_t groups, questions;
    int64_t tokens; /* that must be computed: prefixes once */
    uint64_t drawn;
    float *logprobs;
    struct mn_generation *generations;
};

static uint32_t draw(struct bench_task *t, uint32_t below)
{
    return mn_random_below(SEED, mn_stream_id(MN_RANDOM_TEST, 0), t->drawn++, below);
}

/* Ids of a length between half the average and one and a half. */
static int32_t *draw_ids(struct bench_task *t, int average, int *count)
{
    *count = average / 2 + (int)draw(t, (uint32_t)average + 1);
    int32_t *ids = MN_NEW(t->arena, int32_t, *count);
    for (int i = 0; i < *count; i++) ids[i] = (int32_t)draw(t, (uint32_t)t->model->config.vocab);
    t->tokens += *count;
    return ids;
}

static mn_status open_task(struct bench_task *t, const struct task *task)
{
    MN_TRY(mn_arena_open(&t->arena));
    t->questions = t->job->questions ? (size_t)t->job->questions : (size_t)task->questions;
    t->groups = (size_t)task->groups < t->questions ? (size_t)task->groups : t->questions;
    t->prefixes = MN_NEW(t->arena, struct mn_prefix, t->groups);
    t->prompts = MN_NEW(t->arena, struct mn_prompt, t->questions);
    for (size_t g = 0; g < t->groups; g++)
        t->prefixes[g].ids = draw_ids(t, task->prefix, &t->prefixes[g].count);
    for (size_t i = 0; i < t->questions; i++) {
        t->prompts[i].ids = draw_ids(t, task->own, &t->prompts[i].count);
        t->prompts[i].prefix = (int)(i * t->groups / t->questions);
    }
    t->logprobs = MN_NEW(t->arena, float, t->questions *OPTIONS);
    t->generations = MN_NEW(t->arena, struct mn_generation, t->questions);
    return MN_OK;
}

static mn_status score_all(struct bench_task *t)
{
    static const int32_t options[OPTIONS] = {10, 11, 12, 13};
    return mn_score_options_at_end(t->model, NULL, t->prefixes, t->groups, t->prompts, t->questions,
                                   options, OPTIONS, NULL, t->logprobs);
}

static mn_status generate_all(struct bench_task *t)
{
    const struct mn_generate_options options = {.max_new_tokens = t->job->new_tokens, .eos = -1};
    return mn_generate(t->model, NULL, t->prefixes, t->groups, t->prompts, t->questions, &options,
                       t->arena, t->generations);
}

/* The median of the rounds behind the first, which loads code and chooses algorithms. */
static mn_status time_task(double *seconds, struct bench_task *t,
                           mn_status (*run)(struct bench_task *t))
{
    double samples[MOST_ROUNDS];
    if (t->job->rounds < 1 || t->job->rounds > MOST_ROUNDS)
        return mn_fail(MN_USAGE, "bench: --rounds: expected 1 to %d, found %d", (int)MOST_ROUNDS,
                       t->job->rounds);
    for (int round = -1; round < t->job->rounds; round++) {
        const double begin = mn_seconds();
        MN_TRY(run(t));
        if (round >= 0) samples[round] = mn_seconds() - begin;
    }
    *seconds = bench_median(samples, t->job->rounds);
    return MN_OK;
}

/* Percent of the product: what the matrices of the layers take for all tokens, each once. */
static mn_status run_task(struct mn_bench_rows *rows, mn_model *model,
                          const struct mn_bench_job *job, const struct task *task,
                          mn_status (*run)(struct bench_task *t), int64_t more_tokens_each)
{
    struct bench_task t = {.model = model, .job = job};
    const struct mn_model_config *c = &model->config;
    const double parameters = (double)mn_model_parameters(c) - 2.0 * c->vocab * c->hidden;
    double seconds = 0, flops;
    mn_status st;
    MN_TRY(mn_bench_product(&flops, model->device, c, job->tokens));
    MN_GO(open_task(&t, task));
    MN_GO(time_task(&seconds, &t, run));
    const double tokens = (double)t.tokens + (double)more_tokens_each * (double)t.questions;
    struct mn_bench_row *row =
        bench_add(rows, task->name, seconds, (double)t.questions, "questions/s");
    snprintf(row->shape, sizeof row->shape, "%zu, %zu prefixes, %.2f M tokens", t.questions,
             t.groups, 1e-6 * tokens);
    row->percent = 100 * tokens * 2 * parameters / seconds / flops;
    row->ceiling = "product";
done:
    mn_arena_close(&t.arena);
    return st;
}

mn_status mn_bench_mmlu(struct mn_bench_rows *rows, mn_model *model, const struct mn_bench_job *job)
{
    return run_task(rows, model, job, &mmlu, score_all, 0);
}

mn_status mn_bench_spider(struct mn_bench_rows *rows, mn_model *model,
                          const struct mn_bench_job *job)
{
    return run_task(rows, model, job, &spider, generate_all, job->new_tokens - 1);
}
