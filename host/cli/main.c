/* main.c: finds the command, runs it, and turns its status into an exit code: 0 done, 1 failed, 2
 * wrong usage. */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "minuano/interrupt.h"
#include "minuano/log.h"
#include "terminal.h"

static const struct command *const commands[] = {
#define COMMAND_ENTRY(name) &command_##name,
    COMMAND_LIST(COMMAND_ENTRY)
#undef COMMAND_ENTRY
};

/* The command with the most words that the arguments begin with: "spider score" before "spider". */
static const struct command *find_command(int argc, char **argv, int *words)
{
    const struct command *best = NULL;
    *words = 0;
    for (size_t i = 0; i < MN_COUNT(commands); i++) {
        const char *name = commands[i]->name;
        int matched = 0;
        while (*name && 1 + matched < argc) {
            size_t length = strlen(argv[1 + matched]);
            if (length == 0 || strncmp(name, argv[1 + matched], length) != 0 ||
                (name[length] != ' ' && name[length] != '\0'))
                break;
            name += length + (name[length] == ' ');
            matched++;
        }
        if (*name == '\0' && matched > *words) {
            best = commands[i];
            *words = matched;
        }
    }
    return best;
}

void print_overview(FILE *out)
{
    fputs("minuano: what does a language model gain, and what does it lose, when it is "
          "specialised?\n\n"
          "usage: minuano COMMAND [options]        minuano COMMAND --help        minuano "
          "--version\n\n",
          out);
    for (size_t i = 0; i < MN_COUNT(commands); i++)
        fprintf(out, "  %-14s %s\n", commands[i]->name, commands[i]->summary);
}

static int exit_code(mn_status st)
{
    return st == MN_OK ? 0 : st == MN_USAGE ? 2 : 1;
}

/* With --json a failure is one JSON object on stdout as well, so that a script need not read prose.
 */
static void report_failure(const struct invocation *call, mn_status st)
{
    if (call->common.json) {
        json_t *object =
            json_pack("{s:{s:s,s:s}}", "error", "kind", mn_status_words(st), "message", mn_error());
        if (object) mn_json_line(stdout, object);
        json_decref(object);
    }
    fprintf(stderr, "minuano: %s: %s\n", mn_status_words(st), mn_error());
    if (st == MN_USAGE)
        fprintf(stderr, "minuano: see 'minuano %s%s--help'\n",
                call->command ? call->command->name : "", call->command ? " " : "");
}

static mn_status run_command(struct invocation *call, int argc, char **argv, int words)
{
    enum help_form help = HELP_NONE;
    const char *const *arguments = (const char *const *)argv + words + 1;
    int count = argc - words - 1;
    if (call->command->arguments)
        arguments = call->command->arguments(call->arena, arguments, &count);
    MN_TRY(parse_invocation(call, call->command, count, arguments, &help));
    if (help != HELP_NONE) {
        print_help(call->command, help, stdout);
        return MN_OK;
    }
    mn_log_set_level(call->common.quiet     ? MN_LOG_WARNING
                     : call->common.verbose ? MN_LOG_DEBUG
                                            : MN_LOG_INFO);
    open_view();
    mn_status st = call->command->run(call);
    mn_view_close(); /* a failure may have left it */
    return st;
}

int main(int argc, char **argv)
{
    struct invocation call = {0};
    int words;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("minuano " MINUANO_VERSION);
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    mn_interrupt_install();
    call.command = find_command(argc, argv, &words);
    mn_status st = mn_arena_open(&call.arena);
    if (st == MN_OK)
        st = call.command ? run_command(&call, argc, argv, words)
                          : mn_fail(MN_USAGE, "unknown command \"%s\"", argv[1]);
    if (st == MN_OK && fflush(stdout) != 0) st = mn_fail(MN_IO, "cannot write to standard output");
    if (st != MN_OK) report_failure(&call, st);
    json_decref(call.config);
    mn_arena_close(&call.arena);
    return exit_code(st);
}
