/* The stack under a connection: socket, perhaps TLS, perhaps WebSocket. Gives and takes the bytes of AMQP, whatever carries them. */
#include "stream.h"

#include "websocket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { READ_BYTES = 64 << 10, MESSAGE_BYTES = 64 << 10, WAITING_BYTES = 64 << 10, WAITING_BYTES_MAX = 4 << 20 };

static ssize_t read_away(struct hub_stream *s);
static ssize_t websocket_read(struct hub_stream *s, void *to, size_t len);
static ssize_t payload_take(struct hub_stream *s, void *to, size_t len);
static void decide(struct hub_stream *s);
static ssize_t websocket_write(struct hub_stream *s, const uint8_t *from, size_t len);
static void websocket_put(struct hub_stream *s, const uint8_t *from, size_t len);
static int out_flush(struct hub_stream *s);
static void half_close(struct hub_stream *s);
static ssize_t sock_read(struct hub_stream *s, void *to, size_t len);
static ssize_t give_up(struct hub_stream *s, const char *what, const char *why);

int hub_stream_open(struct hub_stream *s, struct hub_broker *b, uint64_t conn_id, int fd, const struct hub_way *way)
{
    bool websocket = way && way->websocket;
    enum hub_transport transport =
        way && way->ctx ? (websocket ? HUB_TRANSPORT_WSS : HUB_TRANSPORT_AMQPS) : (websocket ? HUB_TRANSPORT_WS : HUB_TRANSPORT_AMQP);

    *s = (struct hub_stream){.broker = b, .conn_id = conn_id};
    int rc = hub_sock_open(&s->sock, fd, way ? way->ctx : NULL);
    if (rc < 0)
        return rc;
    if (websocket)
        s->websocket = hub_websocket_open();
    b->connections_by[transport]++;
    return 0;
}

ssize_t hub_stream_read(struct hub_stream *s, void *to, size_t len)
{
    if (s->over)
        return read_away(s);
    return s->websocket ? websocket_read(s, to, len) : sock_read(s, to, len);
}

ssize_t hub_stream_write(struct hub_stream *s, const void *from, size_t len)
{
    if (s->over)
        return (ssize_t)len;
    return s->websocket ? websocket_write(s, from, len) : hub_sock_write(&s->sock, from, len);
}

int hub_stream_flush(struct hub_stream *s)
{
    int rc = s->websocket ? out_flush(s) : 0;

    if (rc < 0)
        return rc == -EAGAIN ? 0 : rc;
    if (s->over && !hub_stream_is_done(s))
        half_close(s);
    return 0;
}

void hub_stream_finish(struct hub_stream *s)
{
    if (!s->websocket)
        return;
    if (hub_websocket_state(s->websocket) == HUB_WEBSOCKET_OPEN)
        hub_websocket_close(s->websocket, 1000, "");
    else if (hub_websocket_state(s->websocket) == HUB_WEBSOCKET_UPGRADE && !s->sock.handshake_failed)
        hub_websocket_refuse(s->websocket, 503, "The hub was told to close this connection.");
}

bool hub_stream_close_websocket(struct hub_stream *s, uint16_t code, const char *reason)
{
    if (!s->websocket || hub_websocket_state(s->websocket) != HUB_WEBSOCKET_OPEN)
        return false;
    hub_websocket_close(s->websocket, code, reason);
    return true;
}

bool hub_stream_expire(struct hub_stream *s)
{
    if (!s->websocket || s->over || hub_websocket_state(s->websocket) != HUB_WEBSOCKET_UPGRADE)
        return false;
    hub_websocket_refuse(s->websocket, 408, "The head of the request did not come in time.");
    give_up(s, "upgrade refused", hub_websocket_why(s->websocket));
    return true;
}

bool hub_stream_wants_write(const struct hub_stream *s)
{
    return s->sock.wants_write || hub_stream_waiting(s) > 0;
}

size_t hub_stream_waiting(const struct hub_stream *s)
{
    return s->websocket ? hub_buf_used(hub_websocket_output(s->websocket)) : 0;
}

bool hub_stream_is_piecewise(const struct hub_stream *s)
{
    return s->sock.ssl || s->websocket;
}

bool hub_stream_is_done(const struct hub_stream *s)
{
    return s->websocket ? hub_websocket_is_done(s->websocket) : !s->over;
}

void hub_stream_close(struct hub_stream *s)
{
    hub_websocket_free(s->websocket);
    s->websocket = NULL;
    hub_sock_close(&s->sock);
}

/* Closing with unread input would be a reset, and the peer might never read our last words. */
static ssize_t read_away(struct hub_stream *s)
{
    uint8_t bytes[4096];
    ssize_t n;

    while ((n = hub_sock_read(&s->sock, bytes, sizeof(bytes))) > 0)
        ;
    return n;
}

static ssize_t websocket_read(struct hub_stream *s, void *to, size_t len)
{
    static uint8_t bytes[READ_BYTES];
    ssize_t n;

    while (hub_stream_waiting(s) <= WAITING_BYTES_MAX) {
        if ((n = payload_take(s, to, len)) > 0)
            return n;
        if (hub_websocket_is_deaf(s->websocket)) {
            bool refused = hub_websocket_state(s->websocket) == HUB_WEBSOCKET_REFUSED;
            s->broker->upgrades_refused += refused;
            return give_up(s, refused ? "upgrade refused" : "websocket closed", hub_websocket_why(s->websocket));
        }
        if ((n = sock_read(s, bytes, sizeof(bytes))) < 0)
            return n;
        hub_websocket_input(s->websocket, bytes, (size_t)n);
        if (hub_websocket_state(s->websocket) == HUB_WEBSOCKET_ASKED)
            decide(s);
    }
    return -EAGAIN;
}

static ssize_t payload_take(struct hub_stream *s, void *to, size_t len)
{
    struct hub_buf *payload = hub_websocket_payload(s->websocket);
    size_t used = hub_buf_used(payload);

    if (used == 0)
        return 0;
    if (len > used)
        len = used;
    memcpy(to, payload->data + payload->head, len);
    hub_buf_take(payload, len);
    return (ssize_t)len;
}

/* A good upgrade is accepted, unless a fault has something against it. */
static void decide(struct hub_stream *s)
{
    struct hub_broker *b = s->broker;
    const struct hub_fault *f = hub_faults_request(&b->faults, HUB_FAULT_WS_HANG, "", b->now_mono_ms);

    if (f) {
        hub_websocket_hang(s->websocket);
        return;
    }
    f = hub_faults_request(&b->faults, HUB_FAULT_WS_REFUSE, "", b->now_mono_ms);
    if (f)
        hub_websocket_refuse(s->websocket, (int)f->status, f->error.text);
    else
        hub_websocket_accept(s->websocket);
}

/* A message begins only when those before it are almost out: what waits stays with AMQP, where it is counted. */
static ssize_t websocket_write(struct hub_stream *s, const uint8_t *from, size_t len)
{
    struct hub_broker *b = s->broker;
    int rc = out_flush(s);

    if (hub_websocket_state(s->websocket) == HUB_WEBSOCKET_CLOSED || hub_websocket_state(s->websocket) == HUB_WEBSOCKET_REFUSED)
        return rc < 0 && rc != -EAGAIN ? rc : (ssize_t)len;
    if (rc < 0 && (rc != -EAGAIN || hub_stream_waiting(s) > WAITING_BYTES))
        return rc;
    if (hub_websocket_state(s->websocket) != HUB_WEBSOCKET_OPEN)
        return -EAGAIN;
    if (len > MESSAGE_BYTES)
        len = MESSAGE_BYTES;
    len = hub_faults_bytes(&b->faults, HUB_FAULT_WS_CLOSE_AFTER, len, b->now_mono_ms);
    websocket_put(s, from, len);
    const struct hub_fault *f = hub_broker_fault(b, HUB_FAULT_WS_CLOSE_AFTER);
    if (hub_faults_pass(&b->faults, HUB_FAULT_WS_CLOSE_AFTER, len, b->now_mono_ms)) {
        hub_websocket_close(s->websocket, (uint16_t)f->code, f->error.text);
        b->connections_cut++;
    }
    rc = out_flush(s);
    return rc < 0 && rc != -EAGAIN ? rc : (ssize_t)len;
}

static void websocket_put(struct hub_stream *s, const uint8_t *from, size_t len)
{
    struct hub_broker *b = s->broker;
    const struct hub_fault *split = hub_broker_fault(b, HUB_FAULT_WS_SPLIT), *fragment = hub_broker_fault(b, HUB_FAULT_WS_FRAGMENT);
    struct hub_websocket_cut cut = {.message_bytes = split ? (size_t)split->bytes : 0,
                                    .fragment_bytes = fragment ? (size_t)fragment->bytes : 0};

    if (hub_faults_request(&b->faults, HUB_FAULT_WS_PING, "", b->now_mono_ms))
        hub_websocket_ping(s->websocket);
    hub_websocket_send(s->websocket, from, len, &cut);
}

/* 0: all is written, -EAGAIN: something waits. */
static int out_flush(struct hub_stream *s)
{
    struct hub_buf *out = hub_websocket_output(s->websocket);

    while (hub_buf_used(out) > 0) {
        ssize_t n = hub_sock_write(&s->sock, out->data + out->head, hub_buf_used(out));
        if (n == -EINTR)
            continue;
        if (n < 0)
            return (int)n;
        hub_buf_take(out, (size_t)n);
    }
    hub_buf_pack(out);
    return 0;
}

static void half_close(struct hub_stream *s)
{
    if (!s->finished)
        hub_sock_half_close(&s->sock);
    s->finished = true;
}

/* A handshake that failed has an alert on its way to the peer. */
static ssize_t sock_read(struct hub_stream *s, void *to, size_t len)
{
    ssize_t n = hub_sock_read(&s->sock, to, len);

    if (n >= 0 || !s->sock.handshake_failed)
        return n;
    s->broker->handshakes_failed++;
    s->broker->handshakes_refused += s->sock.peer_refused;
    return give_up(s, s->sock.peer_refused ? "client certificate refused" : "tls handshake failed", s->sock.why);
}

static ssize_t give_up(struct hub_stream *s, const char *what, const char *why)
{
    s->over = true;
    if (s->broker->verbose && why[0])
        fprintf(stderr, "ehring-hub: connection=%llu %s %s\n", (unsigned long long)s->conn_id, what, why);
    return -ESHUTDOWN;
}
