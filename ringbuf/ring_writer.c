/* The producer's end: reserve, commit, discard. No system call but the clock once per stripe.
 *
 * One question decides: does the record end at or before easy_end_pos? Up to there the gate leaves room, the lap goes on, and no stripe or
 * eighth begins; everything else is decided once in reserve_slowly. Positions and counts are private and only stored to the mapping. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_write.h"

/* Plain events up to here go by the stream's limit as it was when their grain began: no service's is that small, and if one were, the
 * shipper would make dead letters of the few that come between. What is larger looks at the limit itself, which costs it nothing. */
#define PLAIN_BYTES_MAX 4096u
#define TIME_BYTES 8u

/* So many events stand unpublished at the most, and those of a grain: a head has sixteen bits of their number, by which a reader tells the
 * ones that were counted and not published when the writer died (ring_committed_events). */
#define QUIET_EVENTS_MAX 32768u
static_assert(QUIET_EVENTS_MAX + RING_STRIPE_BYTES / RING_RECORD_ALIGN <= UINT16_MAX, "quiet events");

static void write_front(struct ring_writer *writer, const struct ring_shape *shape, const struct ring_place *place);
static int reserve_slowly(struct ring_writer *writer, const struct ring_shape *shape, struct ring_place *place);
static void write_pad(struct ring_writer *writer, uint64_t end_pos);
static uint64_t place_at(const struct ring_writer *writer, const struct ring_shape *shape, uint64_t pos, struct ring_place *place);
static int64_t now_ns(void);

int ring_writer_reserve(struct ring_writer *writer, const struct ring_shape *shape, void **payload)
{
    struct ring_place place;

    place.start_pos = writer->pos;
    place.flags = (uint8_t)record_flags(writer, shape);
    place.off = ring_payload_off(place.flags, shape->key_len, shape->meta_len);
    place.len = place.off + (uint64_t)shape->payload_len;
    if (RING_UNLIKELY(place.start_pos + ring_align16(place.len) > writer->easy_end_pos)) {
        int err = reserve_slowly(writer, shape, &place);
        if (err)
            return err;
    }
    assert(!writer->open);
    assert(shape->key_len <= RING_KEY_BYTES_MAX);
    assert(shape->meta_len <= RING_META_BYTES_MAX);
    write_front(writer, shape, &place);
    writer->open = true;
    writer->plain_end = 0;
    writer->open_off = place.off;
    writer->open_len = shape->payload_len;
    *payload = writer->data + (place.start_pos & writer->mask) + place.off;
    return 0;
}

void ring_writer_commit(struct ring_writer *writer, uint32_t payload_len)
{
    ring_writer_commit_quiet(writer, payload_len);
    if (RING_LIKELY(writer_is_here(writer)))
        writer_publish(writer, writer->pos, writer->event_count);
}

void ring_writer_commit_quiet(struct ring_writer *writer, uint32_t payload_len)
{
    if (RING_UNLIKELY(!writer_is_here(writer)))
        return;
    assert(writer->open);
    assert(payload_len <= writer->open_len);
    uint64_t pos = writer->pos;
    if (payload_len < writer->open_len)
        ((struct ring_head *)(writer->data + (pos & writer->mask)))->len = writer->open_off + payload_len;
    writer->open = false;
    writer->plain_end = writer->plain_end_kept;
    writer_advance(writer, pos, pos + ring_align16(writer->open_off + (uint64_t)payload_len));
}

void ring_writer_publish(struct ring_writer *writer)
{
    if (RING_LIKELY(writer_is_here(writer)) && order_none_load64(&writer->producer->hot.write_pos) != writer->pos) {
        writer->quiet_pos = writer->pos;
        writer_publish(writer, writer->pos, writer->event_count);
    }
}

void ring_writer_discard(struct ring_writer *writer)
{
    if (RING_UNLIKELY(!writer_is_here(writer)))
        return;
    assert(writer->open);
    writer->open = false;
    writer->plain_end = writer->plain_end_kept;
    /* The stripe's time may have gone with it: the next record finds out. */
    writer->timed_stripe = RING_STRIPE_NONE;
    writer->easy_end_pos = writer->pos;
}

int ring_writer_place(const struct ring_writer *writer, const struct ring_shape *shape, struct ring_place *place)
{
    uint64_t rest = writer->capacity - (writer->pos & writer->mask);

    if (place_at(writer, shape, writer->pos, place) > rest)
        place_at(writer, shape, writer->pos + rest, place);
    /* With room for a time also where it has none: what is taken once is taken always. */
    return place->len + (place->flags & RING_FLAG_TIME ? 0 : TIME_BYTES) > writer->record_max ? -EMSGSIZE : 0;
}

bool ring_writer_fits(struct ring_writer *writer, const struct ring_place *place)
{
    uint64_t end_pos = place->start_pos + ring_align16(place->len);

    if (end_pos - writer->gate_pos <= writer->capacity)
        return true;
    uint64_t gate_pos = order_load_gate(writer->released);
    if (writer->pos - gate_pos <= writer->capacity && gate_pos - writer->gate_pos <= writer->capacity) /* else it cannot be */
        writer->gate_pos = gate_pos;
    return end_pos - writer->gate_pos <= writer->capacity;
}

/* All of a record but its payload. */
static void write_front(struct ring_writer *writer, const struct ring_shape *shape, const struct ring_place *place)
{
    uint8_t *at = writer->data + (place->start_pos & writer->mask);
    uint32_t key_room = ring_align8(shape->key_len);

    record_write_head(writer, at, place->start_pos, (uint32_t)place->len, shape->route, place->flags, shape->key_len);
    at += sizeof(struct ring_head);
    if (key_room) {
        *(uint64_t *)(at + key_room - 8) = 0;
        memcpy(at, shape->key, shape->key_len);
        at += key_room;
    }
    if (place->flags & RING_FLAG_TIME) {
        *(int64_t *)at = (shape->flags & RING_FLAG_TIME) && shape->time_ns != 0 ? shape->time_ns : now_ns();
        at += 8;
    }
    if (place->flags & RING_FLAG_META) {
        uint32_t room = ring_align8(4 + shape->meta_len);
        *(uint64_t *)(at + room - 8) = 0;
        *(uint32_t *)at = shape->meta_len;
        if (shape->meta_len)
            memcpy(at + 4, shape->meta, shape->meta_len);
    }
}

/* Full, a new lap, stripe or eighth, or too large. Writes the pad before a new lap only if the record fits behind it. */
static __attribute__((noinline)) int reserve_slowly(struct ring_writer *writer, const struct ring_shape *shape, struct ring_place *place)
{
    if (!writer_is_here(writer))
        return -EOWNERDEAD;
    int err = ring_writer_place(writer, shape, place);
    if (err)
        return err;
    if (!ring_writer_fits(writer, place))
        return -EAGAIN;
    /* T1: a tap believes what is half a lap old, so publication must not lag behind by more than an eighth, quiet or not. */
    if (writer->pos - writer->quiet_pos >= writer->capacity / RING_RECORD_SHARE ||
        writer->event_count - order_none_load64(&writer->producer->hot.event_count) >= QUIET_EVENTS_MAX) {
        ring_writer_publish(writer);
        writer->quiet_pos = writer->pos;
    }
    order_enter_eighth();
    if (place->start_pos != writer->pos)
        write_pad(writer, place->start_pos);
    if (place->flags & RING_FLAG_TIME)
        writer->timed_stripe = place->start_pos / RING_STRIPE_BYTES;
    uint64_t grain_end_pos = (place->start_pos | (writer->grain - 1)) + 1, room_end_pos = writer->gate_pos + writer->capacity;
    writer->easy_end_pos = room_end_pos - grain_end_pos <= writer->capacity ? grain_end_pos : room_end_pos;
    uint32_t limit = order_none_load32(&writer->shipper->limit.event_bytes_max);
    bool is_usual = writer->wide && writer->registered && writer->flags_always == 0; /* no fence, no time for every event */
    writer->plain_end_kept = !is_usual ? 0 : limit && limit < PLAIN_BYTES_MAX ? limit + 1 : PLAIN_BYTES_MAX + 1;
    writer->plain_end = writer->plain_end_kept;
    return 0;
}

static void write_pad(struct ring_writer *writer, uint64_t end_pos)
{
    *(struct ring_head *)(writer->data + (writer->pos & writer->mask)) = (struct ring_head){
        .len = (uint32_t)(end_pos - writer->pos),
        .seq16 = (uint16_t)writer->event_count,
        .pos16 = (uint32_t)ring_pos16(writer->pos),
        .pos16_high = (ring_pos16(writer->pos) >> 32) & 0xf,
        .kind = RING_KIND_PAD,
    };
    writer->pos = end_pos;
}

/* Returns the bytes it takes. */
static uint64_t place_at(const struct ring_writer *writer, const struct ring_shape *shape, uint64_t pos, struct ring_place *place)
{
    uint32_t flags = record_flags(writer, shape);

    if (pos / RING_STRIPE_BYTES != writer->timed_stripe)
        flags |= RING_FLAG_TIME;
    place->start_pos = pos;
    place->flags = (uint8_t)flags;
    place->off = ring_payload_off(flags, shape->key_len, shape->meta_len);
    place->len = place->off + (uint64_t)shape->payload_len;
    return ring_align16(place->len);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}
