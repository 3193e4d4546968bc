/* A worker's connection of one stream, from name to ready: resolve, connect, TLS, open, token, hub; renewal, backoff, loss. */
#include "shipper/uplink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/uplink_internal.h"
#include "shipper/sas.h"

#define CLOSE_WAIT_NS CLOCK_NS_PER_SECOND
#define PLAIN_CHUNK_BYTES 65536u

static void resolve_step(struct uplink *up, int64_t now_ns);
static void connect_next(struct uplink *up, int64_t now_ns);
static void connected(struct uplink *up, int64_t now_ns);
static void received(struct uplink *up, const uint8_t *data, size_t len, int64_t now_ns);
static void tls_drain(struct uplink *up, int64_t now_ns);
static void renew(struct uplink *up, int64_t now_ns);
static void blocked_note(struct uplink *up, bool blocked, int64_t now_ns);

void uplink_open(struct uplink *up, struct stream *stream, struct setup *setup, struct net *net, struct resolver *resolver, int wake_fd,
                 uint32_t worker, struct uplink_health *health)
{
    *up = (struct uplink){.stream = stream,
                          .setup = setup_take(setup),
                          .net = net,
                          .resolver = resolver,
                          .worker = worker,
                          .handle = -1,
                          .greeting_link = -1};
    up->counters = &stream->words->worker[worker];
    up->query.notify_fd = wake_fd;
    up->health = health;
}

void uplink_end(struct uplink *up)
{
    if (up->handle >= 0)
        net_end(up->net, up->handle);
    up->handle = -1;
    conn_free(up->conn);
    up->conn = NULL;
    tls_close(up->tls);
    up->tls = NULL;
    up->ended_by = NULL;
    up->state = UPLINK_IDLE;
    up->has_credit = up->draining = false;
    up->greeting_link = -1;
    up->greeting_try_count = up->renewal_failure_count = 0;
    up->blocked_ns = up->saturated_ns = up->expires_ns = 0;
    up->deadline_ns = up->token_renew_at_ns = up->hub_read_at_ns = up->tick_at_ns = 0;
    uplink_permit_give(up);
}

void uplink_free(struct uplink *up)
{
    setup_give(up->setup);
    setup_give(up->next_setup);
    up->setup = up->next_setup = NULL;
}

static void setup_swap(struct setup **place, struct setup *setup)
{
    setup_give(*place);
    *place = setup ? setup_take(setup) : NULL;
}

bool uplink_configure(struct uplink *up, struct setup *setup, bool leave, int64_t now_ns)
{
    leave |= up->next_setup != NULL; /* of another peer than the present one, too */
    if (leave && uplink_is_under_way(up) && up->state != UPLINK_RESOLVING)
        uplink_end(up);
    if (leave && up->state != UPLINK_IDLE) {
        setup_swap(&up->next_setup, setup);
        return true;
    }
    bool token_differs = up->setup->config.token_seconds != setup->config.token_seconds;
    setup_swap(&up->setup, setup);
    setup_swap(&up->next_setup, NULL);
    up->expires_ns = 0; /* made anew from its age */
    if (token_differs && up->token_renew_at_ns)
        up->token_renew_at_ns = now_ns;
    int64_t hub_read_at_ns = now_ns + setup->config.partition_refresh_seconds * CLOCK_NS_PER_SECOND;
    if (up->hub_read_at_ns > hub_read_at_ns)
        up->hub_read_at_ns = hub_read_at_ns;
    return false;
}

bool uplink_is_ready(const struct uplink *up)
{
    return up->state == UPLINK_READY;
}
bool uplink_is_under_way(const struct uplink *up)
{
    return up->state >= UPLINK_RESOLVING && up->state < UPLINK_READY;
}
void uplink_accepted(struct uplink *up)
{
    up->health->failure_count = 0;
    up->health->token_renewed = false;
    circuit_succeeded(&up->health->circuit);
}

/* The stream's connections under way are counted over all workers. */
static bool permit_take(struct uplink *up)
{
    if (order_count_add(&up->stream->connecting_count, 1) > up->setup->config.max_concurrent_connects) {
        order_count_add(&up->stream->connecting_count, -1);
        return false;
    }
    up->has_permit = true;
    return true;
}

void uplink_permit_give(struct uplink *up)
{
    if (up->has_permit)
        order_count_add(&up->stream->connecting_count, -1);
    up->has_permit = false;
}

bool uplink_begin(struct uplink *up, int64_t now_ns)
{
    if (!permit_take(up))
        return false;
    if (up->next_setup) {
        setup_give(up->setup);
        up->setup = up->next_setup;
        up->next_setup = NULL;
    }
    up->begun_ns = now_ns;
    snprintf(up->query.host, sizeof up->query.host, "%s", door_dial_host(&up->setup->config.door));
    up->query.port = door_dial_port(&up->setup->config.door);
    uplink_enter(up, UPLINK_RESOLVING, 0, now_ns);
    resolve_begin(up->resolver, &up->query);
    return true;
}

void uplink_enter(struct uplink *up, enum uplink_state state, int64_t wait_ns, int64_t now_ns)
{
    up->state = state;
    up->deadline_ns = wait_ns ? now_ns + wait_ns : 0;
}

static int64_t connect_wait_ns(const struct uplink *up)
{
    return up->setup->config.connect_timeout_seconds * CLOCK_NS_PER_SECOND;
}

int64_t uplink_step(struct uplink *up, int64_t now_ns)
{
    if (up->state == UPLINK_RESOLVING)
        resolve_step(up, now_ns);
    if (up->deadline_ns && now_ns >= up->deadline_ns)
        uplink_fail(up, "connection is not ready in time", "no answer within connect_timeout_seconds", now_ns);
    if (up->conn && now_ns >= up->tick_at_ns)
        up->tick_at_ns = conn_tick(up->conn, now_ns / CLOCK_NS_PER_MS) * CLOCK_NS_PER_MS;
    if (up->state == UPLINK_READY)
        renew(up, now_ns);
    int64_t next_ns = INT64_MAX;
    const int64_t times[] = {up->deadline_ns, up->conn ? up->tick_at_ns : 0, up->token_renew_at_ns, up->hub_read_at_ns};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i] && times[i] < next_ns)
            next_ns = times[i];
    return next_ns;
}

static void resolve_step(struct uplink *up, int64_t now_ns)
{
    switch (resolve_state(&up->query)) {
    case RESOLVE_IDLE:
    case RESOLVE_BUSY:
        return;
    case RESOLVE_FAILED:
        if (up->draining)
            break;
        uplink_fail(up, "name is not resolved: check the namespace in the connection string, and DNS", up->query.error, now_ns);
        return;
    case RESOLVE_DONE:
        if (up->draining)
            break;
        up->address_index = 0;
        connect_next(up, now_ns);
        return;
    }
    uplink_end(up); /* nobody wants this name any more */
}

static void connect_next(struct uplink *up, int64_t now_ns)
{
    int i = up->address_index++;
    up->handle = net_connect(up->net, (struct sockaddr *)&up->query.address[i], up->query.address_len[i], connect_wait_ns(up));
    uplink_enter(up, UPLINK_CONNECTING, 0, now_ns);
    if (up->handle < 0) {
        int rc = up->handle;
        up->handle = -1;
        uplink_fail(up, "no connection", strerror(-rc), now_ns);
    }
}

void uplink_net_event(struct uplink *up, const struct net_event *event, int64_t now_ns)
{
    switch (event->kind) {
    case NET_CONNECTED:
        connected(up, now_ns);
        return;
    case NET_FAILED:
        up->handle = -1;
        if (up->address_index < up->query.count)
            connect_next(up, now_ns);
        else
            uplink_fail(up, "no connection: check host, port and firewall", strerror(-event->error), now_ns);
        return;
    case NET_RECEIVED:
        order_none_add64(&up->counters->received_bytes, event->len);
        received(up, event->data, event->len, now_ns);
        return;
    case NET_ENDED:
        up->handle = -1;
        if (up->conn)
            conn_input_end(up->conn);
        uplink_fail(up, "connection lost", event->error ? strerror(-event->error) : "closed by the peer", now_ns);
        return;
    case NET_SENT:
    case NET_WATCHED:
        return;
    }
}

static void connected(struct uplink *up, int64_t now_ns)
{
    const struct connstr *cs = &up->setup->config.door.connstr;
    char trace_name[128];
    snprintf(trace_name, sizeof trace_name, "stream=%s worker=%u conn=%x", up->setup->config.name, up->worker, (unsigned)up->handle);
    snprintf(up->container_id, sizeof up->container_id, "ehring-%ld-%s-%u-%x", (long)getpid(), up->setup->config.name, up->worker,
             (unsigned)up->handle);
    int rc = conn_open(&(struct conn_options){.container_id = up->container_id,
                                              .hostname = cs->host,
                                              .product = "ehring",
                                              .version = EHRING_BUILD_VERSION,
                                              .trace_name = trace_name},
                       &up->conn);
    if (rc == 0 && up->setup->tls)
        rc = tls_open(up->setup->tls, cs->host, &up->tls);
    if (rc != 0) {
        uplink_fail(up, "no connection", strerror(-rc), now_ns);
        return;
    }
    up->tick_at_ns = now_ns;
    uplink_enter(up, up->tls ? UPLINK_TLS : UPLINK_OPENING, connect_wait_ns(up), now_ns);
}

static void received(struct uplink *up, const uint8_t *data, size_t len, int64_t now_ns)
{
    if (!up->tls) {
        conn_input(up->conn, data, len); /* a broken engine says so by CONN_CLOSED */
        return;
    }
    if (tls_input(up->tls, data, len) != 0) {
        uplink_fail(up, "TLS failed", tls_error(up->tls), now_ns);
        return;
    }
    tls_drain(up, now_ns);
}

static void tls_drain(struct uplink *up, int64_t now_ns)
{
    static _Thread_local uint8_t plain[PLAIN_CHUNK_BYTES];
    ssize_t len;
    while ((len = tls_read(up->tls, plain, sizeof plain)) > 0)
        if (conn_input(up->conn, plain, (size_t)len) != 0)
            return;
    if (len < 0) { /* outcomes and the reason of a close may have come with the end: uplink_next_event fails behind them */
        up->ended_by = len == -ECONNRESET ? "connection closed by the peer" : "TLS failed";
        return;
    }
    if (up->state == UPLINK_TLS && tls_is_ready(up->tls)) {
        log_line(LOG_DEBUG, "pool", "TLS is up", "stream=%s worker=%u version=\"%s\"", up->setup->config.name, up->worker,
                 tls_version(up->tls));
        uplink_enter(up, UPLINK_OPENING, connect_wait_ns(up), now_ns);
    }
}

void uplink_pump(struct uplink *up, int64_t now_ns)
{
    uint8_t *to;
    const uint8_t *data;
    size_t room;
    while (up->handle >= 0 && up->conn && !up->ended_by) {
        room = net_send_space(up->net, up->handle, &to);
        if (room == 0) {
            blocked_note(up, true, now_ns);
            return;
        }
        size_t put = 0;
        if (up->tls) {
            while (put < room) {
                size_t cipher = tls_output(up->tls, to + put, room - put);
                put += cipher;
                if (cipher > 0)
                    continue;
                size_t len = conn_output(up->conn, &data);
                ssize_t taken = len ? tls_write(up->tls, data, len < TLS_WRITE_BYTES_MAX ? len : TLS_WRITE_BYTES_MAX) : 0;
                if (taken < 0) {
                    uplink_fail(up, "TLS failed", tls_error(up->tls), now_ns);
                    return;
                }
                if (taken == 0)
                    break;
                conn_output_done(up->conn, (size_t)taken);
            }
        } else {
            size_t len;
            while (put < room && (len = conn_output(up->conn, &data)) > 0) {
                len = len < room - put ? len : room - put;
                memcpy(to + put, data, len);
                conn_output_done(up->conn, len);
                put += len;
            }
        }
        if (put == 0) {
            blocked_note(up, false, now_ns);
            return;
        }
        net_send_commit(up->net, up->handle, put);
        order_none_add64(&up->counters->sent_bytes, put);
    }
}

static void blocked_note(struct uplink *up, bool blocked, int64_t now_ns)
{
    if (!blocked)
        up->blocked_ns = 0;
    else if (up->blocked_ns == 0)
        up->blocked_ns = now_ns;
}

static void renew(struct uplink *up, int64_t now_ns)
{
    if (up->token_renew_at_ns && now_ns >= up->token_renew_at_ns)
        uplink_put_token(up, now_ns);
    if (up->hub_read_at_ns && now_ns >= up->hub_read_at_ns)
        uplink_read_hub(up, now_ns);
}

void uplink_close(struct uplink *up, int64_t now_ns)
{
    if (up->state < UPLINK_OPENING || !up->conn) {
        if (up->state != UPLINK_RESOLVING) /* the resolver still writes into the query: the worker waits for it */
            uplink_end(up);
        return;
    }
    conn_close(up->conn);
    uplink_enter(up, UPLINK_CLOSING, CLOSE_WAIT_NS, now_ns);
}
