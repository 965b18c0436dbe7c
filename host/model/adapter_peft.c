/* adapter_peft.c: adapters as PEFT folders: adapter_config.json and adapter_model.safetensors. What
 * the config asks for and we do not do is an error that names the key. */
#include <string.h>

#include "internal.h"

/* Keys that we follow, and keys that change nothing about what the adapter computes. Any other key
 * must be off: null, false, empty. */
static const char *const known_keys[] = {"peft_type",         "r",
                                         "lora_alpha",        "lora_dropout",
                                         "target_modules",    "bias",
                                         "use_rslora",        "base_model_name_or_path",
                                         "init_lora_weights", "task_type",
                                         "inference_mode",    "revision",
                                         "auto_mapping",      "peft_version",
                                         "megatron_core",     "qalora_group_size",
                                         "loftq_config",      NULL};

static bool is_known(const char *key)
{
    for (size_t i = 0; known_keys[i]; i++)
        if (strcmp(known_keys[i], key) == 0) return true;
    return false;
}

static bool is_off(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static mn_status check_rest(const json_t *object, const char *path)
{
    const char *key, *bias, *type;
    json_t *value;
    MN_TRY(mn_json_string(object, path, "peft_type", &type));
    if (strcmp(type, "LORA") != 0)
        return mn_fail(MN_UNSUPPORTED, "%s: key \"peft_type\": expected \"LORA\", found \"%s\"",
                       path, type);
    MN_TRY(mn_json_string_or(object, path, "bias", "none", &bias));
    if (strcmp(bias, "none") != 0)
        return mn_fail(MN_UNSUPPORTED, "%s: key \"bias\": expected \"none\", found \"%s\"", path,
                       bias);
    json_object_foreach ((json_t *)object, key, value) {
        if (!is_known(key) && !is_off(value))
            return mn_fail(MN_UNSUPPORTED, "%s: key \"%s\": expected none, found %s", path, key,
                           mn_json_kind(value));
    }
    /* Initializations that change the base weights as well (PiSSA, OLoRA, LoftQ, …) leave an
     * adapter that is wrong on the plain base. */
    const json_t *init = json_object_get(object, "init_lora_weights");
    const char *name = json_string_value(init);
    if (name && strcmp(name, "gaussian") != 0 && strcmp(name, "orthogonal") != 0 &&
        strcmp(name, "eva") != 0)
        return mn_fail(MN_UNSUPPORTED,
                       "%s: key \"init_lora_weights\": expected true, false, \"gaussian\", "
                       "\"orthogonal\" or \"eva\", found \"%s\"",
                       path, name);
    return MN_OK;
}

/* PEFT takes any end of a module's path for its name, and writes whole paths for "all-linear" where
 * the model is small. That a module is adapted in every layer is checked with the tensors. */
static bool names_module(const char *name, enum mn_module module)
{
    const char *path = mn_module_path(module);
    if (strcmp(name, mn_module_names[module]) == 0 || strcmp(name, path) == 0) return true;
    if (strncmp(name, "model.layers.", 13) == 0) name += 6;
    if (strncmp(name, "layers.", 7) == 0) name += 7;
    const size_t digits = strspn(name, "0123456789");
    return digits > 0 && name[digits] == '.' && strcmp(name + digits + 1, path) == 0;
}

static mn_status add_target(struct mn_lora_config *out, const json_t *value, const char *path)
{
    const char *name = json_string_value(value);
    for (int m = 0; name && m < MN_MODULES; m++)
        if (names_module(name, (enum mn_module)m)) {
            out->target[m] = true;
            return MN_OK;
        }
    return mn_fail(MN_UNSUPPORTED,
                   "%s: key \"target_modules\": expected names among q_proj, k_proj, v_proj, "
                   "o_proj, gate_proj, up_proj, down_proj, found %s%s%s",
                   path, name ? "\"" : "", name ? name : mn_json_kind(value), name ? "\"" : "");
}

static mn_status parse_targets(struct mn_lora_config *out, const json_t *object, const char *path)
{
    const json_t *targets = json_object_get(object, "target_modules");
    const char *word = json_string_value(targets);
    if (word && strcmp(word, "all-linear") == 0) {
        for (int m = 0; m < MN_MODULES; m++) out->target[m] = true;
        return MN_OK;
    }
    if (!json_is_array(targets) || json_array_size(targets) == 0)
        return mn_fail(MN_UNSUPPORTED,
                       "%s: key \"target_modules\": expected a list of modules or \"all-linear\", "
                       "found %s%s%s",
                       path, word ? "\"" : "", word ? word : mn_json_kind(targets),
                       word ? "\"" : "");
    for (size_t i = 0; i < json_array_size(targets); i++)
        MN_TRY(add_target(out, json_array_get(targets, i), path));
    return MN_OK;
}

mn_status mn_lora_config_parse(struct mn_lora_config *out, const json_t *object, const char *path)
{
    struct mn_lora_config config = {0};
    const char *base;
    int64_t rank;
    MN_TRY(check_rest(object, path));
    MN_TRY(mn_json_int_or(object, path, "r", 1, 65536, 8, &rank)); /* PEFT's defaults: 8, 8, 0 */
    config.rank = (int)rank;
    MN_TRY(mn_json_real_or(object, path, "lora_alpha", 8, &config.alpha));
    MN_TRY(mn_json_real_or(object, path, "lora_dropout", 0, &config.dropout));
    if (!(config.dropout >= 0 && config.dropout < 1))
        return mn_fail(MN_INVALID,
                       "%s: key \"lora_dropout\": expected at least 0 and below 1, found %g", path,
                       config.dropout);
    MN_TRY(mn_json_bool_or(object, path, "use_rslora", false, &config.rslora));
    MN_TRY(parse_targets(&config, object, path));
    MN_TRY(mn_json_string_or(object, path, "base_model_name_or_path", "", &base));
    if (strlen(base) >= sizeof config.base_model)
        return mn_fail(MN_INVALID, "%s: key \"base_model_name_or_path\": longer than %zu bytes",
                       path, sizeof config.base_model - 1);
    snprintf(config.base_model, sizeof config.base_model, "%s", base);
    *out = config;
    return MN_OK;
}

mn_status mn_adapter_config_read(struct mn_lora_config *out, const char *folder)
{
    mn_status st;
    mn_arena *arena = NULL;
    json_t *object = NULL;
    MN_TRY(mn_arena_open(&arena));
    const char *path = mn_path(arena, folder, "adapter_config.json");
    MN_GO(mn_json_load(&object, path));
    MN_GO(mn_lora_config_parse(out, object, path));
done:
    json_decref(object);
    mn_arena_close(&arena);
    return st;
}

void mn_peft_tensor_name(char out[NAME_ROOM], int layer, enum mn_module module, char side)
{
    snprintf(out, NAME_ROOM, "base_model.model.model.layers.%d.%s.lora_%c.weight", layer,
             mn_module_path(module), side);
}

/* Calls for each A and B of the adapter, in order: name, shape and place in the flat array. */
struct block {
    char name[NAME_ROOM];
    int64_t rows, columns, offset;
};

static size_t list_blocks(struct block *out, const struct adapter_layout *layout,
                          const struct mn_model_config *model, const struct mn_lora_config *config)
{
    size_t count = 0;
    for (int l = 0; l < model->layers; l++) {
        for (int m = 0; m < MN_MODULES; m++) {
            const enum mn_module module = (enum mn_module)m;
            int64_t a, b;
            if (!config->target[m]) continue;
            const struct module_shape shape = mn_module_shape(model, module);
            mn_adapter_find(layout, model, l, module, &a, &b);
            out[count] = (struct block){.rows = config->rank, .columns = shape.in, .offset = a};
            mn_peft_tensor_name(out[count++].name, l, module, 'A');
            out[count] = (struct block){.rows = shape.out, .columns = config->rank, .offset = b};
            mn_peft_tensor_name(out[count++].name, l, module, 'B');
        }
    }
    return count;
}

static struct block *new_blocks(mn_arena *arena, const struct mn_model_config *model)
{
    return MN_NEW(arena, struct block, (size_t)model->layers * MN_MODULES * 2);
}

/* Every block was found, so more tensors than blocks means that some are not ours. */
static mn_status check_unexpected(const mn_tensors *tensors, const struct block *blocks,
                                  size_t count)
{
    for (size_t i = 0; i < mn_tensors_count(tensors); i++) {
        const struct mn_tensor *tensor = mn_tensors_at(tensors, i);
        size_t b = 0;
        while (b < count && strcmp(blocks[b].name, tensor->name) != 0) b++;
        if (b == count)
            return mn_fail(MN_INVALID,
                           "%s: tensor %s does not belong to the modules of adapter_config.json",
                           tensor->file, tensor->name);
    }
    return MN_OK;
}

mn_status mn_check_base(const char *folder, const char *recorded, const char *base)
{
    if (!recorded || strcmp(recorded, base) == 0) return MN_OK;
    return mn_fail(MN_INVALID,
                   "%s: was trained on another base: expected fingerprint %.16s, found %.16s",
                   folder, base, recorded);
}

mn_status mn_peft_read_values(float **values, mn_arena *arena, const struct adapter_layout *layout,
                              const struct mn_model_config *model,
                              const struct mn_lora_config *config, const char *base,
                              const char *folder)
{
    mn_status st;
    mn_tensors *tensors = NULL;
    struct block *blocks = new_blocks(arena, model);
    const size_t count = list_blocks(blocks, layout, model, config);
    float *flat = MN_NEW(arena, float, layout->count);
    MN_TRY(mn_tensors_open(&tensors, mn_path(arena, folder, "adapter_model.safetensors")));
    for (size_t i = 0; i < count; i++) {
        const struct mn_tensor *tensor = NULL;
        MN_GO(mn_tensors_get(tensors, blocks[i].name, blocks[i].rows, blocks[i].columns, &tensor));
        mn_to_floats(flat + blocks[i].offset, tensor->data, tensor->type, tensor->count);
    }
    MN_GO(mn_tensors_count(tensors) == count ? MN_OK : check_unexpected(tensors, blocks, count));
    MN_GO(mn_check_base(folder, mn_tensors_metadata(tensors, BASE_FINGERPRINT), base));
    *values = flat;
done:
    mn_tensors_close(&tensors);
    return st;
}

/* With every key that PEFT's LoraConfig has had since 0.5, so that old and new versions open it. */
static json_t *describe(const struct mn_lora_config *config)
{
    json_t *targets = json_array();
    for (int m = 0; m < MN_MODULES; m++)
        if (config->target[m]) json_array_append_new(targets, json_string(mn_module_names[m]));
    json_t *alpha = config->alpha == (double)(int64_t)config->alpha
                        ? json_integer((json_int_t)config->alpha)
                        : json_real(config->alpha);
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:o, s:f, s:o, s:s, s:b, s:b, s:b, s:b, s:b, s:n, s:{}, s:{}, s:n, "
        "s:n, s:n, s:n}",
        "peft_type", "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path",
        config->base_model, "r", config->rank, "lora_alpha", alpha, "lora_dropout", config->dropout,
        "target_modules", targets, "bias", "none", "use_rslora", config->rslora, "use_dora", 0,
        "fan_in_fan_out", 0, "inference_mode", 1, "init_lora_weights", 1, "modules_to_save",
        "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "revision",
        "auto_mapping");
}

static mn_status write_config(const struct mn_lora_config *config, const char *path)
{
    json_t *object = describe(config);
    mn_status st = object ? mn_json_write(path, object)
                          : mn_fail(MN_INVALID, "%s: base_model_name_or_path is not UTF-8", path);
    json_decref(object);
    return st;
}

mn_status mn_peft_write(const struct adapter_layout *layout, const struct mn_model_config *model,
                        const struct mn_lora_config *config, const char *base, const float *values,
                        const char *folder)
{
    mn_status st;
    mn_arena *arena = NULL;
    MN_TRY(mn_arena_open(&arena));
    const char *temporary = mn_folder_temporary(arena, folder);
    struct block *blocks = new_blocks(arena, model);
    const size_t count = list_blocks(blocks, layout, model, config);
    struct mn_tensor *tensors = MN_NEW(arena, struct mn_tensor, count);
    for (size_t i = 0; i < count; i++)
        tensors[i] = (struct mn_tensor){.name = blocks[i].name,
                                        .type = MN_F32,
                                        .dims = 2,
                                        .shape = {blocks[i].rows, blocks[i].columns},
                                        .count = blocks[i].rows * blocks[i].columns,
                                        .data = values + blocks[i].offset};
    MN_GO(mn_folder_remove(temporary));
    MN_GO(mn_make_directories(temporary));
    MN_GO(write_config(config, mn_path(arena, temporary, "adapter_config.json")));
    MN_GO(mn_tensors_write(mn_path(arena, temporary, "adapter_model.safetensors"), tensors, count,
                           BASE_FINGERPRINT, base));
    MN_GO(mn_folder_replace(temporary, folder));
done:
    if (st != MN_OK) {
        mn_status ignored = mn_folder_remove(temporary);
        (void)ignored;
    }
    mn_arena_close(&arena);
    return st;
}
