/* kernels.c: every op of the table in a model's shapes, with the bytes or operations it cannot do
 * without. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "minuano/random.h"
#include "timing.h"

enum { LORA_RANK = 16, LOSS_ROWS = 2048, SEED = 1, OPTIONS = 4, DECODE_LENGTH = 500 };
static const int attention_lengths[] = {128, 512, 1024, 4096, 16384};
static const int decode_rows[] = {1, 8, 64, 256};

/* Where all operands lie: random activations `in`, results `out`, and a few arrays of other types.
 */
struct room {
    mn_device *device;
    const struct mn_model_config *config;
    const struct mn_bench_kernels *what;
    int tokens, attention_tokens, qkv, loss_rows;
    struct mn_pool pool;
    mn_act *in[3], *out[2], *weight, *a, *b, *u;
    float *lse, *loss, *table, *f32[5];
    double *squares;
    int32_t *counting, *ids, *zeros, *extents;
    int64_t *first_row;
    uint8_t *codes;
    void *workspace;
    size_t workspace_bytes;
    int64_t act_count, weight_count, adapter_count;
};

/* What one timed call needs: the room, and what varies between rows of the table. */
struct job {
    struct room *room;
    int rows; /* 0: the room's tokens */
    int out, in, parts;
    bool swiglu; /* behind a forward linear, whose y is not wanted */
    double dropout;
    int sequences, length;
    const struct mn_ops *ops; /* of attention: the device's or the peer's */
};

static struct mn_attention_shape shape_of(const struct room *r)
{
    const struct mn_model_config *c = r->config;
    return (struct mn_attention_shape){c->heads, c->kv_heads, c->head_dim,
                                       (float)(1 / sqrt(c->head_dim))};
}

/* --- linears --- */

static struct mn_lora lora_of(const struct job *j)
{
    const struct room *r = j->room;
    struct mn_lora lora = {.parts = j->parts, .a = r->a, .b = r->b, .seed = SEED};
    lora.dropout = (float)j->dropout;
    lora.first_row = r->first_row;
    for (int p = 0; p < j->parts; p++) {
        int begin = p ? lora.part[p - 1].out_begin + lora.part[p - 1].out : 0;
        int end = p + 1 == j->parts ? j->out
                  : p == 0          ? r->config->heads * r->config->head_dim
                                    : begin + r->config->kv_heads * r->config->head_dim;
        lora.part[p] =
            (struct mn_lora_part){begin, end - begin, lora.rank, LORA_RANK, 2, (uint32_t)p};
        lora.rank += LORA_RANK;
    }
    return lora;
}

static struct mn_linear_forward forward_args(const struct job *j)
{
    const struct room *r = j->room;
    return (struct mn_linear_forward){.y = r->out[0],
                                      .swiglu = j->swiglu ? r->out[1] : NULL,
                                      .y_is_room = j->swiglu,
                                      .u = r->u,
                                      .x = r->in[0],
                                      .weight = {.out = j->out, .in = j->in, .dense = r->weight},
                                      .lora = lora_of(j),
                                      .rows = j->rows ? j->rows : r->tokens,
                                      .ldx = j->in,
                                      .ldy = j->out,
                                      .workspace = r->workspace};
}

static struct mn_linear_backward backward_args(const struct job *j)
{
    const struct room *r = j->room;
    return (struct mn_linear_backward){.dx = r->out[0],
                                       .da = r->f32[0],
                                       .db = r->f32[1],
                                       .dy = r->in[0],
                                       .x = r->in[1],
                                       .u = r->u,
                                       .weight = {.out = j->out, .in = j->in, .dense = r->weight},
                                       .lora = lora_of(j),
                                       .rows = j->rows ? j->rows : r->tokens,
                                       .ldy = j->out,
                                       .workspace = r->workspace};
}

static mn_status run_forward(const void *job, mn_device *device)
{
    const struct mn_linear_forward args = forward_args(job);
    return device->ops->linear_forward(&args, device->stream);
}

static mn_status run_backward(const void *job, mn_device *device)
{
    const struct mn_linear_backward args = backward_args(job);
    return device->ops->linear_backward(&args, device->stream);
}

/* --- attention --- */

static struct mn_segments segments_of(const struct job *j)
{
    return (struct mn_segments){.rows = j->sequences * j->length,
                                .sequences = j->sequences,
                                .max_length = j->length,
                                .offsets = j->room->extents};
}

static struct mn_attention_forward attention_args(const struct job *j)
{
    const struct room *r = j->room;
    return (struct mn_attention_forward){.out = r->out[0],
                                         .lse = r->lse,
                                         .qkv = r->in[0],
                                         .segments = segments_of(j),
                                         .shape = shape_of(r),
                                         .workspace = r->workspace};
}

static struct mn_attention_backward attention_backward_args(const struct job *j)
{
    const struct room *r = j->room;
    return (struct mn_attention_backward){.dqkv = r->out[1],
                                          .dout = r->in[1],
                                          .out = r->out[0],
                                          .qkv = r->in[0],
                                          .lse = r->lse,
                                          .segments = segments_of(j),
                                          .shape = shape_of(r),
                                          .workspace = r->workspace};
}

/* The cache is the room's first array; sequence i owns rows i·length …; */
static struct mn_attention_decode decode_args(const struct job *j)
{
    const struct room *r = j->room;
    return (struct mn_attention_decode){.out = r->out[0],
                                        .qkv = r->in[2],
                                        .cache_k = r->in[0],
                                        .cache_v = r->in[1],
                                        .start = r->extents,
                                        .length = r->ids,
                                        .rows = j->sequences,
                                        .max_length = j->length,
                                        .shape = shape_of(r),
                                        .workspace = r->workspace};
}

static mn_status run_attention(const void *job, mn_device *device)
{
    const struct mn_attention_forward args = attention_args(job);
    return ((const struct job *)job)->ops->attention_forward(&args, device->stream);
}

static mn_status run_attention_backward(const void *job, mn_device *device)
{
    const struct mn_attention_backward args = attention_backward_args(job);
    return ((const struct job *)job)->ops->attention_backward(&args, device->stream);
}

static mn_status run_decode(const void *job, mn_device *device)
{
    const struct mn_attention_decode args = decode_args(job);
    return device->ops->attention_decode(&args, device->stream);
}

/* --- what memory bounds: X(op, call, elements moved, in activations and in bytes) --- */

#define CALLS(X)                                                                                   \
    X(embed_forward, (r->out[0], r->weight, r->ids, T, H, C->vocab, s), 2 * TH, 0)                 \
    X(gather_rows, (r->out[0], r->in[0], r->counting, T, H, s), 2 * TH, 0)                         \
    X(scatter_rows, (r->out[0], r->in[0], r->counting, T, T, H, s), 3 * TH, 0)                     \
    X(rmsnorm_forward, (r->out[0], r->loss, r->in[0], r->weight, T, H, H, 1e-5f, s), 2 * TH, 0)    \
    X(add_rmsnorm_forward,                                                                         \
      (r->out[0], r->out[1], r->loss, r->in[0], r->in[1], r->weight, T, H, 1e-5f, s), 4 * TH, 0)   \
    X(rmsnorm_backward, (r->out[0], r->in[0], r->in[1], r->in[2], r->loss, r->weight, T, H, s),    \
      4 * TH, 0)                                                                                   \
    X(rope, (r->out[1], r->table, r->counting, T, C->heads + C->kv_heads, C->head_dim, Q, 1, s),   \
      2 * (double)T * (C->heads + C->kv_heads) * C->head_dim, 0)                                   \
    X(swiglu_forward, (r->out[0], r->in[0], T, C->ff, s), 3 * (double)T * C->ff, 0)                \
    X(swiglu_backward, (r->out[0], r->in[1], r->in[0], T, C->ff, s), 5 * (double)T * C->ff, 0)     \
    X(cache_write, (r->out[0], r->out[1], r->in[0], r->counting, T, shape_of(r), s),               \
      4 * (double)T * C->kv_heads * C->head_dim, 0)                                                \
    X(cross_entropy, (r->loss, r->out[0], r->ids, L, C->vocab, 1e-4f, s),                          \
      2 * (double)L * C->vocab, 0)                                                                 \
    X(token_logprobs, (r->loss, r->in[0], r->ids, L, C->vocab, OPTIONS, s), (double)L * C->vocab,  \
      0)                                                                                           \
    X(sample, (r->zeros, r->loss, r->in[0], r->ids, r->ids, L, C->vocab, 0, SEED, s),              \
      (double)L * C->vocab, 0)                                                                     \
    X(sum_squares, (r->squares, r->f32[0], r->adapter_count, r->workspace, s), 0,                  \
      4 * (double)r->adapter_count)                                                                \
    X(nf4_quantize, (r->codes, r->f32[4], r->weight, r->weight_count, s), (double)r->weight_count, \
      0.5625 * (double)r->weight_count)                                                            \
    X(nf4_dequantize, (r->out[0], r->codes, r->f32[4], r->weight_count, s),                        \
      (double)r->weight_count, 0.5625 * (double)r->weight_count)

#define LOCALS                                                                                     \
    const struct room *r = job;                                                                    \
    const struct mn_model_config *C = r->config;                                                   \
    const int T = r->tokens, H = C->hidden, Q = r->qkv, L = r->loss_rows;                          \
    const double TH = (double)T * H;                                                               \
    mn_stream s = device->stream;                                                                  \
    (void)C, (void)T, (void)H, (void)Q, (void)L, (void)TH, (void)s

#define RUN(op, arguments, activations, bytes)                                                     \
    static mn_status run_##op(const void *job, mn_device *device)                                  \
    {                                                                                              \
        LOCALS;                                                                                    \
        return device->ops->op arguments;                                                          \
    }
CALLS(RUN)
#undef RUN

static mn_status run_adamw(const void *job, mn_device *device)
{
    LOCALS;
    const struct mn_adamw args = {.master = r->f32[0],
                                  .m = r->f32[1],
                                  .v = r->f32[2],
                                  .shadow = r->out[0],
                                  .gradient = r->f32[3],
                                  .grad_squares = r->squares,
                                  .count = r->adapter_count,
                                  .lr = 1e-4f,
                                  .beta1 = 0.9f,
                                  .beta2 = 0.999f,
                                  .epsilon = 1e-8f,
                                  .max_norm = 1,
                                  .step = 1};
    return device->ops->adamw(&args, s);
}

static mn_status run_copy(const void *job, mn_device *device)
{
    const struct room *r = job;
    return device->calls->copy(device, r->out[0], r->in[0],
                               (size_t)r->tokens * (size_t)r->config->ff * device->act_bytes);
}

/* --- the room --- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static size_t workspace_of(struct room *r)
{
    const struct mn_ops *ops = r->device->ops, *peer = r->what->peer ? r->what->peer : ops;
    const struct mn_model_config *c = r->config;
    struct job qkv = {.room = r, .out = r->qkv, .in = c->hidden, .parts = 3, .dropout = 0.05};
    struct job down = {.room = r, .out = c->hidden, .in = c->ff, .parts = 1, .dropout = 0.05};
    struct job longest = {.room = r, .sequences = 1, .length = r->attention_tokens};
    const struct mn_linear_forward f1 = forward_args(&qkv), f2 = forward_args(&down);
    const struct mn_linear_backward b1 = backward_args(&qkv), b2 = backward_args(&down);
    const struct mn_attention_forward a1 = attention_args(&longest);
    const struct mn_attention_backward a2 = attention_backward_args(&longest);
    const size_t sizes[] = {
        ops->linear_forward_workspace(&f1),          ops->linear_forward_workspace(&f2),
        ops->linear_backward_workspace(&b1),         ops->linear_backward_workspace(&b2),
        ops->attention_forward_workspace(&a1),       ops->attention_backward_workspace(&a2),
        peer->attention_forward_workspace(&a1),      peer->attention_backward_workspace(&a2),
        ops->sum_squares_workspace(r->adapter_count)};
    size_t most_bytes = 0;
    for (size_t i = 0; i < MN_COUNT(sizes); i++)
        if (sizes[i] > most_bytes) most_bytes = sizes[i];
    for (size_t i = 0; i < MN_COUNT(decode_rows); i++) {
        const struct job job = {.room = r, .sequences = decode_rows[i], .length = DECODE_LENGTH};
        const struct mn_attention_decode args = decode_args(&job);
        const size_t bytes = ops->attention_decode_workspace(&args);
        if (bytes > most_bytes) most_bytes = bytes;
    }
    return most_bytes;
}

static void furnish(struct room *r)
{
    const struct mn_model_config *c = r->config;
    struct mn_pool *pool = &r->pool;
    const size_t act = r->device->act_bytes, count = (size_t)r->act_count;
    const size_t rows = (size_t)larger(r->tokens, r->attention_tokens) + 1;
    for (int i = 0; i < 3; i++) r->in[i] = mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, count, act);
    for (int i = 0; i < 2; i++) r->out[i] = mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, count, act);
    r->weight = mn_pool_take(pool, MN_MEMORY_WEIGHTS, (size_t)r->weight_count, act);
    const size_t narrow = (size_t)(3 * LORA_RANK) * (size_t)larger(c->ff * 2, c->vocab);
    r->a = mn_pool_take(pool, MN_MEMORY_ADAPTER, narrow, act);
    r->b = mn_pool_take(pool, MN_MEMORY_ADAPTER, narrow, act);
    r->u = mn_pool_take(pool, MN_MEMORY_ADAPTER, rows * 3 * LORA_RANK, act);
    r->lse = mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, rows * (size_t)c->heads, 4);
    r->loss = mn_pool_take(pool, MN_MEMORY_ACTIVATIONS, rows * OPTIONS, 4);
    r->table = mn_pool_take(pool, MN_MEMORY_WEIGHTS, rows * (size_t)c->head_dim, 4);
    for (int i = 0; i < 5; i++)
        r->f32[i] = mn_pool_take(pool, MN_MEMORY_OPTIMIZER,
                                 (size_t)larger(r->adapter_count, r->weight_count / 64), 4);
    r->squares = mn_pool_take(pool, MN_MEMORY_OPTIMIZER, 1, 8);
    r->counting = mn_pool_take(pool, MN_MEMORY_WORKSPACE, rows, 4);
    r->ids = mn_pool_take(pool, MN_MEMORY_WORKSPACE, rows * OPTIONS, 4);
    r->zeros = mn_pool_take(pool, MN_MEMORY_WORKSPACE, rows * OPTIONS, 4);
    r->extents = mn_pool_take(pool, MN_MEMORY_WORKSPACE, rows, 4);
    r->first_row = mn_pool_take(pool, MN_MEMORY_WORKSPACE, 1, 8);
    r->codes = mn_pool_take(pool, MN_MEMORY_WEIGHTS, (size_t)r->weight_count / 2, 1);
    r->workspace = mn_pool_take(pool, MN_MEMORY_WORKSPACE, r->workspace_bytes, 1);
}

static mn_status send_ints(struct room *r, int32_t *to, int64_t count, int64_t step,
                           int64_t modulus)
{
    int32_t *host = mn_realloc(NULL, (size_t)count, sizeof *host);
    for (int64_t i = 0; i < count; i++) host[i] = (int32_t)(i * step % modulus);
    mn_status st = r->device->calls->upload(r->device, to, host, (size_t)count * sizeof *host);
    free(host);
    return st;
}

/* Normal numbers in every array that is read. fp32 arrays take theirs from activations. */
static mn_status fill(struct room *r)
{
    const struct mn_ops *ops = r->device->ops;
    mn_stream s = r->device->stream;
    const int64_t rows = larger(r->tokens, r->attention_tokens) + 1;
    const int64_t floats = larger(r->adapter_count, r->weight_count / 64);
    mn_act *const acts[] = {r->in[0], r->in[1], r->in[2], r->out[0], r->out[1]};
    for (size_t i = 0; i < MN_COUNT(acts); i++)
        MN_TRY(ops->random_normal(acts[i], SEED, i, 0, r->act_count, 1, s));
    MN_TRY(ops->random_normal(r->weight, SEED, 5, 0, r->weight_count, 0.02f, s));
    const int64_t narrow = 3 * LORA_RANK * larger(r->config->ff * 2, r->config->vocab);
    MN_TRY(ops->random_normal(r->a, SEED, 6, 0, narrow, 0.02f, s));
    MN_TRY(ops->random_normal(r->b, SEED, 7, 0, narrow, 0.02f, s));
    MN_TRY(ops->random_normal(r->u, SEED, 8, 0, rows * 3 * LORA_RANK, 1, s));
    for (int i = 0; i < 5; i++) {
        MN_TRY(ops->store_convert(r->f32[i], MN_F32, r->in[i % 3], floats, s));
    }
    MN_TRY(
        r->device->calls->fill(r->device, r->f32[2], 0, (size_t)floats * 4)); /* v: no negatives */
    MN_TRY(r->device->calls->fill(r->device, r->first_row, 0, 8));
    MN_TRY(ops->store_convert(r->table, MN_F32, r->in[0], rows * r->config->head_dim, s));
    MN_TRY(send_ints(r, r->counting, rows, 1, rows));
    return send_ints(r, r->ids, rows * OPTIONS, 7919, r->config->vocab);
}

static mn_status open_room(struct room *r, mn_device *device, const struct mn_model_config *c,
                           const struct mn_bench_kernels *what)
{
    const int tokens = what->tokens;
    *r = (struct room){.device = device, .config = c, .what = what, .tokens = tokens};
    r->attention_tokens = 2 * tokens;
    r->qkv = (c->heads + 2 * c->kv_heads) * c->head_dim;
    r->loss_rows = tokens < LOSS_ROWS ? tokens : LOSS_ROWS;
    r->weight_count = larger((int64_t)2 * c->ff * c->hidden, (int64_t)c->vocab * c->hidden);
    r->adapter_count =
        (int64_t)LORA_RANK * c->layers * (2 * (int64_t)c->hidden + r->qkv + 2 * (int64_t)c->hidden);
    r->act_count =
        larger(larger((int64_t)tokens * 2 * c->ff, (int64_t)r->attention_tokens * r->qkv),
               larger((int64_t)r->loss_rows * c->vocab, r->weight_count));
    r->act_count = larger(r->act_count, r->adapter_count);
    r->pool.device = device;
    r->workspace_bytes = workspace_of(r);
    furnish(r);
    MN_TRY(mn_pool_commit(&r->pool));
    furnish(r);
    return fill(r);
}

/* --- the table --- */

struct ceilings {
    double copy, product;
};

static bool wanted(const struct room *r, const char *name)
{
    return !r->what->only || strstr(name, r->what->only);
}

static void judge(struct mn_bench_row *row, double ceiling, const char *name)
{
    row->percent = ceiling > 0 ? 100 * row->rate / ceiling : 0;
    row->ceiling = name;
}

static mn_status time_linears(struct mn_bench_rows *rows, struct room *r, struct ceilings *ceilings)
{
    const struct mn_model_config *c = r->config;
    const struct {
        const char *name;
        int out, in, parts;
        double dropout;
        bool swiglu;
    } linears[] = {
        {"gate_up", 2 * c->ff, c->hidden, 0, 0, false},
        {"gate_up swiglu", 2 * c->ff, c->hidden, 0, 0, true},
        {"qkv", r->qkv, c->hidden, 0, 0, false},
        {"qkv r16", r->qkv, c->hidden, 3, 0, false},
        {"qkv r16 dropout", r->qkv, c->hidden, 3, 0.05, false},
        {"o", c->hidden, c->heads * c->head_dim, 0, 0, false},
        {"o r16 dropout", c->hidden, c->heads * c->head_dim, 1, 0.05, false},
        {"down", c->hidden, c->ff, 0, 0, false},
        {"head", c->vocab, c->hidden, 0, 0, false},
    };
    for (size_t i = 0; i < 2 * MN_COUNT(linears); i++) {
        const bool back = i >= MN_COUNT(linears);
        const size_t k = i % MN_COUNT(linears);
        const struct job job = {.room = r,
                                .out = linears[k].out,
                                .in = linears[k].in,
                                .parts = linears[k].parts,
                                .swiglu = linears[k].swiglu,
                                .dropout = linears[k].dropout};
        if ((int64_t)r->tokens * job.out > r->act_count || (job.swiglu && back)) continue;
        const double flops = 2.0 * r->tokens * job.out * job.in;
        double seconds;
        char name[48];
        snprintf(name, sizeof name, "linear_%s %s", back ? "backward" : "forward", linears[k].name);
        if (i > 0 && !wanted(r, name)) continue; /* the first is the ceiling */
        MN_TRY(bench_time(&seconds, r->device, back ? run_backward : run_forward, &job));
        struct mn_bench_row *row = bench_add(rows, name, seconds, 1e-12 * flops, "TFLOP/s");
        snprintf(row->shape, sizeof row->shape, "%d x %d x %d", r->tokens, job.out, job.in);
        if (i == 0) ceilings->product = row->rate;
        judge(row, ceilings->product, "product");
    }
    return MN_OK;
}

/* One direction in one shape, by one table; the row is the last. */
static mn_status time_one_attention(struct mn_bench_rows *rows, const struct job *job, bool back,
                                    const char *whose)
{
    const struct mn_model_config *c = job->room->config;
    const double pairs = 0.5 * job->sequences * (double)job->length * job->length;
    const double flops = (back ? 10 : 4) * pairs * c->heads * c->head_dim;
    double seconds;
    char name[48];
    MN_TRY(bench_time(&seconds, job->room->device, back ? run_attention_backward : run_attention,
                      job));
    snprintf(name, sizeof name, "attention_%s%s%s", back ? "backward" : "forward", whose ? " " : "",
             whose ? whose : "");
    struct mn_bench_row *row = bench_add(rows, name, seconds, 1e-12 * flops, "TFLOP/s");
    snprintf(row->shape, sizeof row->shape, "%d x %d causal", job->sequences, job->length);
    return MN_OK;
}

static mn_status time_attention(struct mn_bench_rows *rows, struct room *r,
                                const struct ceilings *ceilings)
{
    const struct mn_bench_kernels *what = r->what;
    for (int i = 0; i < 2 * (int)MN_COUNT(attention_lengths); i++) {
        const bool back = i % 2;
        struct job job = {.room = r, .length = attention_lengths[i / 2], .ops = r->device->ops};
        job.sequences = (job.length > r->tokens ? r->attention_tokens : r->tokens) / job.length;
        if (job.sequences < 1 || job.length > r->attention_tokens) continue;
        if (!wanted(r, back ? "attention_backward" : "attention_forward")) continue;
        MN_TRY(send_ints(r, r->extents, job.sequences + 1, job.length, INT64_MAX));
        MN_TRY(time_one_attention(rows, &job, back, NULL));
        judge(&rows->item[rows->count - 1], ceilings->product, "product");
        if (!what->peer) continue;
        job.ops = what->peer;
        MN_TRY(time_one_attention(rows, &job, back, what->peer_name));
        struct mn_bench_row *theirs = &rows->item[rows->count - 1], *ours = theirs - 1;
        judge(theirs, ceilings->product, "product");
        ours->ratio = ours->rate / theirs->rate;
        ours->peer = what->peer_name;
    }
    return MN_OK;
}

static mn_status time_decode(struct mn_bench_rows *rows, struct room *r,
                             const struct ceilings *ceilings)
{
    const struct mn_model_config *c = r->config;
    const int64_t kv_width = (int64_t)c->kv_heads * c->head_dim;
    for (size_t i = 0; i < MN_COUNT(decode_rows); i++) {
        struct job job = {.room = r, .sequences = decode_rows[i], .length = DECODE_LENGTH};
        if (job.sequences > r->tokens || job.sequences * job.length * kv_width > r->act_count)
            continue;
        if (!wanted(r, "attention_decode")) continue;
        double seconds;
        MN_TRY(send_ints(r, r->extents, job.sequences, job.length, INT64_MAX));
        int32_t lengths[256];
        for (int k = 0; k < job.sequences; k++) lengths[k] = job.length;
        MN_TRY(r->device->calls->upload(r->device, r->ids, lengths,
                                        (size_t)job.sequences * sizeof *lengths));
        MN_TRY(bench_time(&seconds, r->device, run_decode, &job));
        const double bytes =
            2.0 * job.sequences * job.length * (double)kv_width * (double)r->device->act_bytes;
        struct mn_bench_row *row =
            bench_add(rows, "attention_decode", seconds, 1e-9 * bytes, "GB/s");
        snprintf(row->shape, sizeof row->shape, "%d x 1 of %d", job.sequences, job.length);
        judge(row, ceilings->copy, "copy");
    }
    return MN_OK;
}

static mn_status time_memory(struct mn_bench_rows *rows, struct room *job,
                             struct ceilings *ceilings)
{
    mn_device *device = job->device;
    double seconds;
    MN_TRY(bench_time(&seconds, device, run_copy, job));
    const double act = (double)device->act_bytes;
    struct mn_bench_row *row = bench_add(
        rows, "copy", seconds, 1e-9 * 2 * act * job->tokens * (double)job->config->ff, "GB/s");
    ceilings->copy = row->rate;
    judge(row, ceilings->copy, "copy");
    LOCALS;
#define TIME(op, arguments, activations, bytes)                                                    \
    if (wanted(r, #op)) {                                                                          \
        MN_TRY(bench_time(&seconds, device, run_##op, r));                                         \
        row = bench_add(rows, #op, seconds, 1e-9 * (act * (activations) + (bytes)), "GB/s");       \
        judge(row, ceilings->copy, "copy");                                                        \
    }
    CALLS(TIME)
#undef TIME
    if (!wanted(r, "adamw")) return MN_OK;
    MN_TRY(bench_time(&seconds, device, run_adamw, r));
    row = bench_add(rows, "adamw", seconds, 1e-9 * (28 + act) * (double)r->adapter_count, "GB/s");
    judge(row, ceilings->copy, "copy");
    return MN_OK;
}

mn_status mn_bench_kernels(struct mn_bench_rows *rows, mn_device *device,
                           const struct mn_model_config *config,
                           const struct mn_bench_kernels *what)
{
    struct room room;
    struct ceilings ceilings = {0};
    mn_status st;
    MN_GO(open_room(&room, device, config, what));
    MN_GO(time_linears(rows, &room, &ceilings));
    MN_GO(time_attention(rows, &room, &ceilings));
    MN_GO(time_memory(rows, &room, &ceilings));
    MN_GO(time_decode(rows, &room, &ceilings));
done:
    mn_pool_close(&room.pool);
    return st;
}

mn_status mn_bench_product(double *flops, mn_device *device, const struct mn_model_config *config,
                           int tokens)
{
    const struct mn_bench_kernels what = {.tokens = tokens};
    struct room room;
    mn_status st;
    double seconds;
    MN_GO(open_room(&room, device, config, &what));
    const struct job job = {.room = &room, .out = 2 * config->ff, .in = config->hidden};
    MN_GO(bench_time(&seconds, device, run_forward, &job));
    *flops = 2.0 * tokens * job.out * job.in / seconds;
done:
    mn_pool_close(&room.pool);
    return st;
}

/* --- the products of a training step --- */

struct products {
    struct room *room;
    int logit_rows;
};

static mn_status run_both_ways(const struct job *job, mn_device *device)
{
    MN_TRY(run_forward(job, device));
    return run_backward(job, device);
}

static mn_status run_products(const void *products, mn_device *device)
{
    const struct products *p = products;
    const struct mn_model_config *c = p->room->config;
    const int queries = c->heads * c->head_dim;
    const struct job layer[] = {
        {.room = p->room, .out = p->room->qkv, .in = c->hidden},
        {.room = p->room, .out = c->hidden, .in = queries},
        {.room = p->room, .out = 2 * c->ff, .in = c->hidden},
        {.room = p->room, .out = c->hidden, .in = c->ff},
    };
    for (int l = 0; l < c->layers; l++)
        for (size_t i = 0; i < MN_COUNT(layer); i++) MN_TRY(run_both_ways(&layer[i], device));
    for (int first = 0; first < p->logit_rows; first += p->room->loss_rows) {
        const int left = p->logit_rows - first;
        const struct job head = {.room = p->room,
                                 .rows = left < p->room->loss_rows ? left : p->room->loss_rows,
                                 .out = c->vocab,
                                 .in = c->hidden};
        MN_TRY(run_both_ways(&head, device));
    }
    return MN_OK;
}

mn_status mn_bench_products(double *seconds, mn_device *device,
                            const struct mn_model_config *config, int tokens, int logit_rows)
{
    const struct mn_bench_kernels what = {.tokens = tokens};
    struct room room;
    mn_status st;
    MN_GO(open_room(&room, device, config, &what));
    const struct products products = {&room, logit_rows};
    MN_GO(bench_time(seconds, device, run_products, &products));
done:
    mn_pool_close(&room.pool);
    return st;
}
