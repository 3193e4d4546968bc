/* Sessions: begin and end, windows, and which link a frame is for. */
#ifndef HUB_SESSION_H
#define HUB_SESSION_H

#include "engine.h"
#include "sender.h"

/* Answers a begin. 0, or -EPROTO: the connection is to be closed with `why`. */
int hub_session_begin(struct hub_conn *c, uint16_t channel, const struct hub_fields *f, struct hub_error *why);

/* Takes a frame of a session that has begun; `after` as of hub_link_transfer. 0, or -EPROTO: close with `why`. */
int hub_session_frame(struct hub_session *s, uint64_t code, const struct hub_fields *f, struct hub_in payload, enum hub_after *after,
                      struct hub_error *why);

/* Ends the session with an error: the peer's end is due, all else it still sends is passed over. Safe to repeat. */
void hub_session_fail(struct hub_session *s, const struct hub_error *error);

/* Sends what waits on its links. */
void hub_session_pump(struct hub_session *s);

/* Frees the session, its links and its slot. */
void hub_session_free(struct hub_session *s);

#endif
