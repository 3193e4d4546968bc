/* The token of libehring-direct: made from a key or fetched for an identity, put, renewed, refused. */
#include "direct_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "sas.h"

#define KEY_TOKEN_SECONDS 3600
#define RENEWAL_MS_MAX INT64_C(2000) /* that a send waits for a renewal, while the old token lives */
#define OVERDUE_SECONDS 30           /* a renewal that failed is tried again after this */

static int token_begin(struct ehring_direct *direct);
static int token_await(struct ehring_direct *direct, int64_t deadline_ms, struct conn_event *event);
static bool key_switch(struct ehring_direct *direct, const struct conn_event *event, uint32_t *refused);
static int refused_tell(struct ehring_direct *direct, const struct conn_event *event);

static bool is_identity(const struct ehring_direct *direct)
{
    return direct->door.credential.kind != CREDENTIAL_SAS;
}

static int signature_expired(struct ehring_direct *direct)
{
    return direct_fail(direct, -EACCES, "the SharedAccessSignature of the connection string has expired");
}

int token_fetch(struct ehring_direct *direct, int64_t deadline_ms)
{
    struct credential_result result;
    int64_t deadline_ns = deadline_ms > INT64_MAX / CLOCK_NS_PER_MS ? INT64_MAX : deadline_ms * CLOCK_NS_PER_MS;
    const char *signature = direct->door.connstr.signature;
    if (!is_identity(direct) && signature[0] && sas_expiry(signature) <= clock_wall_ns() / CLOCK_NS_PER_SECOND)
        return signature_expired(direct);
    if (!is_identity(direct) || (direct->token && clock_wall_ns() < direct->token->refresh_ns))
        return 0;
    credential_fetch(&direct->door.credential, &credential_limits_default, &direct->memory, -1, deadline_ns, &result);
    if (result.verdict == CREDENTIAL_GIVEN) {
        credential_token_give(direct->token);
        direct->token = result.token;
        return 0;
    }
    if (direct->token && clock_wall_ns() < direct->token->expires_ns)
        return 0;
    return direct_fail(direct, result.verdict == CREDENTIAL_LATER ? -EAGAIN : -EACCES, "no token for the identity: %.700s%s%s",
                       result.error, result.remedy ? "; " : "", result.remedy ? result.remedy : "");
}

int token_renew(struct ehring_direct *direct, int64_t deadline_ms)
{
    const struct credential_token *before = direct->token;
    int64_t soon_ms = direct_now_ms() + RENEWAL_MS_MAX;
    bool is_alive = before && clock_wall_ns() < before->expires_ns - RENEWAL_MS_MAX * CLOCK_NS_PER_MS;
    int ret = token_fetch(direct, is_alive && soon_ms < deadline_ms ? soon_ms : deadline_ms); /* the send's time is for the send */
    if (ret == 0 && is_identity(direct) && direct->token == before) {
        direct->token_renew_at_s = clock_wall_ns() / CLOCK_NS_PER_SECOND + OVERDUE_SECONDS;
        return 0;
    }
    return ret == 0 ? token_put(direct, deadline_ms) : ret;
}

int token_put(struct ehring_direct *direct, int64_t deadline_ms)
{
    uint32_t refused = 0;
    for (;;) {
        struct conn_event event;
        int ret = token_begin(direct);
        if (ret < 0)
            return direct->error[0] ? ret : direct_fail(direct, ret, "cannot put a token: %s", strerror(-ret));
        ret = token_await(direct, deadline_ms, &event);
        if (ret < 0 || (event.status >= 200 && event.status < 300))
            return ret;
        if (!key_switch(direct, &event, &refused))
            return refused_tell(direct, &event);
    }
}

static int token_begin(struct ehring_direct *direct)
{
    char token[CREDENTIAL_TOKEN_BYTES_MAX + 1];
    int64_t expires_s;
    int ret = token_make(direct, &expires_s, token, sizeof token);
    if (ret == 0)
        ret = conn_put_token(direct->conn, is_identity(direct) ? "jwt" : "servicebus.windows.net:sastoken", direct->audience, token,
                             expires_s);
    explicit_bzero(token, sizeof token);
    direct->token_renew_at_s = expires_s;
    if (is_identity(direct))
        direct->token_renew_at_s = direct->token->refresh_ns / CLOCK_NS_PER_SECOND + 1;
    else if (!direct->door.connstr.signature[0])
        direct->token_renew_at_s -= KEY_TOKEN_SECONDS / 10;
    return ret;
}

int token_make(struct ehring_direct *direct, int64_t *expires_s, char *to, size_t cap)
{
    const struct door *door = &direct->door;
    const char *ready = is_identity(direct) ? direct->token->text : door->connstr.signature;
    int64_t now_s = clock_wall_ns() / CLOCK_NS_PER_SECOND;
    *expires_s = is_identity(direct) ? direct->token->expires_ns / CLOCK_NS_PER_SECOND
                 : ready[0]          ? sas_expiry(ready)
                                     : now_s + KEY_TOKEN_SECONDS;
    if (!is_identity(direct) && *expires_s <= now_s)
        return signature_expired(direct);
    if (ready[0])
        return (size_t)snprintf(to, cap, "%s", ready) < cap ? 0 : -EMSGSIZE;
    return sas_make_token(direct->audience, direct->key ? door->second_key_name : door->connstr.key_name,
                          direct->key ? door->second_key : door->connstr.key, *expires_s, to, cap);
}

/* 0: the answer is there. */
static int token_await(struct ehring_direct *direct, int64_t deadline_ms, struct conn_event *event)
{
    int ret;
    while ((ret = wire_next_event(direct, deadline_ms, event)) > 0) {
        session_event(direct, event);
        if (event->kind == CONN_CLOSED)
            return direct_fail_peer(direct, "connection closed before the token was accepted", event);
        if (event->kind == CONN_TOKEN)
            return 0;
    }
    return ret < 0 ? ret : session_time_up(direct, "the token to be accepted");
}

/* True: the other key is to be tried. */
static bool key_switch(struct ehring_direct *direct, const struct conn_event *event, uint32_t *refused)
{
    if (event->status != 401 || is_identity(direct) || !direct->door.second_key[0] || strstr(event->description, "xpired"))
        return false;
    *refused |= 1u << direct->key;
    if (*refused == 3)
        return false;
    direct->key ^= 1;
    return true;
}

static int refused_tell(struct ehring_direct *direct, const struct conn_event *event)
{
    const struct door *door = &direct->door;
    const char *policy = direct->key ? door->second_key_name : door->connstr.key_name;
    char what[700];
    if (is_identity(direct)) {
        credential_token_give(direct->token);
        direct->token = NULL; /* another one next time */
        snprintf(what, sizeof what, "token for %.260s refused (identity by %s, status %d)", door->hub,
                 credential_kind_name(direct->memory.found ? direct->memory.found : door->credential.kind), event->status);
    } else {
        snprintf(what, sizeof what, "token for %.260s refused (policy %.260s%s, status %d)", door->hub,
                 policy[0] ? policy : "of the given signature", door->second_key[0] && event->status == 401 ? ", both keys" : "",
                 event->status);
    }
    return direct_fail_peer(direct, what, event);
}
