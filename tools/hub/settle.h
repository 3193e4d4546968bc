/* Dispositions of what the peer sent: accepted deliveries are told in ranges, on demand later. */
#ifndef HUB_SETTLE_H
#define HUB_SETTLE_H

#include "engine.h"

/* Notes an accepted delivery; told with its neighbours by hub_settle_flush. */
void hub_settle_accept(struct hub_session *s, uint32_t delivery_id);

/* Tells another outcome than accepted, after what was noted before it. */
void hub_settle(struct hub_session *s, const struct hub_disposition *d);

/* Tells what was noted on all sessions. Call at the end of every read. */
void hub_settle_flush(struct hub_conn *c);

/* Moves delayed dispositions that are due to the output. */
void hub_settle_due(struct hub_conn *c);

/* When the next delayed disposition is due (monotonic ms); INT64_MAX: none. */
int64_t hub_settle_next_ms(const struct hub_conn *c);

#endif
