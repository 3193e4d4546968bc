/* One worker's feed over a real ring: a writer, the ring as the shipper has it, and events that say which one they are. */
#ifndef FEED_RIG_H
#define FEED_RIG_H

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"
#include "ringbuf/ring_route.h"
#include "shipper/batch.h"
#include "shipper/feed.h"

#define PARTITIONS 4u
static const struct batch_limits small_limits = {.bytes_max = 4000, .linger_ns = 0};

struct rig {
    char dir[64];
    int dir_fd;
    struct ring_writer *writer;
    struct ring *ring;
    struct fifo_pool pool;
    struct counters_worker counters;
    struct ring_hist hist;
    struct feed feed;
    int slot;
    uint8_t buffer[1 << 20];
};

static inline void feed_begin(struct rig *rig, uint32_t chunks)
{
    cr_assert_eq(fifo_pool_open(&rig->pool, chunks), 0);
    cr_assert_eq(ring_lanes_begin(rig->ring, 1), 0);
    ring_set_partition_count(rig->ring, PARTITIONS);
    cr_assert_eq(feed_open(&rig->feed, 0, 1, &rig->pool), 0);
    rig->feed.counters = &rig->counters;
    rig->feed.commit_to_read = &rig->hist;
    rig->slot = feed_ring_add(&rig->feed, rig->ring, rig, PARTITIONS, UINT64_MAX);
    cr_assert_geq(rig->slot, 0);
}

static inline void feed_end(struct rig *rig)
{
    feed_close(&rig->feed);
    fifo_pool_close(&rig->pool);
}

static inline void rig_open(struct rig *rig, uint64_t capacity)
{
    struct ring_refusal why;
    memset(rig, 0, sizeof *rig);
    strcpy(rig->dir, "/tmp/ehring-feed-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->dir));
    cr_assert_eq(
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig->dir, .name = "t", .capacity = capacity}, &rig->writer, &why), 0,
        "%s", why.text);
    rig->dir_fd = open(rig->dir, O_RDONLY | O_DIRECTORY);
    const char *file = strrchr(ring_writer_path(rig->writer), '/') + 1;
    cr_assert_eq(ring_open(rig->dir_fd, file, RING_ACCESS_SHIPPER, &rig->ring, &why), 0, "%s", why.text);
    feed_begin(rig, 1024);
}

static inline void rig_close(struct rig *rig)
{
    feed_end(rig);
    unlink(ring_writer_path(rig->writer));
    ring_close(rig->ring);
    ring_writer_close(rig->writer);
    close(rig->dir_fd);
    rmdir(rig->dir);
}

/* An event for an explicit partition whose body says which one it is. */
static inline void put(struct rig *rig, uint32_t partition, uint32_t number, uint32_t len)
{
    char body[4096];
    memset(body, '.', sizeof body);
    int used = snprintf(body, sizeof body, "p%u n%u;", partition, number);
    struct ring_shape shape = {
        .payload_len = len > (uint32_t)used ? len : (uint32_t)used, .route = (uint16_t)partition, .flags = RING_FLAG_ROUTE_PARTITION};
    cr_assert_eq(ring_writer_put(rig->writer, &shape, body), 0);
}

/* The numbers of the events in an encoded batch, in order; all must be of `partition`. */
static inline uint32_t numbers_of(const uint8_t *bytes, uint32_t len, uint32_t partition, uint32_t *number)
{
    uint32_t count = 0;
    char want[16];
    int want_len = snprintf(want, sizeof want, "p%u n", partition);
    for (uint32_t i = 0; i + (uint32_t)want_len < len; i++) {
        if (bytes[i] != 'p' || memchr("0123456789", bytes[i + 1], 10) == NULL || bytes[i + 2] != ' ')
            continue;
        cr_assert_eq(memcmp(bytes + i, want, (size_t)want_len), 0, "an event of another partition");
        number[count++] = (uint32_t)strtoul((const char *)bytes + i + want_len, NULL, 10);
    }
    return count;
}

static inline uint64_t gate(const struct rig *rig)
{
    return order_load_gate(&ring_shipper(rig->ring)->gate.gate_pos);
}
static inline uint32_t domain_of(uint32_t partition)
{
    return ring_partition_domain(partition);
}

static inline void send_one(struct rig *rig, uint32_t domain, struct batch *batch)
{
    cr_assert_eq(batch_encode(&rig->feed, domain, &small_limits, rig->buffer, batch), 0);
    feed_take(&rig->feed, domain, batch->taken_count, batch->cover, batch->cover_count);
}

#endif
