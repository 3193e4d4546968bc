/* The rings of one stream as one worker sees them: their slots and the walk that sorts records into domains. Settling is in feed_settle.c.
 */
#include "shipper/feed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/feed_internal.h"
#include "ringbuf/ring_route.h"

#define REFILL_BYTES (UINT64_C(64) << 10) /* of one ring that is behind, before the next one has its turn */
#define PRESSURE_SHARE 4u                 /* a ring filled by more than this share is in a hurry */
#define FILLING_SHARE 16u                 /* one that has filled by more than this since the last pass is looked at soon */
#define LOOK_AHEAD_SLOTS 4u               /* rings whose words are on their way while one is looked at */

static void ring_walk_front(struct feed *feed, uint32_t slot, int64_t now_ns, uint32_t *met);
static void ring_pass_flush(struct feed *feed, struct feed_ring *ring);
static void ring_pass_pressure(struct feed *feed, struct feed_ring *ring, uint64_t write_pos);
static void domains_hurry(struct feed *feed, const struct feed_ring *ring, uint64_t below_pos);
static bool record_sort(struct feed *feed, uint32_t slot, const struct ring_record *record, int64_t now_ns);
static bool domain_push(struct feed *feed, uint32_t domain, uint32_t slot, const struct ring_record *record, int64_t now_ns);
enum refill { REFILL_FULL, REFILL_SHARE, REFILL_DONE };
static void suspect_refill(struct feed *feed, uint32_t domain, int64_t now_ns);
static enum refill ring_refill(struct feed *feed, uint32_t slot, uint32_t domain, uint64_t end_pos, int64_t now_ns);
static void record_share(struct feed *feed, uint32_t slot, uint32_t domain, const struct ring_record *record, uint64_t from_pos,
                         int64_t now_ns);
static void suspects_forget(struct feed_suspect *suspect, uint32_t slot);
static void behind_turn(struct feed *feed, uint32_t domain);
static void behind_pop(struct feed *feed, uint32_t domain);
static void place_clear(struct feed *feed, uint32_t slot, uint32_t domain);

int feed_open(struct feed *feed, uint32_t lane_index, uint32_t lane_count, struct fifo_pool *pool)
{
    *feed = (struct feed){.lane_index = lane_index,
                          .lane_count = lane_count,
                          .pool = pool,
                          .domain_bytes_max = UINT64_C(4) << 20,
                          .domain_count_max = UINT32_MAX,
                          .refill_left = UINT32_MAX};
    feed->domain = calloc(RING_DOMAINS_MAX, sizeof *feed->domain);
    feed->active = calloc(RING_DOMAINS_MAX, sizeof *feed->active);
    if (!feed->domain || !feed->active) {
        feed_close(feed);
        return -ENOMEM;
    }
    for (uint32_t d = 0; d < RING_DOMAINS_MAX; d++)
        feed->domain[d].behind_head = feed->domain[d].behind_tail = feed->domain[d].active_index = FEED_SLOT_NONE;
    return 0;
}

void feed_close(struct feed *feed)
{
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++)
        free(feed->ring[slot].place);
    for (uint32_t d = 0; feed->domain && d < RING_DOMAINS_MAX; d++)
        free(feed->domain[d].suspect);
    free(feed->ring);
    free(feed->domain);
    free(feed->active);
    *feed = (struct feed){0};
}

static int slot_find(struct feed *feed)
{
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++)
        if (!feed->ring[slot].used)
            return (int)slot;
    uint32_t cap = feed->ring_cap ? 2 * feed->ring_cap : 16;
    struct feed_ring *ring = realloc(feed->ring, cap * sizeof *ring);
    if (!ring)
        return -ENOMEM;
    memset(ring + feed->ring_cap, 0, (cap - feed->ring_cap) * sizeof *ring);
    int slot = (int)feed->ring_cap;
    feed->ring = ring;
    feed->ring_cap = cap;
    return slot;
}

int feed_ring_add(struct feed *feed, struct ring *ring, void *owner, uint32_t partition_count, uint64_t stop_pos)
{
    int slot = slot_find(feed);
    if (slot < 0)
        return slot;
    struct feed_ring *fr = &feed->ring[slot];
    *fr = (struct feed_ring){.owner = owner, .stop_pos = stop_pos, .partition_count = partition_count, .used = true};
    if (!feed_place_of(fr, RING_CLASS_COUNT + partition_count - 1)) {
        *fr = (struct feed_ring){0};
        return -ENOMEM;
    }
    ring_lane_open(&fr->lane, ring, feed->lane_index);
    fr->replay_end_pos = ring_done_max(ring);
    feed->ring_count++;
    return slot;
}

/* The place of a domain; the table grows when a record names a partition beyond the hub's. NULL: no memory. */
struct feed_place *feed_place_of(struct feed_ring *ring, uint32_t domain)
{
    if (domain < ring->place_count)
        return &ring->place[domain];
    assert(domain < RING_DOMAINS_MAX);
    struct feed_place *place = realloc(ring->place, (domain + 1) * sizeof *place);
    if (!place)
        return NULL;
    for (uint32_t d = ring->place_count; d <= domain; d++)
        place[d] = (struct feed_place){.first_pos = FEED_POS_NONE, .behind_pos = FEED_POS_NONE, .next_behind = FEED_SLOT_NONE};
    ring->place = place;
    ring->place_count = domain + 1;
    return &place[domain];
}

void feed_ring_leave(struct feed *feed, uint32_t slot)
{
    feed->ring[slot].left_out = feed->ring[slot].dropped = true;
}

/* Lists of rings that are behind may still name the slot: they are cleaned here, once. From the end: a domain that leaves the list is
 * replaced by its last. */
static void behind_forget(struct feed *feed, uint32_t slot)
{
    for (uint32_t i = feed->active_count; i-- > 0;) {
        uint32_t d = feed->active[i];
        struct feed_domain *domain = &feed->domain[d];
        uint32_t kept_tail = FEED_SLOT_NONE, *link = &domain->behind_head;
        while (*link != FEED_SLOT_NONE) {
            struct feed_place *place = &feed->ring[*link].place[d];
            if (*link == slot) {
                *link = place->next_behind;
            } else {
                kept_tail = *link;
                link = &place->next_behind;
            }
        }
        domain->behind_tail = kept_tail;
        feed_deactivate_if_empty(feed, d);
    }
    for (uint32_t d = 0; d < feed->ring[slot].place_count; d++) /* suspects may be all that a domain has: it is not active then */
        suspects_forget(feed->domain[d].suspect, slot);
}

static void suspects_forget(struct feed_suspect *suspect, uint32_t slot)
{
    for (uint32_t c = 0; suspect && c < suspect->cover_count; c++)
        if (suspect->cover[c].slot == slot)
            suspect->cover[c].slot = FEED_SLOT_NONE;
}

void feed_ring_release(struct feed *feed, uint32_t slot)
{
    struct feed_ring *ring = &feed->ring[slot];
    ring->stop_pos = ring->lane.walk_pos;
    ring->dropped = true;
    for (uint32_t d = 0; d < ring->place_count; d++) {
        struct feed_suspect *suspect = feed->domain[d].suspect;
        bool is_suspect = false;
        for (uint32_t c = 0; suspect && c < suspect->cover_count; c++)
            is_suspect |= suspect->cover[c].slot == slot;
        if (is_suspect)
            feed_suspect_end(feed, d);
        feed_drop_entries(feed, d, slot);
    }
    behind_forget(feed, slot); /* each place keeps its behind_pos: there the next one goes on */
    ring->released = true;
    feed_ring_publish(feed, slot);
}

bool feed_ring_gone(const struct feed *feed, uint32_t slot)
{
    return feed->ring[slot].entry_count == 0;
}

void feed_ring_free(struct feed *feed, uint32_t slot)
{
    behind_forget(feed, slot);
    free(feed->ring[slot].place);
    feed->ring[slot] = (struct feed_ring){0};
    feed->ring_count--;
}

bool feed_ring_is_level(const struct feed *feed, uint32_t slot)
{
    const struct feed_ring *ring = &feed->ring[slot];
    return ring->left_out || (ring->unsettled_count == 0 && ring->lane.walk_pos >= ring->stop_pos);
}

uint32_t feed_walk(struct feed *feed, int64_t now_ns, int64_t wall_ns)
{
    uint32_t met = 0;
    feed->lanes_seen = 0;
    feed->is_filling = false;
    feed->wall_ns = wall_ns;
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++) {
        uint32_t ahead = slot + LOOK_AHEAD_SLOTS;
        if (ahead < feed->ring_cap && feed->ring[ahead].used)
            ring_lane_prefetch(&feed->ring[ahead].lane);
        if (feed->ring[slot].used && !feed->ring[slot].left_out)
            ring_walk_front(feed, slot, now_ns, &met);
    }
    return met;
}

void feed_ring_publish(struct feed *feed, uint32_t slot)
{
    if (!feed->ring[slot].left_out) /* its gate stays where it is: its bytes are kept */
        feed_ring_ack(&feed->ring[slot], feed->lane_index, feed->lane_count);
}

void feed_bell(struct feed *feed, uint64_t number)
{
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++)
        if (feed->ring[slot].used && !feed->ring[slot].left_out)
            ring_bell_set(feed->ring[slot].lane.ring, number);
}

void feed_stop(struct feed *feed)
{
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++) {
        struct feed_ring *ring = &feed->ring[slot];
        uint64_t write_pos;
        if (ring->used && !ring->left_out && ring_lane_look(&ring->lane, &write_pos) == 0 && write_pos < ring->stop_pos)
            ring->stop_pos = write_pos;
    }
}

bool feed_is_level(const struct feed *feed)
{
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++)
        if (feed->ring[slot].used && !feed_ring_is_level(feed, slot))
            return false;
    return true;
}

bool feed_has_unwalked(struct feed *feed)
{
    for (uint32_t slot = 0; slot < feed->ring_cap; slot++) {
        struct feed_ring *ring = &feed->ring[slot];
        uint64_t write_pos;
        if (!ring->used || ring->left_out)
            continue;
        if (ring_lane_look(&ring->lane, &write_pos) != 0)
            return true; /* the next pass leaves it out */
        if (ring->lane.walk_pos < write_pos && ring->lane.walk_pos < ring->stop_pos)
            return true;
        if (ring_flush_pos(ring->lane.ring) != ring->flush_pos)
            return true;
    }
    return false;
}

static void ring_walk_front(struct feed *feed, uint32_t slot, int64_t now_ns, uint32_t *met)
{
    struct feed_ring *ring = &feed->ring[slot];
    uint64_t write_pos, started_pos = ring->lane.walk_pos;
    if (ring_quarantined(ring->lane.ring) || ring_faulted(ring->lane.ring) || ring_lane_look(&ring->lane, &write_pos) != 0) {
        ring->left_out = true;
        return;
    }
    ring_pass_flush(feed, ring);
    uint64_t end_pos = write_pos < ring->stop_pos ? write_pos : ring->stop_pos;
    if (ring->lane.walk_pos >= end_pos)
        return;
    if (feed->lane_index == 0)
        ring_note(&ring->lane, feed->wall_ns);
    feed->is_filling |= end_pos - started_pos > ring_capacity(ring->lane.ring) / FILLING_SHARE;
    for (uint32_t budget = FEED_WALK_BUDGET; budget > 0 && ring->lane.walk_pos < end_pos;) {
        int count = ring_walk(ring->lane.ring, &ring->lane.walk_pos, end_pos, &feed->walk);
        if (count < 0) {
            ring->left_out = true;
            return;
        }
        for (int i = 0; i < count; i++) {
            if (!record_sort(feed, slot, &feed->walk.record[i], now_ns)) {
                ring->lane.walk_pos = feed->walk.record[i].pos; /* no memory: from here again in the next pass */
                return;
            }
        }
        *met += (uint32_t)count;
        budget -= (uint32_t)count < budget ? (uint32_t)count : budget;
    }
    ring_pass_pressure(feed, ring, write_pos);
    if (ring->lane.walk_pos != started_pos)
        feed_ring_ack(ring, feed->lane_index, feed->lane_count);
}

/* A new flush request: the lists that hold something of this ring are sealed without linger. */
static void ring_pass_flush(struct feed *feed, struct feed_ring *ring)
{
    uint64_t flush_pos = ring_flush_pos(ring->lane.ring);
    if (flush_pos == ring->flush_pos)
        return;
    ring->flush_pos = flush_pos;
    domains_hurry(feed, ring, flush_pos);
}

/* A ring that fills up does not wait for the linger: its producer may stand still soon. */
static void ring_pass_pressure(struct feed *feed, struct feed_ring *ring, uint64_t write_pos)
{
    uint64_t gate_pos = order_load_gate(&ring_shipper(ring->lane.ring)->gate.gate_pos);
    if (write_pos - gate_pos > ring_capacity(ring->lane.ring) / PRESSURE_SHARE)
        domains_hurry(feed, ring, write_pos);
}

static void domains_hurry(struct feed *feed, const struct feed_ring *ring, uint64_t below_pos)
{
    for (uint32_t d = feed->lane_index; d < ring->place_count; d += feed->lane_count)
        if (ring->place[d].first_pos < below_pos)
            feed->domain[d].urgent = true;
}

/* false: no memory, the record was not taken. */
static bool record_sort(struct feed *feed, uint32_t slot, const struct ring_record *record, int64_t now_ns)
{
    struct feed_ring *ring = &feed->ring[slot];
    uint32_t domain = ring_domain_of(record, ring->partition_count);
    uint32_t lane = ring_domain_lane(domain, feed->lane_count);
    if (lane != feed->lane_index) {
        feed->lanes_seen |= 1u << lane;
        return true;
    }
    if (record->pos < ring->replay_end_pos && record->pos < ring_done_pos(ring->lane.ring, domain))
        return true;
    struct feed_place *place = feed_place_of(ring, domain);
    if (!place)
        return false;
    if (place->first_pos == FEED_POS_NONE) {
        place->first_pos = record->pos;
        ring->unsettled_count++;
    }
    bool may_push = place->behind_pos == FEED_POS_NONE && !feed->domain[domain].suspect;
    if (place->behind_pos == FEED_POS_NONE && !(may_push && domain_push(feed, domain, slot, record, now_ns))) {
        feed_behind_add(feed, domain, slot, record->pos);
        order_none_add64(&feed->counters->behind_count, 1);
    }
    if (record->time_ns > 0)
        ring_hist_add(feed->commit_to_read, feed->wall_ns > record->time_ns ? (uint64_t)(feed->wall_ns - record->time_ns) : 0);
    return true;
}

static bool domain_push(struct feed *feed, uint32_t domain, uint32_t slot, const struct ring_record *record, int64_t now_ns)
{
    struct feed_domain *d = &feed->domain[domain];
    uint64_t bytes = feed_entry_bytes(record->len);
    if (d->fifo.count && (d->fifo_bytes + bytes > feed->domain_bytes_max || d->fifo.count >= feed->domain_count_max))
        return false;
    if (!fifo_push(&d->fifo, feed->pool, (struct fifo_entry){.pos = record->pos, .slot = slot, .len = record->len}, now_ns))
        return false;
    if (d->fifo.count == 1)
        d->oldest_ns = now_ns;
    if (record->pos < feed->ring[slot].flush_pos)
        d->urgent = true;
    d->fifo_bytes += bytes;
    feed->ring[slot].entry_count++;
    feed_activate(feed, domain);
    return true;
}

bool feed_wants_refill(const struct feed *feed, uint32_t domain)
{
    const struct feed_domain *d = &feed->domain[domain];
    return d->behind_head != FEED_SLOT_NONE && d->fifo_bytes < feed->domain_bytes_max / 2 && d->fifo.count < feed->domain_count_max / 2 &&
           fifo_has_room(&d->fifo, feed->pool);
}

void feed_refill(struct feed *feed, uint32_t domain, int64_t now_ns)
{
    struct feed_domain *d = &feed->domain[domain];
    if (d->suspect)
        suspect_refill(feed, domain, now_ns);
    while (!d->suspect && d->behind_head != FEED_SLOT_NONE && feed->refill_left > 0) {
        uint32_t slot = d->behind_head, count = d->fifo.count;
        uint64_t from_pos = feed->ring[slot].place[domain].behind_pos;
        enum refill refill = REFILL_DONE;
        if (!feed->ring[slot].left_out)
            refill = ring_refill(feed, slot, domain, feed->ring[slot].lane.walk_pos, now_ns);
        if (refill == REFILL_SHARE || (refill == REFILL_FULL && d->fifo.count > count))
            behind_turn(feed, domain);
        if (refill == REFILL_FULL)
            return;
        if (refill == REFILL_DONE)
            behind_pop(feed, domain);
        if (refill == REFILL_DONE && d->fifo.count == count && feed->ring[slot].place[domain].first_pos == from_pos)
            place_clear(feed, slot, domain); /* nothing was left there */
    }
    feed_deactivate_if_empty(feed, domain); /* all that was behind was of rings left out */
}

/* All that the ring has of the domain is settled. */
static void place_clear(struct feed *feed, uint32_t slot, uint32_t domain)
{
    struct feed_ring *ring = &feed->ring[slot];
    ring->place[domain].first_pos = FEED_POS_NONE;
    ring->unsettled_count--;
    feed_ring_publish(feed, slot);
}

/* The first ring that is behind has caught up. */
static void behind_pop(struct feed *feed, uint32_t domain)
{
    struct feed_domain *d = &feed->domain[domain];
    struct feed_place *place = &feed->ring[d->behind_head].place[domain];
    place->behind_pos = FEED_POS_NONE;
    d->behind_head = place->next_behind;
    place->next_behind = FEED_SLOT_NONE;
    if (d->behind_head == FEED_SLOT_NONE)
        d->behind_tail = FEED_SLOT_NONE;
}

/* The first ring that is behind has had its share: the others come first now, so that none has the list for itself. */
static void behind_turn(struct feed *feed, uint32_t domain)
{
    struct feed_domain *d = &feed->domain[domain];
    uint32_t slot = d->behind_head;
    if (slot == d->behind_tail)
        return;
    d->behind_head = feed->ring[slot].place[domain].next_behind;
    feed->ring[slot].place[domain].next_behind = FEED_SLOT_NONE;
    feed->ring[d->behind_tail].place[domain].next_behind = slot;
    d->behind_tail = slot;
}

/* The suspects alone, ring by ring as the refused batch had them: each try meets the same events in the same order. */
static void suspect_refill(struct feed *feed, uint32_t domain, int64_t now_ns)
{
    struct feed_domain *d = &feed->domain[domain];
    for (uint32_t c = 0; c < d->suspect->cover_count; c++) {
        const struct feed_cover *cover = &d->suspect->cover[c];
        if (cover->slot == FEED_SLOT_NONE || feed->ring[cover->slot].left_out || feed->ring[cover->slot].released)
            continue;
        struct feed_place *place = &feed->ring[cover->slot].place[domain];
        while (place->behind_pos < cover->end_pos) { /* FEED_POS_NONE is above */
            if (ring_refill(feed, cover->slot, domain, cover->end_pos, now_ns) == REFILL_FULL)
                return;
            if (feed->ring[cover->slot].left_out)
                break;
        }
    }
    if (d->fifo.count == 0 && !d->inflight) /* their rings are left out or let go */
        feed_suspect_end(feed, domain);
}

/* Walks one ring again for one domain, from where it is behind up to `end_pos`, a share of it at the most. */
static enum refill ring_refill(struct feed *feed, uint32_t slot, uint32_t domain, uint64_t end_pos, int64_t now_ns)
{
    struct feed_ring *ring = &feed->ring[slot];
    struct feed_place *place = &ring->place[domain];
    uint64_t from_pos = place->behind_pos, pos = from_pos, pushed_bytes = 0;
    bool is_shared = !feed->domain[domain].suspect;
    feed->walk_number++;
    while (pos < end_pos && pushed_bytes < REFILL_BYTES && (feed->refill_left > 0 || !is_shared)) {
        int count = ring_walk(ring->lane.ring, &pos, end_pos, &feed->walk);
        if (count < 0) {
            ring->left_out = true;
            return REFILL_DONE;
        }
        feed->refill_left -= (uint32_t)count < feed->refill_left ? (uint32_t)count : feed->refill_left;
        for (int i = 0; i < count; i++) {
            const struct ring_record *record = &feed->walk.record[i];
            uint32_t of = ring_domain_of(record, ring->partition_count);
            if (of != domain && is_shared)
                record_share(feed, slot, of, record, from_pos, now_ns);
            if (of != domain)
                continue;
            if (record->pos < ring->replay_end_pos && record->pos < ring_done_pos(ring->lane.ring, domain))
                continue;
            if (!domain_push(feed, domain, slot, record, now_ns)) {
                place->behind_pos = record->pos;
                return REFILL_FULL;
            }
            pushed_bytes += record->len;
        }
    }
    place->behind_pos = pos;
    return pos < end_pos ? REFILL_SHARE : REFILL_DONE;
}

/* A walk for one domain meets what others have fallen behind with: whoever has waited from somewhere in it on takes its records too, up to
 * its own share, or each would walk the whole ring for itself. What is skipped once ends that: order holds. */
static void record_share(struct feed *feed, uint32_t slot, uint32_t domain, const struct ring_record *record, uint64_t from_pos,
                         int64_t now_ns)
{
    struct feed_ring *ring = &feed->ring[slot];
    struct feed_domain *d = &feed->domain[domain];
    struct feed_place *place = domain < ring->place_count ? &ring->place[domain] : NULL;
    if (!place || place->behind_pos < from_pos || place->behind_pos > record->pos) /* FEED_POS_NONE is above */
        return;
    if (d->behind_head != slot || d->suspect || now_ns < d->hold_until_ns)
        return;
    if (record->pos < ring->replay_end_pos && record->pos < ring_done_pos(ring->lane.ring, domain))
        return;
    if (d->share_walk != feed->walk_number) {
        d->share_walk = feed->walk_number;
        d->share_bytes = 0;
    }
    if (d->share_bytes == FEED_SHARE_OVER)
        return;
    if (d->share_bytes < REFILL_BYTES && domain_push(feed, domain, slot, record, now_ns)) {
        d->share_bytes += record->len;
        place->behind_pos = record->pos + ring_align16(record->len);
        return;
    }
    place->behind_pos = record->pos;
    if (d->share_bytes > 0)
        behind_turn(feed, domain);
    d->share_bytes = FEED_SHARE_OVER;
}
