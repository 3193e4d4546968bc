/* A worker's connections of one stream: how many there are, which one takes a further link, when one more is made, when one is drained and
 * closed. Knows links by their number alone, and no batch. */
#ifndef EHRING_POOL_H
#define EHRING_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "shipper/uplink.h"

struct pool {
    struct stream *stream;
    struct setup *setup; /* the worker's */
    struct counters_worker *counters;
    uint32_t worker;
    uint32_t worker_count;
    uint32_t limit;       /* this worker's share of max_size */
    uint32_t size;        /* slots in use: the share, and until they are drained those above it */
    uint32_t short_links; /* links asked for in vain since the last step */
    bool limit_told;      /* that max_size x client_limit is less than what is wanted */
    struct uplink_health health;
    struct uplink *uplink; /* room for the largest share */
};

/* The share of worker `index` of `count` in max_size connections: at least one. Pure. */
uint32_t pool_share(uint32_t max_size, uint32_t index, uint32_t count);

/* 0 or -ENOMEM. `wake_fd` is written when the resolver or a credential has an answer. */
int pool_open(struct pool *pool, struct stream *stream, struct setup *setup, struct net *net, struct resolver *resolver,
              struct credentials *credentials, int wake_fd, uint32_t worker, uint32_t worker_count);
void pool_close(struct pool *pool); /* at once; after the resolver's end */

/* Another setup is in force, which outlives the pool or the next call. `replace`: of another peer; the connections are drained, what was
 * known of the peer is forgotten. Slots above the share are drained in any case. */
void pool_configure(struct pool *pool, struct setup *setup, bool replace, int64_t now_ns);

/* Time passes. `wanted`: there are events to send, so that one connection at least is to be had. Makes connections that are missing,
 * drains those that are idle or too old, closes those that are drained. Returns when to come again (CLOCK_MONOTONIC ns). */
int64_t pool_step(struct pool *pool, bool wanted, int64_t now_ns);

/* The connection for one more link: of those that are ready, have a link free and are not drained, the one with the fewest. NULL: none now;
 * the next step makes one if it may. The caller counts link_count up and down. */
struct uplink *pool_place(struct pool *pool);
/* Whether a link with nothing in flight should leave this connection for another: it is drained, or its output has stood for a linger not
 * long ago and another one has less to do. */
bool pool_wants_move(const struct pool *pool, const struct uplink *from, int64_t now_ns);
/* True if links were asked for in vain and no connection can be made for them, ever or for a while: somebody has to give one up. */
bool pool_is_exhausted(const struct pool *pool, int64_t now_ns);

bool pool_is_ready(const struct pool *pool);             /* one connection at least takes batches */
struct uplink *pool_find(struct pool *pool, int handle); /* the connection of a network handle, or NULL */
bool pool_shut(struct pool *pool, int64_t now_ns);       /* closes all in order; true once none is left */
bool pool_is_idle(const struct pool *pool);              /* no connection, and none of its names with the resolver */

#endif
