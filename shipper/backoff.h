/* Exponential backoff with full jitter and a cap. Pure but for its random numbers. */
#ifndef EHRING_BACKOFF_H
#define EHRING_BACKOFF_H

#include <stdint.h>

/* The wait before attempt number `failure_count` + 1: between half the base and min(cap, base * 2^(failure_count - 1)). failure_count >= 1.
 */
int64_t backoff_wait_ns(uint32_t failure_count, uint32_t base_ms, uint32_t cap_seconds);

#endif
