/* options.c: the command line, by the tables of settings: --lora-rank 8, --lora-rank=8, --set
 * lora.rank=8. */
#include <stdlib.h>
#include <string.h>

#include "command.h"

enum { CONFIG_DEPTH = 8 }; /* files that extend one another */

static const char *const device_names[] = {"auto", "cuda", "reference", NULL};
static const char *const attention_names[] = {"own", "cudnn", NULL};

static const struct mn_setting common_rows[] = {
    {"device", MN_SETTING_CHOICE, offsetof(struct common_settings, device), "auto",
     "where to run; auto takes a GPU where there is one", .choices = device_names},
    {"attention", MN_SETTING_CHOICE, offsetof(struct common_settings, attention), "own",
     "whose kernels on a GPU; cudnn leaves shared prefixes and decoding to our own",
     .choices = attention_names},
    {"device_index", MN_SETTING_INT, offsetof(struct common_settings, device_index), "0",
     "which GPU", .high = 1023},
    {"threads", MN_SETTING_INT, offsetof(struct common_settings, threads), "0",
     "threads of the reference device; 0: every processor", .high = 4096},
    {"hub_cache", MN_SETTING_STRING, offsetof(struct common_settings, hub_cache), NULL,
     "Hugging Face hub cache; default $HF_HOME/hub or ~/.cache/huggingface/hub"},
    {"json", MN_SETTING_BOOL, offsetof(struct common_settings, json), "false",
     "results as JSON on standard output"},
    {"quiet", MN_SETTING_BOOL, offsetof(struct common_settings, quiet), "false",
     "warnings and errors only"},
    {"verbose", MN_SETTING_BOOL, offsetof(struct common_settings, verbose), "false",
     "more than usual"},
};
static const struct mn_settings common_table = {"minuano", common_rows, MN_COUNT(common_rows)};

/* The row whose key is the option's name with dots and underscores written as dashes. */
static const struct mn_setting *find_option(const struct mn_settings *table, const char *name,
                                            size_t length)
{
    for (size_t i = 0; table && i < table->count; i++) {
        const char *key = table->rows[i].key;
        size_t matched = 0;
        while (matched < length && key[matched] &&
               (key[matched] == '.' || key[matched] == '_' ? '-' : key[matched]) == name[matched])
            matched++;
        if (matched == length && key[matched] == '\0' && table->rows[i].kind != MN_SETTING_JSON)
            return &table->rows[i];
    }
    return NULL;
}

/* A value named on the command line; wrong values are wrong usage. */
static mn_status set(const struct mn_settings *table, void *values, mn_arena *arena,
                     const char *key, const char *value, const char *where)
{
    mn_status st = mn_settings_set(table, values, arena, key, value, where);
    return st == MN_INVALID ? mn_fail(MN_USAGE, "%s", mn_error()) : st;
}

static mn_status set_pair(struct invocation *call, const char *pair)
{
    const char *equals = pair ? strchr(pair, '=') : NULL;
    if (!equals)
        return mn_fail(MN_USAGE, "--set: expected key=value, found \"%s\"",
                       pair ? pair : "nothing");
    if (!call->command->settings)
        return mn_fail(MN_USAGE, "--set: %s has no settings", call->command->name);
    return set(call->command->settings, call->settings, call->arena,
               mn_arena_strndup(call->arena, pair, (size_t)(equals - pair)), equals + 1, "--set");
}

/* Handles argv[*i], which begins with --, and whatever value it takes. */
static mn_status take_option(struct invocation *call, int argc, const char *const *argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (length == 3 && strncmp(name, "set", 3) == 0) {
        if (!equals) ++*i;
        return set_pair(call, equals ? equals + 1 : next);
    }
    const struct mn_settings *table = call->command->settings;
    void *values = call->settings;
    const struct mn_setting *row = find_option(table, name, length);
    if (!row) {
        table = &common_table;
        values = &call->common;
        row = find_option(table, name, length);
    }
    if (!row) return mn_fail(MN_USAGE, "%s: unknown option \"%s\"", call->command->name, argv[*i]);
    const char *value = equals ? equals + 1 : next;
    if (row->kind == MN_SETTING_BOOL && !equals)
        value = "true";
    else if (!value)
        return mn_fail(MN_USAGE, "--%.*s: expected a value", (int)length, name);
    else if (!equals)
        ++*i;
    return set(table, values, call->arena, row->key, value,
               mn_arena_printf(call->arena, "--%.*s", (int)length, name));
}

/* The values of a file; before them those of the file it extends, named relative to itself, so that
 * its own count more. */
static mn_status read_config(struct invocation *call, const char *path, int depth)
{
    const char *extended = NULL, *slash = strrchr(path, '/');
    json_t *file;
    MN_TRY(mn_json_load(&file, path));
    json_array_append_new(call->config, file);
    if (json_is_object(file)) MN_TRY(mn_json_string_or(file, path, "extends", NULL, &extended));
    if (extended) {
        if (depth == CONFIG_DEPTH)
            return mn_fail(MN_INVALID,
                           "%s: key \"extends\": more than %d files, each extending "
                           "the next",
                           path, CONFIG_DEPTH);
        const char *folder =
            mn_arena_strndup(call->arena, path, slash ? (size_t)(slash - path) : 0);
        extended =
            slash ? mn_path(call->arena, folder, extended) : mn_arena_strdup(call->arena, extended);
        MN_TRY(read_config(call, extended, depth + 1));
    }
    json_object_del(file, "extends");
    return mn_settings_read(call->command->settings, call->settings, call->arena, file, path);
}

/* --help=markdown gives the table of keys for configs/README.md. */
static enum help_form help_wanted(int argc, const char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return HELP_TEXT;
        if (strcmp(argv[i], "--help=markdown") == 0) return HELP_MARKDOWN;
    }
    return HELP_NONE;
}

/* What only the command line could have given is wrong usage when it is absent. */
static mn_status check_settings(const struct invocation *call)
{
    const char *where = call->config_path ? call->config_path : call->command->name;
    mn_status st = mn_settings_check(call->command->settings, call->settings, where);
    return st == MN_INVALID && !call->config_path ? mn_fail(MN_USAGE, "%s", mn_error()) : st;
}

mn_status parse_invocation(struct invocation *call, const struct command *command, int argc,
                           const char *const *argv, enum help_form *help)
{
    call->command = command;
    call->settings = mn_arena_alloc(call->arena, 1, command->settings_size + 1);
    call->positional = MN_NEW(call->arena, const char *, argc + 1);
    *help = help_wanted(argc, argv);
    if (*help != HELP_NONE) return MN_OK;
    MN_TRY(mn_settings_defaults(&common_table, &call->common, call->arena));
    if (command->settings)
        MN_TRY(mn_settings_defaults(command->settings, call->settings, call->arena));

    /* Options are applied after the config, wherever they stand. */
    int *options = MN_NEW(call->arena, int, argc + 1), option_count = 0;
    bool only_positional = false;
    struct invocation rehearsal = *call;
    rehearsal.settings = mn_arena_alloc(call->arena, 1, command->settings_size + 1);
    for (int i = 0; i < argc; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && strncmp(argv[i], "--", 2) == 0) {
            options[option_count++] = i;
            MN_TRY(take_option(&rehearsal, argc, argv, &i));
        } else if (command->takes_config && !call->config_path) {
            call->config_path = argv[i];
        } else {
            call->positional[call->positional_count++] = argv[i];
        }
    }
    call->common = rehearsal.common;
    if (command->takes_config && !call->config_path)
        return mn_fail(MN_USAGE, "%s: expected CONFIG, a JSON file", command->name);
    if (call->positional_count < command->positional_low ||
        call->positional_count > command->positional_high)
        return mn_fail(MN_USAGE, "%s: expected %s, found %zu arguments", command->name,
                       command->usage, call->positional_count);
    call->config = json_array();
    if (call->config_path) MN_TRY(read_config(call, call->config_path, 1));
    for (int i = 0; i < option_count; i++) MN_TRY(take_option(call, argc, argv, &options[i]));
    return command->settings ? check_settings(call) : MN_OK;
}

void print_help(const struct command *command, enum help_form form, FILE *out)
{
    if (form == HELP_MARKDOWN) {
        if (command->settings) mn_settings_markdown(command->settings, out);
        return;
    }
    fprintf(out, "minuano %s: %s\n\nusage: minuano %s %s\n", command->name, command->summary,
            command->name, command->usage);
    if (command->settings && command->settings->count) {
        fputs("\noptions:\n", out);
        mn_settings_help(command->settings, out);
    }
    fputs("\noptions of every command:\n", out);
    mn_settings_help(&common_table, out);
    fputs("  --set key=value            any key of the table above, by its name in the config\n",
          out);
    if (command->examples) fprintf(out, "\nexamples:\n%s", command->examples);
}
