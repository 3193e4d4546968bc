/* The AMQP half of becoming ready: hub properties, greeting, and what the peer says about them. The other half of uplink.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/conn_outcome.h"
#include "shipper/log.h"
#include "shipper/uplink_internal.h"

#define GREETING_TAG UINT64_MAX
#define GREETING_TRIES 2u
#define UPLINK_BROKER_DOMAINS 16u /* classes of keys that keep their order, where there are no partitions */

static bool event_take(struct uplink *up, const struct conn_event *event, int64_t now_ns);
static void opened(struct uplink *up, int64_t now_ns);
static void greet_or_ready(struct uplink *up, int64_t now_ns);
static void hub_answered(struct uplink *up, const struct conn_event *event, int64_t now_ns);
static void greet(struct uplink *up, int64_t now_ns);
static void greeting_event(struct uplink *up, const struct conn_event *event, int64_t now_ns);
static void greeting_settled(struct uplink *up, const struct conn_event *event, int64_t now_ns);
static void ready(struct uplink *up, int64_t now_ns);
static void closed(struct uplink *up, const struct conn_event *event, int64_t now_ns);

bool uplink_next_event(struct uplink *up, struct conn_event *event, int64_t now_ns)
{
    while (up->conn && conn_next_event(up->conn, event))
        if (!event_take(up, event, now_ns))
            return true;
    if (up->ended)
        uplink_fail_transport(up, now_ns);
    if (!up->lost)
        return false;
    up->lost = false;
    *event = (struct conn_event){.kind = CONN_CLOSED};
    return true;
}

/* True: the event was the uplink's own. */
static bool event_take(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    switch (event->kind) {
    case CONN_OPENED:
        opened(up, now_ns);
        return true;
    case CONN_TOKEN:
        uplink_token_answered(up, event, now_ns);
        return true;
    case CONN_HUB:
        hub_answered(up, event, now_ns);
        return true;
    case CONN_CLOSED:
        closed(up, event, now_ns);
        return true; /* told through up->lost */
    case CONN_LINK_READY:
    case CONN_LINK_CREDIT:
    case CONN_SENT:
    case CONN_PROGRESS:
    case CONN_LINK_ENDED:
        if (event->link != up->greeting_link)
            return false;
        greeting_event(up, event, now_ns);
        return true;
    case CONN_SETTLED:
        if (event->tag != GREETING_TAG)
            return false;
        greeting_settled(up, event, now_ns);
        return true;
    }
    return true;
}

/* A broker has said by SASL whether it takes us, and has no partitions to ask for. */
static void opened(struct uplink *up, int64_t now_ns)
{
    if (up->state != UPLINK_OPENING)
        return;
    if (up->setup->config.door.type != DOOR_AMQP) {
        uplink_put_token(up, now_ns);
        return;
    }
    stream_tell_partition_count(up->stream, up->setup, UPLINK_BROKER_DOMAINS);
    greet_or_ready(up, now_ns);
}

static void greet_or_ready(struct uplink *up, int64_t now_ns)
{
    if (up->setup->config.ready_message[0])
        greet(up, now_ns);
    else
        ready(up, now_ns);
}

/* One event of its own on a link of its own, in no ring and in no ledger. */
static void greet(struct uplink *up, int64_t now_ns)
{
    uplink_enter(up, UPLINK_GREETING, UPLINK_REQUEST_WAIT_NS, now_ns);
    up->greeting_link = conn_link_open(up->conn, up->setup->config.door.hub);
    if (up->greeting_link < 0)
        uplink_fail(up, "the ready_message could not be sent", strerror(-up->greeting_link), now_ns);
}

static void greeting_send(struct uplink *up, int64_t now_ns)
{
    const char *text = up->setup->config.ready_message;
    size_t len = strlen(text);
    int64_t head_len = amqp_encode_section_head(len, up->greeting, sizeof up->greeting);
    memcpy(up->greeting + head_len, text, len);
    up->greeting_try_count++;
    int rc = conn_send(up->conn, up->greeting_link, GREETING_TAG, CONN_FORMAT_SINGLE, up->greeting, (size_t)head_len + len);
    if (rc != 0)
        uplink_fail(up, "the ready_message could not be sent", strerror(-rc), now_ns);
}

static void greeting_event(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    if (event->kind == CONN_LINK_ENDED) {
        up->greeting_link = -1;
        uplink_describe(event, reason, sizeof reason);
        if (up->state == UPLINK_GREETING)
            uplink_fail(up, "the ready_message's link was refused", reason, now_ns);
    } else if (event->kind == CONN_LINK_CREDIT && up->greeting_try_count == 0) {
        greeting_send(up, now_ns);
    }
}

static void greeting_settled(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    if (up->state != UPLINK_GREETING)
        return;
    if (event->outcome == CONN_ACCEPTED) {
        order_none_add64(&up->counters->ready_message_count, 1);
        conn_link_close(up->conn, up->greeting_link);
        ready(up, now_ns);
        return;
    }
    struct outcome outcome = conn_event_outcome(up->setup->config.door.type, event);
    if (outcome.action != OUTCOME_THROTTLE && up->greeting_try_count < GREETING_TRIES &&
        conn_link_credit(up->conn, up->greeting_link) > 0) {
        greeting_send(up, now_ns);
        return;
    }
    uplink_describe(event, reason, sizeof reason);
    uplink_restart(up, &outcome, "the ready_message was not accepted", reason, now_ns);
}

static void ready(struct uplink *up, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    uplink_enter(up, UPLINK_READY, 0, now_ns);
    uplink_permit_give(up);
    up->ready_ns = up->used_ns = now_ns;
    up->health->was_ready = true;
    order_none_add64(&up->counters->connect_count, 1);
    log_line(LOG_INFO, "pool", "connection is ready", "stream=%s worker=%u host=%s hub=%s partitions=%u", config->name, up->worker,
             config->door.connstr.host, config->door.hub, order_none_load32(&up->stream->partition_count));
}

static void closed(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    struct outcome outcome = conn_event_outcome(up->setup->config.door.type, event);
    uplink_describe(event, reason, sizeof reason);
    uint64_t bytes_max = up->setup->config.door.type == DOOR_AMQP ? outcome_broker_size_limit(event->description) : 0;
    if (bytes_max) /* RabbitMQ tells it only so: the links to come have it, and what is larger becomes a dead letter */
        up->health->message_bytes_max = bytes_max;
    if (up->state == UPLINK_CLOSING && !event->condition[0] && uplink_farewell(up))
        return;
    outcome.normal &= up->state == UPLINK_READY || up->state == UPLINK_CLOSING; /* one that was never ready is not daily life */
    if (event->condition[0])
        uplink_restart(up, &outcome, "connection closed", reason, now_ns);
    else
        uplink_fail(up, "connection closed", "closed", now_ns);
}

void uplink_describe(const struct conn_event *event, char *to, size_t to_len)
{
    snprintf(to, to_len, "%s%s%s", event->condition, event->condition[0] && event->description[0] ? ": " : "", event->description);
}

void uplink_request_begun(struct uplink *up, int rc, const char *failed, int64_t now_ns)
{
    up->tick_at_ns = now_ns;
    if (rc != 0 && rc != -EBUSY)
        uplink_fail(up, failed, strerror(-rc), now_ns);
}

void uplink_read_hub(struct uplink *up, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    char token[CREDENTIAL_TOKEN_BYTES_MAX + 1];
    int64_t expires_s = clock_wall_ns() / CLOCK_NS_PER_SECOND + config->token_seconds;
    up->hub_read_at_ns = now_ns + config->partition_refresh_seconds * CLOCK_NS_PER_SECOND;
    int rc = uplink_make_token(up, expires_s, token, sizeof token);
    if (rc == 0)
        rc = conn_read_hub(up->conn, config->door.hub, token);
    explicit_bzero(token, sizeof token);
    uplink_request_begun(up, rc, "the hub's properties could not be asked for", now_ns);
}

static void hub_answered(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    bool good = event->status >= 200 && event->status < 300 && event->partition_count > 0;
    if (good && event->partition_count <= RING_PARTITIONS_MAX && event->ids_plain) {
        stream_tell_partition_count(up->stream, up->setup, event->partition_count);
        if (up->state != UPLINK_HUB)
            return;
        greet_or_ready(up, now_ns);
        return;
    }
    if (up->state != UPLINK_HUB) { /* a refresh that failed: the old answer stands */
        log_line(LOG_WARN, "pool", "the hub's properties could not be read again", "stream=%s status=%d", up->setup->config.name,
                 event->status);
        return;
    }
    struct outcome outcome = conn_event_outcome(up->setup->config.door.type, event);
    uplink_name_role(up->setup, &outcome);
    int at =
        snprintf(reason, sizeof reason, "status %d partitions %u limit %u ", event->status, event->partition_count, RING_PARTITIONS_MAX);
    uplink_describe(event, reason + at, sizeof reason - (size_t)at);
    if (good)
        outcome = (struct outcome){
            .action = OUTCOME_HOLD, .counts_as_failure = true, .remedy = "its partitions must be 0 to n-1, within the limit"};
    uplink_distrust_token(up, &outcome);
    if (up->health->token_renewed)
        outcome = outcome_after_new_token(outcome);
    const char *what = "the hub's properties cannot be used";
    if (event->status == 401)
        what = "the hub's properties are refused to this token";
    if (event->status == 404)
        what = "hub not found: check hub or EntityPath";
    uplink_restart(up, &outcome, what, reason, now_ns);
}
