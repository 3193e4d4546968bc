/* Record heads as a reader believes them: copied out, bounded, and taken apart. The peer may change any byte at any time. */
#include <errno.h>
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"

#define CUT_TRIES 64

static bool record_take(const struct ring *ring, uint64_t pos, const struct ring_head *head, struct ring_walk *walk, int count,
                        uint32_t *key_used);
static int refuse_head(struct ring *ring, uint64_t pos);
static uint64_t walk_unpublished(const struct ring *ring, uint64_t write_pos, uint64_t event_count);
static bool is_next(uint16_t seq16, uint64_t event_count);

int ring_walk(struct ring *ring, uint64_t *pos, uint64_t end_pos, struct ring_walk *walk)
{
    uint64_t at = *pos;
    uint32_t key_used = 0;
    int count = 0;

    if (end_pos - at > ring->capacity)
        return refuse_head(ring, at);
    while (at != end_pos && count < (int)RING_WALK_MAX) {
        struct ring_head head;
        if (ring_head_read(ring, at, end_pos, &head) != 0)
            return refuse_head(ring, at);
        if (head.kind == RING_KIND_DATA && !record_take(ring, at, &head, walk, count, &key_used))
            break;
        count += head.kind == RING_KIND_DATA;
        at += ring_align16(head.len);
    }
    if (ring_faulted(ring))
        return refuse_head(ring, at);
    *pos = at;
    return count;
}

int ring_head_read(const struct ring *ring, uint64_t pos, uint64_t end_pos, struct ring_head *head)
{
    uint64_t off = pos & ring->mask, room = ring->capacity - off, len;

    if (pos % RING_RECORD_ALIGN != 0 || end_pos - pos < sizeof(*head))
        return -EBADMSG;
    memcpy(head, ring->data + off, sizeof(*head));
    len = ring_align16(head->len);
    if (head->len < sizeof(*head) || len > end_pos - pos || len > room || head->len > ring->capacity / RING_RECORD_SHARE)
        return -EBADMSG;
    if ((head->pos16 | (uint64_t)head->pos16_high << 32) != ring_pos16(pos) || (head->flags & ~RING_FLAGS_ALL) != 0)
        return -EBADMSG;
    switch (head->kind) {
    case RING_KIND_PAD:
        return head->len == room ? 0 : -EBADMSG;
    case RING_KIND_DISCARDED:
        return 0;
    case RING_KIND_DATA:
        if (head->key_len > RING_KEY_BYTES_MAX || ring_payload_off(head->flags, head->key_len, 0) > head->len)
            return -EBADMSG;
        return 0;
    default:
        return -EBADMSG;
    }
}

int ring_record_parts(const struct ring *ring, uint64_t pos, uint32_t len, struct ring_parts *parts, void *meta, uint32_t meta_cap)
{
    struct ring_head head;
    uint64_t at = pos + sizeof(head);
    uint32_t off;

    if (ring_head_read(ring, pos, pos + ring_align16(len), &head) != 0 || head.kind != RING_KIND_DATA || head.len != len)
        return -EBADMSG;
    parts->key_len = head.key_len; /* one by one: the key's bytes are most of it, and are not cleared */
    parts->meta_len = 0;
    parts->route = head.route;
    parts->flags = head.flags;
    parts->time_ns = 0;
    if (head.key_len)
        memcpy(parts->key, ring->data + (at & ring->mask), head.key_len);
    at += ring_align8(head.key_len);
    if (head.flags & RING_FLAG_TIME) {
        memcpy(&parts->time_ns, ring->data + (at & ring->mask), sizeof(parts->time_ns));
        at += 8;
    }
    if (head.flags & RING_FLAG_META) {
        memcpy(&parts->meta_len, ring->data + (at & ring->mask), sizeof(parts->meta_len));
        if (parts->meta_len > RING_META_BYTES_MAX || parts->meta_len > meta_cap)
            return -EBADMSG;
    }
    off = ring_payload_off(head.flags, head.key_len, parts->meta_len);
    if (off > head.len)
        return -EBADMSG;
    if (parts->meta_len)
        memcpy(meta, ring->data + (at & ring->mask) + sizeof(uint32_t), parts->meta_len);
    parts->payload_pos = pos + off;
    parts->payload_len = head.len - off;
    return ring_faulted(ring) ? -EBADMSG : 0;
}

uint64_t ring_committed_events(const struct ring *ring)
{
    uint64_t write_pos, committed;

    if (ring_committed_read(ring, &write_pos, &committed) == 0)
        return committed;
    return order_observe(&ring->producer->hot.event_count); /* too lively for a cut: true within a batch */
}

/* The two words are one line, so both are seen twice unchanged even while the writer is at full speed; then they were so at one instant.
 * What lies behind write_pos may have gone on since, but not by half a lap. */
int ring_committed_read(const struct ring *ring, uint64_t *write_pos, uint64_t *committed)
{
    const struct ring_producer *producer = ring->producer;

    for (int tries = 0; tries < CUT_TRIES; tries++) {
        uint64_t pos = order_observe(&producer->hot.write_pos), count = order_observe(&producer->hot.event_count);
        if (order_observe(&producer->hot.write_pos) != pos || order_observe(&producer->hot.event_count) != count)
            continue;
        uint64_t ahead = walk_unpublished(ring, pos, count);
        if (order_tap_check(&producer->hot.write_pos) - pos > ring->capacity / 2)
            continue;
        *write_pos = pos;
        *committed = count - ahead;
        return 0;
    }
    return -EAGAIN;
}

/* A head's key and time into the walk; false: the key buffer is full. */
static bool record_take(const struct ring *ring, uint64_t pos, const struct ring_head *head, struct ring_walk *walk, int count,
                        uint32_t *key_used)
{
    const uint8_t *from = ring->data + (pos & ring->mask) + sizeof(*head);
    struct ring_record *record = &walk->record[count];

    if (head->key_len > sizeof(walk->key) - *key_used)
        return false;
    *record = (struct ring_record){.pos = pos,
                                   .len = head->len,
                                   .key = walk->key + *key_used,
                                   .key_len = head->key_len,
                                   .route = head->route,
                                   .seq16 = head->seq16,
                                   .flags = head->flags};
    if (head->key_len) {
        memcpy(walk->key + *key_used, from, head->key_len);
        *key_used += head->key_len;
    }
    if (head->flags & RING_FLAG_TIME)
        memcpy(&record->time_ns, from + ring_align8(head->key_len), sizeof(record->time_ns));
    return true;
}

static int refuse_head(struct ring *ring, uint64_t pos)
{
    ring_quarantine(ring, RING_QUARANTINE_BAD_HEAD, pos);
    return -EBADMSG;
}

/* How many events the writer has counted but not published: their heads follow write_pos, in sequence up to the count's own number. A first
 * head with the number after it is an event that is being written, or was when its writer died: not counted. */
static uint64_t walk_unpublished(const struct ring *ring, uint64_t write_pos, uint64_t event_count)
{
    uint64_t pos = write_pos, end_pos = write_pos + ring->capacity, ahead = 0;
    struct ring_head head;

    for (uint64_t walked = 0; !ahead || walked < ahead;) {
        if (pos == end_pos || ring_head_read(ring, pos, end_pos, &head) != 0)
            return 0;
        pos += ring_align16(head.len);
        if (head.kind != RING_KIND_DATA)
            continue;
        if (walked == 0)
            ahead = (uint16_t)(event_count - head.seq16);
        if (ahead == 0 || ahead > event_count || !is_next(head.seq16, event_count - ahead + walked))
            return 0;
        walked++;
    }
    return ahead;
}

static bool is_next(uint16_t seq16, uint64_t event_count)
{
    return seq16 == (uint16_t)event_count;
}
