/* The token of a connection: made from a key or fetched for an identity, put, renewed, refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/conn_outcome.h"
#include "shipper/log.h"
#include "shipper/sas.h"
#include "shipper/uplink_internal.h"

#define RENEWAL_WAIT_NS_MIN CLOCK_NS_PER_SECOND
#define RENEWAL_WAIT_NS_MAX (30 * CLOCK_NS_PER_SECOND) /* of one that is overdue */
#define TYPE_SAS "servicebus.windows.net:sastoken"
#define TYPE_JWT "jwt"

static void token_missing(struct uplink *up, int64_t now_ns);
static int64_t renewal_at_ns(const struct credential_token *token, int64_t now_ns);
static const char *refusal_text(const struct uplink *up, const struct conn_event *event, const struct outcome *outcome);
static bool key_switch(struct uplink *up, const struct conn_event *event, int64_t now_ns);
static void key_accepted(struct uplink *up);
static void renewal_failed(struct uplink *up, const struct outcome *outcome, const char *what, const char *reason, int64_t now_ns);

static bool is_identity(const struct uplink *up)
{
    return up->setup->config.door.credential.kind != CREDENTIAL_SAS;
}

void uplink_fetch_token(struct uplink *up, int64_t now_ns)
{
    uplink_enter(up, UPLINK_FETCHING, 0, now_ns);
    credential_begin(up->credentials, &up->asked, &up->setup->config.door.credential);
}

/* A renewal that failed gives the old token again, as long as it lives: what the hub has accepted is not put twice. */
void uplink_take_token(struct uplink *up, int64_t now_ns)
{
    if (credential_state(&up->asked) != CREDENTIAL_DONE)
        return;
    struct credential_token *token = up->asked.result.token;
    if (!token && up->state == UPLINK_FETCHING) {
        token_missing(up, now_ns);
        return;
    }
    if (token && token != up->token) {
        credential_token_give(up->token);
        up->token = credential_token_take(token);
        up->token_number++;
    }
    credential_forget(up->credentials, &up->asked);
    if (up->state == UPLINK_FETCHING)
        uplink_resolve(up, now_ns);
    else if (up->state == UPLINK_READY && up->token_number != up->accepted_number)
        uplink_put_token(up, now_ns);
    else if (up->state == UPLINK_READY)
        up->token_renew_at_ns = renewal_at_ns(up->token, now_ns);
}

static void token_missing(struct uplink *up, int64_t now_ns)
{
    const struct credential_result *result = &up->asked.result;
    struct outcome outcome = {.action = OUTCOME_HOLD, .counts_as_failure = true, .remedy = result->remedy};
    char reason[CREDENTIAL_ERROR_BYTES];
    if (result->verdict == CREDENTIAL_LATER)
        outcome.action = OUTCOME_RECONNECT;
    else if (!outcome.remedy)
        outcome.remedy = "check credential and what belongs to it, and the environment of the shipper";
    outcome.wait_ms = result->wait_ms;
    snprintf(reason, sizeof reason, "%s", result->error); /* it goes with the connection */
    uplink_fail_as(up, &outcome, "no token for the identity", reason, now_ns);
}

/* All connections of an identity have the same token: they do not ask for the next one, nor put it, in the same instant. */
static int64_t renewal_at_ns(const struct credential_token *token, int64_t now_ns)
{
    int64_t wall_ns = clock_wall_ns(), wait_ns = token->refresh_ns - wall_ns, left_ns = token->expires_ns - wall_ns;
    if (wait_ns > 0)
        return now_ns + wait_ns + backoff_random_between(0, (token->expires_ns - token->refresh_ns) / 8);
    wait_ns = left_ns / 4 < RENEWAL_WAIT_NS_MAX ? left_ns / 4 : RENEWAL_WAIT_NS_MAX;
    return now_ns + (wait_ns > RENEWAL_WAIT_NS_MIN ? wait_ns : RENEWAL_WAIT_NS_MIN);
}

void uplink_renew_token(struct uplink *up, int64_t now_ns)
{
    if (!is_identity(up)) {
        uplink_put_token(up, now_ns);
        return;
    }
    up->token_renew_at_ns = 0; /* told anew by the answer */
    if (credential_state(&up->asked) == CREDENTIAL_IDLE)
        credential_begin(up->credentials, &up->asked, &up->setup->config.door.credential);
}

void uplink_forget_token(struct uplink *up)
{
    if (up->credentials)
        credential_forget(up->credentials, &up->asked);
    credential_token_give(up->token);
    up->token = NULL;
    up->token_number = up->put_number = up->accepted_number = up->keys_refused = 0;
}

/* A token of ours lives token_seconds and is renewed after three quarters; a ready one cannot be renewed. */
void uplink_put_token(struct uplink *up, int64_t now_ns)
{
    const struct config_stream *config = &up->setup->config;
    const char *signature = config->door.connstr.signature;
    char token[CREDENTIAL_TOKEN_BYTES_MAX + 1];
    int64_t now_s = clock_wall_ns() / CLOCK_NS_PER_SECOND, expires_s = now_s + config->token_seconds;
    if (up->state == UPLINK_OPENING)
        uplink_enter(up, UPLINK_TOKEN, UPLINK_REQUEST_WAIT_NS, now_ns);
    up->token_renew_at_ns = 0;
    up->key = up->keys_refused ? (up->keys_refused & 1) : order_flag_get(&up->setup->key);
    if (is_identity(up)) {
        expires_s = up->token->expires_ns / CLOCK_NS_PER_SECOND;
        up->token_renew_at_ns = renewal_at_ns(up->token, now_ns);
    } else if (!signature[0]) {
        up->token_renew_at_ns = now_ns + config->token_seconds * CLOCK_NS_PER_SECOND / 4 * 3;
    } else if ((expires_s = sas_expiry(signature)) <= now_s) {
        const struct outcome outcome = {.action = OUTCOME_HOLD,
                                        .counts_as_failure = true,
                                        .remedy = "give a new SharedAccessSignature, or SharedAccessKeyName and SharedAccessKey"};
        uplink_fail_as(up, &outcome, "the shared access signature has expired", "by this machine's clock", now_ns);
        return;
    }
    int rc = uplink_make_token(up, expires_s, token, sizeof token);
    if (rc == 0)
        rc = conn_put_token(up->conn, is_identity(up) ? TYPE_JWT : TYPE_SAS, up->setup->audience, token, expires_s);
    explicit_bzero(token, sizeof token);
    if (rc == 0)
        up->put_number = up->token_number;
    else if (rc == -EBUSY && up->token_renew_at_ns)
        up->token_renew_at_ns = now_ns + RENEWAL_WAIT_NS_MIN; /* behind the answer that is awaited */
    uplink_request_begun(up, rc, "no token could be put", now_ns);
}

int uplink_make_token(struct uplink *up, int64_t expires_s, char *to, size_t cap)
{
    const struct door *door = &up->setup->config.door;
    const char *ready = is_identity(up) ? up->token->text : door->connstr.signature;
    if (ready[0])
        return (size_t)snprintf(to, cap, "%s", ready) < cap ? 0 : -EMSGSIZE;
    return sas_make_token(up->setup->audience, up->key ? door->second_key_name : door->connstr.key_name,
                          up->key ? door->second_key : door->connstr.key, expires_s, to, cap);
}

void uplink_token_answered(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    char reason[640];
    if (event->status >= 200 && event->status < 300) {
        order_none_add64(&up->counters->token_count, 1);
        up->renewal_failure_count = 0;
        up->accepted_number = up->put_number;
        key_accepted(up);
        if (up->state == UPLINK_TOKEN) {
            uplink_enter(up, UPLINK_HUB, UPLINK_REQUEST_WAIT_NS, now_ns);
            uplink_read_hub(up, now_ns);
        }
        return;
    }
    order_none_add64(&up->counters->token_refused_count, 1);
    struct outcome outcome = conn_event_outcome(up->setup->config.door.type, event);
    uplink_name_role(up->setup, &outcome);
    int at = snprintf(reason, sizeof reason, "status %d ", event->status);
    uplink_describe(event, reason + at, sizeof reason - (size_t)at);
    const char *what = refusal_text(up, event, &outcome);
    if (key_switch(up, event, now_ns))
        return;
    uplink_distrust_token(up, &outcome);
    if (up->state == UPLINK_READY && up->token_renew_at_ns) {
        up->keys_refused = 0; /* the next renewal tries both again */
        renewal_failed(up, &outcome, what, reason, now_ns);
        return;
    }
    if (up->health->token_renewed)
        outcome = outcome_after_new_token(outcome);
    uplink_restart(up, &outcome, what, reason, now_ns);
}

static const char *refusal_text(const struct uplink *up, const struct conn_event *event, const struct outcome *outcome)
{
    if (event->status == 0)
        return "no answer to the token request";
    if (outcome->action == OUTCOME_THROTTLE || outcome->action == OUTCOME_RESEND)
        return "token not taken now";
    if (event->status == 404)
        return "token refused: hub or namespace not found";
    if (strstr(event->description, "xpired"))
        return "token refused as expired: check this machine's clock";
    if (is_identity(up))
        return "token refused: check that the identity's tenant is the namespace's, and its role";
    return "token refused: check SharedAccessKeyName, SharedAccessKey and the policy's Send claim";
}

/* True: the other key is tried, on the same connection. Both are tried once before the refusal counts. */
static bool key_switch(struct uplink *up, const struct conn_event *event, int64_t now_ns)
{
    if (event->status != 401 || is_identity(up) || !up->setup->config.door.second_key[0] || strstr(event->description, "xpired"))
        return false;
    up->keys_refused |= 1u << up->key;
    if (up->keys_refused == 3)
        return false;
    uplink_put_token(up, now_ns);
    return true;
}

/* The key that was accepted is the one to begin with, for all connections of all workers. */
static void key_accepted(struct uplink *up)
{
    const struct config_stream *config = &up->setup->config;
    const struct door *door = &config->door;
    char name[300];
    up->keys_refused = 0;
    if (is_identity(up) || !door->second_key[0] || !stream_use_key(up->stream, up->setup, up->key))
        return;
    order_none_add64(&up->counters->key_switched_count, 1);
    log_line(LOG_WARN, "pool", "one of two keys is refused: the other one is in use from now on", "stream=%s hub=%s key=%s policy=%s",
             config->name, door->hub, up->key ? "secondary" : "primary",
             log_quote(name, sizeof name, up->key ? door->second_key_name : door->connstr.key_name));
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

void uplink_distrust_token(struct uplink *up, const struct outcome *outcome)
{
    if (outcome->action == OUTCOME_RENEW_TOKEN && up->token)
        credential_distrust(up->credentials, up->token);
}

void uplink_name_role(const struct setup *setup, struct outcome *outcome)
{
    if (outcome->action == OUTCOME_RENEW_TOKEN && setup->config.door.credential.kind != CREDENTIAL_SAS)
        outcome->remedy = "give the identity the role Azure Event Hubs Data Sender, on the hub, its namespace or above; that takes some "
                          "minutes to be known";
}
