/* Any bytes from the peer: mutations of a recorded session, and noise, into the connection and into its trace. It may end, never crash,
 * hang, or settle what was not sent; a line of the trace is bounded text. fuzz_conn [SECONDS [SEED]] */
#include <assert.h>
#include <inttypes.h>
#include <time.h>

#include "conn_peer.h"
#include "shipper/trace.h"

#define SENDS 6
#define STREAM_MAX 65536
#define EVENTS_MAX 2000

static uint64_t state, lines;
static uint8_t payload[200000];

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state * UINT64_C(0x2545F4914F6CDD1D) >> 33) % below;
}

/* What the application does on what it hears, the same in the recording and in each run. */
struct player {
    struct conn *conn;
    int link[2];
    uint64_t sent;
    bool settled[SENDS];
    bool handed[SENDS];
    bool over;
    int events;
};

static void player_open(struct player *player)
{
    memset(player, 0, sizeof *player);
    player->link[0] = player->link[1] = -1;
    struct conn_options options = {.container_id = "fuzz", .hostname = "localhost", .product = "ehring", .version = "0"};
    assert(conn_open(&options, &player->conn) == 0);
    conn_put_token(player->conn, "jwt", "sb://localhost/hub1", "token", 1700000000);
}

static void player_send(struct player *player, int which)
{
    static const size_t sizes[SENDS] = {10, 70000, 0, 300, 150000, 5};
    if (player->sent >= SENDS || which < 0)
        return;
    uint64_t tag = player->sent;
    if (conn_send(player->conn, player->link[which], tag, tag % 2 ? CONN_FORMAT_BATCH : CONN_FORMAT_SINGLE, payload, sizes[tag]) == 0)
        player->sent++;
}

static void player_turn(struct player *player)
{
    struct conn_event event;
    while (conn_next_event(player->conn, &event)) {
        assert(++player->events < EVENTS_MAX);
        assert(memchr(event.condition, 0, sizeof event.condition) && memchr(event.description, 0, sizeof event.description));
        int which = event.link >= 0 && event.link == player->link[0] ? 0 : event.link >= 0 && event.link == player->link[1] ? 1 : -1;
        switch (event.kind) {
        case CONN_OPENED:
            break;
        case CONN_TOKEN:
            conn_read_hub(player->conn, "hub1", "token");
            break;
        case CONN_HUB:
            player->link[0] = conn_link_open(player->conn, "hub1/Partitions/0");
            player->link[1] = conn_link_open(player->conn, "hub1/Partitions/1");
            break;
        case CONN_LINK_READY:
        case CONN_PROGRESS:
            break;
        case CONN_LINK_CREDIT:
            player_send(player, which);
            break;
        case CONN_SENT:
            assert(event.tag < player->sent && !player->handed[event.tag]);
            player->handed[event.tag] = true;
            break;
        case CONN_SETTLED:
            assert(event.tag < player->sent && player->handed[event.tag] && !player->settled[event.tag]);
            player->settled[event.tag] = true;
            player_send(player, which);
            break;
        case CONN_LINK_ENDED:
            assert(which >= 0);
            player->link[which] = -1;
            if (player->sent >= SENDS)
                conn_close(player->conn);
            break;
        case CONN_CLOSED:
            assert(!player->over);
            player->over = true;
            break;
        }
    }
}

/* A whole session against the scripted peer. Returns the peer's bytes. */
static size_t record(uint8_t *to)
{
    struct peer peer;
    struct player player;
    peer_open(&peer);
    peer_record(&peer, 1 << 20);
    peer.outcome = PEER_ACCEPT;
    player_open(&player);
    for (int turn = 0; turn < 40 && !player.over; turn++) {
        peer_pump(&peer, player.conn, 1 << 20);
        player_turn(&player);
        peer.outcome = turn % 2 ? PEER_REJECT : PEER_MODIFY_HERE;
        if (turn == 12 && peer.last_link) {
            pn_condition_set_name(pn_link_condition(peer.last_link), "amqp:link:detach-forced");
            pn_condition_set_description(pn_link_condition(peer.last_link), "idle");
            pn_link_close(peer.last_link);
        }
    }
    assert(player.over && player.sent == SENDS);
    for (int i = 0; i < SENDS; i++)
        assert(player.settled[i]);
    size_t len = peer.sent_len;
    assert(len > 0 && len < STREAM_MAX / 2);
    memcpy(to, peer.sent, len);
    conn_free(player.conn);
    peer_free(&peer);
    return len;
}

static size_t mutate_once(uint8_t *stream, size_t len)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x40, 0x43, 0x45, 0x53, 0x70, 0x7f, 0x80, 0xa0, 0xb0, 0xc0, 0xd0, 0xd1, 0xf0, 0xff};
    size_t at = draw(len), span = 1 + draw(24), from = draw(len);
    if (span > len - at)
        span = len - at;
    switch (draw(6)) {
    case 0:
        stream[at] ^= (uint8_t)(1u << draw(8));
        return len;
    case 1:
        stream[at] = telling[draw(sizeof telling)];
        return len;
    case 2:
        memset(stream + at, telling[draw(sizeof telling)], span);
        return len;
    case 3:
        memmove(stream + at, stream + at + span, len - at - span);
        return len - span > 0 ? len - span : len;
    case 4: /* a piece of elsewhere over this one */
        if (span > len - from)
            span = len - from;
        memmove(stream + at, stream + from, span);
        return len;
    default: /* or before it */
        if (len + span > STREAM_MAX)
            return len;
        memmove(stream + at + span, stream + at, len - at);
        memmove(stream + at, stream + from, span < len - from ? span : len - from);
        return len + span;
    }
}

static void trace_step(struct trace *trace, const uint8_t *data, size_t len)
{
    struct trace_line line;
    while (len > 0) {
        size_t taken = trace_take(trace, TRACE_RECEIVED, data, len, &line);
        assert(taken > 0 && taken <= len);
        data += taken;
        len -= taken;
        if (!line.what)
            continue;
        lines++;
        assert(strlen(line.what) < 40 && strlen(line.fields) < TRACE_FIELDS_BYTES_MAX);
        for (const char *at = line.fields; *at != '\0'; at++)
            assert((unsigned char)*at >= ' ' && *at != 0x7f);
    }
}

static void run(const uint8_t *stream, size_t len)
{
    struct trace *trace;
    struct player player;
    const uint8_t *data;
    player_open(&player);
    assert(trace_open(&trace) == 0);
    int64_t now_ms = 1000;
    for (size_t at = 0; at < len;) {
        size_t step = draw(4) ? 1 + draw(2000) : 1 + draw(16);
        if (step > len - at)
            step = len - at;
        trace_step(trace, stream + at, step);
        int ret = conn_input(player.conn, stream + at, step);
        assert(ret <= 0);
        at += step;
        size_t out;
        while ((out = conn_output(player.conn, &data)) > 0)
            conn_output_done(player.conn, draw(8) ? out : 1 + draw(out));
        player_turn(&player);
        if (draw(16) == 0)
            conn_tick(player.conn, now_ms += (int64_t)draw(20000));
        if (draw(40) == 0)
            conn_send_abort(player.conn, player.link[draw(2)]);
    }
    if (draw(2)) {
        conn_input_end(player.conn);
        player_turn(&player);
        assert(player.over);
    }
    conn_free(player.conn);
    trace_close(trace);
}

int main(int argc, char **argv)
{
    static uint8_t recorded[STREAM_MAX], stream[STREAM_MAX];
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, runs = 0;
    struct timespec start, now;
    size_t recorded_len = record(recorded);
    run(recorded, recorded_len);
    printf("seed %" PRIu64 ", recorded %zu bytes\n", seed, recorded_len);
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        state = (seed + runs) * UINT64_C(0x9E3779B97F4A7C15) | 1;
        size_t len = recorded_len;
        memcpy(stream, recorded, len);
        if (draw(20) == 0) { /* noise behind a good beginning */
            for (size_t at = draw(len); at < len; at++)
                stream[at] = (uint8_t)draw(256);
        }
        for (uint64_t i = 1 + draw(6); i > 0; i--)
            len = mutate_once(stream, len);
        run(stream, len);
        runs++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    printf("%" PRIu64 " runs, %" PRIu64 " lines of trace\n", runs, lines);
    return 0;
}
