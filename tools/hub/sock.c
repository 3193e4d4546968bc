/* A stream socket, plain or TLS, that never blocks. */
#include "sock.h"

#include <openssl/err.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_tls(const struct hub_sock *s);
static ssize_t tls_result(struct hub_sock *s, int n);
static void handshake_note(struct hub_sock *s);

int hub_sock_open(struct hub_sock *s, int fd, SSL_CTX *ctx)
{
    int one = 1;

    *s = (struct hub_sock){.fd = fd};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (!ctx)
        return 0;
    s->ssl = SSL_new(ctx);
    if (!s->ssl || SSL_set_fd(s->ssl, fd) != 1) {
        hub_sock_close(s);
        return -ENOMEM;
    }
    SSL_set_accept_state(s->ssl);
    return 0;
}

ssize_t hub_sock_read(struct hub_sock *s, void *to, size_t len)
{
    if (is_tls(s)) {
        ERR_clear_error();
        return tls_result(s, SSL_read(s->ssl, to, len > INT_MAX ? INT_MAX : (int)len));
    }
    ssize_t n = recv(s->fd, to, len, 0);
    if (n == 0)
        return -ECONNRESET;
    return n < 0 ? -errno : n;
}

ssize_t hub_sock_write(struct hub_sock *s, const void *from, size_t len)
{
    if (is_tls(s)) {
        ERR_clear_error();
        return tls_result(s, SSL_write(s->ssl, from, len > INT_MAX ? INT_MAX : (int)len));
    }
    ssize_t n = send(s->fd, from, len, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

void hub_sock_half_close(struct hub_sock *s)
{
    ERR_clear_error();
    if (is_tls(s) && SSL_is_init_finished(s->ssl))
        SSL_shutdown(s->ssl);
    shutdown(s->fd, SHUT_WR);
}

void hub_sock_close(struct hub_sock *s)
{
    if (s->ssl) {
        ERR_clear_error();
        if (SSL_is_init_finished(s->ssl) && !s->cut && !s->handshake_failed)
            SSL_shutdown(s->ssl);
        SSL_free(s->ssl);
    }
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct hub_sock){.fd = -1};
}

static bool is_tls(const struct hub_sock *s)
{
    return s->ssl && !s->handshake_failed;
}

static ssize_t tls_result(struct hub_sock *s, int n)
{
    s->wants_write = false;
    if (n > 0)
        return n;
    switch (SSL_get_error(s->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        s->wants_write = true;
        return -EAGAIN;
    case SSL_ERROR_SSL:
        if (!SSL_is_init_finished(s->ssl))
            handshake_note(s);
        return -ECONNRESET;
    default:
        return -ECONNRESET;
    }
}

static void handshake_note(struct hub_sock *s)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    int code = ERR_GET_REASON(error);

    s->handshake_failed = true;
    s->peer_refused = code == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE || code == SSL_R_CERTIFICATE_VERIFY_FAILED;
    snprintf(s->why, sizeof(s->why), "%s", reason ? reason : "for a reason unknown");
}
