/* The words that a caller looks at before every event without a call: is the handle this process's, does a reservation stand open, and
 * what does the stream take? */
#ifndef EHRING_RING_WORDS_H
#define EHRING_RING_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"
#include "ring_layout.h"
#include "ring_order.h"

struct ring_writer_words {
    const bool *alive;                       /* wiped by fork, which is its only writer */
    const bool *open;                        /* a reservation; false in a child */
    const _Atomic uint32_t *event_bytes_max; /* in the shipper's region: a child does not have it */
};

/* The words of a writer, valid until its close. Any thread. */
void ring_writer_words(const struct ring_writer *writer, struct ring_writer_words *words);

/* The limit in force (RING_EVENT_BYTES_MAX_UNTOLD until a shipper tells); UINT32_MAX in a child, where the writer refuses everything. */
static inline uint32_t ring_words_limit(const struct ring_writer_words *words)
{
    uint32_t limit;

    if (__builtin_expect(!*words->alive, 0))
        return UINT32_MAX;
    limit = order_none_load32(words->event_bytes_max);
    return __builtin_expect(limit != 0, 1) ? limit : RING_EVENT_BYTES_MAX_UNTOLD;
}

#endif
