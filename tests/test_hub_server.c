/* The event loop with real sockets: the admin port, ports that close and open again, and the order of file and answer. */
#include "tests/hub_loop.h"
#include "tests/port_rig.h"

#include "tools/hub/listener.h"

#include <cjson/cJSON.h>

#include <signal.h>
#include <sys/resource.h>

/* A turn waits as long as nothing happens. */
TestSuite(hub_server, .timeout = 60);

/* Turns the loop until the answer has ended. */
static void http(struct loop *l, const char *method, const char *path, const char *body, char *answer, size_t size)
{
    char request[4096];
    int fd = dial(l->admin);
    size_t len = 0;
    ssize_t n = -1;

    cr_assert_geq(fd, 0);
    int request_len = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                               method, path, strlen(body), body);
    cr_assert_eq(write(fd, request, (size_t)request_len), request_len);
    while (n != 0) {
        cr_assert_eq(hub_server_turn(l->server, &l->mask), 0);
        while ((n = read(fd, answer + len, size - 1 - len)) > 0)
            len += (size_t)n;
    }
    answer[len] = '\0';
    close(fd);
}

static void expect_http(struct loop *l, const char *method, const char *path, const char *body, int status, const char *says)
{
    char answer[16384];

    http(l, method, path, body, answer, sizeof answer);
    cr_expect_eq(atoi(answer + strlen("HTTP/1.1 ")), status, "%s %s: %s", method, path, answer);
    cr_expect_not_null(strstr(answer, says), "%s %s: %s", method, path, answer);
}

Test(hub_server, the_admin_port_tells_health_counters_and_faults)
{
    struct loop l;

    loop_open(&l);
    expect_http(&l, "GET", "/health", "", 200, "ok");
    expect_http(&l, "GET", "/stats", "", 200, "\"events_per_batch_max\"");
    expect_http(&l, "POST", "/fault", "reject next=3\nserver-busy for=1m", 200, "played 2");
    expect_http(&l, "GET", "/fault", "", 200, "reject next=3\tleft=3\nserver-busy for=1m\tleft_ms=");
    expect_http(&l, "DELETE", "/fault?name=reject", "", 200, "cleared");
    expect_http(&l, "GET", "/stats", "", 200, "\"faults_standing\":\t1");
    expect_http(&l, "DELETE", "/fault", "", 200, "cleared");
    expect_http(&l, "GET", "/stats", "", 200, "\"faults_standing\":\t0");
    expect_http(&l, "POST", "/fault", "reject next=0", 400, "line 1: reject: next='0' is no number");
    expect_http(&l, "POST", "/fault", "", 400, "the body holds no fault");
    expect_http(&l, "DELETE", "/fault?name=none", "", 400, "'none' is no fault");
    expect_http(&l, "GET", "/nothing", "", 404, "GET /health, GET /stats");
    expect_http(&l, "PUT", "/fault", "", 405, "/fault takes GET, POST and DELETE");
    expect_http(&l, "POST", "/stats", "", 405, "/stats takes GET");
    loop_close(&l);
}

Test(hub_server, a_body_over_the_limit_is_refused_and_the_next_request_is_served)
{
    struct loop l;
    char answer[4096] = "", head[] = "POST /fault HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n";
    static char piece[65536];

    loop_open(&l);
    memset(piece, '#', sizeof piece);
    int fd = dial(l.admin);
    ssize_t n = write(fd, head, strlen(head));
    for (size_t left = 10000000; left > 0 && n != 0;) {
        n = write(fd, piece, left < sizeof piece ? left : sizeof piece);
        left -= n > 0 ? (size_t)n : 0;
        cr_assert_eq(hub_server_turn(l.server, &l.mask), 0);
    }
    while ((n = read(fd, answer, sizeof answer - 1)) < 0 && errno == EAGAIN)
        cr_assert_eq(hub_server_turn(l.server, &l.mask), 0);
    cr_expect_eq(strncmp(answer, "HTTP/1.1 413", 12), 0, "%s", answer);
    close(fd);
    expect_http(&l, "GET", "/health", "", 200, "ok");
    loop_close(&l);
}

Test(hub_server, refused_connections_are_refused_by_the_kernel_and_taken_again_on_the_same_port)
{
    struct loop l;

    loop_open(&l);
    client_open(&l);
    cr_assert(client_await(&l, HUB_FLOW));
    expect_http(&l, "POST", "/fault", "refuse-connections", 200, "played 1");
    cr_expect_eq(dial(l.amqp), -ECONNREFUSED);
    rig_put_event(&l.r, 0, 0, "x", 1);
    cr_expect(client_await(&l, HUB_DISPOSITION), "an open connection was hurt");
    expect_http(&l, "DELETE", "/fault", "", 200, "cleared");
    int fd = dial(l.amqp);
    cr_expect_geq(fd, 0);
    close(fd);
    expect_http(&l, "POST", "/fault", "refuse-connections for=50ms", 200, "played 1");
    while ((fd = dial(l.amqp)) == -ECONNREFUSED)
        cr_assert_eq(hub_server_turn(l.server, &l.mask), 0);
    cr_expect_geq(fd, 0);
    close(fd);
    close(l.r.fd);
    loop_close(&l);
}

Test(hub_server, reading_goes_on_where_it_stopped_and_a_peer_that_left_meanwhile_wakes_nobody)
{
    struct loop l;
    struct timespec before, after;

    loop_open(&l);
    client_open(&l);
    cr_assert(client_await(&l, HUB_FLOW));
    expect_http(&l, "POST", "/fault", "stop-reading", 200, "played 1");
    rig_put_event(&l.r, 0, 0, "x", 1);
    rig_flush(&l.r);
    int left = dial(l.amqp);
    for (int i = 0; i < 20; i++)
        expect_http(&l, "GET", "/health", "", 200, "ok");
    struct linger at_once = {.l_onoff = 1};
    setsockopt(left, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(left);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    int turns = 0;
    for (int64_t end = l.r.broker.now_mono_ms + 600; l.r.broker.now_mono_ms < end; turns++)
        cr_assert_eq(hub_server_turn(l.server, &l.mask), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    cr_expect_lt(turns, 50, "the loop spins: %d turns in 600 ms", turns);
    cr_expect_eq(l.r.broker.deliveries, 0);
    expect_http(&l, "DELETE", "/fault", "", 200, "cleared");
    cr_expect(client_await(&l, HUB_DISPOSITION));
    close(l.r.fd);
    loop_close(&l);
}

/* A socket to the port on IPv6, or a negative errno. */
static int dial_six(uint16_t port)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

Test(hub_server, one_port_is_listened_on_at_every_address_or_at_none)
{
    static const char *const both[] = {"127.0.0.1", "::1", "127.0.0.9"}, *const wild[] = {"0.0.0.0", "::"};
    uint16_t port = 0, wild_port = 0, taken = 0;
    struct loop l;

    loop_open(&l);
    cr_assert_eq(hub_server_listen(l.server, both, 3, &port, NULL), 0);
    int four = dial(port), six = dial_six(port);
    cr_expect_geq(four, 0);
    cr_expect_geq(six, 0, "%s", strerror(-six));
    for (uint64_t before = l.r.broker.connections; l.r.broker.connections < before + 2;)
        cr_assert_eq(hub_server_turn(l.server, &l.mask), 0);
    close(four);
    close(six);
    cr_assert_eq(hub_server_listen(l.server, wild, 2, &wild_port, NULL), 0, "an IPv6 wildcard beside one of IPv4");
    int other = port_reserve(&taken); /* no stranger listens at the port's other address */
    int blocker = hub_listen("::1", &taken);
    cr_assert_geq(blocker, 0);
    cr_expect_eq(hub_server_listen(l.server, both, 2, &taken, NULL), -EADDRINUSE);
    cr_expect_eq(dial(taken), -ECONNREFUSED, "one address was left open");
    close(blocker);
    close(other);
    loop_close(&l);
}

Test(hub_server, a_scenario_goes_on_when_its_time_comes_though_nobody_is_there)
{
    char path[] = "/tmp/ehring-hub-scenario.XXXXXX", why[HUB_WHY_MAX];
    struct loop l;
    int fd = mkstemp(path);

    loop_open(&l);
    cr_assert_gt(dprintf(fd, "wait time=30ms\nreject next=1\nwait time=30ms\nclear\n"), 0);
    close(fd);
    cr_assert_eq(hub_scenario_read(path, &l.r.broker.scenario, why), 0, "%s", why);
    unlink(path);
    hub_scenario_step(l.r.broker.scenario, &l.r.broker);
    while (hub_scenario_done(l.r.broker.scenario) < 4)
        cr_assert_eq(hub_server_turn(l.server, &l.mask), 0);
    expect_http(&l, "GET", "/stats", "", 200, "\"scenario_steps_done\":\t4");
    hub_scenario_free(l.r.broker.scenario);
    loop_close(&l);
}

/* A file that takes no byte more stands for a kill in front of the write: nobody may have been told "accepted" by then. */
Test(hub_server, nothing_is_accepted_before_it_is_in_the_store_file)
{
    char path[] = "/tmp/ehring-hub-store.XXXXXX";
    struct hub_storefile file;
    struct loop l;
    int rc = 0;

    signal(SIGXFSZ, SIG_IGN);
    close(mkstemp(path));
    loop_open(&l);
    cr_assert_eq(hub_storefile_open(&file, path), 0);
    l.r.broker.file = &file;
    client_open(&l);
    cr_assert(client_await(&l, HUB_FLOW));
    rig_put_event(&l.r, 0, 0, "kept", 4);
    cr_assert(client_await(&l, HUB_DISPOSITION));
    off_t len = lseek(file.fd, 0, SEEK_END);
    cr_expect_gt(len, 8 + 4, "accepted, and not in the file");
    struct rlimit full = {.rlim_cur = (rlim_t)len, .rlim_max = (rlim_t)len};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &full), 0);
    rig_put_event(&l.r, 0, 1, "lost", 4);
    rig_flush(&l.r);
    for (int turns = 0; turns < 10 && rc == 0; turns++)
        rc = hub_server_turn(l.server, &l.mask);
    cr_expect_eq(rc, -EFBIG);
    cr_expect_not(rig_await(&l.r, HUB_DISPOSITION), "accepted, though it could not be written");
    hub_storefile_close(&file);
    unlink(path);
    close(l.r.fd);
    loop_close(&l);
}
