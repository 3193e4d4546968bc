/* WebSocket in the client's role as a byte transformer: frames of bytes in both directions. Does no I/O. */
#include "websocket.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "websocket_internal.h"

#define FRAME_HEAD_BYTES_MAX 8u /* of a masked frame of up to 65,535 bytes */
#define FRAME_PAYLOAD_BYTES_MAX (WEBSOCKET_FRAME_BYTES_MAX - FRAME_HEAD_BYTES_MAX)
#define MASK_BYTES 4u
#define FIN_BINARY 0x82u
#define MASK_BIT 0x80u
#define LENGTH_16 126u
#define CONTROLS_WAITING_MAX 64u /* a peer that pings faster than it reads is not answered for ever */

static ssize_t wslay_take(wslay_event_context_ptr wslay, uint8_t *to, size_t len, int flags, void *user_data);
static ssize_t wslay_give(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags, void *user_data);
static int wslay_mask(wslay_event_context_ptr wslay, uint8_t *to, size_t len, void *user_data);
static void wslay_frame_began(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_start_arg *frame, void *user_data);
static void wslay_frame_chunk(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *user_data);
static void wslay_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *message, void *user_data);
static size_t frames_input(struct websocket *websocket, const uint8_t *data, size_t len, uint8_t *to);
static int mask_next(struct websocket *websocket, uint8_t mask[MASK_BYTES]);
static void mask_copy(uint8_t *to, const uint8_t *from, size_t len, const uint8_t mask[MASK_BYTES]);

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = wslay_take,
    .send_callback = wslay_give,
    .genmask_callback = wslay_mask,
    .on_frame_recv_start_callback = wslay_frame_began,
    .on_frame_recv_chunk_callback = wslay_frame_chunk,
    .on_msg_recv_callback = wslay_message,
};

int websocket_open(const char *host, uint16_t port, struct websocket **out)
{
    struct websocket *websocket = calloc(1, sizeof *websocket);
    if (!websocket)
        return -ENOMEM;
    websocket->masks_used = sizeof websocket->masks;
    int ret = upgrade_request(websocket, host, port);
    if (ret == 0 && wslay_event_context_client_init(&websocket->wslay, &callbacks, websocket) != 0)
        ret = -ENOMEM;
    if (ret < 0) {
        websocket_close(websocket);
        return ret;
    }
    wslay_event_config_set_no_buffering(websocket->wslay, 1);
    *out = websocket;
    return 0;
}

void websocket_close(struct websocket *websocket)
{
    if (!websocket)
        return;
    if (websocket->wslay)
        wslay_event_context_free(websocket->wslay);
    free(websocket);
}

size_t websocket_input(struct websocket *websocket, const uint8_t *data, size_t len, uint8_t *to)
{
    while (len > 0 && (websocket->state == WEBSOCKET_UPGRADING || websocket->state == WEBSOCKET_REFUSED)) {
        size_t taken = upgrade_input(websocket, data, len);
        data += taken;
        len -= taken;
    }
    return len > 0 && websocket->state == WEBSOCKET_UP ? frames_input(websocket, data, len, to) : 0;
}

void websocket_input_end(struct websocket *websocket)
{
    switch (websocket->state) {
    case WEBSOCKET_UPGRADING:
        websocket_fail(websocket, -ECONNRESET,
                       "%s ended the connection before its answer to the WebSocket upgrade was whole (%zu bytes of it)", websocket->name,
                       websocket->head.total_len);
        return;
    case WEBSOCKET_REFUSED:
        upgrade_refused(websocket);
        return;
    case WEBSOCKET_UP:
        websocket_fail(websocket, -EPIPE, "%s ended the WebSocket without a close frame", websocket->name);
        return;
    case WEBSOCKET_OVER:
        return;
    }
}

/* wslay would mask byte by byte into a buffer of 4 KiB and hand that on: 1.9 GB/s (measured) where this one pass makes 40. */
size_t websocket_write(struct websocket *websocket, const uint8_t *data, size_t len)
{
    uint8_t *out = websocket->out;
    if (websocket->state != WEBSOCKET_UP || websocket->is_closing || len == 0 || websocket->out_sent < websocket->out_len)
        return 0;
    if (wslay_event_want_write(websocket->wslay))
        return 0; /* a pong goes first, or a peer would never see it beside data that does not end */
    len = len < FRAME_PAYLOAD_BYTES_MAX ? len : FRAME_PAYLOAD_BYTES_MAX;
    size_t head_len = 2;
    out[0] = FIN_BINARY;
    if (len < LENGTH_16) {
        out[1] = (uint8_t)(MASK_BIT | len);
    } else {
        out[1] = MASK_BIT | LENGTH_16;
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
        head_len = 4;
    }
    uint8_t *mask = out + head_len;
    if (mask_next(websocket, mask) < 0) {
        websocket_fail(websocket, -EIO, "no random numbers for the mask of a WebSocket frame");
        return 0;
    }
    mask_copy(mask + MASK_BYTES, data, len, mask);
    websocket->out_sent = 0;
    websocket->out_len = head_len + MASK_BYTES + len;
    return len;
}

size_t websocket_output(struct websocket *websocket, const uint8_t **data)
{
    if (websocket->out_sent == websocket->out_len && websocket->state >= WEBSOCKET_UP && wslay_event_want_write(websocket->wslay)) {
        websocket->out_sent = websocket->out_len = 0;
        wslay_event_send(websocket->wslay); /* fails only as wslay_give and wslay_mask do, which note it */
    }
    *data = websocket->out + websocket->out_sent;
    return websocket->out_len - websocket->out_sent;
}

void websocket_output_done(struct websocket *websocket, size_t len)
{
    assert(len <= websocket->out_len - websocket->out_sent);
    websocket->out_sent += len;
}

void websocket_shutdown(struct websocket *websocket)
{
    if (websocket->state != WEBSOCKET_UP || websocket->is_closing)
        return;
    websocket->is_closing = true;
    wslay_event_queue_close(websocket->wslay, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
}

bool websocket_is_ready(const struct websocket *websocket)
{
    return websocket->state == WEBSOCKET_UP;
}

bool websocket_is_over(const struct websocket *websocket)
{
    return websocket->state == WEBSOCKET_OVER;
}

int websocket_error_code(const struct websocket *websocket)
{
    return websocket->state == WEBSOCKET_OVER ? websocket->code : 0;
}

const char *websocket_error(const struct websocket *websocket)
{
    return websocket->error;
}

const char *websocket_answer(const struct websocket *websocket)
{
    return websocket->answer;
}

bool websocket_date(const struct websocket *websocket, char *to, size_t cap)
{
    return http_head_field(&websocket->head, "Date", 0, to, cap);
}

void websocket_fail(struct websocket *websocket, int code, const char *format, ...)
{
    va_list arguments;
    if (websocket->state == WEBSOCKET_OVER)
        return;
    websocket->state = WEBSOCKET_OVER;
    websocket->code = code;
    va_start(arguments, format);
    vsnprintf(websocket->error, sizeof websocket->error, format, arguments);
    va_end(arguments);
}

/* wslay takes at most what its own buffer holds at once and hands it back decoded before it asks again: what comes out never outruns what
 * went in, so `to` may be the same memory. */
static size_t frames_input(struct websocket *websocket, const uint8_t *data, size_t len, uint8_t *to)
{
    websocket->in = data;
    websocket->in_len = len;
    websocket->to = to;
    websocket->to_len = 0;
    wslay_event_recv(websocket->wslay);
    if (!wslay_event_get_read_enabled(websocket->wslay)) /* neither closed nor failed with a reason so far */
        websocket_fail(websocket, -EPROTO, "%s breaks the WebSocket protocol", websocket->name);
    websocket->in = websocket->to = NULL;
    return websocket->to_len;
}

static ssize_t wslay_take(wslay_event_context_ptr wslay, uint8_t *to, size_t len, int flags, void *user_data)
{
    struct websocket *websocket = user_data;
    (void)flags;
    if (wslay_event_get_queued_msg_count(wslay) > CONTROLS_WAITING_MAX)
        websocket_fail(websocket, -EPROTO, "%s sends WebSocket pings faster than it takes the answers (%u wait)", websocket->name,
                       CONTROLS_WAITING_MAX);
    if (websocket->state == WEBSOCKET_OVER || websocket->in_len == 0) {
        wslay_event_set_error(wslay, websocket->in_len == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    len = len < websocket->in_len ? len : websocket->in_len;
    memcpy(to, websocket->in, len);
    websocket->in += len;
    websocket->in_len -= len;
    return (ssize_t)len;
}

static ssize_t wslay_give(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags, void *user_data)
{
    struct websocket *websocket = user_data;
    size_t room = sizeof websocket->out - websocket->out_len;
    (void)flags;
    if (room == 0) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    len = len < room ? len : room;
    memcpy(websocket->out + websocket->out_len, data, len);
    websocket->out_len += len;
    return (ssize_t)len;
}

static int wslay_mask(wslay_event_context_ptr wslay, uint8_t *to, size_t len, void *user_data)
{
    assert(len == MASK_BYTES);
    if (mask_next(user_data, to) == 0)
        return 0;
    websocket_fail(user_data, -EIO, "no random numbers for the mask of a WebSocket frame");
    wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void wslay_frame_began(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_start_arg *frame, void *user_data)
{
    struct websocket *websocket = user_data;
    (void)wslay;
    if (frame->opcode == WSLAY_TEXT_FRAME)
        websocket_fail(websocket, -EPROTO, "%s sends text where AMQP in WebSocket is binary", websocket->name);
    websocket->in_data_frame = !wslay_is_ctrl_frame(frame->opcode);
}

static void wslay_frame_chunk(wslay_event_context_ptr wslay, const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *user_data)
{
    struct websocket *websocket = user_data;
    (void)wslay;
    if (!websocket->in_data_frame || websocket->state != WEBSOCKET_UP)
        return;
    memcpy(websocket->to + websocket->to_len, chunk->data, chunk->data_length);
    websocket->to_len += chunk->data_length;
}

/* Of messages only the close frame matters as a whole. */
static void wslay_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *message, void *user_data)
{
    struct websocket *websocket = user_data;
    char text[128] = "";
    (void)wslay;
    if (message->opcode != WSLAY_CONNECTION_CLOSE)
        return;
    if (message->msg_length == 1) { /* wslay 1.1.1 lets half a code pass */
        websocket_fail(websocket, -EPROTO, "%s breaks the WebSocket protocol", websocket->name);
        return;
    }
    if (message->msg_length > 2)
        http_head_copy_text(text, sizeof text, (const char *)message->msg + 2, message->msg_length - 2);
    bool is_normal =
        message->status_code == 0 || message->status_code == WSLAY_CODE_NORMAL_CLOSURE || message->status_code == WSLAY_CODE_GOING_AWAY;
    websocket_fail(websocket, is_normal ? -ECONNRESET : -EPROTO, "%s closed the WebSocket (code %u%s%s)", websocket->name,
                   message->status_code, text[0] ? ": " : "", text);
}

/* Random numbers are drawn for many frames at once. */
static int mask_next(struct websocket *websocket, uint8_t mask[MASK_BYTES])
{
    if (websocket->masks_used == sizeof websocket->masks) {
        if (RAND_bytes(websocket->masks, sizeof websocket->masks) != 1)
            return -EIO;
        websocket->masks_used = 0;
    }
    memcpy(mask, websocket->masks + websocket->masks_used, MASK_BYTES);
    websocket->masks_used += MASK_BYTES;
    return 0;
}

/* Eight bytes at a time, four times in a row: the compiler makes vectors of it. */
static void mask_copy(uint8_t *to, const uint8_t *from, size_t len, const uint8_t mask[MASK_BYTES])
{
    uint32_t half;
    uint64_t word[4], whole;
    memcpy(&half, mask, sizeof half);
    whole = (uint64_t)half << 32 | half;
    for (; len >= sizeof word; len -= sizeof word, to += sizeof word, from += sizeof word) {
        memcpy(word, from, sizeof word);
        for (int i = 0; i < 4; i++)
            word[i] ^= whole;
        memcpy(to, word, sizeof word);
    }
    for (size_t i = 0; i < len; i++)
        to[i] = from[i] ^ mask[i % MASK_BYTES];
}
