/* A pool's decisions: shares, which connection takes a link, when a link should move, how many connections are made at a time, and what a
 * connection that cannot be made costs. What needs a hub that answers is in e2e_ship_pool.sh. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/pool.h"
#include "tests/port_rig.h"

#define PATIENCE_NS (60 * CLOCK_NS_PER_SECOND)

struct rig {
    struct stream stream;
    struct setup *setup;
    struct net *net;
    struct resolver *resolver;
    struct pool pool;
    int wake_fd;
    int listener;
    int port_fd; /* keeps the listener's port when that is closed */
};

static struct config_stream config_of(uint16_t port)
{
    struct config_stream config = {.max_size = 6,
                                   .client_limit = 3,
                                   .max_idle_seconds = 300,
                                   .max_concurrent_connects = 2,
                                   .connect_timeout_seconds = 60,
                                   .retry_backoff_ms = 100,
                                   .retry_backoff_max_seconds = 1,
                                   .linger_ms = 5,
                                   .token_seconds = 3600,
                                   .partition_refresh_seconds = 300};
    strcpy(config.name, "orders");
    strcpy(config.door.hub, "orders");
    strcpy(config.door.connstr.host, "127.0.0.1");
    config.door.connstr.port = port;
    config.door.connstr.emulator = true;
    return config;
}

/* A peer that takes connections and says nothing: they never become ready. */
static uint16_t silent_peer(struct rig *rig)
{
    uint16_t port;
    rig->port_fd = port_reserve(&port);
    rig->listener = port_bind(&port);
    cr_assert_eq(listen(rig->listener, 64), 0);
    return port;
}

static void rig_open(struct rig *rig)
{
    char why[300];
    memset(rig, 0, sizeof *rig);
    struct config_stream config = config_of(silent_peer(rig));
    cr_assert_eq(setup_make(&config, NULL, CONFIG_AT_USE, &rig->setup, why, sizeof why), 0, "%s", why);
    rig->stream.words = calloc(1, sizeof *rig->stream.words);
    rig->stream.setup = rig->setup;
    strcpy(rig->stream.name, "orders");
    rig->wake_fd = eventfd(0, EFD_NONBLOCK);
    rig->stream.main_fd = rig->wake_fd;
    cr_assert_eq(net_open(NET_EPOLL, &rig->net, why, sizeof why), 0, "%s", why);
    cr_assert_geq(net_watch(rig->net, rig->wake_fd), 0);
    cr_assert_eq(resolver_open(&rig->resolver), 0);
    cr_assert_eq(pool_open(&rig->pool, &rig->stream, rig->setup, rig->net, rig->resolver, NULL, rig->wake_fd, 0, 1), 0);
    cr_assert_eq(rig->pool.size, 6);
}

static void rig_close(struct rig *rig)
{
    resolver_close(rig->resolver);
    pool_close(&rig->pool);
    net_close(rig->net);
    setup_give(rig->setup);
    free(rig->stream.words);
    close(rig->wake_fd);
    if (rig->listener >= 0)
        close(rig->listener);
    close(rig->port_fd);
}

static uint32_t under_way(const struct rig *rig)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->pool.size; i++)
        count += uplink_is_under_way(&rig->pool.uplink[i]);
    return count;
}

/* One turn as the worker has it. */
static void turn(struct rig *rig, bool wanted)
{
    struct net_event event[NET_EVENTS_MAX];
    uint64_t drained;
    pool_step(&rig->pool, wanted, clock_mono_ns());
    int count = net_wait(rig->net, 5 * CLOCK_NS_PER_MS, event);
    for (int i = 0; i < count; i++) {
        struct uplink *up = pool_find(&rig->pool, event[i].handle);
        if (up)
            uplink_net_event(up, &event[i], clock_mono_ns());
        else if (read(rig->wake_fd, &drained, sizeof drained) < 0)
            continue;
    }
    struct conn_event told;
    for (uint32_t i = 0; i < rig->pool.size; i++) {
        uplink_pump(&rig->pool.uplink[i], clock_mono_ns());
        while (uplink_next_event(&rig->pool.uplink[i], &told, clock_mono_ns()))
            continue;
    }
}

/* A connection as if it were ready, with links. */
static struct uplink *pretend_ready(struct rig *rig, uint32_t i, uint32_t links)
{
    struct uplink *up = &rig->pool.uplink[i];
    up->state = UPLINK_READY;
    up->link_count = links;
    up->ready_ns = up->used_ns = clock_mono_ns();
    return up;
}

Test(pool, shares_its_connections_out_and_leaves_no_worker_without)
{
    cr_expect_eq(pool_share(10, 0, 1), 10);
    cr_expect_eq(pool_share(10, 0, 4) + pool_share(10, 1, 4) + pool_share(10, 2, 4) + pool_share(10, 3, 4), 10);
    cr_expect_eq(pool_share(10, 0, 4), 3);
    cr_expect_eq(pool_share(10, 3, 4), 2);
    cr_expect_eq(pool_share(1, 0, 4), 1);
    cr_expect_eq(pool_share(1, 3, 4), 1, "one at least");
}

/* Toolbox point 3: fewer users first; its point 1: never more than the limit. */
Test(pool, places_a_link_on_the_connection_with_the_fewest_and_never_over_the_limit)
{
    static struct rig rig;
    rig_open(&rig);
    cr_assert_null(pool_place(&rig.pool), "none is ready");
    struct uplink *first = pretend_ready(&rig, 0, 2), *second = pretend_ready(&rig, 1, 1);
    cr_expect_eq(pool_place(&rig.pool), second);
    second->link_count = 3;
    cr_expect_eq(pool_place(&rig.pool), first);
    first->link_count = 3;
    rig.pool.short_links = 0;
    cr_expect_null(pool_place(&rig.pool), "both are full");
    cr_expect_eq(rig.pool.short_links, 1);
    second->link_count = 0;
    second->draining = true;
    cr_expect_null(pool_place(&rig.pool), "what is drained takes nothing new");
    first->state = second->state = UPLINK_IDLE;
    rig_close(&rig);
}

Test(pool, moves_a_link_off_a_blocked_connection_only_to_one_that_has_less_to_do)
{
    static struct rig rig;
    rig_open(&rig);
    struct uplink *first = pretend_ready(&rig, 0, 3), *second = pretend_ready(&rig, 1, 1);
    int64_t now_ns = clock_mono_ns();
    cr_expect_not(pool_wants_move(&rig.pool, first, now_ns), "nothing is wrong with it");
    first->saturated_ns = now_ns - 9 * CLOCK_NS_PER_SECOND;
    cr_expect(pool_wants_move(&rig.pool, first, now_ns));
    first->saturated_ns = now_ns - 11 * CLOCK_NS_PER_SECOND;
    cr_expect_not(pool_wants_move(&rig.pool, first, now_ns), "that was long ago");
    first->saturated_ns = now_ns;
    second->link_count = 2;
    cr_expect_not(pool_wants_move(&rig.pool, first, now_ns), "they would only change places");
    second->link_count = 1;
    second->blocked_ns = now_ns - 6 * CLOCK_NS_PER_MS;
    cr_expect_not(pool_wants_move(&rig.pool, first, now_ns), "it is blocked too");
    first->saturated_ns = 0;
    first->draining = true;
    cr_expect(pool_wants_move(&rig.pool, first, now_ns));
    first->state = second->state = UPLINK_IDLE;
    rig_close(&rig);
}

/* Toolbox points 11 and 2: six slots, two connects at a time; a slow peer hangs nobody. */
Test(pool, makes_no_more_connections_at_a_time_than_it_may)
{
    static struct rig rig;
    rig_open(&rig);
    uint32_t most = 0;
    for (int i = 0; i < 60; i++) {
        rig.pool.short_links = 18; /* six connections' worth */
        turn(&rig, true);
        uint32_t now = under_way(&rig);
        cr_assert_leq(now, 2);
        most = now > most ? now : most;
    }
    cr_assert_eq(most, 2);
    cr_assert_eq(order_none_load32(&rig.stream.connecting_count), 2);
    rig_close(&rig);
    cr_assert_eq(order_none_load32(&rig.stream.connecting_count), 0, "what is closed gives its turn back");
}

Test(pool, makes_a_connection_only_when_one_is_wanted)
{
    static struct rig rig;
    rig_open(&rig);
    for (int i = 0; i < 5; i++)
        turn(&rig, false);
    cr_assert_eq(under_way(&rig), 0);
    for (int i = 0; i < 5; i++)
        turn(&rig, true);
    cr_assert_eq(under_way(&rig), 1, "one is enough where no link is missing");
    rig_close(&rig);
}

/* Toolbox point 12: cleaned up after a failure; its point 4: closing what is not open does nothing. */
Test(pool, counts_connections_lost_together_as_one_failure_and_waits)
{
    static struct rig rig;
    rig_open(&rig);
    int64_t begun_ns = clock_mono_ns();
    for (uint32_t i = 0; i < 4; i++) {
        pretend_ready(&rig, i, 1)->begun_ns = begun_ns;
        rig.pool.uplink[i].handle = -1;
    }
    const struct outcome lost = outcome_of(OUTCOME_CLOSE, 0, NULL, NULL);
    for (uint32_t i = 0; i < 4; i++)
        uplink_restart(&rig.pool.uplink[i], &lost, "lost", "all at once", begun_ns + 1000 + i);
    cr_expect_eq(rig.pool.health.failure_count, 1);
    cr_expect_eq(order_none_load64(&rig.stream.words->worker[0].connection_lost_count), 4);
    cr_expect(rig.pool.health.retry_at_ns > begun_ns);
    rig.pool.health.retry_at_ns = clock_mono_ns() + PATIENCE_NS;
    for (int i = 0; i < 5; i++)
        turn(&rig, true);
    cr_expect_eq(under_way(&rig), 0, "not before the backoff is over");
    cr_expect(pool_shut(&rig.pool, clock_mono_ns()), "there is nothing to close");
    rig_close(&rig);
}

Test(pool, opens_the_circuit_after_failures_in_a_row_and_closes_it_with_the_first_accept)
{
    static struct rig rig;
    rig_open(&rig);
    close(rig.listener); /* connection refused from now on */
    rig.listener = -1;
    int64_t until_ns = clock_mono_ns() + PATIENCE_NS;
    while (rig.pool.health.circuit.state != CIRCUIT_OPEN && clock_mono_ns() < until_ns) {
        if (rig.pool.health.retry_at_ns > clock_mono_ns())
            rig.pool.health.retry_at_ns = 0; /* no need to wait here */
        turn(&rig, true);
    }
    cr_assert_eq(rig.pool.health.circuit.state, CIRCUIT_OPEN);
    cr_expect_eq(order_none_load64(&rig.stream.words->worker[0].circuit_opened_count), 1);
    cr_expect_geq(rig.pool.health.failure_count, CIRCUIT_FAILURES_MAX);
    uplink_accepted(&rig.pool.uplink[0]);
    cr_expect_eq(rig.pool.health.circuit.state, CIRCUIT_CLOSED);
    cr_expect_eq(rig.pool.health.failure_count, 0);
    rig_close(&rig);
}

/* Of a connection whose hub owes it an answer, or that is being closed, nothing is renewed: such a time that has come must not wake the
 * worker again and again. */
Test(pool, does_not_come_back_at_once_for_what_only_a_ready_connection_renews)
{
    static const enum uplink_state states[] = {UPLINK_TOKEN, UPLINK_HUB, UPLINK_GREETING, UPLINK_CLOSING};
    static struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct uplink *up = &rig.pool.uplink[0];
        int64_t now_ns = clock_mono_ns(), deadline_ns = now_ns + PATIENCE_NS;
        up->state = states[i];
        up->deadline_ns = deadline_ns;
        up->token_renew_at_ns = up->hub_read_at_ns = now_ns - 1;
        cr_expect_eq(uplink_step(up, now_ns), deadline_ns, "state %d", states[i]);
        up->state = UPLINK_IDLE;
        up->deadline_ns = up->token_renew_at_ns = up->hub_read_at_ns = 0;
    }
    rig_close(&rig);
}
