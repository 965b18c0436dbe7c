/* plan.c: from the config's trainings to one complete set of settings each. */
#include "minuano/study.h"

#include <stdlib.h>
#include <string.h>

static bool is_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return text[0] && text[0] != '.' && text[strspn(text, allowed)] == '\0';
}

static mn_status read_name(mn_arena *arena, const struct mn_study_training *before, size_t count,
                           const json_t *entry, const char *where, const char **out)
{
    MN_TRY(mn_json_string(entry, where, "name", out));
    if (!is_name(*out) || strcmp(*out, "base") == 0)
        return mn_fail(MN_INVALID,
                       "%s: key \"name\": expected letters, digits, '.', '_' and '-', and not "
                       "\"base\", found \"%s\"",
                       where, *out);
    for (size_t i = 0; i < count; i++)
        if (strcmp(before[i].name, *out) == 0)
            return mn_fail(MN_INVALID, "%s: key \"name\": \"%s\" is there twice", where, *out);
    *out = mn_arena_strdup(arena, *out);
    return MN_OK;
}

static mn_status read_training(mn_arena *arena, const struct mn_study_settings *settings,
                               json_t *entry, const char *config, const char *where,
                               struct mn_study_training *out)
{
    const struct mn_settings *table = &mn_train_settings_table;
    MN_TRY(mn_settings_defaults(table, &out->settings, arena));
    if (settings->defaults)
        MN_TRY(mn_settings_read(table, &out->settings, arena, settings->defaults,
                                mn_arena_printf(arena, "%s: defaults", config)));
    json_t *rest = json_copy(entry);
    json_object_del(rest, "name");
    mn_status st = mn_settings_read(table, &out->settings, arena, rest, where);
    json_decref(rest);
    if (st != MN_OK) return st;
    MN_TRY(mn_settings_check(table, &out->settings, where));
    json_t *all = mn_settings_json(table, &out->settings);
    char *text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(17));
    out->json = mn_arena_strdup(arena, text ? text : "");
    free(text);
    json_decref(all);
    return MN_OK;
}

mn_status mn_study_trainings(mn_arena *arena, const struct mn_study_settings *settings,
                             const char *where, struct mn_study_training **trainings, size_t *count)
{
    json_t *list = settings->trainings, *entry;
    size_t i;
    *trainings = NULL;
    *count = 0;
    if (!list) return MN_OK;
    if (!json_is_array(list))
        return mn_fail(MN_INVALID, "%s: key \"trainings\": expected an array, found %s", where,
                       mn_json_kind(list));
    *trainings = MN_NEW(arena, struct mn_study_training, json_array_size(list));
    json_array_foreach (list, i, entry) {
        const char *place = mn_arena_printf(arena, "%s: trainings[%zu]", where, i);
        struct mn_study_training *training = &(*trainings)[i];
        MN_TRY(read_name(arena, *trainings, i, entry, place, &training->name));
        MN_TRY(read_training(arena, settings, entry, where, place, training));
    }
    *count = json_array_size(list);
    return MN_OK;
}
