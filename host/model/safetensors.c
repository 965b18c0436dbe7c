/* safetensors.c: reads one file or a sharded folder. The header is foreign: nothing is handed out
 * before sizes, names, dtypes, shapes and the layout of the whole data section have been checked.
 */
#include "minuano/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { MAX_HEADER = 100000000, MAX_SHARDS = 4096 }; /* the format's own limit; ours */

static const struct {
    const char *name;
    int bits;
    int type; /* enum mn_dtype, or -1: known, but not read */
} dtypes[] = {
    {"F32", 32, MN_F32}, {"F16", 16, MN_F16}, {"BF16", 16, MN_BF16}, {"F64", 64, -1},
    {"I64", 64, -1},     {"U64", 64, -1},     {"I32", 32, -1},       {"U32", 32, -1},
    {"I16", 16, -1},     {"U16", 16, -1},     {"I8", 8, -1},         {"U8", 8, -1},
    {"BOOL", 8, -1},     {"F8_E4M3", 8, -1},  {"F8_E5M2", 8, -1},    {"F8_E8M0", 8, -1},
    {"C64", 64, -1},
};

size_t mn_dtype_bytes(enum mn_dtype type)
{
    return type == MN_F32 ? 4 : 2;
}

const char *mn_dtype_name(enum mn_dtype type)
{
    return type == MN_F32 ? "F32" : type == MN_F16 ? "F16" : "BF16";
}

/* One entry of the header, before the layout of the file is known to be sound. */
struct entry {
    struct mn_tensor tensor;
    const char *dtype;
    int type;
    int64_t begin, end;
};

static mn_status parse_shape(struct entry *entry, const json_t *shape, int64_t *elements)
{
    const char *path = entry->tensor.file, *name = entry->tensor.name;
    size_t dims = json_array_size(shape);
    *elements = 1;
    for (size_t i = 0; i < dims; i++) {
        const json_t *size = json_array_get(shape, i);
        int64_t n = json_integer_value(size);
        if (!json_is_integer(size) || n < 0)
            return mn_fail(MN_INVALID, "%s: tensor %s: shape: expected sizes of at least 0", path,
                           name);
        if (n > 0 && *elements > INT64_MAX / 64 / n)
            return mn_fail(MN_INVALID, "%s: tensor %s: shape has too many elements", path, name);
        *elements *= n;
        if (i < MN_TENSOR_DIMS) entry->tensor.shape[i] = n;
    }
    if (entry->type >= 0 && dims > MN_TENSOR_DIMS)
        return mn_fail(MN_INVALID, "%s: tensor %s: expected at most %d dimensions, found %zu", path,
                       name, MN_TENSOR_DIMS, dims);
    entry->tensor.dims = (int)(dims < MN_TENSOR_DIMS ? dims : MN_TENSOR_DIMS);
    entry->tensor.count = *elements;
    return MN_OK;
}

static mn_status parse_offsets(struct entry *entry, const json_t *offsets, int64_t bytes,
                               int64_t data_size)
{
    const char *path = entry->tensor.file, *name = entry->tensor.name;
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return mn_fail(MN_INVALID, "%s: tensor %s: data_offsets: expected two integers", path,
                       name);
    entry->begin = json_integer_value(begin);
    entry->end = json_integer_value(end);
    if (entry->begin < 0 || entry->end < entry->begin || entry->end > data_size)
        return mn_fail(MN_INVALID,
                       "%s: tensor %s: data_offsets [%lld, %lld] lie outside the file's %lld bytes "
                       "of data: damaged or truncated",
                       path, name, (long long)entry->begin, (long long)entry->end,
                       (long long)data_size);
    if (entry->end - entry->begin != bytes)
        return mn_fail(MN_INVALID,
                       "%s: tensor %s: expected %lld bytes by its dtype and shape, found %lld",
                       path, name, (long long)bytes, (long long)(entry->end - entry->begin));
    return MN_OK;
}

static mn_status parse_entry(struct entry *entry, const json_t *object, const char *path,
                             const char *name, int64_t data_size)
{
    const json_t *shape, *offsets;
    char where[4400];
    int64_t elements;
    size_t i = 0;
    snprintf(where, sizeof where, "%s: tensor %s", path, name);
    MN_TRY(mn_json_string(object, where, "dtype", &entry->dtype));
    MN_TRY(mn_json_array(object, where, "shape", &shape));
    MN_TRY(mn_json_array(object, where, "data_offsets", &offsets));
    while (i < MN_COUNT(dtypes) && strcmp(dtypes[i].name, entry->dtype) != 0) i++;
    if (i == MN_COUNT(dtypes))
        return mn_fail(MN_INVALID, "%s: unknown dtype \"%s\"", where, entry->dtype);
    entry->type = dtypes[i].type;
    entry->tensor.name = name;
    entry->tensor.file = path;
    if (entry->type >= 0) entry->tensor.type = (enum mn_dtype)entry->type;
    MN_TRY(parse_shape(entry, shape, &elements));
    return parse_offsets(entry, offsets, elements * (dtypes[i].bits / 8), data_size);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The format asks that the tensors fill the data section: no overlap, no gap, nothing behind. */
static mn_status check_layout(struct entry *entries, size_t count, int64_t data_size,
                              const char *path)
{
    int64_t end = 0;
    qsort(entries, count, sizeof *entries, compare_offsets);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin != end)
            return mn_fail(MN_INVALID, "%s: tensor %s: %s: expected to begin at %lld, found %lld",
                           path, entries[i].tensor.name,
                           entries[i].begin < end ? "overlaps its neighbour" : "leaves a gap",
                           (long long)end, (long long)entries[i].begin);
        end = entries[i].end;
    }
    if (end != data_size)
        return mn_fail(MN_INVALID, "%s: expected %lld bytes of data, found %lld", path,
                       (long long)end, (long long)data_size);
    return MN_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct mn_tensor *)a)->name, ((const struct mn_tensor *)b)->name);
}

static void take_entries(struct tensor_list *out, mn_arena *arena, const struct entry *entries,
                         size_t count, const unsigned char *data)
{
    out->item = MN_NEW(arena, struct mn_tensor, count);
    out->other = MN_NEW(arena, struct other_tensor, count);
    out->count = out->other_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries[i];
        const char *name = mn_arena_strdup(arena, e->tensor.name);
        if (e->type < 0) {
            out->other[out->other_count++] =
                (struct other_tensor){name, e->tensor.file, mn_arena_strdup(arena, e->dtype)};
            continue;
        }
        struct mn_tensor *tensor = &out->item[out->count++];
        *tensor = e->tensor;
        tensor->name = name;
        tensor->data = data + e->begin;
    }
    qsort(out->item, out->count, sizeof *out->item, compare_names);
}

/* Strings to strings, says the format; anything else there is nobody's. */
static void take_metadata(struct tensor_list *out, mn_arena *arena, const json_t *object)
{
    const char *key;
    json_t *value;
    out->metadata = MN_NEW(arena, struct metadatum, json_object_size(object) + 1);
    out->metadata_count = 0;
    json_object_foreach ((json_t *)object, key, value) {
        if (!json_is_string(value)) continue;
        out->metadata[out->metadata_count++] = (struct metadatum){
            mn_arena_strdup(arena, key), mn_arena_strdup(arena, json_string_value(value))};
    }
}

static mn_status read_header_length(const unsigned char *data, size_t size, const char *path,
                                    size_t *length)
{
    uint64_t header = 0;
    if (size < 8) return mn_fail(MN_INVALID, "%s: not a safetensors file: %zu bytes", path, size);
    for (int i = 7; i >= 0; i--) header = header << 8 | data[i];
    if (header > MAX_HEADER || header > size - 8)
        return mn_fail(MN_INVALID,
                       "%s: its header claims %llu bytes, the file has %zu: not a safetensors "
                       "file, or truncated",
                       path, (unsigned long long)header, size);
    if (header == 0 || data[8] != '{')
        return mn_fail(MN_INVALID, "%s: expected a header that begins with {", path);
    *length = (size_t)header;
    return MN_OK;
}

mn_status mn_tensors_parse(struct tensor_list *out, mn_arena *arena, const unsigned char *data,
                           size_t size, const char *path)
{
    mn_status st = MN_OK;
    json_t *header = NULL, *value;
    struct entry *entries = NULL;
    const char *name;
    size_t length = 0, count = 0;
    MN_TRY(read_header_length(data, size, path, &length));
    MN_GO(mn_json_parse(&header, (const char *)data + 8, length, path));
    if (!json_is_object(header)) {
        st = mn_fail(MN_INVALID, "%s: expected an object as header", path);
        goto done;
    }
    entries = mn_realloc(NULL, json_object_size(header) + 1, sizeof *entries);
    const int64_t data_size = (int64_t)(size - 8 - length);
    json_object_foreach (header, name, value) {
        if (strcmp(name, "__metadata__") == 0) continue;
        entries[count] = (struct entry){0};
        MN_GO(parse_entry(&entries[count++], value, path, name, data_size));
    }
    MN_GO(check_layout(entries, count, data_size, path));
    take_entries(out, arena, entries, count, data + 8 + length);
    take_metadata(out, arena, json_object_get(header, "__metadata__"));
done:
    free(entries);
    json_decref(header);
    return st;
}

struct mn_tensors {
    mn_arena *arena;
    struct mn_mapping *mapping; /* (mappings) */
    size_t mappings;
    struct tensor_list list;
    const char *path;
};

static mn_status open_file(mn_tensors *t, struct tensor_list *out, const char *path)
{
    struct mn_mapping *mapping = &t->mapping[t->mappings];
    path = mn_arena_strdup(t->arena, path);
    MN_TRY(mn_mapping_open(mapping, path));
    t->mappings++;
    MN_TRY(mn_tensors_parse(out, t->arena, mapping->data, mapping->size, path));
    for (size_t i = 0; i < out->count; i++) {
        out->item[i].descriptor = mapping->file;
        out->item[i].offset = (const unsigned char *)out->item[i].data - mapping->data;
    }
    return MN_OK;
}

/* Every tensor of the shard must be mapped to that shard, so that a mix of two downloads is seen.
 */
static mn_status check_shard(const struct tensor_list *shard, const json_t *map, const char *index,
                             const char *file)
{
    for (size_t i = 0; i < shard->count; i++) {
        const char *mapped = json_string_value(json_object_get(map, shard->item[i].name));
        if (!mapped || strcmp(mapped, file) != 0)
            return mn_fail(MN_INVALID, "%s: tensor %s lies in %s, the index says %s", index,
                           shard->item[i].name, file, mapped ? mapped : "nothing of it");
    }
    return MN_OK;
}

static void append(struct tensor_list *all, const struct tensor_list *shard)
{
    if (shard->count)
        memcpy(all->item + all->count, shard->item, shard->count * sizeof *shard->item);
    if (shard->other_count)
        memcpy(all->other + all->other_count, shard->other,
               shard->other_count * sizeof *shard->other);
    all->count += shard->count;
    all->other_count += shard->other_count;
}

/* The distinct file names of the index, in order of first mention. */
static mn_status list_shards(const char **files, size_t *count, const json_t *map,
                             const char *index)
{
    const char *name;
    json_t *value;
    *count = 0;
    json_object_foreach ((json_t *)map, name, value) {
        const char *file = json_string_value(value);
        size_t i = 0;
        if (!file || !*file || strchr(file, '/') || file[0] == '.' ||
            strlen(file) != json_string_length(value))
            return mn_fail(MN_INVALID, "%s: tensor %s: expected the name of a file in this folder",
                           index, name);
        while (i < *count && strcmp(files[i], file) != 0) i++;
        if (i == MAX_SHARDS)
            return mn_fail(MN_INVALID, "%s: more than %d shards", index, MAX_SHARDS);
        if (i == *count) files[(*count)++] = file;
    }
    return MN_OK;
}

static mn_status check_mapped(const struct tensor_list *all, const json_t *map, const char *index)
{
    size_t mapped = json_object_size(map), found = all->count + all->other_count;
    const char *name;
    json_t *value;
    if (mapped == found) return MN_OK; /* each tensor found is mapped, names being distinct */
    json_object_foreach ((json_t *)map, name, value) {
        bool there = false;
        for (size_t i = 0; i < all->count && !there; i++)
            there = strcmp(all->item[i].name, name) == 0;
        for (size_t i = 0; i < all->other_count && !there; i++)
            there = strcmp(all->other[i].name, name) == 0;
        if (!there)
            return mn_fail(MN_INVALID, "%s: tensor %s is not in %s", index, name,
                           json_string_value(value));
    }
    return mn_fail(MN_INVALID, "%s: expected %zu tensors in the shards, found %zu", index, mapped,
                   found);
}

static mn_status read_shards(mn_tensors *t, const char *folder, const json_t *map,
                             const char *index)
{
    const char **files = MN_NEW(t->arena, const char *, MAX_SHARDS);
    size_t count;
    MN_TRY(list_shards(files, &count, map, index));
    t->mapping = MN_NEW(t->arena, struct mn_mapping, count);
    t->list.item = MN_NEW(t->arena, struct mn_tensor, json_object_size(map));
    t->list.other = MN_NEW(t->arena, struct other_tensor, json_object_size(map));
    for (size_t i = 0; i < count; i++) {
        struct tensor_list shard;
        const char *path = mn_path(t->arena, folder, files[i]);
        if (!mn_file_exists(path))
            return mn_fail(MN_NOT_FOUND, "%s: its shard %s is not there", index, path);
        MN_TRY(open_file(t, &shard, path));
        MN_TRY(check_shard(&shard, map, index, files[i]));
        if (t->list.other_count + shard.other_count > json_object_size(map))
            return mn_fail(MN_INVALID, "%s: %s holds tensors that the index does not name", index,
                           path);
        append(&t->list, &shard);
        if (i == 0) {
            t->list.metadata = shard.metadata;
            t->list.metadata_count = shard.metadata_count;
        }
    }
    MN_TRY(check_mapped(&t->list, map, index));
    qsort(t->list.item, t->list.count, sizeof *t->list.item, compare_names);
    return MN_OK;
}

static mn_status open_folder(mn_tensors *t, const char *folder)
{
    const char *single = mn_path(t->arena, folder, "model.safetensors");
    const char *index = mn_path(t->arena, folder, "model.safetensors.index.json");
    mn_status st;
    json_t *object = NULL;
    const json_t *map;
    if (mn_file_exists(single)) {
        t->mapping = MN_NEW(t->arena, struct mn_mapping, 1);
        return open_file(t, &t->list, single);
    }
    if (!mn_file_exists(index))
        return mn_fail(MN_NOT_FOUND,
                       "%s: expected model.safetensors or model.safetensors.index.json", folder);
    MN_TRY(mn_json_load(&object, index));
    MN_GO(mn_json_object(object, index, "weight_map", &map));
    MN_GO(read_shards(t, folder, map, index));
done:
    json_decref(object);
    return st;
}

mn_status mn_tensors_open(mn_tensors **out, const char *path)
{
    mn_arena *arena;
    mn_status st;
    MN_TRY(mn_arena_open(&arena));
    mn_tensors *t = MN_NEW(arena, mn_tensors, 1);
    t->arena = arena;
    t->path = mn_arena_strdup(arena, path);
    if (mn_is_directory(path)) {
        st = open_folder(t, path);
    } else {
        t->mapping = MN_NEW(arena, struct mn_mapping, 1);
        st = open_file(t, &t->list, path);
    }
    if (st == MN_OK)
        *out = t;
    else
        mn_tensors_close(&t);
    return st;
}

void mn_tensors_close(mn_tensors **tensors)
{
    mn_tensors *t = *tensors;
    if (!t) return;
    for (size_t i = 0; i < t->mappings; i++) mn_mapping_close(&t->mapping[i]);
    mn_arena *arena = t->arena;
    mn_arena_close(&arena);
    *tensors = NULL;
}

size_t mn_tensors_count(const mn_tensors *tensors)
{
    return tensors->list.count;
}

size_t mn_tensors_unread(const mn_tensors *tensors)
{
    return tensors->list.other_count;
}

const struct mn_tensor *mn_tensors_at(const mn_tensors *tensors, size_t i)
{
    return &tensors->list.item[i];
}

const struct mn_tensor *mn_tensors_find(const mn_tensors *tensors, const char *name)
{
    struct mn_tensor key = {.name = name};
    if (!tensors->list.count) return NULL;
    return bsearch(&key, tensors->list.item, tensors->list.count, sizeof key, compare_names);
}

const char *mn_tensors_metadata(const mn_tensors *tensors, const char *key)
{
    for (size_t i = 0; i < tensors->list.metadata_count; i++)
        if (strcmp(tensors->list.metadata[i].key, key) == 0) return tensors->list.metadata[i].value;
    return NULL;
}

static void print_shape(char *out, size_t room, const struct mn_tensor *tensor)
{
    size_t used = (size_t)snprintf(out, room, "[");
    for (int i = 0; i < tensor->dims && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%lld", i ? ", " : "",
                                 (long long)tensor->shape[i]);
    if (used < room) snprintf(out + used, room - used, "]");
}

mn_status mn_tensors_get(const mn_tensors *tensors, const char *name, int64_t rows, int64_t columns,
                         const struct mn_tensor **out)
{
    const struct mn_tensor *tensor = mn_tensors_find(tensors, name);
    struct mn_tensor wanted = {.dims = columns ? 2 : 1, .shape = {rows, columns}};
    char expected[64], found[128];
    for (size_t i = 0; !tensor && i < tensors->list.other_count; i++)
        if (strcmp(tensors->list.other[i].name, name) == 0)
            return mn_fail(MN_UNSUPPORTED,
                           "%s: tensor %s: expected dtype F32, F16 or BF16, found %s",
                           tensors->list.other[i].file, name, tensors->list.other[i].type);
    if (!tensor) return mn_fail(MN_INVALID, "%s: tensor %s is missing", tensors->path, name);
    if (tensor->dims != wanted.dims || tensor->shape[0] != rows ||
        (columns && tensor->shape[1] != columns)) {
        print_shape(expected, sizeof expected, &wanted);
        print_shape(found, sizeof found, tensor);
        return mn_fail(MN_INVALID, "%s: tensor %s: expected shape %s, found %s", tensor->file, name,
                       expected, found);
    }
    *out = tensor;
    return MN_OK;
}
