/* The network loop on epoll, for kernels and containers without io_uring: sockets edge-triggered, watches level-triggered. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/net_internal.h"

#define RECEIVE_BYTES (256u << 10)
#define SHARE_BYTES_MIN 4096u
#define SENT_EVENTS_MAX (NET_EVENTS_MAX / 2) /* the rest is for what comes in: a loop that only sends would never see an ack */

/* What epoll has reported of a handle and we have not used up. */
enum { READY_ANSWER = 1, READY_READ = 2, READY_WRITE = 4, READY_HANGUP = 8, READY_WATCH = 16 };

struct net_epoll {
    int fd;
    bool has_pwait2; /* since Linux 5.11; ppoll on the epoll descriptor before */
    size_t received_len;
    uint8_t received[RECEIVE_BYTES]; /* shared out to the events of one wait */
};

static void handle_fail(struct net *net, struct net_handle *handle, struct net_event event, struct net_gather *told);
static void send_all(struct net *net, struct net_gather *told);
static void send_one(struct net *net, struct net_handle *handle, struct net_gather *told);
static int64_t wake_time_ns(struct net *net, int64_t until_ns, const struct net_gather *told);
static int poll_ready(struct net *net, int64_t left_ns);
static int poll_events(struct net *net, struct epoll_event *event, int64_t left_ns);
static bool mark_ready(struct net *net, const struct epoll_event *event);
static void turn_all(struct net *net, struct net_gather *told);
static void connect_turn(struct net *net, struct net_handle *handle, int64_t now_ns, struct net_gather *told);
static void receive_turn(struct net *net, struct net_handle *handle, size_t share, struct net_gather *told);

int net_epoll_open(struct net *net, char *why, size_t why_len)
{
    struct net_epoll *epoll = malloc(sizeof *epoll);
    if (!epoll) {
        snprintf(why, why_len, "epoll: out of memory");
        return -ENOMEM;
    }
    epoll->has_pwait2 = true;
    epoll->received_len = 0;
    net->syscall_count++;
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd < 0) {
        int rc = -errno;
        snprintf(why, why_len, "epoll: %s", strerror(-rc));
        free(epoll);
        return rc;
    }
    net->epoll = epoll;
    return 0;
}

void net_epoll_close(struct net *net)
{
    for (int i = 0; i < net->slots_used; i++)
        if (net->handle[i].state != NET_SLOT_FREE)
            net_epoll_end(net, &net->handle[i]);
    close(net->epoll->fd);
    free(net->epoll);
}

/* Edge-triggered for reading and writing from the start: no epoll_ctl when a send buffer fills or empties. */
int net_epoll_connect(struct net *net, struct net_handle *handle, int64_t timeout_ns)
{
    struct epoll_event want = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = (uint32_t)handle->id};
    int64_t now_ns = clock_mono_ns();
    handle->deadline_ns = timeout_ns < NET_FOR_EVER_NS - now_ns ? now_ns + timeout_ns : NET_FOR_EVER_NS;
    net->syscall_count += 2;
    if (connect(handle->fd, (const struct sockaddr *)&handle->address, handle->address_len) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        net_due_failed(net, handle, -errno);
        return 0;
    }
    return epoll_ctl(net->epoll->fd, EPOLL_CTL_ADD, handle->fd, &want) == 0 ? 0 : -errno;
}

int net_epoll_watch(struct net *net, struct net_handle *handle)
{
    struct epoll_event want = {.events = EPOLLIN, .data.u32 = (uint32_t)handle->id};
    net->syscall_count++;
    return epoll_ctl(net->epoll->fd, EPOLL_CTL_ADD, handle->fd, &want) == 0 ? 0 : -errno;
}

void net_epoll_end(struct net *net, struct net_handle *handle)
{
    if (handle->is_callers) {
        net->syscall_count++;
        epoll_ctl(net->epoll->fd, EPOLL_CTL_DEL, handle->fd, NULL); /* fails if the caller closed it first: then it is gone as well */
    } else if (handle->fd >= 0) {
        net->syscall_count++;
        close(handle->fd);
    }
    net_handle_free(net, handle);
}

int net_epoll_wait(struct net *net, int64_t until_ns, struct net_gather *told)
{
    net->epoll->received_len = 0;
    for (;;) {
        send_all(net, told);
        int rc = poll_ready(net, net_time_left_ns(wake_time_ns(net, until_ns, told)));
        if (rc < 0)
            return rc;
        if (rc > 0) /* something is writable again */
            send_all(net, told);
        turn_all(net, told);
        if (told->count > 0 || net_time_left_ns(until_ns) == 0)
            return 0;
    }
}

static void handle_fail(struct net *net, struct net_handle *handle, struct net_event event, struct net_gather *told)
{
    event.handle = handle->id;
    net_epoll_end(net, handle);
    net_tell(told, event);
}

static void send_all(struct net *net, struct net_gather *told)
{
    for (int i = 0; i < net->slots_used; i++) {
        struct net_handle *handle = net_handle_turn(net, i);
        if (handle->state == NET_OPEN && handle->ready & READY_WRITE && !net_gather_full(told))
            send_one(net, handle, told);
    }
}

static void send_one(struct net *net, struct net_handle *handle, struct net_gather *told)
{
    const uint8_t *data;
    size_t len;
    bool freed = false;
    while (handle->ready & READY_WRITE && (len = net_sender_next(handle, &data)) > 0) {
        net->syscall_count++;
        ssize_t taken = send(handle->fd, data, len, MSG_NOSIGNAL);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken < (ssize_t)len)
            handle->ready &= ~(uint32_t)READY_WRITE;
        if (taken >= 0) {
            freed |= net_sender_take(handle, (size_t)taken);
        } else if (errno == EPIPE || errno == ECONNRESET) {
            handle->send_error = -errno; /* what the peer said before it went is still to be read */
            handle->ready |= READY_READ | READY_HANGUP;
        } else if (errno != EAGAIN) {
            handle_fail(net, handle, (struct net_event){.kind = NET_ENDED, .error = -errno}, told);
            return;
        }
    }
    if (freed && told->count < SENT_EVENTS_MAX)
        net_tell(told, (struct net_event){.kind = NET_SENT, .handle = handle->id});
    else if (freed)
        net_due_sent(net, handle);
}

/* 0: there is something to do at once. */
static int64_t wake_time_ns(struct net *net, int64_t until_ns, const struct net_gather *told)
{
    if (told->count > 0)
        return 0;
    for (int i = 0; i < net->slots_used; i++) {
        const struct net_handle *handle = &net->handle[i];
        if (handle->state == NET_OPEN && handle->ready & READY_READ)
            return 0;
        if (handle->state == NET_CONNECTING && handle->ready & READY_ANSWER)
            return 0;
        if (handle->state == NET_CONNECTING && handle->deadline_ns < until_ns)
            until_ns = handle->deadline_ns;
    }
    return until_ns;
}

/* 1 if a socket has room for sending again, else 0, or a negative errno. */
static int poll_ready(struct net *net, int64_t left_ns)
{
    struct epoll_event event[NET_EVENTS_MAX];
    int count = poll_events(net, event, left_ns), writable = 0;
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++)
        writable |= mark_ready(net, &event[i]);
    return writable;
}

static int poll_events(struct net *net, struct epoll_event *event, int64_t left_ns)
{
    const struct timespec left = {.tv_sec = left_ns / CLOCK_NS_PER_SECOND, .tv_nsec = left_ns % CLOCK_NS_PER_SECOND};
    const struct timespec *timeout = left_ns == NET_FOR_EVER_NS ? NULL : &left;
    struct pollfd self = {.fd = net->epoll->fd, .events = POLLIN};
    net->syscall_count++;
    if (net->epoll->has_pwait2) {
        int count = epoll_pwait2(net->epoll->fd, event, NET_EVENTS_MAX, timeout, NULL);
        if (count >= 0 || errno == EINTR)
            return count >= 0 ? count : 0;
        if (errno != ENOSYS && errno != EPERM) /* EPERM: a seccomp profile older than the call */
            return -errno;
        net->epoll->has_pwait2 = false;
        net->syscall_count++;
    }
    if (left_ns > 0) {
        int count = ppoll(&self, 1, timeout, NULL);
        if (count <= 0)
            return count == 0 || errno == EINTR ? 0 : -errno;
        net->syscall_count++;
    }
    int count = epoll_wait(net->epoll->fd, event, NET_EVENTS_MAX, 0);
    return count >= 0 || errno == EINTR ? (count > 0 ? count : 0) : -errno;
}

/* True: bytes wait to be sent and can go. */
static bool mark_ready(struct net *net, const struct epoll_event *event)
{
    struct net_handle *handle = net_handle_find(net, (int)event->data.u32);
    if (!handle)
        return false;
    if (handle->state == NET_WATCHING) {
        handle->ready |= READY_WATCH;
        return false;
    }
    if (event->events & EPOLLIN)
        handle->ready |= READY_READ;
    if (event->events & EPOLLOUT)
        handle->ready |= READY_ANSWER | READY_WRITE;
    if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        handle->ready |= READY_READ | READY_HANGUP;
    if (event->events & (EPOLLHUP | EPOLLERR))
        handle->ready |= READY_ANSWER;
    return handle->state == NET_OPEN && event->events & EPOLLOUT && net_send_pending(net, handle->id) > 0;
}

static void turn_all(struct net *net, struct net_gather *told)
{
    int64_t now_ns = 0;
    size_t readers = 0;
    for (int i = 0; i < net->slots_used; i++)
        readers += net->handle[i].state == NET_OPEN && net->handle[i].ready & READY_READ;
    size_t share = RECEIVE_BYTES / (readers ? readers : 1);
    for (int i = 0; i < net->slots_used && !net_gather_full(told); i++) {
        struct net_handle *handle = net_handle_turn(net, i);
        switch (handle->state) {
        case NET_CONNECTING:
            now_ns = now_ns ? now_ns : clock_mono_ns();
            if (!handle->due_error)
                connect_turn(net, handle, now_ns, told);
            break;
        case NET_OPEN:
            receive_turn(net, handle, share > SHARE_BYTES_MIN ? share : SHARE_BYTES_MIN, told);
            break;
        case NET_WATCHING:
            if (handle->ready & READY_WATCH)
                net_tell(told, (struct net_event){.kind = NET_WATCHED, .handle = handle->id});
            handle->ready = 0;
            break;
        case NET_SLOT_FREE:
        case NET_ENDING:
            break;
        }
    }
}

static void connect_turn(struct net *net, struct net_handle *handle, int64_t now_ns, struct net_gather *told)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (!(handle->ready & READY_ANSWER)) {
        if (now_ns >= handle->deadline_ns)
            handle_fail(net, handle, (struct net_event){.kind = NET_FAILED, .error = -ETIMEDOUT}, told);
        return;
    }
    net->syscall_count++;
    if (getsockopt(handle->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0) {
        handle_fail(net, handle, (struct net_event){.kind = NET_FAILED, .error = -error}, told);
        return;
    }
    handle->state = NET_OPEN;
    handle->ready |= READY_WRITE;
    net_tell(told, (struct net_event){.kind = NET_CONNECTED, .handle = handle->id});
}

/* After a hang-up no edge comes any more: then read on to the end, now or in the next wait. */
static void receive_turn(struct net *net, struct net_handle *handle, size_t share, struct net_gather *told)
{
    struct net_epoll *epoll = net->epoll;
    do {
        size_t room = RECEIVE_BYTES - epoll->received_len;
        room = room < share ? room : share;
        if (!(handle->ready & READY_READ) || room == 0)
            return;
        net->syscall_count++;
        uint8_t *to = epoll->received + epoll->received_len;
        ssize_t len = recv(handle->fd, to, room, 0);
        if (len > 0) {
            epoll->received_len += (size_t)len;
            if ((size_t)len < room && !(handle->ready & READY_HANGUP))
                handle->ready &= ~(uint32_t)READY_READ;
            net_tell(told, (struct net_event){.kind = NET_RECEIVED, .handle = handle->id, .data = to, .len = (size_t)len});
        } else if (len == 0) {
            handle_fail(net, handle, (struct net_event){.kind = NET_ENDED, .error = handle->send_error}, told);
            return;
        } else if (errno == EAGAIN) {
            handle->ready &= ~(uint32_t)(READY_READ | READY_HANGUP);
        } else if (errno != EINTR) {
            handle_fail(net, handle, (struct net_event){.kind = NET_ENDED, .error = -errno}, told);
            return;
        }
    } while (handle->ready & READY_HANGUP && !net_gather_full(told));
}
