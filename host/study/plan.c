/* plan.c: from the config's trainings and sweep to one complete set of settings each. */
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

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
    if (!is_name(*out) || strcmp(*out, "base") == 0 || strcmp(*out, "baseline") == 0)
        return mn_fail(MN_INVALID,
                       "%s: key \"name\": expected letters, digits, '.', '_' and '-', and not "
                       "\"base\" or \"baseline\", found \"%s\"",
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

static mn_status read_list(mn_arena *arena, const struct mn_study_settings *settings,
                           const char *where, const json_t *list, const char *key,
                           struct mn_study_training *out, size_t *count)
{
    json_t *entry;
    size_t i;
    json_array_foreach (list, i, entry) {
        const char *place = mn_arena_printf(arena, "%s: %s[%zu]", where, key, i);
        struct mn_study_training *training = &out[*count];
        MN_TRY(read_name(arena, out, *count, entry, place, &training->name));
        MN_TRY(read_training(arena, settings, entry, where, place, training));
        ++*count;
    }
    return MN_OK;
}

mn_status mn_study_trainings(mn_arena *arena, const struct mn_study_settings *settings,
                             const char *where, struct mn_study_training **trainings, size_t *count)
{
    const json_t *list = settings->trainings;
    json_t *grid = NULL;
    mn_status st;
    *trainings = NULL;
    *count = 0;
    if (list && !json_is_array(list))
        return mn_fail(MN_INVALID, "%s: key \"trainings\": expected an array, found %s", where,
                       mn_json_kind(list));
    MN_TRY(study_sweep(arena, settings->sweep, where, &grid));
    *trainings =
        MN_NEW(arena, struct mn_study_training, json_array_size(list) + json_array_size(grid));
    MN_GO(read_list(arena, settings, where, list, "trainings", *trainings, count));
    MN_GO(read_list(arena, settings, where, grid, "sweep", *trainings, count));
done:
    json_decref(grid);
    return st;
}
