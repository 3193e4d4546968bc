/* The token of a connection: put, renewed, refused. */
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/conn_outcome.h"
#include "shipper/log.h"
#include "shipper/sas.h"
#include "shipper/uplink_internal.h"

static void renewal_failed(struct uplink *up, const struct outcome *outcome, const char *what, const char *reason, int64_t now_ns);

/* A token of ours lives token_seconds and is renewed after three quarters; a ready one cannot be renewed. */
void uplink_put_token(struct uplink *up, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    char token[SAS_TOKEN_BYTES_MAX];
    int64_t now_s = clock_wall_ns() / CLOCK_NS_PER_SECOND, expires_s = now_s + config->token_seconds;
    int rc = 0;
    if (up->state == UPLINK_OPENING)
        uplink_enter(up, UPLINK_TOKEN, UPLINK_REQUEST_WAIT_NS, now_ns);
    up->token_renew_at_ns = 0;
    if (config->door.connstr.signature[0]) {
        expires_s = sas_expiry(config->door.connstr.signature);
        if (expires_s <= now_s) {
            uplink_fail(up, "the shared access signature has expired: give a new one, or a key", "expired", now_ns);
            return;
        }
        rc = conn_put_token(up->conn, "servicebus.windows.net:sastoken", up->setup->audience, config->door.connstr.signature, expires_s);
    } else {
        rc = sas_make_token(up->setup->audience, config->door.connstr.key_name, config->door.connstr.key, expires_s, token, sizeof token);
        if (rc == 0)
            rc = conn_put_token(up->conn, "servicebus.windows.net:sastoken", up->setup->audience, token, expires_s);
        explicit_bzero(token, sizeof token);
        up->token_renew_at_ns = now_ns + config->token_seconds * CLOCK_NS_PER_SECOND / 4 * 3;
    }
    uplink_request_begun(up, rc, "no token could be put", now_ns);
}

void uplink_token_answered(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    if (event->status >= 200 && event->status < 300) {
        order_none_add64(&up->counters->token_count, 1);
        up->renewal_failure_count = 0;
        if (up->state == UPLINK_TOKEN) {
            uplink_enter(up, UPLINK_HUB, UPLINK_REQUEST_WAIT_NS, now_ns);
            uplink_read_hub(up, now_ns);
        }
        return;
    }
    order_none_add64(&up->counters->token_refused_count, 1);
    struct outcome outcome = conn_event_outcome(event);
    int at = snprintf(reason, sizeof reason, "status %d ", event->status);
    uplink_describe(event, reason + at, sizeof reason - (size_t)at);
    const char *what = "token refused: check SharedAccessKeyName, SharedAccessKey and the policy's Send claim";
    if (strstr(event->description, "xpired"))
        what = "token refused as expired: check this machine's clock";
    if (event->status == 404)
        what = "token refused: hub or namespace not found";
    if (outcome.action == OUTCOME_THROTTLE || outcome.action == OUTCOME_RESEND)
        what = "token not taken now";
    if (event->status == 0)
        what = "no answer to the token request";
    if (up->state == UPLINK_READY && up->token_renew_at_ns) {
        renewal_failed(up, &outcome, what, reason, now_ns);
        return;
    }
    if (up->health->token_renewed)
        outcome = outcome_after_new_token(outcome);
    uplink_restart(up, &outcome, what, reason, now_ns);
}

/* The old token still holds: all goes on with it, and another try comes before its end. */
static void renewal_failed(struct uplink *up, const struct outcome *outcome, const char *what, const char *reason, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    char quoted[700];
    int64_t wait_ns = backoff_wait_ns(++up->renewal_failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    if (wait_ns < outcome->wait_ms * CLOCK_NS_PER_MS)
        wait_ns = outcome->wait_ms * CLOCK_NS_PER_MS;
    up->token_renew_at_ns = now_ns + wait_ns;
    log_line(LOG_WARN, "pool", what, "stream=%s worker=%u host=%s hub=%s reason=%s retry_ms=%lld token=\"the old one is still in use\"",
             config->name, up->worker, config->door.connstr.host, config->door.hub, log_quote(quoted, sizeof quoted, reason),
             (long long)(wait_ns / CLOCK_NS_PER_MS));
}
