/* One WebSocket in the server's role, over libwslay: bytes of the wire in, a stream of payload out, and back. Does no I/O. */
#include "websocket.h"

#include "upgrade.h"

#include <wslay/wslay.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hub_websocket {
    enum hub_websocket_state state;
    struct hub_upgrade upgrade;
    struct wslay_event_context *event; /* from OPEN on */
    struct hub_buf in, payload, out;
    bool is_data;             /* the frame that comes is of a message, not of control */
    const uint8_t *fragments; /* while a fragmented message is sent: what is left of it */
    size_t fragments_len, fragment_bytes;
    char why[HUB_UPGRADE_TEXT_MAX];
};

static void head_look(struct hub_websocket *w);
static void frames_take(struct hub_websocket *w);
static void pump(struct hub_websocket *w);
static void message_send(struct hub_websocket *w, const uint8_t *bytes, size_t len, size_t fragment_bytes);
static ssize_t on_read(struct wslay_event_context *event, uint8_t *to, size_t len, int flags, void *of);
static ssize_t on_write(struct wslay_event_context *event, const uint8_t *bytes, size_t len, int flags, void *of);
static ssize_t on_fragment(struct wslay_event_context *event, uint8_t *to, size_t len, const union wslay_event_msg_source *source, int *eof,
                           void *of);
static void on_frame(struct wslay_event_context *event, const struct wslay_event_on_frame_recv_start_arg *frame, void *of);
static void on_chunk(struct wslay_event_context *event, const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *of);

struct hub_websocket *hub_websocket_open(void)
{
    return hub_alloc(1, sizeof(struct hub_websocket));
}

void hub_websocket_input(struct hub_websocket *w, const uint8_t *bytes, size_t len)
{
    if (hub_websocket_is_deaf(w) || w->state == HUB_WEBSOCKET_HANGS)
        return;
    hub_buf_put(&w->in, bytes, len);
    if (w->state == HUB_WEBSOCKET_UPGRADE)
        head_look(w);
    else if (w->event)
        frames_take(w);
}

enum hub_websocket_state hub_websocket_state(const struct hub_websocket *w)
{
    return w->state;
}

bool hub_websocket_is_deaf(const struct hub_websocket *w)
{
    return w->state == HUB_WEBSOCKET_REFUSED || (w->event && !wslay_event_get_read_enabled(w->event));
}

bool hub_websocket_is_done(const struct hub_websocket *w)
{
    return w->event && wslay_event_get_close_received(w->event) && wslay_event_get_close_sent(w->event);
}

const char *hub_websocket_why(const struct hub_websocket *w)
{
    return w->why;
}

void hub_websocket_accept(struct hub_websocket *w)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_read,
                                                           .send_callback = on_write,
                                                           .on_frame_recv_start_callback = on_frame,
                                                           .on_frame_recv_chunk_callback = on_chunk};

    assert(w->state == HUB_WEBSOCKET_ASKED);
    if (wslay_event_context_server_init(&w->event, &callbacks, w) != 0) {
        w->event = NULL;
        hub_websocket_refuse(w, 503, "The hub has no memory for this connection.");
        return;
    }
    wslay_event_config_set_no_buffering(w->event, 1);
    hub_upgrade_answer(&w->upgrade, &w->out);
    w->state = HUB_WEBSOCKET_OPEN;
    frames_take(w);
}

void hub_websocket_refuse(struct hub_websocket *w, int status, const char *text)
{
    assert(w->state == HUB_WEBSOCKET_ASKED || w->state == HUB_WEBSOCKET_UPGRADE);
    hub_upgrade_refuse(&w->upgrade, status, text);
    hub_upgrade_answer(&w->upgrade, &w->out);
    snprintf(w->why, sizeof(w->why), "status=%d text=\"%.*s\"", status, HUB_UPGRADE_TEXT_MAX - 32, w->upgrade.text);
    w->state = HUB_WEBSOCKET_REFUSED;
}

void hub_websocket_hang(struct hub_websocket *w)
{
    assert(w->state == HUB_WEBSOCKET_ASKED);
    w->state = HUB_WEBSOCKET_HANGS;
}

void hub_websocket_send(struct hub_websocket *w, const uint8_t *bytes, size_t len, const struct hub_websocket_cut *cut)
{
    assert(w->state == HUB_WEBSOCKET_OPEN);
    for (size_t at = 0; at < len;) {
        size_t part = cut->message_bytes > 0 && cut->message_bytes < len - at ? cut->message_bytes : len - at;
        message_send(w, bytes + at, part, cut->fragment_bytes);
        at += part;
    }
}

void hub_websocket_ping(struct hub_websocket *w)
{
    struct wslay_event_msg ping = {.opcode = WSLAY_PING, .msg = (const uint8_t *)"ehring", .msg_length = strlen("ehring")};

    assert(w->state == HUB_WEBSOCKET_OPEN);
    wslay_event_queue_msg(w->event, &ping);
    pump(w);
}

void hub_websocket_close(struct hub_websocket *w, uint16_t code, const char *reason)
{
    size_t len = strlen(reason);

    assert(w->state == HUB_WEBSOCKET_OPEN);
    wslay_event_queue_close(w->event, code, (const uint8_t *)reason, len < HUB_WEBSOCKET_REASON_MAX ? len : HUB_WEBSOCKET_REASON_MAX);
    pump(w);
}

struct hub_buf *hub_websocket_payload(struct hub_websocket *w)
{
    return &w->payload;
}

struct hub_buf *hub_websocket_output(struct hub_websocket *w)
{
    return &w->out;
}

void hub_websocket_free(struct hub_websocket *w)
{
    if (!w)
        return;
    if (w->event)
        wslay_event_context_free(w->event);
    hub_buf_free(&w->in);
    hub_buf_free(&w->payload);
    hub_buf_free(&w->out);
    free(w);
}

static void head_look(struct hub_websocket *w)
{
    size_t len = hub_upgrade_read(&w->upgrade, w->in.data + w->in.head, hub_buf_used(&w->in));

    hub_buf_take(&w->in, len);
    if (w->upgrade.status == 101) {
        w->state = HUB_WEBSOCKET_ASKED;
    } else if (w->upgrade.status != 0) {
        struct hub_upgrade u = w->upgrade;
        hub_websocket_refuse(w, u.status, u.text);
    }
}

/* libwslay answers pings and close frames itself, and refuses frames that are not masked or out of order. */
static void frames_take(struct hub_websocket *w)
{
    int rc = wslay_event_recv(w->event);

    pump(w);
    if (!wslay_event_get_read_enabled(w->event) && !wslay_event_get_close_received(w->event) && !w->why[0])
        snprintf(w->why, sizeof(w->why), "%s", rc < 0 ? "a frame's head is not valid" : "a frame breaks the protocol");
    hub_buf_pack(&w->in);
}

/* Moves what libwslay has queued to the output, which takes everything. */
static void pump(struct hub_websocket *w)
{
    if (wslay_event_send(w->event) != 0)
        wslay_event_shutdown_write(w->event);
    if (!wslay_event_get_write_enabled(w->event))
        w->state = HUB_WEBSOCKET_CLOSED;
}

static void message_send(struct hub_websocket *w, const uint8_t *bytes, size_t len, size_t fragment_bytes)
{
    struct wslay_event_msg whole = {.opcode = WSLAY_BINARY_FRAME, .msg = bytes, .msg_length = len};
    struct wslay_event_fragmented_msg pieces = {.opcode = WSLAY_BINARY_FRAME, .read_callback = on_fragment};

    w->fragments = bytes;
    w->fragments_len = len;
    w->fragment_bytes = fragment_bytes;
    if (fragment_bytes > 0)
        wslay_event_queue_fragmented_msg(w->event, &pieces);
    else
        wslay_event_queue_msg(w->event, &whole);
    pump(w);
}

static ssize_t on_read(struct wslay_event_context *event, uint8_t *to, size_t len, int flags, void *of)
{
    struct hub_websocket *w = of;
    size_t used = hub_buf_used(&w->in);

    (void)flags;
    if (used == 0) {
        wslay_event_set_error(event, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (len > used)
        len = used;
    memcpy(to, w->in.data + w->in.head, len);
    hub_buf_take(&w->in, len);
    return (ssize_t)len;
}

static ssize_t on_write(struct wslay_event_context *event, const uint8_t *bytes, size_t len, int flags, void *of)
{
    struct hub_websocket *w = of;

    (void)event, (void)flags;
    hub_buf_put(&w->out, bytes, len);
    return (ssize_t)len;
}

static ssize_t on_fragment(struct wslay_event_context *event, uint8_t *to, size_t len, const union wslay_event_msg_source *source, int *eof,
                           void *of)
{
    struct hub_websocket *w = of;

    (void)event, (void)source;
    if (len > w->fragment_bytes)
        len = w->fragment_bytes;
    if (len > w->fragments_len)
        len = w->fragments_len;
    memcpy(to, w->fragments, len);
    w->fragments += len;
    w->fragments_len -= len;
    *eof = w->fragments_len == 0;
    return (ssize_t)len;
}

/* AMQP is binary; text is refused before its first byte is looked at. */
static void on_frame(struct wslay_event_context *event, const struct wslay_event_on_frame_recv_start_arg *frame, void *of)
{
    struct hub_websocket *w = of;

    w->is_data = frame->opcode == WSLAY_BINARY_FRAME || frame->opcode == WSLAY_CONTINUATION_FRAME;
    if (frame->opcode != WSLAY_TEXT_FRAME)
        return;
    snprintf(w->why, sizeof(w->why), "a text message came; AMQP is sent in binary messages");
    wslay_event_shutdown_read(event);
    wslay_event_queue_close(event, WSLAY_CODE_UNSUPPORTED_DATA, (const uint8_t *)w->why, strlen(w->why));
}

static void on_chunk(struct wslay_event_context *event, const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *of)
{
    struct hub_websocket *w = of;

    (void)event;
    if (w->is_data && chunk->data_length > 0)
        hub_buf_put(&w->payload, chunk->data, chunk->data_length);
}
