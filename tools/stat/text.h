/* The text view of ehring-stat. */
#ifndef STAT_TEXT_H
#define STAT_TEXT_H

#include "look.h"

enum stat_detail { STAT_SUMS, STAT_EACH };

/* One file on stdout: its head, then a line for each counter; STAT_EACH adds one for each lane, worker or reason that is not zero. */
void stat_text_print(const struct stat_look *look, const struct stat_file *file, enum stat_detail detail);

/* "1.50 ms"; any thread, into `text`. */
const char *stat_duration(uint64_t ns, char text[32]);

#endif
