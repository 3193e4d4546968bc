/* The short way of a small plain event: head, bytes, publication, in one function that calls nothing.
 *
 * A call of memcpy costs as much as a small event, and sixteen bytes at a time twice as much as thirty-two: two widths, chosen by what the
 * processor has. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "ring_internal.h"
#include "ring_write.h"

#define COPY_NARROW_BYTES_MAX 128u /* above, memcpy's wide registers are worth the call */
#define COPY_WIDE_BYTES_MAX 4096u

/* The four bytes of a writer that is as usual, looked at in one comparison: no time for every event, registered, wide, no reservation. */
#define AS_USUAL UINT32_C(0x00010100)
static_assert(offsetof(struct ring_writer, flags_always) % 4 == 0 &&
                  offsetof(struct ring_writer, registered) == offsetof(struct ring_writer, flags_always) + 1 &&
                  offsetof(struct ring_writer, wide) == offsetof(struct ring_writer, flags_always) + 2 &&
                  offsetof(struct ring_writer, open) == offsetof(struct ring_writer, flags_always) + 3,
              "AS_USUAL");

typedef uint8_t word16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t word32 __attribute__((vector_size(32), aligned(1), may_alias));

#define INLINE static inline __attribute__((always_inline))
INLINE bool is_easy(const struct ring_writer *writer, const struct ring_shape *shape, uint32_t flags, uint64_t end_pos);
INLINE uint8_t *begin(struct ring_writer *writer, const struct ring_shape *shape, uint32_t flags, uint64_t pos);
INLINE void copy_narrow(uint8_t *to, const uint8_t *from, size_t len);
INLINE void copy_tiny(uint8_t *to, const uint8_t *from, size_t len);
static int put_narrow(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);
static int put_slowly(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);
static int put_large(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx2")))

bool ring_put_is_wide(void)
{
    return __builtin_cpu_supports("avx2");
}

WIDE INLINE void copy_wide(uint8_t *to, const uint8_t *from, size_t len)
{
    if (RING_UNLIKELY(len < 32)) {
        copy_narrow(to, from, len);
        return;
    }
    word32 last = *(const word32 *)(from + len - 32);
    word32 *to_last = (word32 *)(to + len - 32);
    for (; len > 128; len -= 128, from += 128, to += 128) {
        word32 a = *(const word32 *)from, b = *(const word32 *)(from + 32);
        word32 c = *(const word32 *)(from + 64), d = *(const word32 *)(from + 96);
        *(word32 *)to = a;
        *(word32 *)(to + 32) = b;
        *(word32 *)(to + 64) = c;
        *(word32 *)(to + 96) = d;
    }
    if (len > 64) {
        word32 a = *(const word32 *)from, b = *(const word32 *)(from + 32);
        *(word32 *)to = a;
        *(word32 *)(to + 32) = b;
        from += 64, to += 64, len -= 64;
    }
    if (len > 32)
        *(word32 *)to = *(const word32 *)from;
    *to_last = last;
}

WIDE int ring_writer_put(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    uint32_t flags = record_flags(writer, shape), payload_len = shape->payload_len;
    uint64_t pos = writer->pos, end_pos = pos + ring_align16(sizeof(struct ring_head) + (uint64_t)payload_len);

    if (RING_UNLIKELY(!writer->wide))
        return put_narrow(writer, shape, payload);
    if (RING_UNLIKELY(!is_easy(writer, shape, flags, end_pos)))
        return put_slowly(writer, shape, payload);
    if (RING_UNLIKELY(payload_len > COPY_WIDE_BYTES_MAX))
        return put_large(writer, shape, payload);
    copy_wide(begin(writer, shape, flags, pos), payload, payload_len);
    return writer_publish(writer, end_pos, writer_advance(writer, pos, end_pos));
}

/* In a child easy_end_pos is zero, so nothing of the mapping is touched there. A limit of 0 (untold) is above all that is plain. */
WIDE int ring_writer_put_plain(struct ring_writer *writer, const void *payload, size_t len)
{
    uint64_t pos = writer->pos, end_pos = pos + ring_align16(sizeof(struct ring_head) + len);
    uint32_t state;

    memcpy(&state, &writer->flags_always, sizeof(state));
    if (RING_UNLIKELY(len > COPY_WIDE_BYTES_MAX || end_pos > writer->easy_end_pos || state != AS_USUAL))
        return 1;
    if (RING_UNLIKELY(order_none_load32(&writer->shipper->limit.event_bytes_max) - 1 < (uint32_t)len - 1))
        return 1;
    record_write_head(writer, pos, (uint32_t)sizeof(struct ring_head) + (uint32_t)len, 0, 0, 0);
    copy_wide(writer->data + (pos & writer->mask) + sizeof(struct ring_head), payload, len);
    return writer_publish(writer, end_pos, writer_advance(writer, pos, end_pos));
}
#else
bool ring_put_is_wide(void)
{
    return false;
}

int ring_writer_put_plain(struct ring_writer *writer, const void *payload, size_t len)
{
    (void)writer, (void)payload, (void)len;
    return 1;
}

int ring_writer_put(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    return put_narrow(writer, shape, payload);
}
#endif

static int put_narrow(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    uint32_t flags = record_flags(writer, shape), payload_len = shape->payload_len;
    uint64_t pos = writer->pos, end_pos = pos + ring_align16(sizeof(struct ring_head) + (uint64_t)payload_len);

    if (RING_UNLIKELY(!is_easy(writer, shape, flags, end_pos)))
        return put_slowly(writer, shape, payload);
    if (payload_len > COPY_NARROW_BYTES_MAX)
        return put_large(writer, shape, payload);
    copy_narrow(begin(writer, shape, flags, pos), payload, payload_len);
    return writer_publish(writer, end_pos, writer_advance(writer, pos, end_pos));
}

INLINE bool is_easy(const struct ring_writer *writer, const struct ring_shape *shape, uint32_t flags, uint64_t end_pos)
{
    return end_pos <= writer->easy_end_pos && (shape->key_len | (flags & (RING_FLAG_TIME | RING_FLAG_META))) == 0;
}

/* The head; returns the payload's place. */
INLINE uint8_t *begin(struct ring_writer *writer, const struct ring_shape *shape, uint32_t flags, uint64_t pos)
{
    assert(!writer->open);
    record_write_head(writer, pos, (uint32_t)sizeof(struct ring_head) + shape->payload_len, shape->route, flags, 0);
    return writer->data + (pos & writer->mask) + sizeof(struct ring_head);
}

/* Sixteen bytes at a time, the last ones overlapping. */
INLINE void copy_narrow(uint8_t *to, const uint8_t *from, size_t len)
{
    if (RING_UNLIKELY(len < 16)) {
        copy_tiny(to, from, len);
        return;
    }
    const uint8_t *from_last = from + len - 16;
    uint8_t *to_last = to + len - 16;
    for (; len > 64; len -= 64, from += 64, to += 64) {
        word16 a = *(const word16 *)from, b = *(const word16 *)(from + 16);
        word16 c = *(const word16 *)(from + 32), d = *(const word16 *)(from + 48);
        *(word16 *)to = a;
        *(word16 *)(to + 16) = b;
        *(word16 *)(to + 32) = c;
        *(word16 *)(to + 48) = d;
    }
    if (len > 16)
        *(word16 *)to = *(const word16 *)from;
    if (len > 32)
        *(word16 *)(to + 16) = *(const word16 *)(from + 16);
    if (len > 48)
        *(word16 *)(to + 32) = *(const word16 *)(from + 32);
    *(word16 *)to_last = *(const word16 *)from_last;
}

/* Less than sixteen bytes: two words that overlap. */
INLINE void copy_tiny(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len >= 8) {
        uint64_t first, last;
        memcpy(&first, from, 8);
        memcpy(&last, from + len - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + len - 8, &last, 8);
    } else if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, from, 4);
        memcpy(&last, from + len - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + len - 4, &last, 4);
    } else if (len > 0) {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
}

/* A key, a time, a meta block, or something to think about. */
static __attribute__((noinline)) int put_slowly(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    void *to;
    int err = ring_writer_reserve(writer, shape, &to);

    if (RING_UNLIKELY(err))
        return err;
    memcpy(to, payload, shape->payload_len);
    ring_writer_commit(writer, shape->payload_len);
    return 0;
}

static __attribute__((noinline)) int put_large(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    uint64_t pos = writer->pos, len = sizeof(struct ring_head) + (uint64_t)shape->payload_len;

    record_write_head(writer, pos, (uint32_t)len, shape->route, record_flags(writer, shape), 0);
    memcpy(writer->data + (pos & writer->mask) + sizeof(struct ring_head), payload, shape->payload_len);
    return writer_publish(writer, pos + ring_align16(len), writer_advance(writer, pos, pos + ring_align16(len)));
}
