/* WebSocket (RFC 6455) in the client's role as a byte transformer: the upgrade, then frames of bytes in both directions. Does no I/O.
 * libwslay 1.1 decodes and speaks the control frames; data frames are written here. One `struct websocket` per connection, used by one
 * thread. */
#ifndef EHRING_WEBSOCKET_H
#define EHRING_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEBSOCKET_PATH "/$servicebus/websocket"
#define WEBSOCKET_PROTOCOL "AMQPWSB10"
#define WEBSOCKET_FRAME_BYTES_MAX 65536u /* of a frame that is sent, with its head: four whole TLS records */

struct websocket;

/* Begins the upgrade: GET to `host`; `port` 0: the scheme's own, not named. 0, -ENOMEM, -EIO (no random numbers), -EINVAL: a name that
 * cannot stand in a request. */
int websocket_open(const char *host, uint16_t port, struct websocket **out);
void websocket_close(struct websocket *websocket); /* NULL is fine */

/* Bytes from the peer; takes all of them. Plain bytes come out at `to`, which has room for `len` and may be the same memory: their count.
 * Afterwards websocket_is_over tells whether it ended with them. */
size_t websocket_input(struct websocket *websocket, const uint8_t *data, size_t len, uint8_t *to);
/* The bytes below ended: notes why that is an error, unless it is over already. */
void websocket_input_end(struct websocket *websocket);

/* Plain bytes to the peer, as one frame: how many were taken; 0 before the upgrade is answered, while output of earlier ones waits, and
 * after the end. */
size_t websocket_write(struct websocket *websocket, const uint8_t *data, size_t len);
/* Bytes for the peer: count and *data, valid until the next call; websocket_output_done says how many are taken. 0: none now. */
size_t websocket_output(struct websocket *websocket, const uint8_t **data);
void websocket_output_done(struct websocket *websocket, size_t len);
void websocket_shutdown(struct websocket *websocket); /* a close frame (1000) into the output */

bool websocket_is_ready(const struct websocket *websocket); /* upgraded */
bool websocket_is_over(const struct websocket *websocket);  /* refused, closed by the peer, or broken */
/* 0: not over. -ECONNRESET: the peer closed it with 1000 or 1001, which is normal life. Other negative errno: an error. */
int websocket_error_code(const struct websocket *websocket);
const char *websocket_error(const struct websocket *websocket);               /* a sentence with a remedy; empty: none so far */
const char *websocket_answer(const struct websocket *websocket);              /* "101 Switching Protocols"; empty: none yet */
bool websocket_date(const struct websocket *websocket, char *to, size_t cap); /* the answer's Date; false: it has none */

#endif
