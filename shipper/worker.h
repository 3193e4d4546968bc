/* One thread, one lane in every ring, its connections and network loop: one turn of the pipeline after the other. */
#ifndef EHRING_WORKER_H
#define EHRING_WORKER_H

#include <pthread.h>
#include <stdint.h>

#include "shipper/config.h"
#include "shipper/deadletter.h"
#include "shipper/discover.h"
#include "shipper/feed.h"
#include "shipper/inflight.h"
#include "shipper/net.h"
#include "shipper/pace.h"
#include "shipper/pool.h"
#include "shipper/quota.h"
#include "shipper/resolve.h"
#include "shipper/run.h"
#include "shipper/stream.h"

enum worker_message_kind {
    WORKER_RING_ADD,     /* partition_count, stop_pos */
    WORKER_RING_FREEZE,  /* stop walking where you are, then count yourself in ring->frozen */
    WORKER_RING_LIMIT,   /* partition_count, stop_pos */
    WORKER_RING_DROP,    /* leave it, then count yourself out of ring->users */
    WORKER_RING_RELEASE, /* send no more of it, settle what is in flight, then the same */
    WORKER_STREAM_OPEN,  /* ws: made for this worker, it takes it over */
    WORKER_STREAM_SETUP, /* stream, setup (of which it becomes a user), effect */
    WORKER_STREAM_CLOSE, /* stream, whose rings are all gone: close its connections, then count yourself out of stream->users */
    WORKER_STOP,         /* drain what is written now, until deadline_ns, then end */
    WORKER_QUIT,         /* end at once: all is safe in the rings */
};
struct worker_message {
    enum worker_message_kind kind;
    struct shared_ring *ring;
    uint32_t stream; /* index */
    struct worker_stream *ws;
    struct setup *setup;
    enum config_effect effect;
    uint64_t stop_pos;
    uint32_t partition_count;
    int64_t deadline_ns;
};

/* Who sleeps: shared by all workers of the shipper. */
struct worker_rest {
    _Atomic uint32_t awake_count;
    _Atomic uint32_t sleep_number;
};

/* What the hub said of a domain's first events, while it refuses them. */
struct worker_verdict {
    uint32_t refused_count;
    bool condemned; /* of one event that stands alone: it becomes a dead letter */
    enum deadletter_reason reason;
    int64_t first_ns; /* of the refusals, CLOCK_REALTIME */
    int64_t last_ns;
    char condition[64];
    char description[512];
};

enum worker_link_state { WORKER_LINK_NONE, WORKER_LINK_OPENING, WORKER_LINK_READY };
struct worker_link { /* a domain's: to its partition, or, of a class, to the hub; of a broker's stream, to the one address */
    enum worker_link_state state;
    struct uplink *uplink; /* the connection it is on */
    int id;
    uint32_t failure_count;
    bool sending;      /* a delivery of it is half with proton */
    bool no_partition; /* the hub refused the link for good, and counts fewer partitions */
    int64_t hold_until_ns;
    int64_t attach_until_ns; /* OPENING: when an answer must have come */
    int64_t used_ns;         /* when a batch was last begun on it */
    int64_t ready_ns;        /* when it was attached */
    int64_t age_check_ns;    /* max_age_seconds: when to look again */
    uint64_t message_bytes_max;
    struct run_list run;            /* of a broker's stream: what is in flight */
    struct worker_verdict *verdict; /* NULL: nothing was refused since the last accept */
    struct pace pace;
};

/* Events on their way into the dead-letter file; they count as in flight. */
#define WORKER_LETTERS_MAX 2u
struct worker_letter {
    bool used;
    uint32_t stream; /* index */
    enum deadletter_reason reason;
    struct batch batch; /* what it covers */
    struct deadletter_buf text;
    struct deadletter_job job;
};

struct worker_stream {
    struct stream *stream;
    struct setup *setup; /* what this worker goes by; it is a user of it */
    struct counters_worker *counters;
    struct pool pool;
    struct feed feed;
    struct quota quota;
    uint64_t inflight_bytes;
    uint32_t batch_count;     /* begun and not over */
    uint32_t buffer_count;    /* held by batches that are half-sent */
    int64_t answers_check_ns; /* when to look next for what is not answered */
    int64_t owes_told_ns;     /* when it was last said that a broker owes answers; 0: never */
    int64_t gauges_at_ns;
    uint32_t index;
    int bell_handle;          /* of net; -1: not watched */
    bool closing;             /* no ring is left, its connections are being closed */
    uint32_t turn_start;      /* which active domain is first: fairness */
    uint32_t refill_turn;     /* which was looked at last for what is behind in it */
    struct worker_link *link; /* RING_DOMAINS_MAX */
};

/* What all workers of a shipper have in common. */
struct worker_shared {
    uint32_t worker_count;
    enum net_kind net;
    struct stream *stream; /* CONFIG_STREAMS_MAX slots */
    struct worker *worker; /* all, to wake each other */
    struct resolver *resolver;
    struct credentials *credentials;
    struct deadletter *deadletter;
    struct worker_rest rest;
    int main_fd; /* eventfd of the main thread */
};

struct worker {
    uint32_t index;
    struct worker_shared *shared;
    pthread_t thread;
    struct net *net;
    int wake_fd;
    _Atomic uint32_t asleep;
    _Atomic uint32_t ended;

    pthread_mutex_t inbox_lock;
    struct worker_message *inbox;
    uint32_t inbox_count;
    uint32_t inbox_cap;

    struct fifo_pool fifo_pool;
    struct inflight inflight;
    struct worker_letter letter[WORKER_LETTERS_MAX];
    uint8_t *letter_body;
    uint32_t letter_body_cap;
    struct worker_stream *stream[CONFIG_STREAMS_MAX]; /* stream_count of them, in any order */
    struct worker_stream *slot[CONFIG_STREAMS_MAX];   /* by the stream's index; NULL: it has none */
    uint32_t stream_count;
    uint32_t idle_passes;
    int64_t pass_ns; /* when the rings are looked at next; 0: now */
    int64_t walk_ns; /* what the last look at them took */
    bool is_eager;   /* or as soon as the network has something */
    bool can_barrier;
    bool stopping;
    bool quitting;
    int64_t stop_deadline_ns;
    int64_t next_ns;   /* earliest timer of this turn */
    int64_t linger_ns; /* earliest end of a linger */
    struct net_event event[NET_EVENTS_MAX];
};

/* Prepares a worker (not yet running). 0 or negative errno, a sentence in `why`. Main thread. */
int worker_open(struct worker *worker, uint32_t index, struct worker_shared *shared, char *why, size_t why_len);
int worker_start(struct worker *worker);
/* Queues a message and wakes the worker. Any thread. */
void worker_post(struct worker *worker, struct worker_message message);
/* A stream's part of this worker, from stream->setup; for worker_open, or for WORKER_STREAM_OPEN. NULL: no memory. Main thread. */
struct worker_stream *worker_stream_make(struct worker *worker, struct stream *stream);
void worker_stream_free(struct worker_stream *ws); /* NULL is fine */
bool worker_has_ended(const struct worker *worker);
void worker_join(struct worker *worker);
void worker_close(struct worker *worker); /* after join, and after resolver and dead letters are closed */

#endif
