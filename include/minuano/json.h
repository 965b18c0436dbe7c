/* json.h: jansson, with errors that name file, key, what was expected and what was found.
 *
 * For foreign JSON (config.json, tables.json, JSONL lines). minuano's own configs go through
 * settings.h, which also rejects unknown keys. */
#ifndef MINUANO_JSON_H
#define MINUANO_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "minuano/file.h"

/* Strict: no duplicate keys, nothing behind the value. The caller owns *out (json_decref). Strings
 * may hold NUL. */
MN_CHECKED mn_status mn_json_load(json_t **out, const char *path);

/* The same for one line; `where` ("file.jsonl:12") opens the message. */
MN_CHECKED mn_status mn_json_parse(json_t **out, const char *text, size_t length,
                                   const char *where);

/* The key is there and not null: a table that becomes JSON has null for what a row lacks. */
bool mn_json_has(const json_t *object, const char *key);

/* Typed reading of one key of an object. `where` names the file (and line) in messages. When the
 * key is absent (or null) the `_or` forms leave *out at `fallback`, the others fail. Strings are
 * borrowed from `object`, and must be free of NUL bytes. */
MN_CHECKED mn_status mn_json_string(const json_t *object, const char *where, const char *key,
                                    const char **out);
MN_CHECKED mn_status mn_json_string_or(const json_t *object, const char *where, const char *key,
                                       const char *fallback, const char **out);
MN_CHECKED mn_status mn_json_int(const json_t *object, const char *where, const char *key,
                                 int64_t low, int64_t high, int64_t *out);
MN_CHECKED mn_status mn_json_int_or(const json_t *object, const char *where, const char *key,
                                    int64_t low, int64_t high, int64_t fallback, int64_t *out);
MN_CHECKED mn_status mn_json_real_or(const json_t *object, const char *where, const char *key,
                                     double fallback, double *out); /* integers count */
MN_CHECKED mn_status mn_json_bool_or(const json_t *object, const char *where, const char *key,
                                     bool fallback, bool *out);
MN_CHECKED mn_status mn_json_array(const json_t *object, const char *where, const char *key,
                                   const json_t **out);
MN_CHECKED mn_status mn_json_object(const json_t *object, const char *where, const char *key,
                                    const json_t **out);

/* Length in bytes of the well-formed UTF-8 sequence that `bytes` begin with; 0: there is none. */
size_t mn_utf8_at(const char *bytes, size_t length);
/* A JSON string of any bytes: each that is not UTF-8 becomes U+FFFD. For what a model wrote. */
json_t *mn_json_text(const char *bytes, size_t length);

/* "an object", "a string", ...: for messages. */
const char *mn_json_kind(const json_t *value);

/* Atomically writes `value` with two-space indentation, keys in insertion order, and a final LF. */
MN_CHECKED mn_status mn_json_write(const char *path, const json_t *value);

/* Appends one compact line and LF to an open stream (errors show in ferror). */
void mn_json_line(FILE *stream, const json_t *value);

/* A JSONL file as it is read: blank lines are skipped; *out is NULL at the end, else owned by the
 * caller. */
struct mn_jsonl {
    struct mn_lines lines;
    char where[4200]; /* "path:line" of the value just read */
};
MN_CHECKED mn_status mn_jsonl_open(struct mn_jsonl *out, const char *path);
MN_CHECKED mn_status mn_jsonl_next(struct mn_jsonl *file, json_t **out);
void mn_jsonl_close(struct mn_jsonl *file);

#endif
