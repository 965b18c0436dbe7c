/* identity.c: what a run was begun with, and whether it still is. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

static void data_digest(const struct mn_examples *examples, char out[65])
{
    struct mn_text bytes = {0};
    for (size_t i = 0; i < examples->count; i++) {
        const struct mn_example *example = &examples->item[i];
        size_t count = (size_t)example->count;
        mn_text_add(&bytes, (const char *)&example->count, sizeof example->count);
        mn_text_add(&bytes, (const char *)example->ids, count * sizeof *example->ids);
        mn_text_add(&bytes, (const char *)example->mask, count);
    }
    mn_sha256(bytes.data, bytes.length, out);
    mn_text_free(&bytes);
}

json_t *run_identity(const mn_model *model, const struct mn_examples *examples,
                     const struct mn_train_settings *settings, int ranks)
{
    char data[65];
    data_digest(examples, data);
    return json_pack("{s:o, s:s, s:s, s:i, s:i}", "settings",
                     mn_settings_json(&mn_train_settings_table, settings), "data", data, "model",
                     model->fingerprint, "quantization", (int)model->options.quantization, "ranks",
                     ranks);
}

static bool may_differ(const char *key)
{
    return strcmp(key, "settings.train.checkpoint_every") == 0 ||
           strcmp(key, "settings.train.keep_checkpoints") == 0;
}

static mn_status compare(const json_t *begun, const json_t *now, const char *where, const char *key)
{
    const char *name;
    json_t *value;
    mn_status st = MN_OK;
    if (json_is_object(begun) && json_is_object(now)) {
        char path[256];
        json_object_foreach ((json_t *)now, name, value) {
            snprintf(path, sizeof path, "%s%s%s", key, *key ? "." : "", name);
            MN_TRY(compare(json_object_get(begun, name), value, where, path));
        }
        return MN_OK;
    }
    if (may_differ(key) || json_equal(begun, now)) return MN_OK;
    char *old = begun ? json_dumps(begun, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *new = json_dumps(now, JSON_ENCODE_ANY | JSON_COMPACT);
    st = mn_fail(MN_INVALID,
                 "%s: \"%s\" differs: the run was begun with %s, now it is %s; go on as begun, or "
                 "train into another folder",
                 where, strncmp(key, "settings.", 9) == 0 ? key + 9 : key, old ? old : "nothing",
                 new ? new : "nothing");
    free(old);
    free(new);
    return st;
}

mn_status check_identity(const json_t *begun, const json_t *now, const char *where)
{
    if (!json_is_object(begun))
        return mn_fail(MN_INVALID, "%s: key \"run\": expected an object, found %s", where,
                       mn_json_kind(begun));
    return compare(begun, now, where, "");
}
