/* The short way of a small event: head, bytes, publication, with no call; inline in the client's ehring_send.
 *
 * A call of memcpy costs as much as a small event, and sixteen bytes at a time twice as much as thirty-two: two widths, chosen by what the
 * processor has. What is longer goes by ring_writer_put_long, which has a third. */
#ifndef EHRING_RING_PUT_H
#define EHRING_RING_PUT_H

#include <stddef.h>
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_write.h"

#define RING_PUT_SHORT_BYTES_MAX 256u /* payload */

typedef uint8_t ring_word16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t ring_word32 __attribute__((vector_size(32), aligned(1), may_alias));

#define RING_PUT_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define RING_PUT_WIDE __attribute__((target("avx2"))) /* of every function that ring_put_short or ring_copy_wide is inline in */
#else
#define RING_PUT_WIDE
#endif

/* Less than sixteen bytes: two words that overlap. */
RING_PUT_INLINE void ring_copy_tiny(uint8_t *to, const uint8_t *from, size_t len)
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

/* Sixteen bytes at a time, the last ones overlapping. */
RING_PUT_INLINE void ring_copy_narrow(uint8_t *to, const uint8_t *from, size_t len)
{
    if (RING_UNLIKELY(len < 16)) {
        ring_copy_tiny(to, from, len);
        return;
    }
    const uint8_t *from_last = from + len - 16;
    uint8_t *to_last = to + len - 16;
    for (; len > 64; len -= 64, from += 64, to += 64) {
        ring_word16 a = *(const ring_word16 *)from, b = *(const ring_word16 *)(from + 16);
        ring_word16 c = *(const ring_word16 *)(from + 32), d = *(const ring_word16 *)(from + 48);
        *(ring_word16 *)to = a;
        *(ring_word16 *)(to + 16) = b;
        *(ring_word16 *)(to + 32) = c;
        *(ring_word16 *)(to + 48) = d;
    }
    if (len > 16)
        *(ring_word16 *)to = *(const ring_word16 *)from;
    if (len > 32)
        *(ring_word16 *)(to + 16) = *(const ring_word16 *)(from + 16);
    if (len > 48)
        *(ring_word16 *)(to + 32) = *(const ring_word16 *)(from + 32);
    *(ring_word16 *)to_last = *(const ring_word16 *)from_last;
}

RING_PUT_WIDE RING_PUT_INLINE void ring_copy_64(uint8_t *to, const uint8_t *from)
{
    ring_word32 a = *(const ring_word32 *)from, b = *(const ring_word32 *)(from + 32);
    *(ring_word32 *)to = a;
    *(ring_word32 *)(to + 32) = b;
}

RING_PUT_WIDE RING_PUT_INLINE void ring_copy_96(uint8_t *to, const uint8_t *from)
{
    ring_word32 a = *(const ring_word32 *)from, b = *(const ring_word32 *)(from + 32), c = *(const ring_word32 *)(from + 64);
    *(ring_word32 *)to = a;
    *(ring_word32 *)(to + 32) = b;
    *(ring_word32 *)(to + 64) = c;
}

RING_PUT_WIDE RING_PUT_INLINE void ring_copy_128(uint8_t *to, const uint8_t *from)
{
    ring_copy_64(to, from);
    ring_copy_64(to + 64, from + 64);
}

/* What is written last overlaps what is there, so that no length has a rest; a loop's stores are aligned: half of them would lie in two
 * lines of the cache. */
RING_PUT_WIDE RING_PUT_INLINE void ring_copy_wide(uint8_t *to, const uint8_t *from, size_t len)
{
    if (RING_UNLIKELY(len < 32)) {
        ring_copy_narrow(to, from, len);
    } else if (len <= 64) {
        ring_word32 first = *(const ring_word32 *)from, last = *(const ring_word32 *)(from + len - 32);
        *(ring_word32 *)to = first;
        *(ring_word32 *)(to + len - 32) = last;
    } else if (len <= 128) {
        ring_word32 a = *(const ring_word32 *)from, b = *(const ring_word32 *)(from + 32);
        ring_word32 c = *(const ring_word32 *)(from + len - 64), d = *(const ring_word32 *)(from + len - 32);
        *(ring_word32 *)to = a;
        *(ring_word32 *)(to + 32) = b;
        *(ring_word32 *)(to + len - 64) = c;
        *(ring_word32 *)(to + len - 32) = d;
    } else if (len <= RING_PUT_SHORT_BYTES_MAX) { /* no loop: its registers would be saved for every event */
        if (len > 192)
            ring_copy_64(to + 96, from + 96);
        ring_copy_96(to, from);
        ring_copy_96(to + len - 96, from + len - 96);
    } else {
        const uint8_t *from_last = from + len - 128;
        uint8_t *to_last = to + len - 128;
        size_t step = 32 - ((uintptr_t)to & 31);
        *(ring_word32 *)to = *(const ring_word32 *)from;
        for (from += step, to += step; from < from_last; from += 128, to += 128)
            ring_copy_128(to, from);
        ring_copy_128(to_last, from_last);
    }
}

RING_PUT_INLINE uint64_t ring_put_end_pos(uint64_t pos, size_t len)
{
    return pos + ring_align16(sizeof(struct ring_head) + len);
}

/* True: an event of bytes alone needs no thought, ring_put_short or ring_writer_put_long takes it. In a child all is zero: false. */
RING_PUT_INLINE bool ring_put_is_plain(const struct ring_writer *writer, size_t len)
{
    return RING_LIKELY(len < writer->plain_end) && RING_LIKELY(ring_put_end_pos(writer->pos, len) <= writer->easy_end_pos);
}

/* A plain event in three steps: the head, then the copy to where this returns, then the position and the publication. The writer's own
 * words go last: a payload that cannot be read, whose signal the caller catches and leaves, has moved nothing. */
RING_PUT_INLINE uint8_t *ring_put_begin(const struct ring_writer *writer, size_t len)
{
    uint64_t pos = writer->pos;
    uint8_t *at = writer->data + (pos & writer->mask);

    record_write_head(writer, at, pos, (uint32_t)sizeof(struct ring_head) + (uint32_t)len, 0, 0, 0);
    return at + sizeof(struct ring_head);
}

RING_PUT_INLINE void ring_put_end(struct ring_writer *writer, uint64_t end_pos)
{
    writer_store(writer, end_pos, writer_advance(writer, writer->pos, end_pos));
    uint64_t number = order_load_sleeping_registered(&writer->shipper->sleeping.number); /* S2 */
    if (RING_UNLIKELY(number != writer->bell_seen))
        ring_bell_answer(writer, number);
}

RING_PUT_WIDE RING_PUT_INLINE void ring_put_short(struct ring_writer *writer, const void *payload, size_t len)
{
    uint64_t end_pos = ring_put_end_pos(writer->pos, len);

    ring_copy_wide(ring_put_begin(writer, len), payload, len);
    ring_put_end(writer, end_pos);
}

#endif
