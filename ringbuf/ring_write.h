/* The steps of writing a record that the short way and the long way share, inline. Not for other folders. */
#ifndef EHRING_RING_WRITE_H
#define EHRING_RING_WRITE_H

#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"

/* Not in a child. The short way need not ask: its easy_end_pos is wiped too. */
static inline bool writer_is_here(const struct ring_writer *writer)
{
    return writer->alive;
}

static inline uint32_t record_flags(const struct ring_writer *writer, const struct ring_shape *shape)
{
    return shape->flags | writer->flags_always | (shape->meta_len > 0 ? (uint32_t)RING_FLAG_META : 0);
}

/* In two words: eight stores of fields cost more than a small payload. */
static inline void record_write_head(const struct ring_writer *writer, uint8_t *head, uint64_t pos, uint32_t len, uint16_t route,
                                     uint32_t flags, uint32_t key_len)
{
    uint64_t *at = (uint64_t *)(void *)head;

    at[0] = len | (uint64_t)(uint16_t)writer->event_count << 32 | (uint64_t)route << 48;
    at[1] = ring_pos16(pos) | (uint64_t)RING_KIND_DATA << 36 | (uint64_t)flags << 40 | (uint64_t)key_len << 48;
}

/* Returns the number of events. */
static inline uint64_t writer_advance(struct ring_writer *writer, uint64_t pos, uint64_t end_pos)
{
    uint64_t event_count = writer->event_count + 1;

    writer->last_pos = pos;
    writer->pos = end_pos;
    writer->event_count = event_count;
    return event_count;
}

/* The count first: after a kill between the two it is ahead, never behind (ring_committed_events). */
static inline void writer_store(const struct ring_writer *writer, uint64_t pos, uint64_t event_count)
{
    struct ring_producer *producer = writer->producer;

    order_none_store64(&producer->hot.event_count, event_count);
    order_publish(&producer->hot.write_pos, pos); /* P1 */
}

/* Stores, and wakes who sleeps. Returns 0, for the jump. */
static inline int writer_publish(struct ring_writer *writer, uint64_t pos, uint64_t event_count)
{
    const _Atomic uint64_t *sleeping = &writer->shipper->sleeping.number;

    writer_store(writer, pos, event_count);
    uint64_t number =
        RING_LIKELY(writer->registered) ? order_load_sleeping_registered(sleeping) : order_load_sleeping_fenced(sleeping); /* S2 */
    return RING_LIKELY(number == writer->bell_seen) ? 0 : ring_bell_answer(writer, number);
}

#endif
