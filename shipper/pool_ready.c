/* The AMQP half of becoming ready: token, hub properties, and what the peer says about them. The other half of pool.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/pool_internal.h"
#include "shipper/sas.h"

#define REQUEST_WAIT_NS (65 * CLOCK_NS_PER_SECOND) /* a request times out by itself a little earlier */

static bool event_take(struct pool_conn *pc, const struct conn_event *event, int64_t now_ns);
static void token_answered(struct pool_conn *pc, const struct conn_event *event, int64_t now_ns);
static void hub_answered(struct pool_conn *pc, const struct conn_event *event, int64_t now_ns);
static void request_begun(struct pool_conn *pc, int rc, const char *failed, int64_t now_ns);
static void describe(const struct conn_event *event, char *to, size_t to_len);

bool pool_conn_next_event(struct pool_conn *pc, struct conn_event *event, int64_t now_ns)
{
    while (pc->conn && conn_next_event(pc->conn, event))
        if (!event_take(pc, event, now_ns))
            return true;
    if (pc->ended_by)
        pool_fail(pc, pc->ended_by, tls_error(pc->tls), now_ns);
    if (!pc->lost)
        return false;
    pc->lost = false;
    *event = (struct conn_event){.kind = CONN_CLOSED};
    return true;
}

/* True: the event was the pool's own. */
static bool event_take(struct pool_conn *pc, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    switch (event->kind) {
    case CONN_OPENED:
        if (pc->state == POOL_OPENING)
            pool_put_token(pc, now_ns);
        return true;
    case CONN_TOKEN:
        token_answered(pc, event, now_ns);
        return true;
    case CONN_HUB:
        hub_answered(pc, event, now_ns);
        return true;
    case CONN_CLOSED:
        describe(event, reason, sizeof reason);
        pool_fail(pc, "connection closed", reason[0] ? reason : "closed", now_ns);
        return true; /* told through pc->lost */
    case CONN_LINK_READY:
    case CONN_LINK_CREDIT:
    case CONN_SENT:
    case CONN_SETTLED:
    case CONN_LINK_ENDED:
        return false;
    }
    return true;
}

static void describe(const struct conn_event *event, char *to, size_t to_len)
{
    snprintf(to, to_len, "%s%s%s", event->condition, event->condition[0] && event->description[0] ? ": " : "", event->description);
}

/* The connection's own clock of the request starts with the next tick. -EBUSY: the last one is not answered yet, its answer or time-out
 * comes first. */
static void request_begun(struct pool_conn *pc, int rc, const char *failed, int64_t now_ns)
{
    pc->tick_at_ns = now_ns;
    if (rc != 0 && rc != -EBUSY)
        pool_fail(pc, failed, strerror(-rc), now_ns);
}

/* A token of ours lives token_seconds and is renewed after three quarters; a ready one cannot be renewed. */
void pool_put_token(struct pool_conn *pc, int64_t now_ns)
{
    const struct config_stream *config = pc->stream->config;
    char token[SAS_TOKEN_BYTES_MAX];
    int64_t now_s = clock_wall_ns() / CLOCK_NS_PER_SECOND, expires_s = now_s + config->token_seconds;
    int rc = 0;
    if (pc->state == POOL_OPENING)
        pool_enter(pc, POOL_TOKEN, REQUEST_WAIT_NS, now_ns);
    pc->token_renew_at_ns = 0;
    if (config->connstr.signature[0]) {
        expires_s = sas_expiry(config->connstr.signature);
        if (expires_s <= now_s) {
            pool_fail(pc, "the shared access signature has expired: give a new one, or a key", "expired", now_ns);
            return;
        }
        rc = conn_put_token(pc->conn, "servicebus.windows.net:sastoken", pc->stream->audience, config->connstr.signature, expires_s);
    } else {
        rc = sas_make_token(pc->stream->audience, config->connstr.key_name, config->connstr.key, expires_s, token, sizeof token);
        if (rc == 0)
            rc = conn_put_token(pc->conn, "servicebus.windows.net:sastoken", pc->stream->audience, token, expires_s);
        explicit_bzero(token, sizeof token);
        pc->token_renew_at_ns = now_ns + config->token_seconds * CLOCK_NS_PER_SECOND / 4 * 3;
    }
    request_begun(pc, rc, "no token could be put", now_ns);
}

static void token_answered(struct pool_conn *pc, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    if (event->status >= 200 && event->status < 300) {
        order_none_add64(&pc->counters->token_count, 1);
        if (pc->state == POOL_TOKEN) {
            pool_enter(pc, POOL_HUB, REQUEST_WAIT_NS, now_ns);
            pool_read_hub(pc, now_ns);
        }
        return;
    }
    order_none_add64(&pc->counters->token_refused_count, 1);
    int at = snprintf(reason, sizeof reason, "status %d ", event->status);
    describe(event, reason + at, sizeof reason - (size_t)at);
    const char *what = "token refused: check SharedAccessKeyName, SharedAccessKey and the policy's Send claim";
    if (strstr(event->description, "xpired"))
        what = "token refused as expired: check this machine's clock";
    if (event->status == 404)
        what = "token refused: hub or namespace not found";
    if (event->status == 0)
        what = "no answer to the token request";
    pool_fail(pc, what, reason, now_ns);
}

void pool_read_hub(struct pool_conn *pc, int64_t now_ns)
{
    const struct config_stream *config = pc->stream->config;
    char token[SAS_TOKEN_BYTES_MAX];
    int64_t expires_s = clock_wall_ns() / CLOCK_NS_PER_SECOND + config->token_seconds;
    int rc = 0;
    pc->hub_read_at_ns = now_ns + config->partition_refresh_seconds * CLOCK_NS_PER_SECOND;
    if (config->connstr.signature[0])
        snprintf(token, sizeof token, "%s", config->connstr.signature);
    else
        rc = sas_make_token(pc->stream->audience, config->connstr.key_name, config->connstr.key, expires_s, token, sizeof token);
    if (rc == 0)
        rc = conn_read_hub(pc->conn, config->hub, token);
    explicit_bzero(token, sizeof token);
    request_begun(pc, rc, "the hub's properties could not be asked for", now_ns);
}

static void hub_answered(struct pool_conn *pc, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    bool good = event->status >= 200 && event->status < 300 && event->partition_count > 0;
    if (good && event->partition_count <= RING_PARTITIONS_MAX && event->ids_plain) {
        stream_tell_partition_count(pc->stream, event->partition_count);
        if (pc->state != POOL_HUB)
            return;
        pool_enter(pc, POOL_READY, 0, now_ns);
        order_none_add64(&pc->counters->connect_count, 1);
        order_none_store64(&pc->counters->connected, 1);
        log_line(LOG_INFO, "pool", "connection is ready", "stream=%s worker=%u host=%s hub=%s partitions=%u", pc->stream->config->name,
                 pc->worker, pc->stream->config->connstr.host, pc->stream->config->hub, event->partition_count);
        return;
    }
    if (pc->state != POOL_HUB) { /* a refresh that failed: the old answer stands */
        log_line(LOG_WARN, "pool", "the hub's properties could not be read again", "stream=%s status=%d", pc->stream->config->name,
                 event->status);
        return;
    }
    int at =
        snprintf(reason, sizeof reason, "status %d partitions %u limit %u ", event->status, event->partition_count, RING_PARTITIONS_MAX);
    describe(event, reason + at, sizeof reason - (size_t)at);
    pool_fail(pc, event->status == 404 ? "hub not found: check hub or EntityPath" : "the hub's properties cannot be used", reason, now_ns);
}
