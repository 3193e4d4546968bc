/* Deliveries to the peer: one encoded message on its way through credit, session window and frame size. */
#ifndef HUB_OUTGOING_H
#define HUB_OUTGOING_H

#include "engine.h"

/* Whether a new delivery may begin on the link: attached, credit, the last one gone, output not full. */
bool hub_outgoing_ready(const struct hub_link *l);

/* Puts the message in l->sending on its way: takes a credit and a delivery id, sends what fits. Needs hub_outgoing_ready. */
void hub_outgoing_start(struct hub_link *l);

/* Sends more of a delivery that waited for the session's window. */
void hub_outgoing_continue(struct hub_link *l);

/* Tells the link's state, with the session's. */
void hub_outgoing_flow(struct hub_link *l);

/* Uses up the credit of a link that is to be drained. */
void hub_outgoing_drain(struct hub_link *l);

#endif
