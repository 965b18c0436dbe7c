/* settings.h: every key of a config and every option of a command, from one table.
 *
 * A command describes its settings as a plain struct and a table of rows. From the table come the
 * defaults, the strict reading of a JSON config (dotted keys are nested objects), `--set
 * key=value`, the long options of the command line
 * (`lora.rank` is --lora-rank, `max_new_tokens` is --max-new-tokens), `--help`, and the page
 * configs/README.md. */
#ifndef MINUANO_SETTINGS_H
#define MINUANO_SETTINGS_H

#include "minuano/json.h"

/* The C type of the field is named beside each kind. */
enum mn_setting_kind {
    MN_SETTING_BOOL,    /* bool */
    MN_SETTING_INT,     /* int64_t */
    MN_SETTING_REAL,    /* double */
    MN_SETTING_STRING,  /* const char *, NULL when absent */
    MN_SETTING_PATH,    /* const char *, NULL when absent: a file or folder. Relative to the folder
                           of the config file it stands in; on the command line and as a default, to
                           the current directory */
    MN_SETTING_MODEL,   /* the same, where it begins with "/", "./" or "../"; anything else is left
                           as it is: a name in the hub cache, see mn_hub_resolve */
    MN_SETTING_CHOICE,  /* int: index into choices */
    MN_SETTING_INTS,    /* struct mn_ints */
    MN_SETTING_REALS,   /* struct mn_reals */
    MN_SETTING_STRINGS, /* struct mn_strings */
    MN_SETTING_JSON, /* json_t *, borrowed from the config; only in a config file; NULL when absent
                      */
};

struct mn_ints {
    const int64_t *item;
    size_t count;
};
struct mn_reals {
    const double *item;
    size_t count;
};
struct mn_strings {
    const char *const *item;
    size_t count;
};

struct mn_setting {
    const char *key; /* "lora.rank" */
    enum mn_setting_kind kind;
    size_t offset;        /* of the field in the struct */
    const char *fallback; /* as text, as on the command line; NULL: none (zero). Lists are
                             comma-separated */
    const char *help;     /* one line */
    bool required;        /* no default makes sense */
    double low, high;     /* numbers (each element of lists); both 0: unbounded */
    const char *const
        *choices; /* CHOICE and STRINGS: NULL-terminated list of what is allowed; NULL: anything */
};

struct mn_settings {
    const char *title; /* "minuano train" */
    const struct mn_setting *rows;
    size_t count;
};

/* Values and error origins live in the arena, which must outlive the struct. A config's json_t
 * lives as long too. */
MN_CHECKED mn_status mn_settings_defaults(const struct mn_settings *table, void *out,
                                          mn_arena *arena);

/* Reads an object; unknown keys, wrong types and values out of range are errors naming `where` and
 * key. `where` begins with the config file's path: paths in it are relative to that file's folder.
 * Keys that are absent keep the value that *out already has. */
MN_CHECKED mn_status mn_settings_read(const struct mn_settings *table, void *out, mn_arena *arena,
                                      json_t *object, const char *where);

/* One `key=value` of --set or an option: `where` is "--set" or "--lora-rank". A list is
 * comma-separated. */
MN_CHECKED mn_status mn_settings_set(const struct mn_settings *table, void *out, mn_arena *arena,
                                     const char *key, const char *value, const char *where);

/* Every required key must have been given: strings and lists non-empty, JSON non-NULL. */
MN_CHECKED mn_status mn_settings_check(const struct mn_settings *table, const void *values,
                                       const char *where);

/* The values as a nested object, to be kept beside a run's results. The caller owns it. */
json_t *mn_settings_json(const struct mn_settings *table, const void *values);

/* One row a key: option, meaning, default, limits. */
void mn_settings_help(const struct mn_settings *table, FILE *out);     /* for --help */
void mn_settings_markdown(const struct mn_settings *table, FILE *out); /* for configs/README.md */

#endif
