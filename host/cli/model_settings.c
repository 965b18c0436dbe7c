/* model_settings.c: from the settings of a model to an open one. */
#include "model_settings.h"

#include <pthread.h>
#include <stdlib.h>

#include "minuano/audit.h"
#include "minuano/infer.h"
#include "minuano/log.h"
#include "minuano/parallel.h"

const char *const quantization_names[] = {"none", "nf4", "nf4-double", NULL};

const char *hub_cache_folder(const struct invocation *call)
{
    const char *value;
    if (call->common.hub_cache) return call->common.hub_cache;
    if ((value = getenv("HF_HUB_CACHE")) != NULL && value[0]) return value;
    if ((value = getenv("HF_HOME")) != NULL && value[0]) return mn_path(call->arena, value, "hub");
    if ((value = getenv("XDG_CACHE_HOME")) != NULL && value[0])
        return mn_path(call->arena, value, "huggingface/hub");
    value = getenv("HOME");
    return mn_path(call->arena, value && value[0] ? value : ".", ".cache/huggingface/hub");
}

mn_status resolve_model(const struct invocation *call, const char *name, const char **folder)
{
    return mn_hub_resolve(call->arena, name, hub_cache_folder(call), folder);
}

/* What goes on beside the opening of a model. */
struct beside {
    const struct preparation *preparation; /* NULL: the tokenizer alone */
    const char *folder, *tokenizer_path;
    struct mn_model_config config;
    mn_tokenizer *tokenizer;
    mn_task *task;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    enum { READING, READ, NOT_READ } data;
};

static mn_status read_data(struct beside *b)
{
    mn_status st = b->preparation ? b->preparation->read(b->preparation->user) : MN_OK;
    pthread_mutex_lock(&b->lock);
    b->data = st == MN_OK ? READ : NOT_READ;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return st;
}

/* Waits for that. */
static bool data_is_read(struct beside *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->data == READING) pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
    return b->data == READ;
}

static mn_status prepare(void *user)
{
    struct beside *b = user;
    MN_TRY(read_data(b));
    if (!mn_file_exists(b->tokenizer_path))
        return !b->preparation
                   ? MN_OK
                   : mn_fail(MN_NOT_FOUND, "%s: not there, and text needs it", b->tokenizer_path);
    MN_TRY(mn_tokenizer_open(&b->tokenizer, b->folder));
    int pieces = mn_tokenizer_vocab(b->tokenizer), vocab = b->config.vocab;
    if (pieces > vocab)
        return mn_fail(MN_INVALID,
                       "%s: tokenizer.model has %d pieces, but the model's vocabulary is %d",
                       b->folder, pieces, vocab);
    if (!b->preparation) return MN_OK;
    return b->preparation->prompts(b->preparation->user, &b->config, b->tokenizer);
}

static mn_status open_weights(const struct model_settings *settings, const struct beside *b,
                              struct opened_model *opened)
{
    struct mn_model_options options = {.quantization = settings->quantization,
                                       .keep_packed = settings->keep_packed,
                                       .plan_only = settings->dry_run};
    const double begin = mn_seconds();
    MN_TRY(mn_infer_fit(opened->device, &b->config, &options));
    MN_TRY(mn_model_open(&opened->model, opened->device, b->folder, &options));
    const double seconds = mn_seconds() - begin;
    if (!settings->dry_run)
        mn_info("model: %s, %.3g M parameters%s%s, loaded in %.2f s (%.1f GB/s)", b->folder,
                1e-6 * (double)mn_model_parameters(&opened->model->config),
                settings->quantization ? ", " : "",
                settings->quantization ? quantization_names[settings->quantization] : "", seconds,
                1e-9 * (double)opened->model->pool.size / seconds);
    if (!settings->adapter) return MN_OK;
    MN_TRY(mn_adapter_open_audited(&opened->adapter, opened->model, settings->adapter,
                                   settings->allow_dead_adapter));
    mn_adapter_set_strength(opened->adapter, settings->strength);
    mn_info("adapter: %s, rank %d, strength %g", settings->adapter, opened->adapter->config.rank,
            settings->strength);
    return MN_OK;
}

/* Of two failures the one beside is told: it is about what the user gave. */
static mn_status meet(struct beside *b, mn_status st)
{
    mn_status beside = mn_task_end(&b->task);
    return beside == MN_OK ? st : beside;
}

mn_status open_model(const struct invocation *call, const struct model_settings *settings,
                     const struct preparation *preparation, struct opened_model *out)
{
    struct opened_model opened = {.eos = -1};
    struct beside b = {.preparation = preparation,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .changed = PTHREAD_COND_INITIALIZER};
    mn_status st;
    MN_GO(resolve_model(call, settings->model, &b.folder));
    b.tokenizer_path = mn_path(call->arena, b.folder, "tokenizer.model");
    MN_GO(mn_model_config_read(&b.config, b.folder));
    mn_task_begin(&b.task, prepare, &b);
    st = open_device(call, &opened.device);
    if (st == MN_OK && data_is_read(&b)) st = open_weights(settings, &b, &opened);
    st = meet(&b, st);
    opened.tokenizer = b.tokenizer; /* in a failure, too, so that it is closed */
    if (st != MN_OK) goto done;
    opened.eos = opened.model->config.eos;
    if (opened.eos < 0 && opened.tokenizer) opened.eos = mn_tokenizer_eos(opened.tokenizer);
    *out = opened;
    opened = (struct opened_model){0};
done:
    close_model(&opened);
    pthread_mutex_destroy(&b.lock);
    pthread_cond_destroy(&b.changed);
    return st;
}

void close_model(struct opened_model *opened)
{
    mn_tokenizer_close(&opened->tokenizer);
    mn_adapter_close(&opened->adapter);
    mn_model_close(&opened->model);
    mn_device_close(&opened->device);
}

static mn_status add_digest(json_t *object, const char *key, const char *path)
{
    struct mn_mapping file;
    char digest[65];
    MN_TRY(mn_mapping_open(&file, path));
    mn_sha256(file.data ? (const void *)file.data : "", file.size, digest);
    mn_mapping_close(&file);
    json_object_set_new(object, key, json_string(digest));
    return MN_OK;
}

mn_status model_identity(const struct model_settings *settings, const struct opened_model *opened,
                         const char *input, json_t **out)
{
    mn_arena *arena = NULL;
    json_t *identity = json_object();
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    if (input) MN_GO(add_digest(identity, "input", input));
    json_object_set_new(identity, "model", json_string(opened->model->fingerprint));
    json_object_set_new(identity, "quantization",
                        json_string(quantization_names[settings->quantization]));
    json_object_set_new(identity, "device",
                        json_string(opened->device->kind == MN_DEVICE_CUDA ? "cuda" : "reference"));
    json_object_set_new(identity, "attention", json_string(opened->device->attention));
    if (settings->adapter) {
        MN_GO(add_digest(identity, "adapter",
                         mn_path(arena, settings->adapter, "adapter_model.safetensors")));
        MN_GO(add_digest(identity, "adapter_config",
                         mn_path(arena, settings->adapter, "adapter_config.json")));
        json_object_set_new(identity, "strength", json_real(settings->strength));
    }
    *out = identity;
    identity = NULL;
done:
    json_decref(identity);
    mn_arena_close(&arena);
    return st;
}

mn_status settings_identity(const struct model_settings *settings,
                            const struct opened_model *opened, const struct mn_settings *table,
                            const void *values, const char *const *free_to_change, json_t **out)
{
    MN_TRY(model_identity(settings, opened, NULL, out));
    json_t *rest = mn_settings_json(table, values);
    json_object_del(rest, "allow_dead_adapter"); /* refuses, or changes nothing */
    for (; *free_to_change; free_to_change++) json_object_del(rest, *free_to_change);
    json_object_update_missing(*out, rest); /* the model is known by its content, not its path */
    json_decref(rest);
    return MN_OK;
}
