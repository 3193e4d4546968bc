/* Why a committed event was given up: the slots of `dropped_events` in a lane's counts, and their names for tools. Part of the format: a
 * slot never changes its meaning. */
#ifndef EHRING_RING_DROPPED_H
#define EHRING_RING_DROPPED_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "ring_layout.h"

enum ring_dropped {
    RING_DROPPED_REBOOT = 0, /* of an earlier boot, behind what was synced: nobody can tell whether its bytes reached the disk */
    RING_DROPPED_KNOWN = 1,  /* slots in use */
};
static_assert(RING_DROPPED_KNOWN <= RING_DROPPED_REASONS, "slots");

/* snake_case, for tables and labels; NULL for a slot without a meaning. Any thread. */
static inline const char *ring_dropped_name(uint32_t reason)
{
    static const char *const names[RING_DROPPED_KNOWN] = {
        [RING_DROPPED_REBOOT] = "reboot",
    };
    return reason < RING_DROPPED_KNOWN ? names[reason] : NULL;
}

static inline uint64_t ring_dropped_sum(const uint64_t dropped[RING_DROPPED_REASONS])
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < RING_DROPPED_REASONS; i++)
        sum += dropped[i];
    return sum;
}

#endif
