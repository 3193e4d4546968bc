/* What of a ring reaches its disk, and the marks that say so after a reboot: the writer's group sync and its close, the shipper's stop.
 *
 * A mark is stored after the msync of what it stands for, and then brought to the disk itself. What lies between the gate and a mark must
 * not be overwritten, or a record that is believed would be a mixture of two laps: so with group sync the writer frees no more than the
 * gate that is on the disk (`released_pos`), and a shipper that finds a living producer takes its own mark back before the gate moves. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"

static void released_store(struct ring_producer *producer, uint64_t pos);
static int sync_words(const uint8_t *map, const uint8_t *data);

/* The kernel syncs each mapping of the range by itself: of a ring under group sync the constants were synced when it was made, and the
 * producer's page goes once, with the mark. */
int ring_writer_sync(struct ring_writer *writer)
{
    struct ring_producer *producer = writer->producer;
    uint64_t gate_pos = order_load_gate(&writer->shipper->gate.gate_pos), write_pos = order_observe(&producer->hot.write_pos);
    uint8_t *shipper = (uint8_t *)(uintptr_t)writer->shipper, *from = ring_writer_wants_sync(writer) ? shipper : writer->map;
    int err = 0;

    if (!writer->on_disk ||
        (write_pos == order_none_load64(&producer->sync.synced_pos) && gate_pos == order_none_load64(&producer->sync.released_pos)))
        return 0;
    if (msync(from, (size_t)(writer->map + writer->map_len - from), MS_SYNC) != 0)
        err = -errno;
    if (!err) {
        order_none_store64(&producer->sync.synced_pos, write_pos);
        released_store(producer, gate_pos);
        order_none_add64(&producer->sync.sync_count, 1);
        if (msync(producer, (size_t)(shipper - (uint8_t *)producer), MS_SYNC) != 0)
            err = -errno;
    }
    if (err)
        order_none_add64(&producer->sync.sync_failed_count, 1);
    return err;
}

uint64_t ring_synced_pos(const struct ring *ring)
{
    uint64_t producer = order_none_load64(&ring->producer->sync.synced_pos);
    uint64_t shipper = order_none_load64(&ring->shipper->control.synced_pos);
    uint64_t write_pos = order_observe(&ring->producer->hot.write_pos);
    uint64_t synced = producer > shipper ? producer : shipper;

    return synced < write_pos ? synced : write_pos;
}

int ring_sync(struct ring *ring)
{
    uint64_t write_pos = order_observe(&ring->producer->hot.write_pos);

    if (!ring->in_memory && msync(ring->map, ring->map_len, MS_SYNC) != 0)
        return -errno;
    if (!ring_is_this_boot(ring)) /* what did not reach the disk then does not by a sync now */
        return 0;
    order_none_store64(&ring->shipper->control.synced_pos, write_pos);
    if (!ring->in_memory && sync_words(ring->map, ring->data) != 0)
        return -errno;
    return ring_faulted(ring) ? -EIO : 0;
}

int ring_sync_forget(struct ring *ring)
{
    if (order_none_load64(&ring->shipper->control.synced_pos) == 0)
        return 0;
    order_none_store64(&ring->shipper->control.synced_pos, 0);
    return ring->in_memory ? 0 : sync_words(ring->map, ring->data);
}

/* The writer may wait for room: on this word where it is the one that frees. */
static void released_store(struct ring_producer *producer, uint64_t pos)
{
    order_raise_gate(&producer->sync.released_pos, pos); /* G1, handed on */
    if (order_load_waiting(&producer->hot.waiting) != 0) /* W2 */
        (void)syscall(SYS_futex, (uint32_t *)(void *)&producer->sync.released_pos, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* All before the data. */
static int sync_words(const uint8_t *map, const uint8_t *data)
{
    return msync((void *)(uintptr_t)map, (size_t)(data - map), MS_SYNC) == 0 ? 0 : -errno;
}
