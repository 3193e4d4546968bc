/* A worker's connection of one stream, from name to ready: resolve, connect, TLS, open, token, hub; renewal, backoff, loss. */
#include "shipper/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/pool_internal.h"
#include "shipper/sas.h"

#define CLOSE_WAIT_NS CLOCK_NS_PER_SECOND
#define PLAIN_CHUNK_BYTES 65536u

static void resolve_step(struct pool_conn *pc, int64_t now_ns);
static void connect_next(struct pool_conn *pc, int64_t now_ns);
static void connected(struct pool_conn *pc, int64_t now_ns);
static void received(struct pool_conn *pc, const uint8_t *data, size_t len, int64_t now_ns);
static void tls_drain(struct pool_conn *pc, int64_t now_ns);
static void renew(struct pool_conn *pc, int64_t now_ns);

static uint16_t pool_port(const struct pool_conn *pc)
{
    const struct connstr *cs = &pc->stream->config->connstr;
    return cs->port ? cs->port : cs->emulator ? 5672 : 5671;
}

void pool_conn_begin(struct pool_conn *pc, struct stream *stream, struct net *net, struct resolver *resolver, int wake_fd, uint32_t worker)
{
    *pc = (struct pool_conn){.stream = stream, .net = net, .resolver = resolver, .worker = worker, .handle = -1};
    pc->counters = &stream->words->worker[worker];
    pc->query.notify_fd = wake_fd;
}

void pool_conn_end(struct pool_conn *pc)
{
    if (pc->handle >= 0)
        net_end(pc->net, pc->handle);
    pc->handle = -1;
    conn_free(pc->conn);
    pc->conn = NULL;
    tls_close(pc->tls);
    pc->tls = NULL;
    pc->ended_by = NULL;
    pc->state = POOL_IDLE;
    pc->deadline_ns = pc->token_renew_at_ns = pc->hub_read_at_ns = pc->tick_at_ns = 0;
    order_none_store64(&pc->counters->connected, 0);
}

bool pool_conn_is_ready(const struct pool_conn *pc)
{
    return pc->state == POOL_READY;
}
void pool_conn_accepted(struct pool_conn *pc)
{
    pc->failure_count = 0;
}

/* The one way down: says why, frees the stack, plans the next attempt, and tells the worker if there was something in flight to lose. */
void pool_fail(struct pool_conn *pc, const char *what, const char *detail, int64_t now_ns)
{
    const struct config_stream *config = pc->stream->config;
    char quoted[700];
    bool was_ready = pc->state == POOL_READY, closing = pc->state == POOL_CLOSING;
    log_quote(quoted, sizeof quoted, detail); /* it may lie in what is freed now */
    pc->lost |= pc->conn != NULL;             /* until it was told */
    pool_conn_end(pc);
    if (closing)
        return;
    order_none_add64(was_ready ? &pc->counters->connection_lost_count : &pc->counters->connect_failed_count, 1);
    int64_t wait_ns = backoff_wait_ns(++pc->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    if (was_ready && pc->failure_count == 1)
        wait_ns = 0; /* a forced close after hours of work is normal life */
    pc->retry_at_ns = now_ns + wait_ns;
    log_line(LOG_WARN, "pool", what, "stream=%s worker=%u host=%s port=%u hub=%s policy=%s reason=%s retry_ms=%lld", config->name,
             pc->worker, config->connstr.host, pool_port(pc), config->hub, config->connstr.key_name[0] ? config->connstr.key_name : "-",
             quoted, (long long)(wait_ns / CLOCK_NS_PER_MS));
}

void pool_conn_restart(struct pool_conn *pc, const char *what, const char *detail, int64_t now_ns)
{
    pool_fail(pc, what, detail, now_ns);
}

void pool_enter(struct pool_conn *pc, enum pool_state state, int64_t wait_ns, int64_t now_ns)
{
    pc->state = state;
    pc->deadline_ns = wait_ns ? now_ns + wait_ns : 0;
}

static int64_t connect_wait_ns(const struct pool_conn *pc)
{
    return pc->stream->config->connect_timeout_seconds * CLOCK_NS_PER_SECOND;
}

int64_t pool_conn_step(struct pool_conn *pc, bool wanted, int64_t now_ns)
{
    if (pc->state == POOL_IDLE && wanted && !pc->lost && now_ns >= pc->retry_at_ns) {
        snprintf(pc->query.host, sizeof pc->query.host, "%s", pc->stream->config->connstr.host);
        pc->query.port = pool_port(pc);
        pool_enter(pc, POOL_RESOLVING, 0, now_ns);
        resolve_begin(pc->resolver, &pc->query);
    }
    if (pc->state == POOL_RESOLVING)
        resolve_step(pc, now_ns);
    if (pc->deadline_ns && now_ns >= pc->deadline_ns)
        pool_fail(pc, "connection is not ready in time", "no answer within connect_timeout_seconds", now_ns);
    if (pc->conn && now_ns >= pc->tick_at_ns)
        pc->tick_at_ns = conn_tick(pc->conn, now_ns / CLOCK_NS_PER_MS) * CLOCK_NS_PER_MS;
    if (pc->state == POOL_READY)
        renew(pc, now_ns);
    int64_t next_ns = INT64_MAX;
    if (pc->state == POOL_IDLE && wanted)
        next_ns = pc->retry_at_ns;
    const int64_t times[] = {pc->deadline_ns, pc->conn ? pc->tick_at_ns : 0, pc->token_renew_at_ns, pc->hub_read_at_ns};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i] && times[i] < next_ns)
            next_ns = times[i];
    return next_ns;
}

static void resolve_step(struct pool_conn *pc, int64_t now_ns)
{
    switch (resolve_state(&pc->query)) {
    case RESOLVE_IDLE:
    case RESOLVE_BUSY:
        return;
    case RESOLVE_FAILED:
        pool_fail(pc, "name is not resolved: check the namespace in the connection string, and DNS", pc->query.error, now_ns);
        return;
    case RESOLVE_DONE:
        pc->address_index = 0;
        connect_next(pc, now_ns);
        return;
    }
}

static void connect_next(struct pool_conn *pc, int64_t now_ns)
{
    int i = pc->address_index++;
    pc->handle = net_connect(pc->net, (struct sockaddr *)&pc->query.address[i], pc->query.address_len[i], connect_wait_ns(pc));
    pool_enter(pc, POOL_CONNECTING, 0, now_ns);
    if (pc->handle < 0) {
        int rc = pc->handle;
        pc->handle = -1;
        pool_fail(pc, "no connection", strerror(-rc), now_ns);
    }
}

void pool_conn_net_event(struct pool_conn *pc, const struct net_event *event, int64_t now_ns)
{
    switch (event->kind) {
    case NET_CONNECTED:
        connected(pc, now_ns);
        return;
    case NET_FAILED:
        pc->handle = -1;
        if (pc->address_index < pc->query.count)
            connect_next(pc, now_ns);
        else
            pool_fail(pc, "no connection: check host, port and firewall", strerror(-event->error), now_ns);
        return;
    case NET_RECEIVED:
        order_none_add64(&pc->counters->received_bytes, event->len);
        received(pc, event->data, event->len, now_ns);
        return;
    case NET_ENDED:
        pc->handle = -1;
        if (pc->conn)
            conn_input_end(pc->conn);
        pool_fail(pc, "connection lost", event->error ? strerror(-event->error) : "closed by the peer", now_ns);
        return;
    case NET_SENT:
    case NET_WATCHED:
        return;
    }
}

static void connected(struct pool_conn *pc, int64_t now_ns)
{
    const struct connstr *cs = &pc->stream->config->connstr;
    snprintf(pc->container_id, sizeof pc->container_id, "ehring-%ld-%s-%u", (long)getpid(), pc->stream->config->name, pc->worker);
    int rc = conn_open(
        &(struct conn_options){
            .container_id = pc->container_id, .hostname = cs->host, .product = "ehring", .version = EHRING_BUILD_VERSION},
        &pc->conn);
    if (rc == 0 && pc->stream->tls)
        rc = tls_open(pc->stream->tls, cs->host, &pc->tls);
    if (rc != 0) {
        pool_fail(pc, "no connection", strerror(-rc), now_ns);
        return;
    }
    pc->tick_at_ns = now_ns;
    pool_enter(pc, pc->tls ? POOL_TLS : POOL_OPENING, connect_wait_ns(pc), now_ns);
}

static void received(struct pool_conn *pc, const uint8_t *data, size_t len, int64_t now_ns)
{
    if (!pc->tls) {
        conn_input(pc->conn, data, len); /* a broken engine says so by CONN_CLOSED */
        return;
    }
    if (tls_input(pc->tls, data, len) != 0) {
        pool_fail(pc, "TLS failed", tls_error(pc->tls), now_ns);
        return;
    }
    tls_drain(pc, now_ns);
}

static void tls_drain(struct pool_conn *pc, int64_t now_ns)
{
    static _Thread_local uint8_t plain[PLAIN_CHUNK_BYTES];
    ssize_t len;
    while ((len = tls_read(pc->tls, plain, sizeof plain)) > 0)
        if (conn_input(pc->conn, plain, (size_t)len) != 0)
            return;
    if (len < 0) { /* outcomes and the reason of a close may have come with the end: pool_conn_next_event fails behind them */
        pc->ended_by = len == -ECONNRESET ? "connection closed by the peer" : "TLS failed";
        return;
    }
    if (pc->state == POOL_TLS && tls_is_ready(pc->tls)) {
        log_line(LOG_DEBUG, "pool", "TLS is up", "stream=%s worker=%u version=\"%s\"", pc->stream->config->name, pc->worker,
                 tls_version(pc->tls));
        pool_enter(pc, POOL_OPENING, connect_wait_ns(pc), now_ns);
    }
}

void pool_conn_pump(struct pool_conn *pc, int64_t now_ns)
{
    uint8_t *to;
    const uint8_t *data;
    size_t room;
    while (pc->handle >= 0 && pc->conn && !pc->ended_by && (room = net_send_space(pc->net, pc->handle, &to)) > 0) {
        size_t put = 0;
        if (pc->tls) {
            while (put < room) {
                size_t cipher = tls_output(pc->tls, to + put, room - put);
                put += cipher;
                if (cipher > 0)
                    continue;
                size_t len = conn_output(pc->conn, &data);
                ssize_t taken = len ? tls_write(pc->tls, data, len < TLS_WRITE_BYTES_MAX ? len : TLS_WRITE_BYTES_MAX) : 0;
                if (taken < 0) {
                    pool_fail(pc, "TLS failed", tls_error(pc->tls), now_ns);
                    return;
                }
                if (taken == 0)
                    break;
                conn_output_done(pc->conn, (size_t)taken);
            }
        } else {
            size_t len;
            while (put < room && (len = conn_output(pc->conn, &data)) > 0) {
                len = len < room - put ? len : room - put;
                memcpy(to + put, data, len);
                conn_output_done(pc->conn, len);
                put += len;
            }
        }
        if (put == 0)
            return;
        net_send_commit(pc->net, pc->handle, put);
        order_none_add64(&pc->counters->sent_bytes, put);
    }
}

static void renew(struct pool_conn *pc, int64_t now_ns)
{
    if (pc->token_renew_at_ns && now_ns >= pc->token_renew_at_ns)
        pool_put_token(pc, now_ns);
    if (pc->hub_read_at_ns && now_ns >= pc->hub_read_at_ns)
        pool_read_hub(pc, now_ns);
}

void pool_conn_close(struct pool_conn *pc, int64_t now_ns)
{
    if (pc->state < POOL_OPENING || !pc->conn) {
        if (pc->state != POOL_RESOLVING) /* the resolver still writes into the query: the worker waits for it */
            pool_conn_end(pc);
        return;
    }
    conn_close(pc->conn);
    pool_enter(pc, POOL_CLOSING, CLOSE_WAIT_NS, now_ns);
}
