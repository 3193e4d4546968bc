/* `ehring-bench compare`: names what has changed between two reports beyond the noise that they state themselves. */
#include <getopt.h>
#include <stdio.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/result.h"

#define STATUS_WORSE 3

static const char usage[] =
    "usage: ehring-bench compare OLD.json NEW.json\n"
    "Names each figure of NEW that differs from OLD by more than the noise that both state, and, where a floor was\n"
    "measured beside it, whose ratio to the floor does. Exit status 3 if one is worse.\n";

int bench_compare(int argc, char *argv[])
{
    static const struct option names[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct compare_counts counts = {0};
    struct result *old = NULL, *new = NULL;
    int option, status = 1;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        fputs(usage, option == 'h' ? stdout : stderr);
        return option == 'h' ? 0 : 2;
    }
    if (argc - optind != 2) {
        fputs(usage, stderr);
        return 2;
    }
    if (result_read(argv[optind], &old) == 0 && result_read(argv[optind + 1], &new) == 0) {
        compare_print(old, new, stdout, &counts);
        status = counts.worse > 0 ? STATUS_WORSE : 0;
    }
    result_close(old);
    result_close(new);
    return status;
}
