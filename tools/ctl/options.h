/* What the command lines of the subcommands share: defaults, numbers, times. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTION_NS_PER_SECOND INT64_C(1000000000)

/* `given`, or the environment's, or the built-in directory. */
const char *option_rings_dir(const char *given);   /* EHRING_RINGS, /dev/shm/ehring */
const char *option_letters_dir(const char *given); /* EHRING_DEAD_LETTERS, /var/lib/ehring/dead-letters */

/* With the suffixes K, M and G for 1024 and its powers. */
bool option_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);
/* A number of seconds, or with s, m, h or d behind it. */
bool option_duration(const char *text, int64_t *ns);
/* 2026-11-26T11:00:00Z, with a fraction or without, a date alone, or a duration before `now_ns`. */
bool option_time(const char *text, int64_t now_ns, int64_t *wall_ns);
/* RFC 3339 in UTC alone, whole to the nanosecond. */
bool option_rfc3339(const char *text, int64_t *wall_ns);

/* One component of a path that is not hidden. */
bool option_is_name(const char *text);

int64_t option_wall_ns(void);

/* Prints "ehring-ctl: ... (see --help)" on stderr; returns 2, the exit status of wrong usage. */
int option_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for words that are not options. 0: there are none. */
int option_rest(int argc, char **argv);

#endif
