/* The server's side of a WebSocket for unit tests, written out by hand: the answer to an upgrade, frames, and the client's frames decoded.
 */
#ifndef TESTS_WEBSOCKET_PEER_H
#define TESTS_WEBSOCKET_PEER_H

#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

/* The accept key of the request. */
static inline void ws_accept(const char *request, char accept[32])
{
    char text[80];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len;
    const char *key = strstr(request, "\r\nSec-WebSocket-Key: ");
    cr_assert(key, "%s", request);
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 21);
    EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)len);
}

static inline size_t ws_answer(const char *request, char *to, size_t cap)
{
    char accept[32];
    ws_accept(request, accept);
    return (size_t)snprintf(to, cap,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
                            "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n",
                            accept);
}

/* A frame of the server's (not masked): its length. */
static inline size_t ws_frame(uint8_t *to, uint8_t first, const void *data, size_t len)
{
    size_t at = 0;
    to[at++] = first;
    if (len < 126) {
        to[at++] = (uint8_t)len;
    } else if (len < 65536) {
        to[at++] = 126;
        to[at++] = (uint8_t)(len >> 8);
        to[at++] = (uint8_t)len;
    } else {
        to[at++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            to[at++] = (uint8_t)((uint64_t)len >> shift);
    }
    if (len > 0)
        memcpy(to + at, data, len);
    return at + len;
}

/* Takes one frame of the client's apart, unmasked in place: its length with its head, 0 if it is not whole yet. */
static inline size_t ws_take(uint8_t *data, size_t len, uint8_t *first, uint8_t **payload, size_t *payload_len)
{
    size_t at = 2, want = len >= 2 ? data[1] & 0x7f : 0;
    if (len < 2)
        return 0;
    cr_assert(data[1] & 0x80, "a client masks");
    if (want == 126) {
        if (len < 4)
            return 0;
        want = (size_t)data[2] << 8 | data[3];
        cr_assert_geq(want, 126);
        at = 4;
    }
    if (len < at + 4 + want)
        return 0;
    for (size_t i = 0; i < want; i++)
        data[at + 4 + i] ^= data[at + i % 4];
    *first = data[0];
    *payload = data + at + 4;
    *payload_len = want;
    return at + 4 + want;
}

#endif
