/* What the main thread tells a worker: rings and streams that come and go, another configuration, the stop. */
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

static void message_take(struct worker *worker, const struct worker_message *message, int64_t now_ns);
static void ring_message_take(struct worker *worker, struct worker_stream *ws, const struct worker_message *message);
static void ring_release(struct worker_stream *ws, uint32_t slot);

void worker_post(struct worker *worker, struct worker_message message)
{
    pthread_mutex_lock(&worker->inbox_lock);
    if (worker->inbox_count == worker->inbox_cap) {
        uint32_t cap = worker->inbox_cap ? 2 * worker->inbox_cap : 64;
        struct worker_message *inbox = realloc(worker->inbox, cap * sizeof *inbox);
        if (!inbox)
            abort(); /* a lost message would lose a ring: nothing sensible is left to do without memory */
        worker->inbox = inbox;
        worker->inbox_cap = cap;
    }
    worker->inbox[worker->inbox_count++] = message;
    pthread_mutex_unlock(&worker->inbox_lock);
    worker_wake(worker);
}

void worker_inbox_take(struct worker *worker, int64_t now_ns)
{
    struct worker_message batch[32];
    uint32_t count;
    do {
        pthread_mutex_lock(&worker->inbox_lock);
        count = worker->inbox_count < 32 ? worker->inbox_count : 32;
        if (count) {
            memcpy(batch, worker->inbox, count * sizeof *batch);
            worker->inbox_count -= count;
            memmove(worker->inbox, worker->inbox + count, worker->inbox_count * sizeof *batch);
        }
        pthread_mutex_unlock(&worker->inbox_lock);
        for (uint32_t i = 0; i < count; i++)
            message_take(worker, &batch[i], now_ns);
        if (count)
            worker_look_soon(worker);
    } while (count == 32);
}

static struct feed_ring *feed_ring_of(struct feed *feed, const struct shared_ring *shared, uint32_t *slot)
{
    for (*slot = 0; *slot < feed->ring_cap; ++*slot)
        if (feed->ring[*slot].used && feed->ring[*slot].owner == shared)
            return &feed->ring[*slot];
    return NULL;
}

static void message_take(struct worker *worker, const struct worker_message *message, int64_t now_ns)
{
    switch (message->kind) {
    case WORKER_RING_ADD:
    case WORKER_RING_FREEZE:
    case WORKER_RING_LIMIT:
    case WORKER_RING_DROP:
    case WORKER_RING_RELEASE:
        ring_message_take(worker, worker->slot[message->ring->stream->index], message);
        return;
    case WORKER_STREAM_OPEN:
        if (worker_stream_join(worker, message->ws) != 0)
            log_line(LOG_ERROR, "worker", "a doorbell cannot be watched: the stream is looked at once a second", "stream=%s worker=%u",
                     message->ws->stream->name, worker->index);
        return;
    case WORKER_STREAM_SETUP:
        worker_stream_configure(worker, worker->slot[message->stream], message->setup, message->effect, now_ns);
        return;
    case WORKER_STREAM_CLOSE:
        worker->slot[message->stream]->closing = true;
        return;
    case WORKER_STOP:
        worker->stopping = true;
        worker->stop_deadline_ns = message->deadline_ns;
        for (uint32_t s = 0; s < worker->stream_count; s++)
            feed_stop(&worker->stream[s]->feed);
        return;
    case WORKER_QUIT:
        worker->quitting = true;
        return;
    }
}

static void ring_message_take(struct worker *worker, struct worker_stream *ws, const struct worker_message *message)
{
    uint32_t slot = 0;
    struct feed_ring *ring = feed_ring_of(&ws->feed, message->ring, &slot);
    if (message->kind == WORKER_RING_ADD) {
        if (feed_ring_add(&ws->feed, message->ring->ring, message->ring, message->partition_count, message->stop_pos) < 0)
            worker_post(worker, *message); /* no memory: tried again in the next turn */
    } else if (message->kind == WORKER_RING_FREEZE) {
        if (ring) {
            ring->stop_pos = ring->lane.walk_pos;
            feed_ring_publish(&ws->feed, slot);
        }
        order_count_add(&message->ring->frozen, 1);
    } else if (!ring) {
        worker_post(worker, *message); /* behind its own addition, which waits for memory */
    } else if (message->kind == WORKER_RING_LIMIT) {
        ring->partition_count = message->partition_count;
        ring->stop_pos = message->stop_pos;
    } else if (message->kind == WORKER_RING_DROP) {
        feed_ring_leave(&ws->feed, slot);
    } else {
        ring_release(ws, slot);
    }
}

/* What the hub said of events that are suspected no more does not fall on those that come first next time. */
static void ring_release(struct worker_stream *ws, uint32_t slot)
{
    feed_ring_release(&ws->feed, slot);
    for (uint32_t d = 0; d < RING_DOMAINS_MAX; d++)
        if (ws->link[d].verdict && feed_suspect_count(&ws->feed, d) == 0)
            worker_verdict_end(&ws->link[d]);
}

void worker_inbox_close(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->inbox_count; i++) {
        worker_stream_free(worker->inbox[i].ws);
        setup_give(worker->inbox[i].setup);
    }
    free(worker->inbox);
}
