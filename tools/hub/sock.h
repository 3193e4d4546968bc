/* A stream socket, plain or TLS, that never blocks. */
#ifndef HUB_SOCK_H
#define HUB_SOCK_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct hub_sock {
    int fd;
    SSL *ssl;              /* NULL: plain */
    bool wants_write;      /* TLS cannot go on before the socket takes bytes */
    bool cut;              /* to be closed without a word */
    bool handshake_failed; /* reads then give what comes as it is, to be thrown away */
    bool peer_refused;     /* for want of a certificate that we trust */
    char why[128];         /* what OpenSSL said of the handshake */
};

/* Takes over an accepted descriptor; TLS when ctx is not NULL. 0 or a negative errno (the descriptor is then closed). */
int hub_sock_open(struct hub_sock *s, int fd, SSL_CTX *ctx);

/* Bytes read or written, -EAGAIN, or another negative errno when the connection is over. */
ssize_t hub_sock_read(struct hub_sock *s, void *to, size_t len);
ssize_t hub_sock_write(struct hub_sock *s, const void *from, size_t len);

/* Closes our direction, in TLS with a goodbye; reading goes on. */
void hub_sock_half_close(struct hub_sock *s);

/* Closes; in TLS says goodbye first, unless it was cut. */
void hub_sock_close(struct hub_sock *s);

#endif
