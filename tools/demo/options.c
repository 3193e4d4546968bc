/* The options of `feed` and `proof`. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool read_number(const char *text, uint64_t max, uint64_t *number);
static bool read_option(struct demo_options *options, int letter, const char *text);

static const struct option long_options[] = {
    {"rings", required_argument, NULL, 'r'},
    {"stream", required_argument, NULL, 's'},
    {"store", required_argument, NULL, 'f'},
    {"hub", required_argument, NULL, 'h'},
    {"events", required_argument, NULL, 'e'},
    {"capacity", required_argument, NULL, 'c'},
    {"producer", required_argument, NULL, 'n'},
    {"producers", required_argument, NULL, 'p'},
    {"rate", required_argument, NULL, 't'},
    {"flush-ms", required_argument, NULL, 'w'},
    {NULL, 0, NULL, 0},
};

int demo_options_read(struct demo_options *options, int argc, char **argv)
{
    int letter;

    *options = (struct demo_options){.stream = "demo", .hub = "demo", .producer = 1, .producer_count = 1, .flush_ms = 60000};
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (letter == '?')
            return 2;
        if (!read_option(options, letter, optarg)) {
            fprintf(stderr, "ehring-demo: \"%s\" is not a number that fits\n", optarg);
            return 2;
        }
    }
    options->input = argv + optind;
    options->input_count = argc - optind;
    if (options->input_count > 0 && options->event_count > 0)
        return 0;
    fprintf(stderr, "ehring-demo: --events and at least one input file are needed\n");
    return 2;
}

static bool read_option(struct demo_options *options, int letter, const char *text)
{
    uint64_t number = 0;

    switch (letter) {
    case 'r':
        options->rings_dir = text;
        return true;
    case 's':
        options->stream = text;
        return true;
    case 'f':
        options->store_path = text;
        return true;
    case 'h':
        options->hub = text;
        return true;
    case 'e':
        return read_number(text, UINT64_C(1) << 40, &options->event_count);
    case 'c':
        return read_number(text, UINT64_C(64) << 30, &options->capacity_bytes);
    }
    if (!read_number(text, INT32_MAX, &number))
        return false;
    switch (letter) {
    case 'n':
        options->producer = (uint32_t)number;
        break;
    case 'p':
        options->producer_count = (uint32_t)number;
        break;
    case 't':
        options->rate = (uint32_t)number;
        break;
    case 'w':
        options->flush_ms = (uint32_t)number;
        break;
    }
    return true;
}

static bool read_number(const char *text, uint64_t max, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number <= max;
}
