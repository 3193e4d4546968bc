/* The bytes of libehring-direct: name, socket, TLS and engine, blocking over poll with a deadline. */
#include "direct_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/rand.h>

#define READ_ON_MS 1000

static int dial(const struct addrinfo *address, int64_t deadline_ms);
static int engine_start(struct ehring_direct *direct);
static int wait_fd(int fd, short events, int64_t deadline_ms);
static int bytes_out(struct ehring_direct *direct);
static int bytes_in(struct ehring_direct *direct);
static int bytes_decrypt(struct ehring_direct *direct, size_t len);
static int out_fill(struct ehring_direct *direct);
static int lost(struct ehring_direct *direct, int code, const char *why);

int wire_connect(struct ehring_direct *direct, int64_t deadline_ms)
{
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    const char *host = door_dial_host(&direct->door);
    snprintf(port, sizeof port, "%u", door_dial_port(&direct->door));
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0)
        return direct_fail(direct, -EHOSTUNREACH, "host %s is not resolved: %s", host, gai_strerror(error));
    int left = 0, ret = -EHOSTUNREACH;
    for (const struct addrinfo *at = list; at; at = at->ai_next)
        left++;
    for (const struct addrinfo *at = list; at && direct->fd < 0; at = at->ai_next, left--) {
        int64_t now_ms = direct_now_ms();
        int64_t share_ms = deadline_ms == DIRECT_NO_DEADLINE ? deadline_ms : now_ms + (deadline_ms - now_ms) / left;
        ret = dial(at, share_ms);
        if (ret >= 0)
            direct->fd = ret;
    }
    freeaddrinfo(list);
    if (direct->fd < 0)
        return direct_fail(direct, ret, "cannot connect to %s port %s: %s", host, port, strerror(-ret));
    ret = engine_start(direct);
    if (ret < 0)
        wire_close(direct);
    return ret;
}

int wire_next_event(struct ehring_direct *direct, int64_t deadline_ms, struct conn_event *event)
{
    for (;;) {
        if (conn_next_event(direct->conn, event))
            return 1;
        int64_t now_ms = direct_now_ms();
        int64_t tick_ms = conn_tick(direct->conn, now_ms);
        int ret = bytes_out(direct);
        if (ret < 0)
            return ret;
        if (conn_next_event(direct->conn, event))
            return 1;
        ret = wait_fd(direct->fd, direct->out_sent < direct->out_len || ret > 0 ? POLLIN | POLLOUT : POLLIN,
                      tick_ms < deadline_ms ? tick_ms : deadline_ms);
        if (ret < 0)
            return lost(direct, ret, strerror(-ret));
        bool is_readable = ret & (POLLIN | POLLHUP | POLLERR);
        if (is_readable && (ret = bytes_in(direct)) < 0)
            return ret;
        /* what waits in the socket is still read after the deadline, but a peer that never falls silent must not hold us */
        now_ms = direct_now_ms();
        if (now_ms >= deadline_ms && (!is_readable || now_ms - deadline_ms > READ_ON_MS))
            return conn_next_event(direct->conn, event) ? 1 : 0;
    }
}

void wire_goodbye(struct ehring_direct *direct)
{
    if (!direct->tls || !tls_is_ready(direct->tls))
        return;
    tls_shutdown(direct->tls);
    bytes_out(direct);
}

void wire_close(struct ehring_direct *direct)
{
    conn_free(direct->conn);
    tls_close(direct->tls);
    if (direct->fd >= 0)
        close(direct->fd);
    direct->conn = NULL;
    direct->tls = NULL;
    direct->fd = -1;
    direct->out_len = direct->out_sent = 0;
    direct->is_over = false;
    for (uint32_t i = 0; i < DIRECT_LINKS_MAX; i++)
        direct->link[i].number = -1;
}

/* A connected socket or negative errno. */
static int dial(const struct addrinfo *address, int64_t deadline_ms)
{
    int one = 1, error = 0;
    socklen_t error_len = sizeof error;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    int ret = -errno;
    if (ret == -EINPROGRESS) {
        ret = wait_fd(fd, POLLOUT, deadline_ms);
        if (ret > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0)
            return fd;
        ret = ret == 0 ? -ETIMEDOUT : ret > 0 ? -error : ret;
    }
    close(fd);
    return ret;
}

static int engine_start(struct ehring_direct *direct)
{
    char container_id[64];
    uint32_t random[2];
    if (RAND_bytes((unsigned char *)random, sizeof random) != 1)
        return direct_fail(direct, -EIO, "no random numbers");
    snprintf(container_id, sizeof container_id, "ehring-direct-%d-%08x%08x", (int)getpid(), random[0], random[1]);
    int ret = conn_open(&(struct conn_options){.container_id = container_id,
                                               .hostname = direct->door.connstr.host,
                                               .product = "ehring-direct",
                                               .version = EHRING_BUILD_VERSION},
                        &direct->conn);
    if (ret == 0 && direct->tls_context)
        ret = tls_open(direct->tls_context, direct->door.connstr.host, &direct->tls);
    return ret < 0 ? direct_fail(direct, ret, "cannot start the connection: %s", strerror(-ret)) : 0;
}

/* What poll found, 0 when the time was up, or negative errno. */
static int wait_fd(int fd, short events, int64_t deadline_ms)
{
    struct pollfd entry = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms == DIRECT_NO_DEADLINE ? -1 : deadline_ms - direct_now_ms();
        if (left_ms < 0 && deadline_ms != DIRECT_NO_DEADLINE)
            left_ms = 0;
        int ret = poll(&entry, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (ret > 0)
            return entry.revents;
        if (ret == 0)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* Sends until there is nothing (0) or the socket is full (1). Negative errno: lost. */
static int bytes_out(struct ehring_direct *direct)
{
    for (;;) {
        const uint8_t *data = direct->out + direct->out_sent;
        size_t len = direct->out_len - direct->out_sent;
        if (len == 0 && direct->tls) {
            int ret = out_fill(direct);
            if (ret <= 0)
                return ret;
            continue;
        }
        if (!direct->tls)
            len = conn_output(direct->conn, &data);
        if (len == 0)
            return 0;
        ssize_t sent = send(direct->fd, data, len, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN ? 1 : lost(direct, -errno, strerror(errno));
        }
        if (direct->tls)
            direct->out_sent += (size_t)sent;
        else
            conn_output_done(direct->conn, (size_t)sent);
    }
}

/* Cipher bytes for the socket: 1 some, 0 none. */
static int out_fill(struct ehring_direct *direct)
{
    const uint8_t *data;
    direct->out_sent = 0;
    direct->out_len = tls_output(direct->tls, direct->out, sizeof direct->out);
    if (direct->out_len > 0)
        return 1;
    if (!tls_is_ready(direct->tls))
        return 0;
    size_t len = conn_output(direct->conn, &data);
    ssize_t taken = tls_write(direct->tls, data, len);
    if (taken < 0)
        return lost(direct, (int)taken, tls_error(direct->tls));
    if (taken == 0)
        return 0;
    conn_output_done(direct->conn, (size_t)taken);
    direct->out_len = tls_output(direct->tls, direct->out, sizeof direct->out);
    return direct->out_len > 0;
}

static int bytes_in(struct ehring_direct *direct)
{
    ssize_t got = recv(direct->fd, direct->in, sizeof direct->in, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : lost(direct, -errno, strerror(errno));
    if (got == 0) {
        if (direct->tls && !tls_is_ready(direct->tls))
            return lost(direct, -ECONNRESET, "the peer ended it during the TLS handshake");
        if (direct->is_over)
            return lost(direct, -ECONNRESET, "ended by the peer");
        conn_input_end(direct->conn); /* told by CONN_CLOSED */
        return 0;
    }
    if (direct->tls)
        return bytes_decrypt(direct, (size_t)got);
    conn_input(direct->conn, direct->in, (size_t)got); /* a broken engine tells by CONN_CLOSED */
    return 0;
}

static int bytes_decrypt(struct ehring_direct *direct, size_t len)
{
    ssize_t got = tls_input(direct->tls, direct->in, len);
    if (got < 0)
        return lost(direct, (int)got, tls_error(direct->tls));
    while ((got = tls_read(direct->tls, direct->plain, sizeof direct->plain)) > 0)
        conn_input(direct->conn, direct->plain, (size_t)got);
    if (got == -ECONNRESET)
        conn_input_end(direct->conn);
    else if (got < 0)
        return lost(direct, (int)got, tls_error(direct->tls));
    return 0;
}

static int lost(struct ehring_direct *direct, int code, const char *why)
{
    return direct_fail(direct, code, "connection to %s lost: %s", direct->door.connstr.host, why);
}
