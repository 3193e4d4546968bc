/* What lies between a socket and the AMQP engine: proxy, TLS and WebSocket stacked as a door wants them, bytes in, bytes out. Does no I/O.
 * One `struct transport` per connection, used by one thread. */
#ifndef EHRING_TRANSPORT_H
#define EHRING_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn.h"
#include "door.h"
#include "proxy.h"
#include "tls.h"

/* What all connections through a door share. Immutable once made; any thread. */
struct transport_way {
    struct tls_context *tls; /* NULL: plain */
    bool has_proxy;
    struct proxy_address proxy;
};
/* Reads the certificates that the door names, and the environment if it wants the proxy from there. 0, `why` then holds a warning or
 * nothing; or negative errno, a sentence in `why`. */
int transport_way_open(const struct door *door, struct transport_way *out, char *why, size_t why_len);
/* The same once more, to be closed by itself. 0 or -ENOMEM. */
int transport_way_share(const struct transport_way *way, struct transport_way *out);
void transport_way_close(struct transport_way *way); /* wipes the proxy's password */
/* Where TCP goes: to the proxy, which resolves the peer's name itself, else as the door says. */
const char *transport_way_host(const struct transport_way *way, const struct door *door);
uint16_t transport_way_port(const struct transport_way *way, const struct door *door);

/* What makes itself at this moment, from below; or where it failed. */
enum transport_stage { TRANSPORT_PROXY, TRANSPORT_TLS, TRANSPORT_WEBSOCKET, TRANSPORT_UP };

struct transport;
/* The stack for one connection; names are the door's namespace whatever the address. Nothing of door and way is needed afterwards. 0 or
 * negative errno, a sentence in `why`. */
int transport_open(const struct transport_way *way, const struct door *door, struct transport **out, char *why, size_t why_len);
void transport_close(struct transport *transport); /* NULL is fine */

/* Bytes from the socket, all of them taken; what is AMQP in them goes into `conn`. 0, or negative errno: it is over (-ECONNRESET: ended by
 * the peer in order). What came before the end is in `conn` to be heard first; transport_what and transport_error say why it ended. */
int transport_input(struct transport *transport, struct conn *conn, const uint8_t *data, size_t len);
/* The socket's end: notes why that is an error, if the stack was still making itself. */
void transport_input_end(struct transport *transport);
/* Bytes for the socket: count put into `to`, pulled from `conn` as there is room; 0: none now. After the end,
 * only the answer to a close frame. */
size_t transport_output(struct transport *transport, struct conn *conn, uint8_t *to, size_t cap);
/* Says farewell by what the stack has for it (close frame, close_notify), into the output; nothing more is pulled from `conn`. */
void transport_shutdown(struct transport *transport);

enum transport_stage transport_stage(const struct transport *transport);
/* 0: not over; else what transport_input returned. */
int transport_error_code(const struct transport *transport);
/* The kind of failure in a few words for a log's message, and the sentence with its remedy (empty: none, even when a stage is waited for).
 * The first is static, the second valid until transport_close. */
const char *transport_what(const struct transport *transport);
const char *transport_error(const struct transport *transport);

/* What the stages saw, as texts; empty: not there, or not yet. */
struct transport_seen {
    char proxy[80];            /* "200 Connection established" */
    char tls[96];              /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    char certificate[600];     /* "certificate for NAMES by "ISSUER", valid until DATE" */
    int64_t certificate_end_s; /* since 1970; 0: none */
    char websocket[80];        /* "101 Switching Protocols" */
    char date[40];             /* of that answer, by the peer's clock: "Thu, 26 Nov 2026 14:00:00 GMT" */
};
void transport_print_seen(const struct transport *transport, struct transport_seen *seen);

#endif
