/* The request nodes of the service: $cbs takes tokens, $management tells of hubs and partitions. */
#ifndef HUB_REQUEST_H
#define HUB_REQUEST_H

#include "engine.h"

/* Answers a request that came in on a link to $cbs or $management; the answer waits on the peer's receiver for credit. */
void hub_request_answer(struct hub_link *from, const uint8_t *bytes, size_t len);

/* Sends answers that wait on a receiver of such a node. */
void hub_request_pump(struct hub_link *l);

#endif
