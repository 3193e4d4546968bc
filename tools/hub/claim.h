/* What the tokens of a connection allow it to do, and until when. */
#ifndef HUB_CLAIM_H
#define HUB_CLAIM_H

#include "engine.h"

/* Notes a verified claim on a path; one on the same path is renewed. 0, or -ENOSPC: too many. */
int hub_claim_add(struct hub_conn *c, const char *path, int64_t expiry_s, unsigned rights);

/* Ends every claim now. */
void hub_claim_expire(struct hub_conn *c);

/* Whether the connection has any of these rights on a path now. */
bool hub_claim_covers(const struct hub_conn *c, const char *path, unsigned rights);

/* Whether it may use anything at all: the node $management is nobody's entity. */
bool hub_claim_any(const struct hub_conn *c);

#endif
