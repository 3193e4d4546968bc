/* Exponential backoff with full jitter and a cap, and the random numbers of the waits. Pure but for their seed. */
#include "shipper/backoff.h"

#include <stdbool.h>
#include <sys/random.h>

#include "shipper/clock.h"

static _Thread_local uint64_t random_state;
static _Thread_local bool random_is_seeded;

static uint64_t random_next(void);

int64_t backoff_wait_ns(uint32_t failure_count, uint32_t base_ms, uint32_t cap_seconds)
{
    int64_t base_ns = (int64_t)base_ms * CLOCK_NS_PER_MS, cap_ns = (int64_t)cap_seconds * CLOCK_NS_PER_SECOND;
    uint32_t doublings = failure_count > 1 ? failure_count - 1 : 0;
    int64_t span_ns = doublings > 30 || base_ns > cap_ns >> doublings ? cap_ns : base_ns << doublings;
    return backoff_random_between(base_ns / 2, span_ns);
}

int64_t backoff_hold_ns(uint32_t cap_seconds)
{
    int64_t cap_ns = (int64_t)cap_seconds * CLOCK_NS_PER_SECOND;
    return backoff_random_between(cap_ns / 4 * 3, cap_ns);
}

int64_t backoff_outcome_ns(const struct outcome *outcome, uint32_t failure_count, uint32_t base_ms, uint32_t cap_seconds)
{
    int64_t named_ns = outcome->wait_ms * CLOCK_NS_PER_MS;
    if (outcome->action == OUTCOME_HOLD)
        return backoff_hold_ns(cap_seconds);
    if (outcome->action == OUTCOME_THROTTLE || (outcome->normal && failure_count == 0))
        return named_ns;
    int64_t wait_ns = backoff_wait_ns(failure_count + 1, base_ms, cap_seconds);
    return wait_ns > named_ns ? wait_ns : named_ns;
}

int64_t backoff_random_between(int64_t low, int64_t high)
{
    return high > low ? low + (int64_t)(random_next() % ((uint64_t)(high - low) + 1)) : low;
}

void backoff_seed(uint64_t seed)
{
    random_state = seed;
    random_is_seeded = true;
}

/* splitmix64: any seed will do, and it need not be unguessable. */
static uint64_t random_next(void)
{
    if (!random_is_seeded) {
        uint64_t seed = 0;
        if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
            seed = (uint64_t)clock_mono_ns() ^ (uint64_t)(uintptr_t)&random_state; /* early in a boot */
        backoff_seed(seed);
    }
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
