/* linear.cu: frozen linear with LoRA, forward and backward, dense or NF4.
 *
 * The adapter's share is written first, and the large product accumulates onto it: y = u·Bᵀ, then
 * y += x·Wᵀ in the epilogue, so that y is rounded once and never read by a pass of its own. The
 * backward pass does likewise with dx = mask∘(du·A)/(1-p), then dx += dy·W. */
#include "gemm.cuh"
#include "lora.cuh"
#include "skinny.cuh"
#include "swiglu.cuh"

static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static size_t expanded_bytes(const struct mn_weight *weight)
{
    return weight->dense ? 0 : aligned((size_t)weight->out * weight->in * sizeof(__nv_bfloat16));
}

/* The weight as bf16: itself, or expanded at the start of the workspace. */
static mn_status expand(const __nv_bfloat16 **out, const struct mn_weight *weight, void *workspace,
                        mn_stream s)
{
    mn_act *room = static_cast<mn_act *>(workspace);
    *out = bf16(weight->dense ? weight->dense : room);
    if (weight->dense) return MN_OK;
    return mn_cuda_nf4_dequantize(room, weight->codes, weight->absmax,
                                  (int64_t)weight->out * weight->in, s);
}

/* --- forward
 * --------------------------------------------------------------------------------------- */

extern "C" size_t mn_cuda_linear_forward_workspace(const struct mn_linear_forward *args)
{
    /* Never nothing: the checks ask for one. */
    return aligned(expanded_bytes(&args->weight) + 1) +
           lora_masks_bytes(&args->lora, args->rows, args->weight.in);
}

/* y = u·Bᵀ of a group's rows, whose u begins at `u`; zero in columns that no part adapts. */
static mn_status write_group(const struct mn_linear_forward *args,
                             const struct mn_lora_group *group, __nv_bfloat16 *u, mn_stream s)
{
    const int rows = group->rows, in = args->weight.in;
    const __nv_bfloat16 *x = bf16(args->x) + group->first_row * args->ldx;
    __nv_bfloat16 *y = bf16(args->y) + group->first_row * args->ldy;
    void *room = static_cast<char *>(args->workspace) + aligned(expanded_bytes(&args->weight) + 1);
    const uint32_t *masks;
    MN_TRY(lora_draw_masks(&masks, room, &group->lora, rows, in, s));
    MN_TRY(lora_project(u, x, masks, &group->lora, rows, in, args->ldx, s));
    return lora_raise(y, u, &group->lora, rows, args->weight.out, args->ldy, s);
}

/* y = 0 in rows first … end-1, which have no adapter. */
static mn_status write_zeros(const struct mn_linear_forward *args, int first, int end, mn_stream s)
{
    const size_t bytes = sizeof(__nv_bfloat16);
    if (first == end) return MN_OK;
    cudaMemset2DAsync(bf16(args->y) + first * args->ldy, args->ldy * bytes, 0,
                      args->weight.out * bytes, end - first, s->stream);
    return launched("linear_forward: rows without an adapter");
}

/* The adapters' share of y, row by row of the batch. */
static mn_status write_groups(const struct mn_linear_forward *args, mn_stream s)
{
    __nv_bfloat16 *u = bf16(args->u);
    int written = 0;
    const struct lora_batch batch = {
        bf16(args->y),    u,         bf16(args->x), args->rows, args->weight.in,
        args->weight.out, args->ldx, args->ldy};
    if (!lora_is_many(args->rows, s))
        return lora_groups(&batch, args->groups, args->group_count, s);
    for (int g = 0; g < args->group_count; g++) {
        const struct mn_lora_group *group = &args->groups[g];
        MN_TRY(write_zeros(args, written, group->first_row, s));
        MN_TRY(write_group(args, group, u, s));
        u += (int64_t)group->rows * group->lora.rank;
        written = group->first_row + group->rows;
    }
    return write_zeros(args, written, args->rows, s);
}

/* y, from the expanded weight. */
static mn_status write_y(const struct mn_linear_forward *args, const __nv_bfloat16 *weight,
                         mn_stream s)
{
    struct gemm base = {.op = "linear_forward",
                        .d = bf16(args->y),
                        .a = bf16(args->x),
                        .b = weight,
                        .rows = args->rows,
                        .cols = args->weight.out,
                        .depth = args->weight.in,
                        .ldd = args->ldy,
                        .lda = args->ldx,
                        .ldb = args->weight.in,
                        .b_by_column = true};
    const bool skinny = skinny_fits(&base);
    if (args->lora.parts > 0 || args->group_count > 0) {
        const struct mn_lora_group all = {0, args->rows, args->lora};
        if (!skinny) MN_TRY(gemm_prepare(&base, s));
        MN_TRY(args->group_count ? write_groups(args, s)
                                 : write_group(args, &all, bf16(args->u), s));
        base.beta = 1.0f;
    }
    return skinny ? skinny_run(&base, args->weight.dense != NULL, s) : gemm_run(&base, s);
}

extern "C" mn_status mn_cuda_linear_forward(const struct mn_linear_forward *args, mn_stream s)
{
    MN_TRY(mn_check_linear_forward(args));
    if (args->rows == 0) return MN_OK;
    const __nv_bfloat16 *weight;
    MN_TRY(expand(&weight, &args->weight, args->workspace, s));
    if (swiglu_product_fits(args, s)) return swiglu_product(args, weight, s);
    MN_TRY(write_y(args, weight, s));
    if (!args->swiglu) return MN_OK;
    return mn_cuda_swiglu_forward(args->swiglu, args->y, args->rows, args->weight.out / 2, s);
}

/* --- backward
 * --------------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Workspace: the expanded weight, the masks, du, and the shares of sums, one product's at a time.
 */
struct backward_room {
    char *masks, *du, *shares, *end;
};

static struct backward_room backward_room_of(const struct mn_linear_backward *args)
{
    const struct mn_lora *lora = &args->lora;
    const int rows = args->rows, in = args->weight.in;
    struct backward_room room;
    room.masks = static_cast<char *>(args->workspace) + expanded_bytes(&args->weight);
    room.du = room.masks + aligned(lora_masks_bytes(lora, rows, in));
    room.shares = room.du + aligned((size_t)rows * lora->rank * sizeof(__nv_bfloat16));
    room.end = room.shares +
               larger(lora_lower_workspace(lora, rows), lora_gradient_workspace(lora, rows, in));
    return room;
}

extern "C" size_t mn_cuda_linear_backward_workspace(const struct mn_linear_backward *args)
{
    struct mn_linear_backward unplaced = *args;
    unplaced.workspace = NULL;
    return args->lora.parts ? (size_t)(uintptr_t)backward_room_of(&unplaced).end
                            : expanded_bytes(&args->weight);
}

/* The gradients of A and B; leaves what the adapter adds to dx, if that is wanted, in dx. */
static mn_status adapter_backward(const struct mn_linear_backward *args, mn_stream s)
{
    const struct mn_lora *lora = &args->lora;
    const int rows = args->rows, in = args->weight.in;
    const struct backward_room room = backward_room_of(args);
    __nv_bfloat16 *du = reinterpret_cast<__nv_bfloat16 *>(room.du);
    const uint32_t *masks;
    MN_TRY(lora_draw_masks(&masks, room.masks, lora, rows, in, s));
    MN_TRY(lora_lower(du, args->db, bf16(args->dy), bf16(args->u), lora, rows, args->ldy,
                      room.shares, s));
    MN_TRY(lora_gradient(args->da, du, bf16(args->x), masks, lora, rows, in, room.shares, s));
    return args->dx ? lora_spread(bf16(args->dx), du, masks, lora, rows, in, s) : MN_OK;
}

extern "C" mn_status mn_cuda_linear_backward(const struct mn_linear_backward *args, mn_stream s)
{
    MN_TRY(mn_check_linear_backward(args));
    if (args->rows == 0) return MN_OK;
    if (!args->dx) return args->lora.parts ? adapter_backward(args, s) : MN_OK;
    const __nv_bfloat16 *weight;
    MN_TRY(expand(&weight, &args->weight, args->workspace, s));
    struct gemm base = {.op = "linear_backward",
                        .d = bf16(args->dx),
                        .a = bf16(args->dy),
                        .b = weight,
                        .rows = args->rows,
                        .cols = args->weight.in,
                        .depth = args->weight.out,
                        .ldd = args->weight.in,
                        .lda = args->ldy,
                        .ldb = args->weight.in};
    if (args->lora.parts > 0) {
        MN_TRY(gemm_prepare(&base, s));
        MN_TRY(adapter_backward(args, s));
        base.beta = 1.0f;
    }
    return gemm_run(&base, s);
}
