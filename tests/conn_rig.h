/* A connection and its scripted peer, for the tests of the connection and of its links. */
#ifndef EHRING_TESTS_CONN_RIG_H
#define EHRING_TESTS_CONN_RIG_H

#include <criterion/criterion.h>

#include "conn_peer.h"

#define WHOLE ((size_t)1 << 20)

static struct conn *conn;
static struct peer peer;
static struct conn_event event;

static inline void rig_open(void)
{
    peer_open(&peer);
    struct conn_options options = {
        .container_id = "test-1", .hostname = "contoso.servicebus.windows.net", .product = "ehring", .version = "1"};
    cr_assert_eq(conn_open(&options, &conn), 0);
}

static inline void rig_close(void)
{
    conn_free(conn);
    peer_free(&peer);
}

/* Fetches events up to one of `kind`; false if there is none. */
static inline bool await(enum conn_event_kind kind)
{
    while (conn_next_event(conn, &event)) {
        if (event.kind == kind)
            return true;
    }
    return false;
}

#endif
