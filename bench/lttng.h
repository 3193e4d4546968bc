/* A tracepoint of LTTng-UST with the payload as its field, measured by a program of its own while a session records it. */
#ifndef BENCH_LTTNG_H
#define BENCH_LTTNG_H

#include <stddef.h>
#include <stdint.h>

#include "bench/measure.h"

/* `slices` figures, ns per tracepoint, into the series. 0; -EOPNOTSUPP with a sentence in `why`: not here, or no session could be had;
 * -EINTR. */
int lttng_measure(size_t len, uint32_t slices, struct measure_series *series, char *why, size_t why_len);

#endif
