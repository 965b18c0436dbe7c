/* cmd_demo.c: `minuano demo`: `minuano study` on the model, the databases and the questions that
 * come with minuano. */
#include "minuano/study.h"

#include <string.h>
#include <unistd.h>

#include "command.h"

/* configs/demo.json of the installation that this program lies in, wherever that was put, else of
 * the source tree that it was built from. */
static const char *own_config(mn_arena *arena)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length < 0 ? 0 : length] = '\0';
    char *slash = strrchr(program, '/');
    if (slash) {
        *slash = '\0';
        const char *share = mn_path(arena, program, MINUANO_SHARE);
        const char *installed = mn_path(arena, share, "configs/demo.json");
        if (mn_file_exists(installed)) return installed;
    }
    return mn_path(arena, MINUANO_SOURCE, "configs/demo.json");
}

/* The study's command line: its config, a place in the current directory, what the user said. */
static const char *const *study_arguments(mn_arena *arena, const char *const *argv, int *argc)
{
    const char **arguments = MN_NEW(arena, const char *, *argc + 3);
    arguments[0] = own_config(arena);
    arguments[1] = "--output";
    arguments[2] = "runs/demo";
    for (int i = 0; i < *argc; i++) arguments[3 + i] = argv[i];
    *argc += 3;
    return arguments;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "a whole study in minutes, on the tiny model that comes with minuano",
    .usage = "[options]",
    .examples = "  minuano demo\n"
                "  minuano demo --output /tmp/demo --spider-limit 40\n",
    .settings = &mn_study_settings_table,
    .settings_size = sizeof(struct mn_study_settings),
    .takes_config = true,
    .arguments = study_arguments,
    .run = run_study,
};
