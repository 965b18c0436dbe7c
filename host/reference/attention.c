/* attention.c: causal grouped-query attention over ragged sequences, with a shared prefix; its
 * gradient; the cache and one step of decoding.
 *
 * An item of work is one sequence's kv head (and a block of its queries, forward): the shapes of
 * all its products follow from that sequence alone, so nothing depends on the batch. Scores of a
 * block of queries are held whole (BLOCK × keys), softmax sums are fp64. */
#include "reference.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 64 };

/* A matrix as it lies: element (i, j) at i · row + j · col. */
struct matrix {
    const float *at;
    int64_t row, col;
};

static struct matrix plain(const float *at, int64_t ld)
{
    return (struct matrix){at, ld, 1};
}

static struct matrix transposed(const float *at, int64_t ld)
{
    return (struct matrix){at, 1, ld};
}

/* c (rows, cols) = alpha · a·b + beta · c. room is the GEMM's scratch. */
static void product(float *c, int64_t ldc, struct matrix a, struct matrix b, int rows, int cols,
                    int inner, float alpha, float beta, void *room)
{
    if (rows == 0 || cols == 0 || inner == 0) return;
    struct mn_ref_gemm gemm = {.c = c,
                               .a = a.at,
                               .b = b.at,
                               .rows = rows,
                               .cols = cols,
                               .inner = inner,
                               .ldc = ldc,
                               .a_row = a.row,
                               .a_col = a.col,
                               .b_row = b.row,
                               .b_col = b.col,
                               .alpha = alpha,
                               .beta = beta};
    mn_ref_gemm_alone(&gemm, room);
}

/* What lies in an item's scratch behind the GEMM's. */
static float *behind_gemm(void *scratch)
{
    return (float *)((char *)scratch + mn_ref_gemm_scratch());
}

/* Scores become probabilities; returns the log of their sum. */
static float softmax(float *score, int count)
{
    float top = score[0];
    for (int j = 1; j < count; j++) top = score[j] > top ? score[j] : top;
    double sum = 0;
    for (int j = 0; j < count; j++) {
        score[j] = expf(score[j] - top);
        sum += (double)score[j];
    }
    float inverse = (float)(1.0 / sum);
    for (int j = 0; j < count; j++) score[j] *= inverse;
    return (float)((double)top + log(sum));
}

static int64_t row_width(const struct mn_attention_shape *shape)
{
    return (int64_t)(shape->heads + 2 * shape->kv_heads) * shape->head_dim;
}

/* What only a device that can read the arrays can check: a bound that is too low would write beyond
 * the scores. */
static mn_status check_lengths(const char *op, const struct mn_segments *segments)
{
    for (int i = 0; i < segments->sequences; i++) {
        int length = segments->offsets[i + 1] - segments->offsets[i];
        int prefix = segments->prefix_start ? segments->prefix_length[i] : 0;
        if (length < 0 || length > segments->max_length || prefix < 0 ||
            prefix > segments->max_prefix)
            return mn_fail(MN_INVALID,
                           "%s: sequence %d: expected at most %d rows and a prefix of at most %d, "
                           "found %d and %d",
                           op, i, segments->max_length, segments->max_prefix, length, prefix);
    }
    return MN_OK;
}

/* --- forward --- */

size_t mn_ref_attention_forward_workspace(const struct mn_attention_forward *args)
{
    (void)args;
    return 0;
}

/* Keys and values of one kv head as a query block sees them: a prefix in the cache, then own rows.
 */
struct keys {
    const float *prefix_k, *prefix_v, *own_k, *own_v;
    int prefix, own;
    int64_t ld_prefix, ld_own;
    void *room; /* the GEMM's scratch */
};

/* Scores (rows, prefix + own) of queries q. */
static void score(float *scores, int64_t ld, const float *q, int64_t ldq, const struct keys *keys,
                  int rows, const struct mn_attention_shape *shape)
{
    product(scores, ld, plain(q, ldq), transposed(keys->prefix_k, keys->ld_prefix), rows,
            keys->prefix, shape->head_dim, shape->scale, 0, keys->room);
    product(scores + keys->prefix, ld, plain(q, ldq), transposed(keys->own_k, keys->ld_own), rows,
            keys->own, shape->head_dim, shape->scale, 0, keys->room);
}

/* out (rows, head_dim) = probabilities · values. */
static void blend(float *out, int64_t ldo, const float *scores, int64_t ld, const struct keys *keys,
                  int rows, int head_dim)
{
    product(out, ldo, plain(scores, ld), plain(keys->prefix_v, keys->ld_prefix), rows, head_dim,
            keys->prefix, 1, 0, keys->room);
    product(out, ldo, plain(scores + keys->prefix, ld), plain(keys->own_v, keys->ld_own), rows,
            head_dim, keys->own, 1, keys->prefix ? 1 : 0, keys->room);
}

/* One block of queries of one query head; keys->own ends with the block's last row. */
static void forward_block(const struct mn_attention_forward *args, const struct keys *keys,
                          int64_t row, int rows, int head, float *scores)
{
    const struct mn_attention_shape *shape = &args->shape;
    int64_t width = row_width(shape), ld = keys->prefix + keys->own;
    int64_t column = (int64_t)head * shape->head_dim, out_width = shape->heads * shape->head_dim;
    score(scores, ld, cf32(args->qkv) + row * width + column, width, keys, rows, shape);
    for (int r = 0; r < rows; r++) {
        int seen = keys->prefix + keys->own - rows + r + 1;
        float lse = softmax(scores + r * ld, seen);
        memset(scores + r * ld + seen, 0, (size_t)(ld - seen) * sizeof *scores);
        if (args->lse) args->lse[(row + r) * shape->heads + head] = lse;
    }
    blend(f32(args->out) + row * out_width + column, out_width, scores, ld, keys, rows,
          shape->head_dim);
}

static void forward_item(const void *job, int64_t item, void *scratch)
{
    const struct mn_attention_forward *args = job;
    const struct mn_segments *segments = &args->segments;
    const struct mn_attention_shape *shape = &args->shape;
    int64_t blocks = (segments->max_length + BLOCK - 1) / BLOCK;
    int kv = (int)(item / blocks % shape->kv_heads);
    int64_t sequence = item / blocks / shape->kv_heads;
    int64_t begin = segments->offsets[sequence], length = segments->offsets[sequence + 1] - begin;
    int64_t first = item % blocks * BLOCK;
    if (first >= length) return;
    int rows = (int)(length - first < BLOCK ? length - first : BLOCK);
    int group = shape->heads / shape->kv_heads;
    int64_t width = row_width(shape), kv_width = shape->kv_heads * shape->head_dim;
    int64_t column = (int64_t)kv * shape->head_dim;
    const float *own =
        cf32(args->qkv) + begin * width + (int64_t)shape->heads * shape->head_dim + column;
    struct keys keys = {.own_k = own,
                        .own_v = own + kv_width,
                        .own = (int)first + rows,
                        .ld_prefix = kv_width,
                        .ld_own = width,
                        .room = scratch};
    if (segments->prefix_start && segments->prefix_length[sequence] > 0) {
        int64_t at = segments->prefix_start[sequence] * kv_width + column;
        keys.prefix = segments->prefix_length[sequence];
        keys.prefix_k = cf32(args->cache_k) + at;
        keys.prefix_v = cf32(args->cache_v) + at;
    }
    for (int h = kv * group; h < (kv + 1) * group; h++)
        forward_block(args, &keys, begin + first, rows, h, behind_gemm(scratch));
}

mn_status mn_ref_attention_forward(const struct mn_attention_forward *args, mn_stream s)
{
    MN_TRY(mn_check_attention("attention_forward", &args->segments, &args->shape));
    const struct mn_segments *segments = &args->segments;
    if (segments->rows == 0) return MN_OK;
    MN_TRY(check_lengths("attention_forward", segments));
    int64_t blocks = (segments->max_length + BLOCK - 1) / BLOCK;
    size_t keys = (size_t)segments->max_prefix + (size_t)segments->max_length;
    mn_ref_parallel(s, forward_item, args, segments->sequences * args->shape.kv_heads * blocks,
                    mn_ref_gemm_scratch() + keys * BLOCK * sizeof(float));
    return MN_OK;
}

/* --- backward --- */

size_t mn_ref_attention_backward_workspace(const struct mn_attention_backward *args)
{
    (void)args;
    return 0;
}

/* p becomes probabilities again, dp the gradient of the scores times scale: with D = out·dout,
 * ds = p∘(dp - D)·scale. Keys beyond a row's own are zero in both. */
static void score_gradient(float *p, float *dp, const struct mn_attention_backward *args,
                           int64_t row, int rows, int own, int head)
{
    const struct mn_attention_shape *shape = &args->shape;
    int64_t out_width = shape->heads * shape->head_dim;
    for (int r = 0; r < rows; r++) {
        int64_t at = (row + r) * out_width + (int64_t)head * shape->head_dim;
        const float *out = cf32(args->out) + at, *dout = cf32(args->dout) + at;
        float lse = args->lse[(row + r) * shape->heads + head];
        float *pr = p + (int64_t)r * own, *dr = dp + (int64_t)r * own;
        int seen = own - rows + r + 1;
        double sum = 0;
        for (int d = 0; d < shape->head_dim; d++) sum += (double)out[d] * (double)dout[d];
        float delta = (float)sum;
        for (int j = 0; j < seen; j++) {
            pr[j] = expf(pr[j] - lse);
            dr[j] = pr[j] * (dr[j] - delta) * shape->scale;
        }
        memset(pr + seen, 0, (size_t)(own - seen) * sizeof *pr);
        memset(dr + seen, 0, (size_t)(own - seen) * sizeof *dr);
    }
}

/* One block of queries of one query head: writes dq, adds to dk and dv of the sequence. */
static void backward_block(const struct mn_attention_backward *args, int64_t begin, int first,
                           int rows, int head, float *p, float *dp, void *room)
{
    const struct mn_attention_shape *shape = &args->shape;
    int dim = shape->head_dim, own = first + rows;
    int kv = head / (shape->heads / shape->kv_heads);
    int64_t width = row_width(shape), row = begin + first, out_width = shape->heads * dim;
    int64_t q_at = row * width + (int64_t)head * dim;
    int64_t k_at = begin * width + (int64_t)(shape->heads + kv) * dim;
    int64_t v_at = k_at + (int64_t)shape->kv_heads * dim;
    const float *qkv = cf32(args->qkv);
    const float *dout = cf32(args->dout) + row * out_width + (int64_t)head * dim;
    float *dqkv = f32(args->dqkv);
    product(p, own, plain(qkv + q_at, width), transposed(qkv + k_at, width), rows, own, dim,
            shape->scale, 0, room);
    product(dp, own, plain(dout, out_width), transposed(qkv + v_at, width), rows, own, dim, 1, 0,
            room);
    score_gradient(p, dp, args, row, rows, own, head);
    product(dqkv + v_at, width, transposed(p, own), plain(dout, out_width), own, dim, rows, 1, 1,
            room);
    product(dqkv + k_at, width, transposed(dp, own), plain(qkv + q_at, width), own, dim, rows, 1, 1,
            room);
    product(dqkv + q_at, width, plain(dp, own), plain(qkv + k_at, width), rows, dim, own, 1, 0,
            room);
}

static void backward_item(const void *job, int64_t item, void *scratch)
{
    const struct mn_attention_backward *args = job;
    const struct mn_attention_shape *shape = &args->shape;
    int kv = (int)(item % shape->kv_heads), group = shape->heads / shape->kv_heads;
    const int32_t *offsets = args->segments.offsets + item / shape->kv_heads;
    int64_t begin = offsets[0], width = row_width(shape);
    int length = offsets[1] - offsets[0], dim = shape->head_dim;
    for (int64_t r = begin; r < begin + length; r++) {
        float *dk = f32(args->dqkv) + r * width + (int64_t)(shape->heads + kv) * dim;
        memset(dk, 0, (size_t)dim * sizeof *dk);
        memset(dk + (int64_t)shape->kv_heads * dim, 0, (size_t)dim * sizeof *dk);
    }
    float *p = behind_gemm(scratch), *dp = p + (int64_t)BLOCK * length;
    for (int first = 0; first < length; first += BLOCK) {
        int rows = length - first < BLOCK ? length - first : BLOCK;
        for (int h = kv * group; h < (kv + 1) * group; h++)
            backward_block(args, begin, first, rows, h, p, dp, scratch);
    }
}

mn_status mn_ref_attention_backward(const struct mn_attention_backward *args, mn_stream s)
{
    MN_TRY(mn_check_attention("attention_backward", &args->segments, &args->shape));
    const struct mn_segments *segments = &args->segments;
    if (segments->rows == 0) return MN_OK;
    if (segments->prefix_start)
        return mn_fail(MN_INVALID, "attention_backward: prefix_start: expected none, found one");
    MN_TRY(check_lengths("attention_backward", segments));
    mn_ref_parallel(s, backward_item, args, (int64_t)segments->sequences * args->shape.kv_heads,
                    mn_ref_gemm_scratch() +
                        2 * sizeof(float) * BLOCK * (size_t)segments->max_length);
    return MN_OK;
}

/* --- cache and decode --- */

mn_status mn_ref_cache_write(mn_act *cache_k, mn_act *cache_v, const mn_act *qkv,
                             const int32_t *slot, int rows, struct mn_attention_shape shape,
                             mn_stream s)
{
    (void)s;
    int kv_width = shape.kv_heads * shape.head_dim;
    MN_TRY(mn_check_rows("cache_write", rows, kv_width, row_width(&shape)));
    for (int r = 0; r < rows; r++) {
        const float *key =
            cf32(qkv) + r * row_width(&shape) + (int64_t)shape.heads * shape.head_dim;
        int64_t at = (int64_t)slot[r] * kv_width;
        memcpy(f32(cache_k) + at, key, (size_t)kv_width * sizeof *key);
        memcpy(f32(cache_v) + at, key + kv_width, (size_t)kv_width * sizeof *key);
    }
    return MN_OK;
}

size_t mn_ref_attention_decode_workspace(const struct mn_attention_decode *args)
{
    (void)args;
    return 0;
}

/* One kv head of one row: its query heads lie side by side and share the keys. */
static void decode_item(const void *job, int64_t item, void *scratch)
{
    const struct mn_attention_decode *args = job;
    const struct mn_attention_shape *shape = &args->shape;
    int64_t r = item / shape->kv_heads, kv = item % shape->kv_heads;
    int group = shape->heads / shape->kv_heads, dim = shape->head_dim;
    int64_t kv_width = (int64_t)shape->kv_heads * dim, own = args->start[r] * kv_width + kv * dim;
    int64_t query = kv * group * dim;
    struct keys keys = {.own_k = cf32(args->cache_k) + own,
                        .own_v = cf32(args->cache_v) + own,
                        .own = args->length[r],
                        .ld_prefix = kv_width,
                        .ld_own = kv_width,
                        .room = scratch};
    if (args->prefix_start && args->prefix_length[r] > 0) {
        int64_t prefix = args->prefix_start[r] * kv_width + kv * dim;
        keys.prefix = args->prefix_length[r];
        keys.prefix_k = cf32(args->cache_k) + prefix;
        keys.prefix_v = cf32(args->cache_v) + prefix;
    }
    float *scores = behind_gemm(scratch);
    int count = keys.prefix + keys.own;
    score(scores, count, cf32(args->qkv) + r * row_width(shape) + query, dim, &keys, group, shape);
    for (int h = 0; h < group; h++) (void)softmax(scores + (int64_t)h * count, count);
    blend(f32(args->out) + r * shape->heads * dim + query, dim, scores, count, &keys, group, dim);
}

mn_status mn_ref_attention_decode(const struct mn_attention_decode *args, mn_stream s)
{
    MN_TRY(mn_check_attention_decode(args));
    for (int r = 0; r < args->rows; r++) {
        int keys = args->length[r] + (args->prefix_start ? args->prefix_length[r] : 0);
        if (keys < 1 || keys > args->max_length)
            return mn_fail(MN_INVALID, "attention_decode: row %d: expected 1 to %d keys, found %d",
                           r, args->max_length, keys);
    }
    int group = args->shape.heads / args->shape.kv_heads;
    mn_ref_parallel(s, decode_item, args, (int64_t)args->rows * args->shape.kv_heads,
                    mn_ref_gemm_scratch() +
                        (size_t)group * (size_t)args->max_length * sizeof(float));
    return MN_OK;
}
