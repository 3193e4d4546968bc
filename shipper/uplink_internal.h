/* What the files of an uplink share. */
#ifndef EHRING_UPLINK_INTERNAL_H
#define EHRING_UPLINK_INTERNAL_H

#include "shipper/clock.h"
#include "shipper/uplink.h"

#define UPLINK_REQUEST_WAIT_NS (65 * CLOCK_NS_PER_SECOND) /* a request times out by itself a little earlier */

/* The one way down, with what the table of outcomes says. */
void uplink_fail_as(struct uplink *up, const struct outcome *outcome, const char *what, const char *detail, int64_t now_ns);
/* The same for what no peer said: a lost transport, a time-out, an error of our own. */
void uplink_fail(struct uplink *up, const char *what, const char *detail, int64_t now_ns);
/* What the transport says of its end. */
void uplink_fail_transport(struct uplink *up, int64_t now_ns);
/* Begins the transport's own farewell behind AMQP's. false: it has none that the peer answers. */
bool uplink_farewell(struct uplink *up);
void uplink_enter(struct uplink *up, enum uplink_state state, int64_t wait_ns, int64_t now_ns);
void uplink_permit_give(struct uplink *up);             /* it is no longer being made */
void uplink_resolve(struct uplink *up, int64_t now_ns); /* a connection begins, with what its token needs at hand */

/* ---- uplink_token.c ---- */
void uplink_fetch_token(struct uplink *up, int64_t now_ns); /* of the identity, for a connection that begins */
void uplink_take_token(struct uplink *up, int64_t now_ns);  /* what the credential has answered, if it has */
void uplink_put_token(struct uplink *up, int64_t now_ns);
void uplink_renew_token(struct uplink *up, int64_t now_ns); /* it is time */
void uplink_forget_token(struct uplink *up);
/* The next connection gets another token of the identity, if that is what the outcome asks for. */
void uplink_distrust_token(struct uplink *up, const struct outcome *outcome);
/* A token of the key that was put last, or the identity's. 0 or a negative errno. */
int uplink_make_token(struct uplink *up, int64_t expires_s, char *to, size_t cap);
void uplink_token_answered(struct uplink *up, const struct conn_event *event, int64_t now_ns);

/* ---- uplink_ready.c ---- */
void uplink_read_hub(struct uplink *up, int64_t now_ns);
/* A request was begun with this result; the connection's own clock of it starts with the next tick. -EBUSY: the last one is not answered
 * yet, its answer or time-out comes first. */
void uplink_request_begun(struct uplink *up, int rc, const char *failed, int64_t now_ns);
void uplink_describe(const struct conn_event *event, char *to, size_t to_len); /* CONDITION: TEXT */

#endif
