/* A record's way into the ring, by the handle's policy: limits, room, refusals. */
#include <time.h>

#include "ehring_internal.h"

static int put_slowly(struct ehring *ring, const struct ring_shape *shape, const void *data, int err);

int handle_refuse(struct ehring *ring, int code)
{
    if (code == EHRING_E_FORKED || !ring_writer_alive(writer_of(ring)))
        return EHRING_E_FORKED;
    ring_writer_count_refused(writer_of(ring), error_reason(code));
    return code;
}

int handle_alive(const struct ehring *ring)
{
    if (!ring)
        return EHRING_E_CLOSED;
    return ring_writer_alive(writer_of(ring)) ? 0 : EHRING_E_FORKED;
}

int handle_size(const struct ehring *ring, struct ring_shape *shape, size_t len)
{
    uint32_t limit = ring_words_limit(&ring->words), around = 2 * shape->key_len + shape->meta_len;

    if (__builtin_expect(around > limit || len > limit - around, 0))
        return EHRING_E_EVENT_TOO_LARGE;
    shape->payload_len = (uint32_t)len;
    return 0;
}

int handle_put(struct ehring *ring, struct ring_shape *shape, const void *data, size_t len)
{
    int err = handle_size(ring, shape, len);

    if (__builtin_expect(err != 0, 0))
        return handle_refuse(ring, err);
    if (__builtin_expect(!data, 0)) {
        if (len > 0)
            return handle_refuse(ring, EHRING_E_INVALID);
        data = "";
    }
    err = ring_writer_put(writer_of(ring), shape, data);
    return __builtin_expect(err == 0, 1) ? 0 : put_slowly(ring, shape, data, err);
}

static int put_slowly(struct ehring *ring, const struct ring_shape *shape, const void *data, int err)
{
    struct handle_wait wait = {0};

    while (err != 0) {
        int code = handle_no_room(ring, shape, err, &wait);
        if (code != 0)
            return handle_refuse(ring, code);
        err = ring_writer_put(writer_of(ring), shape, data);
    }
    return 0;
}

int handle_reserve(struct ehring *ring, const struct ring_shape *shape, struct handle_wait *wait, void **payload)
{
    int err;

    while ((err = ring_writer_reserve(writer_of(ring), shape, payload)) != 0) {
        int code = handle_no_room(ring, shape, err, wait);
        if (code != 0)
            return code;
    }
    return 0;
}

int handle_no_room(struct ehring *ring, const struct ring_shape *shape, int err, struct handle_wait *wait)
{
    if (err == -EMSGSIZE)
        return EHRING_E_RING_TOO_SMALL;
    if (err != -EAGAIN)
        return err;
    switch (ring->full) {
    case EHRING_FULL_FAIL:
        return EHRING_E_FULL;
    case EHRING_FULL_DROP:
        return EHRING_DROPPED;
    case EHRING_FULL_WAIT:
        break;
    }
    if (wait->deadline_ns == 0)
        wait->deadline_ns = clock_deadline_ns(ring->wait_ms == 0 ? -1 : (int64_t)ring->wait_ms);
    int saved_errno = errno;
    err = ring_writer_wait_room(writer_of(ring), shape, wait->deadline_ns);
    errno = saved_errno;
    return err;
}

int64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t clock_deadline_ns(int64_t ms)
{
    return ms < 0 ? INT64_MAX : clock_now_ns() + ms * INT64_C(1000000);
}
