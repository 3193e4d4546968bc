/* The bytes of libehring-direct: name, socket, transport and engine, blocking over poll with a deadline. */
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
static int time_up(struct ehring_direct *direct);
static int transport_lost(struct ehring_direct *direct);
static int lost(struct ehring_direct *direct, int code, const char *why);

int wire_connect(struct ehring_direct *direct, int64_t deadline_ms)
{
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    const char *host = transport_way_host(&direct->way, &direct->door), *whose = direct->way.has_proxy ? "proxy" : "host";
    snprintf(port, sizeof port, "%u", transport_way_port(&direct->way, &direct->door));
    seen_begin(direct, host, transport_way_port(&direct->way, &direct->door));
    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0)
        return direct_fail(direct, -EHOSTUNREACH, "%s %s is not resolved: %s", whose, host, gai_strerror(error));
    seen_resolved(direct, list);
    int left = 0, ret = -EHOSTUNREACH;
    for (const struct addrinfo *at = list; at; at = at->ai_next)
        left++;
    for (const struct addrinfo *at = list; at && direct->fd < 0; at = at->ai_next, left--) {
        int64_t now_ms = direct_now_ms();
        int64_t share_ms = deadline_ms == DIRECT_NO_DEADLINE ? deadline_ms : now_ms + (deadline_ms - now_ms) / left;
        ret = dial(at, share_ms);
        if (ret < 0)
            continue;
        direct->fd = ret;
        seen_dialed(direct, at, direct_now_ms() - now_ms);
    }
    freeaddrinfo(list);
    if (direct->fd < 0)
        return direct_fail(direct, ret, "cannot connect to %s%s port %s: %s", direct->way.has_proxy ? "proxy " : "", host, port,
                           strerror(-ret));
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
        if (transport_error_code(direct->transport) != 0 && transport_error_code(direct->transport) != -ECONNRESET)
            return transport_lost(direct);
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
        ret = is_readable ? bytes_in(direct) : 0;
        seen_way(direct);
        if (ret < 0)
            return ret;
        /* what waits in the socket is still read after the deadline, but a peer that never falls silent must not hold us */
        now_ms = direct_now_ms();
        if (now_ms >= deadline_ms && (!is_readable || now_ms - deadline_ms > READ_ON_MS))
            return conn_next_event(direct->conn, event) ? 1 : time_up(direct);
    }
}

void wire_goodbye(struct ehring_direct *direct)
{
    if (!direct->was_up)
        return;
    transport_shutdown(direct->transport);
    bytes_out(direct);
}

void wire_close(struct ehring_direct *direct)
{
    seen_way(direct);
    conn_free(direct->conn);
    transport_close(direct->transport);
    if (direct->fd >= 0)
        close(direct->fd);
    direct->conn = NULL;
    direct->transport = NULL;
    direct->was_up = false;
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
    char container_id[64], trace_name[32], why[320];
    uint32_t random[2];
    if (RAND_bytes((unsigned char *)random, sizeof random) != 1)
        return direct_fail(direct, -EIO, "no random numbers");
    snprintf(container_id, sizeof container_id, "ehring-direct-%d-%08x%08x", (int)getpid(), random[0], random[1]);
    snprintf(trace_name, sizeof trace_name, "conn=%d", direct->fd);
    const struct door *door = &direct->door;
    bool is_broker = door->type == DOOR_AMQP;
    int ret = conn_open(&(struct conn_options){.container_id = container_id,
                                               .hostname = door_open_hostname(door),
                                               .sasl_user = is_broker && door->sasl_user[0] ? door->sasl_user : NULL,
                                               .sasl_password = door->sasl_password,
                                               .is_broker = is_broker,
                                               .product = "ehring-direct",
                                               .version = EHRING_BUILD_VERSION,
                                               .trace_name = direct->is_traced ? trace_name : NULL},
                        &direct->conn);
    if (ret < 0)
        return direct_fail(direct, ret, "cannot start the connection: %s", strerror(-ret));
    ret = transport_open(&direct->way, &direct->door, &direct->transport, why, sizeof why);
    return ret < 0 ? direct_fail(direct, ret, "%s", why) : 0;
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
        if (direct->out_sent == direct->out_len) {
            direct->out_sent = 0;
            direct->out_len = transport_output(direct->transport, direct->conn, direct->out, sizeof direct->out);
        }
        if (direct->out_len == 0)
            return 0;
        ssize_t sent = send(direct->fd, direct->out + direct->out_sent, direct->out_len - direct->out_sent, MSG_NOSIGNAL);
        if (sent >= 0)
            direct->out_sent += (size_t)sent;
        else if (errno != EINTR)
            return errno == EAGAIN ? 1 : lost(direct, -errno, strerror(errno));
    }
}

/* What ends the transport is told behind the events that came before it. */
static int bytes_in(struct ehring_direct *direct)
{
    ssize_t got = recv(direct->fd, direct->in, sizeof direct->in, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : lost(direct, -errno, strerror(errno));
    if (got > 0) {
        if (transport_input(direct->transport, direct->conn, direct->in, (size_t)got) == -ECONNRESET)
            conn_input_end(direct->conn);
        direct->was_up |= transport_stage(direct->transport) == TRANSPORT_UP;
        return 0;
    }
    if (direct->is_over)
        return lost(direct, -ECONNRESET, "ended by the peer");
    transport_input_end(direct->transport);
    if (transport_error_code(direct->transport) == 0)
        conn_input_end(direct->conn); /* told by CONN_CLOSED */
    return 0;
}

/* A refusal whose last words never came is told now. */
static int time_up(struct ehring_direct *direct)
{
    if (direct->was_up || transport_error(direct->transport)[0] == '\0')
        return 0;
    transport_input_end(direct->transport);
    return transport_lost(direct);
}

static int transport_lost(struct ehring_direct *direct)
{
    const char *why = transport_error(direct->transport);
    int code = transport_error_code(direct->transport);
    if (direct->was_up)
        return lost(direct, code, why);
    return direct_fail(direct, code == -EPIPE ? -ECONNRESET : code, "no connection to %s: %s", direct->door.connstr.host, why);
}

static int lost(struct ehring_direct *direct, int code, const char *why)
{
    return direct_fail(direct, code, "connection to %s lost: %s", direct->door.connstr.host, why);
}
