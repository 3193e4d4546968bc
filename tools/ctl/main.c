/* ehring-ctl: acts on streams and on what could not be delivered. Finds the subcommand, which does the rest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

struct command {
    const char *group; /* NULL: none */
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"dead-letter", "list", dead_list_run, "segments of dead letters: how many, why, from when, how many replayed"},
    {"dead-letter", "show", dead_show_run, "the letters themselves"},
    {"dead-letter", "replay", dead_replay_run, "sends letters again, through a ring or directly"},
    {"dead-letter", "purge", dead_purge_run, "removes whole segments"},
    {NULL, "size", size_run, "how large a ring must be to ride out an outage"},
    {NULL, "drain", drain_run, "waits until all that is committed now is settled"},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *command_of(int argc, char **argv, int *words);
static void print_help(FILE *to);

int main(int argc, char **argv)
{
    int words, status;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help(stdout);
        return 0;
    }
    const struct command *command = command_of(argc, argv, &words);
    if (!command) {
        print_help(stderr);
        return 2;
    }
    argv[words] = argv[0]; /* whom getopt names */
    status = command->run(argc - words, argv + words);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ehring-ctl: standard output: %s\n", strerror(errno));
        return 1;
    }
    return status;
}

/* `words`: how many of the command line name it. */
static const struct command *command_of(int argc, char **argv, int *words)
{
    for (int i = 0; i < COMMANDS; i++) {
        const struct command *command = &commands[i];
        *words = command->group ? 2 : 1;
        if (argc > *words && strcmp(argv[*words], command->name) == 0 && (!command->group || strcmp(argv[1], command->group) == 0))
            return command;
    }
    return NULL;
}

static void print_help(FILE *to)
{
    fputs("usage: ehring-ctl COMMAND [OPTION...]\n\n", to);
    for (int i = 0; i < COMMANDS; i++) {
        const struct command *command = &commands[i];
        fprintf(to, "  %s%s%-*s%s\n", command->group ? command->group : "", command->group ? " " : "", command->group ? 9 : 21,
                command->name, command->help);
    }
    fputs("\nehring-ctl COMMAND --help tells a command's options; ehring-ctl(1) has all, and what a dead letter looks like.\n", to);
}
