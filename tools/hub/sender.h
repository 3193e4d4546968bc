/* A delivery of events: judged, stored, answered. */
#ifndef HUB_SENDER_H
#define HUB_SENDER_H

#include "engine.h"

enum hub_after { HUB_AFTER_GO_ON, HUB_AFTER_CUT };

/*
 * Handles a whole delivery on a link to a hub or partition: l->delivery_* describe it; `bytes` is NULL when it was
 * longer than the link allows. HUB_AFTER_CUT: a fault wants the connection cut now.
 */
enum hub_after hub_sender_deliver(struct hub_link *l, const uint8_t *bytes, size_t len);

#endif
