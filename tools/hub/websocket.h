/* One WebSocket in the server's role, over libwslay: bytes of the wire in, a stream of payload out, and back. Does no I/O. */
#ifndef HUB_WEBSOCKET_H
#define HUB_WEBSOCKET_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUB_WEBSOCKET_FRAGMENT_MAX = 4096, HUB_WEBSOCKET_REASON_MAX = 123 };

enum hub_websocket_state {
    HUB_WEBSOCKET_UPGRADE, /* the request is not whole yet */
    HUB_WEBSOCKET_ASKED,   /* it is whole and good: accept, refuse or hang */
    HUB_WEBSOCKET_HANGS,   /* it is not answered */
    HUB_WEBSOCKET_REFUSED, /* it was answered, and that was all */
    HUB_WEBSOCKET_OPEN,
    HUB_WEBSOCKET_CLOSED, /* a close frame has gone out: we say nothing more */
};

struct hub_websocket;

/* How payload becomes frames; 0: as much as there is. */
struct hub_websocket_cut {
    size_t message_bytes, fragment_bytes; /* at most HUB_WEBSOCKET_FRAGMENT_MAX */
};

/* Never NULL. */
struct hub_websocket *hub_websocket_open(void);

/* Takes bytes from the wire: payload and answers wait afterwards, and the state may be another. */
void hub_websocket_input(struct hub_websocket *w, const uint8_t *bytes, size_t len);

enum hub_websocket_state hub_websocket_state(const struct hub_websocket *w);

/* Whether the peer says nothing more that we could understand: it closed, broke a rule, or was refused. */
bool hub_websocket_is_deaf(const struct hub_websocket *w);

/* Whether close frames went both ways. */
bool hub_websocket_is_done(const struct hub_websocket *w);

/* What was refused or broken, for people; empty: nothing. Valid until the next call. */
const char *hub_websocket_why(const struct hub_websocket *w);

/* Decides about the request in state ASKED; refuse works in state UPGRADE too. */
void hub_websocket_accept(struct hub_websocket *w);
void hub_websocket_refuse(struct hub_websocket *w, int status, const char *text);
void hub_websocket_hang(struct hub_websocket *w);

/* Puts payload (state OPEN) into binary messages. */
void hub_websocket_send(struct hub_websocket *w, const uint8_t *bytes, size_t len, const struct hub_websocket_cut *cut);

/* Sends a ping (state OPEN). */
void hub_websocket_ping(struct hub_websocket *w);

/* Sends a close frame (state OPEN); nothing follows it. */
void hub_websocket_close(struct hub_websocket *w, uint16_t code, const char *reason);

/* Payload that came, and bytes for the wire: the caller takes from them. */
struct hub_buf *hub_websocket_payload(struct hub_websocket *w);
struct hub_buf *hub_websocket_output(struct hub_websocket *w);

/* Takes NULL. */
void hub_websocket_free(struct hub_websocket *w);

#endif
