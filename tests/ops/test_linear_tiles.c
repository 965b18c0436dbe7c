/* Linear with LoRA on CUDA against the reference, in shapes beyond one tile of every kernel: more
 * rows than a wave of blocks, ranks wider than a tile of rank columns, parts wider than a slice, a
 * width that is no multiple of the tile, and odd ones. */
#include "support/pair.h"

static const struct {
    int rows, in, out, rank[MN_LORA_PARTS];
    float dropout;
} shapes[] = {
    {4300, 136, 200, {8, 40, 16}, 0.1f}, {4300, 136, 200, {4, 4, 4}, 0},
    {300, 520, 136, {16, 16, 16}, 0.3f}, {33, 100, 60, {6, 3, 33}, 0.2f},
    {257, 31, 24, {5, 1, 2}, 0.25f},     {1, 4096, 96, {16, 16, 16}, 0.05f},
    {70, 64, 18432, {16, 24, 8}, 0.1f},  {100, 60, 16500, {16, 3, 20}, 0.05f},
};

static struct mn_lora parts_of(size_t i)
{
    struct mn_lora lora = {.parts = MN_LORA_PARTS, .dropout = shapes[i].dropout, .seed = 3};
    const int third = shapes[i].out / 4; /* the last quarter has no adapter */
    for (int p = 0; p < MN_LORA_PARTS; p++) {
        lora.part[p] = (struct mn_lora_part){p * third,         third, lora.rank,
                                             shapes[i].rank[p], 1.5f,  (uint32_t)(40 + p)};
        lora.rank += shapes[i].rank[p];
    }
    return lora;
}

struct arrays {
    struct span *x, *w, *a, *b, *y, *u, *dy, *dx, *da, *db, *first_row;
};

static void run(struct pair *p, mn_device *d, size_t i, const struct arrays *s)
{
    const int rows = shapes[i].rows, in = shapes[i].in, out = shapes[i].out;
    struct mn_lora lora = parts_of(i);
    lora.a = acts(d, s->a);
    lora.b = acts(d, s->b);
    lora.first_row = on(d, s->first_row);
    struct mn_linear_forward forward = {.y = acts(d, s->y),
                                        .u = acts(d, s->u),
                                        .x = acts(d, s->x),
                                        .weight = {.out = out, .in = in, .dense = acts(d, s->w)},
                                        .lora = lora,
                                        .rows = rows,
                                        .ldx = in,
                                        .ldy = out};
    forward.workspace = workspace(p, d, d->ops->linear_forward_workspace(&forward));
    OK(d->ops->linear_forward(&forward, d->stream));
    struct mn_linear_backward backward = {.dx = acts(d, s->dx),
                                          .da = on(d, s->da),
                                          .db = on(d, s->db),
                                          .dy = acts(d, s->dy),
                                          .x = acts(d, s->x),
                                          .u = acts(d, s->u),
                                          .weight = forward.weight,
                                          .lora = lora,
                                          .rows = rows,
                                          .ldy = out};
    backward.workspace = workspace(p, d, d->ops->linear_backward_workspace(&backward));
    OK(d->ops->linear_backward(&backward, d->stream));
}

static void test_linear_matches_beyond_one_tile(void **state)
{
    struct pair *p = *state;
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        const int64_t rows = shapes[i].rows, in = shapes[i].in, out = shapes[i].out;
        const int64_t first_row = 70001;
        struct mn_lora lora = parts_of(i);
        const int64_t b_count = mn_lora_b_offset(&lora, lora.parts);
        struct arrays s = {.x = random_acts(p, rows * in, 1),
                           .w = random_acts(p, out * in, 0.1f),
                           .a = random_acts(p, lora.rank * in, 0.1f),
                           .b = random_acts(p, b_count, 0.1f),
                           .y = poisoned_acts(p, rows * out),
                           .u = poisoned_acts(p, rows * lora.rank),
                           .dy = random_acts(p, rows * out, 1),
                           .dx = poisoned_acts(p, rows * in),
                           .da = in_place(random_f32(p, lora.rank * in, 1)),
                           .db = in_place(random_f32(p, b_count, 1)),
                           .first_row = i64_of(p, &first_row, 1)};
        ON_BOTH(p, d) run(p, d, i, &s);
        mn_device *reference = p->device[MN_DEVICE_REFERENCE];
        const double *y = read_back(p, reference, s.y), *da = read_back(p, reference, s.da);
        for (int64_t k = 0; k < rows * out; k++) assert_true(y[k] == y[k]);
        for (int64_t k = 0; k < lora.rank * in; k++) assert_true(da[k] == da[k]);
        /* One rounding to bf16 is 0.4 %. The adapter's share of y and dx is rounded before the
         * large product is added, which may cancel most of it. */
        check_pair(p, s.y, 0.02);
        check_pair(p, s.dx, 0.02);
        check_pair(p, s.u, 0.01);
        /* Likewise: one row's product of rounded factors joins a gradient that may cancel it. */
        check_pair(p, s.da, 0.02);
        check_pair(p, s.db, 0.02);
        pair_after(state);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_linear_matches_beyond_one_tile),
};
PAIR_MAIN(tests)
