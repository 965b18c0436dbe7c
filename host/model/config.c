/* config.c: config.json of a Mistral, with the defaults that transformers' MistralConfig gives to
 * absent keys, and the shapes that follow from it. */
#include <string.h>

#include "internal.h"

const char *const mn_module_names[MN_MODULES + 1] = {"q_proj",    "k_proj",  "v_proj",    "o_proj",
                                                     "gate_proj", "up_proj", "down_proj", NULL};

static int qkv_width(const struct mn_model_config *config)
{
    return (config->heads + 2 * config->kv_heads) * config->head_dim;
}

struct mn_weight mn_fused_shape(const struct mn_model_config *c, enum mn_fused fused)
{
    switch (fused) {
    case MN_FUSED_QKV: return (struct mn_weight){.out = qkv_width(c), .in = c->hidden};
    case MN_FUSED_O: return (struct mn_weight){.out = c->hidden, .in = c->heads * c->head_dim};
    case MN_FUSED_GATE_UP: return (struct mn_weight){.out = 2 * c->ff, .in = c->hidden};
    default: return (struct mn_weight){.out = c->hidden, .in = c->ff};
    }
}

struct module_shape mn_module_shape(const struct mn_model_config *c, enum mn_module module)
{
    const int q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    switch (module) {
    case MN_Q: return (struct module_shape){MN_FUSED_QKV, q, c->hidden, 0};
    case MN_K: return (struct module_shape){MN_FUSED_QKV, kv, c->hidden, q};
    case MN_V: return (struct module_shape){MN_FUSED_QKV, kv, c->hidden, q + kv};
    case MN_O: return (struct module_shape){MN_FUSED_O, c->hidden, q, 0};
    case MN_GATE: return (struct module_shape){MN_FUSED_GATE_UP, c->ff, c->hidden, 0};
    case MN_UP: return (struct module_shape){MN_FUSED_GATE_UP, c->ff, c->hidden, c->ff};
    default: return (struct module_shape){MN_FUSED_DOWN, c->hidden, c->ff, 0};
    }
}

const char *mn_module_path(enum mn_module module)
{
    static const char *const paths[MN_MODULES] = {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
    return paths[module];
}

int mn_longest_sequence(const struct mn_model_config *config)
{
    return config->sliding_window && config->sliding_window < config->max_positions
               ? config->sliding_window
               : config->max_positions;
}

int64_t mn_model_parameters(const struct mn_model_config *config)
{
    int64_t layer = 2 * (int64_t)config->hidden;
    for (int f = 0; f < MN_FUSED; f++) {
        struct mn_weight shape = mn_fused_shape(config, (enum mn_fused)f);
        layer += (int64_t)shape.out * shape.in;
    }
    return layer * config->layers + (int64_t)config->hidden +
           (int64_t)config->vocab * config->hidden * (config->tied ? 1 : 2);
}

static mn_status check_architecture(const json_t *object, const char *path)
{
    const char *type, *activation;
    const json_t *list = json_object_get(object, "architectures");
    MN_TRY(mn_json_string(object, path, "model_type", &type));
    if (strcmp(type, "mistral") != 0)
        return mn_fail(MN_UNSUPPORTED, "%s: model_type: expected \"mistral\", found \"%s\"", path,
                       type);
    if (list && !json_is_null(list)) {
        const char *name = json_string_value(json_array_get(list, 0));
        if (!name || strcmp(name, "MistralForCausalLM") != 0)
            return mn_fail(MN_UNSUPPORTED,
                           "%s: architectures: expected \"MistralForCausalLM\", found \"%s\"", path,
                           name ? name : mn_json_kind(list));
    }
    MN_TRY(mn_json_string_or(object, path, "hidden_act", "silu", &activation));
    if (strcmp(activation, "silu") != 0)
        return mn_fail(MN_UNSUPPORTED, "%s: hidden_act: expected \"silu\", found \"%s\"", path,
                       activation);
    return MN_OK;
}

/* Keys that change what the model computes, in ways that we do not follow. */
static mn_status check_unsupported(const json_t *object, const char *path)
{
    static const char *const keys[] = {"quantization_config", "attention_bias", "mlp_bias",
                                       "layer_types"};
    for (size_t i = 0; i < MN_COUNT(keys); i++) {
        const json_t *value = json_object_get(object, keys[i]);
        if (value && !json_is_null(value) && !json_is_false(value))
            return mn_fail(MN_UNSUPPORTED, "%s: key \"%s\": expected none, found %s", path, keys[i],
                           mn_json_kind(value));
    }
    return MN_OK;
}

/* theta stands at the top, in rope_parameters (transformers 5), or nowhere: 10000. Any scaling of
 * the positions but "default" is refused. */
static mn_status parse_rope(struct mn_model_config *out, const json_t *object, const char *path)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    MN_TRY(mn_json_real_or(object, path, "rope_theta", 10000.0, &out->rope_theta));
    for (size_t i = 0; i < MN_COUNT(keys); i++) {
        const json_t *rope = json_object_get(object, keys[i]);
        const char *type, *older;
        if (!rope || json_is_null(rope)) continue;
        MN_TRY(mn_json_object(object, path, keys[i], &rope));
        MN_TRY(mn_json_string_or(rope, path, "type", "default", &older));
        MN_TRY(mn_json_string_or(rope, path, "rope_type", older, &type));
        if (strcmp(type, "default") != 0)
            return mn_fail(MN_UNSUPPORTED,
                           "%s: key \"%s\": expected rope_type \"default\", found \"%s\"", path,
                           keys[i], type);
        MN_TRY(mn_json_real_or(rope, path, "rope_theta", out->rope_theta, &out->rope_theta));
    }
    if (!(out->rope_theta > 0 && out->rope_theta < 1e30))
        return mn_fail(MN_INVALID, "%s: key \"rope_theta\": expected a positive number, found %g",
                       path, out->rope_theta);
    return MN_OK;
}

/* An integer that may be written as null, which is not the same as absent. */
static mn_status parse_nullable(const json_t *object, const char *path, const char *key, int absent,
                                int null, int64_t high, int *out)
{
    const json_t *value = json_object_get(object, key);
    int64_t number;
    if (json_is_null(value)) {
        *out = null;
        return MN_OK;
    }
    MN_TRY(mn_json_int_or(object, path, key, 0, high, absent, &number));
    *out = (int)number;
    return MN_OK;
}

static mn_status parse_special(struct mn_model_config *out, const json_t *object, const char *path)
{
    const json_t *eos = json_object_get(object, "eos_token_id");
    MN_TRY(parse_nullable(object, path, "bos_token_id", 1, -1, out->vocab - 1, &out->bos));
    if (json_is_array(eos) && json_array_size(eos) != 1)
        return mn_fail(MN_UNSUPPORTED, "%s: key \"eos_token_id\": expected one token, found %zu",
                       path, json_array_size(eos));
    if (!json_is_array(eos))
        return parse_nullable(object, path, "eos_token_id", 2, -1, out->vocab - 1, &out->eos);
    const json_t *only = json_array_get(eos, 0);
    if (!json_is_integer(only) || json_integer_value(only) < 0 ||
        json_integer_value(only) >= out->vocab)
        return mn_fail(MN_INVALID, "%s: key \"eos_token_id\": expected a token below %d", path,
                       out->vocab);
    out->eos = (int)json_integer_value(only);
    return MN_OK;
}

static mn_status parse_sizes(struct mn_model_config *out, const json_t *object, const char *path)
{
    const struct {
        const char *key;
        int *field;
        int64_t high, fallback;
    } sizes[] = {{"hidden_size", &out->hidden, 1 << 20, 4096},
                 {"num_hidden_layers", &out->layers, 1 << 12, 32},
                 {"num_attention_heads", &out->heads, 1 << 12, 32},
                 {"num_key_value_heads", &out->kv_heads, 1 << 12, 8},
                 {"intermediate_size", &out->ff, 1 << 20, 14336},
                 {"vocab_size", &out->vocab, 1 << 24, 32000},
                 {"max_position_embeddings", &out->max_positions, 1 << 24, 131072}};
    for (size_t i = 0; i < MN_COUNT(sizes); i++) {
        int64_t number;
        MN_TRY(mn_json_int_or(object, path, sizes[i].key, 1, sizes[i].high, sizes[i].fallback,
                              &number));
        *sizes[i].field = (int)number;
    }
    /* Present but null: one key/value head a query head. */
    if (json_is_null(json_object_get(object, "num_key_value_heads"))) out->kv_heads = out->heads;
    return MN_OK;
}

static mn_status check_shapes(const struct mn_model_config *c, const char *path)
{
    if (c->heads % c->kv_heads)
        return mn_fail(MN_INVALID,
                       "%s: key \"num_attention_heads\": expected a multiple of "
                       "num_key_value_heads %d, found %d",
                       path, c->kv_heads, c->heads);
    if (c->head_dim < 2 || c->head_dim % 2)
        return mn_fail(MN_INVALID, "%s: key \"head_dim\": expected an even number, found %d", path,
                       c->head_dim);
    if ((int64_t)(c->heads + 2 * c->kv_heads) * c->head_dim > 1 << 24)
        return mn_fail(MN_INVALID, "%s: heads and head_dim give a projection of %lld columns", path,
                       (long long)(c->heads + 2 * c->kv_heads) * c->head_dim);
    return MN_OK;
}

mn_status mn_model_config_parse(struct mn_model_config *out, const json_t *object, const char *path)
{
    struct mn_model_config c = {0};
    int64_t number;
    MN_TRY(check_architecture(object, path));
    MN_TRY(check_unsupported(object, path));
    MN_TRY(parse_sizes(&c, object, path));
    MN_TRY(mn_json_int_or(object, path, "head_dim", 1, 1 << 16, c.hidden / c.heads, &number));
    c.head_dim = (int)number;
    MN_TRY(parse_nullable(object, path, "sliding_window", 4096, 0, INT32_MAX, &c.sliding_window));
    MN_TRY(mn_json_real_or(object, path, "rms_norm_eps", 1e-6, &c.rms_eps));
    if (!(c.rms_eps >= 0 && c.rms_eps < 1))
        return mn_fail(MN_INVALID, "%s: key \"rms_norm_eps\": expected 0 … 1, found %g", path,
                       c.rms_eps);
    MN_TRY(mn_json_bool_or(object, path, "tie_word_embeddings", false, &c.tied));
    MN_TRY(parse_rope(&c, object, path));
    MN_TRY(parse_special(&c, object, path));
    MN_TRY(check_shapes(&c, path));
    *out = c;
    return MN_OK;
}

mn_status mn_model_config_read(struct mn_model_config *out, const char *folder)
{
    mn_status st;
    mn_arena *arena = NULL;
    json_t *object = NULL;
    MN_TRY(mn_arena_open(&arena));
    const char *path = mn_path(arena, folder, "config.json");
    MN_GO(mn_json_load(&object, path));
    MN_GO(mn_model_config_parse(out, object, path));
done:
    json_decref(object);
    mn_arena_close(&arena);
    return st;
}
