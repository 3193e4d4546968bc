/* One stream in one worker: its turn, and what its connections report of batches. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

#define SEND_ROUNDS_MAX 8
#define LIST_EVENTS_MIN 64u
#define REFILL_RECORDS 32768u /* looked at in a turn for domains that are behind: a millisecond or two */

static void event_take(struct worker *worker, struct worker_stream *ws, struct uplink *up, const struct conn_event *event, int64_t now_ns);
static void batch_sent(struct worker *worker, struct worker_stream *ws, uint64_t tag);
static void batch_settled(struct worker *worker, struct worker_stream *ws, const struct conn_event *event, int64_t now_ns);
static void answers_check(struct worker *worker, struct worker_stream *ws, int64_t now_ns);
static void broker_owes(struct worker_stream *ws, const struct inflight_batch *batch, int64_t now_ns);
static void lists_refill(struct worker *worker, struct worker_stream *ws, int64_t now_ns);
static uint32_t rings_pass(struct worker *worker, struct worker_stream *ws, int64_t now_ns);
static bool is_wanted(const struct worker *worker, const struct worker_stream *ws, int64_t now_ns);
static void gauges_store(struct worker_stream *ws, int64_t now_ns);
static void rings_leave(struct worker *worker, struct worker_stream *ws);

uint32_t worker_stream_turn(struct worker *worker, struct worker_stream *ws, bool pass, int64_t now_ns)
{
    uint32_t met = 0;
    if (pass)
        met = rings_pass(worker, ws, now_ns);
    answers_check(worker, ws, now_ns);
    lists_refill(worker, ws, now_ns);
    gauges_store(ws, now_ns);
    worker_links_make_room(ws, now_ns);
    worker_timer(worker, pool_step(&ws->pool, is_wanted(worker, ws, now_ns), now_ns));
    for (uint32_t i = 0; i < ws->pool.size; i++) /* what the steps have lost: its links have no connection to ask for credit */
        worker_uplink_events(worker, ws, &ws->pool.uplink[i], now_ns);
    for (int round = 0; round < SEND_ROUNDS_MAX; round++) { /* a send frees its buffer while it is pumped: the next one may begin */
        uint32_t done = worker_stream_send(worker, ws, now_ns);
        for (uint32_t i = 0; i < ws->pool.size; i++) {
            uplink_pump(&ws->pool.uplink[i], now_ns);
            done += worker_uplink_events(worker, ws, &ws->pool.uplink[i], now_ns);
        }
        if (done == 0)
            break;
    }
    return met;
}

static uint32_t rings_pass(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    int64_t begun_ns = clock_mono_ns();
    uint32_t met = feed_walk(&ws->feed, now_ns, clock_wall_ns());
    worker->walk_ns += clock_mono_ns() - begun_ns;
    order_none_add64(&ws->counters->pass_count, 1);
    rings_leave(worker, ws);
    return met;
}

/* For a limited time: long rings that many domains are behind in are walked over several turns, each of which goes on with the next domain.
 * From the end: a refill may take its domain out of the list. */
static void lists_refill(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    struct feed *feed = &ws->feed;
    feed->refill_left = REFILL_RECORDS;
    for (uint32_t left = feed->active_count; left > 0 && feed->active_count > 0 && feed->refill_left > 0; left--) {
        ws->refill_turn = (ws->refill_turn > 0 && ws->refill_turn < feed->active_count ? ws->refill_turn : feed->active_count) - 1;
        uint32_t domain = feed->active[ws->refill_turn];
        if (feed_wants_refill(feed, domain) && now_ns >= feed->domain[domain].hold_until_ns)
            feed_refill(feed, domain, now_ns);
    }
    if (feed->refill_left > 0)
        return;
    worker->idle_passes = 0;
    worker_timer(worker, now_ns);
}

/* A connection is wanted for events, and once at the start: for the hub's partitions, and so that what is wrong shows at once. */
static bool is_wanted(const struct worker *worker, const struct worker_stream *ws, int64_t now_ns)
{
    if (ws->closing)
        return false;
    if (worker->stopping)
        return now_ns < worker->stop_deadline_ns && !worker_stream_is_idle(ws);
    return ws->feed.active_count > 0 || !ws->pool.health.was_ready;
}

void worker_stream_set_quota(struct worker_stream *ws, uint32_t worker_count)
{
    uint32_t units = ws->setup->config.throughput_units;
    uint64_t events = (uint64_t)units * QUOTA_UNIT_BYTES / QUOTA_EVENT_BYTES / worker_count;
    struct quota fresh;
    quota_init(&fresh, units, worker_count);
    quota_set_rate(&ws->quota, fresh.rate_bytes_per_second); /* what it owes it still owes */
    ws->feed.domain_count_max = units == 0 || events > UINT32_MAX ? UINT32_MAX
                                : events > LIST_EVENTS_MIN        ? (uint32_t)events
                                                                  : LIST_EVENTS_MIN;
}

/* Waiting and slowed-down partitions, looked at once a second. */
static void gauges_store(struct worker_stream *ws, int64_t now_ns)
{
    uint64_t held = 0, paced = 0;
    if (now_ns < ws->gauges_at_ns)
        return;
    ws->gauges_at_ns = now_ns + CLOCK_NS_PER_SECOND;
    for (uint32_t i = 0; i < ws->feed.active_count; i++) {
        uint32_t domain = ws->feed.active[i];
        held += ws->feed.domain[domain].hold_until_ns > now_ns;
        paced += pace_is_limited(&ws->link[domain].pace);
    }
    order_none_store64(&ws->counters->held_domains, held);
    order_none_store64(&ws->counters->paced_domains, paced);
}

bool worker_stream_is_idle(const struct worker_stream *ws)
{
    return ws->feed.active_count == 0 && ws->inflight_bytes == 0 && feed_is_level(&ws->feed);
}

/* An attach or a delivery that is never answered would hold its domain for ever: a new connection asks again. Looked for once a second. */
static void answers_check(struct worker *worker, struct worker_stream *ws, int64_t now_ns)
{
    static const char what[] = "the service owes an answer: the connection is made anew";
    const struct outcome outcome = outcome_of(OUTCOME_CLOSE, 0, NULL, NULL);
    if (now_ns < ws->answers_check_ns || !pool_is_ready(&ws->pool))
        return;
    ws->answers_check_ns = now_ns + CLOCK_NS_PER_SECOND;
    for (uint32_t i = 0; i < INFLIGHT_BATCHES_MAX; i++) {
        const struct inflight_batch *batch = &worker->inflight.slot[i];
        if (!batch->tag || batch->stream != ws->index || !batch->handed_ns || now_ns - batch->handed_ns <= WORKER_ANSWER_WAIT_NS ||
            !uplink_is_ready(ws->link[batch->batch.domain].uplink)) /* lost just now for another one */
            continue;
        if (batch->is_run)
            broker_owes(ws, batch, now_ns);
        else
            uplink_restart(ws->link[batch->batch.domain].uplink, &outcome, what, "a batch was sent and not judged", now_ns);
    }
    for (uint32_t d = 0; d < RING_DOMAINS_MAX; d++) {
        const struct worker_link *link = &ws->link[d];
        if (link->state != WORKER_LINK_OPENING || now_ns <= link->attach_until_ns || !uplink_is_ready(link->uplink))
            continue;
        bool may_be_blocked = link->uplink->setup->config.door.type == DOOR_AMQP && link->uplink->inflight_count > 0;
        if (!may_be_blocked)
            uplink_restart(link->uplink, &outcome, what, "a link was opened and not answered", now_ns);
    }
}

/* A broker that is short of memory or disk stops reading from those who publish, for as long as it takes: what it has of a run it stores
 * afterwards, so another connection would only send it twice. One that is dead is noticed by its silence. */
static void broker_owes(struct worker_stream *ws, const struct inflight_batch *batch, int64_t now_ns)
{
    if (now_ns < ws->owes_told_ns + WORKER_ANSWER_WAIT_NS && ws->owes_told_ns)
        return;
    ws->owes_told_ns = now_ns;
    log_line(LOG_WARN, "batch", "the broker has not judged what was sent: it may have stopped publishers for want of memory or disk",
             "stream=%s domain=%u events=%u accepted=%u seconds=%lld", ws->setup->config.name, batch->batch.domain,
             batch->batch.event_count, ws->link[batch->batch.domain].run.accepted_count,
             (long long)((now_ns - batch->handed_ns) / CLOCK_NS_PER_SECOND));
}

/* Rings that the main thread took back, and rings that were left out here: their slots are free once nothing names them. */
static void rings_leave(struct worker *worker, struct worker_stream *ws)
{
    for (uint32_t slot = 0; slot < ws->feed.ring_cap; slot++) {
        struct feed_ring *ring = &ws->feed.ring[slot];
        struct shared_ring *shared = ring->owner;
        if (!ring->used || !ring->dropped || !feed_ring_gone(&ws->feed, slot))
            continue;
        feed_ring_free(&ws->feed, slot);
        if (order_count_add(&shared->users, -1) == 0) {
            uint64_t one = 1;
            if (write(worker->shared->main_fd, &one, sizeof one) < 0) { /* full: it is awake */
            }
        }
    }
}

uint32_t worker_uplink_events(struct worker *worker, struct worker_stream *ws, struct uplink *up, int64_t now_ns)
{
    struct conn_event event;
    uint32_t count = 0;
    for (; uplink_next_event(up, &event, now_ns); count++)
        event_take(worker, ws, up, &event, now_ns);
    return count;
}

static void event_take(struct worker *worker, struct worker_stream *ws, struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    switch (event->kind) {
    case CONN_LINK_READY:
        worker_link_attached(ws, up, event, now_ns);
        return;
    case CONN_LINK_ENDED:
        worker_link_ended(worker, ws, up, event, now_ns);
        return;
    case CONN_SENT:
        batch_sent(worker, ws, event->tag);
        return;
    case CONN_PROGRESS:
        worker_run_progress(worker, ws, event);
        return;
    case CONN_SETTLED:
        batch_settled(worker, ws, event, now_ns);
        return;
    case CONN_LINK_CREDIT:
        up->has_credit = true;
        return;
    case CONN_CLOSED:
        worker_links_lost(worker, ws, up, now_ns);
        return;
    case CONN_OPENED:
    case CONN_TOKEN:
    case CONN_HUB:
        return;
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
    struct inflight_batch *batch = inflight_find(&worker->inflight, event->tag);
    if (batch)
        worker_batch_judged(worker, ws, batch, event, now_ns);
}
