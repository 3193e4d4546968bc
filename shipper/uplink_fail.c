/* What the loss of a connection costs: the incident it belongs to, the wait before the next one, the circuit. The third part of uplink.h.
 */
#include <errno.h>
#include <stdio.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/uplink_internal.h"

static int64_t health_note(struct uplink *up, const struct outcome *outcome, int64_t now_ns);

/* Says why, frees the stack, plans the next attempt, and tells the worker if there was something in flight to lose. */
void uplink_fail_as(struct uplink *up, const struct outcome *outcome, const char *what, const char *detail, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    char quoted[CREDENTIAL_ERROR_BYTES + 100], remedy[300] = "-";
    bool was_ready = up->state == UPLINK_READY, closing = up->state == UPLINK_CLOSING;
    const char *policy = up->key ? config->door.second_key_name : config->door.connstr.key_name;
    struct outcome known = *outcome; /* it may lie in what is freed now, and so may the detail */
    log_quote(quoted, sizeof quoted, detail);
    if (known.remedy)
        log_quote(remedy, sizeof remedy, known.remedy);
    up->lost |= up->conn != NULL; /* until it was told */
    uplink_end(up);
    if (closing)
        return;
    order_none_add64(was_ready ? &up->counters->connection_lost_count : &up->counters->connect_failed_count, 1);
    int64_t wait_ns = up->next_setup ? 0 : health_note(up, &known, now_ns); /* what an old peer says is not of the new one */
    log_line(known.normal ? LOG_INFO : LOG_WARN, "pool", what,
             "stream=%s worker=%u host=%s port=%u hub=%s policy=%s reason=%s action=%s retry_ms=%lld remedy=%s", config->name, up->worker,
             config->door.connstr.host, door_port(&config->door), config->door.hub, policy[0] ? policy : "-", quoted,
             outcome_action_name(known.action), (long long)(wait_ns / CLOCK_NS_PER_MS), remedy);
}

/* A connection that had been ready is replaced at once, the first time: losing one after hours of work is normal life. */
void uplink_fail(struct uplink *up, const char *what, const char *detail, int64_t now_ns)
{
    struct outcome outcome = outcome_of(OUTCOME_CLOSE, 0, NULL, NULL);
    outcome.normal = up->state == UPLINK_READY;
    uplink_fail_as(up, &outcome, what, detail, now_ns);
}

/* An end in order is daily life, what broke on the way is not. */
void uplink_fail_transport(struct uplink *up, int64_t now_ns)
{
    struct outcome outcome = outcome_of(OUTCOME_CLOSE, 0, NULL, NULL);
    outcome.normal = up->state == UPLINK_READY && transport_error_code(up->transport) == -ECONNRESET;
    uplink_fail_as(up, &outcome, transport_what(up->transport), transport_error(up->transport), now_ns);
}

void uplink_restart(struct uplink *up, const struct outcome *outcome, const char *what, const char *detail, int64_t now_ns)
{
    if (up->state == UPLINK_IDLE) /* given up for another reason a moment ago */
        return;
    uplink_distrust_token(up, outcome);
    up->health->token_renewed |= outcome->action == OUTCOME_RENEW_TOKEN && !up->next_setup;
    uplink_fail_as(up, outcome, what, detail, now_ns);
}

void uplink_health_throttled(struct uplink_health *health, struct counters_worker *counters, int64_t wait_ns, int64_t now_ns)
{
    int64_t until_ns = now_ns + wait_ns, from_ns = health->throttled_until_ns > now_ns ? health->throttled_until_ns : now_ns;
    if (until_ns <= from_ns)
        return;
    health->throttled_until_ns = until_ns;
    health->throttled_rest_ns += until_ns - from_ns;
    order_none_add64(&counters->throttled_seconds, (uint64_t)(health->throttled_rest_ns / CLOCK_NS_PER_SECOND));
    health->throttled_rest_ns %= CLOCK_NS_PER_SECOND;
}

void uplink_health_failed(struct uplink_health *health, struct counters_worker *counters, const char *stream, int64_t wait_ns,
                          int64_t now_ns)
{
    enum circuit_state before = health->circuit.state;
    circuit_failed(&health->circuit, now_ns, wait_ns);
    if (before == CIRCUIT_CLOSED && health->circuit.state == CIRCUIT_OPEN) {
        order_none_add64(&counters->circuit_opened_count, 1);
        log_line(LOG_WARN, "pool", "circuit is open: the hub is left alone for a while", "stream=%s failures=%u retry_ms=%lld", stream,
                 health->circuit.failure_count, (long long)(wait_ns / CLOCK_NS_PER_MS));
    }
}

/* How long to wait before the next attempt. Connections that had begun before the last failure are lost with it: one incident. */
static int64_t health_note(struct uplink *up, const struct outcome *outcome, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    struct uplink_health *health = up->health;
    if (health->failure_count > 0 && up->begun_ns < health->failed_at_ns)
        return health->retry_at_ns > now_ns ? health->retry_at_ns - now_ns : 0;
    int64_t wait_ns = backoff_outcome_ns(outcome, health->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    health->failure_count += outcome->action != OUTCOME_THROTTLE;
    health->failed_at_ns = now_ns;
    health->retry_at_ns = now_ns + wait_ns;
    if (outcome->action == OUTCOME_THROTTLE)
        uplink_health_throttled(health, up->counters, wait_ns, now_ns);
    if (outcome->counts_as_failure)
        uplink_health_failed(health, up->counters, config->name, wait_ns, now_ns);
    return wait_ns;
}
