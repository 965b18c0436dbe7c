/* command.h: what a command is, and what it is given. One file a command: cmd_NAME.c.
 *
 * A command describes its settings in a table (settings.h). Before run() is called they hold the
 * defaults, then the config file's values (if the command takes one), then the options' in order.
 */
#ifndef MINUANO_CLI_COMMAND_H
#define MINUANO_CLI_COMMAND_H

#include "minuano/device.h"
#include "minuano/settings.h"

/* Options every command has. */
struct common_settings {
    int device;    /* enum device_choice */
    int attention; /* enum attention_choice */
    int64_t device_index, threads;
    const char *hub_cache;
    bool json, quiet, verbose;
};
enum device_choice { DEVICE_AUTO, DEVICE_CUDA, DEVICE_REFERENCE };
enum attention_choice { ATTENTION_OWN, ATTENTION_CUDNN };

struct invocation {
    const struct command *command;
    struct common_settings common;
    void *settings;          /* the command's own struct, filled */
    const char *config_path; /* CONFIG, when the command takes one */
    json_t *config;          /* the files read from there; MN_SETTING_JSON values point into it */
    const char **positional; /* what is neither option nor CONFIG */
    size_t positional_count;
    mn_arena *arena; /* lives as long as the process */
};

struct command {
    const char *name;                   /* "spider score" has its own entry */
    const char *summary;                /* one line */
    const char *usage;                  /* after the name: "CONFIG [options]" */
    const char *examples;               /* lines for --help */
    const struct mn_settings *settings; /* NULL: none */
    size_t settings_size;
    bool takes_config; /* the first positional argument is a JSON config for the table */
    size_t positional_low, positional_high;
    /* What is parsed in place of the user's arguments; NULL: those as they are. */
    const char *const *(*arguments)(mn_arena *arena, const char *const *argv, int *argc);
    mn_status (*run)(const struct invocation *call);
};

/* X(name): file cmd_NAME.c defines `const struct command command_NAME`. In the order that --help
 * shows. */
/* clang-format off */
#define COMMAND_LIST(X) \
    X(demo)             \
    X(train)            \
    X(generate)         \
    X(score)            \
    X(spider)           \
    X(spider_score)     \
    X(mmlu)             \
    X(mmlu_prompts)     \
    X(study)            \
    X(study_status)     \
    X(report)           \
    X(bench)            \
    X(bench_train)      \
    X(bench_score)      \
    X(bench_generate)   \
    X(bench_passes)     \
    X(bench_mmlu)       \
    X(bench_spider)     \
    X(merge)            \
    X(inspect)          \
    X(tokenize)         \
    X(doctor)
/* clang-format on */

#define COMMAND_DECLARE(name) extern const struct command command_##name;
COMMAND_LIST(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* cmd_study.c; the demo is a study too. */
MN_CHECKED mn_status run_study(const struct invocation *call);

/* Opens what --device asks for and says which it took. */
MN_CHECKED mn_status open_device(const struct invocation *call, mn_device **out);

/* options.c */
enum help_form { HELP_NONE, HELP_TEXT, HELP_MARKDOWN };
MN_CHECKED mn_status parse_invocation(struct invocation *out, const struct command *command,
                                      int argc, const char *const *argv, enum help_form *help);
void print_help(const struct command *command, enum help_form form, FILE *out);
void print_overview(FILE *out);

#endif
