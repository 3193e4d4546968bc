/* What the files of libehring-direct share: ehring_direct.c (calls and outcomes), direct_options.c (settings), direct_session.c (connected,
 * links), direct_token.c (token), direct_wire.c (socket and transport), direct_encode.c (events into one message). Private to them. */
#ifndef EHRING_DIRECT_INTERNAL_H
#define EHRING_DIRECT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp.h"
#include "conn.h"
#include "door.h"
#include "ehring_direct.h"
#include "transport.h"

#define DIRECT_LINKS_MAX 64u
#define DIRECT_WIRE_BYTES (64u << 10)
#define DIRECT_MESSAGE_BYTES_DEFAULT (1u << 20) /* where the peer tells no limit */

/* What the connection has met on its way so far. */
enum direct_step {
    DIRECT_IDENTITY, /* a token of Entra ID, before anything is connected */
    DIRECT_NAME,
    DIRECT_TCP,
    DIRECT_PROXY,
    DIRECT_TLS,
    DIRECT_WEBSOCKET,
    DIRECT_OPEN, /* SASL and open */
    DIRECT_TOKEN,
    DIRECT_LINK,
    DIRECT_READY,
};
struct direct_seen {
    enum direct_step step;       /* the one under way, or where it ended */
    char host[256], address[64]; /* what was looked up, and the address that answered */
    uint16_t port;
    char addresses[400]; /* all of them, cut */
    int64_t tcp_ms;
    int64_t way_ns;            /* CLOCK_REALTIME when that was last looked at and not all up yet */
    struct transport_seen way; /* proxy, TLS, WebSocket */
    struct conn_peer peer;
};

struct direct_link {
    int number;        /* conn's, -1: none */
    char address[320]; /* hub, or hub/Partitions/id */
};
struct ehring_direct {
    struct door door;
    char audience[600];
    uint32_t connect_timeout_ms;
    bool is_traced;
    struct transport_way way;
    /* the connection; fd -1: none */
    int fd;
    struct transport *transport;
    bool was_up; /* the transport was, before it failed */
    struct conn *conn;
    struct direct_seen seen;
    bool is_over; /* CONN_CLOSED was seen: the next call connects anew */
    /* the token that was put, and what is put next */
    int64_t token_renew_at_s;
    struct credential_token *token; /* the identity's, NULL: none, or a key's */
    struct credential_memory memory;
    uint32_t key;                              /* 0 or 1: of two keys the one that was not refused last */
    struct direct_link link[DIRECT_LINKS_MAX]; /* the hub's first */
    uint32_t next_evicted;
    uint64_t next_tag;
    /* bytes that the socket has not taken */
    uint8_t out[DIRECT_WIRE_BYTES];
    size_t out_len, out_sent;
    uint8_t in[DIRECT_WIRE_BYTES];
    /* the message under way */
    uint8_t *message;
    size_t message_cap;
    uint32_t *lens;          /* of a run's messages, one behind the other in it */
    struct amqp_event event; /* scratch of the encoder */
    char condition[64];
    char error[EHRING_DIRECT_ERROR_BYTES];
};

#define DIRECT_NO_DEADLINE INT64_MAX
int64_t direct_now_ms(void);
int64_t direct_deadline_ms(int timeout_ms);

/* Notes a sentence; returns `code`. */
int direct_fail(struct ehring_direct *direct, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with the peer's condition and text appended, and the code that the condition calls for. */
int direct_fail_peer(struct ehring_direct *direct, const char *what, const struct conn_event *event);

/* ---- direct_options.c ---- */
/* What the caller says of its peer as direct->door. 0, or negative errno with a sentence. */
int direct_door_make(struct ehring_direct *direct, const char *connection_string, const struct ehring_direct_options *options);

/* ---- ehring_direct.c ---- */
/* A handle without a connection, for a door that is right already. *out is the caller's (ehring_direct_close), also after an error that it
 * has a sentence for. 0 or negative errno; *out NULL: no memory. */
int direct_open_door(const struct door *door, uint32_t connect_timeout_ms, struct ehring_direct **out);

/* ---- direct_seen.c ---- */
struct addrinfo;
void seen_begin(struct ehring_direct *direct, const char *host, uint16_t port);
void seen_resolved(struct ehring_direct *direct, const struct addrinfo *list);
void seen_dialed(struct ehring_direct *direct, const struct addrinfo *address, int64_t took_ms);
void seen_way(struct ehring_direct *direct); /* proxy, TLS and WebSocket as they are now; before they go, too */
void seen_event(struct ehring_direct *direct, const struct conn_event *event);

/* ---- direct_wire.c ---- */
/* Resolves the host and connects. 0 or negative errno with a sentence. */
int wire_connect(struct ehring_direct *direct, int64_t deadline_ms);
/* The next event of the connection, moving bytes meanwhile. 1, 0: none by the deadline, or negative errno: the wire broke (sentence noted).
 */
int wire_next_event(struct ehring_direct *direct, int64_t deadline_ms, struct conn_event *event);
void wire_goodbye(struct ehring_direct *direct); /* close frame and close_notify, if the socket takes it at once */
void wire_close(struct ehring_direct *direct);

/* ---- direct_session.c ---- */
/* Connected, token good, link to `address` attached with credit. Its index in direct->link, or negative errno with a sentence. */
int session_link(struct ehring_direct *direct, const char *address, int64_t deadline_ms);
/* The answer of $management about the hub: status, and the partitions. 0, or negative errno with a sentence. */
int session_hub(struct ehring_direct *direct, int64_t deadline_ms, struct conn_event *answer);
/* Ends the connection, waiting for the peer's answer until the deadline. */
void session_close(struct ehring_direct *direct, int64_t deadline_ms);
/* What every wait does with an event first: forgets an ended link, remembers that the connection is over. */
void session_event(struct ehring_direct *direct, const struct conn_event *event);

/* A sentence for what did not come by the deadline; -ETIMEDOUT. */
int session_time_up(struct ehring_direct *direct, const char *what);

/* ---- direct_token.c ---- */
/* Sees to it that there is a token of the identity that is not due for renewal, if the peer is shown one. An old one does as long as it
 * lives. 0, or a negative errno with a sentence. */
int token_fetch(struct ehring_direct *direct, int64_t deadline_ms);
/* Puts a token and waits until it is accepted; of two keys both are tried. 0, or a negative errno with a sentence. */
int token_put(struct ehring_direct *direct, int64_t deadline_ms);
/* The text of the token in use, and its end. 0, or a negative errno, with a sentence if it is an expired one. The caller wipes it. */
int token_make(struct ehring_direct *direct, int64_t *expires_s, char *to, size_t cap);
/* Fetches and puts, for a connection that stands: nothing is put where there is nothing new. */
int token_renew(struct ehring_direct *direct, int64_t deadline_ms);

/* ---- direct_encode.c ---- */
/* Encodes one event (AMQP format 0), or several as a batch, into direct->message. Length, or negative errno with a sentence. */
int64_t direct_encode_event(struct ehring_direct *direct, const struct ehring_direct_event *event, const char *key);
int64_t direct_encode_batch(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key);
/* For a broker, which knows no batches: messages one behind the other, their lengths in direct->lens. */
int64_t direct_encode_run(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key);

#endif
