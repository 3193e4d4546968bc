/* A worker's connection of one stream, from name to ready: resolve, connect, transport, open, token, hub; renewal, backoff, loss. */
#include "shipper/uplink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/uplink_internal.h"
#include "shipper/sas.h"

#define CLOSE_WAIT_NS CLOCK_NS_PER_SECOND

static void resolve_step(struct uplink *up, int64_t now_ns);
static void connect_next(struct uplink *up, int64_t now_ns);
static void connected(struct uplink *up, int64_t now_ns);
static void received(struct uplink *up, const uint8_t *data, size_t len, int64_t now_ns);
static bool transport_is_over(const struct uplink *up);
static void ended(struct uplink *up, int error, int64_t now_ns);
static void late(struct uplink *up, int64_t now_ns);
static void unresolved(struct uplink *up, int64_t now_ns);
static void unconnected(struct uplink *up, int error, int64_t now_ns);
static void renew(struct uplink *up, int64_t now_ns);
static void blocked_note(struct uplink *up, bool blocked, int64_t now_ns);

void uplink_open(struct uplink *up, struct stream *stream, struct setup *setup, struct net *net, struct resolver *resolver,
                 struct credentials *credentials, int wake_fd, uint32_t worker, struct uplink_health *health)
{
    *up = (struct uplink){.stream = stream,
                          .setup = setup_take(setup),
                          .net = net,
                          .resolver = resolver,
                          .credentials = credentials,
                          .worker = worker,
                          .handle = -1,
                          .greeting_link = -1};
    up->counters = &stream->words->worker[worker];
    up->query.notify_fd = up->asked.notify_fd = wake_fd;
    up->health = health;
}

void uplink_end(struct uplink *up)
{
    if (up->handle >= 0)
        net_end(up->net, up->handle);
    up->handle = -1;
    conn_free(up->conn);
    up->conn = NULL;
    transport_close(up->transport);
    up->transport = NULL;
    up->ended = false;
    uplink_forget_token(up);
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
    return up->state > UPLINK_IDLE && up->state < UPLINK_READY;
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
    if (up->setup->config.door.credential.kind != CREDENTIAL_SAS)
        uplink_fetch_token(up, now_ns);
    else
        uplink_resolve(up, now_ns);
    return true;
}

void uplink_resolve(struct uplink *up, int64_t now_ns)
{
    snprintf(up->query.host, sizeof up->query.host, "%s", transport_way_host(&up->setup->way, &up->setup->config.door));
    up->query.port = transport_way_port(&up->setup->way, &up->setup->config.door);
    uplink_enter(up, UPLINK_RESOLVING, 0, now_ns);
    resolve_begin(up->resolver, &up->query);
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
    uplink_take_token(up, now_ns);
    if (up->state == UPLINK_RESOLVING)
        resolve_step(up, now_ns);
    if (up->deadline_ns && now_ns >= up->deadline_ns)
        late(up, now_ns);
    if (up->conn && now_ns >= up->tick_at_ns)
        up->tick_at_ns = conn_tick(up->conn, now_ns / CLOCK_NS_PER_MS) * CLOCK_NS_PER_MS;
    if (up->state == UPLINK_READY)
        renew(up, now_ns);
    bool renews = up->state == UPLINK_READY; /* else what is due waits for that */
    int64_t next_ns = INT64_MAX;
    const int64_t times[] = {up->deadline_ns, up->conn ? up->tick_at_ns : 0, renews ? up->token_renew_at_ns : 0,
                             renews ? up->hub_read_at_ns : 0};
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
        unresolved(up, now_ns);
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
        unconnected(up, rc, now_ns);
    }
}

/* A stage that failed but waits for more of the peer's words has its sentence already. */
static void late(struct uplink *up, int64_t now_ns)
{
    const char *said = up->transport ? transport_error(up->transport) : "";
    const char *missing = "no answer";
    char detail[120];
    if (up->state == UPLINK_TRANSPORT) {
        switch (transport_stage(up->transport)) {
        case TRANSPORT_PROXY:
            missing = "no answer of the proxy";
            break;
        case TRANSPORT_TLS:
            missing = "no end of the TLS handshake";
            break;
        case TRANSPORT_WEBSOCKET:
            missing = "no answer to the WebSocket upgrade";
            break;
        case TRANSPORT_UP:
            break;
        }
    }
    snprintf(detail, sizeof detail, "%s within %u s (connect_timeout_seconds)", missing, up->setup->config.connect_timeout_seconds);
    uplink_fail(up, "connection is not ready in time", said[0] ? said : detail, now_ns);
}

static void unresolved(struct uplink *up, int64_t now_ns)
{
    const char *what = "name is not resolved: check the namespace in the connection string, and DNS";
    if (up->setup->way.has_proxy)
        what = "name of the proxy is not resolved: check proxy, and DNS";
    else if (up->setup->config.door.endpoint_host[0])
        what = "name is not resolved: check endpoint, and DNS";
    uplink_fail(up, what, up->query.error, now_ns);
}

/* The last address of all that were tried. */
static void unconnected(struct uplink *up, int error, int64_t now_ns)
{
    char detail[256], address[INET6_ADDRSTRLEN + 32] = "?";
    int i = up->address_index - 1;
    getnameinfo((struct sockaddr *)&up->query.address[i], up->query.address_len[i], address, sizeof address, NULL, 0, NI_NUMERICHOST);
    snprintf(detail, sizeof detail, "address %s port %u (%d of %d): %s", address, up->query.port, up->address_index, up->query.count,
             strerror(-error));
    uplink_fail(up,
                up->setup->way.has_proxy ? "no connection to the proxy: check proxy host, port and firewall"
                                         : "no connection: check host, port and firewall",
                detail, now_ns);
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
            unconnected(up, event->error, now_ns);
        return;
    case NET_RECEIVED:
        order_none_add64(&up->counters->received_bytes, event->len);
        received(up, event->data, event->len, now_ns);
        return;
    case NET_ENDED:
        up->handle = -1;
        ended(up, event->error, now_ns);
        return;
    case NET_SENT:
    case NET_WATCHED:
        return;
    }
}

static void connected(struct uplink *up, int64_t now_ns)
{
    char trace_name[128], why[256];
    snprintf(trace_name, sizeof trace_name, "stream=%s worker=%u conn=%x", up->setup->config.name, up->worker, (unsigned)up->handle);
    snprintf(up->container_id, sizeof up->container_id, "ehring-%ld-%s-%u-%x", (long)getpid(), up->setup->config.name, up->worker,
             (unsigned)up->handle);
    const struct door *door = &up->setup->config.door;
    bool is_broker = door->type == DOOR_AMQP;
    int rc = conn_open(&(struct conn_options){.container_id = up->container_id,
                                              .hostname = door_open_hostname(door),
                                              .product = "ehring",
                                              .version = EHRING_BUILD_VERSION,
                                              .sasl_user = is_broker && door->sasl_user[0] ? door->sasl_user : NULL,
                                              .sasl_password = door->sasl_password,
                                              .is_broker = is_broker,
                                              .trace_name = trace_name},
                       &up->conn);
    snprintf(why, sizeof why, "%s", strerror(-rc));
    if (rc == 0)
        rc = transport_open(&up->setup->way, &up->setup->config.door, &up->transport, why, sizeof why);
    if (rc != 0) {
        uplink_fail(up, "no connection", why, now_ns);
        return;
    }
    up->tick_at_ns = now_ns;
    uplink_enter(up, transport_stage(up->transport) == TRANSPORT_UP ? UPLINK_OPENING : UPLINK_TRANSPORT, connect_wait_ns(up), now_ns);
}

/* A WebSocket that the peer closes behind our AMQP close still has an answer to send. */
static bool transport_is_over(const struct uplink *up)
{
    int code = transport_error_code(up->transport);
    return code != 0 &&
           !(code == -ECONNRESET && up->state == UPLINK_CLOSING && up->setup->config.door.transport == DOOR_TRANSPORT_WEBSOCKET);
}

/* Outcomes and the reason of a close may have come with the end of the transport: uplink_next_event fails behind them. */
static void received(struct uplink *up, const uint8_t *data, size_t len, int64_t now_ns)
{
    int code = transport_input(up->transport, up->conn, data, len);
    up->ended = transport_is_over(up);
    if (code != 0)
        return;
    if (up->state == UPLINK_TRANSPORT && transport_stage(up->transport) == TRANSPORT_UP) {
        struct transport_seen seen;
        transport_print_seen(up->transport, &seen);
        log_line(LOG_DEBUG, "pool", "transport is up", "stream=%s worker=%u tls=\"%s\" proxy=\"%s\" websocket=\"%s\"",
                 up->setup->config.name, up->worker, seen.tls, seen.proxy, seen.websocket);
        uplink_enter(up, UPLINK_OPENING, connect_wait_ns(up), now_ns);
    }
}

static void ended(struct uplink *up, int error, int64_t now_ns)
{
    if (up->conn)
        conn_input_end(up->conn);
    if (up->transport)
        transport_input_end(up->transport);
    if (up->transport && transport_error_code(up->transport) != 0)
        uplink_fail_transport(up, now_ns);
    else
        uplink_fail(up, "connection lost", error ? strerror(-error) : "closed by the peer", now_ns);
}

void uplink_pump(struct uplink *up, int64_t now_ns)
{
    uint8_t *to;
    while (up->handle >= 0 && up->transport && !up->ended) {
        size_t room = net_send_space(up->net, up->handle, &to);
        if (room == 0) {
            blocked_note(up, true, now_ns);
            return;
        }
        size_t put = transport_output(up->transport, up->conn, to, room);
        up->ended = transport_is_over(up);
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
        uplink_renew_token(up, now_ns);
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

/* The peer answers a close frame and ends the connection; uplink_close's deadline bounds that. */
bool uplink_farewell(struct uplink *up)
{
    if (up->ended || up->setup->config.door.transport != DOOR_TRANSPORT_WEBSOCKET)
        return false;
    transport_shutdown(up->transport);
    return true;
}
