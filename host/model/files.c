/* files.c: a model from a Hugging Face folder: every tensor of the files is expected, and every
 * expected tensor is there with its shape; the values pass through one staging buffer. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { STAGING = 64 << 20, SAMPLES = 16, SAMPLE_BYTES = 4096 };

struct file_source {
    struct weight_source source;
    const mn_tensors *tensors;
    struct mn_pool pool;
    void *staging;
    size_t staging_bytes;
};

static mn_status load_from_file(struct weight_source *source, mn_act *out, const char *name,
                                int64_t rows, int64_t columns)
{
    struct file_source *file = (struct file_source *)source;
    mn_device *device = source->device;
    const struct mn_tensor *tensor;
    MN_TRY(mn_tensors_get(file->tensors, name, rows, columns, &tensor));
    const int64_t width = (int64_t)mn_dtype_bytes(tensor->type);
    const int64_t room = (int64_t)file->staging_bytes / width;
    for (int64_t i = 0, n; i < tensor->count; i += n) {
        n = tensor->count - i < room ? tensor->count - i : room;
        mn_status st = device->calls->upload_file(device, file->staging, tensor->descriptor,
                                                  tensor->offset + i * width, (size_t)(n * width));
        if (st != MN_OK) return mn_fail_in(st, "%s: tensor %s", tensor->file, name);
        MN_TRY(device->ops->load_convert(mn_act_at(device, out, i), file->staging, tensor->type, n,
                                         device->stream));
    }
    return MN_OK;
}

/* No larger than the largest tensor needs. */
static mn_status open_staging(struct file_source *file)
{
    size_t largest = 256;
    for (size_t i = 0; i < mn_tensors_count(file->tensors); i++) {
        const struct mn_tensor *tensor = mn_tensors_at(file->tensors, i);
        const size_t bytes = (size_t)tensor->count * mn_dtype_bytes(tensor->type);
        if (bytes > largest) largest = bytes;
    }
    file->staging_bytes = largest < STAGING ? largest : STAGING;
    mn_pool_take(&file->pool, MN_MEMORY_WORKSPACE, file->staging_bytes, 1);
    MN_TRY(mn_pool_commit(&file->pool));
    file->staging = mn_pool_take(&file->pool, MN_MEMORY_WORKSPACE, file->staging_bytes, 1);
    return MN_OK;
}

/* --- what must be there --------------------------------------------------------------------------
 */

/* The names that were looked for and found. */
struct checker {
    const mn_tensors *tensors;
    const char **seen; /* (expected) */
    size_t count;
};

static mn_status check_tensor(struct checker *checker, const char *name, int64_t rows,
                              int64_t columns)
{
    const struct mn_tensor *tensor = NULL;
    MN_TRY(mn_tensors_get(checker->tensors, name, rows, columns, &tensor));
    checker->seen[checker->count++] = tensor->name;
    return MN_OK;
}

static mn_status check_layer(struct checker *checker, const struct mn_model_config *config, int l)
{
    static const char *const norms[] = {"input_layernorm", "post_attention_layernorm"};
    char name[NAME_ROOM];
    for (size_t i = 0; i < MN_COUNT(norms); i++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, norms[i]);
        MN_TRY(check_tensor(checker, name, config->hidden, 0));
    }
    for (int m = 0; m < MN_MODULES; m++) {
        struct module_shape shape = mn_module_shape(config, (enum mn_module)m);
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", l,
                 mn_module_path((enum mn_module)m));
        MN_TRY(check_tensor(checker, name, shape.out, shape.in));
    }
    return MN_OK;
}

/* Buffers that older versions of transformers saved, and the head that a tied model repeats. */
static bool ignored(const struct mn_model_config *config, const char *name)
{
    return (config->tied && strcmp(name, "lm_head.weight") == 0) ||
           strstr(name, ".rotary_emb.inv_freq");
}

static int compare_pointers(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static mn_status check_unexpected(const struct checker *checker,
                                  const struct mn_model_config *config)
{
    qsort(checker->seen, checker->count, sizeof *checker->seen, compare_pointers);
    for (size_t i = 0; i < mn_tensors_count(checker->tensors); i++) {
        const struct mn_tensor *tensor = mn_tensors_at(checker->tensors, i);
        if (!ignored(config, tensor->name) && !bsearch(&tensor->name, checker->seen, checker->count,
                                                       sizeof *checker->seen, compare_pointers))
            return mn_fail(MN_INVALID, "%s: tensor %s does not belong to a Mistral of %d layers",
                           tensor->file, tensor->name, config->layers);
    }
    return MN_OK;
}

static mn_status check_tensors(const mn_tensors *tensors, const struct mn_model_config *config,
                               mn_arena *arena)
{
    struct checker checker = {.tensors = tensors};
    checker.seen = MN_NEW(arena, const char *, (size_t)config->layers *(MN_MODULES + 2) + 3);
    MN_TRY(check_tensor(&checker, "model.embed_tokens.weight", config->vocab, config->hidden));
    for (int l = 0; l < config->layers; l++) MN_TRY(check_layer(&checker, config, l));
    MN_TRY(check_tensor(&checker, "model.norm.weight", config->hidden, 0));
    if (!config->tied)
        MN_TRY(check_tensor(&checker, "lm_head.weight", config->vocab, config->hidden));
    return check_unexpected(&checker, config);
}

/* --- fingerprint ---------------------------------------------------------------------------------
 */

/* SHA-256 of lines `name dtype shape digest`, in order of name. A digest covers the tensor's bytes
 * when they are at most 64 KiB, else 16 evenly spaced pieces of 4 KiB: hashing 14.5 GB would take
 * longer than loading them. How the tensors are spread over shards does not matter. */
void mn_fingerprint(const mn_tensors *tensors, const struct mn_model_config *config, char out[65])
{
    struct mn_text lines = {0};
    unsigned char *sample = mn_realloc(NULL, SAMPLES, SAMPLE_BYTES);
    for (size_t i = 0; i < mn_tensors_count(tensors); i++) {
        const struct mn_tensor *t = mn_tensors_at(tensors, i);
        const size_t bytes = (size_t)t->count * mn_dtype_bytes(t->type);
        char digest[65];
        if (bytes <= (size_t)SAMPLES * SAMPLE_BYTES) {
            mn_sha256(t->data, bytes, digest);
        } else {
            const size_t step = (bytes - SAMPLE_BYTES) / (SAMPLES - 1);
            for (size_t s = 0; s < SAMPLES; s++)
                memcpy(sample + s * SAMPLE_BYTES, (const char *)t->data + s * step, SAMPLE_BYTES);
            mn_sha256(sample, (size_t)SAMPLES * SAMPLE_BYTES, digest);
        }
        mn_text_printf(&lines, "%s %s", t->name, mn_dtype_name(t->type));
        for (int d = 0; d < t->dims; d++) mn_text_printf(&lines, " %lld", (long long)t->shape[d]);
        mn_text_printf(&lines, " %s\n", digest);
    }
    mn_text_printf(&lines, "theta %.17g epsilon %.17g window %d heads %d\n", config->rope_theta,
                   config->rms_eps, config->sliding_window, config->heads);
    mn_sha256(lines.data, lines.length, out);
    free(sample);
    mn_text_free(&lines);
}

static mn_status load(mn_model *model, const mn_tensors *tensors)
{
    mn_status st;
    struct file_source file = {.source = {load_from_file, model->device}, .tensors = tensors};
    file.pool.device = model->device;
    MN_GO(open_staging(&file));
    MN_GO(mn_model_load(model, &file.source));
done:
    mn_pool_close(&file.pool);
    return st;
}

mn_status mn_model_fingerprint(const char *folder, char out[65])
{
    struct mn_model_config config;
    mn_tensors *tensors;
    MN_TRY(mn_model_config_read(&config, folder));
    MN_TRY(mn_tensors_open(&tensors, folder));
    mn_fingerprint(tensors, &config, out);
    mn_tensors_close(&tensors);
    return MN_OK;
}

mn_status mn_model_open(mn_model **out, mn_device *device, const char *folder,
                        const struct mn_model_options *options)
{
    mn_status st;
    mn_model *model = NULL;
    mn_tensors *tensors = NULL;
    mn_arena *arena = NULL;
    struct mn_model_config config;
    MN_TRY(mn_arena_open(&arena));
    MN_GO(mn_model_config_read(&config, folder));
    MN_GO(mn_tensors_open(&tensors, folder));
    MN_GO(check_tensors(tensors, &config, arena));
    MN_GO(mn_model_new(&model, device, &config, options));
    if (!model->options.plan_only) MN_GO(load(model, tensors));
    mn_fingerprint(tensors, &config, model->fingerprint);
    model->folder = mn_arena_strdup(model->arena, folder);
    *out = model;
    model = NULL;
done:
    mn_model_close(&model);
    mn_tensors_close(&tensors);
    mn_arena_close(&arena);
    return st;
}

mn_status mn_model_reload(mn_model *model)
{
    mn_status st;
    mn_tensors *tensors = NULL;
    char fingerprint[65];
    MN_GO(mn_tensors_open(&tensors, model->folder));
    mn_fingerprint(tensors, &model->config, fingerprint);
    if (strcmp(fingerprint, model->fingerprint) != 0)
        st = mn_fail(MN_INVALID, "%s: expected the weights of before, %.12s, found %.12s",
                     model->folder, model->fingerprint, fingerprint);
    else
        MN_GO(load(model, tensors));
done:
    mn_tensors_close(&tensors);
    return st;
}
