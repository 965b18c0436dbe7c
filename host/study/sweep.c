/* sweep.c: lists of settings as a grid of trainings. */
#include "sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One key of the sweep with its values. */
struct axis {
    const char *group, *key; /* "train", "learning_rate" */
    json_t *values;          /* borrowed: a non-empty array */
    const char **spelled;    /* (json_array_size(values)) as in a name */
};

struct grid {
    mn_arena *arena;
    const char *where; /* "c.json: sweep" */
    MN_LIST(struct axis) axes;
    size_t count; /* combinations */
};

/* --- values in names -------------------------------------------------------------------------- */

static const char *label_of(const char *key)
{
    return strcmp(key, "learning_rate") == 0 ? "lr" : key;
}

/* The fewest digits that read back the same, without a '+', which no name may hold. */
static void spell_real(double value, struct mn_text *out)
{
    char text[40];
    if (value == floor(value) && fabs(value) < 1e15) {
        mn_text_printf(out, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    for (const char *c = text; *c; c++)
        if (*c != '+') mn_text_add(out, c, 1);
}

/* A name ends up as a folder's: what may not stand in one becomes '-'. */
static void spell_string(const char *value, struct mn_text *out)
{
    for (const char *c = value; *c; c++)
        mn_text_add(out,
                    strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c)
                        ? c
                        : "-",
                    1);
}

static bool holds(const json_t *list, const char *word)
{
    const json_t *item;
    size_t i;
    json_array_foreach (list, i, item)
        if (json_is_string(item) && strcmp(json_string_value(item), word) == 0) return true;
    return false;
}

/* Modules in their own order, whatever the list's: "q.v". */
static void spell_targets(const json_t *list, struct mn_text *out)
{
    const char *gap = "";
    for (int m = 0; m < MN_MODULES; m++) {
        if (!holds(list, mn_module_names[m])) continue;
        mn_text_printf(out, "%s%.*s", gap, (int)(strlen(mn_module_names[m]) - strlen("_proj")),
                       mn_module_names[m]);
        gap = ".";
    }
}

static const char *spell(mn_arena *arena, const json_t *value)
{
    struct mn_text text = {0};
    mn_text_puts(&text, "");
    if (json_is_array(value))
        spell_targets(value, &text);
    else if (json_is_string(value))
        spell_string(json_string_value(value), &text);
    else if (json_is_boolean(value))
        mn_text_puts(&text, json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        mn_text_printf(&text, "%lld", (long long)json_integer_value(value));
    else
        spell_real(json_number_value(value), &text);
    const char *kept = mn_arena_strdup(arena, text.data);
    mn_text_free(&text);
    return kept;
}

/* --- axes ------------------------------------------------------------------------------------- */

/* Each value must be one that the training's table takes for that key. */
static mn_status check_value(struct grid *grid, const struct axis *axis, json_t *value)
{
    struct mn_train_settings probe;
    json_t *object = json_pack("{s:{s:O}}", axis->group, axis->key, value);
    MN_TRY(mn_settings_defaults(&mn_train_settings_table, &probe, grid->arena));
    mn_status st =
        mn_settings_read(&mn_train_settings_table, &probe, grid->arena, object, grid->where);
    json_decref(object);
    return st;
}

static mn_status read_axis(struct grid *grid, struct axis *axis)
{
    json_t *value;
    size_t i;
    if (!json_is_array(axis->values))
        return mn_fail(MN_INVALID, "%s: key \"%s.%s\": expected an array of values, found %s",
                       grid->where, axis->group, axis->key, mn_json_kind(axis->values));
    if (json_array_size(axis->values) == 0)
        return mn_fail(MN_INVALID, "%s: key \"%s.%s\": expected at least one value, found none",
                       grid->where, axis->group, axis->key);
    axis->spelled = MN_NEW(grid->arena, const char *, json_array_size(axis->values));
    json_array_foreach (axis->values, i, value) {
        MN_TRY(check_value(grid, axis, value));
        axis->spelled[i] = spell(grid->arena, value);
        for (size_t j = 0; j < i; j++)
            if (strcmp(axis->spelled[j], axis->spelled[i]) == 0)
                return mn_fail(MN_INVALID, "%s: key \"%s.%s\": %s is there twice", grid->where,
                               axis->group, axis->key, axis->spelled[i]);
    }
    if (grid->count > STUDY_GRID_LIMIT / i)
        return mn_fail(MN_INVALID,
                       "%s: expected at most %d trainings, found %zu and %zu times as many by "
                       "\"%s.%s\"",
                       grid->where, STUDY_GRID_LIMIT, grid->count, i, axis->group, axis->key);
    grid->count *= i;
    return MN_OK;
}

static mn_status read_axes(struct grid *grid, const json_t *sweep)
{
    const char *group, *key;
    json_t *keys, *values;
    if (!json_is_object(sweep))
        return mn_fail(MN_INVALID, "%s: expected an object, found %s", grid->where,
                       mn_json_kind(sweep));
    json_object_foreach ((json_t *)sweep, group, keys) {
        if (!json_is_object(keys))
            return mn_fail(MN_INVALID, "%s: key \"%s\": expected an object of arrays, found %s",
                           grid->where, group, mn_json_kind(keys));
        json_object_foreach (keys, key, values) {
            struct axis *axis = MN_PUSH(&grid->axes);
            *axis = (struct axis){.group = group, .key = key, .values = values};
            MN_TRY(read_axis(grid, axis));
        }
    }
    if (grid->axes.count == 0)
        return mn_fail(MN_INVALID, "%s: expected arrays of lora.* and train.* values, found none",
                       grid->where);
    return MN_OK;
}

/* --- combinations ----------------------------------------------------------------------------- */

static void set_value(json_t *entry, const struct axis *axis, size_t i)
{
    json_t *group = json_object_get(entry, axis->group);
    if (!group) {
        group = json_object();
        json_object_set_new(entry, axis->group, group);
    }
    json_object_set(group, axis->key, json_array_get(axis->values, i));
}

static json_t *combination(const struct grid *grid, size_t number)
{
    json_t *entry = json_object();
    struct mn_text name = {0};
    size_t rest = grid->count;
    for (size_t a = 0; a < grid->axes.count; a++) {
        const struct axis *axis = &grid->axes.item[a];
        size_t values = json_array_size(axis->values), i = number / (rest /= values) % values;
        set_value(entry, axis, i);
        if (values > 1)
            mn_text_printf(&name, "%s%s-%s", name.length ? "_" : "", label_of(axis->key),
                           axis->spelled[i]);
    }
    json_object_set_new(entry, "name", json_string(name.length ? name.data : "adapter"));
    mn_text_free(&name);
    return entry;
}

mn_status study_sweep(mn_arena *arena, const json_t *sweep, const char *where, json_t **entries)
{
    struct grid grid = {
        .arena = arena, .where = mn_arena_printf(arena, "%s: sweep", where), .count = 1};
    mn_status st = sweep ? read_axes(&grid, sweep) : MN_OK;
    if (st == MN_OK) {
        *entries = json_array();
        for (size_t i = 0; sweep && i < grid.count; i++)
            json_array_append_new(*entries, combination(&grid, i));
    }
    free(grid.axes.item);
    return st;
}
