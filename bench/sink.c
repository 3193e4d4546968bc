/* How much the hub takes at all: one connection that sends batches which were encoded once, as fast as they are accepted.
 * Of AMQP it knows what the hub's answers need: frames are told apart by their descriptor, and of all of them only dispositions are read.
 */
#include "bench/sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/scratch.h"
#include "bench/sink_wire.h"

#define ANSWER_MS 10000
#define UNSETTLED_MAX 64u /* far below the hub's credit and session window: neither needs to be read */
#define STRETCHES 10
#define CONNECTS 20
#define IN_BYTES (256u << 10)

struct link {
    int fd;
    SSL_CTX *context;
    SSL *ssl; /* NULL: plain */
    uint8_t in[IN_BYTES];
    size_t in_len;
    uint32_t sent;    /* deliveries */
    uint32_t settled; /* of these */
};

static int link_open(const struct rig *rig, enum rig_transport transport, struct link *link);
static void link_close(struct link *link);
static int connect_to(const char *address, uint16_t port);
static int start_tls(struct link *link);
static int say_hello(const struct rig *rig, struct link *link);
static int expect(struct link *link, uint8_t performative);
static int put(struct link *link, const uint8_t *bytes, size_t len);
static int get(struct link *link, int timeout_ms);
static int take_frames(struct link *link, uint8_t wanted, bool *found);
static int pour(struct link *link, struct sink_batch *batch, uint32_t seconds, struct measure_series *rates);

int sink_measure(const struct rig *rig, enum rig_transport transport, uint32_t event_len, uint32_t seconds, struct measure_series *rates)
{
    struct link *link = calloc(1, sizeof(*link));
    struct sink_batch batch = {0};
    int err = link ? sink_batch_make(event_len, &batch) : -ENOMEM;

    if (!err)
        err = link_open(rig, transport, link);
    if (!err)
        err = pour(link, &batch, seconds, rates);
    if (err && err != -EINTR)
        fprintf(stderr, "ehring-bench: the hub's own ceiling could not be measured: %s\n", strerror(-err));
    if (link)
        link_close(link);
    sink_batch_free(&batch);
    free(link);
    return err;
}

int sink_measure_connect(const struct rig *rig, enum rig_transport transport, struct measure_series *cpu_ms)
{
    struct link *link = calloc(1, sizeof(*link));
    int err = link ? 0 : -ENOMEM;

    for (int i = 0; i < CONNECTS && !err; i++) {
        int64_t start_ns = measure_cpu_now_ns();

        link->in_len = 0;
        err = link_open(rig, transport, link);
        measure_add(cpu_ms, (double)(measure_cpu_now_ns() - start_ns) / 1e6);
        link_close(link);
    }
    if (err && err != -EINTR)
        fprintf(stderr, "ehring-bench: no connection to the hub: %s\n", strerror(-err));
    free(link);
    return err;
}

static int link_open(const struct rig *rig, enum rig_transport transport, struct link *link)
{
    int err;

    link->fd = connect_to(rig->address, transport == RIG_TLS ? rig->amqps_port : rig->amqp_port);
    err = link->fd < 0 ? link->fd : 0;
    if (!err && transport == RIG_TLS)
        err = start_tls(link);
    return err ? err : say_hello(rig, link);
}

static void link_close(struct link *link)
{
    SSL_free(link->ssl);
    SSL_CTX_free(link->context);
    if (link->fd > 0)
        close(link->fd);
    link->ssl = NULL;
    link->context = NULL;
    link->fd = -1;
}

static int connect_to(const char *address, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    if (fd < 0)
        return -errno;
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(fd, (const struct sockaddr *)&to, sizeof(to))) {
        int err = errno ? -errno : -EINVAL;

        close(fd);
        return err;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    return fd;
}

/* The hub on this machine that was started a moment ago: nobody's certificate is checked. */
static int start_tls(struct link *link)
{
    link->context = SSL_CTX_new(TLS_client_method());
    link->ssl = link->context ? SSL_new(link->context) : NULL;
    if (!link->ssl || SSL_set_fd(link->ssl, link->fd) != 1 || SSL_connect(link->ssl) != 1)
        return -EPROTO;
    return 0;
}

/* Logs in by name and key, opens connection, session and a sender link. */
static int say_hello(const struct rig *rig, struct link *link)
{
    uint8_t hello[SINK_HELLO_BYTES];
    int err;

    err = put(link, hello, sink_wire_sasl(hello, rig->policy, rig->key));
    if (!err)
        err = expect(link, SINK_SASL_OUTCOME);
    if (!err)
        err = put(link, hello, sink_wire_open(hello, rig->address, RIG_STREAM));
    return err ? err : expect(link, SINK_FLOW); /* credit: the link is there */
}

static int expect(struct link *link, uint8_t performative)
{
    bool found = false;
    int err = take_frames(link, performative, &found);

    while (!err && !found) {
        err = get(link, ANSWER_MS);
        if (!err)
            err = take_frames(link, performative, &found);
    }
    return err;
}

static int put(struct link *link, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t part = len < INT32_MAX ? len : INT32_MAX;
        ssize_t put = link->ssl ? SSL_write(link->ssl, bytes, (int)part) : send(link->fd, bytes, part, MSG_NOSIGNAL);

        if (put <= 0)
            return scratch_interrupted() ? -EINTR : -EPIPE;
        bytes += put;
        len -= (size_t)put;
    }
    return 0;
}

/* Reads once. 0, -EAGAIN: nothing came in time. */
static int get(struct link *link, int timeout_ms)
{
    struct pollfd wait = {.fd = link->fd, .events = POLLIN};
    ssize_t got;

    if (scratch_interrupted())
        return -EINTR;
    if (!(link->ssl && SSL_pending(link->ssl)) && poll(&wait, 1, timeout_ms) <= 0)
        return scratch_interrupted() ? -EINTR : timeout_ms > 0 ? -ETIMEDOUT : -EAGAIN;
    got = link->ssl ? SSL_read(link->ssl, link->in + link->in_len, (int)(IN_BYTES - link->in_len))
                    : recv(link->fd, link->in + link->in_len, IN_BYTES - link->in_len, 0);
    if (got <= 0)
        return -EPIPE;
    link->in_len += (size_t)got;
    return 0;
}

/* Takes whole frames out of what came. 0; -EPROTO: no frame, or one that ends the connection. */
static int take_frames(struct link *link, uint8_t wanted, bool *found)
{
    size_t at = 0;

    for (;;) {
        struct sink_frame frame;
        int len = sink_wire_frame(link->in + at, link->in_len - at, &frame);

        if (len < 0)
            return len;
        if (len == 0)
            break;
        at += (size_t)len;
        if (frame.performative == SINK_DISPOSITION)
            link->settled += frame.last - frame.first + 1;
        if (frame.performative == SINK_CLOSE || frame.performative == SINK_DETACH || frame.refused)
            return -EPROTO;
        *found |= frame.performative == wanted;
    }
    memmove(link->in, link->in + at, link->in_len - at);
    link->in_len -= at;
    return 0;
}

static int pour(struct link *link, struct sink_batch *batch, uint32_t seconds, struct measure_series *rates)
{
    int64_t stretch_ns = seconds * INT64_C(1000000000) / STRETCHES, begin_ns = measure_now_ns();
    int64_t end_ns = begin_ns + seconds * INT64_C(1000000000);
    uint32_t settled = 0;
    bool found = false;
    int err = 0;

    while (measure_now_ns() < end_ns && !err) {
        if (link->sent - link->settled < UNSETTLED_MAX) {
            sink_batch_number(batch, link->sent++);
            err = put(link, batch->wire, batch->wire_len);
        }
        if (!err)
            err = get(link, link->sent - link->settled < UNSETTLED_MAX ? 0 : ANSWER_MS);
        err = err == -EAGAIN ? 0 : err ? err : take_frames(link, SINK_DISPOSITION, &found);
        if (!err && measure_now_ns() - begin_ns >= stretch_ns) {
            int64_t now_ns = measure_now_ns();

            measure_add(rates, (double)(link->settled - settled) * batch->event_count * 1e9 / (double)(now_ns - begin_ns));
            settled = link->settled;
            begin_ns = now_ns;
        }
    }
    return err;
}
