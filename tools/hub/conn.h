/* One AMQP connection: protocol headers, SASL, open and close, frames to sessions, timers. */
#ifndef HUB_CONN_H
#define HUB_CONN_H

#include "engine.h"

/* Takes over an accepted descriptor that came in this way; plain when it is NULL. NULL: it could not. */
struct hub_conn *hub_conn_open(struct hub_broker *b, const struct hub_limits *limits, int fd, const struct hub_way *way);

/* Reads and answers what has come. True: there may be more at once. */
bool hub_conn_read(struct hub_conn *c);

/* Writes what waits. Afterwards state tells whether the connection lives on. */
void hub_conn_write(struct hub_conn *c);

/* Sends events that were stored meanwhile, and dispositions that are due. */
void hub_conn_pump(struct hub_conn *c);

/* Looks at the connection's deadlines and the expiry of its tokens; call a few times a second. */
void hub_conn_tick(struct hub_conn *c);

/* Closes it with an error, as far as it can be told; the rest goes out. Safe to repeat. */
void hub_conn_fail(struct hub_conn *c, const struct hub_error *error);

/* Ends it now, without a word. */
void hub_conn_cut(struct hub_conn *c);

/* Closes the WebSocket under it with a code, at once; nothing where there is none. */
void hub_conn_close_websocket(struct hub_conn *c, uint16_t code, const char *reason);

/* Detaches the links that no token covers any more. */
void hub_conn_check_claims(struct hub_conn *c);

/* Whether bytes wait to be written, or TLS waits for the socket to take some. */
bool hub_conn_wants_write(const struct hub_conn *c);

/* Whether so much output waits that nothing more is read. */
bool hub_conn_is_full(const struct hub_conn *c);

/* Whether it is to be freed: all is said and written, or nobody is there. */
bool hub_conn_is_over(const struct hub_conn *c);

/* Closes and frees. */
void hub_conn_free(struct hub_conn *c);

#endif
