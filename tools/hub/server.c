/* The event loop: listens, accepts, and turns all connections over in one thread. */
#include "server.h"

#include "admin.h"
#include "conn.h"
#include "listener.h"
#include "scenario.h"
#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1000, DESCRIPTORS_OTHER = 32, EVENTS_MAX = 64, TICK_MS = 200, PUMPS_TURN = 8 };

/* What an epoll event of a connection points to. */
struct peer {
    struct hub_conn *conn;
    int fd;
    uint32_t events; /* asked for; 0: epoll does not have it */
    bool again;      /* may have input that epoll does not know of */
    struct peer *next;
};

struct hub_server {
    struct hub_broker *broker;
    const struct hub_limits *limits;
    int epoll_fd;
    struct hub_listeners listeners;
    struct hub_admin *admin; /* NULL: none */
    bool admin_came;         /* what it did shows in the next turn, which is due at once */
    bool is_reopening;       /* a listener */
    unsigned conn_count, conn_count_max;
    struct peer *peers;
    int64_t next_tick_ms;
};

static unsigned connections_max(void);
static int wait_ms(const struct hub_server *s);
static int64_t earlier(int64_t a, int64_t b);
static void clocks_read(struct hub_broker *b);
static void accept_all(struct hub_server *s, const struct hub_listener *listener);
static void admin_turn(struct hub_server *s);
static void peer_turn(const struct hub_server *s, struct peer *p);
static void peer_serve(struct peer *p);
static int flush_all(struct hub_server *s);
static int file_flush(struct hub_broker *b);
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
    s->listeners.epoll_fd = s->epoll_fd;
    b->listeners = &s->listeners;
    clocks_read(b);
    return s;
}

int hub_server_listen(struct hub_server *s, const char *const *addresses, unsigned count, uint16_t *port, const struct hub_way *way)
{
    return hub_listeners_add(&s->listeners, addresses, count, port, way);
}

int hub_server_admin(struct hub_server *s, const char *address, uint16_t *port)
{
    struct epoll_event e = {.events = EPOLLIN};
    int rc = hub_admin_open(&s->admin, s->broker, address, port);

    if (rc < 0)
        return rc;
    e.data.ptr = s->admin;
    return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, hub_admin_fd(s->admin), &e) < 0 ? -errno : 0;
}

int hub_server_turn(struct hub_server *s, const sigset_t *wait_mask)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_pwait(s->epoll_fd, events, EVENTS_MAX, wait_ms(s), wait_mask);

    if (n < 0 && errno != EINTR)
        return -errno;
    clocks_read(s->broker);
    for (int i = 0; i < n; i++) {
        void *of = events[i].data.ptr;
        if (hub_listeners_has(&s->listeners, of))
            accept_all(s, of);
        else if (of != s->admin)
            peer_turn(s, of);
    }
    for (struct peer *p = s->peers; p; p = p->next) {
        if (p->again)
            peer_turn(s, p);
    }
    if (s->broker->scenario)
        hub_scenario_step(s->broker->scenario, s->broker);
    s->is_reopening = !hub_listeners_set(&s->listeners, !hub_broker_fault(s->broker, HUB_FAULT_REFUSE_CONNECTIONS));
    n = flush_all(s);
    if (s->admin)
        admin_turn(s);
    return n;
}

void hub_server_close(struct hub_server *s)
{
    if (!s)
        return;
    hub_admin_close(s->admin);
    while (s->peers)
        peer_free(s, s->peers);
    hub_listeners_set(&s->listeners, false);
    s->broker->listeners = NULL;
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

static int wait_ms(const struct hub_server *s)
{
    int64_t now = s->broker->now_mono_ms, next = s->conn_count > 0 ? s->next_tick_ms : INT64_MAX;
    bool is_stopped = hub_broker_fault(s->broker, HUB_FAULT_STOP_READING);
    int admin_ms = s->admin ? hub_admin_wait_ms(s->admin) : -1;

    if (s->admin_came)
        return 0;
    if (admin_ms >= 0)
        next = earlier(next, now + admin_ms);
    if (s->is_reopening)
        next = earlier(next, now + TICK_MS);
    next = earlier(next, hub_faults_end_ms(&s->broker->faults, now));
    if (s->broker->scenario)
        next = earlier(next, hub_scenario_next_ms(s->broker->scenario));
    for (const struct peer *p = s->peers; p; p = p->next) {
        if (p->again && !is_stopped && !hub_conn_is_full(p->conn))
            return 0;
        next = earlier(next, hub_settle_next_ms(p->conn));
    }
    if (next == INT64_MAX)
        return -1;
    return next <= now ? 0 : next - now > TICK_MS ? TICK_MS : (int)(next - now);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
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
static void accept_all(struct hub_server *s, const struct hub_listener *listener)
{
    int fd;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        if (s->conn_count >= s->conn_count_max) {
            close(fd);
            continue;
        }
        struct hub_conn *c = hub_conn_open(s->broker, s->limits, fd, &listener->way);
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

/* Last in the turn: what it tells is in the store file, and what it plays is carried out before the loop waits. */
static void admin_turn(struct hub_server *s)
{
    uint64_t played = s->broker->faults_played;

    hub_admin_turn(s->admin);
    s->admin_came = s->broker->faults_played != played;
}

/* An error or hang-up shows when it is read. What is not read now is read when reading is no longer stopped, whatever epoll knows. */
static void peer_turn(const struct hub_server *s, struct peer *p)
{
    if (hub_broker_fault(s->broker, HUB_FAULT_STOP_READING))
        p->again = true;
    else
        p->again = hub_conn_read(p->conn) || hub_conn_is_full(p->conn);
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
        if (hub_conn_is_over(p->conn))
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

/* One that is not to be read and has nothing to write is taken out: its hang-up would wake the loop for ever. */
static void peer_watch(struct hub_server *s, struct peer *p)
{
    bool reads = !hub_conn_is_full(p->conn) && !hub_broker_fault(s->broker, HUB_FAULT_STOP_READING);
    uint32_t events = (uint32_t)(reads ? EPOLLIN : 0) | (uint32_t)(hub_conn_wants_write(p->conn) ? EPOLLOUT : 0);
    struct epoll_event e = {.events = events, .data.ptr = p};
    int op = events == 0 ? EPOLL_CTL_DEL : p->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (events != p->events && epoll_ctl(s->epoll_fd, op, p->fd, &e) == 0)
        p->events = events;
}
