/* ehring-demo: the two programs behind `make demo`, and its subcommands. */
#include <stdio.h>
#include <string.h>

#include "feed.h"
#include "lines.h"
#include "options.h"
#include "proof.h"

static const char usage[] =
    "usage: ehring-demo feed  --events N [--producer N] [--stream NAME] [--rings DIR] [--capacity BYTES] [--rate N] [--flush-ms N] FILE…\n"
    "       ehring-demo proof --events N --producers N --store FILE [--hub NAME] FILE…\n"
    "\n"
    "feed   is one producer: sends the lines of the files, over and over, until N events are in its ring and accepted. The key is the\n"
    "       package a line of dpkg's files belongs to, elsewhere the line's first word; message-id is ring uuid and position; the\n"
    "       property \"line\" counts from 1.\n"
    "proof  reads what ehring-hub stored (--store-file) and says whether every line of every producer arrived exactly once, in order per\n"
    "       producer and key, byte for byte. --events is of each producer. Exit status 0: it holds, 1: it does not, 2: usage or input.\n";

int main(int argc, char **argv)
{
    struct demo_options options;
    struct demo_lines lines;
    int status = 2;

    if (argc < 2 || (strcmp(argv[1], "feed") != 0 && strcmp(argv[1], "proof") != 0)) {
        fputs(usage, stderr);
        return 2;
    }
    if (demo_options_read(&options, argc - 1, argv + 1) != 0)
        return 2;
    if (demo_lines_read(&lines, options.input, options.input_count) == 0)
        status = strcmp(argv[1], "feed") == 0 ? demo_feed(&options, &lines) : demo_proof(&options, &lines);
    demo_lines_free(&lines);
    return status;
}
