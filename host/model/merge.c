/* merge.c: W + scale·B·A as a 16-bit model folder that needs no adapter. Host only: tensors are
 * read from the mapped shards, summed in fp32, rounded once, and written shard by shard. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const int64_t shard_bytes = 4000000000; /* of tensors; the memory that merging takes */

struct merge {
    struct mn_model_config model;
    struct mn_lora_config config;
    struct adapter_layout layout;
    const float *values;
    mn_arena *arena; /* as long as the merge */
    mn_arena *shard; /* the tensors of the shard being made */
    const char *folder;
};

/* A half-precision base keeps its type; fp32 becomes bf16. */
static enum mn_dtype merged_type(const struct mn_tensor *tensor)
{
    return tensor->type == MN_F16 ? MN_F16 : MN_BF16;
}

/* Which module's weight this is, or false. */
static bool find_module(const struct merge *merge, const char *name, int *layer,
                        enum mn_module *module)
{
    int end = 0;
    if (sscanf(name, "model.layers.%d.%n", layer, &end) != 1 || !end) return false;
    for (int m = 0; m < MN_MODULES; m++) {
        const char *path = mn_module_path((enum mn_module)m);
        const size_t length = strlen(path);
        if (!merge->config.target[m] || strncmp(name + end, path, length) != 0 ||
            strcmp(name + end + length, ".weight") != 0)
            continue;
        *module = (enum mn_module)m;
        return true;
    }
    return false;
}

void mn_add_update(float *row, int64_t o, const struct mn_lora_config *config, const float *a,
                   const float *b, int in)
{
    const int rank = config->rank;
    const float scale = (float)mn_lora_scale(config);
    for (int r = 0; r < rank; r++) {
        const float factor = scale * b[o * rank + r];
        const float *from = a + (int64_t)r * in;
        for (int i = 0; i < in; i++) row[i] += factor * from[i];
    }
}

/* The tensor as it is written: the mapped bytes themselves where nothing changes. */
static struct mn_tensor merge_tensor(const struct merge *merge, const struct mn_tensor *tensor)
{
    struct mn_tensor out = *tensor;
    enum mn_module module = MN_Q;
    int layer = 0;
    const bool adapted = find_module(merge, tensor->name, &layer, &module);
    out.type = merged_type(tensor);
    if (!adapted && tensor->type == out.type) return out;
    uint16_t *words = MN_NEW(merge->shard, uint16_t, tensor->count);
    const int64_t rows = tensor->shape[0], in = rows ? tensor->count / rows : 0;
    const size_t width = mn_dtype_bytes(tensor->type);
    float *row = mn_realloc(NULL, (size_t)in, sizeof *row);
    int64_t a = 0, b = 0;
    if (adapted) mn_adapter_find(&merge->layout, &merge->model, layer, module, &a, &b);
    for (int64_t o = 0; o < rows; o++) {
        mn_to_floats(row, (const char *)tensor->data + (size_t)(o * in) * width, tensor->type, in);
        if (adapted)
            mn_add_update(row, o, &merge->config, merge->values + a, merge->values + b, (int)in);
        mn_from_floats(words + o * in, out.type, row, in);
    }
    free(row);
    out.data = words;
    return out;
}

/* First tensor behind the shard that begins with tensor `first`. */
static size_t shard_end(const mn_tensors *tensors, size_t first)
{
    int64_t bytes = 0;
    size_t i = first;
    for (; i < mn_tensors_count(tensors); i++) {
        bytes += 2 * mn_tensors_at(tensors, i)->count;
        if (bytes > shard_bytes && i > first) break;
    }
    return i;
}

static size_t count_shards(const mn_tensors *tensors)
{
    size_t shards = 0;
    for (size_t i = 0; i < mn_tensors_count(tensors); i = shard_end(tensors, i)) shards++;
    return shards;
}

static mn_status write_shard(struct merge *merge, const mn_tensors *tensors, size_t first,
                             size_t end, const char *file)
{
    mn_arena_reset(merge->shard);
    struct mn_tensor *merged = MN_NEW(merge->shard, struct mn_tensor, end - first);
    for (size_t i = first; i < end; i++)
        merged[i - first] = merge_tensor(merge, mn_tensors_at(tensors, i));
    return mn_tensors_write(mn_path(merge->arena, merge->folder, file), merged, end - first, NULL,
                            NULL);
}

static mn_status write_index(const struct merge *merge, json_t *map, int64_t bytes)
{
    const char *path = mn_path(merge->arena, merge->folder, "model.safetensors.index.json");
    json_t *index =
        json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)bytes, "weight_map", map);
    mn_status st = index ? mn_json_write(path, index)
                         : mn_fail(MN_INVALID, "%s: cannot be written as JSON", path);
    json_decref(index);
    return st;
}

static mn_status write_weights(struct merge *merge, const mn_tensors *tensors)
{
    mn_status st = MN_OK;
    const size_t shards = count_shards(tensors), count = mn_tensors_count(tensors);
    json_t *map = json_object();
    int64_t bytes = 0;
    size_t end = 0;
    for (size_t s = 0; s < shards; s++) {
        const size_t first = end;
        const char *file =
            shards == 1
                ? "model.safetensors"
                : mn_arena_printf(merge->arena, "model-%05zu-of-%05zu.safetensors", s + 1, shards);
        end = shard_end(tensors, first);
        for (size_t i = first; i < end && i < count; i++) {
            const struct mn_tensor *tensor = mn_tensors_at(tensors, i);
            bytes += 2 * tensor->count;
            json_object_set_new(map, tensor->name, json_string(file));
        }
        MN_GO(write_shard(merge, tensors, first, end, file));
    }
    if (shards > 1) MN_GO(write_index(merge, map, bytes));
done:
    json_decref(map);
    return st;
}

static mn_status copy_file(const struct merge *merge, const char *from, const char *name)
{
    struct mn_mapping mapping;
    MN_TRY(mn_mapping_open(&mapping, mn_path(merge->arena, from, name)));
    mn_status st =
        mn_file_write(mn_path(merge->arena, merge->folder, name), mapping.data, mapping.size);
    mn_mapping_close(&mapping);
    return st;
}

static mn_status copy_beside(const struct merge *merge, const char *from)
{
    static const char *const names[] = {"tokenizer.model",         "tokenizer.model.v3",
                                        "tokenizer.json",          "tokenizer_config.json",
                                        "special_tokens_map.json", "chat_template.jinja",
                                        "generation_config.json",  "added_tokens.json"};
    for (size_t i = 0; i < MN_COUNT(names); i++)
        if (mn_file_exists(mn_path(merge->arena, from, names[i])))
            MN_TRY(copy_file(merge, from, names[i]));
    return MN_OK;
}

/* config.json with the type that the weights now have. */
static mn_status write_config(const struct merge *merge, const char *from, const char *type)
{
    mn_status st;
    json_t *object = NULL;
    MN_TRY(mn_json_load(&object, mn_path(merge->arena, from, "config.json")));
    const char *key = json_object_get(object, "dtype") ? "dtype" : "torch_dtype";
    json_object_set_new(object, key, json_string(type));
    MN_GO(mn_json_write(mn_path(merge->arena, merge->folder, "config.json"), object));
done:
    json_decref(object);
    return st;
}

static mn_status check_base(const struct merge *merge, const mn_tensors *tensors)
{
    for (int l = 0; l < merge->model.layers; l++) {
        for (int m = 0; m < MN_MODULES; m++) {
            const struct mn_tensor *tensor;
            const struct module_shape shape = mn_module_shape(&merge->model, (enum mn_module)m);
            char name[NAME_ROOM];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", l,
                     mn_module_path((enum mn_module)m));
            MN_TRY(mn_tensors_get(tensors, name, shape.out, shape.in, &tensor));
        }
    }
    return MN_OK;
}

static mn_status open_merge(struct merge *merge, mn_tensors **tensors, const char *model_folder,
                            const char *adapter_folder)
{
    float *values = NULL;
    char base[65];
    MN_TRY(mn_arena_open(&merge->arena));
    MN_TRY(mn_arena_open(&merge->shard));
    MN_TRY(mn_model_config_read(&merge->model, model_folder));
    MN_TRY(mn_adapter_config_read(&merge->config, adapter_folder));
    MN_TRY(mn_adapter_lay_out(&merge->layout, merge->arena, &merge->model, &merge->config));
    MN_TRY(mn_tensors_open(tensors, model_folder));
    mn_fingerprint(*tensors, &merge->model, base);
    MN_TRY(mn_peft_read_values(&values, merge->arena, &merge->layout, &merge->model, &merge->config,
                               base, adapter_folder));
    merge->values = values;
    return check_base(merge, *tensors);
}

mn_status mn_merge(const char *model_folder, const char *adapter_folder, const char *out_folder)
{
    mn_status st;
    mn_tensors *tensors = NULL;
    struct merge merge = {0};
    MN_GO(open_merge(&merge, &tensors, model_folder, adapter_folder));
    if (mn_file_exists(out_folder)) {
        st = mn_fail(MN_INVALID, "%s: expected a folder that does not exist yet", out_folder);
        goto done;
    }
    merge.folder = mn_folder_temporary(merge.arena, out_folder);
    MN_GO(mn_make_directories(merge.folder));
    MN_GO(copy_beside(&merge, model_folder));
    MN_GO(write_config(&merge, model_folder,
                       merged_type(mn_tensors_at(tensors, 0)) == MN_F16 ? "float16" : "bfloat16"));
    MN_GO(write_weights(&merge, tensors));
    MN_GO(mn_folder_replace(merge.folder, out_folder));
done:
    if (st != MN_OK && merge.folder) {
        mn_status ignored = mn_folder_remove(merge.folder);
        (void)ignored;
    }
    mn_tensors_close(&tensors);
    mn_arena_close(&merge.shard);
    mn_arena_close(&merge.arena);
    return st;
}
