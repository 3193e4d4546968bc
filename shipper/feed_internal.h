/* What feed.c and feed_settle.c share. */
#ifndef EHRING_FEED_INTERNAL_H
#define EHRING_FEED_INTERNAL_H

#include "ringbuf/ring_order.h"
#include "shipper/feed.h"

/* An estimate of an encoded event: what the record takes and the sections' heads. Sealing goes by it; the encoder takes what really fits.
 */
static inline uint64_t feed_entry_bytes(uint32_t record_len)
{
    return (uint64_t)record_len + 16;
}

struct feed_place *feed_place_of(struct feed_ring *ring, uint32_t domain);
void feed_activate(struct feed *feed, uint32_t domain);
/* Domains with nothing left leave the list that the worker goes through at each turn: the list's last takes their place. */
void feed_deactivate_if_empty(struct feed *feed, uint32_t domain);
void feed_suspect_end(struct feed *feed, uint32_t domain);
/* If the domain's list has entries of the ring, all of it is walked again later, in order. */
void feed_drop_entries(struct feed *feed, uint32_t domain, uint32_t slot);
void feed_behind_add(struct feed *feed, uint32_t domain, uint32_t slot, uint64_t pos);
/* Stores the ring's ack for this lane: the first unsettled record of its domains, else all that was walked. */
void feed_ring_ack(struct feed_ring *ring, uint32_t lane_index, uint32_t lane_count);

#endif
