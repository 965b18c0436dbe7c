/* A linear with SwiGLU behind it equals the two ops: bit for bit on the reference, where they are
 * composed; within bf16's roundings on CUDA, which fuses them on Hopper where gate and up are not
 * wanted themselves and whole tiles fill the device: here the shapes from 700 rows on, with one
 * tile a block and with two, with rows and depths that end within a tile. */
#include "support/pair.h"

#include <math.h>

static const struct {
    int rows, in, ff;
    bool adapted;
} shapes[] = {{1, 64, 32, false},    {70, 100, 30, false},    {300, 200, 256, true},
              {513, 72, 384, false}, {700, 200, 2816, false}, {2700, 136, 768, false},
              {1400, 8, 2816, false}};

static void swiglu_follows(struct pair *p, size_t i)
{
    const int rows = shapes[i].rows, in = shapes[i].in, ff = shapes[i].ff, out = 2 * ff;
    struct mn_lora lora = {.parts = 1, .rank = 8, .part = {{0, out, 0, 8, 1, 4}}};
    if (!shapes[i].adapted) lora = (struct mn_lora){0};
    struct span *x = random_acts(p, (int64_t)rows * in, 1);
    struct span *w = random_acts(p, (int64_t)out * in, 2 / sqrtf((float)in));
    struct span *a = random_acts(p, 8 * in, 0.02f), *b = random_acts(p, 8 * out, 0.2f);
    struct span *u = poisoned_acts(p, (int64_t)rows * 8);
    struct span *y[3], *swiglu[3]; /* both wanted; swiglu alone; apart */
    for (int k = 0; k < 3; k++) {
        y[k] = poisoned_acts(p, (int64_t)rows * out);
        swiglu[k] = poisoned_acts(p, (int64_t)rows * ff);
    }
    ON_BOTH(p, d)
    for (int k = 0; k < 3; k++) {
        struct mn_linear_forward args = {.y = acts(d, y[k]),
                                         .swiglu = k < 2 ? acts(d, swiglu[k]) : NULL,
                                         .y_is_room = k == 1,
                                         .u = acts(d, u),
                                         .x = acts(d, x),
                                         .weight = {out, in, acts(d, w), NULL, NULL},
                                         .lora = lora,
                                         .rows = rows,
                                         .ldx = in,
                                         .ldy = out};
        args.lora.a = acts(d, a), args.lora.b = acts(d, b);
        args.workspace = workspace(p, d, d->ops->linear_forward_workspace(&args));
        OK(d->ops->linear_forward(&args, d->stream));
        if (k == 2)
            OK(d->ops->swiglu_forward(acts(d, swiglu[k]), acts(d, y[k]), rows, ff, d->stream));
    }
    mn_device *reference = p->device[MN_DEVICE_REFERENCE];
    check_values(p, y[0], read_back(p, reference, y[2]), 0);
    check_values(p, swiglu[0], read_back(p, reference, swiglu[2]), 0);
    check_values(p, swiglu[1], read_back(p, reference, swiglu[2]), 0);
    check_same_bits(p, y[0], y[2]);
    check_same_bits(p, swiglu[0], swiglu[2]);
    /* Gate and up are rounded to bf16, 2^-9 each, and so is what they make; where gate is far below
     * zero its own rounding counts up to six times. */
    check_pair(p, swiglu[1], 0.03);
}

static void test_linear_forward_ends_in_swiglu(void **state)
{
    for (size_t i = 0; i < MN_COUNT(shapes); i++) {
        swiglu_follows(*state, i);
        pair_after(state);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_linear_forward_ends_in_swiglu),
};
PAIR_MAIN(tests)
