/* safetensors_write.c: writes one file: header padded to 8 bytes, then the tensors in the order
 * given. */
#include "minuano/safetensors.h"

#include <stdlib.h>
#include <string.h>

static json_t *describe(const struct mn_tensor *tensor, int64_t begin, int64_t end)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->dims; i++)
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", mn_dtype_name(tensor->type), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

static json_t *describe_all(const struct mn_tensor *tensors, size_t count, const char *key,
                            const char *value)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    int64_t offset = 0;
    if (key) json_object_set_new(json_object_get(header, "__metadata__"), key, json_string(value));
    for (size_t i = 0; header && i < count; i++) {
        int64_t end = offset + tensors[i].count * (int64_t)mn_dtype_bytes(tensors[i].type);
        if (json_object_set_new(header, tensors[i].name, describe(&tensors[i], offset, end)) != 0) {
            json_decref(header);
            header = NULL;
        }
        offset = end;
    }
    return header;
}

mn_status mn_tensors_write(const char *path, const struct mn_tensor *tensors, size_t count,
                           const char *key, const char *value)
{
    mn_status st = MN_OK;
    mn_writer *writer = NULL;
    json_t *header = describe_all(tensors, count, key, value);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    if (!text) {
        st = mn_fail(MN_INVALID, "%s: a tensor's name is not UTF-8", path);
        goto done;
    }
    MN_GO(mn_writer_open(&writer, path));
    FILE *file = mn_writer_stream(writer);
    const uint64_t length = strlen(text), padded = (length + 7) / 8 * 8;
    for (int i = 0; i < 8; i++) putc((int)(padded >> 8 * i & 0xff), file);
    fprintf(file, "%s%*s", text, (int)(padded - length), "");
    for (size_t i = 0; i < count; i++)
        if (tensors[i].count)
            fwrite(tensors[i].data, mn_dtype_bytes(tensors[i].type), (size_t)tensors[i].count,
                   file);
    MN_GO(mn_writer_commit(writer));
done:
    mn_writer_close(&writer);
    free(text);
    json_decref(header);
    return st;
}
