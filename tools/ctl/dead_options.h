/* Which letters a subcommand is about: the options that list, show and replay share. */
#ifndef CTL_DEAD_OPTIONS_H
#define CTL_DEAD_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "letter.h"

struct dead_options {
    const char *dir, *stream, *reason, *id;
    int64_t since_ns; /* INT64_MIN: all */
    uint64_t limit;   /* letters; UINT64_MAX: all */
};

enum dead_letter { DEAD_DIR = 1000, DEAD_STREAM, DEAD_REASON, DEAD_ID, DEAD_SINCE, DEAD_LIMIT };
#define DEAD_OPTIONS_WHERE                                                                                                                 \
    {"dir", required_argument, NULL, DEAD_DIR},                                                                                            \
    {                                                                                                                                      \
        "stream", required_argument, NULL, DEAD_STREAM                                                                                     \
    }
#define DEAD_OPTIONS_WHICH                                                                                                                 \
    {"reason", required_argument, NULL, DEAD_REASON}, {"id", required_argument, NULL, DEAD_ID},                                            \
        {"since", required_argument, NULL, DEAD_SINCE},                                                                                    \
    {                                                                                                                                      \
        "limit", required_argument, NULL, DEAD_LIMIT                                                                                       \
    }

void dead_options_init(struct dead_options *options);
/* Takes one option that getopt_long found. 0; 1: it is none of these; 2 after a message on stderr. */
int dead_options_take(struct dead_options *options, int letter, const char *text);

bool dead_options_match(const struct dead_options *options, const struct letter *letter);

#endif
