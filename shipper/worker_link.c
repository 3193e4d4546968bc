/* The links of a stream in one worker: one per domain that has something to send, on which connection, opened, moved, given up, lost. */
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "ringbuf/ring_route.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/conn_outcome.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

#define LINK_BYTES_UNTOLD (UINT64_C(1) << 20) /* a peer that names no limit */
#define PLACE_WAIT_NS (10 * CLOCK_NS_PER_MS)  /* what gives a link free mostly wakes the worker itself */
#define TURN_NS_MAX CLOCK_NS_PER_SECOND       /* a link without credit, or that waits for its pace, has had its turn */
#define LINK_BYTES_MAX (UINT64_C(64) << 20)   /* a peer that takes anything: buffers are not made as large as it says */

static void link_open(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns);
static void link_evict_one(struct worker_stream *ws, int64_t now_ns);
static bool link_may_go(const struct worker_stream *ws, uint32_t domain, int64_t now_ns);
static void link_let_go(struct worker_link *link);
static void ended_log(const struct worker *worker, const struct worker_stream *ws, uint32_t domain, const struct conn_event *event,
                      const struct outcome *outcome, int64_t wait_ns);

bool worker_link_is_ready(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns)
{
    struct worker_link *link = &ws->link[domain];
    if (link->state == WORKER_LINK_READY && !ws->feed.domain[domain].inflight && pool_wants_move(&ws->pool, link->uplink, now_ns)) {
        order_none_add64(&ws->counters->link_moved_count, 1);
        worker_link_close(ws, domain);
    }
    switch (link->state) {
    case WORKER_LINK_READY:
        return true;
    case WORKER_LINK_OPENING:
        return false;
    case WORKER_LINK_NONE:
        break;
    }
    if (now_ns < link->hold_until_ns)
        worker_timer(worker, link->hold_until_ns);
    else
        link_open(worker, ws, domain, now_ns);
    return false;
}

static void link_open(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns)
{
    const struct config_stream *config = &ws->setup->config;
    struct worker_link *link = &ws->link[domain];
    uint32_t partition = config->door.type == DOOR_AMQP ? RING_PARTITION_NONE : ring_domain_partition(domain);
    char address[320];
    struct uplink *up = pool_place(&ws->pool);
    if (!up) {
        worker_timer(worker, now_ns + PLACE_WAIT_NS);
        return; /* the pool's next step looks for a connection */
    }
    if (partition == RING_PARTITION_NONE)
        snprintf(address, sizeof address, "%s", config->door.hub);
    else
        snprintf(address, sizeof address, "%s/Partitions/%u", config->door.hub, partition);
    link->id = conn_link_open(up->conn, address);
    if (link->id < 0) {
        link->hold_until_ns = now_ns + backoff_wait_ns(++link->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
        worker_timer(worker, link->hold_until_ns);
        log_line(LOG_WARN, "link", "no further link on this connection", "stream=%s address=%s links=%u error=\"%s\"", config->name,
                 address, up->link_count, strerror(-link->id));
        return;
    }
    link->uplink = up;
    up->link_count++;
    link->state = WORKER_LINK_OPENING;
    link->attach_until_ns = now_ns + WORKER_ANSWER_WAIT_NS;
    log_line(LOG_DEBUG, "link", "link begun", "stream=%s worker=%u address=%s links=%u", config->name, worker->index, address,
             up->link_count);
}

void worker_links_make_room(struct worker_stream *ws, int64_t now_ns)
{
    if (!pool_is_exhausted(&ws->pool, now_ns))
        return;
    if (!ws->pool.limit_told && now_ns >= ws->pool.health.retry_at_ns) {
        ws->pool.limit_told = true;
        log_line(LOG_WARN, "pool", "fewer links than partitions in use: they take turns; raise client_limit or max_size",
                 "stream=%s client_limit=%u connections=%u", ws->setup->config.name, ws->setup->config.client_limit, ws->pool.size);
    }
    link_evict_one(ws, now_ns);
}

/* The link that was used longest ago and has nothing in flight makes room for a domain without one. */
static void link_evict_one(struct worker_stream *ws, int64_t now_ns)
{
    uint32_t oldest = RING_DOMAINS_MAX;
    for (uint32_t d = 0; d < RING_DOMAINS_MAX; d++) {
        if (link_may_go(ws, d, now_ns) && (oldest == RING_DOMAINS_MAX || ws->link[d].used_ns < ws->link[oldest].used_ns))
            oldest = d;
    }
    if (oldest < RING_DOMAINS_MAX)
        worker_link_close(ws, oldest);
}

/* One that was attached for events that wait has its turn first, or links would be attached for ever and nothing be sent. */
static bool link_may_go(const struct worker_stream *ws, uint32_t domain, int64_t now_ns)
{
    const struct worker_link *link = &ws->link[domain];
    const struct feed_domain *d = &ws->feed.domain[domain];
    if (link->state != WORKER_LINK_READY || d->inflight)
        return false;
    bool has_had_turn = link->used_ns >= link->ready_ns || now_ns - link->ready_ns >= TURN_NS_MAX;
    return has_had_turn || d->fifo.count == 0 || now_ns < d->hold_until_ns;
}

void worker_link_close(struct worker_stream *ws, uint32_t domain)
{
    struct worker_link *link = &ws->link[domain];
    if (link->state == WORKER_LINK_NONE)
        return;
    conn_link_close(link->uplink->conn, link->id);
    link_let_go(link);
}

/* Its domain has no link any more; what the connection still says of the old one is not for it. */
static void link_let_go(struct worker_link *link)
{
    if (link->state != WORKER_LINK_NONE)
        link->uplink->link_count--;
    link->state = WORKER_LINK_NONE;
    link->uplink = NULL;
    link->id = -1;
    link->sending = false;
}

int worker_link_find(const struct worker_stream *ws, const struct uplink *up, int id)
{
    for (int d = 0; d < (int)RING_DOMAINS_MAX; d++)
        if (ws->link[d].state != WORKER_LINK_NONE && ws->link[d].uplink == up && ws->link[d].id == id)
            return d;
    return -1;
}

void worker_link_attached(struct worker_stream *ws, const struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    int domain = worker_link_find(ws, up, event->link);
    if (domain < 0)
        return;
    struct worker_link *link = &ws->link[domain];
    uint64_t untold = ws->setup->config.door.type == DOOR_AMQP ? LINK_BYTES_MAX : LINK_BYTES_UNTOLD;
    uint64_t bytes = event->message_bytes_max ? event->message_bytes_max : untold, learned = ws->pool.health.message_bytes_max;
    if (learned && learned < bytes)
        bytes = learned;
    link->state = WORKER_LINK_READY;
    link->ready_ns = now_ns;
    ws->pool.health.token_renewed = false; /* the new token is good for sending */
    link->no_partition = false;
    link->message_bytes_max = bytes < LINK_BYTES_MAX ? bytes : LINK_BYTES_MAX;
    order_none_add64(&ws->counters->link_attach_count, 1);
    stream_tell_message_bytes_max(ws->stream, link->message_bytes_max);
}

/* A link that was idle is detached after a while: normal life. The table tells it from what is worth a line and a wait. */
void worker_link_ended(struct worker *worker, struct worker_stream *ws, struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    const struct config_stream *config = &ws->setup->config;
    int domain = worker_link_find(ws, up, event->link);
    if (domain < 0)
        return;
    struct worker_link *link = &ws->link[domain];
    struct outcome outcome = conn_event_outcome(up->setup->config.door.type, event);
    uplink_name_role(ws->setup, &outcome);
    if (ws->pool.health.token_renewed)
        outcome = outcome_after_new_token(outcome);
    order_none_add64(&ws->counters->link_ended_count, 1);
    int64_t wait_ns = backoff_outcome_ns(&outcome, link->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    link->failure_count += !(outcome.action == OUTCOME_THROTTLE);
    link->hold_until_ns = now_ns + wait_ns;
    link->no_partition = event->place == OUTCOME_ATTACH && outcome.action == OUTCOME_HOLD && config->door.type != DOOR_AMQP;
    ended_log(worker, ws, (uint32_t)domain, event, &outcome, wait_ns);
    worker_batches_lost(worker, ws, (uint32_t)domain, now_ns);
    link_let_go(link);
    if (outcome.action == OUTCOME_THROTTLE)
        worker_throttled(ws, (uint32_t)domain, wait_ns, now_ns);
    if (outcome.counts_as_failure)
        uplink_health_failed(&ws->pool.health, ws->counters, ws->setup->config.name, wait_ns, now_ns);
    if (outcome.action == OUTCOME_RENEW_TOKEN)
        uplink_restart(up, &outcome, "the service withdrew the authorisation: a new token is needed", event->condition, now_ns);
    if (outcome.action == OUTCOME_RECONNECT)
        uplink_restart(up, &outcome, "the service asks for another connection", event->condition, now_ns);
}

static void ended_log(const struct worker *worker, const struct worker_stream *ws, uint32_t domain, const struct conn_event *event,
                      const struct outcome *outcome, int64_t wait_ns)
{
    const struct config_stream *config = &ws->setup->config;
    char quoted[600], remedy[300] = "-", where[24] = "hub";
    if (ring_domain_partition(domain) != RING_PARTITION_NONE)
        snprintf(where, sizeof where, "%u", ring_domain_partition(domain));
    if (outcome->remedy)
        log_quote(remedy, sizeof remedy, outcome->remedy);
    log_line(outcome->normal ? LOG_INFO : LOG_WARN, "link", outcome->normal ? "link detached by the service" : "link refused or lost",
             "stream=%s worker=%u hub=%s partition=%s condition=%s action=%s retry_ms=%lld reason=%s remedy=%s", config->name,
             worker->index, config->door.hub, where, event->condition[0] ? event->condition : "-", outcome_action_name(outcome->action),
             (long long)(wait_ns / CLOCK_NS_PER_MS), log_quote(quoted, sizeof quoted, event->description), remedy);
}

void worker_links_lost(struct worker *worker, struct worker_stream *ws, const struct uplink *up, int64_t now_ns)
{
    for (uint32_t d = 0; d < RING_DOMAINS_MAX; d++) {
        if (ws->link[d].state == WORKER_LINK_NONE || ws->link[d].uplink != up)
            continue;
        worker_batches_lost(worker, ws, d, now_ns);
        link_let_go(&ws->link[d]);
    }
}
