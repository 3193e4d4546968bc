/* What a person reads: foreign texts made harmless, times, sizes. */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum print_bytes { PRINT_UTF8, PRINT_BINARY };
/* Control characters, and in binary all that is not ASCII, as \xNN; at most `max` bytes, then "...". */
void print_safe(FILE *to, const char *bytes, size_t len, size_t max, enum print_bytes kind);

#define PRINT_TIME_BYTES 32
const char *print_time(int64_t wall_ns, char text[PRINT_TIME_BYTES]); /* RFC 3339, UTC, nanoseconds */
#define PRINT_SIZE_BYTES 32
const char *print_size(uint64_t bytes, char text[PRINT_SIZE_BYTES]); /* "64 KiB", "1.5 GiB" */

#endif
