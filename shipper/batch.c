/* A batch: events of one domain, from any rings of the stream, sent as one delivery. When to seal it, and its encoding from the rings into
 * a buffer. */
#include "shipper/batch.h"

#include <errno.h>
#include <string.h>

#include "shipper/amqp.h"
#include "shipper/feed_internal.h"

enum add_result { ADD_DONE, ADD_FULL, ADD_SKIP, ADD_BROKEN };

static int encode_once(struct feed *feed, uint32_t domain, const struct batch_limits *limits, uint8_t *to, struct batch *batch);
static enum add_result entry_add(struct feed *feed, const struct fifo_entry *entry, const struct batch_limits *limits, uint8_t *to,
                                 struct batch *batch);
static int64_t plain_encode(const struct ring *ring, const struct ring_parts *parts, uint8_t *to, uint64_t cap);
static int64_t event_encode(const struct ring *ring, const struct ring_parts *parts, const uint8_t *meta, uint8_t *to, uint64_t cap);

enum batch_seal batch_seal_reason(const struct feed_domain *domain, const struct batch_limits *limits, int64_t now_ns)
{
    if (domain->fifo.count == 0)
        return BATCH_SEAL_NOT_YET;
    if (domain->fifo_bytes >= limits->bytes_max)
        return BATCH_SEAL_BYTES;
    if (limits->count_max && domain->fifo.count >= limits->count_max)
        return BATCH_SEAL_COUNT;
    if (domain->urgent)
        return BATCH_SEAL_FLUSH;
    if (now_ns - domain->oldest_ns >= limits->linger_ns)
        return BATCH_SEAL_AGE;
    return BATCH_SEAL_NOT_YET;
}

int64_t batch_seal_time_ns(const struct feed_domain *domain, const struct batch_limits *limits)
{
    return domain->oldest_ns + limits->linger_ns;
}

int batch_encode(struct feed *feed, uint32_t domain, const struct batch_limits *limits, uint8_t *to, struct batch *batch)
{
    int rc;
    do /* ends: each round leaves out at least one ring more */
        rc = encode_once(feed, domain, limits, to, batch);
    while (rc == -EAGAIN);
    return rc;
}

static int encode_once(struct feed *feed, uint32_t domain, const struct batch_limits *limits, uint8_t *to, struct batch *batch)
{
    uint32_t count_max = limits->count_max ? limits->count_max : UINT32_MAX;
    batch->domain = domain;
    batch_clear(batch);
    batch->read_ns = feed->domain[domain].oldest_ns;
    struct fifo_cursor cursor = fifo_first(&feed->domain[domain].fifo);
    for (const struct fifo_entry *entry; batch->event_count < count_max && (entry = fifo_next(&cursor)); batch->taken_count++) {
        enum add_result result = entry_add(feed, entry, limits, to, batch);
        if (result == ADD_BROKEN)
            return -EAGAIN;
        if (result == ADD_FULL)
            break;
    }
    if (batch_is_faulted(feed, batch))
        return -EAGAIN;
    return batch->taken_count == 0 && feed->domain[domain].fifo.count ? -EMSGSIZE : 0;
}

static enum add_result entry_add(struct feed *feed, const struct fifo_entry *entry, const struct batch_limits *limits, uint8_t *to,
                                 struct batch *batch)
{
    struct feed_ring *ring = &feed->ring[entry->slot];
    static _Thread_local uint8_t meta[RING_META_BYTES_MAX];
    struct ring_parts parts;
    if (ring->left_out)
        return ADD_SKIP;
    if (ring_record_parts(ring->lane.ring, entry->pos, entry->len, &parts, meta, sizeof meta) != 0) {
        batch_leave_out(feed, entry, RING_QUARANTINE_CHANGED);
        return ADD_BROKEN;
    }
    struct feed_cover *cover = batch_cover(feed, batch, entry->slot);
    if (!cover)
        return ADD_FULL;
    int64_t len = event_encode(ring->lane.ring, &parts, meta, to + batch->encoded_len, limits->bytes_max - batch->encoded_len);
    if (len == -ENOSPC) {
        batch_cover_give_back(batch, cover, entry->pos);
        if (batch->event_count == 0)
            batch->payload_bytes = parts.payload_len; /* for the message: it will never fit */
        return ADD_FULL;
    }
    if (len < 0) {
        batch_leave_out(feed, entry, RING_QUARANTINE_BAD_META);
        return ADD_BROKEN;
    }
    batch_count(batch, cover, entry, parts.payload_len);
    batch->encoded_len += (uint32_t)len;
    if (parts.time_ns > 0)
        batch_sample(batch, entry->slot, parts.time_ns);
    return ADD_DONE;
}

void batch_clear(struct batch *batch)
{
    batch->cover_count = batch->event_count = batch->taken_count = batch->sample_count = batch->encoded_len = 0;
    batch->payload_bytes = 0;
}

void batch_cover_give_back(struct batch *batch, struct feed_cover *cover, uint64_t pos)
{
    if (cover->event_count > 0)
        return;
    cover->first_pos = pos;
    batch->cover_count--;
}

void batch_count(struct batch *batch, struct feed_cover *cover, const struct fifo_entry *entry, uint32_t payload_len)
{
    if (cover->event_count++ == 0)
        cover->first_pos = entry->pos;
    cover->end_pos = entry->pos + ring_align16(entry->len);
    cover->payload_bytes += payload_len;
    batch->payload_bytes += payload_len;
    batch->event_count++;
}

int batch_leave_out(struct feed *feed, const struct fifo_entry *entry, enum ring_quarantine reason)
{
    ring_quarantine(feed->ring[entry->slot].lane.ring, reason, entry->pos);
    feed->ring[entry->slot].left_out = true;
    return -EAGAIN;
}

/* Bytes alone, as most events are: a third of the instructions. */
static int64_t plain_encode(const struct ring *ring, const struct ring_parts *parts, uint8_t *to, uint64_t cap)
{
    size_t section_bytes = amqp_plain_bytes(parts->payload_len);
    if (section_bytes > cap)
        return -ENOSPC;
    if (ring_copy(ring, parts->payload_pos, amqp_encode_plain_heads(parts->payload_len, to), parts->payload_len) != 0)
        return -EBADMSG;
    return (int64_t)section_bytes;
}

/* One data section of the batch: its head, the event's sections, the payload straight from the ring. */
static int64_t event_encode(const struct ring *ring, const struct ring_parts *parts, const uint8_t *meta, uint8_t *to, uint64_t cap)
{
    static _Thread_local struct amqp_event event;
    if (parts->key_len == 0 && parts->meta_len == 0)
        return plain_encode(ring, parts, to, cap);
    event.key = (struct amqp_text){parts->key_len ? parts->key : NULL, parts->key_len};
    event.message_id = event.correlation_id = event.content_type = (struct amqp_text){0};
    event.creation_ms = 0;
    event.property_count = 0; /* the table behind it is not cleared: it is most of the struct */
    event.body_len = parts->payload_len;
    if (parts->meta_len && amqp_event_from_meta(meta, parts->meta_len, &event) != 0)
        return -EBADMSG;
    size_t event_bytes = amqp_event_bytes(&event), section_bytes = amqp_section_bytes(event_bytes);
    if (section_bytes > cap)
        return -ENOSPC;
    int64_t section_len = amqp_encode_section_head(event_bytes, to, cap);
    int64_t head_len = amqp_encode_event_head(&event, to + section_len, cap - (uint64_t)section_len);
    if (head_len < 0)
        return -EBADMSG;
    if (ring_copy(ring, parts->payload_pos, to + section_len + head_len, parts->payload_len) != 0)
        return -EBADMSG;
    return (int64_t)section_bytes;
}

/* A ring whose file was cut gives zeros from some moment on: what was copied from it is not believed. */
bool batch_is_faulted(struct feed *feed, const struct batch *batch)
{
    bool found = false;
    for (uint32_t i = 0; i < batch->cover_count; i++) {
        struct feed_ring *ring = &feed->ring[batch->cover[i].slot];
        if (!ring_faulted(ring->lane.ring))
            continue;
        ring_quarantine(ring->lane.ring, RING_QUARANTINE_TRUNCATED, batch->cover[i].first_pos);
        ring->left_out = found = true;
    }
    return found;
}

/* The ring remembers where its cover was made last: in this batch, if it is there. NULL: too many rings for one batch. */
struct feed_cover *batch_cover(struct feed *feed, struct batch *batch, uint32_t slot)
{
    uint32_t *place = &feed->ring[slot].cover_place;
    if (*place < batch->cover_count && batch->cover[*place].slot == slot)
        return &batch->cover[*place];
    if (batch->cover_count == FEED_COVERS_MAX)
        return NULL;
    *place = batch->cover_count;
    batch->cover[batch->cover_count] = (struct feed_cover){.slot = slot};
    return &batch->cover[batch->cover_count++];
}

/* Keeps a bounded, even choice of the batch's commit times: every one up to the limit, then each later one in the place of an older one. */
void batch_sample(struct batch *batch, uint32_t slot, int64_t commit_ns)
{
    uint32_t place = batch->sample_count < BATCH_SAMPLES_MAX ? batch->sample_count++ : batch->event_count * 2654435761u >> 27;
    batch->sample[place] = (struct batch_sample){.commit_ns = commit_ns, .slot = slot};
}
