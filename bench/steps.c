/* The rungs between a memcpy and ehring_send, each one function that writes an event into a ring which is nobody's. */
#include "bench/steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_put.h"

#define WRITER_ALIGN 4096u

struct plain_head { /* as the floor's */
    uint64_t len;
    uint64_t pos;
};

static void open_grain(struct ring_writer *writer, size_t len);

int steps_open(size_t len, uint64_t capacity, uint64_t grain, struct steps *steps)
{
    struct ring_geometry geometry = ring_geometry_of(capacity);
    size_t writer_len = (sizeof(struct ring_writer) + WRITER_ALIGN - 1) / WRITER_ALIGN * WRITER_ALIGN;
    void *map;

    *steps = (struct steps){0};
    if (!ring_put_is_wide())
        return -EOPNOTSUPP;
    steps->map_len = geometry.data_off + capacity + ring_align16(sizeof(struct ring_head) + len);
    map = mmap(NULL, steps->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (map == MAP_FAILED)
        return -errno;
    steps->map = map;
    steps->writer = aligned_alloc(WRITER_ALIGN, writer_len);
    if (!steps->writer) {
        steps_close(steps);
        return -ENOMEM;
    }
    memset(steps->writer, 0, writer_len);
    *steps->writer = (struct ring_writer){
        .mask = capacity - 1,
        .data = steps->map + geometry.data_off,
        .producer = (struct ring_producer *)(void *)(steps->map + geometry.producer_off),
        .shipper = (const struct ring_shipper *)(void *)(steps->map + geometry.shipper_off),
        .registered = true,
        .wide = true,
        .widest = ring_put_is_widest(),
        .alive = true,
        .plain_end = len + 1,
        .capacity = capacity,
        .grain = grain,
    };
    return 0;
}

void steps_close(struct steps *steps)
{
    if (steps->map)
        munmap(steps->map, steps->map_len);
    free(steps->writer);
    *steps = (struct steps){0};
}

int steps_put_memcpy(struct ring_writer *writer, const void *payload, size_t len)
{
    struct plain_head head = {.len = len, .pos = writer->pos};
    uint8_t *at = writer->data + (head.pos & writer->mask);

    memcpy(at, &head, sizeof(head));
    memcpy(at + sizeof(head), payload, len);
    writer->pos = head.pos + ring_align16(sizeof(head) + len);
    return 0;
}

RING_PUT_WIDE int steps_put_inline(struct ring_writer *writer, const void *payload, size_t len)
{
    uint64_t end_pos = ring_put_end_pos(writer->pos, len);

    ring_copy_wide(ring_put_begin(writer, len), payload, len);
    writer_advance(writer, writer->pos, end_pos);
    return 0;
}

RING_PUT_WIDE int steps_put_published(struct ring_writer *writer, const void *payload, size_t len)
{
    uint64_t end_pos = ring_put_end_pos(writer->pos, len);

    ring_copy_wide(ring_put_begin(writer, len), payload, len);
    writer_store(writer, end_pos, writer_advance(writer, writer->pos, end_pos));
    return 0;
}

RING_PUT_WIDE int steps_put_looked(struct ring_writer *writer, const void *payload, size_t len)
{
    ring_put_short(writer, payload, len);
    return 0;
}

RING_PUT_WIDE int steps_put_checked(struct ring_writer *writer, const void *payload, size_t len)
{
    if (!ring_put_is_plain(writer, len))
        open_grain(writer, len);
    ring_put_short(writer, payload, len);
    return 0;
}

RING_PUT_WIDE int steps_put_chosen(struct ring_writer *writer, const void *payload, size_t len)
{
    if (!ring_put_is_plain(writer, len))
        open_grain(writer, len);
    if (len > RING_PUT_SHORT_BYTES_MAX)
        return ring_writer_put_long(writer, payload, len);
    ring_put_short(writer, payload, len);
    return 0;
}

/* What is left of the writer's way into a new grain without time, gate and pad. */
static __attribute__((noinline)) void open_grain(struct ring_writer *writer, size_t len)
{
    uint64_t record_len = ring_align16(sizeof(struct ring_head) + len);

    if (record_len > writer->capacity - (writer->pos & writer->mask))
        writer->pos = (writer->pos | writer->mask) + 1;
    writer->easy_end_pos = ((writer->pos + record_len - 1) | (writer->grain - 1)) + 1;
}
