/* What libehring-direct must have before it can send: connection, link. Makes what is missing, within a deadline. */
#include "direct_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

static int session_alive(struct ehring_direct *direct);
static int session_connect(struct ehring_direct *direct, int64_t deadline_ms);
static int open_await(struct ehring_direct *direct, int64_t deadline_ms);
static int link_find(const struct ehring_direct *direct, const char *address);
static int link_slot(struct ehring_direct *direct, const char *address);
static int link_attach(struct ehring_direct *direct, const char *address, int64_t deadline_ms);
static int link_await_credit(struct ehring_direct *direct, int index, int64_t deadline_ms);

int session_link(struct ehring_direct *direct, const char *address, int64_t deadline_ms)
{
    int ret = session_alive(direct);
    if (ret == 0)
        ret = session_connect(direct, deadline_ms);
    if (ret < 0)
        return ret;
    if (direct->door.type != DOOR_AMQP && clock_wall_ns() / CLOCK_NS_PER_SECOND >= direct->token_renew_at_s) {
        ret = token_renew(direct, deadline_ms);
        if (ret < 0) {
            wire_close(direct);
            return ret;
        }
    }
    int index = link_find(direct, address);
    if (index < 0)
        index = link_attach(direct, address, deadline_ms);
    return index < 0 ? index : link_await_credit(direct, index, deadline_ms);
}

int session_hub(struct ehring_direct *direct, int64_t deadline_ms, struct conn_event *answer)
{
    char token[CREDENTIAL_TOKEN_BYTES_MAX + 1];
    int64_t expires_s;
    int ret = token_make(direct, &expires_s, token, sizeof token);
    if (ret == 0)
        ret = conn_read_hub(direct->conn, direct->door.hub, token);
    explicit_bzero(token, sizeof token);
    if (ret < 0)
        return direct_fail(direct, ret, "the hub's properties cannot be asked for: %s", strerror(-ret));
    while ((ret = wire_next_event(direct, deadline_ms, answer)) > 0) {
        session_event(direct, answer);
        if (answer->kind == CONN_CLOSED)
            return direct_fail_peer(direct, "connection closed before the hub's properties came", answer);
        if (answer->kind == CONN_HUB)
            return 0;
    }
    return ret < 0 ? ret : session_time_up(direct, "the hub's properties");
}

void session_close(struct ehring_direct *direct, int64_t deadline_ms)
{
    struct conn_event event;
    if (!direct->conn)
        return;
    conn_close(direct->conn);
    while (!direct->is_over && wire_next_event(direct, deadline_ms, &event) > 0)
        session_event(direct, &event);
    wire_goodbye(direct);
    wire_close(direct);
}

void session_event(struct ehring_direct *direct, const struct conn_event *event)
{
    seen_event(direct, event);
    if (event->kind == CONN_CLOSED)
        direct->is_over = true;
    if (event->kind != CONN_LINK_ENDED)
        return;
    for (uint32_t i = 0; i < DIRECT_LINKS_MAX; i++) {
        if (direct->link[i].number == event->link)
            direct->link[i].number = -1;
    }
}

/* Looks at what came since the last call. 1: the connection stands, 0: there is none (any more). */
static int session_alive(struct ehring_direct *direct)
{
    struct conn_event event;
    if (!direct->conn)
        return 0;
    int ret = 0;
    while (!direct->is_over && (ret = wire_next_event(direct, direct_now_ms(), &event)) > 0)
        session_event(direct, &event);
    direct->error[0] = direct->condition[0] = '\0';
    if (ret == 0 && !direct->is_over)
        return 1;
    wire_close(direct);
    return 0;
}

static int session_connect(struct ehring_direct *direct, int64_t deadline_ms)
{
    int64_t limit_ms = direct_deadline_ms((int)direct->connect_timeout_ms);
    if (limit_ms > deadline_ms)
        limit_ms = deadline_ms;
    int ret = direct->door.type == DOOR_AMQP ? 0 : token_fetch(direct, limit_ms); /* before the service waits for it */
    if (ret == 0)
        ret = wire_connect(direct, limit_ms);
    if (ret < 0)
        return ret;
    ret = direct->door.type == DOOR_AMQP ? open_await(direct, limit_ms) : token_put(direct, limit_ms);
    if (ret < 0)
        wire_close(direct);
    return ret;
}

/* A broker judges its user by SASL, before the open. */
static int open_await(struct ehring_direct *direct, int64_t deadline_ms)
{
    struct conn_event event;
    int ret;
    while ((ret = wire_next_event(direct, deadline_ms, &event)) > 0) {
        session_event(direct, &event);
        if (event.kind == CONN_OPENED)
            return 0;
        if (event.kind == CONN_CLOSED)
            return direct_fail_peer(direct, "the broker does not open the connection", &event);
    }
    return ret < 0 ? ret : session_time_up(direct, "the open frame");
}

static int link_find(const struct ehring_direct *direct, const char *address)
{
    for (uint32_t i = 0; i < DIRECT_LINKS_MAX; i++) {
        if (direct->link[i].number >= 0 && strcmp(direct->link[i].address, address) == 0)
            return (int)i;
    }
    return -ENOENT;
}

/* The first is the hub's. When all others are taken, the next in turn is given up. */
static int link_slot(struct ehring_direct *direct, const char *address)
{
    if (strcmp(address, direct->door.hub) == 0)
        return 0;
    for (uint32_t i = 1; i < DIRECT_LINKS_MAX; i++) {
        if (direct->link[i].number < 0)
            return (int)i;
    }
    uint32_t index = 1 + direct->next_evicted++ % (DIRECT_LINKS_MAX - 1);
    conn_link_close(direct->conn, direct->link[index].number);
    direct->link[index].number = -1;
    return (int)index;
}

static int link_attach(struct ehring_direct *direct, const char *address, int64_t deadline_ms)
{
    struct conn_event event;
    int index = link_slot(direct, address);
    int number = conn_link_open(direct->conn, address);
    if (number < 0)
        return direct_fail(direct, number, "cannot attach to %s: %s", address, strerror(-number));
    int ret;
    while ((ret = wire_next_event(direct, deadline_ms, &event)) > 0) {
        session_event(direct, &event);
        if (event.kind == CONN_CLOSED || (event.kind == CONN_LINK_ENDED && event.link == number)) {
            char what[400];
            snprintf(what, sizeof what, "cannot attach to %s", address);
            return direct_fail_peer(direct, what, &event);
        }
        if (event.kind == CONN_LINK_READY && event.link == number) {
            direct->link[index].number = number;
            snprintf(direct->link[index].address, sizeof direct->link[index].address, "%s", address);
            return index;
        }
    }
    conn_link_close(direct->conn, number);
    return ret < 0 ? ret : session_time_up(direct, "the link");
}

static int link_await_credit(struct ehring_direct *direct, int index, int64_t deadline_ms)
{
    struct conn_event event;
    int number = direct->link[index].number;
    while (conn_link_credit(direct->conn, number) == 0) {
        int ret = wire_next_event(direct, deadline_ms, &event);
        if (ret <= 0)
            return ret < 0 ? ret : session_time_up(direct, "credit");
        session_event(direct, &event);
        if (event.kind == CONN_CLOSED || (event.kind == CONN_LINK_ENDED && event.link == number))
            return direct_fail_peer(direct, "link lost while waiting for credit", &event);
    }
    return index;
}

int session_time_up(struct ehring_direct *direct, const char *what)
{
    static const char *const stages[] = {[TRANSPORT_PROXY] = "the proxy's answer",
                                         [TRANSPORT_TLS] = "the end of the TLS handshake",
                                         [TRANSPORT_WEBSOCKET] = "the answer to the WebSocket upgrade",
                                         [TRANSPORT_UP] = NULL};
    const char *stage = direct->transport ? stages[transport_stage(direct->transport)] : NULL;
    return direct_fail(direct, -ETIMEDOUT, "no answer of %s in time: waited for %s", direct->door.connstr.host, stage ? stage : what);
}
