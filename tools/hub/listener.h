/* The ports that connections come in on; closed while a fault refuses connections, and opened again on the same ports. */
#ifndef HUB_LISTENER_H
#define HUB_LISTENER_H

#include "address.h"
#include "stream.h"

#include <stdbool.h>
#include <stdint.h>

enum { HUB_ADDRESSES_MAX = 8, HUB_LISTENERS_MAX = HUB_TRANSPORTS * HUB_ADDRESSES_MAX };

/* What an epoll event of the listener points to. */
struct hub_listener {
    char address[HUB_NAME_MAX];
    uint16_t port;
    int fd;        /* -1: closed */
    bool six_only; /* an IPv6 address beside others: the port is theirs too */
    struct hub_way way;
};

struct hub_listeners {
    int epoll_fd;
    unsigned count;
    struct hub_listener at[HUB_LISTENERS_MAX];
    bool complained;
};

/* A socket that listens on an address. Port 0: the kernel chooses; stores the one in use. The descriptor, or a negative errno. */
int hub_listen(const char *address, uint16_t *port);

/* Listens on one port of all these addresses and tells epoll. Port 0: the kernel chooses; stores the one in use. 0, or a negative errno: on
 * none of them. */
int hub_listeners_add(struct hub_listeners *s, const char *const *addresses, unsigned count, uint16_t *port, const struct hub_way *way);

/* Closes or opens all, so that a client sees the change from the return on. False: a port could not be opened again yet. */
bool hub_listeners_set(struct hub_listeners *s, bool open);

/* Whether an epoll event points to one of them. */
bool hub_listeners_has(const struct hub_listeners *s, const void *of);

#endif
