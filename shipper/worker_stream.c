/* One stream in one worker: its turn, and what its connection reports - links that come and go, outcomes of batches. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

#define BUSY_WAIT_NS (4 * CLOCK_NS_PER_SECOND) /* what the service asks for with server-busy */
#define SEND_ROUNDS_MAX 8
#define LINK_BYTES_UNTOLD (UINT64_C(1) << 20) /* a peer that names no limit */
#define LINK_BYTES_MAX (UINT64_C(64) << 20)   /* a peer that takes anything: buffers are not made as large as it says */

static void event_take(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns);
static void link_ready(struct worker_stream *ws, const struct conn_event *event);
static void link_ended(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns);
static void batch_sent(struct worker *worker, struct worker_stream *ws, uint64_t tag);
static void batch_settled(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns);
static void batches_lost(struct worker *worker, struct worker_stream *ws, int link_index, int64_t now_ns);
static void answers_check(struct worker *worker, struct worker_stream *ws, int64_t now_ns);
static void rings_leave(struct worker *worker, struct worker_stream *ws);

uint32_t worker_stream_turn(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    uint32_t met = feed_walk(&ws->feed, now_ns, clock_wall_ns());
    bool wanted = !worker->stopping || (now_ns < worker->stop_deadline_ns && !worker_stream_is_idle(ws));
    order_none_add64(&ws->counters->pass_count, 1);
    rings_leave(worker, ws);
    answers_check(worker, ws, now_ns);
    for (uint32_t d = ws->feed.active_count; d-- > 0;) { /* from the end: a refill may take its domain out of the list */
        const struct feed_domain *domain = &ws->feed.domain[ws->feed.active[d]];
        if (domain->behind_head != FEED_SLOT_NONE && domain->fifo_bytes < ws->feed.domain_bytes_max / 2 && now_ns >= domain->hold_until_ns)
            feed_refill(&ws->feed, ws->feed.active[d], now_ns);
    }
    worker_timer(worker, uplink_step(&ws->up, wanted, now_ns));
    for (int round = 0; round < SEND_ROUNDS_MAX; round++) { /* a send frees its buffer while it is pumped: the next one may begin */
        uint32_t begun = worker_stream_send(worker, ws, now_ns);
        uplink_pump(&ws->up, now_ns);
        if (worker_stream_events(worker, ws, now_ns) == 0 && begun == 0)
            break;
    }
    return met;
}

bool worker_stream_is_idle(const struct worker_stream *ws)
{
    return ws->feed.active_count == 0 && ws->inflight_bytes == 0 && feed_is_level(&ws->feed);
}

/* An attach or a delivery that is never answered would hold its domain for ever: a new connection asks again. Looked for once a second. */
static void answers_check(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    const char *owed = NULL;
    if (now_ns < ws->answers_check_ns || !uplink_is_ready(&ws->up))
        return;
    ws->answers_check_ns = now_ns + CLOCK_NS_PER_SECOND;
    for (uint32_t i = 0; i < INFLIGHT_BATCHES_MAX && !owed; i++) {
        const struct inflight_batch *batch = &worker->inflight.slot[i];
        if (batch->tag && batch->stream == ws->index && batch->handed_ns && now_ns - batch->handed_ns > WORKER_ANSWER_WAIT_NS)
            owed = "a batch was sent and not judged";
    }
    for (uint32_t i = 0; i <= RING_PARTITIONS_MAX && !owed; i++)
        if (ws->link[i].state == WORKER_LINK_OPENING && now_ns > ws->link[i].attach_until_ns)
            owed = "a link was opened and not answered";
    if (owed)
        uplink_restart(&ws->up, "the service owes an answer: the connection is made anew", owed, now_ns);
}

/* Rings that the main thread took back, and rings that were left out here: their slots are free once nothing names them. */
static void rings_leave(struct worker *worker, struct worker_stream *ws)
{
    for (uint32_t slot = 0; slot < ws->feed.ring_cap; slot++) {
        struct feed_ring *ring = &ws->feed.ring[slot];
        if (!ring->used || !ring->left_out)
            continue;
        struct shared_ring *shared = ring->owner;
        if (!ring->dropped || !feed_ring_gone(&ws->feed, slot))
            continue;
        feed_ring_free(&ws->feed, slot);
        if (order_count_add(&shared->users, -1) == 0) {
            uint64_t one = 1;
            if (write(worker->main_fd, &one, sizeof one) < 0) { /* full: it is awake */
            }
        }
    }
}

uint32_t worker_stream_events(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    struct conn_event event;
    uint32_t count = 0;
    for (; uplink_next_event(&ws->up, &event, now_ns); count++)
        event_take(worker, ws, &event, now_ns);
    return count;
}

static void event_take(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns)
{
    switch (event->kind) {
    case CONN_LINK_READY:
        link_ready(ws, event);
        return;
    case CONN_LINK_ENDED:
        link_ended(worker, ws, event, now_ns);
        return;
    case CONN_SENT:
        batch_sent(worker, ws, event->tag);
        return;
    case CONN_SETTLED:
        batch_settled(worker, ws, event, now_ns);
        return;
    case CONN_CLOSED:
        for (uint32_t i = 0; i <= RING_PARTITIONS_MAX; i++)
            worker_link_reset(&ws->link[i]);
        batches_lost(worker, ws, -1, now_ns);
        return;
    case CONN_LINK_CREDIT:
    case CONN_OPENED:
    case CONN_TOKEN:
    case CONN_HUB:
        return;
    }
}

void worker_link_reset(struct worker_link *link)
{
    link->state = WORKER_LINK_NONE;
    link->id = -1;
    link->sending = false;
}

int worker_link_find(const struct worker_stream *ws, int id)
{
    for (int i = 0; i <= (int)RING_PARTITIONS_MAX; i++)
        if (ws->link[i].state != WORKER_LINK_NONE && ws->link[i].id == id)
            return i;
    return -1;
}

static void link_ready(struct worker_stream *ws, const struct conn_event *event)
{
    int i = worker_link_find(ws, event->link);
    if (i < 0)
        return;
    ws->link[i].state = WORKER_LINK_READY;
    uint64_t bytes = event->message_bytes_max ? event->message_bytes_max : LINK_BYTES_UNTOLD;
    ws->link[i].message_bytes_max = bytes < LINK_BYTES_MAX ? bytes : LINK_BYTES_MAX;
    order_none_add64(&ws->counters->link_attach_count, 1);
    stream_tell_message_bytes_max(ws->stream, ws->link[i].message_bytes_max);
}

/* A link that was idle is detached after a while: normal life. With batches under way, or refused, it is worth a line and a wait. */
static void link_ended(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns)
{
    const struct config_stream *config = ws->stream->config;
    char quoted[600];
    int i = worker_link_find(ws, event->link);
    if (i < 0)
        return;
    struct worker_link *link = &ws->link[i];
    bool normal =
        strcmp(event->condition, "amqp:link:detach-forced") == 0 && !strstr(event->description, "Unauthorized access") && !link->sending;
    order_none_add64(&ws->counters->link_ended_count, 1);
    worker_link_reset(link);
    int64_t wait_ns = normal && link->failure_count == 0
                          ? 0
                          : backoff_wait_ns(link->failure_count + 1, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    link->failure_count++;
    link->hold_until_ns = now_ns + wait_ns;
    char where[24] = "hub";
    if (i > 0)
        snprintf(where, sizeof where, "%d", i - 1);
    log_line(normal ? LOG_INFO : LOG_WARN, "link", normal ? "link detached by the service" : "link refused or lost",
             "stream=%s worker=%u hub=%s partition=%s condition=%s retry_ms=%lld reason=%s", config->name, worker->index, config->hub,
             where, event->condition[0] ? event->condition : "-", (long long)(wait_ns / CLOCK_NS_PER_MS),
             log_quote(quoted, sizeof quoted, event->description));
    batches_lost(worker, ws, i, now_ns);
    if (strstr(event->description, "Unauthorized access"))
        uplink_restart(&ws->up, "the service withdrew the authorisation: a new token is needed", event->condition, now_ns);
}

/* All batches of a link (or of all links, -1) have an unknown outcome. */
static void batches_lost(struct worker *worker, struct worker_stream *ws, int link_index, int64_t now_ns)
{
    const struct config_stream *config = ws->stream->config;
    for (uint32_t i = 0; i < INFLIGHT_BATCHES_MAX; i++) {
        struct inflight_batch *batch = &worker->inflight.slot[i];
        if (batch->tag == 0 || batch->stream != ws->index || (link_index >= 0 && batch->link != link_index))
            continue;
        order_none_add64(&ws->counters->unknown_deliveries, 1);
        uint32_t failures = ws->feed.domain[batch->batch.domain].failure_count;
        int64_t hold_ns = failures ? backoff_wait_ns(failures, config->retry_backoff_ms, config->retry_backoff_max_seconds) : 0;
        worker_batch_failed(worker, ws, batch, FEED_MAYBE_DELIVERED, hold_ns, now_ns);
    }
}

static void batch_sent(struct worker *worker, struct worker_stream *ws, uint64_t tag)
{
    struct inflight_batch *batch = inflight_find(&worker->inflight, tag);
    if (batch)
        worker_batch_handed_over(worker, ws, batch);
}

static void batch_settled(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns)
{
    const struct config_stream *config = ws->stream->config;
    struct inflight_batch *batch = inflight_find(&worker->inflight, event->tag);
    const char *outcome = NULL;
    char quoted[600];
    if (!batch)
        return;
    switch (event->outcome) {
    case CONN_ACCEPTED:
        worker_batch_accepted(worker, ws, batch, now_ns);
        return;
    case CONN_REJECTED:
        outcome = "rejected";
        order_none_add64(&ws->counters->rejected_deliveries, 1);
        break;
    case CONN_RELEASED:
        outcome = "released";
        order_none_add64(&ws->counters->released_deliveries, 1);
        break;
    case CONN_MODIFIED:
        outcome = "modified";
        order_none_add64(&ws->counters->modified_deliveries, 1);
        break;
    }
    const struct feed_domain *domain = &ws->feed.domain[batch->batch.domain];
    int64_t hold_ns = backoff_wait_ns(domain->failure_count + 1, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    if (strcmp(event->condition, "com.microsoft:server-busy") == 0 && hold_ns < BUSY_WAIT_NS)
        hold_ns = BUSY_WAIT_NS;
    log_line(LOG_WARN, "batch", "batch was not accepted, it is sent again",
             "stream=%s domain=%u outcome=%s condition=%s events=%u bytes=%u attempt=%u retry_ms=%lld reason=%s", config->name,
             batch->batch.domain, outcome, event->condition[0] ? event->condition : "-", batch->batch.event_count, batch->batch.encoded_len,
             domain->failure_count + 1, (long long)(hold_ns / CLOCK_NS_PER_MS), log_quote(quoted, sizeof quoted, event->description));
    bool unknown = strcmp(event->condition, "com.microsoft:timeout") == 0;
    worker_batch_failed(worker, ws, batch, unknown ? FEED_MAYBE_DELIVERED : FEED_NOT_DELIVERED, hold_ns, now_ns);
}
