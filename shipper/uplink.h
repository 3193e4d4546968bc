/* A worker's connection of one stream, from name to ready: resolve, connect, TLS, open, token, hub; renewal, backoff, loss. Stacks the byte
 * transformers on each other and on the socket; knows no batch. */
#ifndef EHRING_UPLINK_H
#define EHRING_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "shipper/conn.h"
#include "shipper/net.h"
#include "shipper/resolve.h"
#include "shipper/stream.h"
#include "shipper/tls.h"

enum uplink_state {
    UPLINK_IDLE, /* no connection; one is made when it is wanted and the backoff is over */
    UPLINK_RESOLVING,
    UPLINK_CONNECTING,
    UPLINK_TLS,
    UPLINK_OPENING,
    UPLINK_TOKEN,
    UPLINK_HUB,
    UPLINK_READY,
    UPLINK_CLOSING,
};

struct uplink {
    enum uplink_state state;
    struct stream *stream;
    struct net *net;
    struct resolver *resolver;
    struct counters_worker *counters;
    uint32_t worker;
    int handle; /* of net, -1: none */
    int address_index;
    struct resolve_query query;
    struct tls *tls;
    struct conn *conn;
    uint32_t failure_count;
    bool lost;            /* CONN_CLOSED is still to be told */
    const char *ended_by; /* TLS is over, what the peer said before is still to be heard; NULL: not so */
    int64_t retry_at_ns;
    int64_t deadline_ns;       /* of the present state, 0: none */
    int64_t token_renew_at_ns; /* 0: never */
    int64_t hub_read_at_ns;
    int64_t tick_at_ns;
    char container_id[96];
};

void uplink_begin(struct uplink *up, struct stream *stream, struct net *net, struct resolver *resolver, int wake_fd, uint32_t worker);
void uplink_end(struct uplink *up); /* at once */

/* Time passes: resolver's answers, deadlines, renewals, idle frames; begins a connection if one is `wanted`. Returns when to come again
 * (CLOCK_MONOTONIC ns). */
int64_t uplink_step(struct uplink *up, bool wanted, int64_t now_ns);
/* One event of the connection's handle. */
void uplink_net_event(struct uplink *up, const struct net_event *event, int64_t now_ns);
/* Takes the next event that is not the uplink's own: links, settlements, and CONN_CLOSED once the connection is lost (all its sends are
 * unknown). */
bool uplink_next_event(struct uplink *up, struct conn_event *event, int64_t now_ns);
/* Moves output down the stack into the socket's buffers, as much as there is room for. */
void uplink_pump(struct uplink *up, int64_t now_ns);
bool uplink_is_ready(const struct uplink *up);
void uplink_accepted(struct uplink *up); /* a batch was accepted: backoff starts anew */
/* Gives the connection up and makes a new one, with a new token, after a backoff. */
void uplink_restart(struct uplink *up, const char *what, const char *detail, int64_t now_ns);
void uplink_close(struct uplink *up, int64_t now_ns); /* orderly: AMQP close; UPLINK_IDLE when it is over */

#endif
