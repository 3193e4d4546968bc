/* Which domain a record belongs to, from the record alone, and what of a ring is pending: the independent half of the ledger. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"

#define CUT_TRIES 8

static int64_t count_above(const struct ring *ring, uint64_t gate_pos, uint64_t write_pos);
static uint32_t domain_of_hash(int16_t hash, uint32_t partition_count);

int16_t ring_key_hash(const void *key, size_t len)
{
    const uint8_t *at = key;
    uint32_t a, b, c, word[3];

    if (len == 0)
        return 0;
    a = b = c = UINT32_C(0xdeadbeef) + (uint32_t)len;
#define TURN(x, bits) ((x) << (bits) | (x) >> (32 - (bits)))
    for (; len > sizeof(word); at += sizeof(word), len -= sizeof(word)) {
        memcpy(word, at, sizeof(word));
        a += word[0], b += word[1], c += word[2];
        a = (a - c) ^ TURN(c, 4), c += b;
        b = (b - a) ^ TURN(a, 6), a += c;
        c = (c - b) ^ TURN(b, 8), b += a;
        a = (a - c) ^ TURN(c, 16), c += b;
        b = (b - a) ^ TURN(a, 19), a += c;
        c = (c - b) ^ TURN(b, 4), b += a;
    }
    memset(word, 0, sizeof(word));
    memcpy(word, at, len);
    a += word[0], b += word[1], c += word[2];
    c = (c ^ b) - TURN(b, 14);
    a = (a ^ c) - TURN(c, 11);
    b = (b ^ a) - TURN(a, 25);
    c = (c ^ b) - TURN(b, 16);
    a = (a ^ c) - TURN(c, 4);
    b = (b ^ a) - TURN(a, 14);
    c = (c ^ b) - TURN(b, 24);
#undef TURN
    return (int16_t)(uint16_t)(c ^ b);
}

uint32_t ring_domain_of(const struct ring_record *record, uint32_t partition_count)
{
    if (record->flags & RING_FLAG_ROUTE_PARTITION)
        return record->route < RING_PARTITIONS_MAX ? RING_CLASS_COUNT + record->route : ring_class_of(record->pos);
    if (record->flags & RING_FLAG_ROUTE_HASH)
        return domain_of_hash((int16_t)record->route, partition_count);
    if (record->key_len > 0)
        return partition_count ? domain_of_hash(ring_key_hash(record->key, record->key_len), partition_count) : RING_DOMAINS_MAX;
    return ring_class_of(record->pos);
}

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

/* The remainder of a signed hash, without its sign. */
static uint32_t domain_of_hash(int16_t hash, uint32_t partition_count)
{
    return partition_count ? RING_CLASS_COUNT + (uint32_t)llabs((long long)hash % (long long)partition_count) : RING_DOMAINS_MAX;
}
