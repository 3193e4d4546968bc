/* What is settled: positions per domain and counts change as one through a lane's redo record; what a start stores again and checks. */
#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "ring_dropped.h"
#include "ring_internal.h"
#include "ring_order.h"

#define COUNT_WORDS (5u + RING_DROPPED_REASONS)
static_assert(sizeof(struct ring_lane_counts) == COUNT_WORDS * sizeof(uint64_t), "counts are words");
static_assert(sizeof(struct ring_settled) == COUNT_WORDS * sizeof(uint64_t), "one word for one word");
static_assert(offsetof(struct ring_settled, maybe_duplicate_events) == offsetof(struct ring_lane_counts, maybe_duplicate_events) &&
                  offsetof(struct ring_settled, dropped_events) == offsetof(struct ring_lane_counts, dropped_events),
              "same order");

static void settle(struct ring_lane *lane, uint32_t domain, uint64_t done_pos, const struct ring_settled *settled);
/* The pages of a file reach the disk in no order: after a power cut what is settled may lie beyond what is written. That was settled, and
 * what it was is gone with the writer's page: the positions go back to where the file ends. Returns the gate. */
static uint64_t clip_to_written(struct ring_shipper *shipper, uint64_t gate_pos, uint64_t write_pos)
{
    for (uint32_t i = 0; i < RING_LANES_MAX; i++)
        if (order_redo_load64(&shipper->lane[i].redo.done_pos) > write_pos)
            order_redo_store64(&shipper->lane[i].redo.done_pos, write_pos);
    for (uint32_t slot = 0; slot < RING_DOMAINS_MAX; slot++)
        if (order_none_load64(&shipper->done_pos[slot]) > write_pos)
            order_redo_store64(&shipper->done_pos[slot], write_pos);
    if (gate_pos <= write_pos)
        return gate_pos;
    order_redo_store64(&shipper->gate.gate_pos, write_pos);
    return write_pos;
}

static int redo_finish(struct ring_shipper *shipper, struct ring_lane_words *words, uint64_t write_pos, uint64_t capacity);
static uint64_t clip_to_written(struct ring_shipper *shipper, uint64_t gate_pos, uint64_t write_pos);
static void domain_take_back(struct ring *ring, uint32_t domain, uint64_t events);
static int check_positions(const struct ring *ring, uint64_t gate_pos, uint64_t write_pos);
static void counts_copy(struct ring_lane_counts *to, const struct ring_lane_counts *from);
static bool is_within(uint64_t pos, uint64_t write_pos);

int ring_lanes_begin(struct ring *ring, uint32_t lane_count)
{
    struct ring_shipper *shipper = ring->shipper;
    uint64_t write_pos = order_observe(&ring->producer->hot.write_pos);
    uint64_t gate_pos = order_load_gate(&shipper->gate.gate_pos);
    int err = 0;

    assert(lane_count > 0 && lane_count <= RING_LANES_MAX);
    if (!ring_is_this_boot(ring))
        gate_pos = clip_to_written(shipper, gate_pos, write_pos);
    for (uint32_t i = 0; i < RING_LANES_MAX && !err; i++)
        err = redo_finish(shipper, &shipper->lane[i], write_pos, ring->capacity);
    if (!err)
        err = check_positions(ring, gate_pos, write_pos);
    if (err || ring_faulted(ring)) {
        ring_quarantine(ring, RING_QUARANTINE_POSITIONS, gate_pos);
        return -EBADMSG;
    }
    ring->lane_count = lane_count;
    for (uint32_t i = 0; i < RING_LANES_MAX; i++) {
        order_none_store64(&ring->ack_pos[i], gate_pos);
        order_none_store64(&shipper->lane[i].read_pos, gate_pos);
        order_none_store64(&shipper->lane[i].ack_pos, gate_pos);
    }
    order_none_store32(&shipper->control.lane_count, lane_count);
    order_none_store32(&shipper->control.shipper_pid, (uint32_t)getpid());
    return 0;
}

uint32_t ring_partition_count(const struct ring *ring)
{
    uint32_t count = order_none_load32(&ring->shipper->control.partition_count);

    return count <= RING_PARTITIONS_MAX ? count : RING_PARTITIONS_MAX;
}

void ring_set_partition_count(struct ring *ring, uint32_t partition_count)
{
    assert(partition_count <= RING_PARTITIONS_MAX);
    order_none_store32(&ring->shipper->control.partition_count, partition_count);
}

uint64_t ring_done_max(const struct ring *ring)
{
    uint64_t max = 0;

    for (uint32_t domain = 0; domain < RING_DOMAINS_MAX; domain++) {
        uint64_t pos = ring_done_pos(ring, domain);
        max = pos > max ? pos : max;
    }
    return max;
}

void ring_done_clear(struct ring *ring)
{
    uint64_t write_pos = order_observe(&ring->producer->hot.write_pos), pending = 0;
    struct ring_cut cut;
    bool known = ring_cut_take(ring, &cut) == 0 && ring_cut_count_pending(ring, &cut, write_pos, &pending) == 0;

    for (uint32_t domain = 0; domain < RING_DOMAINS_MAX; domain++) {
        uint64_t more = pending;
        if (known && cut.done_pos[domain] > cut.gate_pos) {
            cut.done_pos[domain] = 0;
            known = ring_cut_count_pending(ring, &cut, write_pos, &more) == 0;
        }
        if (known && more > pending)
            domain_take_back(ring, domain, more - pending);
        else
            order_none_store64(&ring->shipper->done_pos[ring_done_slot(domain)], 0);
        pending = more;
    }
}

/* What was accepted ahead of the gate is pending again: it leaves `accepted`, or the ledger would have it twice, and may be a duplicate.
 * Position and counts change as one, so a kill in between opens nothing. */
static void domain_take_back(struct ring *ring, uint32_t domain, uint64_t events)
{
    struct ring_lane lane = {.ring = ring, .index = RING_LANES_MAX - 1};

    while (lane.index > 0 && order_none_load64(&ring->shipper->lane[lane.index].counts.accepted_events) < events)
        lane.index--; /* whichever lane has so many: the sum is what counts */
    settle(&lane, domain, 0, &(struct ring_settled){.accepted_events = 0 - events, .maybe_duplicate_events = events});
}

/* What lies behind synced_pos cannot be walked: here alone a number comes by subtraction. A kill between count and gate leaves a ring of
 * which nobody can tell, and the next start drops the rest, which is nothing. */
uint64_t ring_drop_unsynced(struct ring *ring)
{
    struct ring_lane lane = {.ring = ring, .index = 0};
    uint64_t committed = ring_committed_events(ring), settled = 0;
    struct ring_settled dropped = {0};

    assert(!ring_is_this_boot(ring));
    for (uint32_t i = 0; i < RING_LANES_MAX; i++) {
        const struct ring_lane_counts *counts = &ring->shipper->lane[i].counts;
        settled += order_none_load64(&counts->accepted_events) + order_none_load64(&counts->dead_lettered_events);
        for (uint32_t k = 0; k < RING_DROPPED_REASONS; k++)
            settled += order_none_load64(&counts->dropped_events[k]);
    }
    dropped.dropped_events[RING_DROPPED_REBOOT] = committed > settled ? committed - settled : 0;
    ring_lane_count(&lane, &dropped);
    order_raise_gate(&ring->shipper->gate.gate_pos, order_observe(&ring->producer->hot.write_pos));
    return dropped.dropped_events[RING_DROPPED_REBOOT];
}

void ring_set_event_bytes_max(struct ring *ring, uint32_t event_bytes_max)
{
    order_none_store32(&ring->shipper->limit.event_bytes_max, event_bytes_max);
}

uint64_t ring_done_pos(const struct ring *ring, uint32_t domain)
{
    assert(domain < RING_DOMAINS_MAX);
    return order_none_load64(&ring->shipper->done_pos[ring_done_slot(domain)]);
}

void ring_lane_settle(struct ring_lane *lane, uint32_t domain, uint64_t done_pos, const struct ring_settled *settled)
{
    assert(domain < RING_DOMAINS_MAX);
    settle(lane, domain, done_pos, settled);
}

void ring_lane_count(struct ring_lane *lane, const struct ring_settled *settled)
{
    settle(lane, RING_REDO_NO_DOMAIN, 0, settled);
}

/* R1 throughout: record, full, what it says, empty. A kill between any two leaves either the old or a record that is stored again. */
static void settle(struct ring_lane *lane, uint32_t domain, uint64_t done_pos, const struct ring_settled *settled)
{
    struct ring_shipper *shipper = lane->ring->shipper;
    struct ring_lane_words *words = &shipper->lane[lane->index];
    const uint64_t *add = (const uint64_t *)(const void *)settled;
    const _Atomic uint64_t *old = &words->counts.accepted_events;
    _Atomic uint64_t *new = &words->redo.counts.accepted_events;

    order_redo_store32(&words->redo.domain, domain);
    order_redo_store64(&words->redo.done_pos, done_pos);
    for (uint32_t i = 0; i < COUNT_WORDS; i++)
        order_redo_store64(&new[i], order_none_load64(&old[i]) + add[i]);
    order_redo_store32(&words->redo.state, RING_REDO_FULL);
    if (domain != RING_REDO_NO_DOMAIN)
        order_redo_store64(&shipper->done_pos[ring_done_slot(domain)], done_pos);
    counts_copy(&words->counts, &words->redo.counts);
    order_redo_store32(&words->redo.state, RING_REDO_EMPTY);
}

static int redo_finish(struct ring_shipper *shipper, struct ring_lane_words *words, uint64_t write_pos, uint64_t capacity)
{
    uint32_t state = order_redo_load32(&words->redo.state); /* R2 */
    uint32_t domain = order_redo_load32(&words->redo.domain);
    uint64_t done_pos = order_redo_load64(&words->redo.done_pos);

    if (state == RING_REDO_EMPTY)
        return 0;
    if (state != RING_REDO_FULL)
        return -EBADMSG;
    if (domain != RING_REDO_NO_DOMAIN) {
        if (domain >= RING_DOMAINS_MAX || !is_within(done_pos, write_pos) || write_pos - done_pos > capacity)
            return -EBADMSG;
        order_redo_store64(&shipper->done_pos[ring_done_slot(domain)], done_pos);
    }
    counts_copy(&words->counts, &words->redo.counts);
    order_redo_store32(&words->redo.state, RING_REDO_EMPTY);
    return 0;
}

static int check_positions(const struct ring *ring, uint64_t gate_pos, uint64_t write_pos)
{
    if (!is_within(gate_pos, write_pos) || write_pos - gate_pos > ring->capacity || write_pos % RING_RECORD_ALIGN != 0)
        return -EBADMSG;
    for (uint32_t domain = 0; domain < RING_DOMAINS_MAX; domain++)
        if (!is_within(ring_done_pos(ring, domain), write_pos))
            return -EBADMSG;
    return 0;
}

static void counts_copy(struct ring_lane_counts *to, const struct ring_lane_counts *from)
{
    const _Atomic uint64_t *read = &from->accepted_events;
    _Atomic uint64_t *write = &to->accepted_events;

    for (uint32_t i = 0; i < COUNT_WORDS; i++)
        order_redo_store64(&write[i], order_none_load64(&read[i]));
}

static bool is_within(uint64_t pos, uint64_t write_pos)
{
    return pos % RING_RECORD_ALIGN == 0 && pos <= write_pos;
}
