/* The head of an HTTP/1.x answer, collected from bytes cut anywhere and bounded: what a CONNECT proxy and a WebSocket upgrade answer with.
 * Does no I/O. */
#ifndef EHRING_HTTP_HEAD_H
#define EHRING_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_HEAD_BYTES_MAX 8192u /* of all heads of one answer: 1xx before the last one count too */

struct http_head {
    int status;      /* 0 until the head is whole */
    char reason[64]; /* the peer's words beside the status, cut, control bytes replaced */
    size_t total_len, len;
    char text[HTTP_HEAD_BYTES_MAX + 1];
};

/* Takes bytes up to the end of the head; heads of 1xx but 101 are passed over. How many were taken (the rest is what follows the head), or
 * -EPROTO: not HTTP/1.x, -E2BIG: longer than the limit. `head` starts as zeroes. */
ssize_t http_head_input(struct http_head *head, const uint8_t *data, size_t len);
/* Copies the value of the field's nth line (0: the first), without blanks around it, cut to `cap` - 1 bytes. false: there is none. */
bool http_head_field(const struct http_head *head, const char *name, size_t nth, char *to, size_t cap);
/* Whether a list of the field has the token, in any case of letters. */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

/* Copies at most `cap` - 1 of `len` bytes of a peer's text, control bytes replaced by blanks. */
void http_head_copy_text(char *to, size_t cap, const char *from, size_t len);
/* host:port as in a request: an IPv6 address in brackets, the port left out if it is 0. */
void http_head_print_host(char *to, size_t cap, const char *host, uint16_t port);

#endif
