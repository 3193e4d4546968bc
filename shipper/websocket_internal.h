/* What the files of a WebSocket share: websocket.c (frames), websocket_upgrade.c (request and answer). Private to them. */
#ifndef EHRING_WEBSOCKET_INTERNAL_H
#define EHRING_WEBSOCKET_INTERNAL_H

#include <wslay/wslay.h>

#include "http_head.h"
#include "websocket.h"

#define WEBSOCKET_EXCERPT_BYTES 200u

enum websocket_state {
    WEBSOCKET_UPGRADING,
    WEBSOCKET_REFUSED, /* the sentence is there, its excerpt of the body still comes */
    WEBSOCKET_UP,
    WEBSOCKET_OVER,
};
struct websocket {
    enum websocket_state state;
    int code; /* why it is over */
    char name[280];
    char accept[32]; /* what the peer must answer */
    char answer[80];
    char error[896];
    struct http_head head;
    uint64_t body_len; /* of a refusal, as announced */
    size_t excerpt_len;
    char excerpt[WEBSOCKET_EXCERPT_BYTES + 1];
    wslay_event_context_ptr wslay;
    bool is_closing; /* our close frame is queued or sent */
    /* of the call of websocket_input under way */
    const uint8_t *in;
    size_t in_len;
    uint8_t *to;
    size_t to_len;
    bool in_data_frame; /* the frame that comes carries plain bytes */
    /* one frame, or wslay's control frames, or the request */
    size_t out_len, out_sent;
    uint8_t masks[256];
    size_t masks_used;
    uint8_t out[WEBSOCKET_FRAME_BYTES_MAX];
};

/* Writes the request into the output. 0 or negative errno. */
int upgrade_request(struct websocket *websocket, const char *host, uint16_t port);
/* Bytes of the answer, or of the body of a refusal: how many were taken. The state says what came of it. */
size_t upgrade_input(struct websocket *websocket, const uint8_t *data, size_t len);
void upgrade_refused(struct websocket *websocket); /* no more of the body will come */

/* Over, with a sentence. */
void websocket_fail(struct websocket *websocket, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
