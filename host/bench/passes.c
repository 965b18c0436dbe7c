/* passes.c: what one pass over the items saves: base and adapters together against a pass each, and
 * shared prefixes against prompts that compute their own; and whether the answers are the same.
 *
 * On a GPU a product's sums round in another order where a batch has another shape. Where two
 * options, or two next tokens, are as likely as each other to that precision, an answer may differ:
 * such near-ties are counted, and the widest gap between the two is told. */
#include <math.h>
#include <string.h>

#include "minuano/infer.h"
#include "minuano/log.h"
#include "minuano/random.h"
#include "timing.h"

enum { SEED = 3, OPTIONS = 4, ROUNDS = 2 /* the first loads code and chooses algorithms */ };

struct passes {
    mn_model *model;
    mn_arena *arena;
    const struct mn_bench_job *job;
    struct mn_prefix prefix;
    struct mn_adapters all;    /* the base, then the adapters */
    struct mn_prompt *prompts; /* (all.count, items) */
    int items;
};

/* What one way of asking gave, of every prompt. */
struct answers {
    double seconds;
    struct mn_token_counts counts;
    float *logprobs;                   /* (all.count * items, OPTIONS) */
    struct mn_generation *generations; /* (all.count * items) */
};

static const int32_t options[OPTIONS] = {10, 11, 12, 13};

static int32_t *draw_ids(struct passes *p, int count, uint32_t stream)
{
    int32_t *ids = MN_NEW(p->arena, int32_t, count);
    for (int i = 0; i < count; i++)
        ids[i] = (int32_t)mn_random_below(SEED, mn_stream_id(MN_RANDOM_TEST, stream), (uint64_t)i,
                                          (uint32_t)p->model->config.vocab);
    return ids;
}

/* Random in A and B, so that its answers are its own. */
static mn_status open_adapter(struct passes *p, uint32_t number, const mn_adapter **out)
{
    mn_device *device = p->model->device;
    struct mn_lora_config config = {.rank = p->job->rank, .alpha = 2.0 * p->job->rank};
    mn_adapter *adapter;
    config.target[MN_Q] = config.target[MN_K] = config.target[MN_V] = config.target[MN_O] = true;
    MN_TRY(mn_adapter_new(&adapter, p->model, &config, SEED));
    *out = adapter;
    return device->ops->random_normal(adapter->shadow, SEED, mn_stream_id(MN_RANDOM_TEST, number),
                                      0, adapter->count, 0.01f, device->stream);
}

static mn_status open_passes(struct passes *p)
{
    const struct mn_bench_job *job = p->job;
    const mn_adapter **list = MN_NEW(p->arena, const mn_adapter *, job->adapters + 1);
    p->all = (struct mn_adapters){list, job->adapters + 1};
    for (int a = 0; a < job->adapters; a++)
        MN_TRY(open_adapter(p, (uint32_t)(10 + a), &list[a + 1]));
    p->prefix = (struct mn_prefix){draw_ids(p, job->prefix, 1), job->prefix};
    p->prompts = MN_NEW(p->arena, struct mn_prompt, p->all.count * p->items);
    const int32_t *ids = draw_ids(p, p->items * job->length, 2);
    for (int i = 0; i < p->all.count * p->items; i++)
        p->prompts[i] = (struct mn_prompt){.ids = ids + i % p->items * job->length,
                                           .count = job->length,
                                           .prefix = job->prefix ? 0 : -1,
                                           .adapter = i / p->items};
    return MN_OK;
}

/* Asks prompts first … first+count-1, options or new tokens. */
static mn_status ask(struct passes *p, struct answers *out, bool apart, size_t first, size_t count)
{
    struct mn_token_counts counts;
    if (out->logprobs) {
        const struct mn_score_options settings = {
            .adapters = p->all, .apart = apart, .counts = &counts};
        MN_TRY(mn_score_options_at_end(p->model, NULL, &p->prefix, 1, p->prompts + first, count,
                                       options, OPTIONS, &settings,
                                       out->logprobs + first * OPTIONS));
    } else {
        const struct mn_generate_options settings = {.max_new_tokens = p->job->new_tokens,
                                                     .eos = -1,
                                                     .adapters = p->all,
                                                     .apart = apart,
                                                     .counts = &counts};
        MN_TRY(mn_generate(p->model, NULL, &p->prefix, 1, p->prompts + first, count, &settings,
                           p->arena, out->generations + first));
    }
    out->counts.computed += counts.computed;
    out->counts.shared += counts.shared;
    return MN_OK;
}

/* Everything at once, or an adapter at a time. */
static mn_status time_pass(struct passes *p, bool generate, bool together, bool apart,
                           struct answers *out)
{
    const size_t all = (size_t)p->all.count * (size_t)p->items, part = (size_t)p->items;
    *out = (struct answers){0};
    if (generate)
        out->generations = MN_NEW(p->arena, struct mn_generation, all);
    else
        out->logprobs = MN_NEW(p->arena, float, all *OPTIONS);
    for (int round = 0; round < ROUNDS; round++) {
        const double begin = mn_seconds();
        out->counts = (struct mn_token_counts){0};
        if (together)
            MN_TRY(ask(p, out, apart, 0, all));
        else
            for (size_t first = 0; first < all; first += part)
                MN_TRY(ask(p, out, apart, first, part));
        out->seconds = mn_seconds() - begin;
    }
    return MN_OK;
}

/* --- agreement --- */

struct agreement {
    int64_t items, differ;
    double widest; /* gap of two log-probabilities where answers differ */
};

static int likeliest(const float *logprobs)
{
    int best = 0;
    for (int k = 1; k < OPTIONS; k++)
        if (logprobs[k] > logprobs[best]) best = k;
    return best;
}

static void note(struct agreement *out, double gap)
{
    out->differ++;
    if (gap > out->widest) out->widest = gap;
}

/* How much likelier the first differing token of one generation was than that of the other. */
static mn_status gap_of(struct passes *p, const struct mn_prompt *prompt,
                        const struct mn_generation *a, const struct mn_generation *b, double *gap)
{
    float logprob[2];
    int same = 0;
    while (a->ids[same] == b->ids[same]) same++;
    int32_t *ids = MN_NEW(p->arena, int32_t, prompt->count + same);
    memcpy(ids, prompt->ids, (size_t)prompt->count * sizeof *ids);
    memcpy(ids + prompt->count, a->ids, (size_t)same * sizeof *ids);
    struct mn_prompt longer = *prompt;
    longer.ids = ids;
    longer.count += same;
    struct mn_completion both[2] = {{longer, &a->ids[same], 1, &logprob[0]},
                                    {longer, &b->ids[same], 1, &logprob[1]}};
    const struct mn_score_options settings = {.adapters = p->all};
    MN_TRY(mn_score(p->model, NULL, &p->prefix, 1, both, 2, &settings));
    *gap = fabs((double)logprob[0] - (double)logprob[1]);
    return MN_OK;
}

static mn_status compare(struct passes *p, const struct answers *a, const struct answers *b,
                         struct agreement *out)
{
    *out = (struct agreement){.items = (int64_t)p->all.count * p->items};
    for (int64_t i = 0; i < out->items; i++) {
        double gap;
        if (a->logprobs) {
            const float *x = a->logprobs + i * OPTIONS, *y = b->logprobs + i * OPTIONS;
            const int one = likeliest(x), other = likeliest(y);
            if (one != other) note(out, (double)x[one] - (double)x[other]);
        } else if (memcmp(a->generations[i].ids, b->generations[i].ids,
                          (size_t)p->job->new_tokens * sizeof(int32_t)) != 0) {
            MN_TRY(gap_of(p, &p->prompts[i], &a->generations[i], &b->generations[i], &gap));
            note(out, gap);
        }
    }
    return MN_OK;
}

static void add_row(struct mn_bench_rows *rows, const struct passes *p, const char *name,
                    const struct answers *answers, const struct agreement *agreement)
{
    const struct mn_bench_job *job = p->job;
    struct mn_bench_row *row =
        bench_add(rows, name, answers->seconds, (double)p->all.count * p->items, "examples/s");
    snprintf(row->shape, sizeof row->shape, "%d x %d x (%d + %d), %.0f %% shared", p->all.count,
             p->items, job->prefix, job->length,
             100 * (double)answers->counts.shared /
                 (double)(answers->counts.shared + answers->counts.computed));
    if (agreement)
        snprintf(row->note, sizeof row->note, "%lld of %lld differ, by at most %.2g",
                 (long long)agreement->differ, (long long)agreement->items, agreement->widest);
}

static mn_status run(struct mn_bench_rows *rows, struct passes *p, bool generate)
{
    struct answers one, each, apart;
    struct agreement agreement;
    const char *task = generate ? "generate" : "score";
    char name[48];
    MN_TRY(time_pass(p, generate, true, false, &one));
    snprintf(name, sizeof name, "%s: one pass", task);
    add_row(rows, p, name, &one, NULL);
    MN_TRY(time_pass(p, generate, false, false, &each));
    MN_TRY(compare(p, &one, &each, &agreement));
    snprintf(name, sizeof name, "%s: a pass each", task);
    add_row(rows, p, name, &each, &agreement);
    if (!p->job->prefix) return MN_OK;
    MN_TRY(time_pass(p, generate, true, true, &apart));
    MN_TRY(compare(p, &one, &apart, &agreement));
    snprintf(name, sizeof name, "%s: no shared prefix", task);
    add_row(rows, p, name, &apart, &agreement);
    return MN_OK;
}

mn_status mn_bench_passes(struct mn_bench_rows *rows, mn_model *model,
                          const struct mn_bench_job *job)
{
    struct passes p = {.model = model, .job = job, .items = job->batch};
    mn_status st;
    if (job->rank < 1 || job->adapters < 1 || job->adapters >= MN_ADAPTER_GROUPS)
        return mn_fail(MN_USAGE, "bench passes: expected 1 … %d adapters of rank 1 or more",
                       MN_ADAPTER_GROUPS - 1);
    const int tokens = job->prefix + job->length + job->new_tokens,
              longest = mn_longest_sequence(&model->config);
    if (tokens > longest)
        return mn_fail(MN_USAGE, "bench passes: %d tokens, but the model has %d positions", tokens,
                       longest);
    MN_GO(mn_arena_open(&p.arena));
    MN_GO(open_passes(&p));
    MN_GO(run(rows, &p, false));
    MN_GO(run(rows, &p, true));
done:
    for (int a = 0; a < p.all.count; a++) mn_adapter_close((mn_adapter **)&p.all.item[a]);
    mn_arena_close(&p.arena);
    return st;
}
