/* The ports that connections come in on; closed while a fault refuses connections, and opened again on the same ports. */
#ifndef HUB_LISTENER_H
#define HUB_LISTENER_H

#include "address.h"

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

enum { HUB_LISTENERS_MAX = 2 };

/* What an epoll event of the listener points to. */
struct hub_listener {
    char address[HUB_NAME_MAX];
    uint16_t port;
    int fd; /* -1: closed */
    SSL_CTX *ctx;
};

struct hub_listeners {
    int epoll_fd;
    unsigned count;
    struct hub_listener at[HUB_LISTENERS_MAX];
    bool complained;
};

/* A socket that listens on an address. Port 0: the kernel chooses; stores the one in use. The descriptor, or a negative errno. */
int hub_listen(const char *address, uint16_t *port);

/* Listens and tells epoll; with TLS when ctx is not NULL. 0 or a negative errno. */
int hub_listeners_add(struct hub_listeners *s, const char *address, uint16_t *port, SSL_CTX *ctx);

/* Closes or opens all, so that a client sees the change from the return on. False: a port could not be opened again yet. */
bool hub_listeners_set(struct hub_listeners *s, bool open);

/* Whether an epoll event points to one of them. */
bool hub_listeners_has(const struct hub_listeners *s, const void *of);

#endif
