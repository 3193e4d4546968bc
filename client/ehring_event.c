/* Events with options, arrays of them, and reservations. */
#include <limits.h>
#include <string.h>

#include "ehring_internal.h"

static inline bool is_plain(const struct ehring_event *event);
static int shape_event(struct ehring *ring, const struct ehring_event *event, struct ring_shape *shape);
static int shape_route(const struct ehring_event *event, struct ring_shape *shape);
static int parse_partition_id(const char *text, uint16_t *partition);
static int many_put(struct ehring *ring, const struct ehring_event *event, struct handle_wait *wait);
static int many_stop(struct ehring *ring, int code, size_t sent, size_t count);
static int reserve_shape(struct ehring *ring, struct ring_shape *shape, size_t len, void **payload);

int ehring_send_event(struct ehring *ring, const struct ehring_event *event)
{
    struct ring_shape shape = {0};
    int err = handle_check(ring);

    if (!err && event && is_plain(event))
        return ehring_send(ring, event->data, event->len, NULL);
    if (!err)
        err = shape_event(ring, event, &shape);
    if (err)
        return ring ? handle_refuse(ring, err) : err;
    return handle_put(ring, &shape, event->data, event->len);
}

int ehring_send_many(struct ehring *ring, const struct ehring_event *events, size_t count)
{
    struct handle_wait wait = {0};
    size_t sent = 0;
    int err = handle_check(ring);

    if (!err && count > 0 && !events)
        err = EHRING_E_INVALID;
    if (err)
        return ring ? handle_refuse(ring, err) : err;
    if (handle_alive(ring) != 0)
        return EHRING_E_FORKED;
    if (count > INT_MAX)
        count = INT_MAX;
    while (sent < count && (err = many_put(ring, &events[sent], &wait)) == 0)
        sent++;
    ring_writer_publish(writer_of(ring));
    return err ? many_stop(ring, err, sent, count) : (int)sent;
}

int ehring_reserve(struct ehring *ring, size_t len, const char *key, void **payload)
{
    struct ring_shape shape = {0};
    int err = handle_check(ring);

    *payload = NULL;
    if (!err && key)
        err = event_key(key, 0, &shape);
    if (err)
        return ring ? handle_refuse(ring, err) : err;
    return reserve_shape(ring, &shape, len, payload);
}

int ehring_reserve_event(struct ehring *ring, const struct ehring_event *event, void **payload)
{
    struct ring_shape shape = {0};
    int err = handle_check(ring);

    *payload = NULL;
    if (!err)
        err = shape_event(ring, event, &shape);
    if (err)
        return ring ? handle_refuse(ring, err) : err;
    return reserve_shape(ring, &shape, event->len, payload);
}

int ehring_commit(struct ehring *ring, size_t used_len)
{
    int err = handle_alive(ring);

    if (err)
        return err;
    if (!ring->reserved)
        return EHRING_E_NOT_RESERVED;
    if (used_len > ring->reserved_len)
        return EHRING_E_INVALID;
    ring->reserved = false;
    ring_writer_commit(writer_of(ring), (uint32_t)used_len);
    return 0;
}

int ehring_discard(struct ehring *ring)
{
    int err = handle_alive(ring);

    if (err)
        return err;
    if (!ring->reserved)
        return EHRING_E_NOT_RESERVED;
    ring->reserved = false;
    ring_writer_discard(writer_of(ring));
    return 0;
}

int event_key(const char *key, size_t key_len, struct ring_shape *shape)
{
    int64_t chars;
    size_t len = key_len > 0 ? key_len : strnlen(key, RING_KEY_BYTES_MAX + 1);

    if (len > RING_KEY_BYTES_MAX) /* characters have at most four bytes */
        return EHRING_E_KEY_TOO_LONG;
    chars = utf8_count(key, len);
    if (chars < 0)
        return EHRING_E_KEY_NOT_UTF8;
    if (chars > EHRING_KEY_CHARS_MAX)
        return EHRING_E_KEY_TOO_LONG;
    shape->key = len > 0 ? key : NULL;
    shape->key_len = (uint32_t)len;
    return 0;
}

/* Nothing but data: one question instead of a dozen, for arrays of small events. */
static inline bool is_plain(const struct ehring_event *event)
{
    uintptr_t pointers = (uintptr_t)event->key | (uintptr_t)event->partition_id | (uintptr_t)event->content_type |
                         (uintptr_t)event->message_id | (uintptr_t)event->correlation_id | (uintptr_t)event->schema_version |
                         (uintptr_t)event->traceparent;

    return (pointers | event->property_count | (uint64_t)event->time_ns | event->has_key_hash | event->reserved[0] | event->reserved[1]) ==
           0;
}

static int shape_event(struct ehring *ring, const struct ehring_event *event, struct ring_shape *shape)
{
    int err;

    if (!event || event->reserved[0] != 0 || event->reserved[1] != 0)
        return EHRING_E_INVALID;
    if (event->key && (err = event_key(event->key, event->key_len, shape)) != 0)
        return err;
    if ((err = shape_route(event, shape)) != 0)
        return err;
    if ((err = meta_build(event, ring->meta, &shape->meta_len)) != 0)
        return err;
    if (shape->meta_len > 0) {
        shape->meta = ring->meta;
        shape->flags |= RING_FLAG_META;
    }
    if (event->time_ns != 0) {
        shape->flags |= RING_FLAG_TIME;
        shape->time_ns = event->time_ns == EHRING_TIME_NOW ? 0 : event->time_ns;
    }
    return 0;
}

static int shape_route(const struct ehring_event *event, struct ring_shape *shape)
{
    if (event->partition_id) {
        if (shape->key_len > 0)
            return EHRING_E_KEY_AND_PARTITION;
        shape->flags |= RING_FLAG_ROUTE_PARTITION;
        return parse_partition_id(event->partition_id, &shape->route);
    }
    if (event->has_key_hash) {
        if (shape->key_len == 0)
            return EHRING_E_INVALID;
        shape->flags |= RING_FLAG_ROUTE_HASH;
        shape->route = (uint16_t)event->key_hash;
    }
    return 0;
}

/* As the service writes its ids: "0", "31"; no sign, no space, no leading zero. */
static int parse_partition_id(const char *text, uint16_t *partition)
{
    uint32_t number = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return EHRING_E_PARTITION_ID;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return EHRING_E_PARTITION_ID;
        number = number * 10 + (uint32_t)(*text - '0');
        if (number >= EHRING_PARTITION_ID_END)
            return EHRING_E_PARTITION_ID;
    }
    *partition = (uint16_t)number;
    return 0;
}

static_assert(EHRING_PARTITION_ID_END == RING_PARTITIONS_MAX, "partition ids");

/* One of an array, published later. 0 or what stops the array; nothing is counted. */
static int many_put(struct ehring *ring, const struct ehring_event *event, struct handle_wait *wait)
{
    struct ring_shape shape = {0};
    void *payload;
    int err = is_plain(event) ? 0 : shape_event(ring, event, &shape);

    if (!err)
        err = handle_size(ring, &shape, event->len);
    if (!err && !event->data && event->len > 0)
        err = EHRING_E_INVALID;
    if (err)
        return err;
    err = ring_writer_reserve(writer_of(ring), &shape, &payload);
    if (err) {
        ring_writer_publish(writer_of(ring)); /* nobody makes room for what nobody sees */
        err = handle_no_room(ring, &shape, err, wait);
        if (!err)
            err = handle_reserve(ring, &shape, wait, &payload);
        if (err)
            return err;
    }
    if (event->len > 0)
        memcpy(payload, event->data, event->len);
    ring_writer_commit_quiet(writer_of(ring), shape.payload_len);
    return 0;
}

static int many_stop(struct ehring *ring, int code, size_t sent, size_t count)
{
    if (code == EHRING_DROPPED)
        for (size_t i = sent; i < count; i++)
            handle_refuse(ring, EHRING_DROPPED);
    if (sent > 0 || code == EHRING_DROPPED)
        return (int)sent;
    return handle_refuse(ring, code);
}

static int reserve_shape(struct ehring *ring, struct ring_shape *shape, size_t len, void **payload)
{
    struct handle_wait wait = {0};
    int err = handle_size(ring, shape, len);

    if (!err)
        err = handle_reserve(ring, shape, &wait, payload);
    if (err) {
        *payload = NULL;
        return handle_refuse(ring, err);
    }
    ring->reserved = true;
    ring->reserved_len = shape->payload_len;
    return 0;
}
