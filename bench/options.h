/* Options of a subcommand: one table of fields with limits; numbers are decimal, with K, M or G for powers of 1024. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum options_kind {
    OPTIONS_NUMBER, /* to `to32` or `to64`, from `min` to `max` */
    OPTIONS_REAL,   /* above zero, to `real` */
    OPTIONS_CHOICE, /* one of `names`: its index to `to32`, itself to `text`, and that entry of `flag` is set; each if it is not NULL */
    OPTIONS_TEXT,   /* to `text` */
    OPTIONS_HELP,   /* takes no value */
};

struct options_field { /* one option; a static or a caller's table of them, with no name behind the last */
    const char *name;  /* without the dashes */
    enum options_kind kind;
    uint32_t *to32;
    uint64_t *to64;
    double *real;
    const char **text;
    bool *flag;
    const char *const *names; /* NULL behind the last */
    uint64_t min;
    uint64_t max;
};

/* Reads argv (argv[0] is the subcommand) by the table. BENCH_GO_ON; 0 after the usage on stdout; 2 after lines on stderr. What is set
 * points into argv. */
int options_read(int argc, char *argv[], const struct options_field fields[], const char *usage);

/* 0 with *out between the limits, or -EINVAL after a line on stderr that names the option, the value and what is allowed. */
int options_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* One of the NULL-terminated `names`: its index in *out, or -EINVAL after a line on stderr. */
int options_choice(const char *option, const char *text, const char *const names[], uint32_t *out);

#endif
