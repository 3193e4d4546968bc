/* The outgoing half of a stream in one worker: which domain is due, over which link, sealed, encoded, begun; and how a batch ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/worker_internal.h"

#define BUFFERS_OF_ALL_WORKERS 24u /* so that more workers do not mean more memory */
#define BUFFERS_MIN 2u             /* of one worker */
#define BUFFERS_MAX 6u
#define BATCHES_SHARED (INFLIGHT_BATCHES_MAX / 2u) /* of a worker's, among its streams */

/* Half-sent batches of one connection: while these go out the next ones fill. A small one need not wait for them. */
#define SENDING_MAX 2u
#define SENDING_BYTES_SMALL CONN_PIECE_BYTES
#define RUN_BYTES_USUAL (UINT64_C(1) << 20)        /* of all messages together; one that is larger goes alone */
#define BATCH_BYTES_PACED_MIN (UINT64_C(16) << 10) /* a slow pace is kept by waiting, not by batches smaller than this */

static bool domain_try_send(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns);
static uint32_t letter_count_max(const struct worker_stream *ws, uint32_t domain, enum deadletter_reason reason);
static struct batch_limits limits_of(const struct worker *worker, const struct worker_stream *ws, uint32_t domain);
static bool may_go(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits, int64_t now_ns);
static bool batch_begin(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits,
                        int64_t now_ns);
static bool event_too_large(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits,
                            uint64_t payload_bytes, int64_t now_ns);

uint32_t worker_stream_send(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    uint32_t begun = 0, count = ws->feed.active_count;
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
    enum deadletter_reason reason;
    if (worker_letter_is_due(worker, ws, domain, now_ns, &reason))
        return worker_letter_begin(worker, ws, domain, reason, letter_count_max(ws, domain, reason), now_ns);
    if (!pool_is_ready(&ws->pool) || !worker_link_is_ready(worker, ws, domain, now_ns))
        return false;
    const struct worker_link *link = &ws->link[domain];
    struct batch_limits limits = limits_of(worker, ws, domain);
    if (batch_seal_reason(d, &limits, now_ns) == BATCH_SEAL_NOT_YET) {
        worker_linger_timer(worker, batch_seal_time_ns(d, &limits));
        return false;
    }
    bool must_wait = link->uplink->sending_count >= SENDING_MAX && d->fifo_bytes > SENDING_BYTES_SMALL;
    if (link->sending || must_wait || conn_link_credit(link->uplink->conn, link->id) == 0)
        return false; /* CONN_SENT or credit comes as an event */
    if (!may_go(worker, ws, domain, &limits, now_ns))
        return false;
    uint64_t share = ws->setup->config.inflight_bytes_max / worker->shared->worker_count;
    if (ws->inflight_bytes > 0 && ws->inflight_bytes + limits.bytes_max > share)
        return false;
    return batch_begin(worker, ws, domain, &limits, now_ns);
}

/* One event that stands alone, or all there are of a partition that does not exist, or too old. */
static uint32_t letter_count_max(const struct worker_stream *ws, uint32_t domain, enum deadletter_reason reason)
{
    return reason == DEADLETTER_AGE || reason == DEADLETTER_NO_PARTITION ? UINT32_MAX : feed_suspect_count(&ws->feed, domain);
}

static struct batch_limits limits_of(const struct worker *worker, const struct worker_stream *ws, uint32_t domain)
{
    const struct config_stream *config = &ws->setup->config;
    uint64_t bytes_max = ws->link[domain].message_bytes_max;
    uint32_t part = feed_suspect_part(&ws->feed, domain), count_max = config->batch_count_max;
    bool is_run = config->door.type == DOOR_AMQP;
    if (is_run && bytes_max > RUN_BYTES_USUAL)
        bytes_max = RUN_BYTES_USUAL;
    if (config->batch_bytes_max && config->batch_bytes_max < bytes_max)
        bytes_max = config->batch_bytes_max;
    if (is_run && (count_max == 0 || config->window_events < count_max))
        count_max = config->window_events;
    uint32_t paced = pace_batch_events(&ws->link[domain].pace);
    uint64_t paced_bytes = pace_batch_bytes(&ws->link[domain].pace);
    if (paced < UINT32_MAX && (count_max == 0 || paced < count_max))
        count_max = paced;
    if (part && (count_max == 0 || part < count_max))
        count_max = part;
    if (paced_bytes < bytes_max)
        bytes_max = paced_bytes > BATCH_BYTES_PACED_MIN ? paced_bytes : BATCH_BYTES_PACED_MIN;
    return (struct batch_limits){
        .bytes_max = bytes_max, .count_max = count_max, .linger_ns = worker->stopping || part ? 0 : config->linger_ms * CLOCK_NS_PER_MS};
}

/* What the hub and the configuration allow at this moment: circuit, pace of the partition, quota. */
static bool may_go(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits, int64_t now_ns)
{
    const struct circuit *circuit = &ws->pool.health.circuit;
    const struct feed_domain *d = &ws->feed.domain[domain];
    uint64_t bytes = d->fifo_bytes < limits->bytes_max ? d->fifo_bytes : limits->bytes_max;
    uint32_t events = (uint32_t)(d->fifo.count * bytes / d->fifo_bytes);
    if (!circuit_allows(circuit, now_ns)) {
        worker_timer(worker, circuit_next_ns(circuit));
        return false;
    }
    int64_t pace_ns = pace_wait_ns(&ws->link[domain].pace, now_ns, bytes, events);
    int64_t quota_ns = quota_wait_ns(&ws->quota, now_ns, bytes, events);
    int64_t wait_ns = pace_ns > quota_ns ? pace_ns : quota_ns;
    if (wait_ns > 0)
        worker_timer(worker, now_ns + wait_ns);
    return wait_ns == 0;
}

/* A worker's buffers are shared out to its streams, one at least: a hub that stands still with all of its share half-sent stops no other.
 */
static uint32_t buffers_max(const struct worker *worker)
{
    uint32_t all = BUFFERS_OF_ALL_WORKERS / worker->shared->worker_count;
    all = all < BUFFERS_MIN ? BUFFERS_MIN : all > BUFFERS_MAX ? BUFFERS_MAX : all;
    return worker->stream_count < all ? all / worker->stream_count : 1;
}

/* Likewise the table of batches: half of it is shared out, the rest is for whoever comes first. A hub that answers nothing that it has of
 * many partitions stops no other. */
static bool has_place(const struct worker *worker, const struct worker_stream *ws)
{
    uint32_t share = BATCHES_SHARED / worker->stream_count, kept = 0;
    if (worker->inflight.count < INFLIGHT_BATCHES_MAX - BATCHES_SHARED || ws->batch_count < share)
        return true;
    for (uint32_t s = 0; s < worker->stream_count; s++)
        if (worker->stream[s]->batch_count < share)
            kept += share - worker->stream[s]->batch_count;
    return worker->inflight.count + kept < INFLIGHT_BATCHES_MAX;
}

static bool batch_begin(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits, int64_t now_ns)
{
    struct inflight *inflight = &worker->inflight;
    struct worker_link *link = &ws->link[domain];
    if (!has_place(worker, ws))
        return false; /* a settlement gives one back */
    int buffer = ws->buffer_count < buffers_max(worker) ? inflight_buffer_take(inflight, limits->bytes_max) : -EBUSY;
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
    ib->is_run = ws->setup->config.door.type == DOOR_AMQP;
    uint8_t *bytes = inflight->buffer[buffer].bytes;
    int rc = ib->is_run ? worker_run_encode(ws, domain, limits, bytes, batch) : batch_encode(&ws->feed, domain, limits, bytes, batch);
    if (rc == 0 && batch->event_count == 0)
        feed_take(&ws->feed, domain, batch->taken_count, NULL, 0);
    if (rc == 0 && batch->event_count > 0 && ib->is_run)
        rc = conn_send_run(link->uplink->conn, link->id, ib->tag, bytes, link->run.lens, batch->event_count);
    else if (rc == 0 && batch->event_count > 0)
        rc = conn_send(link->uplink->conn, link->id, ib->tag, CONN_FORMAT_BATCH, bytes, batch->encoded_len);
    if (rc != 0 || batch->event_count == 0) {
        uint64_t payload_bytes = batch->payload_bytes;
        inflight_end(inflight, ib);
        return rc == -EMSGSIZE && event_too_large(worker, ws, domain, limits, payload_bytes, now_ns);
    }
    ws->batch_count++;
    ws->buffer_count++;
    batch->sent_ns = clock_mono_ns();
    ring_hist_add(&ws->stream->words->read_to_send[worker->index], (uint64_t)(batch->sent_ns - batch->read_ns));
    feed_take(&ws->feed, domain, batch->taken_count, batch->cover, batch->cover_count);
    link->sending = true;
    link->uplink->sending_count++;
    link->used_ns = link->uplink->used_ns = now_ns;
    link->uplink->inflight_count++;
    circuit_begin(&ws->pool.health.circuit);
    pace_charge(&link->pace, now_ns, batch->encoded_len, batch->event_count);
    quota_charge(&ws->quota, now_ns, batch->encoded_len, batch->event_count);
    ws->inflight_bytes += batch->encoded_len;
    order_none_add64(&ws->counters->batch_count, 1);
    order_none_add64(&ws->counters->batch_events, batch->event_count);
    order_none_add64(&ws->counters->batch_bytes, batch->encoded_len);
    order_none_store64(&ws->counters->inflight_bytes, ws->inflight_bytes);
    order_none_add64(&ws->counters->inflight_events, batch->event_count);
    return true;
}

/* One that only batch_bytes_max is too small for goes alone; one that its link does not take becomes a dead letter. */
static bool event_too_large(struct worker *worker, struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits,
                            uint64_t payload_bytes, int64_t now_ns)
{
    struct worker_link *link = &ws->link[domain];
    char text[128];
    if (limits->bytes_max < link->message_bytes_max) {
        const struct batch_limits alone = {.bytes_max = link->message_bytes_max, .count_max = 1};
        return batch_begin(worker, ws, domain, &alone, now_ns);
    }
    snprintf(text, sizeof text, "event of %llu bytes exceeds the link's maximum of %llu", (unsigned long long)payload_bytes,
             (unsigned long long)limits->bytes_max);
    if (!link->verdict || strcmp(link->verdict->description, text) != 0) /* once, however long it waits for its letter */
        worker_verdict_note(link, "", text);
    return worker_letter_begin(worker, ws, domain, DEADLETTER_TOO_LARGE, 1, now_ns);
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
    ws->link[ib->batch.domain].uplink->sending_count--;
}

void worker_batch_end(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib)
{
    worker_batch_handed_over(worker, ws, ib);
    ws->link[ib->batch.domain].uplink->inflight_count--;
    ws->batch_count--;
    ws->inflight_bytes -= ib->batch.encoded_len;
    order_none_store64(&ws->counters->inflight_bytes, ws->inflight_bytes);
    order_none_add64(&ws->counters->inflight_events, 0 - (uint64_t)ib->batch.event_count);
    inflight_end(&worker->inflight, ib);
}
