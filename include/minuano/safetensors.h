/* safetensors.h: reading by mmap and writing, one file or shards with an index.
 *
 * A header is foreign bytes: size, JSON, dtypes, shapes, offsets, overlaps and gaps are all checked
 * before any tensor is handed out. Format: 8-byte little-endian header length, JSON header, data.
 */
#ifndef MINUANO_SAFETENSORS_H
#define MINUANO_SAFETENSORS_H

#include "minuano/json.h"
#include "minuano/ops.h"

enum { MN_TENSOR_DIMS = 4 };

struct mn_tensor {
    const char *name;
    const char *file; /* path of its shard, for messages */
    enum mn_dtype
        type; /* F32, F16, BF16; others are kept out of the list and named when asked for */
    int dims;
    int64_t shape[MN_TENSOR_DIMS];
    int64_t count;
    const void *data; /* in the mapping, aligned to 1 byte only */
    int descriptor;   /* of the file, ... */
    int64_t offset;   /* ... where the same bytes begin here; unset when written */
};

typedef struct mn_tensors mn_tensors;
/* A .safetensors file, or a folder with model.safetensors or model.safetensors.index.json. */
MN_CHECKED mn_status mn_tensors_open(mn_tensors **out, const char *path);
void mn_tensors_close(mn_tensors **tensors);
size_t mn_tensors_count(const mn_tensors *tensors);
size_t mn_tensors_unread(const mn_tensors *tensors); /* of other dtypes: not in the list */
const struct mn_tensor *mn_tensors_at(const mn_tensors *tensors, size_t i); /* in order of name */
/* The tensor must be there with exactly this shape (dims 1 or 2; columns 0 for one dimension). */
MN_CHECKED mn_status mn_tensors_get(const mn_tensors *tensors, const char *name, int64_t rows,
                                    int64_t columns, const struct mn_tensor **out);
const struct mn_tensor *mn_tensors_find(const mn_tensors *tensors, const char *name); /* or NULL */
/* The value of a key of the header's __metadata__; NULL where there is none. Of shards, the
 * first counts. */
const char *mn_tensors_metadata(const mn_tensors *tensors, const char *key);
size_t mn_dtype_bytes(enum mn_dtype type);
const char *mn_dtype_name(enum mn_dtype type);

/* Writes one file atomically with metadata {"format":"pt"} and, unless key is NULL, {key: value};
 * data pointers are read during the call. */
MN_CHECKED mn_status mn_tensors_write(const char *path, const struct mn_tensor *tensors,
                                      size_t count, const char *key, const char *value);

#endif
