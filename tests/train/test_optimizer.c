/* One update: the norm that is reported, and a gradient that is no number, named and not applied.
 * AdamW itself is checked with the ops, and over twenty steps in test_training.c. */
#include <math.h>

#include "../../host/train/optimizer.h"
#include "support/support.h"

struct world {
    mn_device *device;
    mn_model *model;
    mn_adapter *adapter;
    struct optimizer optimizer;
    struct mn_train_settings settings;
    mn_arena *arena;
    float *gradient, *before, *after; /* (adapter->count) */
};
static struct world w;

static int open_world(void **state)
{
    (void)state;
    OK(mn_arena_open(&w.arena));
    OK(mn_reference_device_open(&w.device, 1));
    OK(mn_model_open(&w.model, w.device, test_fixture("train/model"),
                     &(struct mn_model_options){0}));
    OK(mn_adapter_open(&w.adapter, w.model, test_fixture("train/initial"), true));
    OK(optimizer_open(&w.optimizer, w.device, w.adapter->count));
    OK(mn_settings_defaults(&mn_train_settings_table, &w.settings, w.arena));
    w.gradient = MN_NEW(w.arena, float, w.adapter->count);
    w.before = MN_NEW(w.arena, float, w.adapter->count);
    w.after = MN_NEW(w.arena, float, w.adapter->count);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    optimizer_close(&w.optimizer);
    mn_adapter_close(&w.adapter);
    mn_model_close(&w.model);
    mn_device_close(&w.device);
    mn_arena_close(&w.arena);
    return 0;
}

static size_t bytes(void)
{
    return (size_t)w.adapter->count * sizeof(float);
}

static mn_status step_with(double *norm)
{
    OK(w.device->calls->upload(w.device, w.adapter->gradient, w.gradient, bytes()));
    OK(w.device->calls->download(w.device, w.before, w.adapter->master, bytes()));
    mn_status st = optimizer_step(&w.optimizer, w.adapter, &w.settings, 1e-3, 1, norm);
    OK(w.device->calls->download(w.device, w.after, w.adapter->master, bytes()));
    return st;
}

static void test_optimizer_names_where_a_gradient_is_no_number(void **state)
{
    (void)state;
    const struct mn_adapter *adapter = w.adapter;
    const struct {
        int linear;
        bool in_b;
        const char *words;
    } places[] = {
        {MN_FUSED_QKV, false, "layers.0.self_attn.q_proj.lora_A.weight is nan at element 3"},
        {MN_FUSED_DOWN, true, "layers.0.mlp.down_proj.lora_B.weight is nan at element 3"},
        {MN_FUSED + MN_FUSED_GATE_UP, true,
         "layers.1.mlp.gate_proj.lora_B.weight is nan at element 3"},
        {MN_FUSED + MN_FUSED_O, false,
         "layers.1.self_attn.o_proj.lora_A.weight is nan at element 3"}};
    for (size_t i = 0; i < MN_COUNT(places); i++) {
        const int64_t *offset = places[i].in_b ? adapter->b_offset : adapter->a_offset;
        double norm;
        memset(w.gradient, 0, bytes());
        w.gradient[offset[places[i].linear] + 3] = NAN;
        FAILS(step_with(&norm), MN_NUMERIC, places[i].words);
        assert_memory_equal(w.before, w.after, bytes());
    }
}

/* AdamW's first update is the learning rate in the gradient's direction, clipped or not; the norm
 * is the one before clipping. */
static void test_optimizer_reports_the_norm_before_clipping(void **state)
{
    (void)state;
    double norm;
    memset(w.gradient, 0, bytes());
    w.gradient[0] = 3;
    w.gradient[7] = -4;
    OK(step_with(&norm));
    assert_true(fabs(norm - 5) < 1e-12);
    assert_true(fabs((double)w.after[0] - w.before[0] + 1e-3) < 1e-7);
    assert_true(fabs((double)w.after[7] - w.before[7] - 1e-3) < 1e-7);
    w.before[0] = w.after[0];
    w.before[7] = w.after[7];
    assert_memory_equal(w.before, w.after, bytes());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimizer_names_where_a_gradient_is_no_number),
        cmocka_unit_test(test_optimizer_reports_the_norm_before_clipping),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
