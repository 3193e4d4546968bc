/* The rungs between a memcpy and ehring_send, each one function that writes an event into a ring which is nobody's: made of the writer's
 * own inline steps, so that a rung cannot say what the library no longer does. */
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include <stddef.h>
#include <stdint.h>

#include "ringbuf/ring.h"

struct steps {
    struct ring_writer *writer; /* as the library's: usual in every way, nobody sleeps at the other end */
    uint8_t *map;               /* the regions of a ring's file, without a file, and room for a record behind the end */
    size_t map_len;
};

/* A ring of `capacity` bytes, a power of two, for events of `len` bytes; `grain` as that of such a ring's writer. 0 or -errno; -EOPNOTSUPP:
 * on this processor no event goes the short way. steps_close frees; NULL pointers are fine. */
int steps_open(size_t len, uint64_t capacity, uint64_t grain, struct steps *steps);
void steps_close(struct steps *steps);

/* Each adds one thing to the one above; all return 0. The first four do not look whether the lap ends: the look is one of the checks. */
typedef int steps_event(struct ring_writer *writer, const void *payload, size_t len);
steps_event steps_put_memcpy;    /* a call, the position in memory; a head of 16 bytes and memcpy */
steps_event steps_put_inline;    /* the ring's head and its inline copy */
steps_event steps_put_published; /* and the publication */
steps_event steps_put_looked;    /* and the look whether a shipper sleeps */
steps_event steps_put_checked;   /* and the checks whether the event is plain */
steps_event steps_put_chosen;    /* and the long way for what is not short */

#endif
