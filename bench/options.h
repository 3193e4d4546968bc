/* Numbers of the command line: decimal, with K, M or G for powers of 1024, and limits. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdint.h>

/* 0 with *out between the limits, or -EINVAL after a line on stderr that names the option, the value and what is allowed. */
int options_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* One of the NULL-terminated `names`: its index in *out, or -EINVAL after a line on stderr. */
int options_choice(const char *option, const char *text, const char *const names[], uint32_t *out);

#endif
