/* The pace of one ordering domain that the service throttles: down at once, up slowly (AIMD). Pure; time is passed in. */
#ifndef EHRING_PACE_H
#define EHRING_PACE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "shipper/quota.h"

/* All zero: no limit, as before the first throttle. Bytes and events are both limited, in the service's own proportion (see quota.h). */
struct pace {
    struct quota quota;            /* its rate is the pace; 0: no limit */
    int64_t base_bytes_per_second; /* what was accepted when the service throttled last */
    int64_t wait_until_ns;
    int64_t raised_ns; /* up to here the pace is raised */
    int64_t window_start_ns;
    uint64_t window_bytes, window_bytes_before; /* accepted since window_start_ns, and in the window before */
    uint32_t window_events, window_events_before;
    bool searching; /* the wall was met before anything was accepted: its height is looked for from below, by doubling */
};
static_assert(sizeof(struct pace) <= 96, "there are thousands of them");

/* The service has accepted this much: it counts for what the wall is, and raises the pace if it is what holds us back. */
void pace_accepted(struct pace *pace, int64_t now_ns, uint64_t bytes, uint32_t events);
/* The service asks to wait. The first such call of a wait sets the pace to 0.7 of what was accepted just before; further ones only lengthen
 * the wait. */
void pace_throttled(struct pace *pace, int64_t now_ns, int64_t wait_ns);
/* How long to wait before this much may go; 0: now. What is larger than a burst goes too, once nothing is owed. */
int64_t pace_wait_ns(const struct pace *pace, int64_t now_ns, uint64_t bytes, uint32_t events);
/* This much goes now. */
void pace_charge(struct pace *pace, int64_t now_ns, uint64_t bytes, uint32_t events);

/* How much one batch should hold at most, so that a slow pace is many small ones: what the pace allows in a burst. UINT32_MAX, UINT64_MAX:
 * no limit. */
uint64_t pace_batch_bytes(const struct pace *pace);
uint32_t pace_batch_events(const struct pace *pace);

bool pace_is_limited(const struct pace *pace);

#endif
