/* Rows of a result as lines for a person. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "bench/result.h"

/* Those from `first` on, a heading before each group, the notes behind all. */
void table_print(struct result *result, uint32_t first, FILE *to);

/* A figure with three or four digits that count: 2.81, 13.6, 1,230; "-" if it is not known. Returns `text`. */
#define TABLE_NUMBER_BYTES 32u
const char *table_number(double value, char text[TABLE_NUMBER_BYTES]);
/* How a target is met: empty, "reached" or "missed". */
const char *table_verdict(const struct result_row *row);

#endif
