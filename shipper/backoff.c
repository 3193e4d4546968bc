/* Exponential backoff with full jitter and a cap. Pure but for its random numbers. */
#include "shipper/backoff.h"

#include <sys/random.h>

#include "shipper/clock.h"

int64_t backoff_wait_ns(uint32_t failure_count, uint32_t base_ms, uint32_t cap_seconds)
{
    int64_t base_ns = (int64_t)base_ms * CLOCK_NS_PER_MS, cap_ns = (int64_t)cap_seconds * CLOCK_NS_PER_SECOND;
    uint32_t doublings = failure_count > 1 ? failure_count - 1 : 0;
    int64_t span_ns = doublings > 30 || base_ns > cap_ns >> doublings ? cap_ns : base_ns << doublings;
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = (uint64_t)clock_mono_ns() * UINT64_C(0x9e3779b97f4a7c15);
    int64_t wait_ns = (int64_t)(random % (uint64_t)(span_ns + 1));
    return wait_ns > base_ns / 2 ? wait_ns : base_ns / 2; /* never at once: a refusing peer is not hammered */
}
