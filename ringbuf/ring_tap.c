/* A reader that does not gate: what it copied it believes only if the writer was not near, else it says what it missed. */
#include <errno.h>

#include "ring_internal.h"
#include "ring_order.h"

static int tap_overrun(struct ring_tap *tap);

void ring_tap_open(struct ring_tap *tap, struct ring *ring)
{
    *tap = (struct ring_tap){.ring = ring, .pos = order_observe(&ring->producer->hot.write_pos)};
}

int ring_tap_next(struct ring_tap *tap, struct ring_record *record, void *payload, size_t cap, size_t *payload_len)
{
    struct ring *ring = tap->ring;
    const _Atomic uint64_t *write = &ring->producer->hot.write_pos;
    struct ring_parts parts;
    struct ring_head head;

    for (;;) {
        uint64_t write_pos = order_observe(write); /* P2 */
        if (write_pos == tap->pos)
            return 0;
        if (write_pos - tap->pos > ring->capacity / 2)
            return tap_overrun(tap);
        uint8_t meta[RING_META_BYTES_MAX];
        int err = ring_head_read(ring, tap->pos, write_pos, &head);
        if (!err && head.kind == RING_KIND_DATA)
            err = ring_record_parts(ring, tap->pos, head.len, &parts, meta, sizeof(meta));
        if (!err && head.kind == RING_KIND_DATA) {
            *payload_len = parts.payload_len < cap ? parts.payload_len : cap;
            err = ring_copy(ring, parts.payload_pos, payload, *payload_len);
        }
        if (order_tap_check(write) - tap->pos > ring->capacity / 2) /* T2: before anything of it is believed */
            return tap_overrun(tap);
        if (err)
            return err;
        uint64_t pos = tap->pos;
        tap->pos += ring_align16(head.len);
        if (head.kind != RING_KIND_DATA)
            continue;
        *record = (struct ring_record){.pos = pos,
                                       .time_ns = parts.time_ns,
                                       .key = NULL,
                                       .len = head.len,
                                       .key_len = head.key_len,
                                       .route = head.route,
                                       .seq16 = head.seq16,
                                       .flags = head.flags};
        return 1;
    }
}

static int tap_overrun(struct ring_tap *tap)
{
    uint64_t write_pos = order_observe(&tap->ring->producer->hot.write_pos);

    tap->missed_bytes += write_pos - tap->pos;
    tap->pos = write_pos;
    return -EOVERFLOW;
}
