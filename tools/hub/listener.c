/* The ports that connections come in on; closed while a fault refuses connections, and opened again on the same ports. */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_TRIES = 32 };

static int listen_on(const char *address, uint16_t *port, bool six_only);
static int add_all(struct hub_listeners *s, const char *const *addresses, unsigned count, uint16_t *port, const struct hub_way *way);
static int open_one(struct hub_listeners *s, struct hub_listener *l);

int hub_listen(const char *address, uint16_t *port)
{
    return listen_on(address, port, false);
}

int hub_listeners_add(struct hub_listeners *s, const char *const *addresses, unsigned count, uint16_t *port, const struct hub_way *way)
{
    int rc = -EADDRINUSE;

    if (count == 0 || s->count + count > HUB_LISTENERS_MAX)
        return -ENOSPC;
    /* A port that is free on one address may be taken on another; when any will do, others are tried. */
    for (int i = 0; i < (*port == 0 && count > 1 ? PORT_TRIES : 1) && rc == -EADDRINUSE; i++) {
        uint16_t used = *port;
        rc = add_all(s, addresses, count, &used, way);
        if (rc == 0)
            *port = used;
    }
    return rc;
}

bool hub_listeners_set(struct hub_listeners *s, bool open)
{
    int rc = 0;

    for (unsigned i = 0; i < s->count; i++) {
        struct hub_listener *l = &s->at[i];
        if (!open && l->fd >= 0) {
            close(l->fd);
            l->fd = -1;
        } else if (open && l->fd < 0 && rc == 0 && (rc = open_one(s, l)) < 0 && !s->complained) {
            fprintf(stderr, "ehring-hub: listen again on %s port %u: %s; tried until it works\n", l->address, l->port, strerror(-rc));
        }
    }
    s->complained = rc < 0;
    return rc == 0;
}

bool hub_listeners_has(const struct hub_listeners *s, const void *of)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (&s->at[i] == of)
            return true;
    }
    return false;
}

static int listen_on(const char *address, uint16_t *port, bool six_only)
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
    if (is_six && six_only)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
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

static int add_all(struct hub_listeners *s, const char *const *addresses, unsigned count, uint16_t *port, const struct hub_way *way)
{
    unsigned before = s->count;

    for (unsigned i = 0; i < count; i++) {
        struct hub_listener *l = &s->at[s->count];
        *l = (struct hub_listener){.port = *port, .fd = -1, .six_only = count > 1};
        if (way)
            l->way = *way;
        snprintf(l->address, sizeof(l->address), "%s", addresses[i]);
        int rc = open_one(s, l);
        if (rc < 0) {
            while (s->count > before)
                close(s->at[--s->count].fd);
            return rc;
        }
        *port = l->port;
        s->count++;
    }
    return 0;
}

static int open_one(struct hub_listeners *s, struct hub_listener *l)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};
    int fd = listen_on(l->address, &l->port, l->six_only);

    if (fd < 0)
        return fd;
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    l->fd = fd;
    return 0;
}
