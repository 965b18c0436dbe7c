/* Attention against naive fp64 loops and numeric gradients; prefixes, the cache and decoding
 * against attention itself. */
#include "support/pair.h"

#include <math.h>

enum { SEQUENCES = 6 };

/* The naive problem: packed rows without prefixes. */
struct problem {
    int sequences;
    const int32_t *offsets;
    struct mn_attention_shape shape;
    double *qkv, *out, *lse;
    const double *dout;
};

static int64_t width(struct mn_attention_shape shape)
{
    return (int64_t)(shape.heads + 2 * shape.kv_heads) * shape.head_dim;
}

static double dot(const double *x, const double *y, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += x[i] * y[i];
    return sum;
}

static void naive_row(const struct problem *q, int begin, int row, int head)
{
    struct mn_attention_shape shape = q->shape;
    int dim = shape.head_dim, kv = head / (shape.heads / shape.kv_heads);
    const double *query = q->qkv + row * width(shape) + (int64_t)head * dim;
    double *out = q->out + ((int64_t)row * shape.heads + head) * dim;
    double scores[512], top = -INFINITY, sum = 0;
    for (int j = begin; j <= row; j++) {
        const double *key = q->qkv + j * width(shape) + (int64_t)(shape.heads + kv) * dim;
        scores[j - begin] = (double)shape.scale * dot(query, key, dim);
        top = fmax(top, scores[j - begin]);
    }
    for (int j = begin; j <= row; j++) sum += exp(scores[j - begin] - top);
    q->lse[row * shape.heads + head] = top + log(sum);
    for (int d = 0; d < dim; d++) out[d] = 0;
    for (int j = begin; j <= row; j++) {
        const double *value =
            q->qkv + j * width(shape) + (int64_t)(shape.heads + shape.kv_heads + kv) * dim;
        for (int d = 0; d < dim; d++) out[d] += exp(scores[j - begin] - top) / sum * value[d];
    }
}

static void naive_forward(const struct problem *q)
{
    for (int i = 0; i < q->sequences; i++)
        for (int row = q->offsets[i]; row < q->offsets[i + 1]; row++)
            for (int h = 0; h < q->shape.heads; h++) naive_row(q, q->offsets[i], row, h);
}

static double loss(const void *context)
{
    const struct problem *q = context;
    naive_forward(q);
    int rows = q->offsets[q->sequences];
    return dot(q->out, q->dout, rows * q->shape.heads * q->shape.head_dim);
}

static struct mn_attention_shape shape_of(int heads, int kv_heads, int head_dim)
{
    return (struct mn_attention_shape){heads, kv_heads, head_dim, 1 / sqrtf((float)head_dim)};
}

static struct problem problem_of(struct pair *p, const int32_t *offsets, int sequences,
                                 struct mn_attention_shape shape, const struct span *qkv)
{
    int64_t rows = offsets[sequences];
    struct problem q = {.sequences = sequences,
                        .offsets = offsets,
                        .shape = shape,
                        .qkv = new_values(p, qkv->count),
                        .out = new_values(p, rows * shape.heads * shape.head_dim),
                        .lse = new_values(p, rows * shape.heads)};
    memcpy(q.qkv, values_of(qkv), (size_t)qkv->count * sizeof *q.qkv);
    return q;
}

static int longest(const int32_t *offsets, int sequences)
{
    int longest = 0;
    for (int i = 0; i < sequences; i++)
        if (offsets[i + 1] - offsets[i] > longest) longest = offsets[i + 1] - offsets[i];
    return longest;
}

static struct mn_segments segments_on(const mn_device *d, const struct span *offsets,
                                      const int32_t *host, int sequences)
{
    return (struct mn_segments){.rows = host[sequences],
                                .sequences = sequences,
                                .max_length = longest(host, sequences),
                                .offsets = on(d, offsets)};
}

static void forward(struct pair *p, mn_device *d, struct mn_attention_forward args)
{
    args.workspace = workspace(p, d, d->ops->attention_forward_workspace(&args));
    OK(d->ops->attention_forward(&args, d->stream));
}

/* Lengths on both sides of a tile of 64 queries and of blocks of 128 keys, and an empty sequence.
 */
static const int32_t ragged[SEQUENCES + 1] = {0, 1, 64, 64, 129, 386, 773};
static const int heads_of[][3] = {{1, 1, 64}, {4, 2, 64}, {8, 2, 128}};

static void test_attention_forward_matches_reference(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(heads_of); i++) {
        struct mn_attention_shape shape = shape_of(heads_of[i][0], heads_of[i][1], heads_of[i][2]);
        int64_t rows = ragged[SEQUENCES];
        struct span *qkv = random_acts(p, rows * width(shape), 1.5f);
        struct span *offsets = i32_of(p, ragged, SEQUENCES + 1);
        struct span *out = poisoned_acts(p, rows * shape.heads * shape.head_dim);
        struct span *lse = poisoned_f32(p, rows * shape.heads);
        struct span *without = poisoned_acts(p, out->count);
        ON_BOTH(p, d)
        for (int with_lse = 0; with_lse < 2; with_lse++)
            forward(p, d,
                    (struct mn_attention_forward){.out = acts(d, with_lse ? out : without),
                                                  .lse = with_lse ? on(d, lse) : NULL,
                                                  .qkv = acts(d, qkv),
                                                  .segments =
                                                      segments_on(d, offsets, ragged, SEQUENCES),
                                                  .shape = shape});
        struct problem q = problem_of(p, ragged, SEQUENCES, shape, qkv);
        naive_forward(&q);
        check_values(p, out, q.out, 3e-6);
        check_values(p, lse, q.lse, 3e-6);
        check_pair(p, out, 0.02); /* probabilities and sums rounded to bf16 */
        check_pair(p, lse, 1e-4);
        check_same_bits(p, out, without);
        pair_after(state);
    }
}

/* One sequence alone has the bits it has among others. */
static void alone_as_together(struct pair *p, struct mn_attention_shape shape)
{
    int64_t rows = ragged[SEQUENCES], out_width = shape.heads * shape.head_dim;
    struct span *qkv = random_acts(p, rows * width(shape), 1.5f);
    struct span *offsets = i32_of(p, ragged, SEQUENCES + 1);
    struct span *together = poisoned_acts(p, rows * out_width);
    struct span *alone = poisoned_acts(p, rows * out_width);
    ON_BOTH(p, d)
    {
        forward(
            p, d,
            (struct mn_attention_forward){.out = acts(d, together),
                                          .qkv = acts(d, qkv),
                                          .segments = segments_on(d, offsets, ragged, SEQUENCES),
                                          .shape = shape});
        for (int i = 0; i < SEQUENCES; i++) {
            const int32_t own[2] = {0, ragged[i + 1] - ragged[i]};
            if (own[1] == 0) continue;
            struct span *own_offsets = i32_of(p, own, 2);
            forward(p, d,
                    (struct mn_attention_forward){
                        .out = mn_act_at(d, acts(d, alone), ragged[i] * out_width),
                        .qkv = mn_act_at(d, acts(d, qkv), ragged[i] * width(shape)),
                        .segments = segments_on(d, own_offsets, own, 1),
                        .shape = shape});
        }
    }
    check_same_bits(p, together, alone);
}

static void test_attention_forward_does_not_depend_on_batch(void **state)
{
    for (size_t i = 0; i < MN_COUNT(heads_of); i++) {
        alone_as_together(*state, shape_of(heads_of[i][0], heads_of[i][1], heads_of[i][2]));
        pair_after(state);
    }
}

static void test_attention_backward_is_the_numeric_gradient(void **state)
{
    struct pair *p = *state;
    static const int32_t short_ones[] = {0, 5, 6, 6, 15};
    struct mn_attention_shape shape = shape_of(4, 2, 64);
    int sequences = 4;
    int64_t rows = short_ones[sequences], out_width = shape.heads * shape.head_dim;
    struct span *qkv = random_acts(p, rows * width(shape), 1);
    struct span *dout = random_acts(p, rows * out_width, 1);
    struct span *offsets = i32_of(p, short_ones, sequences + 1);
    struct span *out = poisoned_acts(p, rows * out_width);
    struct span *lse = poisoned_f32(p, rows * shape.heads);
    struct span *dqkv = poisoned_acts(p, qkv->count);
    ON_BOTH(p, d)
    {
        struct mn_segments segments = segments_on(d, offsets, short_ones, sequences);
        forward(p, d,
                (struct mn_attention_forward){.out = acts(d, out),
                                              .lse = on(d, lse),
                                              .qkv = acts(d, qkv),
                                              .segments = segments,
                                              .shape = shape});
        struct mn_attention_backward args = {.dqkv = acts(d, dqkv),
                                             .dout = acts(d, dout),
                                             .out = acts(d, out),
                                             .qkv = acts(d, qkv),
                                             .lse = on(d, lse),
                                             .segments = segments,
                                             .shape = shape};
        args.workspace = workspace(p, d, d->ops->attention_backward_workspace(&args));
        OK(d->ops->attention_backward(&args, d->stream));
    }
    struct problem q = problem_of(p, short_ones, sequences, shape, qkv);
    q.dout = values_of(dout);
    const double *found = read_back(p, p->device[MN_DEVICE_REFERENCE], dqkv);
    for (int64_t i = 0; i < qkv->count; i += 7) { /* every seventh: 7 is prime to the width */
        double expected = numeric_gradient(loss, &q, &q.qkv[i]);
        if (!(fabs(found[i] - expected) <= 1e-5 * fmax(1, fabs(expected))))
            fail_msg("dqkv[%lld]: found %.9g, expected %.9g", (long long)i, found[i], expected);
    }
    for (int64_t i = 0; i < qkv->count; i++) assert_false(isnan(found[i]));
    check_pair(p, dqkv, 0.03);
}

/* Adds to dqkv what query i (a row) of head h sends back, in closed form. */
static void naive_gradient(const struct problem *q, double *dqkv, int begin, int i, int h)
{
    struct mn_attention_shape shape = q->shape;
    int dim = shape.head_dim, group = shape.heads / shape.kv_heads;
    double scale = (double)shape.scale;
    int64_t q_at = i * width(shape) + (int64_t)h * dim;
    int64_t o_at = ((int64_t)i * shape.heads + h) * dim;
    double delta = dot(q->out + o_at, q->dout + o_at, dim);
    for (int j = begin; j <= i; j++) {
        int64_t k_at = j * width(shape) + (int64_t)(shape.heads + h / group) * dim;
        int64_t v_at = k_at + (int64_t)shape.kv_heads * dim;
        double s = scale * dot(q->qkv + q_at, q->qkv + k_at, dim);
        double prob = exp(s - q->lse[i * shape.heads + h]);
        double ds = prob * (dot(q->dout + o_at, q->qkv + v_at, dim) - delta) * scale;
        for (int d = 0; d < dim; d++) {
            dqkv[v_at + d] += prob * q->dout[o_at + d];
            dqkv[k_at + d] += ds * q->qkv[q_at + d];
            dqkv[q_at + d] += ds * q->qkv[k_at + d];
        }
    }
}

static void naive_backward(const struct problem *q, double *dqkv)
{
    naive_forward(q);
    for (int s = 0; s < q->sequences; s++)
        for (int i = q->offsets[s]; i < q->offsets[s + 1]; i++)
            for (int h = 0; h < q->shape.heads; h++) naive_gradient(q, dqkv, q->offsets[s], i, h);
}

/* Forward and backward of `count` sequences at row `at` of the arrays. */
static void differentiate(struct pair *p, mn_device *d, struct mn_attention_shape shape,
                          const struct span *dqkv, const struct span *dout, const struct span *qkv,
                          int at, const int32_t *offsets, int count)
{
    int64_t rows = offsets[count], out_at = (int64_t)at * shape.heads * shape.head_dim;
    struct span *out = poisoned_acts(p, rows * shape.heads * shape.head_dim);
    struct span *lse = poisoned_f32(p, rows * shape.heads);
    struct mn_segments segments = segments_on(d, i32_of(p, offsets, count + 1), offsets, count);
    forward(p, d,
            (struct mn_attention_forward){.out = acts(d, out),
                                          .lse = on(d, lse),
                                          .qkv = mn_act_at(d, acts(d, qkv), at * width(shape)),
                                          .segments = segments,
                                          .shape = shape});
    struct mn_attention_backward args = {.dqkv = mn_act_at(d, acts(d, dqkv), at * width(shape)),
                                         .dout = mn_act_at(d, acts(d, dout), out_at),
                                         .out = acts(d, out),
                                         .qkv = mn_act_at(d, acts(d, qkv), at * width(shape)),
                                         .lse = on(d, lse),
                                         .segments = segments,
                                         .shape = shape};
    args.workspace = workspace(p, d, d->ops->attention_backward_workspace(&args));
    OK(d->ops->attention_backward(&args, d->stream));
}

static void backward_matches(struct pair *p, struct mn_attention_shape shape,
                             const int32_t *offsets, int sequences)
{
    int64_t rows = offsets[sequences];
    struct span *qkv = random_acts(p, rows * width(shape), 1);
    struct span *dout = random_acts(p, rows * shape.heads * shape.head_dim, 1);
    struct span *dqkv = poisoned_acts(p, qkv->count);
    ON_BOTH(p, d) differentiate(p, d, shape, dqkv, dout, qkv, 0, offsets, sequences);
    struct problem q = problem_of(p, offsets, sequences, shape, qkv);
    q.dout = values_of(dout);
    double *expected = new_values(p, qkv->count);
    naive_backward(&q, expected);
    check_values(p, dqkv, expected, 1e-5);
    check_pair(p, dqkv, 0.06); /* out, P and dS in bf16: 1 % a sum, the worst of 400,000 */
}

static void test_attention_backward_holds_beyond_a_block(void **state)
{
    for (size_t i = 0; i < MN_COUNT(heads_of); i++) {
        backward_matches(*state, shape_of(heads_of[i][0], heads_of[i][1], heads_of[i][2]), ragged,
                         SEQUENCES);
        pair_after(state);
    }
}

/* So many sequences that a multiprocessor takes one after the other, some of two key blocks. */
static void test_attention_backward_holds_beyond_a_round(void **state)
{
    enum { MANY = 400 };
    int32_t offsets[MANY + 1] = {0};
    for (int i = 0; i < MANY; i++) offsets[i + 1] = offsets[i] + (i % 80 == 7 ? 130 : 1 + i % 4);
    for (size_t i = 0; i < MN_COUNT(heads_of); i++) {
        backward_matches(*state, shape_of(heads_of[i][0], heads_of[i][1], heads_of[i][2]), offsets,
                         MANY);
        pair_after(state);
    }
}

/* Nor on when blocks run: twice together and once alone, all have the same bits. */
static void test_attention_backward_does_not_depend_on_batch(void **state)
{
    struct pair *p = *state;
    for (size_t h = 0; h < MN_COUNT(heads_of); h++) {
        struct mn_attention_shape shape = shape_of(heads_of[h][0], heads_of[h][1], heads_of[h][2]);
        int64_t rows = ragged[SEQUENCES];
        struct span *qkv = random_acts(p, rows * width(shape), 1);
        struct span *dout = random_acts(p, rows * shape.heads * shape.head_dim, 1);
        struct span *together = poisoned_acts(p, qkv->count);
        struct span *again = poisoned_acts(p, qkv->count);
        struct span *alone = poisoned_acts(p, qkv->count);
        ON_BOTH(p, d)
        {
            differentiate(p, d, shape, together, dout, qkv, 0, ragged, SEQUENCES);
            differentiate(p, d, shape, again, dout, qkv, 0, ragged, SEQUENCES);
            for (int i = 0; i < SEQUENCES; i++) {
                const int32_t own[2] = {0, ragged[i + 1] - ragged[i]};
                if (own[1] > 0) differentiate(p, d, shape, alone, dout, qkv, ragged[i], own, 1);
            }
        }
        check_same_bits(p, together, again);
        check_same_bits(p, together, alone);
        pair_after(state);
    }
}

/* Sequences that share their first rows: computed whole, and with those rows in the cache. */
static void prefix_matches(struct pair *p, struct mn_attention_shape shape, int prefix)
{
    enum { COUNT = 3, CACHE_AT = 5 };
    static const int32_t own[COUNT + 1] = {0, 3, 4, 74}; /* offsets of the own rows */
    int32_t whole[COUNT + 1] = {0};
    for (int i = 0; i < COUNT; i++) whole[i + 1] = whole[i] + prefix + own[i + 1] - own[i];
    int64_t w = width(shape), out_width = shape.heads * shape.head_dim;
    int64_t kv_width = shape.kv_heads * shape.head_dim;
    const double *shared = values_of(random_acts(p, prefix * w, 1.5f));
    struct span *own_qkv = random_acts(p, own[COUNT] * w, 1.5f);
    double *joined = new_values(p, whole[COUNT] * w);
    for (int i = 0; i < COUNT; i++) {
        memcpy(joined + whole[i] * w, shared, (size_t)(prefix * w) * sizeof *joined);
        memcpy(joined + (whole[i] + prefix) * w, values_of(own_qkv) + own[i] * w,
               (size_t)((own[i + 1] - own[i]) * w) * sizeof *joined);
    }
    struct span *whole_qkv = acts_of(p, joined, whole[COUNT] * w);
    struct span *prefix_qkv = acts_of(p, shared, prefix * w);
    struct span *cache_k = poisoned_acts(p, (prefix + CACHE_AT) * kv_width);
    struct span *cache_v = poisoned_acts(p, (prefix + CACHE_AT) * kv_width);
    struct span *out = poisoned_acts(p, own[COUNT] * out_width);
    struct span *lse = poisoned_f32(p, (int64_t)own[COUNT] * shape.heads);
    struct span *own_offsets = i32_of(p, own, COUNT + 1);
    int32_t *slots = MN_NEW(p->arena, int32_t, prefix);
    for (int r = 0; r < prefix; r++) slots[r] = CACHE_AT + r;
    const int32_t starts[COUNT] = {CACHE_AT, CACHE_AT, CACHE_AT};
    const int32_t lengths[COUNT] = {prefix, prefix, prefix};
    struct span *slot = i32_of(p, slots, prefix), *start = i32_of(p, starts, COUNT);
    struct span *length = i32_of(p, lengths, COUNT);
    ON_BOTH(p, d)
    {
        OK(d->ops->cache_write(acts(d, cache_k), acts(d, cache_v), acts(d, prefix_qkv), on(d, slot),
                               prefix, shape, d->stream));
        struct mn_segments segments = segments_on(d, own_offsets, own, COUNT);
        segments.prefix_start = on(d, start);
        segments.prefix_length = on(d, length);
        segments.max_prefix = prefix;
        forward(p, d,
                (struct mn_attention_forward){.out = acts(d, out),
                                              .lse = on(d, lse),
                                              .qkv = acts(d, own_qkv),
                                              .cache_k = acts(d, cache_k),
                                              .cache_v = acts(d, cache_v),
                                              .segments = segments,
                                              .shape = shape});
    }
    struct problem q = problem_of(p, whole, COUNT, shape, whole_qkv);
    naive_forward(&q);
    double *expected = new_values(p, out->count), *expected_lse = new_values(p, lse->count);
    for (int i = 0; i < COUNT; i++)
        for (int r = own[i]; r < own[i + 1]; r++) {
            int64_t from = whole[i] + prefix + r - own[i];
            memcpy(expected + r * out_width, q.out + from * out_width,
                   (size_t)out_width * sizeof *expected);
            memcpy(expected_lse + (int64_t)r * shape.heads, q.lse + from * shape.heads,
                   (size_t)shape.heads * sizeof *expected);
        }
    /* fp32 sums over up to 270 keys, in an order that the machine's vectors set */
    check_values(p, out, expected, 1e-5);
    check_values(p, lse, expected_lse, 1e-5);
    check_pair(p, out, 0.02);
    check_pair(p, lse, 1e-4);
}

static void test_attention_with_a_shared_prefix_equals_the_whole_sequence(void **state)
{
    static const int prefixes[] = {1, 63, 64, 200};
    for (size_t i = 0; i < MN_COUNT(prefixes); i++)
        for (size_t h = 0; h < MN_COUNT(heads_of); h++) {
            prefix_matches(*state, shape_of(heads_of[h][0], heads_of[h][1], heads_of[h][2]),
                           prefixes[i]);
            pair_after(state);
        }
}

/* The last row of each sequence, decoded from a cache that holds them all in reverse order; with
 * `prefix` of its rows as a prefix that lies elsewhere. */
static void decode_matches(struct pair *p, struct mn_attention_shape shape, int prefix)
{
    enum { COUNT = 4 };
    static const int32_t offsets[COUNT + 1] = {0, 65, 67, 200, 456};
    int64_t w = width(shape), out_width = shape.heads * shape.head_dim;
    int64_t kv_width = shape.kv_heads * shape.head_dim;
    int rows = offsets[COUNT], longest_row = longest(offsets, COUNT);
    struct span *qkv = random_acts(p, rows * w, 1.5f);
    double *last = new_values(p, COUNT * w);
    int32_t slots[456], start[COUNT], length[COUNT], prefix_start[COUNT], prefix_length[COUNT];
    for (int i = 0; i < COUNT; i++) {
        int begin = rows - offsets[i + 1], own = offsets[i + 1] - offsets[i];
        for (int r = 0; r < own; r++) slots[offsets[i] + r] = begin + r;
        memcpy(last + i * w, values_of(qkv) + (offsets[i + 1] - 1) * w, (size_t)w * sizeof *last);
        prefix_length[i] = prefix < own ? prefix : 0;
        prefix_start[i] = begin;
        start[i] = begin + prefix_length[i];
        length[i] = own - prefix_length[i];
    }
    struct span *slot = i32_of(p, slots, rows), *query = acts_of(p, last, COUNT * w);
    struct span *cache_k = poisoned_acts(p, rows * kv_width);
    struct span *cache_v = poisoned_acts(p, rows * kv_width);
    struct span *out = poisoned_acts(p, COUNT * out_width);
    struct span *starts = i32_of(p, start, COUNT), *lengths = i32_of(p, length, COUNT);
    struct span *prefix_starts = i32_of(p, prefix_start, COUNT);
    struct span *prefix_lengths = i32_of(p, prefix_length, COUNT);
    ON_BOTH(p, d)
    {
        OK(d->ops->cache_write(acts(d, cache_k), acts(d, cache_v), acts(d, qkv), on(d, slot), rows,
                               shape, d->stream));
        struct mn_attention_decode args = {.out = acts(d, out),
                                           .qkv = acts(d, query),
                                           .cache_k = acts(d, cache_k),
                                           .cache_v = acts(d, cache_v),
                                           .start = on(d, starts),
                                           .length = on(d, lengths),
                                           .prefix_start = prefix ? on(d, prefix_starts) : NULL,
                                           .prefix_length = prefix ? on(d, prefix_lengths) : NULL,
                                           .rows = COUNT,
                                           .max_length = longest_row + 9,
                                           .shape = shape};
        args.workspace = workspace(p, d, d->ops->attention_decode_workspace(&args));
        OK(d->ops->attention_decode(&args, d->stream));
    }
    struct problem q = problem_of(p, offsets, COUNT, shape, qkv);
    naive_forward(&q);
    double *expected = new_values(p, out->count);
    for (int i = 0; i < COUNT; i++)
        memcpy(expected + i * out_width, q.out + (offsets[i + 1] - 1) * out_width,
               (size_t)out_width * sizeof *expected);
    check_values(p, out, expected, 3e-6);
    check_pair(p, out, 0.02);
}

static void test_attention_decode_equals_the_last_row_of_attention(void **state)
{
    for (size_t h = 0; h < MN_COUNT(heads_of); h++) {
        struct mn_attention_shape shape = shape_of(heads_of[h][0], heads_of[h][1], heads_of[h][2]);
        decode_matches(*state, shape, 0);
        decode_matches(*state, shape, 1);
        decode_matches(*state, shape, 64);
        pair_after(state);
    }
}

/* A few rows, and the same among so many that a kernel may go about them otherwise. */
static void decode_repeats(struct pair *p, struct mn_attention_shape shape)
{
    enum { CACHE = 700, FEW = 4, MOST = 1100 };
    static const int32_t prefix[FEW] = {0, 100, 300, 300}, own[FEW] = {1, 28, 129, 400};
    /* With each kv head a block, they fill any chip by themselves. */
    const int many = (MOST / shape.kv_heads + FEW - 1) / FEW * FEW;
    int64_t w = width(shape), out_width = shape.heads * shape.head_dim;
    double *query = new_values(p, many * w);
    int32_t start[MOST], length[MOST], prefix_start[MOST], prefix_length[MOST];
    struct span *one = random_acts(p, FEW * w, 1.5f);
    for (int i = 0; i < many; i++) {
        memcpy(query + i * w, values_of(one) + i % FEW * w, (size_t)w * sizeof *query);
        prefix_start[i] = 0;
        prefix_length[i] = prefix[i % FEW];
        start[i] = prefix_length[i];
        length[i] = own[i % FEW];
    }
    struct span *queries = acts_of(p, query, many * w), *out = poisoned_acts(p, many * out_width);
    struct span *cache_k = random_acts(p, (int64_t)CACHE * shape.kv_heads * shape.head_dim, 1.5f);
    struct span *cache_v = random_acts(p, (int64_t)CACHE * shape.kv_heads * shape.head_dim, 1.5f);
    struct span *starts = i32_of(p, start, many), *lengths = i32_of(p, length, many);
    struct span *prefix_starts = i32_of(p, prefix_start, many);
    struct span *prefix_lengths = i32_of(p, prefix_length, many);
    ON_BOTH(p, d)
    {
        const size_t bytes = (size_t)out_width * d->act_bytes;
        char *few_out = mn_arena_alloc(p->arena, FEW, bytes),
             *many_out = mn_arena_alloc(p->arena, (size_t)many, bytes);
        struct mn_attention_decode args = {.out = acts(d, out),
                                           .qkv = acts(d, queries),
                                           .cache_k = acts(d, cache_k),
                                           .cache_v = acts(d, cache_v),
                                           .start = on(d, starts),
                                           .length = on(d, lengths),
                                           .prefix_start = on(d, prefix_starts),
                                           .prefix_length = on(d, prefix_lengths),
                                           .rows = FEW,
                                           .max_length = 1024,
                                           .shape = shape};
        args.workspace = workspace(p, d, d->ops->attention_decode_workspace(&args));
        OK(d->ops->attention_decode(&args, d->stream));
        OK(d->calls->download(d, few_out, args.out, FEW * bytes));
        args.rows = many;
        args.workspace = workspace(p, d, d->ops->attention_decode_workspace(&args));
        OK(d->ops->attention_decode(&args, d->stream));
        OK(d->calls->download(d, many_out, args.out, (size_t)many * bytes));
        for (int i = 0; i < many; i++)
            assert_memory_equal(many_out + (size_t)i * bytes, few_out + (size_t)(i % FEW) * bytes,
                                bytes);
    }
}

static void test_attention_decode_of_a_row_does_not_depend_on_how_many_there_are(void **state)
{
    for (size_t h = 0; h < MN_COUNT(heads_of); h++) {
        decode_repeats(*state, shape_of(heads_of[h][0], heads_of[h][1], heads_of[h][2]));
        pair_after(state);
    }
}

static void test_attention_refuses_what_does_not_fit(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        int32_t offsets[2] = {0, 4};
        struct mn_attention_forward args = {
            .segments = {.rows = 4, .sequences = 1, .max_length = 4, .offsets = offsets},
            .shape = {3, 2, 64, 0.125f}};
        FAILS(d->ops->attention_forward(&args, d->stream), MN_INVALID,
              "attention_forward: heads: expected a multiple of 2 kv heads, found 3");
        args.shape.heads = 2;
        args.segments.max_length = 5;
        FAILS(d->ops->attention_forward(&args, d->stream), MN_INVALID,
              "max_length: expected 1 to 4, found 5");
        args.segments.max_length = 4;
        args.segments.max_prefix = 2;
        FAILS(d->ops->attention_forward(&args, d->stream), MN_INVALID, "max_prefix");
        struct mn_attention_decode decode = {.rows = 1, .shape = {2, 2, 64, 0.125f}};
        FAILS(d->ops->attention_decode(&decode, d->stream), MN_INVALID, "cache_k");
    }
}

/* On the host the lengths can be read, so a bound that is too low is an error, not a stray write.
 */
static void test_reference_attention_refuses_a_bound_below_a_length(void **state)
{
    struct pair *p = *state;
    mn_device *d = p->device[MN_DEVICE_REFERENCE];
    int32_t offsets[3] = {0, 1, 5}, start[1] = {0}, length[1] = {4};
    float cache[4 * 8] = {0};
    struct mn_attention_forward args = {
        .segments = {.rows = 5, .sequences = 2, .max_length = 3, .offsets = offsets},
        .shape = {1, 1, 8, 1}};
    FAILS(d->ops->attention_forward(&args, d->stream), MN_INVALID,
          "sequence 1: expected at most 3 rows and a prefix of at most 0, found 4 and 0");
    struct mn_attention_decode decode = {.cache_k = (mn_act *)(void *)cache,
                                         .cache_v = (mn_act *)(void *)cache,
                                         .start = start,
                                         .length = length,
                                         .rows = 1,
                                         .max_length = 3,
                                         .shape = {1, 1, 8, 1}};
    FAILS(d->ops->attention_decode(&decode, d->stream), MN_INVALID,
          "row 0: expected 1 to 3 keys, found 4");
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_attention_forward_matches_reference),
    PAIR_TEST(test_attention_forward_does_not_depend_on_batch),
    PAIR_TEST(test_attention_backward_is_the_numeric_gradient),
    PAIR_TEST(test_attention_backward_holds_beyond_a_block),
    PAIR_TEST(test_attention_backward_holds_beyond_a_round),
    PAIR_TEST(test_attention_backward_does_not_depend_on_batch),
    PAIR_TEST(test_attention_with_a_shared_prefix_equals_the_whole_sequence),
    PAIR_TEST(test_attention_decode_equals_the_last_row_of_attention),
    PAIR_TEST(test_attention_decode_of_a_row_does_not_depend_on_how_many_there_are),
    PAIR_TEST(test_attention_refuses_what_does_not_fit),
    PAIR_TEST(test_reference_attention_refuses_a_bound_below_a_length),
};
PAIR_MAIN(tests)
