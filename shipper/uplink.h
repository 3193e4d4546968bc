/* A worker's connection of one stream, from name to ready: resolve, connect, transport, open, token, hub; renewal, backoff, loss. Puts the
 * transport between the engine and the socket; knows no batch. */
#ifndef EHRING_UPLINK_H
#define EHRING_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "shipper/amqp.h"
#include "shipper/circuit.h"
#include "shipper/conn.h"
#include "shipper/credential.h"
#include "shipper/net.h"
#include "shipper/outcome.h"
#include "shipper/resolve.h"
#include "shipper/stream.h"
#include "shipper/transport.h"

enum uplink_state {
    UPLINK_IDLE,     /* no connection: uplink_begin makes one */
    UPLINK_FETCHING, /* a token of the identity, before anything is connected: the service waits for it no longer than 20 s */
    UPLINK_RESOLVING,
    UPLINK_CONNECTING,
    UPLINK_TRANSPORT, /* proxy, TLS and WebSocket make themselves */
    UPLINK_OPENING,
    UPLINK_TOKEN,
    UPLINK_HUB,
    UPLINK_GREETING, /* the ready_message is on its way */
    UPLINK_READY,
    UPLINK_CLOSING,
};

/* How the hub looks from all connections of a pool. Connections that are lost together count as one failure. */
struct uplink_health {
    uint32_t failure_count; /* since the last accepted batch */
    int64_t failed_at_ns;
    int64_t retry_at_ns;
    bool was_ready;             /* one of them was, since the start or another peer was configured */
    uint64_t message_bytes_max; /* that a broker named when it refused a larger message; 0: it did not */
    bool token_renewed;         /* a new token was wanted since the last accepted batch: another refusal is for good */
    int64_t throttled_until_ns; /* up to here throttled_seconds is counted */
    int64_t throttled_rest_ns;  /* less than a second of it */
    struct circuit circuit;
};

struct uplink {
    enum uplink_state state;
    struct stream *stream;
    struct setup *setup;      /* it is a user of it */
    struct setup *next_setup; /* another peer's, for the next connection; NULL: the same again */
    struct net *net;
    struct resolver *resolver;
    struct credentials *credentials;
    struct counters_worker *counters;
    uint32_t worker;
    int handle; /* of net, -1: none */
    int address_index;
    struct resolve_query query;
    struct transport *transport;
    struct credential_query asked;
    struct credential_token *token; /* the identity's, that is put or to be put; NULL: none, or a key's */
    uint32_t token_number;          /* counts them */
    uint32_t put_number;            /* of the one whose answer is awaited or was the last to come */
    uint32_t accepted_number;       /* of the one that the hub goes by; 0: none */
    uint32_t key;                   /* 0 or 1: the key of two that the last token was made with */
    uint32_t keys_refused;          /* a bit each, since a token was accepted */
    struct conn *conn;
    struct uplink_health *health;
    bool lost;           /* CONN_CLOSED is still to be told */
    bool has_permit;     /* counted in the stream's connecting_count */
    bool has_credit;     /* a link of it was given credit: token, link and credit are proven */
    bool draining;       /* takes nothing new; closed when nothing is in flight */
    bool ended;          /* the transport is over, what the peer said before is still to be heard */
    uint32_t link_count; /* the worker's links on it */
    uint32_t inflight_count;
    uint32_t sending_count; /* of them, half with proton */
    int64_t begun_ns;
    int64_t ready_ns;
    int64_t used_ns;           /* when a batch was last begun or judged, or it became ready */
    int64_t blocked_ns;        /* since when there was always output that the socket did not take; 0: not now */
    int64_t saturated_ns;      /* when that last lasted for a linger; 0: never */
    int64_t expires_ns;        /* end of its life span; 0: none */
    int64_t deadline_ns;       /* of the present state, 0: none */
    int64_t token_renew_at_ns; /* 0: never */
    int64_t hub_read_at_ns;
    int64_t tick_at_ns;
    int greeting_link; /* -1: none */
    uint32_t greeting_try_count;
    uint32_t renewal_failure_count;
    char container_id[96];
    uint8_t greeting[CONFIG_READY_MESSAGE_BYTES_MAX + AMQP_SECTION_LONG];
};

void uplink_open(struct uplink *up, struct stream *stream, struct setup *setup, struct net *net, struct resolver *resolver,
                 struct credentials *credentials, int wake_fd, uint32_t worker, struct uplink_health *health);
void uplink_end(struct uplink *up);  /* the connection, at once */
void uplink_free(struct uplink *up); /* after uplink_end and the resolver's end */

/* Another setup is in force. `leave`: the connection that there is must not go on under it; true then if there is one, which keeps its own
 * setup until its end and is to be drained; what was only under way has ended. */
bool uplink_configure(struct uplink *up, struct setup *setup, bool leave, int64_t now_ns);
/* Begins a connection, from UPLINK_IDLE. false: too many are being made at this moment. */
bool uplink_begin(struct uplink *up, int64_t now_ns);
/* Time passes: the credential's and the resolver's answers, deadlines, renewals, idle frames. Returns when to come again (CLOCK_MONOTONIC
 * ns). */
int64_t uplink_step(struct uplink *up, int64_t now_ns);
/* One event of the connection's handle. */
void uplink_net_event(struct uplink *up, const struct net_event *event, int64_t now_ns);
/* Takes the next event that is not the uplink's own: links, settlements, and CONN_CLOSED once the connection is lost (all its sends are
 * unknown). */
bool uplink_next_event(struct uplink *up, struct conn_event *event, int64_t now_ns);
/* Moves output down the stack into the socket's buffers, as much as there is room for. */
void uplink_pump(struct uplink *up, int64_t now_ns);
bool uplink_is_ready(const struct uplink *up);
bool uplink_is_under_way(const struct uplink *up); /* begun and not ready yet */
void uplink_accepted(struct uplink *up);           /* a batch was accepted: backoff starts anew */
/* Gives the connection up for what the table says of it; the next one has a new token, and comes when the table wants it. */
void uplink_restart(struct uplink *up, const struct outcome *outcome, const char *what, const char *detail, int64_t now_ns);
/* What a refused identity lacks, in place of the table's remedy for keys. */
void uplink_name_role(const struct setup *setup, struct outcome *outcome);
/* The hub asks for a wait, for a connection or for a part of one: throttled_seconds counts the time once, however many wait. */
void uplink_health_throttled(struct uplink_health *health, struct counters_worker *counters, int64_t wait_ns, int64_t now_ns);
/* A failure of the hub that no connection had (a link's, a batch's): counts for the circuit, which logs when it opens. */
void uplink_health_failed(struct uplink_health *health, struct counters_worker *counters, const char *stream, int64_t wait_ns,
                          int64_t now_ns);
void uplink_close(struct uplink *up, int64_t now_ns); /* orderly: AMQP close; UPLINK_IDLE when it is over */

#endif
