/* The network loop's promises on every backend: connecting, ending, watching, waiting, and which backend is taken. */
#include "tests/net_rig.h"

#include <signal.h>

#define EACH(name)                                                                                                                         \
    ParameterizedTestParameters(net, name)                                                                                                 \
    {                                                                                                                                      \
        return cr_make_param_array(enum rig_backend, rig_backends, RIG_BACKENDS);                                                          \
    }                                                                                                                                      \
    ParameterizedTest(enum rig_backend *backend, net, name)

EACH(connects_to_a_listener)
{
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    rig_expect_nothing();
    net_end(rig_net, handle);
    net_close(rig_net);
}

EACH(tells_a_refused_connect)
{
    struct sockaddr_in address;
    if (!rig_open(backend))
        return;
    rig_listen(-1, &address);
    int handle = rig_connect(&address, PATIENCE);
    cr_assert_geq(handle, 0);
    cr_assert_eq(rig_expect(NET_FAILED, handle).error, -ECONNREFUSED);
    rig_expect_nothing();
    net_close(rig_net);
}

EACH(tells_an_address_family_without_support_as_a_failed_connect)
{
    struct sockaddr_in address = {.sin_family = AF_MAX - 1};
    if (!rig_open(backend))
        return;
    int handle = rig_connect(&address, PATIENCE);
    cr_assert_geq(handle, 0, "%s", strerror(-handle));
    cr_assert_eq(rig_expect(NET_FAILED, handle).error, -EAFNOSUPPORT);
    net_close(rig_net);
}

/* A full queue of the listener: the kernel drops what comes, and nobody ever answers. */
static void queue_fill(const struct sockaddr_in *address)
{
    struct pollfd answer = {.events = POLLOUT};
    do {
        answer.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int rc = connect(answer.fd, (const struct sockaddr *)address, sizeof *address);
        cr_assert(rc == 0 || errno == EINPROGRESS);
    } while (poll(&answer, 1, 300) == 1);
}

EACH(gives_up_a_connect_after_its_timeout)
{
    struct sockaddr_in address;
    const int64_t timeout_ns = 50 * CLOCK_NS_PER_MS;
    if (!rig_open(backend))
        return;
    rig_listen(0, &address);
    queue_fill(&address);
    int64_t begin_ns = clock_mono_ns();
    int handle = rig_connect(&address, timeout_ns), patient = rig_connect(&address, PATIENCE);
    cr_assert_eq(rig_expect(NET_FAILED, handle).error, -ETIMEDOUT);
    cr_assert_geq(clock_mono_ns() - begin_ns, timeout_ns);
    rig_expect_nothing();
    net_end(rig_net, patient);
    rig_expect_nothing();
    net_close(rig_net);
}

EACH(ends_a_connect_under_way_without_an_event)
{
    struct sockaddr_in address;
    if (!rig_open(backend))
        return;
    rig_listen(0, &address);
    queue_fill(&address);
    for (int i = 0; i < 300; i++) {
        int handle = rig_connect(&address, PATIENCE);
        cr_assert_geq(handle, 0, "%s", strerror(-handle));
        if (i % 2) {
            struct net_event event;
            cr_assert(!rig_next_within(0, &event));
        }
        net_end(rig_net, handle);
    }
    rig_expect_nothing();
    net_close(rig_net);
}

EACH(tells_the_peers_close_after_all_that_it_sent)
{
    static uint8_t sent[100000];
    size_t seen = 0;
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7 + i / 251);
    cr_assert_eq(write(peer, sent, sizeof sent), (ssize_t)sizeof sent);
    close(peer);
    while (seen < sizeof sent) {
        struct net_event event = rig_expect(NET_RECEIVED, handle);
        cr_assert_leq(event.len, sizeof sent - seen);
        cr_assert_arr_eq(event.data, sent + seen, event.len);
        seen += event.len;
    }
    cr_assert_eq(rig_expect(NET_ENDED, handle).error, 0);
    rig_expect_nothing();
    net_close(rig_net);
}

EACH(tells_a_reset_with_its_error)
{
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(peer);
    cr_assert_eq(rig_expect(NET_ENDED, handle).error, -ECONNRESET);
    rig_expect_nothing();
    net_close(rig_net);
}

EACH(tells_a_reset_while_bytes_wait_to_be_sent)
{
    struct net_event event;
    uint8_t *to;
    size_t room;
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    do {
        while ((room = net_send_space(rig_net, handle, &to)) > 0) {
            memset(to, 'x', room);
            net_send_commit(rig_net, handle, room);
        }
    } while (rig_next_within(100 * CLOCK_NS_PER_MS, &event));
    cr_assert_gt(net_send_pending(rig_net, handle), 0);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(peer);
    int error = rig_expect(NET_ENDED, handle).error;
    cr_assert(error == -ECONNRESET || error == -EPIPE, "%s", strerror(-error));
    cr_assert_eq(net_send_space(rig_net, handle, &to), 0);
    rig_expect_nothing();
    net_close(rig_net);
}

EACH(a_handle_that_ended_is_never_taken_for_a_new_one)
{
    uint8_t *to;
    int peer, old_peer;
    if (!rig_open(backend))
        return;
    int old = rig_pair(&old_peer);
    net_end(rig_net, old);
    for (int i = 0; i < 10; i++) {
        int handle = rig_pair(&peer);
        cr_assert_neq(handle, old);
        net_end(rig_net, old);
        cr_assert_eq(net_send_space(rig_net, old, &to), 0);
        cr_assert_eq(net_send_pending(rig_net, old), 0);
        cr_assert_eq(write(peer, "x", 1), 1);
        rig_expect(NET_RECEIVED, handle);
        net_end(rig_net, handle);
        close(peer);
    }
    net_close(rig_net);
}

EACH(the_peer_sees_the_end_of_an_ended_handle)
{
    char byte;
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    net_wait(rig_net, 0, rig_events);
    net_end(rig_net, handle);
    net_wait(rig_net, 0, rig_events);
    cr_assert_eq(read(peer, &byte, 1), 0);
    net_close(rig_net);
}

EACH(watches_a_descriptor_until_it_is_drained)
{
    eventfd_t count;
    if (!rig_open(backend))
        return;
    int fd = eventfd(0, EFD_NONBLOCK), handle = net_watch(rig_net, fd);
    rig_expect_nothing();
    eventfd_write(fd, 1);
    for (int i = 0; i < 3; i++)
        rig_expect(NET_WATCHED, handle);
    cr_assert_eq(eventfd_read(fd, &count), 0);
    /* the poll may have been armed before the drain: told once more at most */
    struct net_event event;
    if (rig_next_within(0, &event))
        cr_assert_eq(event.kind, NET_WATCHED);
    rig_expect_nothing();
    eventfd_write(fd, 1);
    rig_expect(NET_WATCHED, handle);
    net_end(rig_net, handle);
    rig_expect_nothing();
    cr_assert_eq(eventfd_read(fd, &count), 0, "the watched descriptor was closed");
    net_close(rig_net);
    eventfd_write(fd, 1);
    cr_assert_eq(eventfd_read(fd, &count), 0, "the watched descriptor was closed with the loop");
}

EACH(refuses_to_watch_what_is_no_descriptor)
{
    if (!rig_open(backend))
        return;
    cr_assert_eq(net_watch(rig_net, 9999), -EBADF);
    net_close(rig_net);
}

EACH(only_looks_with_a_timeout_of_zero)
{
    struct net_event event;
    int peer;
    if (!rig_open(backend))
        return;
    cr_assert(!rig_next_within(0, &event));
    int handle = rig_pair(&peer);
    for (int i = 0; i < 1000; i++)
        cr_assert(!rig_next_within(0, &event));
    cr_assert_eq(write(peer, "x", 1), 1);
    while (!rig_next_within(0, &event)) {
    }
    cr_assert_eq(event.kind, NET_RECEIVED);
    cr_assert_eq(event.handle, handle);
    net_close(rig_net);
}

EACH(does_not_return_before_a_short_timeout)
{
    static const int64_t timeout_ns[] = {50000, 200000, 1500000, 20000000};
    struct net_event event;
    int peer;
    if (!rig_open(backend))
        return;
    rig_pair(&peer);
    for (size_t i = 0; i < 4; i++) {
        int64_t begin_ns = clock_mono_ns();
        cr_assert(!rig_next_within(timeout_ns[i], &event));
        cr_assert_geq(clock_mono_ns() - begin_ns, timeout_ns[i]);
    }
    net_close(rig_net);
}

static pthread_t waiter;
static void interrupted(int number)
{
    (void)number;
}

/* Interrupts the waiting thread again and again, then wakes it. */
static void *interrupt(void *argument)
{
    struct pollfd none = {.fd = -1};
    for (int i = 0; i < 20; i++) {
        poll(&none, 1, 2);
        pthread_kill(waiter, SIGUSR1);
    }
    eventfd_write(*(int *)argument, 1);
    return NULL;
}

EACH(waits_for_ever_through_signals_until_something_comes)
{
    pthread_t thread;
    if (!rig_open(backend))
        return;
    int fd = eventfd(0, EFD_NONBLOCK), handle = net_watch(rig_net, fd);
    waiter = pthread_self();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = interrupted}, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, interrupt, &fd), 0);
    cr_assert_eq(net_wait(rig_net, -1, rig_events), 1);
    cr_assert_eq(rig_events[0].kind, NET_WATCHED);
    cr_assert_eq(rig_events[0].handle, handle);
    pthread_join(thread, NULL);
    net_close(rig_net);
}

EACH(has_room_for_its_handles_and_no_more)
{
    int handle[NET_HANDLES_MAX], told[NET_HANDLES_MAX] = {0}; /* a fresh loop numbers its handles from 0 */
    if (!rig_open(backend))
        return;
    for (int i = 0; i < NET_HANDLES_MAX; i++)
        cr_assert_geq(handle[i] = net_watch(rig_net, eventfd(1, 0)), 0);
    cr_assert_eq(net_watch(rig_net, eventfd(1, 0)), -EMFILE);
    for (int seen = 0; seen < NET_HANDLES_MAX;) { /* more than one wait can tell: nobody starves */
        struct net_event event = rig_next();
        seen += told[event.handle]++ == 0;
    }
    for (int i = 0; i < NET_HANDLES_MAX; i++)
        net_end(rig_net, handle[i]);
    for (int i = 0; i < NET_HANDLES_MAX; i++)
        cr_assert_geq(net_watch(rig_net, eventfd(1, 0)), 0);
    net_close(rig_net);
}

/* As a worker is: opened and closed by one thread, waited with by another that has ended before the close. */
static void *wait_elsewhere(void *argument)
{
    int peer;
    (void)argument;
    int handle = rig_pair(&peer);
    rig_commit(handle, "hello", 5);
    rig_next_within(0, &(struct net_event){0});
    return NULL;
}

EACH(is_opened_and_closed_by_another_thread_than_the_one_that_waits)
{
    pthread_t thread;
    if (!rig_open(backend))
        return;
    cr_assert_geq(net_watch(rig_net, eventfd(0, 0)), 0);
    cr_assert_eq(pthread_create(&thread, NULL, wait_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    net_close(rig_net);
}

Test(net_choice, closes_nothing)
{
    net_close(NULL);
}

static void expect_fallback(int error, const char *words)
{
    char why[256] = "";
    cr_assert_eq(net_open(NET_URING, &rig_net, why, sizeof why), error);
    cr_assert_null(rig_net);
    cr_assert_not_null(strstr(why, words), "%s", why);
    cr_assert_eq(net_open(NET_AUTO, &rig_net, why, sizeof why), 0);
    cr_assert_eq(net_kind_of(rig_net), NET_EPOLL);
    cr_assert_not_null(strstr(why, words), "%s", why);
    cr_assert_not_null(strstr(why, "; epoll"), "%s", why);
    int peer, handle = rig_pair(&peer);
    cr_assert_eq(write(peer, "x", 1), 1);
    rig_expect(NET_RECEIVED, handle);
    net_close(rig_net);
}

Test(net_choice, auto_takes_epoll_where_a_seccomp_profile_forbids_io_uring)
{
    rig_forbid(SYS_io_uring_setup, -1, EPERM);
    expect_fallback(-EPERM, "io_uring refused by the kernel or a seccomp profile: Operation not permitted");
}

Test(net_choice, auto_takes_epoll_where_the_kernel_has_no_io_uring)
{
    rig_forbid(SYS_io_uring_setup, -1, ENOSYS);
    expect_fallback(-ENOSYS, "io_uring refused by the kernel or a seccomp profile: Function not implemented");
}

Test(net_choice, auto_takes_epoll_where_a_ring_may_be_made_but_not_used)
{
    char why[256];
    if (net_open(NET_URING, &rig_net, why, sizeof why) != 0)
        return; /* it may not even be made: the tests above */
    net_close(rig_net);
    rig_forbid(SYS_io_uring_enter, -1, EPERM);
    expect_fallback(-EPERM, "io_uring_enter");
}

Test(net_choice, auto_takes_epoll_where_a_ring_cannot_be_asked)
{
    char why[256];
    if (net_open(NET_URING, &rig_net, why, sizeof why) != 0)
        return;
    net_close(rig_net);
    rig_forbid(SYS_io_uring_register, -1, EPERM);
    expect_fallback(-EPERM, "io_uring_register");
}

Test(net_choice, auto_takes_io_uring_where_it_works)
{
    char why[256];
    bool works = net_open(NET_URING, &rig_net, why, sizeof why) == 0;
    if (works)
        net_close(rig_net);
    cr_assert_eq(net_open(NET_AUTO, &rig_net, why, sizeof why), 0);
    cr_assert_eq(net_kind_of(rig_net), works ? NET_URING : NET_EPOLL);
    net_close(rig_net);
}
