/* linear.c: frozen linear with LoRA, forward and backward, dense or NF4.
 *
 * Composed of GEMMs over whole rows. With dropout each part masks its own copy of x in the
 * workspace; the backward pass makes the mask anew from its random stream. */
#include "reference.h"

#include "minuano/random.h"

static size_t expanded_bytes(const struct mn_weight *weight)
{
    return weight->dense ? 0 : (size_t)weight->out * (size_t)weight->in * sizeof(float);
}

/* The weight as floats: itself, or expanded at the start of the workspace. */
static mn_status expand(const float **out, const struct mn_weight *weight, void *workspace,
                        mn_stream s)
{
    *out = weight->dense ? cf32(weight->dense) : workspace;
    if (weight->dense) return MN_OK;
    return mn_ref_nf4_dequantize(workspace, weight->codes, weight->absmax,
                                 (int64_t)weight->out * weight->in, s);
}

/* --- dropout --- */

struct mask {
    float *out;
    const float *in; /* NULL: add to out instead of replacing it */
    const float *add;
    const struct mn_lora *lora;
    uint32_t module;
    int in_dim;
    int64_t ldx;
};

/* keep[i] = 1/(1-p) or 0 for the elements of one row. */
static void keep_factors(float *keep, const struct mask *m, int64_t row)
{
    const uint64_t stream = mn_stream_id(MN_RANDOM_DROPOUT, m->module);
    const int words = mn_bit_groups(m->in_dim);
    const uint64_t first = (uint64_t)(*m->lora->first_row + row) * (uint64_t)words;
    const uint32_t threshold = mn_drop_threshold(m->lora->dropout);
    const float kept = 1.0f / (1.0f - m->lora->dropout);
    for (int w = 0; w < words; w++) {
        const uint32_t dropped =
            mn_random_bits(m->lora->seed, stream, first + (uint64_t)w, threshold);
        for (int i = 0; i < 32 && 32 * w + i < m->in_dim; i++)
            keep[32 * w + i] = dropped >> i & 1 ? 0.0f : kept;
    }
}

static void mask_row(const void *job, int64_t row, void *scratch)
{
    const struct mask *m = job;
    float *keep = scratch, *out = m->out + row * m->in_dim;
    keep_factors(keep, m, row);
    if (m->in) {
        const float *x = m->in + row * m->ldx;
        for (int i = 0; i < m->in_dim; i++) out[i] = keep[i] * x[i];
    } else {
        const float *x = m->add + row * m->in_dim;
        for (int i = 0; i < m->in_dim; i++) out[i] += keep[i] * x[i];
    }
}

static void mask_rows(const struct mask *m, int rows, mn_stream s)
{
    mn_ref_parallel(s, mask_row, m, rows, (size_t)m->in_dim * sizeof(float));
}

/* --- forward --- */

size_t mn_ref_linear_forward_workspace(const struct mn_linear_forward *args)
{
    size_t masked = args->lora.parts > 0 && args->lora.dropout > 0
                        ? (size_t)args->rows * (size_t)args->weight.in * sizeof(float)
                        : 0;
    return expanded_bytes(&args->weight) + masked;
}

/* u and y += u·Bᵀ of one part of a group, whose u begins at `own`; masked is the room for
 * mask∘x/(1-p). */
static void add_part(const struct mn_linear_forward *args, const struct mn_lora_group *group, int p,
                     float *own, float *masked, mn_stream s)
{
    const struct mn_lora *lora = &group->lora;
    const struct mn_lora_part *part = &lora->part[p];
    int in = args->weight.in;
    const float *x = cf32(args->x) + group->first_row * args->ldx;
    int64_t ldx = args->ldx;
    if (lora->dropout > 0) {
        struct mask mask = {masked, x, NULL, lora, part->module, in, ldx};
        mask_rows(&mask, group->rows, s);
        x = masked;
        ldx = in;
    }
    float *u = own + part->rank_begin;
    struct mn_ref_gemm down = {.c = u,
                               .a = x,
                               .b = cf32(lora->a) + (int64_t)part->rank_begin * in,
                               .rows = group->rows,
                               .cols = part->rank,
                               .inner = in,
                               .ldc = lora->rank,
                               .a_row = ldx,
                               .a_col = 1,
                               .b_row = 1,
                               .b_col = in,
                               .alpha = part->scale};
    mn_ref_gemm(&down, s);
    struct mn_ref_gemm up = {.c = f32(args->y) + group->first_row * args->ldy + part->out_begin,
                             .a = u,
                             .b = cf32(lora->b) + mn_lora_b_offset(lora, p),
                             .rows = group->rows,
                             .cols = part->out,
                             .inner = part->rank,
                             .ldc = args->ldy,
                             .a_row = lora->rank,
                             .a_col = 1,
                             .b_row = 1,
                             .b_col = part->rank,
                             .alpha = 1.0f,
                             .beta = 1.0f};
    mn_ref_gemm(&up, s);
}

mn_status mn_ref_linear_forward(const struct mn_linear_forward *args, mn_stream s)
{
    MN_TRY(mn_check_linear_forward(args));
    if (args->rows == 0) return MN_OK;
    const float *weight;
    MN_TRY(expand(&weight, &args->weight, args->workspace, s));
    struct mn_ref_gemm base = {.c = f32(args->y),
                               .a = cf32(args->x),
                               .b = weight,
                               .rows = args->rows,
                               .cols = args->weight.out,
                               .inner = args->weight.in,
                               .ldc = args->ldy,
                               .a_row = args->ldx,
                               .a_col = 1,
                               .b_row = 1,
                               .b_col = args->weight.in,
                               .alpha = 1.0f};
    mn_ref_gemm(&base, s);
    float *masked = (float *)((char *)args->workspace + expanded_bytes(&args->weight));
    const struct mn_lora_group all = {0, args->rows, args->lora};
    const struct mn_lora_group *groups = args->group_count ? args->groups : &all;
    float *u = f32(args->u);
    for (int g = 0; g < (args->group_count ? args->group_count : 1); g++) {
        for (int p = 0; p < groups[g].lora.parts; p++) add_part(args, &groups[g], p, u, masked, s);
        if (u) u += (int64_t)groups[g].rows * groups[g].lora.rank;
    }
    if (!args->swiglu) return MN_OK;
    return mn_ref_swiglu_forward(args->swiglu, args->y, args->rows, args->weight.out / 2, s);
}

/* --- backward --- */

size_t mn_ref_linear_backward_workspace(const struct mn_linear_backward *args)
{
    size_t rows = (size_t)args->rows, floats = 0;
    if (args->lora.parts > 0) {
        floats = rows * (size_t)args->lora.rank;
        if (args->lora.dropout > 0) floats += rows * (size_t)args->weight.in;
    }
    return expanded_bytes(&args->weight) + floats * sizeof(float);
}

/* g (rows, rank) = scale · dy·B, by part. */
static void lora_inner_gradient(const struct mn_linear_backward *args, int p, float *g, mn_stream s)
{
    const struct mn_lora *lora = &args->lora;
    const struct mn_lora_part *part = &lora->part[p];
    struct mn_ref_gemm down = {.c = g + part->rank_begin,
                               .a = cf32(args->dy) + part->out_begin,
                               .b = cf32(lora->b) + mn_lora_b_offset(lora, p),
                               .rows = args->rows,
                               .cols = part->rank,
                               .inner = part->out,
                               .ldc = lora->rank,
                               .a_row = args->ldy,
                               .a_col = 1,
                               .b_row = part->rank,
                               .b_col = 1,
                               .alpha = part->scale};
    mn_ref_gemm(&down, s);
}

/* da += gᵀ·masked x, db += dyᵀ·u. */
static void lora_weight_gradients(const struct mn_linear_backward *args, int p, const float *g,
                                  float *masked, mn_stream s)
{
    const struct mn_lora *lora = &args->lora;
    const struct mn_lora_part *part = &lora->part[p];
    int in = args->weight.in;
    const float *x = cf32(args->x);
    if (lora->dropout > 0) {
        struct mask mask = {masked, x, NULL, lora, part->module, in, in};
        mask_rows(&mask, args->rows, s);
        x = masked;
    }
    struct mn_ref_gemm da = {.c = args->da + (int64_t)part->rank_begin * in,
                             .a = g + part->rank_begin,
                             .b = x,
                             .rows = part->rank,
                             .cols = in,
                             .inner = args->rows,
                             .ldc = in,
                             .a_row = 1,
                             .a_col = lora->rank,
                             .b_row = in,
                             .b_col = 1,
                             .alpha = 1.0f,
                             .beta = 1.0f};
    mn_ref_gemm(&da, s);
    struct mn_ref_gemm db = {.c = args->db + mn_lora_b_offset(lora, p),
                             .a = cf32(args->dy) + part->out_begin,
                             .b = cf32(args->u) + part->rank_begin,
                             .rows = part->out,
                             .cols = part->rank,
                             .inner = args->rows,
                             .ldc = part->rank,
                             .a_row = 1,
                             .a_col = args->ldy,
                             .b_row = lora->rank,
                             .b_col = 1,
                             .alpha = 1.0f,
                             .beta = 1.0f};
    mn_ref_gemm(&db, s);
}

/* dx += mask∘(g·A)/(1-p). */
static void lora_input_gradient(const struct mn_linear_backward *args, int p, const float *g,
                                float *masked, mn_stream s)
{
    const struct mn_lora *lora = &args->lora;
    const struct mn_lora_part *part = &lora->part[p];
    int in = args->weight.in;
    bool drop = lora->dropout > 0;
    struct mn_ref_gemm up = {.c = drop ? masked : f32(args->dx),
                             .a = g + part->rank_begin,
                             .b = cf32(lora->a) + (int64_t)part->rank_begin * in,
                             .rows = args->rows,
                             .cols = in,
                             .inner = part->rank,
                             .ldc = in,
                             .a_row = lora->rank,
                             .a_col = 1,
                             .b_row = in,
                             .b_col = 1,
                             .alpha = 1.0f,
                             .beta = drop ? 0.0f : 1.0f};
    mn_ref_gemm(&up, s);
    if (!drop) return;
    struct mask mask = {f32(args->dx), NULL, masked, lora, part->module, in, in};
    mask_rows(&mask, args->rows, s);
}

mn_status mn_ref_linear_backward(const struct mn_linear_backward *args, mn_stream s)
{
    MN_TRY(mn_check_linear_backward(args));
    if (args->rows == 0) return MN_OK;
    float *g = (float *)((char *)args->workspace + expanded_bytes(&args->weight));
    float *masked = g + (args->lora.parts ? (int64_t)args->rows * args->lora.rank : 0);
    if (args->dx) {
        const float *weight;
        MN_TRY(expand(&weight, &args->weight, args->workspace, s));
        struct mn_ref_gemm base = {.c = f32(args->dx),
                                   .a = cf32(args->dy),
                                   .b = weight,
                                   .rows = args->rows,
                                   .cols = args->weight.in,
                                   .inner = args->weight.out,
                                   .ldc = args->weight.in,
                                   .a_row = args->ldy,
                                   .a_col = 1,
                                   .b_row = args->weight.in,
                                   .b_col = 1,
                                   .alpha = 1.0f};
        mn_ref_gemm(&base, s);
    }
    for (int p = 0; p < args->lora.parts; p++) {
        lora_inner_gradient(args, p, g, s);
        lora_weight_gradients(args, p, g, masked, s);
        if (args->dx) lora_input_gradient(args, p, g, masked, s);
    }
    return MN_OK;
}
