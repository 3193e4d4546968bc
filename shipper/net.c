/* Picks the network backend and hands each call to it. */
#include "shipper/net.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/net_internal.h"

static int backend_open(struct net *net, enum net_kind kind, char *why, size_t why_len);
static int socket_open(struct net *net, struct net_handle *handle, int family);
static int connect_begin(struct net *net, struct net_handle *handle, int64_t timeout_ns);

int net_open(enum net_kind kind, struct net **out, char *why, size_t why_len)
{
    *out = NULL;
    struct net *net = calloc(1, sizeof *net);
    if (!net) {
        snprintf(why, why_len, "out of memory");
        return -ENOMEM;
    }
    int rc = backend_open(net, kind, why, why_len);
    if (rc != 0) {
        free(net);
        return rc;
    }
    *out = net;
    return 0;
}

static int backend_open(struct net *net, enum net_kind kind, char *why, size_t why_len)
{
    char refused[160] = "the configuration asks for it";
    if (kind != NET_EPOLL) {
        int rc = net_uring_open(net, refused, sizeof refused);
        if (rc == 0 || kind == NET_URING) {
            net->kind = NET_URING;
            snprintf(why, why_len, "%s", refused);
            return rc;
        }
    }
    net->kind = NET_EPOLL;
    snprintf(why, why_len, "%s; epoll", refused);
    char failed[96];
    int rc = net_epoll_open(net, failed, sizeof failed);
    if (rc != 0)
        snprintf(why, why_len, "%s; %s", refused, failed);
    return rc;
}

void net_close(struct net *net)
{
    if (!net)
        return;
    if (net->kind == NET_URING)
        net_uring_close(net);
    else
        net_epoll_close(net);
    for (int i = 0; i < net->slots_used; i++) {
        struct net_handle *handle = &net->handle[i];
        free(handle->send_buffer[0]);
        free(handle->send_buffer[1]);
        free(handle->receive_buffer);
    }
    free(net);
}

enum net_kind net_kind_of(const struct net *net)
{
    return net->kind;
}
uint64_t net_syscall_count(const struct net *net)
{
    return net->syscall_count;
}

int net_connect(struct net *net, const struct sockaddr *address, socklen_t address_len, int64_t timeout_ns)
{
    if (address_len < sizeof(sa_family_t) || address_len > sizeof(struct sockaddr_storage))
        return -EINVAL;
    struct net_handle *handle = net_handle_take(net, NET_CONNECTING);
    if (!handle)
        return -EMFILE;
    memcpy(&handle->address, address, address_len);
    handle->address_len = address_len;
    int rc = net_sender_open(handle);
    if (rc == 0)
        rc = connect_begin(net, handle, timeout_ns);
    if (rc != 0) {
        if (handle->fd >= 0)
            close(handle->fd);
        net_handle_free(net, handle);
        return rc;
    }
    return handle->id;
}

/* An address family without support is the address's failure, told as an event like any other: the caller tries its next address. */
static int connect_begin(struct net *net, struct net_handle *handle, int64_t timeout_ns)
{
    int rc = socket_open(net, handle, handle->address.ss_family);
    if (rc == -EAFNOSUPPORT || rc == -EPROTONOSUPPORT) {
        net_due_failed(net, handle, rc);
        return 0;
    }
    if (rc != 0)
        return rc;
    return net->kind == NET_URING ? net_uring_connect(net, handle, timeout_ns) : net_epoll_connect(net, handle, timeout_ns);
}

/* Under io_uring the descriptor blocks: with O_NONBLOCK the ring would answer EAGAIN instead of waiting for us. */
static int socket_open(struct net *net, struct net_handle *handle, int family)
{
    const int on = 1;
    int type = SOCK_STREAM | SOCK_CLOEXEC | (net->kind == NET_EPOLL ? SOCK_NONBLOCK : 0);
    net->syscall_count++;
    handle->fd = socket(family, type, 0);
    if (handle->fd < 0)
        return -errno;
    if (family != AF_INET && family != AF_INET6)
        return 0;
    net->syscall_count++;
    return setsockopt(handle->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 ? 0 : -errno;
}

int net_watch(struct net *net, int fd)
{
    struct net_handle *handle = net_handle_take(net, NET_WATCHING);
    if (!handle)
        return -EMFILE;
    handle->fd = fd;
    handle->is_callers = true;
    int rc = net->kind == NET_URING ? net_uring_watch(net, handle) : net_epoll_watch(net, handle);
    if (rc != 0) {
        net_handle_free(net, handle);
        return rc;
    }
    return handle->id;
}

void net_end(struct net *net, int id)
{
    struct net_handle *handle = net_handle_find(net, id);
    if (!handle)
        return;
    if (net->kind == NET_URING)
        net_uring_end(net, handle);
    else
        net_epoll_end(net, handle);
}

int net_wait(struct net *net, int64_t timeout_ns, struct net_event events[NET_EVENTS_MAX])
{
    struct net_gather told = {.event = events};
    int64_t until_ns = timeout_ns;
    if (timeout_ns > 0) {
        int64_t now_ns = clock_mono_ns();
        until_ns = timeout_ns < NET_FOR_EVER_NS - now_ns ? now_ns + timeout_ns : NET_FOR_EVER_NS;
    } else if (timeout_ns < 0) {
        until_ns = NET_FOR_EVER_NS;
    }
    if (net->slots_used > 0)
        net->cursor = (net->cursor + 1) % net->slots_used;
    net_tell_due(net, &told);
    int rc = net->kind == NET_URING ? net_uring_wait(net, until_ns, &told) : net_epoll_wait(net, until_ns, &told);
    return rc < 0 ? rc : told.count;
}
