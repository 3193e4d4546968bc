/* One AMQP connection: protocol headers, SASL, open and close, frames to sessions, timers. */
#include "conn.h"

#include "link.h"
#include "session.h"
#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_BYTES = 512 << 10, READ_BYTES_TURN = 8 << 20, HEADER_LEN = 8, CLOSE_WAIT_MS = 3000, FRAME_BYTES_MIN = 512 };

static const uint8_t sasl_header[HEADER_LEN] = {'A', 'M', 'Q', 'P', 3, 1, 0, 0};
static const uint8_t amqp_header[HEADER_LEN] = {'A', 'M', 'Q', 'P', 0, 1, 0, 0};

static void discard(struct hub_conn *c);
static void ended(struct hub_conn *c);
static int input(struct hub_conn *c);
static int header_take(struct hub_conn *c);
static int frame_take(struct hub_conn *c);
static int frame_handle(struct hub_conn *c, uint8_t type, uint16_t channel, struct hub_in body);
static int sasl_init(struct hub_conn *c, const struct hub_fields *f);
static unsigned plain_login(const struct hub_conn *c, const struct hub_value *response);
static int peer_open(struct hub_conn *c, const struct hub_fields *f);
static int peer_close(struct hub_conn *c);
static int framing_error(struct hub_conn *c, const char *text);
static void fail(struct hub_conn *c);
static void pass(struct hub_conn *c, enum hub_fault_kind kind, size_t len);
static void unlist(struct hub_conn *c);

static uint64_t last_conn_id;

struct hub_conn *hub_conn_open(struct hub_broker *b, const struct hub_limits *limits, int fd, const struct hub_way *way)
{
    struct hub_conn *c = hub_alloc(1, sizeof(*c));

    c->broker = b;
    c->limits = limits;
    c->id = ++last_conn_id;
    if (hub_stream_open(&c->stream, b, c->id, fd, way) < 0) {
        free(c);
        return NULL;
    }
    c->peer_frame_bytes_max = FRAME_BYTES_MIN;
    c->open_ms = c->last_in_ms = c->last_out_ms = b->now_mono_ms;
    b->connections++;
    c->next = b->conns;
    b->conns = c;
    return c;
}

bool hub_conn_read(struct hub_conn *c)
{
    size_t taken = 0;

    if (hub_broker_fault(c->broker, HUB_FAULT_STOP_READING))
        return false;
    if (c->state == HUB_CONN_CLOSING)
        discard(c);
    while (c->state < HUB_CONN_CLOSING && !hub_conn_is_full(c)) {
        hub_buf_pack(&c->in);
        if (c->in.cap == 0)
            hub_buf_room(&c->in, IN_BYTES);
        size_t room = hub_faults_bytes(&c->broker->faults, HUB_FAULT_CUT_RECEIVED, c->in.cap - c->in.len, c->broker->now_mono_ms);
        ssize_t n = hub_stream_read(&c->stream, c->in.data + c->in.len, room);
        if (n == -EINTR)
            continue;
        if (n > 0)
            pass(c, HUB_FAULT_CUT_RECEIVED, (size_t)n);
        if (n > 0)
            c->in.len += (size_t)n;
        taken += n > 0 ? (size_t)n : 0;
        /* TLS hands out records of 16 KiB: a frame of 64 KiB is looked at when there is one, not after each piece. */
        if (n > 0 && hub_stream_is_piecewise(&c->stream) && c->in.cap - c->in.len >= HUB_FRAME_BYTES_MAX && taken < READ_BYTES_TURN &&
            !c->stream.sock.cut)
            continue;
        if (c->in.len > 0 && input(c) < 0)
            fail(c);
        if (n == -ESHUTDOWN)
            ended(c);
        else if (c->stream.sock.cut || (n < 0 && n != -EAGAIN && !c->peer_closed))
            c->state = HUB_CONN_DEAD;
        if (n < 0)
            break;
        if (taken >= READ_BYTES_TURN)
            return true;
    }
    return false;
}

void hub_conn_write(struct hub_conn *c)
{
    while (hub_buf_used(&c->out) > 0 && c->state != HUB_CONN_DEAD) {
        size_t len = hub_faults_bytes(&c->broker->faults, HUB_FAULT_CUT_SENT, hub_buf_used(&c->out), c->broker->now_mono_ms);
        ssize_t n = hub_stream_write(&c->stream, c->out.data + c->out.head, len);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            c->state = HUB_CONN_DEAD;
            return;
        }
        hub_buf_take(&c->out, (size_t)n);
        pass(c, HUB_FAULT_CUT_SENT, (size_t)n);
        if (c->stream.sock.cut)
            c->state = HUB_CONN_DEAD;
        c->last_out_ms = c->broker->now_mono_ms;
    }
    hub_buf_pack(&c->out);
    if (c->state != HUB_CONN_DEAD && hub_stream_flush(&c->stream) < 0)
        c->state = HUB_CONN_DEAD;
}

void hub_conn_pump(struct hub_conn *c)
{
    if (c->state == HUB_CONN_CLOSING && hub_buf_used(&c->out) == 0)
        hub_stream_finish(&c->stream);
    if (c->state != HUB_CONN_OPEN)
        return;
    hub_settle_due(c);
    for (unsigned i = 0; i <= HUB_CHANNEL_MAX; i++) {
        if (c->sessions[i])
            hub_session_pump(c->sessions[i]);
    }
}

void hub_conn_tick(struct hub_conn *c)
{
    int64_t now = c->broker->now_mono_ms;

    if (hub_broker_fault(c->broker, HUB_FAULT_STOP_READING))
        c->last_in_ms = c->open_ms = now;
    int64_t silent_ms = now - c->last_in_ms;

    if (c->state == HUB_CONN_CLOSING && now - c->close_ms > CLOSE_WAIT_MS)
        c->state = HUB_CONN_DEAD;
    if (c->state < HUB_CONN_OPEN && now - c->open_ms > c->limits->token_wait_ms) {
        c->state = hub_stream_expire(&c->stream) ? HUB_CONN_CLOSING : HUB_CONN_DEAD;
        c->close_ms = now;
    }
    if (c->state != HUB_CONN_OPEN)
        return;
    if (!c->login && !c->saw_token && now - c->open_ms > c->limits->token_wait_ms) {
        hub_error_set(&c->error, "amqp:connection:forced", "No token was put within %lld ms of the connection's open.",
                      (long long)c->limits->token_wait_ms);
        fail(c);
    } else if (silent_ms > c->limits->idle_timeout_ms) {
        hub_error_set(&c->error, "amqp:connection:forced",
                      "The connection was inactive for more than the allowed %lld milliseconds and is closed.",
                      (long long)c->limits->idle_timeout_ms);
        fail(c);
    } else {
        if (c->peer_idle_ms > 0 && now - c->last_out_ms > c->peer_idle_ms / 2)
            hub_put_empty_frame(&c->out);
        hub_conn_check_claims(c);
    }
}

void hub_conn_fail(struct hub_conn *c, const struct hub_error *error)
{
    if (c->state >= HUB_CONN_CLOSING)
        return;
    c->error = *error;
    fail(c);
}

void hub_conn_cut(struct hub_conn *c)
{
    if (c->state == HUB_CONN_DEAD)
        return;
    c->state = HUB_CONN_DEAD;
    c->stream.sock.cut = true;
    c->broker->connections_cut++;
}

void hub_conn_close_websocket(struct hub_conn *c, uint16_t code, const char *reason)
{
    if (c->state >= HUB_CONN_CLOSING || !hub_stream_close_websocket(&c->stream, code, reason))
        return;
    c->state = HUB_CONN_CLOSING;
    c->close_ms = c->broker->now_mono_ms;
    c->broker->connections_cut++;
}

void hub_conn_check_claims(struct hub_conn *c)
{
    if (c->login || c->state != HUB_CONN_OPEN)
        return;
    for (unsigned k = 0; k <= HUB_CHANNEL_MAX; k++) {
        for (unsigned i = 0; c->sessions[k] && i <= HUB_HANDLE_MAX; i++) {
            if (c->sessions[k]->links[i])
                hub_link_check_claim(c->sessions[k]->links[i]);
        }
    }
}

bool hub_conn_wants_write(const struct hub_conn *c)
{
    return hub_buf_used(&c->out) > 0 || hub_stream_wants_write(&c->stream);
}

bool hub_conn_is_full(const struct hub_conn *c)
{
    return c->state < HUB_CONN_CLOSING &&
           hub_buf_used(&c->out) + hub_buf_used(&c->delayed) + hub_stream_waiting(&c->stream) > HUB_OUT_BYTES_MAX;
}

bool hub_conn_is_over(const struct hub_conn *c)
{
    return c->state == HUB_CONN_DEAD ||
           (c->state == HUB_CONN_CLOSING && c->peer_closed && hub_stream_is_done(&c->stream) && !hub_conn_wants_write(c));
}

void hub_conn_free(struct hub_conn *c)
{
    unlist(c);
    for (unsigned i = 0; i <= HUB_CHANNEL_MAX; i++) {
        if (c->sessions[i])
            hub_session_free(c->sessions[i]);
    }
    hub_stream_close(&c->stream);
    hub_buf_free(&c->in);
    hub_buf_free(&c->out);
    hub_buf_free(&c->delayed);
    hub_buf_free(&c->spare);
    free(c->grants);
    free(c);
}

/* Closing with unread input would be a reset, and the peer might never read why: it is read away until the peer closes. */
static void discard(struct hub_conn *c)
{
    uint8_t bytes[4096];
    ssize_t n;

    while ((n = hub_stream_read(&c->stream, bytes, sizeof(bytes))) > 0)
        ;
    if (n == -ESHUTDOWN)
        ended(c);
    else if (n != -EAGAIN && n != -EINTR)
        c->state = HUB_CONN_DEAD;
}

/* No byte of AMQP follows; what is to be written still is, and the peer closes. */
static void ended(struct hub_conn *c)
{
    if (c->state < HUB_CONN_CLOSING) {
        c->close_ms = c->broker->now_mono_ms;
        c->state = HUB_CONN_CLOSING;
    }
    c->peer_closed = true;
}

/* Takes whole headers and frames out of the input. -EPROTO: c->error says why the connection is over. */
static int input(struct hub_conn *c)
{
    int rc = 1;

    c->last_in_ms = c->broker->now_mono_ms;
    while (rc > 0 && c->state < HUB_CONN_CLOSING) {
        if (c->state == HUB_CONN_START || c->state == HUB_CONN_SASL_DONE)
            rc = header_take(c);
        else
            rc = frame_take(c);
    }
    if (rc >= 0 && c->state == HUB_CONN_OPEN)
        hub_settle_flush(c);
    return rc < 0 ? rc : 0;
}

/* 1: taken, 0: not all there yet. */
static int header_take(struct hub_conn *c)
{
    const uint8_t *at = c->in.data + c->in.head;

    if (hub_buf_used(&c->in) < HEADER_LEN)
        return 0;
    if (memcmp(at, amqp_header, HEADER_LEN) == 0) {
        hub_buf_put(&c->out, amqp_header, HEADER_LEN);
        c->state = HUB_CONN_HEADER;
    } else {
        hub_buf_put(&c->out, sasl_header, HEADER_LEN);
        if (c->state == HUB_CONN_START && memcmp(at, sasl_header, HEADER_LEN) == 0) {
            hub_put_sasl_mechanisms(&c->out);
            c->state = HUB_CONN_SASL;
        } else {
            c->state = HUB_CONN_CLOSING;
            c->close_ms = c->broker->now_mono_ms;
        }
    }
    hub_buf_take(&c->in, HEADER_LEN);
    return 1;
}

static int frame_take(struct hub_conn *c)
{
    const uint8_t *at = c->in.data + c->in.head;
    size_t used = hub_buf_used(&c->in);

    if (used < HUB_FRAME_HEAD)
        return 0;
    uint32_t size = hub_load_u32(at), body = at[4] * 4u;
    if (size < HUB_FRAME_HEAD || size > HUB_FRAME_BYTES_MAX || body < HUB_FRAME_HEAD || body > size)
        return framing_error(c, "the size of a frame is out of bounds");
    if (used < size)
        return 0;
    uint16_t channel = (uint16_t)(at[6] << 8 | at[7]);
    int rc = frame_handle(c, at[5], channel, hub_in_of(at + body, size - body));
    hub_buf_take(&c->in, size);
    return rc < 0 ? rc : 1;
}

static int frame_handle(struct hub_conn *c, uint8_t type, uint16_t channel, struct hub_in body)
{
    enum hub_after after = HUB_AFTER_GO_ON;
    struct hub_fields f;
    uint64_t code;

    if (type != (c->state == HUB_CONN_SASL ? HUB_FRAME_SASL : HUB_FRAME_AMQP))
        return framing_error(c, "a frame has the wrong type");
    if (hub_in_left(&body) == 0)
        return 0;
    if (hub_fields_read(&body, &code, &f) < 0)
        return hub_error_set(&c->error, "amqp:decode-error", "a frame of channel %u holds no valid performative", channel);
    if (c->state == HUB_CONN_SASL)
        return code == HUB_SASL_INIT ? sasl_init(c, &f) : framing_error(c, "sasl-init is due");
    if (c->state == HUB_CONN_HEADER)
        return code == HUB_OPEN ? peer_open(c, &f) : framing_error(c, "open is due");
    if (code == HUB_CLOSE)
        return peer_close(c);
    if (code == HUB_BEGIN)
        return hub_session_begin(c, channel, &f, &c->error);
    if (channel > HUB_CHANNEL_MAX || !c->sessions[channel])
        return hub_error_set(&c->error, "amqp:not-allowed", "channel %u has no session", channel);
    if (hub_session_frame(c->sessions[channel], code, &f, body, &after, &c->error) < 0)
        return -EPROTO;
    if (after == HUB_AFTER_CUT)
        hub_conn_cut(c);
    return 0;
}

static int sasl_init(struct hub_conn *c, const struct hub_fields *f)
{
    bool good = false;

    if (hub_field_is_set(f, 0) && hub_value_is(&f->at[0], "PLAIN"))
        good = hub_field_is_set(f, 1) && (c->login = plain_login(c, &f->at[1])) != 0;
    else if (hub_field_is_set(f, 0))
        good = hub_value_is(&f->at[0], "ANONYMOUS") || hub_value_is(&f->at[0], "MSSBCBS");
    hub_put_sasl_outcome(&c->out, good ? 0 : 1);
    c->state = good ? HUB_CONN_SASL_DONE : HUB_CONN_CLOSING;
    c->close_ms = c->broker->now_mono_ms;
    return 0;
}

/* The rights of the policy, 0: none. The response is: authorisation id, NUL, user, NUL, password. */
static unsigned plain_login(const struct hub_conn *c, const struct hub_value *response)
{
    char text[HUB_NAME_MAX * 2 + HUB_KEY_MAX];
    size_t len = response->len;

    if (response->type != HUB_BINARY || len >= sizeof(text))
        return 0;
    memcpy(text, response->bytes, len);
    text[len] = 0;
    const char *user = memchr(text, 0, len);
    if (!user++)
        return 0;
    const char *key = memchr(user, 0, (size_t)(text + len - user));
    return key ? hub_policies_match(&c->broker->policies, user, key + 1) : 0;
}

static int peer_open(struct hub_conn *c, const struct hub_fields *f)
{
    char container[64];
    uint32_t frame_max = hub_field_uint(f, 2, HUB_FRAME_BYTES_MAX);

    if (!hub_field_is_set(f, 0) || f->at[0].type != HUB_STRING)
        return hub_error_set(&c->error, "amqp:invalid-field", "open has no container-id");
    if (frame_max < FRAME_BYTES_MIN)
        return hub_error_set(&c->error, "amqp:invalid-field", "max-frame-size %u is below %d", frame_max, FRAME_BYTES_MIN);
    c->peer_frame_bytes_max = frame_max < HUB_FRAME_BYTES_MAX ? frame_max : HUB_FRAME_BYTES_MAX;
    c->peer_idle_ms = hub_field_uint(f, 4, 0);
    c->open_ms = c->broker->now_mono_ms;
    c->state = HUB_CONN_OPEN;
    snprintf(container, sizeof(container), "ehring-hub_G%llu", (unsigned long long)c->id);
    hub_put_open(&c->out, container, c->peer_frame_bytes_max, HUB_CHANNEL_MAX, (uint32_t)c->limits->idle_timeout_ms);
    return 0;
}

static int peer_close(struct hub_conn *c)
{
    hub_settle_flush(c);
    hub_put_close(&c->out, NULL);
    c->peer_closed = true;
    c->state = HUB_CONN_CLOSING;
    c->close_ms = c->broker->now_mono_ms;
    return 0;
}

static int framing_error(struct hub_conn *c, const char *text)
{
    return hub_error_set(&c->error, "amqp:connection:framing-error", "%s", text);
}

/* Before open there is nobody to tell it to. */
static void fail(struct hub_conn *c)
{
    if (c->broker->verbose)
        fprintf(stderr, "ehring-hub: connection=%llu closed condition=%s text=\"%s\"\n", (unsigned long long)c->id, c->error.condition,
                c->error.text);
    if (c->state == HUB_CONN_OPEN) {
        hub_settle_flush(c);
        hub_put_close(&c->out, &c->error);
    }
    c->state = HUB_CONN_CLOSING;
    c->close_ms = c->broker->now_mono_ms;
}

/* What a fault of bytes has to say about it; the connection goes on until what came before has been looked at. */
static void pass(struct hub_conn *c, enum hub_fault_kind kind, size_t len)
{
    if (!hub_faults_pass(&c->broker->faults, kind, len, c->broker->now_mono_ms))
        return;
    c->stream.sock.cut = true;
    c->broker->connections_cut++;
}

static void unlist(struct hub_conn *c)
{
    for (struct hub_conn **at = &c->broker->conns; *at; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            return;
        }
    }
}
