/* WebSocket frames by hand, for a raw client: writes masked frames, reads the hub's. Knows no library. */
#ifndef TESTS_HUB_WS_RIG_H
#define TESTS_HUB_WS_RIG_H

#include "tools/hub/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

#define WS_HEAD                                                                                                                            \
    "GET /$servicebus/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                              \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n"

struct ws_frame {
    bool fin, masked;
    unsigned opcode;
    const uint8_t *payload; /* in the buffer it was read from, until that changes */
    size_t len;
};

static inline void ws_put_head(struct hub_buf *to, uint8_t first, bool masked, size_t len)
{
    uint8_t head[10] = {first, (uint8_t)(masked ? 0x80 : 0)};
    size_t head_len = 2;

    if (len < 126) {
        head[1] |= (uint8_t)len;
    } else if (len <= UINT16_MAX) {
        head[1] |= 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        head_len = 4;
    } else {
        head[1] |= 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
        head_len = 10;
    }
    hub_buf_put(to, head, head_len);
}

/* `first` is FIN, RSV and opcode as they stand on the wire. */
static inline void ws_put_frame(struct hub_buf *to, uint8_t first, bool masked, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

    ws_put_head(to, first, masked, len);
    if (masked)
        hub_buf_put(to, mask, sizeof mask);
    for (size_t i = 0; i < len; i++)
        hub_buf_put_byte(to, (uint8_t)(((const uint8_t *)payload)[i] ^ (masked ? mask[i % 4] : 0)));
}

static inline void ws_put_binary(struct hub_buf *to, const void *payload, size_t len)
{
    ws_put_frame(to, 0x80 | WS_BINARY, true, payload, len);
}

/* Takes the next whole frame. False: there is none. */
static inline bool ws_take_frame(struct hub_buf *from, struct ws_frame *f)
{
    const uint8_t *at = from->data + from->head;
    size_t used = hub_buf_used(from), head = 2;

    if (used < 2)
        return false;
    f->fin = at[0] & 0x80;
    f->opcode = at[0] & 15;
    f->masked = at[1] & 0x80;
    f->len = at[1] & 127;
    if (f->len >= 126) {
        head = f->len == 126 ? 4 : 10;
        f->len = 0;
        if (used < head)
            return false;
        for (size_t i = 2; i < head; i++)
            f->len = f->len << 8 | at[i];
    }
    if (f->len > used - head)
        return false;
    f->payload = at + head;
    from->head += head + f->len;
    return true;
}

#endif
