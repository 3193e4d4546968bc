/* Sending plain events: bytes, text, parts. */
#include "ehring.h"

#include <string.h>

#include "ehring_internal.h"
#include "ringbuf/ring_put.h"

#define PARTS_MAX 1024

static int send_slowly(struct ehring *ring, const void *data, size_t len, const char *key);
static int parts_len(const struct iovec *parts, int part_count, size_t *len);
static void parts_copy(uint8_t *to, const struct iovec *parts, int part_count);

/* The plain event's way is short, and inline. All that is not plain is looked at again in send_slowly. */
RING_PUT_WIDE int ehring_send(struct ehring *ring, const void *data, size_t len, const char *key)
{
    if (__builtin_expect(!ring || key || !data, 0) || !ring_put_is_plain(writer_of(ring), len))
        return send_slowly(ring, data, len, key);
    if (len > RING_PUT_SHORT_BYTES_MAX)
        return ring_writer_put_long(writer_of(ring), data, len);
    ring_put_short(writer_of(ring), data, len);
    return 0;
}

int ehring_send_text(struct ehring *ring, const char *text, const char *key)
{
    return ehring_send(ring, text, text ? strlen(text) : 1, key); /* NULL with a length: refused and counted there */
}

int ehring_sendv(struct ehring *ring, const struct iovec *parts, int part_count, const char *key)
{
    void *payload;
    size_t len;
    int err = handle_check(ring);

    if (err)
        return ring ? handle_refuse(ring, err) : err;
    err = parts_len(parts, part_count, &len);
    if (err)
        return handle_refuse(ring, err);
    err = ehring_reserve(ring, len, key, &payload);
    if (err)
        return err;
    ring->reserved = false; /* nor is it the caller's, if a part cannot be read */
    parts_copy(payload, parts, part_count);
    ring->reserved = true;
    return ehring_commit(ring, len);
}

static __attribute__((noinline)) int send_slowly(struct ehring *ring, const void *data, size_t len, const char *key)
{
    struct ring_shape shape = {0};
    int err = handle_check(ring);

    if (!err && key)
        err = event_key(key, 0, &shape);
    if (err)
        return ring ? handle_refuse(ring, err) : err;
    return handle_put(ring, &shape, data, len);
}

static int parts_len(const struct iovec *parts, int part_count, size_t *len)
{
    *len = 0;
    if (part_count < 0 || part_count > PARTS_MAX || (part_count > 0 && !parts))
        return EHRING_E_INVALID;
    for (int i = 0; i < part_count; i++) {
        if (!parts[i].iov_base && parts[i].iov_len > 0)
            return EHRING_E_INVALID;
        if (__builtin_add_overflow(*len, parts[i].iov_len, len))
            return EHRING_E_EVENT_TOO_LARGE;
    }
    return 0;
}

static void parts_copy(uint8_t *to, const struct iovec *parts, int part_count)
{
    for (int i = 0; i < part_count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
}
