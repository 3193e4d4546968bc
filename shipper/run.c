/* A run: events of one domain, each encoded as a message of its own for any AMQP 1.0 broker, sent one behind the other. */
#include "shipper/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/amqp.h"
#include "shipper/feed_internal.h"

#define RING_UUID_BYTES 16u
#define MESSAGE_ID_BYTES (2 * RING_UUID_BYTES + 4 + 1 + 16) /* the uuid with its dashes, a colon, 16 digits */

enum add_result { ADD_DONE, ADD_FULL, ADD_SKIP, ADD_BROKEN };
struct run_room { /* what a call of run_encode goes by */
    struct feed *feed;
    const struct door *door;
    uint64_t bytes_max;
    uint64_t message_bytes_max;
    uint8_t *to;
};

static int encode_once(const struct run_room *room, uint32_t domain, uint32_t count_max, struct run_list *run, struct batch *batch);
static enum add_result entry_add(const struct run_room *room, const struct fifo_entry *entry, struct run_list *run, struct batch *batch);
static int64_t message_encode(const struct run_room *room, const struct fifo_entry *entry, const struct ring_parts *parts,
                              const uint8_t *meta, uint8_t *to, uint64_t cap);
static struct amqp_text message_id_make(const struct ring *ring, uint64_t pos, uint8_t id[MESSAGE_ID_BYTES]);

int run_reserve(struct run_list *run, uint32_t cap)
{
    run->count = run->accepted_count = 0;
    if (run->cap >= cap)
        return 0;
    run_free(run);
    run->lens = calloc(cap, sizeof *run->lens);
    run->event = calloc(cap, sizeof *run->event);
    if (!run->lens || !run->event) {
        run_free(run);
        return -ENOMEM;
    }
    run->cap = cap;
    return 0;
}

void run_free(struct run_list *run)
{
    free(run->lens);
    free(run->event);
    *run = (struct run_list){0};
}

int run_encode(struct feed *feed, uint32_t domain, const struct batch_limits *limits, uint64_t message_bytes_max, const struct door *door,
               uint8_t *to, struct run_list *run, struct batch *batch)
{
    const struct run_room room = {
        .feed = feed, .door = door, .bytes_max = limits->bytes_max, .message_bytes_max = message_bytes_max, .to = to};
    uint32_t count_max = limits->count_max && limits->count_max < run->cap ? limits->count_max : run->cap;
    int rc;
    do /* ends: each round leaves out at least one ring more */
        rc = encode_once(&room, domain, count_max, run, batch);
    while (rc == -EAGAIN);
    return rc;
}

uint32_t run_cover(const struct run_list *run, uint32_t from, uint32_t to, struct feed_cover *cover)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct run_event *event = &run->event[i];
        uint32_t c = count;
        while (c > 0 && cover[c - 1].slot != event->slot)
            c--;
        if (c == 0) {
            cover[count] = (struct feed_cover){.slot = event->slot, .first_pos = event->pos};
            c = ++count; /* no more rings than the batch has */
        }
        cover[c - 1].event_count++;
        cover[c - 1].end_pos = event->pos + ring_align16(event->record_len);
        cover[c - 1].payload_bytes += event->payload_len;
    }
    return count;
}

static int encode_once(const struct run_room *room, uint32_t domain, uint32_t count_max, struct run_list *run, struct batch *batch)
{
    const struct feed_domain *d = &room->feed->domain[domain];
    run->count = run->accepted_count = 0;
    batch->domain = domain;
    batch_clear(batch);
    batch->read_ns = d->oldest_ns;
    struct fifo_cursor cursor = fifo_first(&d->fifo);
    for (const struct fifo_entry *entry; run->count < count_max && (entry = fifo_next(&cursor)); batch->taken_count++) {
        enum add_result result = entry_add(room, entry, run, batch);
        if (result == ADD_BROKEN)
            return -EAGAIN;
        if (result == ADD_FULL)
            break;
    }
    if (batch_is_faulted(room->feed, batch))
        return -EAGAIN;
    return batch->taken_count == 0 && d->fifo.count ? -EMSGSIZE : 0;
}

static enum add_result entry_add(const struct run_room *room, const struct fifo_entry *entry, struct run_list *run, struct batch *batch)
{
    static _Thread_local uint8_t meta[RING_META_BYTES_MAX];
    struct feed_ring *ring = &room->feed->ring[entry->slot];
    struct ring_parts parts;
    if (ring->left_out)
        return ADD_SKIP;
    if (ring_record_parts(ring->lane.ring, entry->pos, entry->len, &parts, meta, sizeof meta) != 0) {
        batch_leave_out(room->feed, entry, RING_QUARANTINE_CHANGED);
        return ADD_BROKEN;
    }
    uint64_t left = room->bytes_max - batch->encoded_len;
    struct feed_cover *cover = batch_cover(room->feed, batch, entry->slot);
    if (!cover)
        return ADD_FULL;
    int64_t len = message_encode(room, entry, &parts, meta, room->to + batch->encoded_len,
                                 left < room->message_bytes_max ? left : room->message_bytes_max);
    if (len == -ENOSPC) {
        batch_cover_give_back(batch, cover, entry->pos);
        if (run->count == 0)
            batch->payload_bytes = parts.payload_len; /* for the message: it will never fit */
        return ADD_FULL;
    }
    if (len < 0) {
        batch_leave_out(room->feed, entry, RING_QUARANTINE_BAD_META);
        return ADD_BROKEN;
    }
    run->lens[run->count] = (uint32_t)len;
    run->event[run->count++] =
        (struct run_event){.pos = entry->pos, .slot = entry->slot, .record_len = entry->len, .payload_len = parts.payload_len};
    batch_count(batch, cover, entry, parts.payload_len);
    batch->encoded_len += (uint32_t)len;
    if (parts.time_ns > 0)
        batch_sample(batch, entry->slot, parts.time_ns);
    return ADD_DONE;
}

/* One message: its sections, the payload straight from the ring. */
static int64_t message_encode(const struct run_room *room, const struct fifo_entry *entry, const struct ring_parts *parts,
                              const uint8_t *meta, uint8_t *to, uint64_t cap)
{
    static _Thread_local struct amqp_event event;
    const struct ring *ring = room->feed->ring[entry->slot].lane.ring;
    uint8_t id[MESSAGE_ID_BYTES];
    struct amqp_text key = {parts->key_len ? parts->key : NULL, parts->key_len};
    event.is_message = true;
    event.key = event.key_annotation = event.subject = event.group_id = (struct amqp_text){0};
    event.message_id = event.correlation_id = event.content_type = (struct amqp_text){0};
    event.property_count = 0; /* the table behind it is not cleared: it is most of the struct */
    event.body_len = parts->payload_len;
    if (parts->meta_len && amqp_event_from_meta(meta, parts->meta_len, &event) != 0)
        return -EBADMSG;
    if (key.data && door_place_key(room->door, key, &event) != 0)
        return -EBADMSG;
    if (!event.message_id.data)
        event.message_id = message_id_make(ring, entry->pos, id);
    size_t bytes = amqp_event_bytes(&event);
    if (bytes > cap)
        return -ENOSPC;
    int64_t head_len = amqp_encode_event_head(&event, to, cap);
    if (head_len < 0 || ring_copy(ring, parts->payload_pos, to + head_len, parts->payload_len) != 0)
        return -EBADMSG;
    return (int64_t)bytes;
}

/* An event that its producer gave no id is told by its place, as ehring-send writes it: the ring's uuid and the position, the same however
 * often it is sent, so that a reader can drop what comes twice. */
static struct amqp_text message_id_make(const struct ring *ring, uint64_t pos, uint8_t id[MESSAGE_ID_BYTES])
{
    static const char digit[] = "0123456789abcdef";
    const uint8_t *uuid = ring_header(ring)->uuid;
    uint8_t *to = id;
    for (uint32_t i = 0; i < RING_UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = (uint8_t)digit[uuid[i] >> 4];
        *to++ = (uint8_t)digit[uuid[i] & 15];
    }
    *to++ = ':';
    for (int shift = 60; shift >= 0; shift -= 4)
        *to++ = (uint8_t)digit[pos >> shift & 15];
    return (struct amqp_text){id, MESSAGE_ID_BYTES};
}
