/* Percentiles of many durations in a fixed amount of memory: exact below 128 ns, then to within a sixty-fourth. */
#ifndef BENCH_SPECTRUM_H
#define BENCH_SPECTRUM_H

#include <stdint.h>

#define SPECTRUM_EXACT 128u
#define SPECTRUM_STEPS 64u
#define SPECTRUM_BUCKETS (SPECTRUM_EXACT + 57u * SPECTRUM_STEPS)

struct spectrum { /* all zero: empty; one thread at a time */
    uint64_t count;
    uint64_t max_ns;
    uint64_t bucket[SPECTRUM_BUCKETS];
};

void spectrum_add(struct spectrum *spectrum, int64_t ns); /* below zero counts as zero */
/* The upper edge of the bucket in which the percentile lies, at most max_ns; 0 if empty. */
double spectrum_percentile(const struct spectrum *spectrum, double percent);

#endif
