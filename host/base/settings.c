/* settings.c: one table of keys, read from JSON and from the command line, printed as help. */
#include "minuano/settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *field(void *values, const struct mn_setting *row)
{
    return (char *)values + row->offset;
}

static const void *field_const(const void *values, const struct mn_setting *row)
{
    return (const char *)values + row->offset;
}

static const struct mn_setting *find_row(const struct mn_settings *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].key, key) == 0) return &table->rows[i];
    return NULL;
}

/* The key that differs in the fewest letters, for "did you mean". */
static const char *nearest_key(const struct mn_settings *table, const char *key)
{
    const char *best = NULL;
    size_t best_distance = 4;
    for (size_t r = 0; r < table->count; r++) {
        const char *other = table->rows[r].key;
        size_t above[80], n = strlen(key), m = strlen(other);
        if (n >= 79 || m >= 79) continue;
        for (size_t j = 0; j <= m; j++) above[j] = j;
        for (size_t i = 1; i <= n; i++) {
            size_t diagonal = above[0];
            above[0] = i;
            for (size_t j = 1; j <= m; j++) {
                size_t change = diagonal + (key[i - 1] != other[j - 1]);
                diagonal = above[j];
                size_t smaller = (above[j] < above[j - 1] ? above[j] : above[j - 1]) + 1;
                above[j] = change < smaller ? change : smaller;
            }
        }
        if (above[m] < best_distance) {
            best_distance = above[m];
            best = other;
        }
    }
    return best;
}

static mn_status fail_unknown(const struct mn_settings *table, const char *where, const char *key)
{
    const char *near = nearest_key(table, key);
    return near ? mn_fail(MN_INVALID, "%s: unknown key \"%s\"; did you mean \"%s\"?", where, key,
                          near)
                : mn_fail(MN_INVALID, "%s: unknown key \"%s\"", where, key);
}

static mn_status check_range(const struct mn_setting *row, const char *where, double value)
{
    if (row->low == 0 && row->high == 0 && isfinite(value)) return MN_OK;
    if (value >= row->low && value <= row->high) return MN_OK;
    return mn_fail(MN_INVALID, "%s: key \"%s\": expected a number from %.15g to %.15g, found %.15g",
                   where, row->key, row->low, row->high, value);
}

static int find_choice(const struct mn_setting *row, const char *text)
{
    for (int i = 0; row->choices && row->choices[i]; i++)
        if (strcmp(row->choices[i], text) == 0) return i;
    return -1;
}

static mn_status fail_choice(const struct mn_setting *row, const char *where, const char *found)
{
    struct mn_text list = {0};
    for (int i = 0; row->choices[i]; i++)
        mn_text_printf(&list, "%s%s", i ? ", " : "", row->choices[i]);
    mn_status st = mn_fail(MN_INVALID, "%s: key \"%s\": expected one of %s, found \"%s\"", where,
                           row->key, list.data, found);
    mn_text_free(&list);
    return st;
}

static const char *kind_words(enum mn_setting_kind kind)
{
    switch (kind) {
    case MN_SETTING_BOOL: return "true or false";
    case MN_SETTING_INT: return "an integer";
    case MN_SETTING_REAL: return "a number";
    case MN_SETTING_STRING: return "a string";
    case MN_SETTING_PATH: return "a path";
    case MN_SETTING_MODEL: return "a folder or hub name";
    case MN_SETTING_CHOICE: return "a string";
    case MN_SETTING_INTS: return "an array of integers";
    case MN_SETTING_REALS: return "an array of numbers";
    case MN_SETTING_STRINGS: return "an array of strings";
    case MN_SETTING_JSON: return "a JSON value";
    }
    return "a value";
}

static mn_status fail_kind(const struct mn_setting *row, const char *where, const json_t *found)
{
    return mn_fail(MN_INVALID, "%s: key \"%s\": expected %s, found %s", where, row->key,
                   kind_words(row->kind), mn_json_kind(found));
}

static mn_status read_list(const struct mn_setting *row, void *out, mn_arena *arena,
                           const json_t *value, const char *where)
{
    size_t count = json_array_size(value);
    int64_t *ints = row->kind == MN_SETTING_INTS ? MN_NEW(arena, int64_t, count + 1) : NULL;
    double *reals = row->kind == MN_SETTING_REALS ? MN_NEW(arena, double, count + 1) : NULL;
    const char **strings =
        row->kind == MN_SETTING_STRINGS ? MN_NEW(arena, const char *, count + 1) : NULL;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(value, i);
        if (ints ? !json_is_integer(item) : reals ? !json_is_number(item) : !json_is_string(item))
            return fail_kind(row, where, item);
        if (strings) {
            strings[i] = mn_arena_strdup(arena, json_string_value(item));
            if (row->choices && find_choice(row, strings[i]) < 0)
                return fail_choice(row, where, strings[i]);
            continue;
        }
        if (ints) ints[i] = json_integer_value(item);
        if (reals) reals[i] = json_number_value(item);
        MN_TRY(check_range(row, where, json_number_value(item)));
    }
    if (ints) *(struct mn_ints *)out = (struct mn_ints){.item = ints, .count = count};
    if (reals) *(struct mn_reals *)out = (struct mn_reals){.item = reals, .count = count};
    if (strings) *(struct mn_strings *)out = (struct mn_strings){.item = strings, .count = count};
    return MN_OK;
}

/* A path as the user of a config means it: relative to the file's folder. config NULL: not from a
 * file. */
static const char *resolve_path(mn_arena *arena, enum mn_setting_kind kind, const char *value,
                                const char *config)
{
    const char *slash = config ? strrchr(config, '/') : NULL;
    bool dotted = strncmp(value, "./", 2) == 0 || strncmp(value, "../", 3) == 0;
    if (!slash || (kind == MN_SETTING_MODEL && !dotted)) return mn_arena_strdup(arena, value);
    return mn_path(arena, mn_arena_strndup(arena, config, (size_t)(slash - config) + 1), value);
}

/* config is the path of the file that the value comes from, NULL when it comes from elsewhere. */
static mn_status read_value(const struct mn_setting *row, void *out, mn_arena *arena, json_t *value,
                            const char *where, const char *config)
{
    switch (row->kind) {
    case MN_SETTING_BOOL:
        if (!json_is_boolean(value)) return fail_kind(row, where, value);
        *(bool *)out = json_is_true(value);
        return MN_OK;
    case MN_SETTING_INT:
        if (!json_is_integer(value)) return fail_kind(row, where, value);
        MN_TRY(check_range(row, where, (double)json_integer_value(value)));
        *(int64_t *)out = json_integer_value(value);
        return MN_OK;
    case MN_SETTING_REAL:
        if (!json_is_number(value)) return fail_kind(row, where, value);
        MN_TRY(check_range(row, where, json_number_value(value)));
        *(double *)out = json_number_value(value);
        return MN_OK;
    case MN_SETTING_STRING:
        if (!json_is_string(value)) return fail_kind(row, where, value);
        *(const char **)out = mn_arena_strdup(arena, json_string_value(value));
        return MN_OK;
    case MN_SETTING_PATH:
    case MN_SETTING_MODEL:
        if (!json_is_string(value)) return fail_kind(row, where, value);
        *(const char **)out = resolve_path(arena, row->kind, json_string_value(value), config);
        return MN_OK;
    case MN_SETTING_CHOICE: {
        if (!json_is_string(value)) return fail_kind(row, where, value);
        int choice = find_choice(row, json_string_value(value));
        if (choice < 0) return fail_choice(row, where, json_string_value(value));
        *(int *)out = choice;
        return MN_OK;
    }
    case MN_SETTING_INTS:
    case MN_SETTING_REALS:
    case MN_SETTING_STRINGS:
        if (!json_is_array(value)) return fail_kind(row, where, value);
        return read_list(row, out, arena, value, where);
    case MN_SETTING_JSON: *(json_t **)out = value; return MN_OK;
    }
    return MN_OK;
}

/* A dotted key is an object in the file: descend while some row's key begins with the path so far.
 */
static bool opens_group(const struct mn_settings *table, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < table->count; i++)
        if (strncmp(table->rows[i].key, key, length) == 0 && table->rows[i].key[length] == '.')
            return true;
    return false;
}

static mn_status read_group(const struct mn_settings *table, void *out, mn_arena *arena,
                            json_t *object, const char *where, const char *prefix)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return mn_fail(MN_INVALID, "%s: key \"%s\": expected an object, found %s", where, prefix,
                       mn_json_kind(object));
    json_object_foreach (object, name, value) {
        const char *key = prefix[0] ? mn_arena_printf(arena, "%s.%s", prefix, name) : name;
        const struct mn_setting *row = find_row(table, key);
        if (row)
            MN_TRY(read_value(row, field(out, row), arena, value, where, where));
        else if (opens_group(table, key))
            MN_TRY(read_group(table, out, arena, value, where, key));
        else
            return fail_unknown(table, where, key);
    }
    return MN_OK;
}

mn_status mn_settings_read(const struct mn_settings *table, void *out, mn_arena *arena,
                           json_t *object, const char *where)
{
    if (!json_is_object(object))
        return mn_fail(MN_INVALID, "%s: expected an object, found %s", where, mn_json_kind(object));
    return read_group(table, out, arena, object, where, "");
}

/* Text as JSON: numbers and lists have one reader, whichever way they came in. */
static json_t *parse_scalar(enum mn_setting_kind kind, const char *text)
{
    char *end;
    errno = 0;
    switch (kind) {
    case MN_SETTING_BOOL:
        return strcmp(text, "true") == 0    ? json_true()
               : strcmp(text, "false") == 0 ? json_false()
                                            : json_string(text);
    case MN_SETTING_INT:
    case MN_SETTING_INTS: {
        long long number = strtoll(text, &end, 10);
        return *text && !*end && errno == 0 ? json_integer(number) : json_string(text);
    }
    case MN_SETTING_REAL:
    case MN_SETTING_REALS: {
        double number = strtod(text, &end);
        return *text && !*end && isfinite(number) ? json_real(number) : json_string(text);
    }
    default: return json_string(text);
    }
}

static json_t *parse_text(enum mn_setting_kind kind, const char *text)
{
    if (kind != MN_SETTING_INTS && kind != MN_SETTING_REALS && kind != MN_SETTING_STRINGS)
        return parse_scalar(kind, text);
    json_t *list = json_array();
    char *copy = mn_realloc(NULL, strlen(text) + 1, 1), *rest = copy;
    strcpy(copy, text);
    for (char *item; *text && (item = strsep(&rest, ",")) != NULL;)
        json_array_append_new(list, parse_scalar(kind, item));
    free(copy);
    return list;
}

mn_status mn_settings_set(const struct mn_settings *table, void *out, mn_arena *arena,
                          const char *key, const char *value, const char *where)
{
    const struct mn_setting *row = find_row(table, key);
    if (!row) return fail_unknown(table, where, key);
    if (row->kind == MN_SETTING_JSON)
        return mn_fail(MN_INVALID, "%s: key \"%s\" can only be set in a config file", where, key);
    json_t *parsed = parse_text(row->kind, value);
    if (!parsed) return mn_fail(MN_INVALID, "%s: key \"%s\": the value is not UTF-8", where, key);
    mn_status st = read_value(row, field(out, row), arena, parsed, where, NULL);
    if (st != MN_OK && json_is_string(parsed) && row->kind != MN_SETTING_CHOICE)
        st = mn_fail(MN_INVALID, "%s: key \"%s\": expected %s, found \"%s\"", where, key,
                     kind_words(row->kind), value);
    json_decref(parsed);
    return st;
}

mn_status mn_settings_defaults(const struct mn_settings *table, void *out, mn_arena *arena)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].fallback)
            MN_TRY(mn_settings_set(table, out, arena, table->rows[i].key, table->rows[i].fallback,
                                   table->title));
    return MN_OK;
}

static bool is_given(const struct mn_setting *row, const void *value)
{
    switch (row->kind) {
    case MN_SETTING_STRING:
    case MN_SETTING_PATH:
    case MN_SETTING_MODEL: return *(const char *const *)value != NULL;
    case MN_SETTING_JSON: return *(json_t *const *)value != NULL;
    case MN_SETTING_INTS: return ((const struct mn_ints *)value)->count > 0;
    case MN_SETTING_REALS: return ((const struct mn_reals *)value)->count > 0;
    case MN_SETTING_STRINGS: return ((const struct mn_strings *)value)->count > 0;
    case MN_SETTING_INT: return *(const int64_t *)value != 0;
    default: return true;
    }
}

mn_status mn_settings_check(const struct mn_settings *table, const void *values, const char *where)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct mn_setting *row = &table->rows[i];
        if (row->required && !is_given(row, field_const(values, row)))
            return mn_fail(MN_INVALID, "%s: key \"%s\" is required: %s", where, row->key,
                           row->help);
    }
    return MN_OK;
}

static json_t *value_json(const struct mn_setting *row, const void *value)
{
    json_t *list = json_array();
    switch (row->kind) {
    case MN_SETTING_BOOL: json_decref(list); return json_boolean(*(const bool *)value);
    case MN_SETTING_INT: json_decref(list); return json_integer(*(const int64_t *)value);
    case MN_SETTING_REAL: json_decref(list); return json_real(*(const double *)value);
    case MN_SETTING_CHOICE:
        json_decref(list);
        return json_string(row->choices[*(const int *)value]);
    case MN_SETTING_STRING:
    case MN_SETTING_PATH:
    case MN_SETTING_MODEL: {
        const char *text = *(const char *const *)value;
        json_decref(list);
        return text ? json_string(text) : json_null();
    }
    case MN_SETTING_JSON: {
        json_t *any = *(json_t *const *)value;
        json_decref(list);
        return any ? json_incref(any) : json_null();
    }
    case MN_SETTING_INTS: {
        const struct mn_ints *ints = value;
        for (size_t i = 0; i < ints->count; i++)
            json_array_append_new(list, json_integer(ints->item[i]));
        return list;
    }
    case MN_SETTING_REALS: {
        const struct mn_reals *reals = value;
        for (size_t i = 0; i < reals->count; i++)
            json_array_append_new(list, json_real(reals->item[i]));
        return list;
    }
    case MN_SETTING_STRINGS: {
        const struct mn_strings *strings = value;
        for (size_t i = 0; i < strings->count; i++)
            json_array_append_new(list, json_string(strings->item[i]));
        return list;
    }
    }
    return list;
}

json_t *mn_settings_json(const struct mn_settings *table, const void *values)
{
    json_t *root = json_object();
    for (size_t i = 0; i < table->count; i++) {
        const struct mn_setting *row = &table->rows[i];
        json_t *object = root;
        const char *name = row->key;
        for (const char *dot; (dot = strchr(name, '.')) != NULL; name = dot + 1) {
            char part[80];
            snprintf(part, sizeof part, "%.*s", (int)(dot - name), name);
            if (!json_object_get(object, part)) json_object_set_new(object, part, json_object());
            object = json_object_get(object, part);
        }
        json_object_set_new(object, name, value_json(row, field_const(values, row)));
    }
    return root;
}

static void write_limits(const struct mn_setting *row, FILE *out)
{
    if (row->choices)
        for (int i = 0; row->choices[i]; i++) fprintf(out, "%s%s", i ? " | " : "", row->choices[i]);
    else if (row->low != 0 || row->high != 0)
        fprintf(out, "%s, %.15g to %.15g", kind_words(row->kind), row->low, row->high);
    else
        fputs(kind_words(row->kind), out);
}

void mn_settings_help(const struct mn_settings *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct mn_setting *row = &table->rows[i];
        if (row->kind == MN_SETTING_JSON) continue; /* config files only */
        fputs("  --", out);
        int width = 0;
        for (const char *c = row->key; *c; c++, width++)
            fputc(*c == '.' || *c == '_' ? '-' : *c, out);
        fprintf(out, "%*s %s (", width < 24 ? 24 - width : 0, "", row->help);
        write_limits(row, out);
        if (row->required)
            fputs("; required", out);
        else if (row->fallback)
            fprintf(out, "; default %s", row->fallback);
        fputs(")\n", out);
    }
}

void mn_settings_markdown(const struct mn_settings *table, FILE *out)
{
    fputs("| key | meaning | value | default |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < table->count; i++) {
        const struct mn_setting *row = &table->rows[i];
        fprintf(out, "| `%s` | %s | ", row->key, row->help);
        if (row->choices)
            for (int c = 0; row->choices[c]; c++)
                fprintf(out, "%s`%s`", c ? ", " : "", row->choices[c]);
        else
            write_limits(row, out);
        fprintf(out, " | %s |\n", row->required ? "required" : row->fallback ? row->fallback : "");
    }
}
