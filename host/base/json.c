/* json.c: jansson with messages that say where. */
#include "minuano/json.h"

#include <string.h>

enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY };

mn_status mn_json_parse(json_t **out, const char *text, size_t length, const char *where)
{
    json_error_t error;
    json_t *value = json_loadb(text, length, FLAGS, &error);
    if (!value)
        return mn_fail(MN_INVALID, "%s: not JSON: line %d, column %d: %s", where, error.line,
                       error.column, error.text);
    *out = value;
    return MN_OK;
}

mn_status mn_json_load(json_t **out, const char *path)
{
    struct mn_mapping mapping;
    MN_TRY(mn_mapping_open(&mapping, path));
    mn_status st =
        mn_json_parse(out, mapping.data ? (const char *)mapping.data : "", mapping.size, path);
    mn_mapping_close(&mapping);
    return st;
}

size_t mn_utf8_at(const char *bytes, size_t length)
{
    const unsigned char *text = (const unsigned char *)bytes;
    unsigned char c = length ? text[0] : 0x80;
    size_t size = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (size == 0 || size > length) return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    bool overlong = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
    bool surrogate = c == 0xed && text[1] >= 0xa0, beyond = c == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

json_t *mn_json_text(const char *bytes, size_t length)
{
    struct mn_text text = {0};
    mn_text_add(&text, "", 0);
    for (size_t i = 0, size; i < length; i += size ? size : 1) {
        size = mn_utf8_at(bytes + i, length - i);
        mn_text_add(&text, size ? bytes + i : "\xef\xbf\xbd", size ? size : 3);
    }
    json_t *value = json_stringn(text.data, text.length);
    mn_text_free(&text);
    return value;
}

const char *mn_json_kind(const json_t *value)
{
    if (!value) return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

static mn_status fail_kind(const char *where, const char *key, const char *expected,
                           const json_t *found)
{
    return mn_fail(MN_INVALID, "%s: key \"%s\": expected %s, found %s", where, key, expected,
                   mn_json_kind(found));
}

static mn_status find(const json_t *object, const char *where, const char *key, const json_t **out)
{
    if (!json_is_object(object))
        return mn_fail(MN_INVALID, "%s: expected an object with key \"%s\", found %s", where, key,
                       mn_json_kind(object));
    const json_t *value = json_object_get(object, key);
    *out = json_is_null(value) ? NULL : value;
    return MN_OK;
}

bool mn_json_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

mn_status mn_json_string_or(const json_t *object, const char *where, const char *key,
                            const char *fallback, const char **out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    if (value && !json_is_string(value)) return fail_kind(where, key, "a string", value);
    if (value && strlen(json_string_value(value)) != json_string_length(value))
        return mn_fail(MN_INVALID, "%s: key \"%s\": expected a string without NUL bytes", where,
                       key);
    *out = value ? json_string_value(value) : fallback;
    return MN_OK;
}

mn_status mn_json_string(const json_t *object, const char *where, const char *key, const char **out)
{
    const char *value;
    MN_TRY(mn_json_string_or(object, where, key, NULL, &value));
    if (!value) return fail_kind(where, key, "a string", NULL);
    *out = value;
    return MN_OK;
}

static mn_status read_int(const json_t *value, const char *where, const char *key, int64_t low,
                          int64_t high, int64_t *out)
{
    if (!json_is_integer(value)) return fail_kind(where, key, "an integer", value);
    int64_t number = json_integer_value(value);
    if (number < low || number > high)
        return mn_fail(MN_INVALID,
                       "%s: key \"%s\": expected an integer from %lld to %lld, found %lld", where,
                       key, (long long)low, (long long)high, (long long)number);
    *out = number;
    return MN_OK;
}

mn_status mn_json_int(const json_t *object, const char *where, const char *key, int64_t low,
                      int64_t high, int64_t *out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    return read_int(value, where, key, low, high, out);
}

mn_status mn_json_int_or(const json_t *object, const char *where, const char *key, int64_t low,
                         int64_t high, int64_t fallback, int64_t *out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    if (value) return read_int(value, where, key, low, high, out);
    *out = fallback;
    return MN_OK;
}

mn_status mn_json_real_or(const json_t *object, const char *where, const char *key, double fallback,
                          double *out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    if (value && !json_is_number(value)) return fail_kind(where, key, "a number", value);
    *out = value ? json_number_value(value) : fallback;
    return MN_OK;
}

mn_status mn_json_bool_or(const json_t *object, const char *where, const char *key, bool fallback,
                          bool *out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    if (value && !json_is_boolean(value)) return fail_kind(where, key, "true or false", value);
    *out = value ? json_is_true(value) : fallback;
    return MN_OK;
}

mn_status mn_json_array(const json_t *object, const char *where, const char *key,
                        const json_t **out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    if (!json_is_array(value)) return fail_kind(where, key, "an array", value);
    *out = value;
    return MN_OK;
}

mn_status mn_json_object(const json_t *object, const char *where, const char *key,
                         const json_t **out)
{
    const json_t *value;
    MN_TRY(find(object, where, key, &value));
    if (!json_is_object(value)) return fail_kind(where, key, "an object", value);
    *out = value;
    return MN_OK;
}

mn_status mn_json_write(const char *path, const json_t *value)
{
    mn_writer *writer = NULL;
    mn_status st;
    MN_GO(mn_writer_open(&writer, path));
    json_dumpf(value, mn_writer_stream(writer),
               JSON_INDENT(2) | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    fputc('\n', mn_writer_stream(writer));
    MN_GO(mn_writer_commit(writer));
done:
    mn_writer_close(&writer);
    return st;
}

void mn_json_line(FILE *stream, const json_t *value)
{
    json_dumpf(value, stream, JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    fputc('\n', stream);
}

mn_status mn_jsonl_open(struct mn_jsonl *out, const char *path)
{
    return mn_lines_open(&out->lines, path);
}

mn_status mn_jsonl_next(struct mn_jsonl *file, json_t **out)
{
    const char *line;
    do {
        MN_TRY(mn_lines_next(&file->lines, &line));
        if (!line) {
            *out = NULL;
            return MN_OK;
        }
    } while (strspn(line, " \t") == file->lines.length);
    snprintf(file->where, sizeof file->where, "%s:%ld", file->lines.path, file->lines.number);
    return mn_json_parse(out, line, file->lines.length, file->where);
}

void mn_jsonl_close(struct mn_jsonl *file)
{
    mn_lines_close(&file->lines);
}
