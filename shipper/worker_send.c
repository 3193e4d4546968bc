/* The outgoing half of a stream in one worker: which domain is due, over which link, sealed, encoded, begun; and how a batch ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "ringbuf/ring_route.h"
#include "shipper/worker_internal.h"

#define BUFFERS_OF_ALL_STREAMS                                                                                                             \
    6u /* of which each has a share, at least one: a hub that stands still with all of its share half-sent stops no other */

static bool domain_try_send(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns);
static struct batch_limits limits_of(const struct worker *worker, const struct worker_stream *ws, const struct worker_link *link);
static bool batch_begin(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits,
                        int64_t now_ns);
static void event_too_large(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch *batch, uint64_t limit,
                            int64_t now_ns);

uint32_t worker_stream_send(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    uint32_t begun = 0, count = ws->feed.active_count;
    if (!pool_is_ready(&ws->pool))
        return 0;
    ws->turn_start = count ? (ws->turn_start + 1) % count : 0;
    for (uint32_t i = 0; i < count && i < ws->feed.active_count; i++) {
        uint32_t domain = ws->feed.active[(ws->turn_start + i) % ws->feed.active_count];
        begun += domain_try_send(worker, ws, domain, now_ns);
    }
    return begun;
}

static bool domain_try_send(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns)
{
    const struct feed_domain *d = &ws->feed.domain[domain];
    if (d->inflight || (d->fifo.count == 0 && d->behind_head == FEED_SLOT_NONE))
        return false;
    if (now_ns < d->hold_until_ns) {
        worker_timer(worker, d->hold_until_ns);
        return false;
    }
    if (d->fifo.count == 0) {
        worker_timer(worker, now_ns + CLOCK_NS_PER_MS); /* behind only, and no chunk was free: a later turn refills */
        return false;
    }
    if (!worker_link_is_ready(worker, ws, domain, now_ns))
        return false;
    const struct worker_link *link = &ws->link[domain];
    struct batch_limits limits = limits_of(worker, ws, link);
    if (batch_seal_reason(d, &limits, now_ns) == BATCH_SEAL_NOT_YET) {
        worker_timer(worker, batch_seal_time_ns(d, &limits));
        return false;
    }
    if (link->sending || conn_link_credit(link->uplink->conn, link->id) == 0)
        return false; /* CONN_SENT or credit comes as an event */
    uint64_t share = ws->stream->config->inflight_bytes_max / worker->worker_count;
    if (ws->inflight_bytes > 0 && ws->inflight_bytes + limits.bytes_max > share)
        return false;
    return batch_begin(worker, ws, domain, &limits, now_ns);
}

static struct batch_limits limits_of(const struct worker *worker, const struct worker_stream *ws, const struct worker_link *link)
{
    const struct config_stream *config = ws->stream->config;
    uint64_t bytes_max = link->message_bytes_max;
    if (config->batch_bytes_max && config->batch_bytes_max < bytes_max)
        bytes_max = config->batch_bytes_max;
    return (struct batch_limits){.bytes_max = bytes_max,
                                 .count_max = config->batch_count_max,
                                 .linger_ns = worker->stopping ? 0 : config->linger_ms * CLOCK_NS_PER_MS};
}

static bool batch_begin(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits, int64_t now_ns)
{
    struct inflight *inflight = &worker->inflight;
    struct worker_link *link = &ws->link[domain];
    uint32_t buffers_max = worker->stream_count < BUFFERS_OF_ALL_STREAMS ? BUFFERS_OF_ALL_STREAMS / worker->stream_count : 1;
    int buffer = ws->buffer_count < buffers_max ? inflight_buffer_take(inflight, limits->bytes_max) : -EBUSY;
    if (buffer < 0)
        return false; /* a CONN_SENT gives one back */
    struct inflight_batch *ib = inflight_begin(inflight);
    if (!ib) {
        inflight_buffer_give(inflight, buffer);
        return false;
    }
    ib->buffer = buffer;
    ib->stream = ws->index;
    struct batch *batch = &ib->batch;
    int rc = batch_encode(&ws->feed, domain, limits, inflight->buffer[buffer].bytes, batch);
    if (rc == -EMSGSIZE)
        event_too_large(worker, ws, domain, batch, limits->bytes_max, now_ns);
    if (rc == 0 && batch->event_count == 0)
        feed_take(&ws->feed, domain, batch->taken_count, NULL, 0);
    if (rc == 0 && batch->event_count > 0)
        rc = conn_send(link->uplink->conn, link->id, ib->tag, CONN_FORMAT_BATCH, inflight->buffer[buffer].bytes, batch->encoded_len);
    if (rc != 0 || batch->event_count == 0) {
        inflight_end(inflight, ib);
        return false;
    }
    ws->buffer_count++;
    batch->sent_ns = clock_mono_ns();
    ring_hist_add(&ws->stream->words->read_to_send[worker->index], (uint64_t)(batch->sent_ns - batch->read_ns));
    feed_take(&ws->feed, domain, batch->taken_count, batch->cover, batch->cover_count);
    link->sending = true;
    link->used_ns = link->uplink->used_ns = now_ns;
    link->uplink->inflight_count++;
    ws->inflight_bytes += batch->encoded_len;
    order_none_add64(&ws->counters->batch_count, 1);
    order_none_add64(&ws->counters->batch_events, batch->event_count);
    order_none_add64(&ws->counters->batch_bytes, batch->encoded_len);
    order_none_store64(&ws->counters->inflight_bytes, ws->inflight_bytes);
    return true;
}

/* Nothing can deliver it as it is; it holds its domain, visibly, and is looked at again in case the limit changes. */
static void event_too_large(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch *batch, uint64_t limit,
                            int64_t now_ns)
{
    struct feed_domain *d = &ws->feed.domain[domain];
    const struct config_stream *config = ws->stream->config;
    const struct feed_ring *ring = &ws->feed.ring[batch->cover[0].slot];
    int64_t wait_ns = backoff_wait_ns(++d->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    d->hold_until_ns = now_ns + wait_ns;
    worker_timer(worker, d->hold_until_ns);
    log_line(LOG_ERROR, "batch", "event exceeds the link's maximum: it holds its domain",
             "stream=%s ring=%s pos=%llu payload_bytes=%llu limit_bytes=%llu domain=%u", config->name, ring_name(ring->lane.ring),
             (unsigned long long)batch->cover[0].first_pos, (unsigned long long)batch->payload_bytes, (unsigned long long)limit, domain);
}

void worker_batch_handed_over(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib)
{
    if (ib->buffer < 0)
        return;
    inflight_buffer_give(&worker->inflight, ib->buffer);
    ib->buffer = -1;
    ib->handed_ns = clock_mono_ns();
    ws->buffer_count--;
    ws->link[ib->batch.domain].sending = false;
}

/* Also of a batch that was judged before all of it had gone. */
static void batch_end(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib)
{
    worker_batch_handed_over(worker, ws, ib);
    ws->link[ib->batch.domain].uplink->inflight_count--;
    ws->inflight_bytes -= ib->batch.encoded_len;
    order_none_store64(&ws->counters->inflight_bytes, ws->inflight_bytes);
    inflight_end(&worker->inflight, ib);
}

void worker_batch_accepted(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib, int64_t now_ns)
{
    const struct batch *batch = &ib->batch;
    struct counters_words *words = ws->stream->words;
    int64_t wall_ns = clock_wall_ns();
    ring_hist_add(&words->send_to_accept[worker->index], (uint64_t)(now_ns > batch->sent_ns ? now_ns - batch->sent_ns : 0));
    for (uint32_t i = 0; i < batch->sample_count; i++) {
        int64_t commit_ns = batch->sample[i].commit_ns;
        uint64_t age_ns = wall_ns > commit_ns ? (uint64_t)(wall_ns - commit_ns) : 0;
        ring_hist_add(&words->commit_to_accept[worker->index], age_ns);
        feed_note_accepted(&ws->feed, batch->sample[i].slot, age_ns);
    }
    order_none_add64(&ws->counters->accepted_deliveries, 1);
    ws->link[batch->domain].failure_count = 0;
    ws->link[batch->domain].uplink->used_ns = now_ns;
    uplink_accepted(ws->link[batch->domain].uplink);
    feed_settle(&ws->feed, batch->domain, batch->cover, batch->cover_count, FEED_ACCEPTED);
    batch_end(worker, ws, ib);
}

void worker_batch_failed(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib, enum feed_failure failure,
                         int64_t hold_ns, int64_t now_ns)
{
    const struct batch *batch = &ib->batch;
    struct feed_domain *d = &ws->feed.domain[batch->domain];
    d->hold_until_ns = now_ns + hold_ns;
    worker_timer(worker, d->hold_until_ns);
    feed_fail(&ws->feed, batch->domain, batch->cover, batch->cover_count, failure);
    batch_end(worker, ws, ib);
}
