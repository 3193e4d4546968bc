/* What the files of an uplink share. */
#ifndef EHRING_UPLINK_INTERNAL_H
#define EHRING_UPLINK_INTERNAL_H

#include "shipper/uplink.h"

/* The one way down, with what the table of outcomes says. */
void uplink_fail_as(struct uplink *up, const struct outcome *outcome, const char *what, const char *detail, int64_t now_ns);
/* The same for what no peer said: a lost transport, a time-out, an error of our own. */
void uplink_fail(struct uplink *up, const char *what, const char *detail, int64_t now_ns);
/* What the transport says of its end. */
void uplink_fail_transport(struct uplink *up, int64_t now_ns);
void uplink_enter(struct uplink *up, enum uplink_state state, int64_t wait_ns, int64_t now_ns);
void uplink_permit_give(struct uplink *up); /* it is no longer being made */
void uplink_put_token(struct uplink *up, int64_t now_ns);
void uplink_read_hub(struct uplink *up, int64_t now_ns);

#endif
