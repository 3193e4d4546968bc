/* What of a ring is pending, counted by walking: the independent half of the ledger. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_route.h"

#define CUT_TRIES 8

static int64_t count_above(const struct ring *ring, uint64_t gate_pos, uint64_t write_pos);

int64_t ring_count_pending(const struct ring *ring)
{
    const _Atomic uint64_t *gate = &ring->shipper->gate.gate_pos;
    int64_t count = 0;

    for (int tries = 0; tries < CUT_TRIES; tries++) {
        uint64_t gate_pos = order_load_gate(gate);
        count = count_above(ring, gate_pos, order_observe(&ring->producer->hot.write_pos));
        if (order_tap_check(gate) == gate_pos)
            return count;
    }
    return count;
}

/* Heads are copied one by one and the gate is looked at afterwards: what the writer overwrote meanwhile is not believed. */
static int64_t count_above(const struct ring *ring, uint64_t gate_pos, uint64_t write_pos)
{
    uint32_t partition_count = ring_partition_count(ring);
    struct ring_record record;
    struct ring_head head;
    uint8_t key[RING_KEY_BYTES_MAX];
    int64_t count = 0;

    if (write_pos - gate_pos > ring->capacity || ring_faulted(ring))
        return -EBADMSG;
    for (uint64_t pos = gate_pos; pos != write_pos; pos += ring_align16(head.len)) {
        if (ring_head_read(ring, pos, write_pos, &head) != 0 || ring_faulted(ring))
            return -EBADMSG;
        if (head.kind != RING_KIND_DATA)
            continue;
        memcpy(key, ring->data + (pos & ring->mask) + sizeof(head), head.key_len);
        record = (struct ring_record){.pos = pos, .key = key, .key_len = head.key_len, .route = head.route, .flags = head.flags};
        uint32_t domain = ring_domain_of(&record, partition_count);
        count += domain >= RING_DOMAINS_MAX || pos >= ring_done_pos(ring, domain);
    }
    return count;
}
