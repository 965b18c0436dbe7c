/* Linear with LoRA against naive fp64 loops: forward, numeric gradients, dropout, NF4, and the
 * promise that a row does not depend on its batch. */
#include "support/pair.h"

#include <math.h>

#include "minuano/random.h"

enum { SEED = 7, FIRST_ROW = 1000003, MOST_SPLITS = 8 };

struct problem {
    int rows, in, out;
    int64_t ldx, ldy;
    struct mn_lora lora; /* without arrays */
    int64_t b_count;
    double *x, *w, *a, *b, *y, *dy; /* y, dy dense (rows, out); x (rows, ldx) */
};

static struct mn_lora no_lora(void)
{
    return (struct mn_lora){0};
}

/* Parts of ranks 8, 16, 8 on the first half, the next quarter and the last of the columns. */
static struct mn_lora three_parts(int out, float dropout)
{
    return (struct mn_lora){.parts = 3,
                            .rank = 32,
                            .part = {{0, out / 2, 0, 8, 2.0f, 11},
                                     {out / 2, out / 4, 8, 16, 0.5f, 12},
                                     {out / 2 + out / 4, out / 4, 24, 8, 1.5f, 13}},
                            .dropout = dropout,
                            .seed = SEED};
}

static double keep(const struct problem *q, int part, int row, int col)
{
    if (q->lora.dropout == 0) return 1;
    const uint64_t stream = mn_stream_id(MN_RANDOM_DROPOUT, q->lora.part[part].module);
    const uint64_t group =
        (uint64_t)(FIRST_ROW + row) * (uint64_t)((q->in + 31) / 32) + (uint64_t)col / 32;
    const double p = (double)q->lora.dropout;
    double sum = round(p * 65536); /* digit by digit, lest the test repeat what it tests */
    for (int j = 0; j < 8; j++) {
        const uint32_t word = mn_random_word(SEED, stream, 8 * group + (uint64_t)j);
        const uint32_t low = (word >> (col + 11) % 32 ^ word >> (col + 21) % 32) & 1;
        sum += (double)((word >> col % 32 & 1) << (8 + j)) + (double)(low << j);
    }
    return sum >= 65536 ? 0 : 1 / (1 - p);
}

/* u (rank) of one row, scale included. */
static double inner(const struct problem *q, int part, int row, int k)
{
    const struct mn_lora_part *at = &q->lora.part[part];
    double sum = 0;
    for (int i = 0; i < q->in; i++)
        sum += keep(q, part, row, i) * q->x[row * q->ldx + i] *
               q->a[(int64_t)(at->rank_begin + k) * q->in + i];
    return (double)at->scale * sum;
}

static void naive_forward(const struct problem *q)
{
    for (int r = 0; r < q->rows; r++)
        for (int o = 0; o < q->out; o++) {
            double sum = 0;
            for (int i = 0; i < q->in; i++) sum += q->x[r * q->ldx + i] * q->w[o * q->in + i];
            q->y[r * q->out + o] = sum;
        }
    for (int part = 0; part < q->lora.parts; part++) {
        const struct mn_lora_part *at = &q->lora.part[part];
        const double *b = q->b + mn_lora_b_offset(&q->lora, part);
        for (int r = 0; r < q->rows; r++)
            for (int k = 0; k < at->rank; k++) {
                double u = inner(q, part, r, k);
                for (int o = 0; o < at->out; o++)
                    q->y[r * q->out + at->out_begin + o] += u * b[o * at->rank + k];
            }
    }
}

static double loss(const void *context)
{
    const struct problem *q = context;
    naive_forward(q);
    double sum = 0;
    for (int i = 0; i < q->rows * q->out; i++) sum += q->y[i] * q->dy[i];
    return sum;
}

/* The spans of one problem. */
struct arrays {
    struct span *x, *w, *a, *b, *first_row, *y, *u;
};

static double *copy_of(struct pair *p, const struct span *s)
{
    if (!s) return NULL;
    double *copy = new_values(p, s->count);
    memcpy(copy, values_of(s), (size_t)s->count * sizeof *copy);
    return copy;
}

static struct arrays arrays_of(struct pair *p, struct problem *q)
{
    struct arrays s = {.x = random_acts(p, q->rows * q->ldx, 1),
                       .w = random_acts(p, (int64_t)q->out * q->in, 0.2f),
                       .y = poisoned_acts(p, q->rows * q->ldy)};
    if (q->lora.parts) {
        const int64_t first_row = FIRST_ROW;
        q->b_count = mn_lora_b_offset(&q->lora, q->lora.parts);
        s.a = random_acts(p, (int64_t)q->lora.rank * q->in, 0.2f);
        s.b = random_acts(p, q->b_count, 0.3f);
        s.u = poisoned_acts(p, (int64_t)q->rows * q->lora.rank);
        s.first_row = i64_of(p, &first_row, 1);
    }
    q->x = copy_of(p, s.x);
    q->w = copy_of(p, s.w);
    q->a = copy_of(p, s.a);
    q->b = copy_of(p, s.b);
    q->y = new_values(p, (int64_t)q->rows * q->out);
    return s;
}

static struct mn_lora lora_on(const mn_device *d, const struct problem *q, const struct arrays *s)
{
    struct mn_lora lora = q->lora;
    lora.a = acts(d, s->a);
    lora.b = acts(d, s->b);
    lora.first_row = on(d, s->first_row);
    return lora;
}

static void forward(struct pair *p, mn_device *d, const struct problem *q, const struct arrays *s)
{
    struct mn_linear_forward args = {.y = acts(d, s->y),
                                     .u = acts(d, s->u),
                                     .x = acts(d, s->x),
                                     .weight = {q->out, q->in, acts(d, s->w), NULL, NULL},
                                     .lora = lora_on(d, q, s),
                                     .rows = q->rows,
                                     .ldx = q->ldx,
                                     .ldy = q->ldy};
    args.workspace = workspace(p, d, d->ops->linear_forward_workspace(&args));
    OK(d->ops->linear_forward(&args, d->stream));
}

static const struct {
    int rows, in, out;
    int64_t ldx, ldy;
} shapes[] = {{1, 8, 8, 8, 8},
              {3, 32, 48, 40, 56},
              {63, 64, 264, 64, 264},
              {64, 64, 64, 64, 72},
              {130, 128, 520, 136, 520}};

static struct problem problem_of(size_t i, struct mn_lora lora)
{
    return (struct problem){.rows = shapes[i].rows,
                            .in = shapes[i].in,
                            .out = shapes[i].out,
                            .ldx = shapes[i].ldx,
                            .ldy = shapes[i].ldy,
                            .lora = lora};
}

/* y's rows; what lies between them keeps its poison. */
static void check_y(struct pair *p, const struct problem *q, const struct span *y)
{
    const double *found = read_back(p, p->device[MN_DEVICE_REFERENCE], y);
    for (int r = 0; r < q->rows; r++) {
        const double *row = found + r * q->ldy;
        for (int64_t c = q->out; c < q->ldy; c++) assert_true(isnan(row[c]));
        for (int c = 0; c < q->out; c++) {
            double expected = q->y[r * q->out + c];
            if (!(fabs(row[c] - expected) <= 1e-5 * fmax(1, fabs(expected))))
                fail_msg("row %d of %d, column %d: found %.9g, expected %.9g", r, q->rows, c,
                         row[c], expected);
        }
    }
}

static void forward_matches(struct pair *p, size_t i, struct mn_lora lora)
{
    struct problem q = problem_of(i, lora);
    struct arrays s = arrays_of(p, &q);
    ON_BOTH(p, d) forward(p, d, &q, &s);
    naive_forward(&q);
    check_y(p, &q, s.y);
    if (!lora.parts) return;
    double *u = new_values(p, s.u->count);
    for (int part = 0; part < lora.parts; part++)
        for (int r = 0; r < q.rows; r++)
            for (int k = 0; k < lora.part[part].rank; k++)
                u[r * lora.rank + lora.part[part].rank_begin + k] = inner(&q, part, r, k);
    check_values(p, s.u, u, 1e-5);
    check_pair(p, s.u, 0.02);
}

static void test_linear_forward_matches_reference(void **state)
{
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        forward_matches(*state, i, no_lora());
        forward_matches(*state, i, three_parts(shapes[i].out, 0));
        forward_matches(*state, i, three_parts(shapes[i].out, 0.3f));
        pair_after(state);
    }
}

/* CUDA alone against the reference, on dense y, where a span can be compared whole. */
static void test_linear_forward_matches_on_both_devices(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        struct problem q = problem_of(i, three_parts(shapes[i].out, 0.1f));
        q.ldx = q.in, q.ldy = q.out;
        struct arrays s = arrays_of(p, &q);
        ON_BOTH(p, d) forward(p, d, &q, &s);
        naive_forward(&q);
        check_values(p, s.y, q.y, 1e-5);
        check_pair(p, s.y, 0.02); /* u and y rounded to bf16 */
        pair_after(state);
    }
}

/* Some columns only are adapted, as where target_modules leaves one out of a fused linear. */
static void test_linear_forward_adapts_only_its_parts(void **state)
{
    struct pair *p = *state;
    struct mn_lora middle = {.parts = 1, .rank = 8, .part = {{16, 24, 0, 8, 2.0f, 5}}};
    struct problem q = {.rows = 5, .in = 64, .out = 64, .ldx = 64, .ldy = 64, .lora = middle};
    struct arrays s = arrays_of(p, &q);
    ON_BOTH(p, d) forward(p, d, &q, &s);
    naive_forward(&q);
    check_values(p, s.y, q.y, 1e-5);
    check_pair(p, s.y, 0.02);
}

/* --- the batch --- */

static void test_linear_forward_row_does_not_depend_on_batch(void **state)
{
    struct pair *p = *state;
    static const int splits[MOST_SPLITS] = {1, 2, 3, 5, 8, 33, 64, 65};
    static const int sizes[][2] = {{256, 520}, {64, 2048}, {704, 256}, {16, 96}};
    for (size_t i = 0; i < MN_COUNT(sizes); i++) {
        int rows = 0, in = sizes[i][0], out = sizes[i][1];
        for (int k = 0; k < MOST_SPLITS; k++) rows += splits[k];
        struct problem q = {
            .rows = rows, .in = in, .out = out, .ldx = in, .ldy = out, .lora = three_parts(out, 0)};
        struct arrays whole = arrays_of(p, &q);
        struct arrays parts = whole;
        parts.y = poisoned_acts(p, (int64_t)rows * out);
        parts.u = poisoned_acts(p, (int64_t)rows * 32);
        ON_BOTH(p, d)
        {
            forward(p, d, &q, &whole);
            if (d->kind == MN_DEVICE_CUDA) {
                forward(p, d, &q, &parts); /* promised there by shape, not by row */
                continue;
            }
            for (int k = 0, row = 0; k < MOST_SPLITS; row += splits[k++]) {
                struct mn_linear_forward args = {
                    .y = mn_act_at(d, acts(d, parts.y), (int64_t)row * out),
                    .u = mn_act_at(d, acts(d, parts.u), (int64_t)row * 32),
                    .x = mn_act_at(d, acts(d, whole.x), (int64_t)row * in),
                    .weight = {out, in, acts(d, whole.w), NULL, NULL},
                    .lora = lora_on(d, &q, &whole),
                    .rows = splits[k],
                    .ldx = in,
                    .ldy = out};
                OK(d->ops->linear_forward(&args, d->stream));
            }
        }
        check_same_bits(p, whole.y, parts.y);
        check_same_bits(p, whole.u, parts.u);
        pair_after(state);
    }
}

/* --- rows that carry their adapters --- */

/* Rows of the whole run alone, through the lora of one group or none. */
static void forward_rows(mn_device *d, const struct mn_linear_forward *whole, int first, int rows,
                         int64_t u_begin, const struct mn_lora *lora)
{
    struct mn_linear_forward args = *whole;
    args.y = mn_act_at(d, args.y, first * args.ldy);
    args.x = mn_act_at(d, (mn_act *)args.x, first * args.ldx);
    args.u = mn_act_at(d, args.u, u_begin);
    args.rows = rows;
    args.group_count = 0;
    if (lora) args.lora = *lora;
    OK(d->ops->linear_forward(&args, d->stream));
}

enum { KINDS = 3, MOST_GROUPS = 61, GROUP_IN = 128, GROUP_OUT = 264 };

/* Groups of other ranks, targets and scales, between rows without an adapter: each row as if its
 * adapter were alone. Bit for bit on the reference; on CUDA the large product may then take other
 * tiles, whose sums are rounded to bf16 once. Groups of a kind share A and B at other strengths. */
static void rows_carry(struct pair *p, int count, const int *first, const int *rows, int all)
{
    const struct mn_lora kinds[KINDS] = {
        three_parts(GROUP_OUT, 0),
        {.parts = 1, .rank = 4, .part = {{16, 24, 0, 4, 2.0f, 5}}},
        {.parts = 1, .rank = 48, .part = {{0, GROUP_OUT, 0, 48, 0.25f, 5}}}};
    struct span *a[KINDS], *b[KINDS], *mixed_u, *alone_u;
    struct span *x = random_acts(p, all * GROUP_IN, 1);
    struct span *w = random_acts(p, (int64_t)GROUP_OUT * GROUP_IN, 0.2f);
    struct span *mixed = poisoned_acts(p, all * GROUP_OUT);
    struct span *alone = poisoned_acts(p, all * GROUP_OUT);
    int64_t u_count = 0;
    for (int k = 0; k < KINDS; k++) {
        a[k] = random_acts(p, kinds[k].rank * GROUP_IN, 0.2f);
        b[k] = random_acts(p, mn_lora_b_offset(&kinds[k], kinds[k].parts), 0.3f);
    }
    for (int g = 0; g < count; g++) u_count += (int64_t)rows[g] * kinds[g % KINDS].rank;
    mixed_u = poisoned_acts(p, u_count);
    alone_u = poisoned_acts(p, u_count);
    ON_BOTH(p, d)
    {
        struct mn_lora_group groups[MOST_GROUPS];
        int row = 0;
        int64_t u_begin = 0;
        for (int g = 0; g < count; g++) {
            groups[g] = (struct mn_lora_group){first[g], rows[g], kinds[g % KINDS]};
            groups[g].lora.a = acts(d, a[g % KINDS]), groups[g].lora.b = acts(d, b[g % KINDS]);
            groups[g].lora.part[0].scale *= 1 + 0.25f * (float)g / (float)count;
        }
        struct mn_linear_forward args = {.y = acts(d, mixed),
                                         .u = acts(d, mixed_u),
                                         .x = acts(d, x),
                                         .weight = {GROUP_OUT, GROUP_IN, acts(d, w), NULL, NULL},
                                         .groups = groups,
                                         .group_count = count,
                                         .rows = all,
                                         .ldx = GROUP_IN,
                                         .ldy = GROUP_OUT};
        args.workspace = workspace(p, d, d->ops->linear_forward_workspace(&args));
        OK(d->ops->linear_forward(&args, d->stream));
        args.y = acts(d, alone), args.u = acts(d, alone_u);
        for (int g = 0; g <= count; g++) {
            const int next = g < count ? first[g] : all;
            if (next > row) forward_rows(d, &args, row, next - row, 0, NULL);
            if (g == count) break;
            forward_rows(d, &args, next, rows[g], u_begin, &groups[g].lora);
            u_begin += (int64_t)rows[g] * groups[g].lora.rank;
            row = next + rows[g];
        }
    }
    mn_device *reference = p->device[MN_DEVICE_REFERENCE];
    check_values(p, mixed, read_back(p, reference, alone), 0);
    check_values(p, mixed_u, read_back(p, reference, alone_u), 0);
    check_pair(p, mixed, 0.02);
    check_pair(p, alone, 0.02);
    check_pair(p, mixed_u, 0.02);
}

static void test_linear_forward_rows_carry_their_adapters(void **state)
{
    static const int first[] = {3, 40, 41}, rows[] = {20, 1, 70};
    static const int whole[] = {0}, all_rows[] = {33};
    int many_first[MOST_GROUPS], many_rows[MOST_GROUPS], row = 0;
    rows_carry(*state, 3, first, rows, 150);
    rows_carry(*state, 1, whole, all_rows, 33);
    for (int g = 0; g < MOST_GROUPS; g++) { /* more than a launch takes, with and without gaps */
        many_first[g] = row += g % 2;
        many_rows[g] = 1 + g % 19;
        row += many_rows[g];
    }
    rows_carry(*state, MOST_GROUPS, many_first, many_rows, row);
}

/* --- NF4 --- */

static void test_linear_with_nf4_equals_its_expanded_weight(void **state)
{
    struct pair *p = *state;
    struct problem q = {
        .rows = 5, .in = 128, .out = 192, .ldx = 128, .ldy = 192, .lora = three_parts(192, 0.2f)};
    int64_t count = (int64_t)q.in * q.out, rows = q.rows;
    struct arrays s = arrays_of(p, &q);
    struct span *codes = poisoned(p, SPAN_BYTE, count / 2), *absmax = poisoned_f32(p, count / 64);
    struct span *expanded = poisoned_acts(p, count), *packed_y = poisoned_acts(p, rows * q.out);
    struct span *dy = random_acts(p, rows * q.out, 1);
    struct span *dx = poisoned_acts(p, rows * q.in), *packed_dx = poisoned_acts(p, rows * q.in);
    struct span *da = in_place(random_f32(p, s.a->count, 1));
    struct span *db = in_place(random_f32(p, s.b->count, 1));
    ON_BOTH(p, d)
    {
        OK(d->ops->nf4_quantize(on(d, codes), on(d, absmax), acts(d, s.w), count, d->stream));
        OK(d->ops->nf4_dequantize(acts(d, expanded), on(d, codes), on(d, absmax), count,
                                  d->stream));
        for (int packed = 0; packed < 2; packed++) {
            struct mn_weight weight = {q.out, q.in, acts(d, expanded), NULL, NULL};
            if (packed) weight = (struct mn_weight){q.out, q.in, NULL, on(d, codes), on(d, absmax)};
            struct mn_linear_forward f = {.y = acts(d, packed ? packed_y : s.y),
                                          .u = acts(d, s.u),
                                          .x = acts(d, s.x),
                                          .weight = weight,
                                          .lora = lora_on(d, &q, &s),
                                          .rows = q.rows,
                                          .ldx = q.ldx,
                                          .ldy = q.ldy};
            f.workspace = workspace(p, d, d->ops->linear_forward_workspace(&f));
            OK(d->ops->linear_forward(&f, d->stream));
            struct mn_linear_backward b = {.dx = acts(d, packed ? packed_dx : dx),
                                           .da = on(d, da),
                                           .db = on(d, db),
                                           .dy = acts(d, dy),
                                           .x = acts(d, s.x),
                                           .u = acts(d, s.u),
                                           .weight = weight,
                                           .lora = lora_on(d, &q, &s),
                                           .rows = q.rows,
                                           .ldy = q.ldy};
            b.workspace = workspace(p, d, d->ops->linear_backward_workspace(&b));
            OK(d->ops->linear_backward(&b, d->stream));
        }
    }
    check_same_bits(p, packed_y, s.y);
    check_same_bits(p, packed_dx, dx);
}

/* --- backward --- */

static void backward_matches(struct pair *p, int rows, struct mn_lora lora)
{
    struct problem q = {.rows = rows, .in = 24, .out = 32, .ldx = 24, .ldy = 40, .lora = lora};
    struct arrays s = arrays_of(p, &q);
    struct span *dy = random_acts(p, rows * q.ldy, 1), *dx = poisoned_acts(p, rows * q.in);
    struct span *da = lora.parts ? in_place(random_f32(p, s.a->count, 1)) : NULL;
    struct span *db = lora.parts ? in_place(random_f32(p, s.b->count, 1)) : NULL;
    ON_BOTH(p, d)
    {
        forward(p, d, &q, &s);
        struct mn_linear_backward args = {.dx = acts(d, dx),
                                          .da = on(d, da),
                                          .db = on(d, db),
                                          .dy = acts(d, dy),
                                          .x = acts(d, lora.parts ? s.x : NULL),
                                          .u = acts(d, s.u),
                                          .weight = {q.out, q.in, acts(d, s.w), NULL, NULL},
                                          .lora = lora_on(d, &q, &s),
                                          .rows = rows,
                                          .ldy = q.ldy};
        args.workspace = workspace(p, d, d->ops->linear_backward_workspace(&args));
        OK(d->ops->linear_backward(&args, d->stream));
    }
    q.dy = new_values(p, (int64_t)rows * q.out);
    for (int i = 0; i < rows * q.out; i++) q.dy[i] = values_of(dy)[i / q.out * q.ldy + i % q.out];
    double *expected = new_values(p, dx->count);
    for (int64_t i = 0; i < dx->count; i++) expected[i] = numeric_gradient(loss, &q, &q.x[i]);
    check_values(p, dx, expected, 1e-5);
    check_pair(p, dx, 0.03);
    if (!lora.parts) return;
    double *expected_a = new_values(p, da->count), *expected_b = new_values(p, db->count);
    for (int64_t i = 0; i < da->count; i++)
        expected_a[i] = values_of(da)[i] + numeric_gradient(loss, &q, &q.a[i]);
    for (int64_t i = 0; i < db->count; i++)
        expected_b[i] = values_of(db)[i] + numeric_gradient(loss, &q, &q.b[i]);
    check_values(p, da, expected_a, 1e-5);
    check_values(p, db, expected_b, 1e-5);
    check_pair(p, da, 0.03);
    check_pair(p, db, 0.03);
}

static void test_linear_backward_is_the_numeric_gradient(void **state)
{
    static const int rows[] = {1, 7};
    for (size_t i = 0; i < MN_COUNT(rows); i++) {
        backward_matches(*state, rows[i], no_lora());
        backward_matches(*state, rows[i], three_parts(32, 0));
        backward_matches(*state, rows[i], three_parts(32, 0.4f));
    }
}

/* Beyond one panel of rows, against a backward pass of one row at a time. */
static void test_linear_backward_sums_over_many_rows(void **state)
{
    struct pair *p = *state;
    struct problem q = {
        .rows = 150, .in = 64, .out = 96, .ldx = 64, .ldy = 96, .lora = three_parts(96, 0)};
    struct arrays s = arrays_of(p, &q);
    struct span *dy = random_acts(p, (int64_t)q.rows * q.out, 1);
    struct span *dx = poisoned_acts(p, (int64_t)q.rows * q.in);
    double *zeros = new_values(p, s.a->count + s.b->count);
    struct span *da[2], *db[2];
    for (int i = 0; i < 2; i++) {
        da[i] = in_place(f32_of(p, zeros, s.a->count));
        db[i] = in_place(f32_of(p, zeros, s.b->count));
    }
    ON_BOTH(p, d)
    {
        forward(p, d, &q, &s);
        struct mn_linear_backward args = {.dx = acts(d, dx),
                                          .dy = acts(d, dy),
                                          .x = acts(d, s.x),
                                          .u = acts(d, s.u),
                                          .da = on(d, da[0]),
                                          .db = on(d, db[0]),
                                          .weight = {q.out, q.in, acts(d, s.w), NULL, NULL},
                                          .lora = lora_on(d, &q, &s),
                                          .rows = q.rows,
                                          .ldy = q.ldy};
        args.workspace = workspace(p, d, d->ops->linear_backward_workspace(&args));
        OK(d->ops->linear_backward(&args, d->stream));
        args.dx = NULL; /* not needed: the weights' gradients are the same */
        args.da = on(d, da[1]);
        args.db = on(d, db[1]);
        args.rows = 1;
        for (int r = 0; r < q.rows; r++) {
            args.dy = mn_act_at(d, acts(d, dy), (int64_t)r * q.out);
            args.x = mn_act_at(d, acts(d, s.x), (int64_t)r * q.in);
            args.u = mn_act_at(d, acts(d, s.u), (int64_t)r * 32);
            OK(d->ops->linear_backward(&args, d->stream));
        }
    }
    mn_device *reference = p->device[MN_DEVICE_REFERENCE];
    check_values(p, da[0], read_back(p, reference, da[1]), 1e-4); /* fp32 sums near 50 */
    check_values(p, db[0], read_back(p, reference, db[1]), 1e-4);
    check_pair(p, da[0], 0.03);
    check_pair(p, db[0], 0.03);
    check_pair(p, dx, 0.03);
}

/* --- arguments --- */

static void test_linear_refuses_what_does_not_fit(void **state)
{
    struct pair *p = *state;
    struct problem q = {
        .rows = 2, .in = 16, .out = 32, .ldx = 16, .ldy = 32, .lora = three_parts(32, 0)};
    struct arrays s = arrays_of(p, &q);
    ON_BOTH(p, d)
    {
        struct mn_linear_forward good = {.y = acts(d, s.y),
                                         .u = acts(d, s.u),
                                         .x = acts(d, s.x),
                                         .weight = {32, 16, acts(d, s.w), NULL, NULL},
                                         .lora = lora_on(d, &q, &s),
                                         .rows = 2,
                                         .ldx = 16,
                                         .ldy = 32};
        struct mn_linear_forward bad = good;
        bad.ldy = 31;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID,
              "linear_forward: ldy: expected at least 32, found 31");
        bad = good;
        bad.lora.part[2].out = 9;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID, "expected columns below 32");
        bad = good;
        bad.lora.rank = 31;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID, "lora.rank: expected 32");
        bad = good;
        bad.lora.dropout = 1;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID, "lora.dropout");
        bad = good;
        bad.weight.dense = NULL;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID, "weight.codes");
        struct mn_lora_group groups[2] = {{0, 1, good.lora}, {1, 1, good.lora}};
        bad = good;
        bad.groups = groups, bad.group_count = 2;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID,
              "lora.parts: expected 0 beside groups, found 3");
        bad.lora.parts = 0;
        OK(d->ops->linear_forward(&bad, d->stream));
        groups[1].rows = 2;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID,
              "groups[1]: expected rows within 1 … 1, found 1 … 2");
        groups[1].rows = 1, groups[1].first_row = 0;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID, "groups[1]: expected rows");
        groups[1].first_row = 1, groups[1].lora.dropout = 0.5f;
        groups[1].lora.first_row = (const int64_t *)good.x;
        FAILS(d->ops->linear_forward(&bad, d->stream), MN_INVALID, "groups[1].lora.dropout");
        bad = good;
        bad.rows = 0;
        OK(d->ops->linear_forward(&bad, d->stream));
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_linear_forward_matches_reference),
    PAIR_TEST(test_linear_forward_matches_on_both_devices),
    PAIR_TEST(test_linear_forward_adapts_only_its_parts),
    PAIR_TEST(test_linear_forward_row_does_not_depend_on_batch),
    PAIR_TEST(test_linear_forward_rows_carry_their_adapters),
    PAIR_TEST(test_linear_with_nf4_equals_its_expanded_weight),
    PAIR_TEST(test_linear_backward_is_the_numeric_gradient),
    PAIR_TEST(test_linear_backward_sums_over_many_rows),
    PAIR_TEST(test_linear_refuses_what_does_not_fit),
};
PAIR_MAIN(tests)
