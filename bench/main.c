/* ehring-bench: picks the subcommand. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "client/ehring.h"

struct command {
    const char *name;
    int (*run)(int argc, char *argv[]);
    const char *help;
};

static const struct command commands[] = {
    {"ring", bench_ring, "what writing an event costs, beside memcpy and other ways out of a process"},
    {"ship", bench_ship, "what ehring-shipper carries into a local hub, beside AES-GCM, loopback and memcpy"},
    {"scale", bench_scale, "what a fleet needs, on paper, from measured costs"},
    {"report", bench_report, "all of it by a plan, as a page with pictures"},
    {"compare", bench_compare, "what has changed between two reports beyond their noise"},
};

static void print_usage(FILE *to);

int main(int argc, char *argv[])
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "--help") == 0 || strcmp(name, "--version") == 0) {
        if (name[2] == 'h')
            print_usage(stdout);
        else
            printf("ehring-bench %s\n", ehring_version());
        return 0;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    print_usage(stderr);
    return 2;
}

static void print_usage(FILE *to)
{
    fputs("usage: ehring-bench COMMAND [OPTION]...   (ehring-bench COMMAND --help)\n", to);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
}
