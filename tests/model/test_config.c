/* test_config.c: config.json with its traps, adapter_config.json with what we do not do, and the
 * hub's cache. */
#include "support/support.h"

#include "../../host/model/internal.h"

static mn_status parse_model(struct mn_model_config *out, const char *text)
{
    json_t *object = NULL;
    OK(mn_json_parse(&object, text, strlen(text), "config.json"));
    mn_status st = mn_model_config_parse(out, object, "config.json");
    json_decref(object);
    return st;
}

static void test_absent_keys_take_the_class_defaults(void **state)
{
    struct mn_model_config c;
    (void)state;
    OK(parse_model(&c, "{\"model_type\":\"mistral\"}"));
    assert_int_equal(c.hidden, 4096);
    assert_int_equal(c.layers, 32);
    assert_int_equal(c.kv_heads, 8);
    assert_int_equal(c.head_dim, 128);
    assert_int_equal(c.vocab, 32000);
    assert_int_equal(c.sliding_window, 4096);
    assert_true(c.rms_eps == 1e-6 && c.rope_theta == 10000.0 && !c.tied);
    assert_int_equal(c.bos, 1);
    assert_int_equal(c.eos, 2);
}

static void test_mistral_7b_v03_has_its_parameters(void **state)
{
    struct mn_model_config c;
    (void)state;
    OK(parse_model(&c, "{\"architectures\":[\"MistralForCausalLM\"],\"model_type\":\"mistral\","
                       "\"vocab_size\":32768,\"rope_theta\":1000000.0,\"rms_norm_eps\":1e-05,"
                       "\"sliding_window\":null,\"max_position_embeddings\":32768}"));
    assert_int_equal(mn_model_parameters(&c), 7248023552);
    assert_int_equal(c.sliding_window, 0);
    assert_int_equal(mn_longest_sequence(&c), 32768);
}

static void test_theta_is_found_in_both_places(void **state)
{
    struct mn_model_config c;
    (void)state;
    OK(parse_model(&c, "{\"model_type\":\"mistral\",\"rope_theta\":5e5,\"rope_scaling\":null}"));
    assert_true(c.rope_theta == 5e5);
    OK(parse_model(&c, "{\"model_type\":\"mistral\",\"rope_parameters\":{\"rope_theta\":1000000,"
                       "\"rope_type\":\"default\"}}"));
    assert_true(c.rope_theta == 1e6);
}

static void test_null_head_dim_and_null_tokens(void **state)
{
    struct mn_model_config c;
    (void)state;
    OK(parse_model(&c, "{\"model_type\":\"mistral\",\"hidden_size\":64,\"num_attention_heads\":4,"
                       "\"num_key_value_heads\":2,\"head_dim\":null,\"bos_token_id\":null,"
                       "\"eos_token_id\":[7]}"));
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.bos, -1);
    assert_int_equal(c.eos, 7);
}

static void test_what_is_not_a_mistral_is_refused_by_name(void **state)
{
    static const struct {
        const char *text, *words;
        mn_status code;
    } bad[] = {
        {"{}", "model_type", MN_INVALID},
        {"{\"model_type\":\"llama\"}", "found \"llama\"", MN_UNSUPPORTED},
        {"{\"model_type\":\"mistral\",\"architectures\":[\"MistralModel\"]}",
         "found \"MistralModel\"", MN_UNSUPPORTED},
        {"{\"model_type\":\"mistral\",\"hidden_act\":\"gelu\"}", "found \"gelu\"", MN_UNSUPPORTED},
        {"{\"model_type\":\"mistral\",\"rope_scaling\":{\"rope_type\":\"yarn\"}}", "found \"yarn\"",
         MN_UNSUPPORTED},
        {"{\"model_type\":\"mistral\",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}",
         "found \"linear\"", MN_UNSUPPORTED},
        {"{\"model_type\":\"mistral\",\"quantization_config\":{}}", "quantization_config",
         MN_UNSUPPORTED},
        {"{\"model_type\":\"mistral\",\"num_attention_heads\":5,\"num_key_value_heads\":2}",
         "multiple of", MN_INVALID},
        {"{\"model_type\":\"mistral\",\"head_dim\":15}", "even", MN_INVALID},
        {"{\"model_type\":\"mistral\",\"hidden_size\":\"64\"}", "expected an integer", MN_INVALID},
        {"{\"model_type\":\"mistral\",\"num_hidden_layers\":0}", "num_hidden_layers", MN_INVALID},
        {"{\"model_type\":\"mistral\",\"rope_theta\":-1}", "rope_theta", MN_INVALID},
        {"{\"model_type\":\"mistral\",\"eos_token_id\":32000}", "eos_token_id", MN_INVALID},
    };
    struct mn_model_config c;
    (void)state;
    for (size_t i = 0; i < MN_COUNT(bad); i++) {
        FAILS(parse_model(&c, bad[i].text), bad[i].code, bad[i].words);
        assert_non_null(strstr(mn_error(), "config.json"));
    }
}

/* --- adapter_config.json
 * -------------------------------------------------------------------------- */

#define ADAPTER "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"target_modules\":"

static mn_status parse_adapter(struct mn_lora_config *out, const char *text)
{
    json_t *object = NULL;
    OK(mn_json_parse(&object, text, strlen(text), "adapter_config.json"));
    mn_status st = mn_lora_config_parse(out, object, "adapter_config.json");
    json_decref(object);
    return st;
}

static void test_adapter_targets_may_be_a_list_or_all_linear(void **state)
{
    struct mn_lora_config c;
    (void)state;
    OK(parse_adapter(&c, ADAPTER "[\"q_proj\",\"down_proj\"],\"use_rslora\":true}"));
    assert_true(c.target[MN_Q] && c.target[MN_DOWN] && !c.target[MN_K] && c.rslora);
    assert_true(mn_lora_scale(&c) == 4.0);
    OK(parse_adapter(&c, ADAPTER "\"all-linear\",\"rank_pattern\":{},\"layers_pattern\":null}"));
    for (int m = 0; m < MN_MODULES; m++) assert_true(c.target[m]);
    assert_true(mn_lora_scale(&c) == 2.0);
}

static void test_adapter_targets_may_be_ends_of_paths(void **state)
{
    struct mn_lora_config c;
    (void)state;
    OK(parse_adapter(&c, ADAPTER "[\"self_attn.q_proj\",\"model.layers.0.mlp.up_proj\","
                                 "\"layers.11.self_attn.o_proj\",\"1.self_attn.v_proj\"]}"));
    for (int m = 0; m < MN_MODULES; m++)
        assert_true(c.target[m] == (m == MN_Q || m == MN_UP || m == MN_O || m == MN_V));
    static const char *const wrong[] = {"mlp.q_proj",
                                        "model.layers.x.self_attn.q_proj",
                                        "q_proj.",
                                        "model.layers.0.q_proj",
                                        "model.0.self_attn.q_proj",
                                        "proj",
                                        "model.layers.self_attn.q_proj"};
    for (size_t i = 0; i < MN_COUNT(wrong); i++) {
        char text[256];
        snprintf(text, sizeof text, ADAPTER "[\"%s\"]}", wrong[i]);
        FAILS(parse_adapter(&c, text), MN_UNSUPPORTED, wrong[i]);
    }
}

static void test_adapter_keys_we_do_not_follow_are_named(void **state)
{
    static const char *const keys[] = {"\"use_dora\":true",
                                       "\"modules_to_save\":[\"lm_head\"]",
                                       "\"bias\":\"all\"",
                                       "\"fan_in_fan_out\":true",
                                       "\"rank_pattern\":{\"q\":2}",
                                       "\"alpha_pattern\":{\"q\":2}",
                                       "\"lora_bias\":true",
                                       "\"layers_to_transform\":[0]",
                                       "\"init_lora_weights\":\"pissa\"",
                                       "\"exclude_modules\":[\"q_proj\"]",
                                       "\"trainable_token_indices\":[3]",
                                       "\"some_future_key\":1"};
    struct mn_lora_config c;
    (void)state;
    for (size_t i = 0; i < MN_COUNT(keys); i++) {
        char text[256], key[64];
        snprintf(text, sizeof text, ADAPTER "[\"q_proj\"],%s}", keys[i]);
        snprintf(key, sizeof key, "%.*s", (int)(strchr(keys[i], ':') - keys[i]), keys[i]);
        FAILS(parse_adapter(&c, text), MN_UNSUPPORTED, key);
    }
    FAILS(parse_adapter(&c, ADAPTER "[\"lm_head\"]}"), MN_UNSUPPORTED, "found \"lm_head\"");
    FAILS(parse_adapter(&c, ADAPTER "\".*_proj\"}"), MN_UNSUPPORTED, "found \".*_proj\"");
    FAILS(parse_adapter(&c, ADAPTER "[]}"), MN_UNSUPPORTED, "target_modules");
    FAILS(parse_adapter(&c, "{\"peft_type\":\"IA3\"}"), MN_UNSUPPORTED, "IA3");
    FAILS(parse_adapter(&c, ADAPTER "[\"q_proj\"],\"lora_dropout\":1}"), MN_INVALID, "dropout");
}

/* --- the hub
 * -------------------------------------------------------------------------------------- */

static void test_hub_names_resolve_in_the_local_cache(void **state)
{
    const char *folder = NULL, *cache = test_scratch("hub");
    mn_arena *arena = NULL;
    (void)state;
    OK(mn_arena_open(&arena));
    OK(mn_make_directories(test_scratch("hub/models--owner--tiny/snapshots/abc123")));
    OK(mn_make_directories(test_scratch("hub/models--owner--tiny/refs")));
    OK(mn_file_write(test_scratch("hub/models--owner--tiny/refs/main"), "abc123\n", 7));
    FAILS(mn_hub_resolve(arena, "owner/tiny", cache, &folder), MN_NOT_FOUND, "no config.json");
    OK(mn_file_write(test_scratch("hub/models--owner--tiny/snapshots/abc123/config.json"), "{}",
                     2));
    OK(mn_hub_resolve(arena, "owner/tiny", cache, &folder));
    assert_string_equal(folder, test_scratch("hub/models--owner--tiny/snapshots/abc123"));
    OK(mn_hub_resolve(arena, test_fixture("model/tiny"), NULL, &folder));
    assert_string_equal(folder, test_fixture("model/tiny"));
    FAILS(mn_hub_resolve(arena, "owner/other", cache, &folder), MN_NOT_FOUND, "refs/main");
    FAILS(mn_hub_resolve(arena, "owner/..", cache, &folder), MN_NOT_FOUND, "not a hub name");
    FAILS(mn_hub_resolve(arena, "tiny", cache, &folder), MN_NOT_FOUND, "not a hub name");
    FAILS(mn_hub_resolve(arena, cache, cache, &folder), MN_NOT_FOUND, "has a config.json");
    OK(mn_file_write(test_scratch("hub/models--owner--tiny/refs/main"), "../../x", 7));
    FAILS(mn_hub_resolve(arena, "owner/tiny", cache, &folder), MN_INVALID, "not a commit");
    mn_arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_keys_take_the_class_defaults),
        cmocka_unit_test(test_mistral_7b_v03_has_its_parameters),
        cmocka_unit_test(test_theta_is_found_in_both_places),
        cmocka_unit_test(test_null_head_dim_and_null_tokens),
        cmocka_unit_test(test_what_is_not_a_mistral_is_refused_by_name),
        cmocka_unit_test(test_adapter_targets_may_be_a_list_or_all_linear),
        cmocka_unit_test(test_adapter_targets_may_be_ends_of_paths),
        cmocka_unit_test(test_adapter_keys_we_do_not_follow_are_named),
        cmocka_unit_test(test_hub_names_resolve_in_the_local_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
