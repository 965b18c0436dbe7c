/* The audit of an adapter: norms against the product written out, and what is refused by name. */
#include <math.h>

#include "minuano/audit.h"
#include "minuano/safetensors.h"
#include "support/support.h"

struct world {
    mn_arena *arena;
    mn_device *device;
    mn_model *model;
};
static struct world world;

static int open_world(void **state)
{
    (void)state;
    OK(mn_arena_open(&world.arena));
    OK(mn_reference_device_open(&world.device, 1));
    OK(mn_model_open(&world.model, world.device, test_fixture("model/tiny"), NULL));
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    mn_model_close(&world.model);
    mn_device_close(&world.device);
    mn_arena_close(&world.arena);
    return 0;
}

static const char *const path_of[MN_MODULES] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};

static const char *tensor_name(int layer, enum mn_module module, char side)
{
    return mn_arena_printf(world.arena, "base_model.model.model.layers.%d.%s.lora_%c.weight", layer,
                           path_of[module], side);
}

/* PEFT wrote the file in fp32: its tensors are arrays of float. */
static const float *values_of(const mn_tensors *tensors, int layer, enum mn_module module,
                              char side)
{
    const struct mn_tensor *tensor = mn_tensors_find(tensors, tensor_name(layer, module, side));
    float *values = MN_NEW(world.arena, float, tensor->count);
    assert_int_equal(tensor->type, MN_F32);
    memcpy(values, tensor->data, (size_t)tensor->count * sizeof *values);
    return values;
}

/* Every element of s·B·A, squared and summed. */
static double written_out(const float *a, const float *b, int out, int in, int rank, double scale)
{
    double sum = 0;
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++) {
            double element = 0;
            for (int r = 0; r < rank; r++)
                element += (double)b[o * rank + r] * (double)a[r * in + i];
            sum += scale * element * scale * element;
        }
    return sqrt(sum);
}

static void test_audit_norms_are_those_of_the_product_written_out(void **state)
{
    (void)state;
    const char *folder = test_fixture("model/adapters/all");
    const double scale = 10 / sqrt(4); /* rsLoRA: alpha 10, rank 4 */
    struct mn_audit audit;
    mn_tensors *tensors;
    double all = 0;
    OK(mn_adapter_audit(world.arena, folder, &audit));
    OK(mn_tensors_open(&tensors, mn_path(world.arena, folder, "adapter_model.safetensors")));
    assert_int_equal(audit.count, 3 * MN_MODULES);
    assert_int_equal(audit.layers, 3);
    for (size_t i = 0; i < audit.count; i++) {
        const struct mn_audit_module *m = &audit.module[i];
        assert_int_equal(m->layer, i / MN_MODULES);
        assert_int_equal(m->module, i % MN_MODULES);
        double norm =
            written_out(values_of(tensors, m->layer, m->module, 'A'),
                        values_of(tensors, m->layer, m->module, 'B'), m->out, m->in, 4, scale);
        if (fabs(m->delta_norm - norm) > 1e-12 * norm)
            fail_msg("layer %d, %s: found %.15g, expected %.15g", m->layer,
                     mn_module_names[m->module], m->delta_norm, norm);
        all += norm * norm;
    }
    assert_true(fabs(audit.delta_norm - sqrt(all)) <= 1e-12 * sqrt(all));
    assert_int_equal(audit.zero_b, 0);
    assert_null(audit.base);
    OK(mn_audit_check(&audit, world.model->fingerprint, false));
    mn_tensors_close(&tensors);
}

/* --- an adapter made for the purpose ---------------------------------------------------------- */

/* On q and up of the model, B zero unless `fill` says otherwise, saved into a scratch folder. */
static const char *make_adapter(const char *name, void (*fill)(mn_adapter *adapter))
{
    const struct mn_lora_config config = {.rank = 3, .alpha = 6, .target = {true, [MN_UP] = true}};
    const char *folder = test_scratch(name);
    mn_adapter *adapter;
    OK(mn_adapter_new(&adapter, world.model, &config, 7));
    if (fill) fill(adapter);
    OK(mn_adapter_save(adapter, folder));
    mn_adapter_close(&adapter);
    return folder;
}

static void fill_last_b(mn_adapter *adapter) /* of layer 2, up_proj */
{
    adapter->master[adapter->count - 1] = 0.5f;
}

static void poison_last_b(mn_adapter *adapter)
{
    adapter->master[adapter->count - 1] = INFINITY;
    adapter->master[adapter->count - 2] = NAN;
}

static void zero_all_a(mn_adapter *adapter)
{
    for (int64_t i = 0; i < adapter->count; i++) adapter->master[i] = adapter->master[i] == 0;
}

static mn_status open_audited(const char *folder, bool allow_dead)
{
    mn_adapter *adapter = NULL;
    mn_status st = mn_adapter_open_audited(&adapter, world.model, folder, allow_dead);
    mn_adapter_close(&adapter);
    return st;
}

static void test_dead_adapter_is_refused_by_name(void **state)
{
    (void)state;
    const char *fresh = make_adapter("fresh", NULL), *no_a = make_adapter("no-a", zero_all_a);
    FAILS(open_audited(fresh, false), MN_INVALID, "every B is zero");
    assert_non_null(strstr(mn_error(), fresh));
    OK(open_audited(fresh, true));
    FAILS(open_audited(no_a, false), MN_INVALID, "s·B·A is zero everywhere");
    OK(open_audited(no_a, true));
}

static void test_modules_with_zero_b_are_counted(void **state)
{
    (void)state;
    struct mn_audit audit;
    const char *folder = make_adapter("half", fill_last_b);
    OK(mn_adapter_audit(world.arena, folder, &audit));
    assert_int_equal(audit.count, 6);
    assert_int_equal(audit.zero_b, 5);
    assert_true(audit.module[5].delta_norm > 0 && audit.module[4].delta_norm == 0);
    assert_true(audit.delta_norm == audit.module[5].delta_norm);
    OK(open_audited(folder, false));
}

static void test_values_that_are_no_numbers_are_named(void **state)
{
    (void)state;
    struct mn_audit audit;
    const char *folder = make_adapter("poisoned", poison_last_b);
    OK(mn_adapter_audit(world.arena, folder, &audit));
    assert_int_equal(audit.not_finite, 2);
    assert_int_equal(audit.bad_element, 64 * 3 - 2);
    assert_true(isnan(audit.delta_norm));
    FAILS(open_audited(folder, true), MN_NUMERIC, tensor_name(2, MN_UP, 'B'));
}

/* --- the base --------------------------------------------------------------------------------- */

static void test_adapter_of_another_base_is_refused(void **state)
{
    (void)state;
    const char *folder = make_adapter("ours", fill_last_b);
    struct mn_model_config config = world.model->config;
    mn_model *other;
    mn_adapter *adapter = NULL;
    struct mn_audit audit;
    OK(mn_adapter_audit(world.arena, folder, &audit));
    assert_string_equal(audit.base, world.model->fingerprint);
    OK(mn_model_random(&other, world.device, &config, 3, NULL));
    FAILS(mn_adapter_open(&adapter, other, folder, true), MN_INVALID, "another base");
    FAILS(mn_adapter_open_audited(&adapter, other, folder, true), MN_INVALID, "another base");
    OK(mn_adapter_open(&adapter, other, test_fixture("model/adapters/qv"), false)); /* unknown */
    mn_adapter_close(&adapter);
    mn_model_close(&other);
}

static void test_audit_of_tensors_that_do_not_fit_together_fails(void **state)
{
    (void)state;
    const char *folder = make_adapter("misfit", fill_last_b);
    const char *config = mn_path(world.arena, folder, "adapter_config.json");
    struct mn_audit audit;
    json_t *object;
    OK(mn_json_load(&object, config));
    json_object_set_new(object, "r", json_integer(4));
    OK(mn_json_write(config, object));
    FAILS(mn_adapter_audit(world.arena, folder, &audit), MN_INVALID, "expected shape [4, 48]");
    json_object_set_new(object, "r", json_integer(3));
    json_object_set_new(object, "target_modules", json_pack("[s]", "q_proj"));
    OK(mn_json_write(config, object));
    FAILS(mn_adapter_audit(world.arena, folder, &audit), MN_INVALID, "does not belong");
    json_object_set_new(object, "target_modules", json_pack("[s,s]", "q_proj", "k_proj"));
    OK(mn_json_write(config, object));
    FAILS(mn_adapter_audit(world.arena, folder, &audit), MN_INVALID, "k_proj.lora_A");
    json_object_set_new(object, "r", json_integer(65536));
    OK(mn_json_write(config, object));
    FAILS(mn_adapter_audit(world.arena, folder, &audit), MN_UNSUPPORTED, "rank of at most 4096");
    json_decref(object);
}

static void test_fingerprint_of_the_files_is_that_of_the_model(void **state)
{
    (void)state;
    char fingerprint[65];
    OK(mn_model_fingerprint(test_fixture("model/tiny"), fingerprint));
    assert_string_equal(fingerprint, world.model->fingerprint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit_norms_are_those_of_the_product_written_out),
        cmocka_unit_test(test_dead_adapter_is_refused_by_name),
        cmocka_unit_test(test_modules_with_zero_b_are_counted),
        cmocka_unit_test(test_values_that_are_no_numbers_are_named),
        cmocka_unit_test(test_adapter_of_another_base_is_refused),
        cmocka_unit_test(test_audit_of_tensors_that_do_not_fit_together_fails),
        cmocka_unit_test(test_fingerprint_of_the_files_is_that_of_the_model),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
