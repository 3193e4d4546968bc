/* Runs of a broker's stream in one worker: what of a run is accepted, and what becomes of the rest. */
#include "ringbuf/ring_order.h"
#include "shipper/worker_internal.h"

int worker_run_encode(struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits, uint8_t *to, struct batch *batch)
{
    const struct config_stream *config = &ws->setup->config;
    struct worker_link *link = &ws->link[domain];
    int rc = run_reserve(&link->run, config->window_events);
    return rc != 0 ? rc : run_encode(&ws->feed, domain, limits, link->message_bytes_max, &config->door, to, &link->run, batch);
}

void worker_run_progress(struct worker *worker, struct worker_stream *ws, const struct conn_event *event)
{
    const struct inflight_batch *ib = inflight_find(&worker->inflight, event->tag);
    if (ib && ib->is_run)
        ws->link[ib->batch.domain].run.accepted_count = event->accepted_count;
}

void worker_run_judged(struct worker_stream *ws, struct inflight_batch *ib, const struct conn_event *event, bool maybe_delivered)
{
    struct worker_link *link = &ws->link[ib->batch.domain];
    uint32_t first = event->accepted_count;
    link->run.accepted_count = first;
    if (first > 0) { /* what was refused before is among them */
        worker_verdict_end(link);
        ws->feed.domain[ib->batch.domain].failure_count = link->failure_count = 0;
        uplink_accepted(link->uplink);
        order_none_add64(&ws->counters->accepted_deliveries, first);
    }
    if (maybe_delivered)
        feed_note_repeat(&ws->feed, link->run.event[first].slot);
    for (uint32_t i = first + 1; i < event->begun_count; i++)
        if (conn_run_was_accepted(link->uplink->conn, link->id, i))
            feed_note_repeat(&ws->feed, link->run.event[i].slot);
}

void worker_run_failed(struct worker_stream *ws, struct inflight_batch *ib, enum feed_failure failure)
{
    const struct batch *batch = &ib->batch;
    const struct run_list *run = &ws->link[batch->domain].run;
    struct feed_cover settled[FEED_COVERS_MAX], rest[FEED_COVERS_MAX];
    uint32_t settled_count = run_cover(run, 0, run->accepted_count, settled);
    uint32_t rest_count = run_cover(run, run->accepted_count, run->count, rest);
    feed_settle_part(&ws->feed, batch->domain, settled, settled_count, rest, rest_count, failure);
}

void worker_run_refused(const struct worker_stream *ws, const struct inflight_batch *ib, struct feed_cover *cover)
{
    const struct run_list *run = &ws->link[ib->batch.domain].run;
    run_cover(run, run->accepted_count, run->accepted_count + 1, cover);
}
