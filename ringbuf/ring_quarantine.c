/* A ring that broke a rule: the first reason is kept, in the handle and in the file. */
#include "ring_internal.h"
#include "ring_order.h"

void ring_quarantine(struct ring *ring, enum ring_quarantine reason, uint64_t pos)
{
    if (ring_faulted(ring)) /* zeros look like every other reason */
        reason = RING_QUARANTINE_TRUNCATED;
    if (!order_claim32(&ring->quarantine, reason) || ring->access != RING_ACCESS_SHIPPER)
        return;
    order_none_store64(&ring->shipper->control.quarantine_pos, pos);
    order_none_store32(&ring->shipper->control.quarantine, reason);
}

enum ring_quarantine ring_quarantined(const struct ring *ring)
{
    uint32_t reason = order_none_load32(&ring->quarantine);

    if (reason == RING_QUARANTINE_NONE && ring->access == RING_ACCESS_VIEW) /* a tool sees what the shipper has found since */
        reason = order_none_load32(&ring->shipper->control.quarantine);
    return (enum ring_quarantine)(reason <= RING_QUARANTINE_POSITIONS ? reason : RING_QUARANTINE_POSITIONS);
}

const char *ring_quarantine_text(enum ring_quarantine reason)
{
    switch (reason) {
    case RING_QUARANTINE_NONE:
        return "none";
    case RING_QUARANTINE_WRITE_POS_BACK:
        return "write position went back or is no record's start";
    case RING_QUARANTINE_WRITE_POS_AHEAD:
        return "write position is more than the ring's capacity ahead";
    case RING_QUARANTINE_BAD_HEAD:
        return "record head that cannot be";
    case RING_QUARANTINE_BAD_META:
        return "meta block that cannot be";
    case RING_QUARANTINE_CHANGED:
        return "record changed after it was walked";
    case RING_QUARANTINE_TRUNCATED:
        return "file was cut while it was mapped";
    case RING_QUARANTINE_POSITIONS:
        return "gate, done or lane positions that cannot be";
    }
    return "unknown";
}
