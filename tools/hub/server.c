/* The event loop: listens, accepts, and turns all connections over in one thread. */
#include "server.h"

#include "conn.h"
#include "settle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LISTENERS_MAX = 2, CONNECTIONS_MAX = 1000, DESCRIPTORS_OTHER = 32, EVENTS_MAX = 64, TICK_MS = 200, PUMPS_TURN = 8 };

/* What an epoll event points to. */
struct peer {
    struct hub_conn *conn; /* NULL: a listener */
    int fd;
    SSL_CTX *ctx;
    uint32_t events; /* asked for */
    bool again;      /* may have input that epoll does not know of */
    struct peer *next;
};

struct hub_server {
    struct hub_broker *broker;
    const struct hub_limits *limits;
    int epoll_fd;
    struct peer listeners[LISTENERS_MAX];
    unsigned listener_count, conn_count, conn_count_max;
    struct peer *peers;
    int64_t next_tick_ms;
};

static unsigned connections_max(void);
static int socket_listen(const char *address, uint16_t *port);
static int wait_ms(const struct hub_server *s);
static void clocks_read(struct hub_broker *b);
static void accept_all(struct hub_server *s, struct peer *listener);
static void peer_turn(struct peer *p);
static void peer_serve(struct peer *p);
static int flush_all(struct hub_server *s);
static int file_flush(struct hub_broker *b);
static bool is_over(const struct hub_conn *c);
static void peer_free(struct hub_server *s, struct peer *p);
static void peer_watch(struct hub_server *s, struct peer *p);

struct hub_server *hub_server_open(struct hub_broker *b, const struct hub_limits *limits)
{
    struct hub_server *s = hub_alloc(1, sizeof(*s));

    s->broker = b;
    s->limits = limits;
    s->conn_count_max = connections_max();
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0) {
        fprintf(stderr, "ehring-hub: epoll: %s\n", strerror(errno));
        free(s);
        return NULL;
    }
    clocks_read(b);
    return s;
}

int hub_server_listen(struct hub_server *s, const char *address, uint16_t *port, SSL_CTX *ctx)
{
    struct peer *p = &s->listeners[s->listener_count];
    int fd = socket_listen(address, port);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};

    if (fd < 0)
        return fd;
    *p = (struct peer){.fd = fd, .ctx = ctx};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
        close(fd);
        return -errno;
    }
    s->listener_count++;
    return 0;
}

int hub_server_turn(struct hub_server *s, const sigset_t *wait_mask)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_pwait(s->epoll_fd, events, EVENTS_MAX, wait_ms(s), wait_mask);

    if (n < 0 && errno != EINTR)
        return -errno;
    clocks_read(s->broker);
    for (int i = 0; i < n; i++) {
        struct peer *p = events[i].data.ptr;
        if (!p->conn)
            accept_all(s, p);
        else
            peer_turn(p);
    }
    for (struct peer *p = s->peers; p; p = p->next) {
        if (p->again)
            peer_turn(p);
    }
    return flush_all(s);
}

void hub_server_close(struct hub_server *s)
{
    if (!s)
        return;
    while (s->peers)
        peer_free(s, s->peers);
    for (unsigned i = 0; i < s->listener_count; i++)
        close(s->listeners[i].fd);
    close(s->epoll_fd);
    free(s);
}

/* Fewer than there are descriptors: an accept that fails for want of one would leave the listener ready for ever. */
static unsigned connections_max(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return CONNECTIONS_MAX;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0 && getrlimit(RLIMIT_NOFILE, &r) < 0)
        return CONNECTIONS_MAX;
    if (r.rlim_cur < DESCRIPTORS_OTHER + 1)
        return 1;
    return r.rlim_cur - DESCRIPTORS_OTHER < CONNECTIONS_MAX ? (unsigned)(r.rlim_cur - DESCRIPTORS_OTHER) : CONNECTIONS_MAX;
}

static int socket_listen(const char *address, uint16_t *port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(*port)};
    bool is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
    struct sockaddr_storage bound;
    socklen_t bound_len = sizeof(bound);
    int one = 1;

    if (!is_six && inet_pton(AF_INET, strcmp(address, "localhost") == 0 ? "127.0.0.1" : address, &four.sin_addr) != 1)
        return -EADDRNOTAVAIL;
    int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    const struct sockaddr *sa = is_six ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
    if (bind(fd, sa, is_six ? sizeof(six) : sizeof(four)) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &bound_len) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    *port = ntohs(is_six ? ((struct sockaddr_in6 *)&bound)->sin6_port : ((struct sockaddr_in *)&bound)->sin_port);
    return fd;
}

static int wait_ms(const struct hub_server *s)
{
    int64_t next = s->conn_count > 0 ? s->next_tick_ms : INT64_MAX, now = s->broker->now_mono_ms;

    for (const struct peer *p = s->peers; p; p = p->next) {
        int64_t due = hub_settle_next_ms(p->conn);
        if (p->again && !hub_conn_is_full(p->conn))
            return 0;
        if (due < next)
            next = due;
    }
    if (next == INT64_MAX)
        return -1;
    return next <= now ? 0 : next - now > TICK_MS ? TICK_MS : (int)(next - now);
}

static void clocks_read(struct hub_broker *b)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    b->now_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    b->now_mono_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Beyond the limit a connection is taken and closed: left in the queue it would wake the loop for ever. */
static void accept_all(struct hub_server *s, struct peer *listener)
{
    int fd;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        if (s->conn_count >= s->conn_count_max) {
            close(fd);
            continue;
        }
        struct hub_conn *c = hub_conn_open(s->broker, s->limits, fd, listener->ctx);
        if (!c)
            continue;
        struct peer *p = hub_alloc(1, sizeof(*p));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
        *p = (struct peer){.conn = c, .fd = fd, .events = EPOLLIN, .next = s->peers};
        s->peers = p;
        s->conn_count++;
        if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
            c->state = HUB_CONN_DEAD;
    }
}

/* An error or hang-up shows when it is read. */
static void peer_turn(struct peer *p)
{
    p->again = hub_conn_read(p->conn) || (p->conn->state == HUB_CONN_OPEN && hub_conn_is_full(p->conn));
}

/* What was written makes room for more events; after some of them the other connections have their turn. */
static void peer_serve(struct peer *p)
{
    for (int i = 0; i < PUMPS_TURN; i++) {
        hub_conn_pump(p->conn);
        if (!hub_conn_wants_write(p->conn))
            return;
        hub_conn_write(p->conn);
        if (hub_conn_wants_write(p->conn))
            return;
    }
    p->again = true;
}

/* The file first, then the answers: who was told "accepted" finds the event in the file. */
static int flush_all(struct hub_server *s)
{
    struct hub_broker *b = s->broker;
    bool tick = b->now_mono_ms >= s->next_tick_ms;
    struct peer *next;

    int rc = file_flush(b);
    if (rc < 0)
        return rc;
    for (struct peer *p = s->peers; p; p = next) {
        next = p->next;
        if (tick)
            hub_conn_tick(p->conn);
        peer_serve(p);
        if (is_over(p->conn))
            peer_free(s, p);
        else
            peer_watch(s, p);
    }
    if (tick)
        s->next_tick_ms = b->now_mono_ms + TICK_MS;
    return 0;
}

/* A hub that cannot keep its promise to write everything stops, before it has accepted what is not written. */
static int file_flush(struct hub_broker *b)
{
    if (!b->file || hub_buf_used(&b->file->pending) == 0)
        return 0;
    int rc = hub_storefile_flush(b->file);
    if (rc < 0)
        fprintf(stderr, "ehring-hub: store file: %s\n", strerror(-rc));
    return rc;
}

static bool is_over(const struct hub_conn *c)
{
    return c->state == HUB_CONN_DEAD || (c->state == HUB_CONN_CLOSING && c->peer_closed && !hub_conn_wants_write(c));
}

static void peer_free(struct hub_server *s, struct peer *p)
{
    for (struct peer **at = &s->peers; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    hub_conn_free(p->conn);
    free(p);
    s->conn_count--;
}

static void peer_watch(struct hub_server *s, struct peer *p)
{
    bool full = hub_conn_is_full(p->conn);
    uint32_t events =
        (uint32_t)(full && p->conn->state == HUB_CONN_OPEN ? 0 : EPOLLIN) | (uint32_t)(hub_conn_wants_write(p->conn) ? EPOLLOUT : 0);
    struct epoll_event e = {.events = events, .data.ptr = p};

    if (events != p->events && epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, p->fd, &e) == 0)
        p->events = events;
}
