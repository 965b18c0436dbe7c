/* cmd_inspect.c: `minuano inspect PATH`: what is in a model folder, an adapter, a checkpoint or a
 * safetensors file. One JSON object is made; --json prints it, else its members one a line. */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "minuano/audit.h"
#include "minuano/safetensors.h"
#include "model_settings.h"

struct inspect_settings {
    bool tensors;
};

static const struct mn_setting rows[] = {
    {"tensors", MN_SETTING_BOOL, offsetof(struct inspect_settings, tensors), "false",
     "every tensor with its dtype and shape"},
};
static const struct mn_settings table = {"minuano inspect", rows, MN_COUNT(rows)};

/* --- tensors
 * -------------------------------------------------------------------------------------- */

static json_t *tensor_json(const struct mn_tensor *tensor)
{
    json_t *shape = json_array();
    for (int d = 0; d < tensor->dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
    return json_pack("{s:s, s:s, s:o}", "name", tensor->name, "dtype", mn_dtype_name(tensor->type),
                     "shape", shape);
}

/* Adds tensors, parameters, bytes, dtypes (and, when asked for, the list). */
static mn_status add_tensors(json_t *out, const char *path, bool list)
{
    mn_tensors *tensors = NULL;
    int64_t parameters = 0, bytes = 0, by_type[MN_BF16 + 1] = {0};
    json_t *all = json_array(), *types = json_object();
    mn_status st;
    MN_GO(mn_tensors_open(&tensors, path));
    for (size_t i = 0; i < mn_tensors_count(tensors); i++) {
        const struct mn_tensor *tensor = mn_tensors_at(tensors, i);
        parameters += tensor->count;
        bytes += tensor->count * (int64_t)mn_dtype_bytes(tensor->type);
        by_type[tensor->type] += tensor->count;
        if (list) json_array_append_new(all, tensor_json(tensor));
    }
    for (int t = 0; t <= MN_BF16; t++)
        if (by_type[t])
            json_object_set_new(types, mn_dtype_name((enum mn_dtype)t),
                                json_integer((json_int_t)by_type[t]));
    json_object_set_new(out, "tensors", json_integer((json_int_t)mn_tensors_count(tensors)));
    if (mn_tensors_unread(tensors))
        json_object_set_new(out, "tensors_of_other_dtypes",
                            json_integer((json_int_t)mn_tensors_unread(tensors)));
    json_object_set_new(out, "parameters", json_integer((json_int_t)parameters));
    json_object_set_new(out, "bytes", json_integer((json_int_t)bytes));
    json_object_set(out, "dtypes", types);
    if (list) json_object_set(out, "list", all);
done:
    json_decref(all);
    json_decref(types);
    mn_tensors_close(&tensors);
    return st;
}

/* --- the four kinds
 * ------------------------------------------------------------------------------- */

static json_t *token_json(int id)
{
    return id < 0 ? json_null() : json_integer(id);
}

static mn_status inspect_model(json_t *out, mn_arena *arena, const char *folder, bool list)
{
    struct mn_model_config c;
    char fingerprint[65];
    MN_TRY(mn_model_config_read(&c, folder));
    MN_TRY(mn_model_fingerprint(folder, fingerprint));
    json_t *shape = json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:b, s:f, s:f, s:o, s:o}", "hidden",
        c.hidden, "layers", c.layers, "heads", c.heads, "kv_heads", c.kv_heads, "head_dim",
        c.head_dim, "feed_forward", c.ff, "vocabulary", c.vocab, "max_positions", c.max_positions,
        "sliding_window", c.sliding_window ? json_integer(c.sliding_window) : json_null(), "tied",
        c.tied, "rope_theta", c.rope_theta, "rms_epsilon", c.rms_eps, "bos", token_json(c.bos),
        "eos", token_json(c.eos));
    json_object_set_new(out, "kind", json_string("model"));
    json_object_set_new(out, "fingerprint", json_string(fingerprint));
    json_object_set_new(out, "config", shape);
    json_object_set_new(out, "tokenizer",
                        json_boolean(mn_file_exists(mn_path(arena, folder, "tokenizer.model"))));
    MN_TRY(add_tensors(out, folder, list));
    json_object_set_new(out, "expected_parameters",
                        json_integer((json_int_t)mn_model_parameters(&c)));
    return MN_OK;
}

static mn_status inspect_adapter(json_t *out, mn_arena *arena, const char *folder, bool list,
                                 struct mn_audit *audit)
{
    struct mn_lora_config config;
    json_t *targets = json_array();
    mn_status st;
    MN_GO(mn_adapter_config_read(&config, folder));
    for (int m = 0; m < MN_MODULES; m++)
        if (config.target[m]) json_array_append_new(targets, json_string(mn_module_names[m]));
    json_object_set_new(out, "kind", json_string("adapter"));
    json_object_set_new(out, "config",
                        json_pack("{s:i, s:f, s:f, s:b, s:O, s:s}", "rank", config.rank, "alpha",
                                  config.alpha, "dropout", config.dropout, "rslora", config.rslora,
                                  "targets", targets, "base_model", config.base_model));
    MN_GO(add_tensors(out, mn_path(arena, folder, "adapter_model.safetensors"), list));
    MN_GO(mn_adapter_audit(arena, folder, audit));
    json_object_set_new(out, "audit", mn_audit_json(audit));
done:
    json_decref(targets);
    return st;
}

static mn_status inspect_checkpoint(json_t *out, mn_arena *arena, const char *folder, bool list,
                                    struct mn_audit *audit)
{
    json_t *state = NULL;
    MN_TRY(mn_json_load(&state, mn_path(arena, folder, "state.json")));
    json_object_set_new(out, "state", state);
    MN_TRY(inspect_adapter(out, arena, mn_path(arena, folder, "adapter"), list, audit));
    json_object_set_new(out, "kind", json_string("checkpoint"));
    return MN_OK;
}

static mn_status inspect(json_t *out, const struct invocation *call, const char *path, bool list,
                         struct mn_audit *audit)
{
    mn_arena *arena = call->arena;
    if (mn_is_directory(path) && mn_file_exists(mn_path(arena, path, "adapter_config.json")))
        return inspect_adapter(out, arena, path, list, audit);
    if (mn_is_directory(path) && mn_file_exists(mn_path(arena, path, "state.json")))
        return inspect_checkpoint(out, arena, path, list, audit);
    if (mn_file_exists(path) && !mn_is_directory(path)) {
        json_object_set_new(out, "kind", json_string("safetensors file"));
        return add_tensors(out, path, list);
    }
    const char *folder;
    MN_TRY(resolve_model(call, path, &folder));
    json_object_set_new(out, "path", json_string(folder));
    return inspect_model(out, arena, folder, list);
}

/* --- for people
 * ----------------------------------------------------------------------------------- */

static void print_value(const json_t *value)
{
    if (json_is_string(value)) {
        printf("%s", json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    printf("%s", text ? text : "");
    free(text);
}

static void print_list(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *tensor = json_array_get(list, i);
        char *shape = json_dumps(json_object_get(tensor, "shape"), 0);
        printf("  %-5s %-16s %s\n", json_string_value(json_object_get(tensor, "dtype")),
               shape ? shape : "", json_string_value(json_object_get(tensor, "name")));
        free(shape);
    }
}

static void print_members(const json_t *object, const char *indent)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)object, key, value) {
        if (strcmp(key, "list") == 0) {
            print_list(value);
        } else if (strcmp(key, "audit") == 0) {
            continue; /* printed as a table */
        } else if (json_is_object(value)) {
            printf("%s%s:\n", indent, key);
            print_members(value, "  ");
        } else {
            printf("%s%-20s ", indent, key);
            print_value(value);
            printf("\n");
        }
    }
}

static mn_status run(const struct invocation *call)
{
    const struct inspect_settings *settings = call->settings;
    struct mn_audit audit = {0};
    json_t *out = json_object();
    json_object_set_new(out, "path", json_string(call->positional[0]));
    mn_status st = inspect(out, call, call->positional[0], settings->tensors, &audit);
    if (st == MN_OK && call->common.json)
        mn_json_line(stdout, out);
    else if (st == MN_OK)
        print_members(out, "");
    if (st == MN_OK && !call->common.json && audit.count) mn_audit_print(&audit, stdout);
    json_decref(out);
    return st;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "what is in a model, an adapter, a checkpoint or a safetensors file",
    .usage = "PATH [--tensors]",
    .examples = "  minuano inspect mistralai/Mistral-7B-Instruct-v0.3\n"
                "  minuano inspect runs/lr1e-4/final_adapter --tensors\n",
    .settings = &table,
    .settings_size = sizeof(struct inspect_settings),
    .positional_low = 1,
    .positional_high = 1,
    .run = run,
};
