/* Bytes through the network loop on every backend: much of them, against slow peers, on many handles, and across handles that end. */
#include "tests/net_rig.h"

#include <stdlib.h>

#define EACH(name)                                                                                                                         \
    ParameterizedTestParameters(transfer, name)                                                                                            \
    {                                                                                                                                      \
        return cr_make_param_array(enum rig_backend, rig_backends, RIG_BACKENDS);                                                          \
    }                                                                                                                                      \
    ParameterizedTest(enum rig_backend *backend, transfer, name)

/* A stream of known bytes whose period no buffer size divides: any byte lost, doubled or moved shows. */
#define PERIOD 65521
#define BIG_BYTES (64u << 20)
static uint8_t pattern[2 * PERIOD];

static void pattern_make(void)
{
    uint32_t word = 1;
    for (int i = 0; i < PERIOD; i++) {
        word = word * 1664525 + 1013904223;
        pattern[i] = pattern[i + PERIOD] = (uint8_t)(word >> 24);
    }
}

static void pattern_write(uint8_t *to, uint64_t pos, size_t len)
{
    for (size_t part; len > 0; to += part, pos += part, len -= part) {
        part = len < PERIOD ? len : PERIOD;
        memcpy(to, pattern + pos % PERIOD, part);
    }
}

static bool pattern_holds(const uint8_t *data, uint64_t pos, size_t len)
{
    for (size_t part; len > 0; data += part, pos += part, len -= part) {
        part = len < PERIOD ? len : PERIOD;
        if (memcmp(data, pattern + pos % PERIOD, part) != 0)
            return false;
    }
    return true;
}

/* Blocking peers, one thread for each direction. */
struct blocking_peer {
    int fd;
    uint64_t bytes;
    bool is_good;
};

static void *peer_write(void *argument)
{
    struct blocking_peer *peer = argument;
    uint8_t chunk[50000];
    peer->is_good = true;
    for (uint64_t pos = 0, len; pos < peer->bytes && peer->is_good; pos += len) {
        len = peer->bytes - pos < sizeof chunk ? peer->bytes - pos : sizeof chunk;
        pattern_write(chunk, pos, len);
        peer->is_good = send(peer->fd, chunk, len, MSG_NOSIGNAL) == (ssize_t)len;
    }
    return NULL;
}

static void *peer_read(void *argument)
{
    struct blocking_peer *peer = argument;
    uint8_t chunk[70000];
    ssize_t len = 1;
    peer->is_good = true;
    for (uint64_t pos = 0; pos < peer->bytes && len > 0; pos += (uint64_t)len) {
        len = recv(peer->fd, chunk, sizeof chunk, 0);
        peer->is_good &= len > 0 && pattern_holds(chunk, pos, (size_t)len);
    }
    return NULL;
}

/* Fills what room there is, up to the end. */
static void pump(int handle, uint64_t *pos, uint64_t end)
{
    uint8_t *to;
    size_t room;
    while (*pos < end && (room = net_send_space(rig_net, handle, &to)) > 0) {
        room = room < end - *pos ? room : end - *pos;
        room = room < 100003 ? room : 100003; /* several commits to a buffer */
        pattern_write(to, *pos, room);
        net_send_commit(rig_net, handle, room);
        *pos += room;
    }
}

EACH(carries_every_byte_both_ways_at_once)
{
    struct blocking_peer reader = {.bytes = BIG_BYTES}, writer = {.bytes = BIG_BYTES};
    uint64_t sent = 0, received = 0;
    pthread_t thread[2];
    int peer;
    if (!rig_open(backend))
        return;
    pattern_make();
    int handle = rig_pair(&peer);
    reader.fd = writer.fd = peer;
    cr_assert_eq(pthread_create(&thread[0], NULL, peer_read, &reader), 0);
    cr_assert_eq(pthread_create(&thread[1], NULL, peer_write, &writer), 0);
    while (sent < BIG_BYTES || received < BIG_BYTES || net_send_pending(rig_net, handle) > 0) {
        pump(handle, &sent, BIG_BYTES);
        struct net_event event = rig_next();
        cr_assert(event.kind == NET_RECEIVED || event.kind == NET_SENT, "event %d, %s", event.kind, strerror(-event.error));
        if (event.kind == NET_RECEIVED) {
            cr_assert(pattern_holds(event.data, received, event.len), "wrong bytes after %llu", (unsigned long long)received);
            received += event.len;
        }
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    cr_assert(reader.is_good, "the peer read other bytes");
    cr_assert(writer.is_good, "the peer could not write all");
    cr_assert_eq(received, BIG_BYTES);
    net_close(rig_net);
}

EACH(sends_what_was_committed_in_order_by_the_next_wait)
{
    char text[16] = "";
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    rig_commit(handle, "one ", 4);
    rig_commit(handle, "two ", 4);
    rig_commit(handle, "three", 5);
    cr_assert_eq(net_send_pending(rig_net, handle), 13);
    rig_expect(NET_SENT, handle);
    cr_assert_eq(net_send_pending(rig_net, handle), 0);
    cr_assert_eq(recv(peer, text, 13, MSG_WAITALL), 13);
    cr_assert_str_eq(text, "one two three");
    net_close(rig_net);
}

EACH(has_two_buffers_and_no_room_when_both_are_under_way)
{
    uint8_t *to;
    int peer;
    if (!rig_open(backend))
        return;
    int handle = rig_pair(&peer);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(net_send_space(rig_net, handle, &to), NET_SEND_BUFFER_BYTES);
        memset(to, 0, NET_SEND_BUFFER_BYTES);
        net_send_commit(rig_net, handle, NET_SEND_BUFFER_BYTES);
    }
    cr_assert_eq(net_send_space(rig_net, handle, &to), 0);
    cr_assert_eq(net_send_pending(rig_net, handle), 2 * NET_SEND_BUFFER_BYTES);
    net_close(rig_net);
}

EACH(holds_back_for_a_peer_that_reads_slowly_and_goes_on_when_it_reads)
{
    struct blocking_peer reader = {.bytes = 0};
    struct net_event event;
    uint64_t sent = 0;
    uint8_t *to;
    pthread_t thread;
    int peer;
    if (!rig_open(backend))
        return;
    pattern_make();
    int handle = rig_pair(&peer);
    do
        pump(handle, &sent, UINT64_MAX);
    while (rig_next_within(200 * CLOCK_NS_PER_MS, &event));
    cr_assert_eq(net_send_space(rig_net, handle, &to), 0);
    rig_expect_nothing();
    reader.fd = peer;
    reader.bytes = sent + 3 * NET_SEND_BUFFER_BYTES;
    cr_assert_eq(pthread_create(&thread, NULL, peer_read, &reader), 0);
    rig_expect(NET_SENT, handle);
    cr_assert_gt(net_send_space(rig_net, handle, &to), 0);
    while (sent < reader.bytes || net_send_pending(rig_net, handle) > 0) {
        pump(handle, &sent, reader.bytes);
        rig_expect(NET_SENT, handle);
    }
    pthread_join(thread, NULL);
    cr_assert(reader.is_good, "the peer read other bytes");
    net_close(rig_net);
}

EACH(what_was_received_stays_until_the_next_wait)
{
    static uint8_t many[4][60000];
    int peer[4], handle[4];
    size_t seen[4] = {0}, total = 0;
    if (!rig_open(backend))
        return;
    for (int i = 0; i < 4; i++)
        handle[i] = rig_pair(&peer[i]);
    for (int i = 0; i < 4; i++) {
        memset(many[i], 'a' + i, sizeof many[i]);
        cr_assert_eq(write(peer[i], many[i], sizeof many[i]), (ssize_t)sizeof many[i]);
    }
    while (total < sizeof many) {
        int count = net_wait(rig_net, PATIENCE, rig_events);
        cr_assert_gt(count, 0);
        for (int e = 0; e < count; e++) /* looked at only now that all of them are there, and the first ended */
            for (int i = 0; i < 4; i++)
                if (rig_events[e].handle == handle[i]) {
                    cr_assert_eq(rig_events[e].kind, NET_RECEIVED);
                    cr_assert_arr_eq(rig_events[e].data, many[i], rig_events[e].len);
                    seen[i] += rig_events[e].len;
                    total += rig_events[e].len;
                    if (seen[i] == sizeof many[i])
                        net_end(rig_net, handle[i]);
                }
    }
    net_close(rig_net);
}

/* One stream of a tag in each direction over a handle. */
static void tag_pump(int handle, int tag, size_t len_max)
{
    uint8_t *to;
    size_t room = net_send_space(rig_net, handle, &to);
    room = room < len_max ? room : len_max;
    memset(to ? to : (uint8_t[1]){0}, tag, room);
    net_send_commit(rig_net, handle, room);
}

static void tag_check(const struct net_event *event, int tag)
{
    bool is_same = event->data[0] == tag && memcmp(event->data, event->data + 1, event->len - 1) == 0;
    cr_assert(is_same, "bytes of another connection came on %d", tag);
}

/* A handle ends while the peer floods it and its own buffers are under way, and the next takes its slot at once: no byte, no event and no
 * buffer of the old one may show on the new one, here or at the peer. */
EACH(a_handle_ended_under_load_leaves_nothing_to_the_next)
{
    struct rig_peer peer;
    unsigned random = 12345;
    if (!rig_open(backend))
        return;
    rig_peer_start(&peer);
    for (int round = 0; round < 200; round++) {
        int tag = round % 250, handle = rig_connect(&peer.address, PATIENCE), connected = 0;
        cr_assert_geq(handle, 0, "%s", strerror(-handle));
        random = random * 1103515245 + 12345;
        for (unsigned events = 0, enough = 1 + (random >> 16) % 40; events < enough; events++) {
            struct net_event event = rig_next();
            cr_assert_eq(event.handle, handle, "an event of another handle");
            cr_assert_eq(event.kind == NET_CONNECTED, connected == 0, "event %d: %s", event.kind, strerror(-event.error));
            cr_assert(event.kind != NET_ENDED && event.kind != NET_FAILED, "%s", strerror(-event.error));
            connected = 1;
            if (event.kind == NET_RECEIVED)
                tag_check(&event, tag);
            tag_pump(handle, tag, NET_SEND_BUFFER_BYTES);
        }
        if (round % 3 == 0) /* with a submission that nobody has looked at yet */
            net_wait(rig_net, 0, rig_events);
        rig_event_at = rig_event_count = 0;
        net_end(rig_net, handle);
    }
    rig_expect_nothing();
    rig_peer_stop(&peer);
    cr_assert_eq(peer.wrong_count, 0, "the peer saw bytes of another connection %d times", peer.wrong_count);
    cr_assert_gt(peer.received_bytes, 0);
    net_close(rig_net);
}

/* A reader slower than its peers: only then have all of them more to read than there are buffers. */
static void read_slowly(const struct net_event *event)
{
    for (volatile size_t i = 0; i < 10 * event->len; i++) {
    }
}

EACH(fifty_connections_go_at_once_and_none_starves)
{
    enum { CONNS = 50 };
    const size_t enough = 1 << 18;
    struct rig_peer peer;
    int handle[CONNS], busy = CONNS;
    size_t received[CONNS] = {0};
    if (!rig_open(backend))
        return;
    rig_peer_start(&peer);
    for (int i = 0; i < CONNS; i++)
        cr_assert_geq(handle[i] = rig_connect(&peer.address, PATIENCE), 0);
    while (busy > 0) {
        struct net_event event = rig_next();
        int i = 0;
        while (i < CONNS && handle[i] != event.handle)
            i++;
        cr_assert_lt(i, CONNS, "an event of nobody's handle");
        cr_assert(event.kind != NET_ENDED && event.kind != NET_FAILED, "%s", strerror(-event.error));
        if (event.kind == NET_CONNECTED || event.kind == NET_SENT)
            tag_pump(handle[i], i, 30000);
        if (event.kind != NET_RECEIVED)
            continue;
        tag_check(&event, i);
        read_slowly(&event);
        cr_assert_lt(received[i], 500 * enough, "connection %d starves the others", i);
        busy -= received[i] < enough && received[i] + event.len >= enough;
        received[i] += event.len;
    }
    rig_peer_stop(&peer);
    cr_assert_eq(peer.wrong_count, 0);
    net_close(rig_net);
}

EACH(closes_with_everything_under_way)
{
    struct rig_peer peer;
    int handle[8];
    if (!rig_open(backend))
        return;
    rig_peer_start(&peer);
    for (int i = 0; i < 8; i++)
        handle[i] = rig_connect(&peer.address, PATIENCE);
    cr_assert_geq(net_watch(rig_net, eventfd(0, 0)), 0);
    for (int n = 0; n < 100; n++) {
        struct net_event event = rig_next();
        for (int i = 0; i < 8; i++)
            if (handle[i] == event.handle)
                tag_pump(handle[i], i, NET_SEND_BUFFER_BYTES);
    }
    net_close(rig_net);
    uint8_t *reused[16]; /* where the buffers lay: the kernel must not write or send from there any more */
    for (int i = 0; i < 16; i++)
        memset(reused[i] = malloc(NET_SEND_BUFFER_BYTES), 255, NET_SEND_BUFFER_BYTES);
    rig_peer_stop(&peer);
    cr_assert_eq(peer.wrong_count, 0);
    for (int i = 0; i < 16; i++)
        free(reused[i]);
}
