/* Dropout on A's input as a training uses it: the share that is dropped, the scale of what stays,
 * and masks that differ between modules, rows and seeds but not between ways to cut a batch. */
#include <math.h>

#include "minuano/ops.h"
#include "support/support.h"

enum { ROWS = 64, IN = 512, RANK = 1 };

static mn_device *device;

static int open_device(void **state)
{
    (void)state;
    return mn_reference_device_open(&device, 1) != MN_OK;
}

static int close_device(void **state)
{
    (void)state;
    mn_device_close(&device);
    return 0;
}

/* What stays of x = 1: column c of the mask, scaled, by a one-hot A; out (rows). The reference's
 * activations are fp32 in host memory. */
static void masked_column(float *out, int rows, int column, double dropout, uint64_t seed,
                          uint32_t module, int64_t first_row)
{
    float *x = malloc(sizeof *x * (size_t)rows * IN), a[IN] = {0}, b[1] = {1}, weight[IN] = {0};
    float *y = malloc(sizeof *y * (size_t)rows);
    for (int i = 0; i < rows * IN; i++) x[i] = 1;
    a[column] = 1;
    struct mn_linear_forward args = {
        .y = (mn_act *)y,
        .u = (mn_act *)out,
        .x = (const mn_act *)x,
        .weight = {.out = 1, .in = IN, .dense = (const mn_act *)weight},
        .lora = {.parts = 1,
                 .rank = RANK,
                 .part = {{.out = 1, .rank = RANK, .scale = 1, .module = module}},
                 .a = (const mn_act *)a,
                 .b = (const mn_act *)b,
                 .dropout = (float)dropout,
                 .seed = seed,
                 .first_row = &first_row},
        .rows = rows,
        .ldx = IN,
        .ldy = 1,
    };
    size_t bytes = device->ops->linear_forward_workspace(&args);
    args.workspace = malloc(bytes + 1);
    OK(device->ops->linear_forward(&args, device->stream));
    free(args.workspace);
    free(x);
    free(y);
}

static void test_dropout_drops_its_share_and_scales_the_rest(void **state)
{
    (void)state;
    const double rates[] = {0.05, 0.1, 0.5};
    for (size_t r = 0; r < MN_COUNT(rates); r++) {
        double p = rates[r], n = 0, dropped = 0;
        for (int column = 0; column < IN; column += 3) {
            float kept[ROWS];
            masked_column(kept, ROWS, column, p, 42, 7, 0);
            for (int row = 0; row < ROWS; row++, n++) {
                if (kept[row] == 0)
                    dropped++;
                else
                    assert_true(fabs(kept[row] - 1 / (1 - p)) < 1e-6);
            }
        }
        /* Five standard deviations of a binomial count. */
        assert_true(fabs(dropped - p * n) < 5 * sqrt(n * p * (1 - p)));
    }
}

static int agreements(const float *a, const float *b)
{
    int count = 0;
    for (int i = 0; i < ROWS; i++) count += (a[i] == 0) == (b[i] == 0);
    return count;
}

static void test_dropout_masks_differ_by_module_seed_and_row(void **state)
{
    (void)state;
    float base[ROWS], module[ROWS], seed[ROWS], later[ROWS];
    masked_column(base, ROWS, 5, 0.5, 42, 7, 0);
    masked_column(module, ROWS, 5, 0.5, 42, 8, 0);
    masked_column(seed, ROWS, 5, 0.5, 43, 7, 0);
    masked_column(later, ROWS, 5, 0.5, 42, 7, 1000);
    assert_true(agreements(base, module) < 52); /* half, and five standard deviations */
    assert_true(agreements(base, seed) < 52);
    assert_true(agreements(base, later) < 52);
}

static void test_dropout_does_not_depend_on_how_rows_are_cut(void **state)
{
    (void)state;
    float whole[ROWS], parts[ROWS];
    masked_column(whole, ROWS, 5, 0.3, 42, 7, 100);
    masked_column(parts, 20, 5, 0.3, 42, 7, 100);
    masked_column(parts + 20, ROWS - 20, 5, 0.3, 42, 7, 120);
    assert_memory_equal(whole, parts, sizeof whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropout_drops_its_share_and_scales_the_rest),
        cmocka_unit_test(test_dropout_masks_differ_by_module_seed_and_row),
        cmocka_unit_test(test_dropout_does_not_depend_on_how_rows_are_cut),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
