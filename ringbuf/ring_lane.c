/* One worker's place in one ring: look, ack, and the gate that all lanes together raise. */
#include <assert.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <errno.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_stat.h"

static uint64_t least_ack(const struct ring *ring);
static void wake_waiter(const struct ring *ring);

void ring_lane_open(struct ring_lane *lane, struct ring *ring, uint32_t index)
{
    uint64_t gate_pos = order_load_ack(&ring->ack_pos[index]);

    assert(index < ring->lane_count);
    *lane = (struct ring_lane){.ring = ring, .index = index, .walk_pos = gate_pos, .seen_write_pos = gate_pos};
}

int ring_lane_look(struct ring_lane *lane, uint64_t *write_pos)
{
    struct ring *ring = lane->ring;
    uint64_t pos = order_observe(&ring->producer->hot.write_pos); /* P2 */
    uint64_t ahead = pos - lane->seen_write_pos;

    if (RING_LIKELY(ahead <= ring->capacity && pos % RING_RECORD_ALIGN == 0 && !ring_faulted(ring))) {
        lane->seen_write_pos = pos;
        *write_pos = pos;
        return 0;
    }
    bool is_back = ahead > UINT64_MAX / 2 || ahead <= ring->capacity;
    ring_quarantine(ring, is_back ? RING_QUARANTINE_WRITE_POS_BACK : RING_QUARANTINE_WRITE_POS_AHEAD, pos);
    return -EBADMSG;
}

void ring_lane_prefetch(const struct ring_lane *lane)
{
    __builtin_prefetch(&lane->ring->producer->hot);
}

void ring_lane_note_latency(struct ring_lane *lane, uint64_t latency_ns)
{
    ring_hist_add(&lane->ring->shipper->commit_to_accept[lane->index], latency_ns);
}

void ring_lane_ack(struct ring_lane *lane, uint64_t read_pos, uint64_t ack_pos)
{
    struct ring *ring = lane->ring;
    struct ring_lane_words *words = &ring->shipper->lane[lane->index];

    assert(ack_pos - order_none_load64(&ring->ack_pos[lane->index]) <= ring->capacity); /* an ack never goes back */
    order_none_store64(&words->read_pos, read_pos);
    if (ack_pos == order_none_load64(&ring->ack_pos[lane->index])) /* the gate cannot move by it */
        return;
    order_none_store64(&words->ack_pos, ack_pos);
    order_store_ack(&ring->ack_pos[lane->index], ack_pos);                /* A1 */
    if (order_raise_gate(&ring->shipper->gate.gate_pos, least_ack(ring))) /* A2, G1 */
        wake_waiter(ring);
}

/* Of positions within a lap of each other. */
static uint64_t least_ack(const struct ring *ring)
{
    uint64_t least = order_load_ack(&ring->ack_pos[0]);

    for (uint32_t i = 1; i < ring->lane_count; i++) {
        uint64_t pos = order_load_ack(&ring->ack_pos[i]);
        if (pos < least)
            least = pos;
    }
    return least;
}

static void wake_waiter(const struct ring *ring)
{
    if (order_load_waiting(&ring->producer->hot.waiting) != 0) /* W2 */
        (void)syscall(SYS_futex, (const uint32_t *)(const void *)&ring->shipper->gate.gate_pos, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
