/* What becomes of records that were taken: settled, acked, or to be walked again. The other half of feed.h. */
#include "shipper/feed_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void place_find_first(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count);
static void fifo_drop_all(struct feed *feed, uint32_t domain);
static uint32_t covers_settle(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count,
                              enum feed_settlement settlement);
static bool suspects_hold(const struct feed_suspect *suspect, const struct feed_cover *cover, uint32_t cover_count);
static void suspect_settled(struct feed *feed, uint32_t domain, uint32_t event_count);

void feed_activate(struct feed *feed, uint32_t domain)
{
    if (feed->domain[domain].active_index != FEED_SLOT_NONE)
        return;
    feed->domain[domain].active_index = feed->active_count;
    feed->active[feed->active_count++] = domain;
}

void feed_deactivate_if_empty(struct feed *feed, uint32_t domain)
{
    struct feed_domain *d = &feed->domain[domain];
    if (d->fifo.count || d->inflight || d->behind_head != FEED_SLOT_NONE || d->active_index == FEED_SLOT_NONE)
        return;
    uint32_t last = feed->active[--feed->active_count];
    feed->active[d->active_index] = last;
    feed->domain[last].active_index = d->active_index;
    d->active_index = FEED_SLOT_NONE;
    d->urgent = false;
}

/* A ring falls behind in a domain, or farther behind. */
void feed_behind_add(struct feed *feed, uint32_t domain, uint32_t slot, uint64_t pos)
{
    struct feed_domain *d = &feed->domain[domain];
    struct feed_place *place = &feed->ring[slot].place[domain];
    if (place->behind_pos != FEED_POS_NONE) {
        if (pos < place->behind_pos)
            place->behind_pos = pos;
        return;
    }
    place->behind_pos = pos;
    if (feed->ring[slot].released)
        return; /* kept for the ack, not for a refill */
    place->next_behind = FEED_SLOT_NONE;
    if (d->behind_tail == FEED_SLOT_NONE)
        d->behind_head = slot;
    else
        feed->ring[d->behind_tail].place[domain].next_behind = slot;
    d->behind_tail = slot;
    feed_activate(feed, domain);
}

void feed_ring_ack(struct feed_ring *ring, uint32_t lane_index, uint32_t lane_count)
{
    uint64_t ack_pos = ring->lane.walk_pos;
    if (ring->unsettled_count > 0)
        for (uint32_t d = lane_index; d < ring->place_count; d += lane_count)
            if (ring->place[d].first_pos < ack_pos)
                ack_pos = ring->place[d].first_pos;
    ring_lane_ack(&ring->lane, ring->lane.walk_pos, ack_pos);
}

void feed_take(struct feed *feed, uint32_t domain, uint32_t count, const struct feed_cover *cover, uint32_t cover_count)
{
    struct feed_domain *d = &feed->domain[domain];
    struct fifo_cursor cursor = fifo_first(&d->fifo);
    for (uint32_t i = 0; i < count; i++) {
        const struct fifo_entry *entry = fifo_next(&cursor);
        d->fifo_bytes -= feed_entry_bytes(entry->len);
        feed->ring[entry->slot].entry_count--;
    }
    fifo_pop(&d->fifo, feed->pool, count);
    for (uint32_t i = 0; i < cover_count; i++)
        feed->ring[cover[i].slot].entry_count++;
    d->inflight = cover_count > 0;
    if (d->fifo.count == 0)
        d->urgent = false;
    else
        d->oldest_ns = fifo_oldest_ns(&d->fifo);
    feed_deactivate_if_empty(feed, domain);
}

static struct ring_settled settled_of(const struct feed_cover *cover, enum feed_settlement settlement)
{
    switch (settlement) {
    case FEED_ACCEPTED:
        break;
    case FEED_DEAD_LETTERED:
        return (struct ring_settled){.dead_lettered_events = cover->event_count};
    }
    return (struct ring_settled){.accepted_events = cover->event_count, .accepted_bytes = cover->payload_bytes, .accepted_batches = 1};
}

void feed_settle(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count, enum feed_settlement settlement)
{
    suspect_settled(feed, domain, covers_settle(feed, domain, cover, cover_count, settlement));
    feed_deactivate_if_empty(feed, domain);
}

/* Returns how many events they hold. */
static uint32_t covers_settle(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count,
                              enum feed_settlement settlement)
{
    uint32_t event_count = 0;
    place_find_first(feed, domain, cover, cover_count);
    for (uint32_t i = 0; i < cover_count; i++) {
        struct feed_ring *ring = &feed->ring[cover[i].slot];
        ring->entry_count--;
        event_count += cover[i].event_count;
        if (ring->left_out)
            continue;
        const struct ring_settled settled = settled_of(&cover[i], settlement);
        ring_lane_settle(&ring->lane, domain, cover[i].end_pos, &settled);
        feed_ring_ack(ring, feed->lane_index, feed->lane_count);
    }
    feed->domain[domain].inflight = false;
    return event_count;
}

/* After a settlement: each covered ring's first unsettled record is its next entry in the list, else where it is behind, else none. */
static void place_find_first(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count)
{
    uint32_t missing = cover_count;
    for (uint32_t i = 0; i < cover_count; i++)
        feed->ring[cover[i].slot].place[domain].first_pos = FEED_POS_NONE;
    struct fifo_cursor cursor = fifo_first(&feed->domain[domain].fifo);
    for (const struct fifo_entry *entry; missing > 0 && (entry = fifo_next(&cursor));) {
        struct feed_place *place = &feed->ring[entry->slot].place[domain];
        if (place->first_pos != FEED_POS_NONE)
            continue;
        place->first_pos = entry->pos;
        missing--;
    }
    for (uint32_t i = 0; i < cover_count; i++) {
        struct feed_ring *ring = &feed->ring[cover[i].slot];
        struct feed_place *place = &ring->place[domain];
        if (place->first_pos == FEED_POS_NONE)
            place->first_pos = place->behind_pos;
        if (place->first_pos == FEED_POS_NONE)
            ring->unsettled_count--;
    }
}

void feed_note_accepted(struct feed *feed, uint32_t slot, uint64_t age_ns)
{
    if (!feed->ring[slot].left_out)
        ring_lane_note_latency(&feed->ring[slot].lane, age_ns);
}

void feed_fail(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count, enum feed_failure failure)
{
    for (uint32_t i = 0; i < cover_count; i++) {
        struct feed_ring *ring = &feed->ring[cover[i].slot];
        ring->entry_count--;
        if (ring->left_out)
            continue;
        feed_behind_add(feed, domain, cover[i].slot, cover[i].first_pos);
        if (failure == FEED_MAYBE_DELIVERED)
            ring_lane_count(&ring->lane, &(struct ring_settled){.maybe_duplicate_events = cover[i].event_count});
    }
    fifo_drop_all(feed, domain);
    feed->domain[domain].inflight = false;
    feed_deactivate_if_empty(feed, domain);
}

/* The rest goes first: a place whose record it is to walk again knows it then when the settled part looks for what is next. */
void feed_settle_part(struct feed *feed, uint32_t domain, const struct feed_cover *settled, uint32_t settled_count,
                      const struct feed_cover *rest, uint32_t rest_count, enum feed_failure failure)
{
    for (uint32_t r = 0; r < rest_count; r++)
        for (uint32_t s = 0; s < settled_count; s++)
            if (settled[s].slot == rest[r].slot)
                feed->ring[rest[r].slot].entry_count++; /* the batch named it once, both parts take it back */
    feed_fail(feed, domain, rest, rest_count, failure);
    bool of_suspects = suspects_hold(feed->domain[domain].suspect, settled, settled_count);
    uint32_t event_count = covers_settle(feed, domain, settled, settled_count, FEED_ACCEPTED);
    if (of_suspects)
        suspect_settled(feed, domain, event_count);
    feed_deactivate_if_empty(feed, domain);
}

/* False too where the suspicion is new, of the first of the rest. */
static bool suspects_hold(const struct feed_suspect *suspect, const struct feed_cover *cover, uint32_t cover_count)
{
    for (uint32_t c = 0; suspect && c < suspect->cover_count; c++)
        for (uint32_t i = 0; i < cover_count; i++)
            if (cover[i].slot == suspect->cover[c].slot && cover[i].first_pos >= suspect->cover[c].first_pos &&
                cover[i].first_pos < suspect->cover[c].end_pos)
                return true;
    return false;
}

void feed_note_repeat(struct feed *feed, uint32_t slot)
{
    if (!feed->ring[slot].left_out)
        ring_lane_count(&feed->ring[slot].lane, &(struct ring_settled){.maybe_duplicate_events = 1});
}

/* The list's entries come after the batch's: they are walked again with it, in order. */
static void fifo_drop_all(struct feed *feed, uint32_t domain)
{
    struct feed_domain *d = &feed->domain[domain];
    struct fifo_cursor cursor = fifo_first(&d->fifo);
    for (const struct fifo_entry *entry; (entry = fifo_next(&cursor));) {
        struct feed_ring *ring = &feed->ring[entry->slot];
        ring->entry_count--;
        if (!ring->left_out)
            feed_behind_add(feed, domain, entry->slot, entry->pos);
    }
    fifo_pop(&d->fifo, feed->pool, d->fifo.count);
    d->fifo_bytes = 0;
}

void feed_drop_entries(struct feed *feed, uint32_t domain, uint32_t slot)
{
    struct fifo_cursor cursor = fifo_first(&feed->domain[domain].fifo);
    for (const struct fifo_entry *entry; (entry = fifo_next(&cursor));) {
        if (entry->slot != slot)
            continue;
        fifo_drop_all(feed, domain);
        return;
    }
}

int feed_suspect_set(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count, uint32_t event_count)
{
    struct feed_domain *d = &feed->domain[domain];
    if (!d->suspect)
        d->suspect = malloc(sizeof *d->suspect);
    if (!d->suspect)
        return -ENOMEM;
    d->suspect->event_count = event_count;
    d->suspect->cover_count = cover_count;
    memcpy(d->suspect->cover, cover, cover_count * sizeof *cover);
    return 0;
}

uint32_t feed_suspect_count(const struct feed *feed, uint32_t domain)
{
    const struct feed_suspect *suspect = feed->domain[domain].suspect;
    return suspect ? suspect->event_count : 0;
}

uint32_t feed_suspect_part(const struct feed *feed, uint32_t domain)
{
    uint32_t count = feed_suspect_count(feed, domain);
    return count > 1 ? count / 2 : count;
}

void feed_suspect_end(struct feed *feed, uint32_t domain)
{
    free(feed->domain[domain].suspect);
    feed->domain[domain].suspect = NULL;
}

static void suspect_settled(struct feed *feed, uint32_t domain, uint32_t event_count)
{
    struct feed_suspect *suspect = feed->domain[domain].suspect;
    if (!suspect)
        return;
    if (suspect->event_count > event_count)
        suspect->event_count -= event_count;
    else
        feed_suspect_end(feed, domain);
}
