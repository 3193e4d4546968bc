/* The writer's short way for what ehring_send does not have inline: keys, routes, arrays of events, longer ones. */
#include "ring_put.h"

#include <assert.h>

#define COPY_NARROW_BYTES_MAX 128u /* above, memcpy's wide registers are worth the call */

#if defined(__x86_64__)
#define WIDEST __attribute__((target("avx512f")))
#else
#define WIDEST
#endif

typedef uint8_t word64 __attribute__((vector_size(64), aligned(1), may_alias));

RING_PUT_INLINE bool is_easy(const struct ring_writer *writer, uint32_t flags, uint64_t end_pos);
RING_PUT_INLINE uint8_t *begin(struct ring_writer *writer, const struct ring_shape *shape, uint32_t flags, uint64_t pos);
static int put_wide(struct ring_writer *writer, const void *payload, size_t len);
static int put_widest(struct ring_writer *writer, const void *payload, size_t len);
static inline void copy_widest(uint8_t *to, const uint8_t *from, size_t len);
static int put_narrow(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);
static int put_slowly(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);
static int put_large(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);

bool ring_put_is_wide(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2");
#else
    return true;
#endif
}

bool ring_put_is_widest(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f");
#else
    return false;
#endif
}

RING_PUT_WIDE int ring_writer_put(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    uint32_t flags = record_flags(writer, shape), payload_len = shape->payload_len, key_room = ring_align8(shape->key_len);
    uint64_t pos = writer->pos, end_pos = pos + ring_align16(sizeof(struct ring_head) + key_room + (uint64_t)payload_len);

    if (RING_UNLIKELY(!writer->wide))
        return put_narrow(writer, shape, payload);
    if (RING_UNLIKELY(!is_easy(writer, flags, end_pos)))
        return put_slowly(writer, shape, payload);
    if (payload_len > RING_PUT_SHORT_BYTES_MAX)
        return put_large(writer, shape, payload);
    ring_copy_wide(begin(writer, shape, flags, pos), payload, payload_len);
    return writer_publish(writer, end_pos, writer_advance(writer, pos, end_pos));
}

/* Never inlined: in ring_writer_put it would be compiled for AVX2, and it is there for processors that do not have it. */
static __attribute__((noinline)) int put_narrow(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    uint32_t flags = record_flags(writer, shape), payload_len = shape->payload_len, key_room = ring_align8(shape->key_len);
    uint64_t pos = writer->pos, end_pos = pos + ring_align16(sizeof(struct ring_head) + key_room + (uint64_t)payload_len);

    if (RING_UNLIKELY(!is_easy(writer, flags, end_pos)))
        return put_slowly(writer, shape, payload);
    if (payload_len > COPY_NARROW_BYTES_MAX)
        return put_large(writer, shape, payload);
    ring_copy_narrow(begin(writer, shape, flags, pos), payload, payload_len);
    return writer_publish(writer, end_pos, writer_advance(writer, pos, end_pos));
}

RING_PUT_INLINE bool is_easy(const struct ring_writer *writer, uint32_t flags, uint64_t end_pos)
{
    return end_pos <= writer->easy_end_pos && (flags & (RING_FLAG_TIME | RING_FLAG_META)) == 0;
}

/* Head and key; returns the payload's place. */
RING_PUT_INLINE uint8_t *begin(struct ring_writer *writer, const struct ring_shape *shape, uint32_t flags, uint64_t pos)
{
    uint8_t *at = writer->data + (pos & writer->mask);

    uint32_t key_len = shape->key_len, key_room = ring_align8(key_len);

    assert(!writer->open);
    assert(key_len <= RING_KEY_BYTES_MAX);
    record_write_head(writer, at, pos, (uint32_t)sizeof(struct ring_head) + key_room + shape->payload_len, shape->route, flags, key_len);
    at += sizeof(struct ring_head);
    if (key_len) {
        *(uint64_t *)(void *)(at + key_room - 8) = 0;
        ring_copy_narrow(at, shape->key, key_len);
    }
    return at + key_room;
}

int ring_writer_put_long(struct ring_writer *writer, const void *payload, size_t len)
{
    return writer->widest ? put_widest(writer, payload, len) : put_wide(writer, payload, len);
}

static RING_PUT_WIDE int put_wide(struct ring_writer *writer, const void *payload, size_t len)
{
    uint64_t end_pos = ring_put_end_pos(writer->pos, len);

    ring_copy_wide(ring_put_begin(writer, len), payload, len);
    ring_put_end(writer, end_pos);
    return 0;
}

static WIDEST int put_widest(struct ring_writer *writer, const void *payload, size_t len)
{
    uint64_t end_pos = ring_put_end_pos(writer->pos, len);

    copy_widest(ring_put_begin(writer, len), payload, len);
    ring_put_end(writer, end_pos);
    return 0;
}

/* As ring_copy_wide, for more than 128 bytes. */
static inline WIDEST void copy_widest(uint8_t *to, const uint8_t *from, size_t len)
{
    const uint8_t *from_last = from + len - 64;
    uint8_t *to_last = to + len - 64;
    size_t step = 64 - ((uintptr_t)to & 63);

    *(word64 *)to = *(const word64 *)from;
    for (from += step, to += step; from < from_last; from += 64, to += 64)
        *(word64 *)to = *(const word64 *)from;
    *(word64 *)to_last = *(const word64 *)from_last;
}

/* A time, a meta block, or something to think about. */
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

static int put_large(struct ring_writer *writer, const struct ring_shape *shape, const void *payload)
{
    uint64_t pos = writer->pos, len = sizeof(struct ring_head) + ring_align8(shape->key_len) + (uint64_t)shape->payload_len;
    uint64_t end_pos = pos + ring_align16(len);

    memcpy(begin(writer, shape, record_flags(writer, shape), pos), payload, shape->payload_len);
    return writer_publish(writer, end_pos, writer_advance(writer, pos, end_pos));
}
