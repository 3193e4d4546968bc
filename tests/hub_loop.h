/* A hub's event loop with real sockets, turned over by the test itself, and the rig's client over it. */
#ifndef TESTS_HUB_LOOP_H
#define TESTS_HUB_LOOP_H

#include "tests/hub_expect.h"

#include "tools/hub/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>

struct loop {
    struct rig r; /* its broker is the server's; its socket goes through the loop */
    struct hub_server *server;
    uint16_t amqp, ws, admin;
    sigset_t mask;
};

static const char *const loopback[] = {"127.0.0.1"};

static inline void loop_open(struct loop *l)
{
    static const struct hub_way websocket = {.websocket = true};

    rig_open(&l->r, NULL);
    rig_disconnect(&l->r);
    l->amqp = l->ws = l->admin = 0;
    sigemptyset(&l->mask);
    l->server = hub_server_open(&l->r.broker, &l->r.limits);
    cr_assert_not_null(l->server);
    cr_assert_eq(hub_server_listen(l->server, loopback, 1, &l->amqp, NULL), 0);
    cr_assert_eq(hub_server_listen(l->server, loopback, 1, &l->ws, &websocket), 0);
    cr_assert_eq(hub_server_admin(l->server, "127.0.0.1", &l->admin), 0);
}

static inline void loop_close(struct loop *l)
{
    hub_server_close(l->server);
    rig_close(&l->r);
}

/* A socket, or the negative errno of connect. */
static inline int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
    }
    int rc = -errno;
    close(fd);
    return rc;
}

/* The rig's client over the loop: it turns the loop where the rig turns its connection. */
static inline void client_open(struct loop *l)
{
    l->r.fd = dial(l->amqp);
    l->r.conn = NULL;
    l->r.ended = false;
    cr_assert_geq(l->r.fd, 0);
    rig_put_open(&l->r, true, 65536);
    rig_put_attach(&l->r, 0, false, "hub1", NULL, -1);
}

static inline bool client_await(struct loop *l, uint64_t code)
{
    for (int turns = 0; turns < 1000 && !l->r.ended; turns++) {
        if (rig_await(&l->r, code))
            return true;
        cr_assert_eq(hub_server_turn(l->server, &l->mask), 0);
    }
    return false;
}

#endif
