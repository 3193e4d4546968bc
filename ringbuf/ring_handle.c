/* A writer's life and what it tells: open, close, sizes, counters. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ring_internal.h"
#include "ring_order.h"

#define HANDLE_BYTES (RING_WRITER_BYTES + RING_BESIDE_BYTES) /* of address space: what is not touched is not there */

static struct ring_writer *writer_alloc(void);
static void writer_free(struct ring_writer *writer);
static void writer_init(struct ring_writer *writer, const struct ring_created *created, const struct ring_writer_options *options);

int ring_writer_open(const struct ring_writer_options *options, struct ring_writer **out, struct ring_refusal *why)
{
    struct ring_writer *writer = writer_alloc();
    struct ring_created *created = malloc(sizeof(*created)); /* paths make it large */
    int err;

    *out = NULL;
    if (!writer || !created)
        err = ring_refuse(why, RING_ABSENT, -ENOMEM, "no memory for a handle that a fork wipes (MADV_WIPEONFORK, Linux 4.14)");
    else
        err = ring_create(options, created, why);
    if (!err) {
        writer_init(writer, created, options);
        if (why)
            *why = (struct ring_refusal){.rung = RING_READY};
        *out = writer;
        writer = NULL;
    }
    free(created);
    writer_free(writer);
    return err;
}

void ring_writer_close(struct ring_writer *writer)
{
    if (!writer)
        return;
    if (ring_writer_alive(writer)) {
        ring_writer_publish(writer);
        order_none_store32(&writer->producer->hot.closed, 1);
        (void)ring_writer_sync(writer); /* counted if the disk refuses */
        uint64_t number = order_load_sleeping_fenced(&writer->shipper->sleeping.number);
        munmap(writer->map, writer->map_len);
        if (number != 0) /* after the lock went: who looks now finds an orphan */
            ring_bell_send(writer->bell_path);
    }
    writer_free(writer);
}

bool ring_writer_wants_sync(const struct ring_writer *writer)
{
    return writer->released == &writer->producer->sync.released_pos;
}
uint64_t ring_writer_capacity(const struct ring_writer *writer)
{
    return writer->capacity;
}
uint32_t ring_writer_record_max(const struct ring_writer *writer)
{
    return writer->record_max;
}
const char *ring_writer_path(const struct ring_writer *writer)
{
    return writer->path;
}
const uint8_t *ring_writer_uuid(const struct ring_writer *writer)
{
    return writer->uuid;
}
uint64_t ring_writer_pos(const struct ring_writer *writer)
{
    return writer->pos;
}
uint64_t ring_writer_last_pos(const struct ring_writer *writer)
{
    return writer->last_pos;
}

bool ring_writer_alive(const struct ring_writer *writer)
{
    return writer->alive;
}

void ring_writer_count_refused(struct ring_writer *writer, uint32_t reason)
{
    assert(reason < RING_REFUSED_REASONS);
    if (ring_writer_alive(writer))
        order_none_add64(&writer->producer->counters.refused[reason], 1);
}

void ring_writer_read_stats(const struct ring_writer *writer, struct ring_writer_stats *stats)
{
    *stats = (struct ring_writer_stats){.committed_events = writer->event_count, .write_pos = writer->pos};
    if (!ring_writer_alive(writer))
        return;
    stats->gate_pos = order_load_gate(&writer->shipper->gate.gate_pos);
    for (uint32_t i = 0; i < RING_LANES_MAX; i++) {
        const struct ring_lane_counts *counts = &writer->shipper->lane[i].counts;
        stats->accepted_events += order_none_load64(&counts->accepted_events);
        stats->dead_lettered_events += order_none_load64(&counts->dead_lettered_events);
        for (uint32_t k = 0; k < RING_DROPPED_REASONS; k++)
            stats->dropped[k] += order_none_load64(&counts->dropped_events[k]);
    }
    for (uint32_t i = 0; i < RING_REFUSED_REASONS; i++)
        stats->refused[i] = order_none_load64(&writer->producer->counters.refused[i]);
    stats->bell_count = order_none_load64(&writer->producer->counters.bell_count);
    stats->wait_count = order_none_load64(&writer->producer->counters.wait_count);
}

static struct ring_writer *writer_alloc(void)
{
    void *pages = mmap(NULL, HANDLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    static_assert(sizeof(struct ring_writer) <= RING_WRITER_BYTES, "writer");
    if (pages == MAP_FAILED)
        return NULL;
    if (madvise(pages, RING_WRITER_BYTES, MADV_WIPEONFORK) == 0)
        return pages;
    munmap(pages, HANDLE_BYTES);
    return NULL;
}

static void writer_free(struct ring_writer *writer)
{
    if (writer)
        munmap(writer, HANDLE_BYTES);
}

static void writer_init(struct ring_writer *writer, const struct ring_created *created, const struct ring_writer_options *options)
{
    const struct ring_geometry *geometry = &created->geometry;
    uint64_t record_max = geometry->capacity / RING_RECORD_SHARE;

    writer->map = created->map;
    writer->map_len = created->map_len;
    writer->producer = (struct ring_producer *)(created->map + geometry->producer_off);
    writer->shipper = (const struct ring_shipper *)(created->map + geometry->shipper_off);
    writer->data = created->map + geometry->data_off;
    writer->capacity = geometry->capacity;
    writer->mask = geometry->capacity - 1;
    writer->record_max = record_max > UINT32_MAX ? UINT32_MAX & ~(RING_RECORD_ALIGN - 1) : (uint32_t)record_max;
    writer->grain = record_max < RING_STRIPE_BYTES ? record_max : RING_STRIPE_BYTES;
    writer->timed_stripe = RING_STRIPE_NONE;
    writer->last_pos = UINT64_MAX;
    writer->flags_always = options->times_all ? RING_FLAG_TIME : 0;
    writer->wide = ring_put_is_wide();
    writer->widest = ring_put_is_widest();
    writer->registered = created->registered;
    writer->on_disk = created->on_disk;
    writer->released = options->group_sync && created->on_disk ? &writer->producer->sync.released_pos : &writer->shipper->gate.gate_pos;
    memcpy(writer->path, created->path, sizeof(writer->path));
    memcpy(writer->bell_path, created->bell_path, sizeof(writer->bell_path));
    memcpy(writer->uuid, created->uuid, sizeof(writer->uuid));
    writer->alive = true;
}
