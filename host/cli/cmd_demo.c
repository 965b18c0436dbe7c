/* cmd_demo.c: `minuano demo`: `minuano study` on the model, the databases and the questions that
 * come with minuano. */
#include "minuano/study.h"

#include "command.h"

/* configs/demo.json of the source tree that this was built from, else of the installation. */
static const char *own_config(mn_arena *arena)
{
    const char *source = mn_path(arena, MINUANO_SOURCE, "configs/demo.json");
    return mn_file_exists(source) ? source : mn_path(arena, MINUANO_SHARE, "configs/demo.json");
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
