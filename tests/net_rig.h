/* What the network loop's tests share: the backends they run on, events one by one, a listener, and a peer that answers each byte's tag. */
#ifndef EHRING_TESTS_NET_RIG_H
#define EHRING_TESTS_NET_RIG_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/net.h"

#define SECOND CLOCK_NS_PER_SECOND
#define PATIENCE (60 * SECOND) /* nothing is measured by it; a test that hangs shall end */

/* From now on this process gets `error` for the system call `nr`, if its second argument is `value` or `value` is -1. */
static inline void rig_forbid(long nr, long value, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)value, 0, value == -1 ? 0 : 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* Each test runs on each: the two backends, and both as older kernels leave them. */
enum rig_backend { RIG_EPOLL, RIG_EPOLL_OLD, RIG_URING, RIG_URING_OLD, RIG_BACKENDS };
#define REGISTER_PBUF_RING 22
static enum rig_backend rig_backends[] = {RIG_EPOLL, RIG_EPOLL_OLD, RIG_URING, RIG_URING_OLD};

static struct net *rig_net;

/* False: this kernel forbids io_uring, which was then refused as it ought to be. */
static inline bool rig_open(const enum rig_backend *backend)
{
    char why[256] = "";
    bool is_uring = *backend == RIG_URING || *backend == RIG_URING_OLD;
    if (*backend == RIG_EPOLL_OLD)
        rig_forbid(SYS_epoll_pwait2, -1, ENOSYS);
    if (*backend == RIG_URING_OLD)
        rig_forbid(SYS_io_uring_register, REGISTER_PBUF_RING, EINVAL);
    int rc = net_open(is_uring ? NET_URING : NET_EPOLL, &rig_net, why, sizeof why);
    if (is_uring && rc < 0) {
        cr_assert_gt(strlen(why), 10, "refused without a sentence");
        cr_assert_eq(net_open(NET_AUTO, &rig_net, why, sizeof why), 0);
        cr_assert_eq(net_kind_of(rig_net), NET_EPOLL);
        return false;
    }
    cr_assert_eq(rc, 0, "%s", why);
    cr_assert_eq(net_kind_of(rig_net), is_uring ? NET_URING : NET_EPOLL);
    if (*backend == RIG_URING_OLD)
        cr_assert_not_null(strstr(why, "single receive"), "%s", why);
    return true;
}

/* Events one by one; what they point to is good until the next call that has to wait. */
static struct net_event rig_events[NET_EVENTS_MAX];
static int rig_event_at, rig_event_count;

static inline bool rig_next_within(int64_t timeout_ns, struct net_event *event)
{
    if (rig_event_at == rig_event_count) {
        rig_event_count = net_wait(rig_net, timeout_ns, rig_events);
        rig_event_at = 0;
        cr_assert_geq(rig_event_count, 0, "%s", strerror(-rig_event_count));
        cr_assert_leq(rig_event_count, NET_EVENTS_MAX);
    }
    if (rig_event_count == 0)
        return false;
    *event = rig_events[rig_event_at++];
    return true;
}

static inline struct net_event rig_next(void)
{
    struct net_event event;
    cr_assert(rig_next_within(PATIENCE, &event), "nothing came");
    return event;
}

static inline struct net_event rig_expect(enum net_event_kind kind, int handle)
{
    struct net_event event;
    do
        event = rig_next();
    while (event.kind == NET_SENT && kind != NET_SENT);
    cr_assert_eq(event.kind, kind, "event %d instead of %d, error %s", event.kind, kind, strerror(-event.error));
    cr_assert_eq(event.handle, handle);
    return event;
}

static inline void rig_expect_nothing(void)
{
    struct net_event event;
    cr_assert(!rig_next_within(20 * CLOCK_NS_PER_MS, &event), "event %d came", event.kind);
}

/* A listener on a port of the kernel's choice; backlog < 0: bound, but nobody listens. */
static inline int rig_listen(int backlog, struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
    if (backlog >= 0)
        cr_assert_eq(listen(fd, backlog), 0);
    return fd;
}

static inline int rig_connect(const struct sockaddr_in *address, int64_t timeout_ns)
{
    return net_connect(rig_net, (const struct sockaddr *)address, sizeof *address, timeout_ns);
}

/* A connected pair: the handle, and the peer's descriptor. */
static inline int rig_pair(int *peer)
{
    struct sockaddr_in address;
    int listener = rig_listen(8, &address), handle = rig_connect(&address, PATIENCE);
    cr_assert_geq(handle, 0);
    rig_expect(NET_CONNECTED, handle);
    *peer = accept(listener, NULL, NULL);
    cr_assert_geq(*peer, 0);
    close(listener);
    return handle;
}

static inline void rig_commit(int handle, const void *data, size_t len)
{
    uint8_t *to;
    cr_assert_geq(net_send_space(rig_net, handle, &to), len);
    memcpy(to, data, len);
    net_send_commit(rig_net, handle, len);
}

/* The peer of many connections at once, on a thread of its own: takes the first byte of a connection for its tag, complains if another
 * byte ever comes, and sends nothing but the tag, without end. */
#define PEER_CONNS_MAX 100
struct rig_peer {
    pthread_t thread;
    int listener, stop_fd;
    struct sockaddr_in address;
    int wrong_count; /* reads with bytes of another connection; look after the stop */
    uint64_t received_bytes;
};

static inline bool rig_peer_receive(struct rig_peer *peer, int fd, int *tag)
{
    uint8_t bytes[16384];
    ssize_t len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (len > 0 && *tag < 0)
        *tag = bytes[0];
    peer->wrong_count += len > 0 && (bytes[0] != *tag || memcmp(bytes, bytes + 1, (size_t)len - 1) != 0);
    peer->received_bytes += len > 0 ? (uint64_t)len : 0;
    return len > 0 || (len < 0 && errno == EAGAIN);
}

static inline bool rig_peer_send(int fd, int tag)
{
    uint8_t bytes[16384];
    memset(bytes, tag, sizeof bytes);
    return send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN;
}

static inline void *rig_peer_run(void *argument)
{
    struct rig_peer *peer = argument;
    struct pollfd poll_fd[2 + PEER_CONNS_MAX] = {{.fd = peer->stop_fd, .events = POLLIN}, {.fd = peer->listener, .events = POLLIN}};
    int tag[2 + PEER_CONNS_MAX], count = 2;
    while (poll(poll_fd, (nfds_t)count, -1) > 0 && !poll_fd[0].revents) {
        for (int i = 2; i < count; i++) {
            struct pollfd *at = &poll_fd[i];
            bool alive = !(at->revents & (POLLIN | POLLHUP | POLLERR)) || rig_peer_receive(peer, at->fd, &tag[i]);
            if (alive && at->revents & POLLOUT && tag[i] >= 0)
                alive = rig_peer_send(at->fd, tag[i]);
            at->events = (short)(POLLIN | (tag[i] >= 0 ? POLLOUT : 0));
            if (alive)
                continue;
            close(at->fd);
            *at = poll_fd[--count];
            tag[i--] = tag[count];
        }
        if (poll_fd[1].revents && count < 2 + PEER_CONNS_MAX) {
            poll_fd[count] = (struct pollfd){.fd = accept(peer->listener, NULL, NULL), .events = POLLIN};
            tag[count++] = -1;
        }
    }
    for (int i = 1; i < count; i++)
        close(poll_fd[i].fd);
    return NULL;
}

static inline void rig_peer_start(struct rig_peer *peer)
{
    *peer = (struct rig_peer){.stop_fd = eventfd(0, 0)};
    peer->listener = rig_listen(PEER_CONNS_MAX, &peer->address);
    cr_assert_eq(pthread_create(&peer->thread, NULL, rig_peer_run, peer), 0);
}

static inline void rig_peer_stop(struct rig_peer *peer)
{
    cr_assert_eq(eventfd_write(peer->stop_fd, 1), 0);
    pthread_join(peer->thread, NULL);
    close(peer->stop_fd);
}

#endif
