/* checkpoint.c: checkpoints written beside and renamed, checked by their sums, found newest first.
 */
#include "checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "minuano/log.h"
#include "minuano/safetensors.h"

static const char *const files[] = {"adapter/adapter_config.json",
                                    "adapter/adapter_model.safetensors", "optimizer.safetensors",
                                    "state.json"};

/* --- sums ------------------------------------------------------------------------------------- */

static mn_status add_sum(mn_arena *arena, const char *folder, const char *name, struct mn_text *out)
{
    struct mn_mapping mapping;
    char digest[65];
    MN_TRY(mn_mapping_open(&mapping, mn_path(arena, folder, name)));
    mn_sha256(mapping.data ? (const char *)mapping.data : "", mapping.size, digest);
    mn_mapping_close(&mapping);
    mn_text_printf(out, "%s  %s\n", digest, name);
    return MN_OK;
}

static mn_status write_sums(mn_arena *arena, const char *folder)
{
    struct mn_text sums = {0};
    mn_status st;
    for (size_t i = 0; i < MN_COUNT(files); i++) MN_GO(add_sum(arena, folder, files[i], &sums));
    MN_GO(mn_file_write(mn_path(arena, folder, "SHA256SUMS"), sums.data, sums.length));
done:
    mn_text_free(&sums);
    return st;
}

static mn_status check_sums(mn_arena *arena, const char *folder)
{
    struct mn_text sum = {0};
    char *written;
    mn_status st;
    MN_GO(mn_file_read(arena, mn_path(arena, folder, "SHA256SUMS"), &written, NULL));
    for (size_t i = 0; i < MN_COUNT(files); i++) {
        mn_text_clear(&sum);
        MN_GO(add_sum(arena, folder, files[i], &sum));
        if (!strstr(written, sum.data)) {
            st = mn_fail(MN_INVALID, "%s/%s: its SHA-256 is not the one in SHA256SUMS", folder,
                         files[i]);
            goto done;
        }
    }
done:
    mn_text_free(&sum);
    return st;
}

/* --- the folder of checkpoints ---------------------------------------------------------------- */

static char *checkpoint_path(mn_arena *arena, const char *folder, int64_t steps)
{
    return mn_arena_printf(arena, "%s/checkpoints/step-%lld", folder, (long long)steps);
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Step numbers in `folder`/checkpoints, newest first. */
static mn_status list_checkpoints(mn_arena *arena, const char *folder, int64_t **steps,
                                  size_t *count)
{
    const char *path = mn_path(arena, folder, "checkpoints");
    char **names, *end;
    size_t all;
    *count = 0;
    if (!mn_is_directory(path)) return MN_OK;
    MN_TRY(mn_directory_list(arena, path, &names, &all));
    *steps = MN_NEW(arena, int64_t, all + 1);
    for (size_t i = 0; i < all; i++) {
        if (strncmp(names[i], "step-", 5) != 0) continue;
        long long number = strtoll(names[i] + 5, &end, 10);
        if (number > 0 && !*end) (*steps)[(*count)++] = number;
    }
    qsort(*steps, *count, sizeof **steps, descending);
    return MN_OK;
}

static mn_status prune(mn_arena *arena, const char *folder, int64_t newest, int64_t keep)
{
    int64_t *steps, kept = 0;
    size_t count;
    MN_TRY(list_checkpoints(arena, folder, &steps, &count));
    for (size_t i = 0; i < count; i++)
        if (steps[i] > newest || (keep > 0 && kept >= keep))
            MN_TRY(mn_folder_remove(checkpoint_path(arena, folder, steps[i])));
        else
            kept++;
    return MN_OK;
}

mn_status checkpoint_find(const char *folder, int64_t *steps)
{
    mn_arena *arena = NULL;
    int64_t *found;
    size_t count;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    MN_GO(list_checkpoints(arena, folder, &found, &count));
    *steps = 0;
    for (size_t i = 0; i < count && *steps == 0; i++) {
        if (check_sums(arena, checkpoint_path(arena, folder, found[i])) == MN_OK)
            *steps = found[i];
        else
            mn_warn("damaged checkpoint: %s; %s", mn_error(),
                    i + 1 < count ? "trying the one before" : "starting from the beginning");
    }
done:
    mn_arena_close(&arena);
    return st;
}

/* --- state ------------------------------------------------------------------------------------ */

json_t *position_json(const struct position *position, json_t *identity)
{
    const struct mn_train_result *result = &position->result;
    return json_pack("{s:I, s:I, s:s, s:I, s:I, s:f, s:f, s:f, s:I, s:O}", "step",
                     (json_int_t)result->steps, "planned_steps", (json_int_t)result->planned_steps,
                     "stopped_by", mn_stop_names[result->stop], "tokens",
                     (json_int_t)result->tokens, "loss_tokens", (json_int_t)result->loss_tokens,
                     "first_loss", result->first_loss, "last_loss", result->last_loss, "seconds",
                     result->seconds, "first_row", (json_int_t)position->first_row, "run",
                     identity);
}

mn_status position_read(struct position *out, const json_t *state, const char *where)
{
    struct position position = {0};
    struct mn_train_result *result = &position.result;
    const char *stop;
    MN_TRY(mn_json_int(state, where, "step", 0, INT64_MAX, &result->steps));
    MN_TRY(mn_json_int_or(state, where, "planned_steps", 0, INT64_MAX, result->steps,
                          &result->planned_steps));
    MN_TRY(mn_json_string_or(state, where, "stopped_by", "none", &stop));
    while (mn_stop_names[result->stop] && strcmp(mn_stop_names[result->stop], stop) != 0)
        result->stop++;
    if (!mn_stop_names[result->stop])
        return mn_fail(MN_INVALID, "%s: key \"stopped_by\": no rule \"%s\"", where, stop);
    MN_TRY(mn_json_int(state, where, "tokens", 0, INT64_MAX, &result->tokens));
    MN_TRY(mn_json_int(state, where, "loss_tokens", 0, INT64_MAX, &result->loss_tokens));
    MN_TRY(mn_json_real_or(state, where, "first_loss", 0, &result->first_loss));
    MN_TRY(mn_json_real_or(state, where, "last_loss", 0, &result->last_loss));
    MN_TRY(mn_json_real_or(state, where, "seconds", 0, &result->seconds));
    MN_TRY(mn_json_int(state, where, "first_row", 0, INT64_MAX, &position.first_row));
    *out = position;
    return MN_OK;
}

static mn_status write_optimizer(const struct optimizer *optimizer, const char *path)
{
    mn_device *device = optimizer->pool.device;
    size_t count = (size_t)optimizer->count;
    float *m = mn_realloc(NULL, count, sizeof *m), *v = mn_realloc(NULL, count, sizeof *v);
    struct mn_tensor tensors[] = {
        {.name = "m", .type = MN_F32, .dims = 1, .shape = {optimizer->count}, .data = m},
        {.name = "v", .type = MN_F32, .dims = 1, .shape = {optimizer->count}, .data = v}};
    mn_status st;
    for (size_t i = 0; i < MN_COUNT(tensors); i++) tensors[i].count = optimizer->count;
    MN_GO(device->calls->download(device, m, optimizer->m, count * sizeof *m));
    MN_GO(device->calls->download(device, v, optimizer->v, count * sizeof *v));
    MN_GO(mn_tensors_write(path, tensors, MN_COUNT(tensors), NULL, NULL));
done:
    free(m);
    free(v);
    return st;
}

static mn_status read_optimizer(struct optimizer *optimizer, const char *path)
{
    mn_device *device = optimizer->pool.device;
    size_t bytes = (size_t)optimizer->count * sizeof(float);
    mn_tensors *tensors = NULL;
    const struct mn_tensor *m, *v;
    mn_status st;
    MN_GO(mn_tensors_open(&tensors, path));
    MN_GO(mn_tensors_get(tensors, "m", optimizer->count, 0, &m));
    MN_GO(mn_tensors_get(tensors, "v", optimizer->count, 0, &v));
    if (m->type != MN_F32 || v->type != MN_F32) {
        st = mn_fail(MN_INVALID, "%s: expected F32 tensors", path);
        goto done;
    }
    MN_GO(device->calls->upload(device, optimizer->m, m->data, bytes));
    MN_GO(device->calls->upload(device, optimizer->v, v->data, bytes));
done:
    mn_tensors_close(&tensors);
    return st;
}

mn_status checkpoint_save(const char *folder, const mn_adapter *adapter,
                          const struct optimizer *optimizer, const struct position *position,
                          json_t *identity, int64_t keep)
{
    mn_arena *arena = NULL;
    json_t *state = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    const char *path = checkpoint_path(arena, folder, position->result.steps);
    const char *temporary = mn_path(arena, folder, "checkpoints/unfinished");
    MN_GO(mn_folder_remove(temporary));
    MN_GO(mn_make_directories(temporary));
    MN_GO(mn_adapter_save(adapter, mn_path(arena, temporary, "adapter")));
    MN_GO(write_optimizer(optimizer, mn_path(arena, temporary, "optimizer.safetensors")));
    state = position_json(position, identity);
    MN_GO(mn_json_write(mn_path(arena, temporary, "state.json"), state));
    MN_GO(write_sums(arena, temporary));
    MN_GO(mn_folder_replace(temporary, path));
    MN_GO(prune(arena, folder, position->result.steps, keep));
done:
    json_decref(state);
    mn_arena_close(&arena);
    return st;
}

static mn_status load_state(mn_arena *arena, const char *path, int64_t steps,
                            const json_t *identity, struct position *out)
{
    const char *where = mn_path(arena, path, "state.json");
    json_t *state = NULL;
    mn_status st;
    MN_GO(mn_json_load(&state, where));
    MN_GO(position_read(out, state, where));
    if (out->result.steps != steps) {
        st = mn_fail(MN_INVALID, "%s: key \"step\": expected %lld, found %lld", where,
                     (long long)steps, (long long)out->result.steps);
        goto done;
    }
    MN_GO(check_identity(json_object_get(state, "run"), identity, where));
done:
    json_decref(state);
    return st;
}

mn_status checkpoint_load(const char *folder, int64_t steps, mn_model *model,
                          const json_t *identity, mn_adapter **adapter, struct optimizer *optimizer,
                          struct position *position)
{
    mn_arena *arena = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    const char *path = checkpoint_path(arena, folder, steps);
    MN_GO(load_state(arena, path, steps, identity, position));
    MN_GO(mn_adapter_open(adapter, model, mn_path(arena, path, "adapter"), true));
    MN_GO(optimizer_open(optimizer, model->device, (*adapter)->count));
    MN_GO(read_optimizer(optimizer, mn_path(arena, path, "optimizer.safetensors")));
done:
    mn_arena_close(&arena);
    return st;
}
