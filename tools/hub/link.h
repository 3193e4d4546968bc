/* Links: attach and its refusal, credit, transfers put together to deliveries. */
#ifndef HUB_LINK_H
#define HUB_LINK_H

#include "engine.h"
#include "sender.h"

/* Answers an attach. 0, or -EPROTO: the connection is to be closed with `why`. */
int hub_link_attach(struct hub_session *s, const struct hub_fields *f, struct hub_error *why);

/* Takes one transfer frame. 0, or -EPROTO: the connection is to be closed with `why`. A fault may ask for a cut in `after`. */
int hub_link_transfer(struct hub_link *l, const struct hub_fields *f, struct hub_in payload, enum hub_after *after, struct hub_error *why);

/* Takes a flow that names the link. */
void hub_link_flow(struct hub_link *l, const struct hub_fields *f);

/* Takes the peer's detach: answers it unless it answers ours, and frees the link. */
void hub_link_detach(struct hub_link *l, const struct hub_fields *f);

/* Sends what waits on a link: events, or answers. */
void hub_link_pump(struct hub_link *l);

/* Detaches the link when no token covers its entity any more. */
void hub_link_check_claim(struct hub_link *l);

#endif
