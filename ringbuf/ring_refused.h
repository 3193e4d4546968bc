/* Why a producer's call was refused: the slots of `refused` in a ring's producer region, and their names for tools. Part of the format:
 * a slot never changes its meaning. */
#ifndef EHRING_RING_REFUSED_H
#define EHRING_RING_REFUSED_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "ring_layout.h"

enum ring_refused {
    RING_REFUSED_FULL = 0,         /* no room, the caller chose to fail at once */
    RING_REFUSED_TIMED_OUT = 1,    /* no room until the caller's deadline */
    RING_REFUSED_DROPPED_FULL = 2, /* no room, the caller chose to drop and count */
    RING_REFUSED_LARGER_THAN_STREAM = 3,
    RING_REFUSED_LARGER_THAN_RING = 4,
    RING_REFUSED_KEY_TOO_LONG = 5,
    RING_REFUSED_KEY_NOT_UTF8 = 6,
    RING_REFUSED_KEY_AND_PARTITION = 7,
    RING_REFUSED_PARTITION_ID = 8,
    RING_REFUSED_PROPERTY = 9,
    RING_REFUSED_TEXT_NOT_UTF8 = 10, /* content type, message id and the like */
    RING_REFUSED_META_TOO_LARGE = 11,
    RING_REFUSED_INVALID = 12, /* arguments that no event has */
    RING_REFUSED_KNOWN = 13,   /* slots in use */
};
static_assert(RING_REFUSED_KNOWN <= RING_REFUSED_REASONS, "slots");

/* snake_case, for tables and labels; NULL for a slot without a meaning. Any thread. */
static inline const char *ring_refused_name(uint32_t reason)
{
    static const char *const names[RING_REFUSED_KNOWN] = {
        [RING_REFUSED_FULL] = "full",
        [RING_REFUSED_TIMED_OUT] = "timed_out",
        [RING_REFUSED_DROPPED_FULL] = "dropped_full",
        [RING_REFUSED_LARGER_THAN_STREAM] = "larger_than_stream",
        [RING_REFUSED_LARGER_THAN_RING] = "larger_than_ring",
        [RING_REFUSED_KEY_TOO_LONG] = "key_too_long",
        [RING_REFUSED_KEY_NOT_UTF8] = "key_not_utf8",
        [RING_REFUSED_KEY_AND_PARTITION] = "key_and_partition",
        [RING_REFUSED_PARTITION_ID] = "partition_id",
        [RING_REFUSED_PROPERTY] = "property",
        [RING_REFUSED_TEXT_NOT_UTF8] = "text_not_utf8",
        [RING_REFUSED_META_TOO_LARGE] = "meta_too_large",
        [RING_REFUSED_INVALID] = "invalid",
    };
    return reason < RING_REFUSED_KNOWN ? names[reason] : NULL;
}

#endif
