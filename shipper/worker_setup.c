/* A stream in one worker, from its opening to its end: made, configured anew, closed. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

static void holds_forget(struct worker_stream *ws, enum config_effect effect);

struct worker_stream *worker_stream_make(struct worker *worker, struct stream *stream)
{
    struct worker_shared *shared = worker->shared;
    struct worker_stream *ws = calloc(1, sizeof *ws);
    if (!ws)
        return NULL;
    *ws = (struct worker_stream){.stream = stream,
                                 .setup = setup_take(stream->setup),
                                 .index = stream->index,
                                 .bell_handle = -1,
                                 .counters = &stream->words->worker[worker->index]};
    ws->link = calloc(RING_DOMAINS_MAX, sizeof *ws->link);
    if (!ws->link || feed_open(&ws->feed, worker->index, shared->worker_count, &worker->fifo_pool) != 0 ||
        pool_open(&ws->pool, stream, ws->setup, worker->net, shared->resolver, shared->credentials, worker->wake_fd, worker->index,
                  shared->worker_count) != 0) {
        worker_stream_free(ws);
        return NULL;
    }
    ws->feed.counters = ws->counters;
    ws->feed.commit_to_read = &stream->words->commit_to_read[worker->index];
    worker_stream_set_quota(ws, shared->worker_count);
    return ws;
}

void worker_stream_free(struct worker_stream *ws)
{
    if (!ws)
        return;
    pool_close(&ws->pool);
    feed_close(&ws->feed);
    for (uint32_t d = 0; ws->link && d < RING_DOMAINS_MAX; d++) {
        run_free(&ws->link[d].run);
        worker_verdict_end(&ws->link[d]);
    }
    free(ws->link);
    setup_give(ws->setup);
    free(ws);
}

int worker_stream_join(struct worker *worker, struct worker_stream *ws)
{
    worker->stream[worker->stream_count++] = ws;
    worker->slot[ws->index] = ws;
    ws->bell_handle = net_watch(worker->net, ws->stream->bell_fd);
    return ws->bell_handle < 0 ? ws->bell_handle : 0;
}

void worker_stream_configure(struct worker *worker, struct worker_stream *ws, struct setup *setup, enum config_effect effect,
                             int64_t now_ns)
{
    struct setup *before = ws->setup;
    ws->setup = setup;
    pool_configure(&ws->pool, setup, effect >= CONFIG_NEW_PEER, now_ns);
    worker_stream_set_quota(ws, worker->shared->worker_count);
    if (effect >= CONFIG_NEW_PEER)
        holds_forget(ws, effect);
    setup_give(before);
}

/* Waits that an old peer has caused are not the new one's. */
static void holds_forget(struct worker_stream *ws, enum config_effect effect)
{
    for (uint32_t d = 0; d < RING_DOMAINS_MAX; d++) {
        struct worker_link *link = &ws->link[d];
        link->hold_until_ns = ws->feed.domain[d].hold_until_ns = 0;
        link->failure_count = ws->feed.domain[d].failure_count = 0;
        if (effect < CONFIG_NEW_HUB)
            continue;
        link->no_partition = false;
        link->pace = (struct pace){0};
    }
}

static void stream_leave(struct worker *worker, struct worker_stream *ws)
{
    struct stream *stream = ws->stream;
    for (uint32_t s = 0; s < worker->stream_count; s++)
        if (worker->stream[s] == ws)
            worker->stream[s] = worker->stream[--worker->stream_count];
    worker->slot[ws->index] = NULL;
    if (ws->bell_handle >= 0)
        net_end(worker->net, ws->bell_handle);
    order_none_store64(&ws->counters->held_domains, 0);
    order_none_store64(&ws->counters->paced_domains, 0);
    worker_stream_free(ws);
    if (order_count_add(&stream->users, -1) == 0) {
        uint64_t one = 1;
        if (write(worker->shared->main_fd, &one, sizeof one) < 0) { /* full: it is awake */
        }
    }
}

void worker_streams_close(struct worker *worker, int64_t now_ns)
{
    for (uint32_t s = worker->stream_count; s-- > 0;) {
        struct worker_stream *ws = worker->stream[s];
        if (ws->closing && pool_shut(&ws->pool, now_ns) && pool_is_idle(&ws->pool))
            stream_leave(worker, ws);
    }
}
