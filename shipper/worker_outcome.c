/* What becomes of a batch: accepted, refused, throttled, split, lost. Asks the table of outcomes and does what it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/conn_outcome.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

static const char *outcome_note(struct worker_stream *ws, const struct conn_event *event);
static bool batch_split(struct worker_stream *ws, const struct inflight_batch *ib, const struct outcome *outcome);
static const char *judged_text(const struct inflight_batch *ib, bool split);
static int64_t hold_ns_of(const struct worker_stream *ws, uint32_t domain, const struct outcome *outcome, bool split);
static void connection_follow(struct worker_stream *ws, uint32_t domain, const struct outcome *outcome, const char *condition,
                              int64_t now_ns);

void worker_batch_accepted(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib, int64_t now_ns)
{
    const struct batch *batch = &ib->batch;
    struct worker_link *link = &ws->link[batch->domain];
    struct counters_words *words = ws->stream->words;
    int64_t wall_ns = clock_wall_ns();
    ring_hist_add(&words->send_to_accept[worker->index], (uint64_t)(now_ns > batch->sent_ns ? now_ns - batch->sent_ns : 0));
    for (uint32_t i = 0; i < batch->sample_count; i++) {
        int64_t commit_ns = batch->sample[i].commit_ns;
        uint64_t age_ns = wall_ns > commit_ns ? (uint64_t)(wall_ns - commit_ns) : 0;
        ring_hist_add(&words->commit_to_accept[worker->index], age_ns);
        feed_note_accepted(&ws->feed, batch->sample[i].slot, age_ns);
    }
    order_none_add64(&ws->counters->accepted_deliveries, ib->is_run ? batch->event_count : 1);
    link->failure_count = 0;
    link->uplink->used_ns = now_ns;
    uplink_accepted(link->uplink);
    pace_accepted(&link->pace, now_ns, batch->encoded_len, batch->event_count);
    ws->feed.domain[batch->domain].failure_count = 0;
    feed_settle(&ws->feed, batch->domain, batch->cover, batch->cover_count, FEED_ACCEPTED);
    if (link->verdict && feed_suspect_count(&ws->feed, batch->domain) == 0)
        worker_verdict_end(link);
    worker_batch_end(worker, ws, ib);
}

void worker_batch_judged(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib, const struct conn_event *event,
                         int64_t now_ns)
{
    if (event->outcome == CONN_ACCEPTED && (!ib->is_run || event->accepted_count == ib->batch.event_count)) {
        worker_batch_accepted(worker, ws, ib, now_ns);
        return;
    }
    const struct config_stream *config = &ws->setup->config;
    uint32_t domain = ib->batch.domain;
    char quoted[600], remedy[300] = "-";
    const char *name = outcome_note(ws, event);
    struct outcome outcome = conn_event_outcome(ws->link[domain].uplink->setup->config.door.type, event);
    if (ws->pool.health.token_renewed)
        outcome = outcome_after_new_token(outcome);
    if (ib->is_run)
        worker_run_judged(ws, ib, event, outcome.maybe_delivered);
    if (outcome.refused)
        worker_verdict_note(&ws->link[domain], event->condition[0] ? event->condition : name, event->description);
    bool split = batch_split(ws, ib, &outcome);
    int64_t hold_ns = hold_ns_of(ws, domain, &outcome, split);
    if (outcome.remedy)
        log_quote(remedy, sizeof remedy, outcome.remedy);
    log_line(outcome.normal ? LOG_INFO : LOG_WARN, "batch", judged_text(ib, split),
             "stream=%s domain=%u outcome=%s condition=%s action=%s events=%u accepted=%u bytes=%u attempt=%u retry_ms=%lld reason=%s "
             "remedy=%s",
             config->name, domain, name, event->condition[0] ? event->condition : "-", outcome_action_name(outcome.action),
             ib->batch.event_count, event->accepted_count, ib->batch.encoded_len, ws->feed.domain[domain].failure_count + 1,
             (long long)(hold_ns / CLOCK_NS_PER_MS), log_quote(quoted, sizeof quoted, event->description), remedy);
    if (outcome.action == OUTCOME_THROTTLE)
        worker_throttled(ws, domain, hold_ns, now_ns);
    else if (!split && !outcome.normal)
        ws->feed.domain[domain].failure_count++;
    bool is_unknown = outcome.maybe_delivered && !ib->is_run; /* of a run it is known which */
    worker_batch_failed(worker, ws, ib, is_unknown ? FEED_MAYBE_DELIVERED : FEED_NOT_DELIVERED, hold_ns, now_ns);
    if (outcome.counts_as_failure && !split)
        uplink_health_failed(&ws->pool.health, ws->counters, config->name, hold_ns, now_ns);
    else
        circuit_abandoned(&ws->pool.health.circuit);
    connection_follow(ws, domain, &outcome, event->condition[0] ? event->condition : name, now_ns);
}

static const char *judged_text(const struct inflight_batch *ib, bool split)
{
    if (ib->is_run)
        return split ? "an event was refused, it stands alone now" : "an event was not accepted, it is sent again with those behind it";
    return split ? "batch was refused, it is sent in parts" : "batch was not accepted, it is sent again";
}

/* Counts it; its name. */
static const char *outcome_note(struct worker_stream *ws, const struct conn_event *event)
{
    switch (event->outcome) {
    case CONN_ACCEPTED:
    case CONN_REJECTED:
        break;
    case CONN_RELEASED:
        order_none_add64(&ws->counters->released_deliveries, 1);
        return "released";
    case CONN_MODIFIED:
        order_none_add64(&ws->counters->modified_deliveries, 1);
        return "modified";
    }
    order_none_add64(&ws->counters->rejected_deliveries, 1);
    return "rejected";
}

/* Refused for its content, or refused too often: its events stand under suspicion; one that stands alone is condemned. */
static bool batch_split(struct worker_stream *ws, const struct inflight_batch *ib, const struct outcome *outcome)
{
    const struct batch *batch = &ib->batch;
    struct feed_cover alone[1];
    struct worker_link *link = &ws->link[batch->domain];
    uint32_t retries_max = ws->setup->config.max_retries;
    bool is_content = outcome->action == OUTCOME_SPLIT;
    bool too_often = outcome->refused && retries_max && link->verdict && link->verdict->refused_count > retries_max;
    if (!(is_content || too_often) || !link->verdict)
        return false;
    if (ib->is_run)
        worker_run_refused(ws, ib, alone);
    uint32_t count = ib->is_run ? 1 : batch->event_count;
    if (feed_suspect_set(&ws->feed, batch->domain, ib->is_run ? alone : batch->cover, ib->is_run ? 1 : batch->cover_count, count) != 0)
        return false; /* no memory: the whole of it again, later */
    if (count == 1) {
        link->verdict->condemned = true;
        link->verdict->reason = DEADLETTER_RETRIES;
        if (is_content)
            link->verdict->reason =
                strcmp(link->verdict->condition, "amqp:link:message-size-exceeded") == 0 ? DEADLETTER_TOO_LARGE : DEADLETTER_REJECTED;
    }
    order_none_add64(&ws->counters->split_count, 1);
    return true;
}

static int64_t hold_ns_of(const struct worker_stream *ws, uint32_t domain, const struct outcome *outcome, bool split)
{
    const struct config_stream *config = &ws->setup->config;
    if (split)
        return outcome->action == OUTCOME_SPLIT ? 0 : backoff_wait_ns(1, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    int64_t wait_ns =
        backoff_outcome_ns(outcome, ws->feed.domain[domain].failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    if (outcome->action == OUTCOME_THROTTLE)
        wait_ns += backoff_random_between(0, wait_ns / 8); /* the partitions of a hub do not come back as one */
    return wait_ns;
}

void worker_throttled(struct worker_stream *ws, uint32_t domain, int64_t hold_ns, int64_t now_ns)
{
    pace_throttled(&ws->link[domain].pace, now_ns, hold_ns);
    order_none_add64(&ws->counters->throttled_deliveries, 1);
    uplink_health_throttled(&ws->pool.health, ws->counters, hold_ns, now_ns);
}

/* A disposition can ask for another link, connection or token too. */
static void connection_follow(struct worker_stream *ws, uint32_t domain, const struct outcome *outcome, const char *condition,
                              int64_t now_ns)
{
    switch (outcome->action) {
    case OUTCOME_REOPEN_LINK:
        worker_link_close(ws, domain);
        return;
    case OUTCOME_RECONNECT:
        uplink_restart(ws->link[domain].uplink, outcome, "the service asks for another connection", condition, now_ns);
        break;
    case OUTCOME_RENEW_TOKEN:
        uplink_restart(ws->link[domain].uplink, outcome, "the service withdrew the authorisation: a new token is needed", condition,
                       now_ns);
        break;
    case OUTCOME_RESEND:
    case OUTCOME_THROTTLE:
    case OUTCOME_SPLIT:
    case OUTCOME_HOLD:
        return;
    }
}

void worker_batches_lost(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns)
{
    const struct config_stream *config = &ws->setup->config;
    struct feed_domain *d = &ws->feed.domain[domain];
    for (uint32_t i = 0; i < INFLIGHT_BATCHES_MAX; i++) {
        struct inflight_batch *batch = &worker->inflight.slot[i];
        if (batch->tag == 0 || batch->stream != ws->index || batch->batch.domain != domain)
            continue;
        order_none_add64(&ws->counters->unknown_deliveries, 1);
        int64_t hold_ns =
            d->failure_count ? backoff_wait_ns(d->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds) : 0;
        d->failure_count++;
        worker_batch_failed(worker, ws, batch, FEED_MAYBE_DELIVERED, hold_ns, now_ns);
        circuit_abandoned(&ws->pool.health.circuit); /* what was lost with it has told the circuit */
    }
}

void worker_batch_failed(struct worker *worker, struct worker_stream *ws, struct inflight_batch *ib, enum feed_failure failure,
                         int64_t hold_ns, int64_t now_ns)
{
    const struct batch *batch = &ib->batch;
    struct feed_domain *d = &ws->feed.domain[batch->domain];
    d->hold_until_ns = now_ns + hold_ns;
    worker_timer(worker, d->hold_until_ns);
    if (ib->is_run)
        worker_run_failed(ws, ib, failure);
    else
        feed_fail(&ws->feed, batch->domain, batch->cover, batch->cover_count, failure);
    worker_batch_end(worker, ws, ib);
}

void worker_verdict_note(struct worker_link *link, const char *condition, const char *description)
{
    struct worker_verdict *verdict = link->verdict;
    if (!verdict)
        verdict = link->verdict = calloc(1, sizeof *verdict);
    if (!verdict)
        return; /* no memory: it is tried on, unjudged */
    verdict->last_ns = clock_wall_ns();
    if (verdict->first_ns == 0)
        verdict->first_ns = verdict->last_ns;
    verdict->refused_count++;
    snprintf(verdict->condition, sizeof verdict->condition, "%s", condition);
    snprintf(verdict->description, sizeof verdict->description, "%s", description);
}

void worker_verdict_end(struct worker_link *link)
{
    free(link->verdict);
    link->verdict = NULL;
}
