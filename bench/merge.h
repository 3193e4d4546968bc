/* Several rounds of one measurement as one: the figure from the middle of the rounds, the noise from how far they are apart. */
#ifndef BENCH_MERGE_H
#define BENCH_MERGE_H

#include <stdint.h>

#include "bench/result.h"

#define MERGE_ROUNDS_MAX 15u

/* Adds each row of the first round to `into`, merged with the rows of the same name in the others (those that failed are NULL). `group`, if
 * not NULL, and `x`, if not NAN, take the place of the rows' own; a target belongs to the usual case and not to a row of a series. 0 or
 * -ENOMEM. */
int merge_rounds(struct result *into, struct result *const rounds[], uint32_t round_count, const char *group, double x, const char *x_unit);

/* When all is merged: the noise of a row is at least that of the quieter quarter of its group, relative to the figure, and at least 2 %. Of
 * three rounds some lie close together by chance, and a row whose rounds did would be called changed by the next run. */
void merge_settle_noise(struct result *result);

#endif
