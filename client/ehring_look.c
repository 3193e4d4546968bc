/* What a producer can learn of its own ring: what is delivered, the counters, the last event's identity, the file. */
#include <stdio.h>
#include <string.h>

#include "ehring_internal.h"
#include "ringbuf/ring_dropped.h"

int ehring_flush(struct ehring *ring, int timeout_ms, uint64_t *left_bytes)
{
    int saved_errno = errno;
    uint64_t left = 0;
    int err = handle_alive(ring);

    if (!err)
        err = ring_writer_flush(writer_of(ring), timeout_ms == 0 ? 0 : clock_deadline_ns(timeout_ms), &left);
    if (left_bytes)
        *left_bytes = left;
    errno = saved_errno;
    return err;
}

int ehring_read_stats(const struct ehring *ring, struct ehring_stats *stats)
{
    struct ring_writer_stats raw;
    uint64_t settled;
    int err = handle_alive(ring);

    memset(stats, 0, sizeof(*stats));
    if (err)
        return err;
    ring_writer_read_stats(writer_of(ring), &raw);
    stats->sent_events = raw.committed_events;
    stats->accepted_events = raw.accepted_events;
    stats->dead_lettered_events = raw.dead_lettered_events;
    memcpy(stats->abandoned, raw.dropped, sizeof(stats->abandoned));
    stats->abandoned_events = ring_dropped_sum(raw.dropped);
    settled = raw.accepted_events + raw.dead_lettered_events + stats->abandoned_events;
    stats->pending_events = settled < raw.committed_events ? raw.committed_events - settled : 0;
    stats->pending_bytes = raw.write_pos - raw.gate_pos;
    for (uint32_t i = 0; i < RING_REFUSED_REASONS; i++) {
        stats->refused[i] = raw.refused[i];
        stats->refused_events += i == EHRING_REFUSED_DROPPED_FULL ? 0 : raw.refused[i];
    }
    stats->dropped_events = raw.refused[EHRING_REFUSED_DROPPED_FULL];
    stats->wait_count = raw.wait_count;
    stats->wakeup_count = raw.bell_count;
    stats->capacity_bytes = ring_writer_capacity(writer_of(ring));
    stats->event_bytes_max = ring_words_limit(&ring->words);
    return 0;
}

int ehring_last_identity(const struct ehring *ring, struct ehring_identity *identity)
{
    int err = handle_alive(ring);

    if (err)
        return err;
    memcpy(identity->ring_uuid, ring_writer_uuid(writer_of(ring)), sizeof(identity->ring_uuid));
    identity->pos = ring_writer_last_pos(writer_of(ring));
    return identity->pos == UINT64_MAX ? EHRING_E_NO_EVENT : 0;
}

void ehring_identity_text(const struct ehring_identity *identity, char text[EHRING_IDENTITY_TEXT_BYTES])
{
    const uint8_t *u = identity->ring_uuid;

    snprintf(text, EHRING_IDENTITY_TEXT_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x:%llu", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15], (unsigned long long)identity->pos);
}

const char *ehring_path(const struct ehring *ring)
{
    return ring ? ring_writer_path(writer_of(ring)) : NULL;
}
