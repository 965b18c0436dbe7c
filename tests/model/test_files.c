/* test_files.c: model and adapter folders that are not what they say are refused, naming file,
 * tensor, expected and found; nothing half-written is left. */
#include "support/support.h"

#include "minuano/model.h"
#include "minuano/safetensors.h"

static mn_device *device;

static int open_device(void **state)
{
    (void)state;
    OK(mn_reference_device_open(&device, 1));
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    mn_device_close(&device);
    return 0;
}

static void copy(const char *from, const char *to)
{
    mn_arena *arena = NULL;
    char *data;
    size_t size;
    OK(mn_arena_open(&arena));
    OK(mn_file_read(arena, from, &data, &size));
    OK(mn_file_write(to, data, size));
    mn_arena_close(&arena);
}

/* The tensors of `from` written to `to`, `change` applied to each; false leaves one out. */
static void rewrite(const char *from, const char *to, bool (*change)(struct mn_tensor *tensor),
                    const struct mn_tensor *extra)
{
    mn_tensors *tensors = NULL;
    size_t count = 0;
    OK(mn_tensors_open(&tensors, from));
    struct mn_tensor *list = calloc(mn_tensors_count(tensors) + 1, sizeof *list);
    for (size_t i = 0; i < mn_tensors_count(tensors); i++) {
        list[count] = *mn_tensors_at(tensors, i);
        if (!change || change(&list[count])) count++;
    }
    if (extra) list[count++] = *extra;
    OK(mn_tensors_write(to, list, count, NULL, NULL));
    free(list);
    mn_tensors_close(&tensors);
}

static bool drop_norm(struct mn_tensor *tensor)
{
    return strcmp(tensor->name, "model.layers.1.input_layernorm.weight") != 0;
}

static bool transpose_down(struct mn_tensor *tensor)
{
    if (strcmp(tensor->name, "model.layers.2.mlp.down_proj.weight") == 0) {
        tensor->shape[0] = 64;
        tensor->shape[1] = 48;
    }
    return true;
}

static void test_wrong_tensors_of_a_model_are_named(void **state)
{
    static const float zeros[4];
    const struct mn_tensor stranger = {.name = "model.layers.3.mlp.up_proj.bias",
                                       .type = MN_F32,
                                       .dims = 1,
                                       .shape = {4},
                                       .count = 4,
                                       .data = zeros};
    const char *weights = test_fixture("model/tiny/model.safetensors");
    mn_model *model = NULL;
    (void)state;
    OK(mn_make_directories(test_scratch("broken")));
    copy(test_fixture("model/tiny/config.json"), test_scratch("broken/config.json"));
    FAILS(mn_model_open(&model, device, test_scratch("broken"), NULL), MN_NOT_FOUND,
          "expected model.safetensors");
    rewrite(weights, test_scratch("broken/model.safetensors"), drop_norm, NULL);
    FAILS(mn_model_open(&model, device, test_scratch("broken"), NULL), MN_INVALID,
          "tensor model.layers.1.input_layernorm.weight is missing");
    rewrite(weights, test_scratch("broken/model.safetensors"), transpose_down, NULL);
    FAILS(mn_model_open(&model, device, test_scratch("broken"), NULL), MN_INVALID,
          "tensor model.layers.2.mlp.down_proj.weight: expected shape [48, 64], found [64, 48]");
    rewrite(weights, test_scratch("broken/model.safetensors"), NULL, &stranger);
    FAILS(mn_model_open(&model, device, test_scratch("broken"), NULL), MN_INVALID,
          "tensor model.layers.3.mlp.up_proj.bias does not belong");
    rewrite(weights, test_scratch("broken/model.safetensors"), NULL, NULL);
    OK(mn_model_open(&model, device, test_scratch("broken"), NULL));
    mn_model_close(&model);
}

static bool nudge(struct mn_tensor *tensor)
{
    static uint16_t changed[48];
    if (strcmp(tensor->name, "model.norm.weight") == 0) {
        memcpy(changed, tensor->data, sizeof changed);
        changed[47] ^= 1;
        tensor->data = changed;
    }
    return true;
}

static void test_fingerprint_follows_the_values_not_the_files(void **state)
{
    mn_model *model = NULL, *same = NULL, *other = NULL;
    const char *weights = test_fixture("model/tiny/model.safetensors");
    (void)state;
    for (int i = 0; i < 2; i++) {
        OK(mn_make_directories(test_scratch(i ? "other" : "same")));
        copy(test_fixture("model/tiny/config.json"),
             test_scratch(i ? "other/config.json" : "same/config.json"));
    }
    rewrite(weights, test_scratch("same/model.safetensors"), NULL, NULL);
    rewrite(weights, test_scratch("other/model.safetensors"), nudge, NULL);
    OK(mn_model_open(&model, device, test_fixture("model/tiny"), NULL));
    OK(mn_model_open(&same, device, test_scratch("same"), NULL));
    OK(mn_model_open(&other, device, test_scratch("other"), NULL));
    assert_int_equal(strlen(model->fingerprint), 64);
    assert_string_equal(model->fingerprint, same->fingerprint);
    assert_string_not_equal(model->fingerprint, other->fingerprint);
    mn_model_close(&other);
    mn_model_close(&same);
    mn_model_close(&model);
}

static bool drop_b(struct mn_tensor *tensor)
{
    return !strstr(tensor->name, "layers.2.self_attn.v_proj.lora_B");
}

static void test_wrong_tensors_of_an_adapter_are_named(void **state)
{
    static const uint16_t zeros[4];
    const struct mn_tensor stranger = {.name = "base_model.model.lm_head.lora_A.weight",
                                       .type = MN_BF16,
                                       .dims = 1,
                                       .shape = {4},
                                       .count = 4,
                                       .data = zeros};
    const char *weights = test_fixture("model/adapters/qv/adapter_model.safetensors");
    mn_model *model = NULL;
    mn_adapter *adapter = NULL;
    (void)state;
    OK(mn_model_open(&model, device, test_fixture("model/tiny"), NULL));
    OK(mn_make_directories(test_scratch("adapter")));
    copy(test_fixture("model/adapters/qv/adapter_config.json"),
         test_scratch("adapter/adapter_config.json"));
    rewrite(weights, test_scratch("adapter/adapter_model.safetensors"), drop_b, NULL);
    FAILS(mn_adapter_open(&adapter, model, test_scratch("adapter"), false), MN_INVALID,
          "layers.2.self_attn.v_proj.lora_B.weight is missing");
    rewrite(weights, test_scratch("adapter/adapter_model.safetensors"), NULL, &stranger);
    FAILS(mn_adapter_open(&adapter, model, test_scratch("adapter"), false), MN_INVALID,
          "tensor base_model.model.lm_head.lora_A.weight does not belong");
    copy(test_fixture("model/adapters/all/adapter_config.json"),
         test_scratch("adapter/adapter_config.json"));
    FAILS(mn_adapter_open(&adapter, model, test_scratch("adapter"), false), MN_INVALID,
          "expected shape [4, 48], found [3, 48]");
    mn_model_close(&model);
}

static void test_fresh_adapter_is_uniform_and_silent(void **state)
{
    const struct mn_lora_config config = {.rank = 8, .alpha = 16, .target = {true, [MN_UP] = true}};
    mn_model *model = NULL;
    mn_adapter *adapter = NULL, *same = NULL;
    (void)state;
    OK(mn_model_open(&model, device, test_fixture("model/tiny"), NULL));
    OK(mn_adapter_new(&adapter, model, &config, 5));
    OK(mn_adapter_new(&same, model, &config, 5));
    assert_int_equal(adapter->count, 3 * (8 * 48 + 64 * 8 + 8 * 48 + 64 * 8));
    float *values = malloc((size_t)adapter->count * sizeof *values);
    OK(device->calls->download(device, values, adapter->master,
                               (size_t)adapter->count * sizeof *values));
    assert_memory_equal(values, same->master, (size_t)adapter->count * sizeof *values);
    const float bound = 0.144338f; /* 1/sqrt(48) */
    float low = 1, high = -1;
    for (int64_t i = 0; i < 8 * 48; i++) { /* A of layer 0's q_proj, then its B */
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
    }
    assert_true(low >= -bound && low < -0.9f * bound && high <= bound && high > 0.9f * bound);
    for (int64_t i = 0; i < 64 * 8; i++) assert_true(values[8 * 48 + i] == 0);
    free(values);
    mn_adapter_close(&same);
    mn_adapter_close(&adapter);
    mn_model_close(&model);
}

static void test_failed_merge_leaves_nothing(void **state)
{
    mn_arena *arena = NULL;
    char **names;
    size_t count;
    (void)state;
    OK(mn_arena_open(&arena));
    OK(mn_make_directories(test_scratch("out")));
    FAILS(mn_merge(test_fixture("model/sharded"), test_fixture("model/adapters/qv"),
                   test_scratch("out/merged")),
          MN_INVALID, "expected shape");
    FAILS(mn_merge(test_fixture("model/tiny"), test_fixture("model/adapters/qv"),
                   test_scratch("out")),
          MN_INVALID, "does not exist yet");
    OK(mn_directory_list(arena, test_scratch("out"), &names, &count));
    assert_int_equal(count, 0);
    mn_arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_tensors_of_a_model_are_named),
        cmocka_unit_test(test_fingerprint_follows_the_values_not_the_files),
        cmocka_unit_test(test_wrong_tensors_of_an_adapter_are_named),
        cmocka_unit_test(test_fresh_adapter_is_uniform_and_silent),
        cmocka_unit_test(test_failed_merge_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
