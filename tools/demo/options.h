/* The options of `feed` and `proof`. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include <stdint.h>

struct demo_options {
    const char *rings_dir;   /* --rings */
    const char *stream;      /* --stream */
    const char *store_path;  /* --store */
    const char *hub;         /* --hub */
    uint64_t event_count;    /* --events: of each producer */
    uint64_t capacity_bytes; /* --capacity, 0: the library's default */
    uint32_t producer;       /* --producer: its number, from 1 */
    uint32_t producer_count; /* --producers */
    uint32_t rate;           /* --rate: events per second, 0: as fast as it goes */
    uint32_t flush_ms;       /* --flush-ms */
    char *const *input;      /* what follows */
    int input_count;
};

/* 0, or 2 after a message on stderr. `argv[0]` is the subcommand. */
int demo_options_read(struct demo_options *options, int argc, char **argv);

#endif
