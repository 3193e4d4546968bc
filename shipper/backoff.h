/* Exponential backoff with full jitter and a cap, and the random numbers of the waits. Pure but for their seed. */
#ifndef EHRING_BACKOFF_H
#define EHRING_BACKOFF_H

#include <stdint.h>

#include "shipper/outcome.h"

/* The wait before attempt number `failure_count` + 1: anywhere between half the base and min(cap, base * 2^(failure_count - 1)), so that
 * many that failed together do not come back together, and none comes back at once. failure_count >= 1, base <= cap. */
int64_t backoff_wait_ns(uint32_t failure_count, uint32_t base_ms, uint32_t cap_seconds);
/* The wait of what will not get better by itself: between three quarters of the cap and the cap. */
int64_t backoff_hold_ns(uint32_t cap_seconds);

/* The wait that an outcome asks for after `failure_count` earlier failures in a row: what it names, the hold, or the backoff; at once what
 * is daily life and comes for the first time. */
int64_t backoff_outcome_ns(const struct outcome *outcome, uint32_t failure_count, uint32_t base_ms, uint32_t cap_seconds);

/* A number in low..high, both included. Each thread has its own row of numbers, begun by the kernel's or by backoff_seed. */
int64_t backoff_random_between(int64_t low, int64_t high);
/* The calling thread's numbers are from now on those of `seed`: a test can have the same twice. */
void backoff_seed(uint64_t seed);

#endif
