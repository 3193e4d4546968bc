/* One thread, one lane in every ring, its connections and network loop: one turn of the pipeline after the other. */
#ifndef EHRING_WORKER_H
#define EHRING_WORKER_H

#include <pthread.h>
#include <stdint.h>

#include "shipper/config.h"
#include "shipper/discover.h"
#include "shipper/feed.h"
#include "shipper/inflight.h"
#include "shipper/net.h"
#include "shipper/pool.h"
#include "shipper/resolve.h"
#include "shipper/stream.h"

enum worker_message_kind {
    WORKER_RING_ADD,    /* partition_count, stop_pos */
    WORKER_RING_FREEZE, /* stop walking where you are, then count yourself in ring->frozen */
    WORKER_RING_LIMIT,  /* partition_count, stop_pos */
    WORKER_RING_DROP,   /* leave it, then count yourself out of ring->users */
    WORKER_STOP,        /* drain what is written now, until deadline_ns, then end */
    WORKER_QUIT,        /* end at once: all is safe in the rings */
};
struct worker_message {
    enum worker_message_kind kind;
    struct shared_ring *ring;
    uint64_t stop_pos;
    uint32_t partition_count;
    int64_t deadline_ns;
};

/* Who sleeps: shared by all workers of the shipper. */
struct worker_rest {
    _Atomic uint32_t awake_count;
    _Atomic uint32_t sleep_number;
};

enum worker_link_state { WORKER_LINK_NONE, WORKER_LINK_OPENING, WORKER_LINK_READY };
struct worker_link { /* a domain's: to its partition, or, of a class, to the hub */
    enum worker_link_state state;
    struct uplink *uplink; /* the connection it is on */
    int id;
    uint32_t failure_count;
    bool sending; /* a delivery of it is half with proton */
    int64_t hold_until_ns;
    int64_t attach_until_ns; /* OPENING: when an answer must have come */
    int64_t used_ns;         /* when a batch was last begun on it */
    uint64_t message_bytes_max;
};

struct worker_stream {
    struct stream *stream;
    struct counters_worker *counters;
    struct pool pool;
    struct feed feed;
    uint64_t inflight_bytes;
    uint32_t buffer_count;    /* held by batches that are half-sent */
    int64_t answers_check_ns; /* when to look next for what is not answered */
    uint32_t index;
    uint32_t turn_start;      /* which active domain is first: fairness */
    struct worker_link *link; /* RING_DOMAINS_MAX */
};

struct worker {
    uint32_t index;
    uint32_t worker_count;
    const struct config *config;
    struct worker *all; /* the shipper's workers, to wake them */
    struct worker_rest *rest;
    struct resolver *resolver;
    pthread_t thread;
    struct net *net;
    int wake_fd;
    int main_fd; /* eventfd of the main thread */
    _Atomic uint32_t asleep;
    _Atomic uint32_t ended;

    pthread_mutex_t inbox_lock;
    struct worker_message *inbox;
    uint32_t inbox_count;
    uint32_t inbox_cap;

    struct fifo_pool fifo_pool;
    struct inflight inflight;
    struct worker_stream *stream;
    uint32_t stream_count;
    uint32_t idle_passes;
    bool can_barrier;
    bool stopping;
    bool quitting;
    int64_t stop_deadline_ns;
    int64_t next_ns; /* earliest timer of this turn */
    struct net_event event[NET_EVENTS_MAX];
};

/* Prepares a worker (not yet running). `all` has worker_count of them. 0 or negative errno, a sentence in `why`. Main thread. */
int worker_open(struct worker *worker, uint32_t index, const struct config *config, struct stream *stream, struct worker *all,
                struct worker_rest *rest, struct resolver *resolver, int main_fd, char *why, size_t why_len);
int worker_start(struct worker *worker);
/* Queues a message and wakes the worker. Any thread. */
void worker_post(struct worker *worker, struct worker_message message);
bool worker_has_ended(const struct worker *worker);
void worker_join(struct worker *worker);
void worker_close(struct worker *worker); /* after join, and after the resolver is closed */

#endif
