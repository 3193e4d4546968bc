/* What uplink.c and uplink_ready.c share. */
#ifndef EHRING_UPLINK_INTERNAL_H
#define EHRING_UPLINK_INTERNAL_H

#include "shipper/uplink.h"

void uplink_fail(struct uplink *up, const char *what, const char *detail, int64_t now_ns);
void uplink_enter(struct uplink *up, enum uplink_state state, int64_t wait_ns, int64_t now_ns);
void uplink_permit_give(struct uplink *up); /* it is no longer being made */
void uplink_put_token(struct uplink *up, int64_t now_ns);
void uplink_read_hub(struct uplink *up, int64_t now_ns);

#endif
