/* Percentiles of many durations in a fixed amount of memory: exact below 128 ns, then to within a sixty-fourth. */
#include "bench/spectrum.h"

#include <math.h>

#define EXACT_BITS 7

static uint32_t bucket_of(uint64_t ns);
static uint64_t bucket_end(uint32_t bucket);

void spectrum_add(struct spectrum *spectrum, int64_t ns)
{
    uint64_t value = ns > 0 ? (uint64_t)ns : 0;

    spectrum->count++;
    spectrum->bucket[bucket_of(value)]++;
    if (value > spectrum->max_ns)
        spectrum->max_ns = value;
}

double spectrum_percentile(const struct spectrum *spectrum, double percent)
{
    uint64_t wanted = (uint64_t)ceil((double)spectrum->count * percent / 100), seen = 0;

    for (uint32_t i = 0; i < SPECTRUM_BUCKETS && spectrum->count > 0; i++) {
        seen += spectrum->bucket[i];
        if (seen >= wanted && seen > 0)
            return fmin((double)bucket_end(i), (double)spectrum->max_ns);
    }
    return (double)spectrum->max_ns;
}

/* Beyond the exact ones: the top seven bits say the bucket, and how far they were shifted the row of buckets. */
static uint32_t bucket_of(uint64_t ns)
{
    uint32_t shift;

    if (ns < SPECTRUM_EXACT)
        return (uint32_t)ns;
    shift = 63u - (uint32_t)__builtin_clzll(ns) - (EXACT_BITS - 1);
    return SPECTRUM_EXACT + (shift - 1) * SPECTRUM_STEPS + (uint32_t)(ns >> shift) - SPECTRUM_STEPS;
}

/* The largest value that falls into it. */
static uint64_t bucket_end(uint32_t bucket)
{
    uint32_t row, step;

    if (bucket < SPECTRUM_EXACT)
        return bucket;
    row = (bucket - SPECTRUM_EXACT) / SPECTRUM_STEPS;
    step = (bucket - SPECTRUM_EXACT) % SPECTRUM_STEPS + SPECTRUM_STEPS;
    return (((uint64_t)step + 1) << (row + 1)) - 1;
}
