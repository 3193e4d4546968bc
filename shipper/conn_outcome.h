/* What to do about what a connection tells: its events, looked up in the table of outcomes. Pure. */
#ifndef EHRING_CONN_OUTCOME_H
#define EHRING_CONN_OUTCOME_H

#include "shipper/conn.h"
#include "shipper/door.h"

/* Of CONN_SETTLED but for CONN_ACCEPTED, of CONN_LINK_ENDED and CONN_CLOSED that we did not ask for, and of CONN_TOKEN and CONN_HUB whose
 * status is not 200..299. */
struct outcome conn_event_outcome(enum door_type type, const struct conn_event *event);

#endif
