/* AMQP over WebSocket with real sockets and a raw client: the upgrade and its refusals, frames cut anywhere, closing. */
#include "tests/hub_ws_client.h"

TestSuite(hub_ws, .timeout = 60);

#define HEAD(line, upgrade, connection, version, key, protocol) line "\r\nHost: x\r\n" upgrade connection version key protocol "\r\n"
#define LINE "GET /$servicebus/websocket HTTP/1.1"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: AMQPWSB10\r\n"

static const struct {
    const char *head;
    int status;
    const char *says;
} heads[] = {
    {WS_HEAD, 101, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"},
    {HEAD("GET /$servicebus/websocket/ HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 101, "Protocol: AMQPWSB10\r\n"},
    {HEAD("GET /$servicebus/websocket?x=1&y HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 101, "Upgrade: websocket\r\n"},
    {HEAD("GET /$servicebus/websocket/?x HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 101, "Connection: Upgrade\r\n"},
    {HEAD("GET https://h:1/$servicebus/websocket HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 101, "101"},
    {HEAD(LINE, "uPGRADE:WebSocket\r\n", "connection:  keep-alive, UPGRADE \r\n", VERSION, KEY, PROTOCOL), 101, "101"},
    {HEAD(LINE, "Upgrade: h2c\r\n" UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 101, "101"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, "Sec-WebSocket-Protocol: mqtt, amqp, AMQPWSB10\r\n"), 101, "Protocol: amqp\r\n"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, "Sec-WebSocket-Protocol: mqtt\r\n" PROTOCOL), 101, "Protocol: AMQPWSB10\r\n"},
    {HEAD("GET / HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 404, "nothing here but /$servicebus/websocket"},
    {HEAD("GET /$servicebus/websockets HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 404, "nothing here"},
    {HEAD("POST /$servicebus/websocket HTTP/1.1", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 405, "GET"},
    {HEAD("GET /$servicebus/websocket HTTP/1.0", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 400, "HTTP/1.1"},
    {HEAD("GET /$servicebus/websocket", UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL), 400, "first line"},
    {HEAD(LINE, "", CONNECTION, VERSION, KEY, PROTOCOL), 426, "Upgrade: websocket"},
    {HEAD(LINE, UPGRADE, "Connection: close\r\n", VERSION, KEY, PROTOCOL), 400, "Connection"},
    {HEAD(LINE, UPGRADE, CONNECTION, "Sec-WebSocket-Version: 8\r\n", KEY, PROTOCOL), 426, "13"},
    {HEAD(LINE, UPGRADE, CONNECTION, "", KEY, PROTOCOL), 426, "13"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, "", PROTOCOL), 400, "Sec-WebSocket-Key"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, "Sec-WebSocket-Key: c2hvcnQ=\r\n", PROTOCOL), 400, "Sec-WebSocket-Key"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY KEY, PROTOCOL), 400, "twice"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, ""), 400, "neither AMQPWSB10 nor amqp"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, "Sec-WebSocket-Protocol: mqtt, AMQPWSB1\r\n"), 400, "neither"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL "Host: y\r\n"), 400, "Host"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL "Content-Length: 5\r\n"), 400, "no body"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL "no colon\r\n"), 400, "header line"},
    {HEAD(LINE, UPGRADE, CONNECTION, VERSION, KEY, PROTOCOL "Folded: a\r\n b\r\n"), 400, "header line"},
    {LINE "\r\n" UPGRADE CONNECTION VERSION KEY PROTOCOL "\r\n", 400, "no header Host"},
    {"AMQP\3\1", 400, "no HTTP request"},
    {"\x16\3\1\2", 400, "no HTTP request"},
};

Test(hub_ws, upgrades_are_accepted_or_refused_with_the_reason_however_the_head_is_cut)
{
    struct loop l;
    unsigned refused = 0;

    loop_open(&l);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t len = strlen(heads[i].head);
        for (size_t piece = 0; piece < 2; piece++)
            expect_status(&l, heads[i].head, len, piece, heads[i].status, heads[i].says);
        refused += heads[i].status == 101 ? 0 : 2;
    }
    cr_expect_eq(l.r.broker.upgrades_refused, refused);
    cr_expect_eq(l.r.broker.connections_by[HUB_TRANSPORT_WS], 2 * sizeof heads / sizeof *heads);
    cr_expect_eq(l.r.broker.connections_by[HUB_TRANSPORT_AMQP], 1);
    loop_close(&l);
}

Test(hub_ws, a_head_may_have_8192_bytes_and_not_one_more)
{
    static const char end[] = "\r\n\r\n";
    static char head[8300];
    struct loop l;

    loop_open(&l);
    for (size_t len = 8191; len <= 8193; len++) {
        snprintf(head, sizeof head, "%.*s\r\nX: ", (int)(strlen(WS_HEAD) - 4), WS_HEAD);
        memset(head + strlen(head), 'x', len - strlen(head));
        memcpy(head + len - 4, end, sizeof end);
        expect_status(&l, head, len, 0, len > 8192 ? 431 : 101, len > 8192 ? "8192 bytes" : "101");
        expect_status(&l, head, len, 1000, len > 8192 ? 431 : 101, len > 8192 ? "8192 bytes" : "101");
    }
    loop_close(&l);
}

Test(hub_ws, a_head_that_does_not_come_in_time_is_answered_408)
{
    struct loop l;
    struct socket s;
    char answer[2048];

    ws_open(&l, &s, NULL);
    l.r.limits.token_wait_ms = 100;
    socket_write(&s, WS_HEAD, 50, 0);
    answer_read(&s, answer, sizeof answer);
    cr_expect_eq(strncmp(answer, "HTTP/1.1 408 ", 13), 0, "%s", answer);
    await_end(&s);
    ws_close(&l, &s);
}

Test(hub_ws, events_arrive_however_messages_and_the_stream_are_cut)
{
    static const size_t messages[] = {0, 1, 2, 7, 125, 126, 300}, pieces[] = {0, 1, 3, 4096};
    struct loop l;
    struct socket s;
    unsigned sent = 0;

    loop_open(&l);
    l.r.fd = -1;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
            socket_open(&s, &l);
            upgrade(&s);
            expect_event(&s, messages[i], pieces[k]);
            cr_expect_eq(rig_stored(&l.r), ++sent);
            socket_close(&s);
            l.r.in.head = l.r.in.len = 0;
        }
    }
    loop_close(&l);
}

Test(hub_ws, large_events_go_in_frames_of_every_length_form)
{
    static uint8_t body[150000];
    struct loop l;
    struct socket s;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    put_sender(&l.r);
    rig_send(&s, 0, 0);
    cr_assert(await(&s, HUB_FLOW));
    rig_put_event(&l.r, 0, 0, body, sizeof body);
    rig_send(&s, 0, 0);
    cr_assert(await(&s, HUB_DISPOSITION));
    rig_put_event(&l.r, 0, 1, body, sizeof body);
    rig_send(&s, 60000, 0);
    cr_assert(await(&s, HUB_DISPOSITION));
    cr_expect_eq(rig_stored(&l.r), 2);
    rig_put_attach(&l.r, 1, true, "hub1/ConsumerGroups/$Default/Partitions/0", "amqp.annotation.x-opt-offset > '-1'", -1);
    rig_put_attach(&l.r, 2, true, "hub1/ConsumerGroups/$Default/Partitions/1", "amqp.annotation.x-opt-offset > '-1'", -1);
    rig_put_credit(&l.r, 1, 0, 10, false);
    rig_put_credit(&l.r, 2, 0, 10, false);
    rig_send(&s, 0, 0);
    uint64_t before = s.amqp_bytes;
    for (int i = 0; i < TURNS_MAX && s.amqp_bytes - before < 2 * sizeof body; i++)
        frames_take(&s);
    cr_expect_geq(s.amqp_bytes - before, 2 * sizeof body, "%llu bytes came back", (unsigned long long)(s.amqp_bytes - before));
    cr_expect_gt(s.frame_len_max, UINT16_MAX / 2);
    ws_close(&l, &s);
}

Test(hub_ws, fragments_and_pings_between_them_are_understood_and_pings_are_answered)
{
    struct loop l;
    struct socket s;
    struct ws_frame f;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    put_sender(&l.r);
    const uint8_t *bytes = l.r.out.data;
    size_t len = l.r.out.len;
    socket_frame(&s, WS_BINARY, true, bytes, 5);
    socket_frame(&s, 0x80 | WS_PING, true, "are you there", 13);
    socket_frame(&s, WS_CONTINUATION, true, bytes + 5, 0);
    socket_frame(&s, 0x80 | WS_PONG, true, "unasked", 7);
    socket_frame(&s, WS_CONTINUATION, true, bytes + 5, 100);
    socket_frame(&s, 0x80 | WS_CONTINUATION, true, bytes + 105, len - 105);
    for (int i = 0; i < TURNS_MAX && hub_buf_used(&s.in) < 2; i++)
        socket_read(&s);
    bool ponged = false;
    hub_buf_take(&l.r.out, len);
    for (int i = 0; i < TURNS_MAX && !ponged; i++) {
        while (ws_take_frame(&s.in, &f)) {
            if (f.opcode == WS_PONG)
                ponged = f.len == 13 && memcmp(f.payload, "are you there", 13) == 0;
            else
                frame_note(&s, &f);
        }
        socket_read(&s);
    }
    cr_expect(ponged, "no pong with the ping's payload");
    cr_expect(await(&s, HUB_FLOW));
    ws_close(&l, &s);
}

Test(hub_ws, what_breaks_the_protocol_is_closed_with_its_code)
{
    static const struct {
        const char *what;
        uint8_t first;
        bool masked;
        const char *payload;
        int code;
    } rows[] = {
        {"text", 0x80 | WS_TEXT, true, "hello", 1003},
        {"text that is no UTF-8", 0x80 | WS_TEXT, true, "\xff\xff", 1003},
        {"an unmasked frame", 0x80 | WS_BINARY, false, "AMQP\3\1\0", 1002},
        {"a reserved bit", 0xc0 | WS_BINARY, true, "AMQP", 1002},
        {"a continuation of nothing", 0x80 | WS_CONTINUATION, true, "AMQP", 1002},
        {"an unknown opcode", 0x80 | 3, true, "AMQP", 1002},
        {"a close code that is none", 0x80 | WS_CLOSE, true, "\x03\xe7", 1002},
        {"a close reason that is no UTF-8", 0x80 | WS_CLOSE, true, "\x03\xe8\xff", 1007},
    };
    struct loop l;
    struct socket s;

    loop_open(&l);
    l.r.fd = -1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        socket_open(&s, &l);
        upgrade(&s);
        socket_frame(&s, rows[i].first, rows[i].masked, rows[i].payload, strlen(rows[i].payload));
        await_close_frame(&s);
        cr_expect_eq(s.close_code, rows[i].code, "%s: %d", rows[i].what, s.close_code);
        await_end(&s);
        socket_close(&s);
    }
    loop_close(&l);
}

Test(hub_ws, a_ping_longer_than_control_frames_may_be_ends_the_socket)
{
    static const char payload[126];
    struct loop l;
    struct socket s;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    socket_frame(&s, 0x80 | WS_PING, true, payload, sizeof payload);
    await_end(&s);
    cr_expect_geq(s.close_code, 0, "no close frame");
    ws_close(&l, &s);
}

Test(hub_ws, a_close_frame_of_the_peer_is_answered_with_its_code_and_the_socket_closed)
{
    struct loop l;
    struct socket s;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    expect_event(&s, 0, 0);
    socket_frame(&s, 0x80 | WS_CLOSE, true, "\x0f\xa0gone", 6);
    await_end(&s);
    cr_expect_eq(s.close_code, 4000);
    cr_expect_null(l.r.broker.conns, "the connection is still there");
    ws_close(&l, &s);
}

Test(hub_ws, a_close_of_amqp_is_answered_and_then_the_websocket_is_closed)
{
    struct loop l;
    struct socket s;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    expect_event(&s, 0, 0);
    hub_put_close(&l.r.out, NULL);
    rig_send(&s, 0, 0);
    cr_expect(await(&s, HUB_CLOSE), "no close of AMQP");
    await_close_frame(&s);
    cr_expect_eq(s.close_code, 1000);
    cr_expect_not(s.ended, "the hub did not wait for the answer to its close frame");
    socket_frame(&s, 0x80 | WS_CLOSE, true, "\x03\xe8", 2);
    await_end(&s);
    ws_close(&l, &s);
}

Test(hub_ws, an_error_that_ends_the_connection_is_told_before_the_websocket_is_closed)
{
    struct loop l;
    struct socket s;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    expect_event(&s, 0, 0);
    rig_play(&l.r, "close condition=amqp:connection:forced");
    cr_expect(await(&s, HUB_CLOSE), "no close of AMQP");
    cr_expect_str_eq(rig_condition(&l.r, 0), "amqp:connection:forced");
    await_close_frame(&s);
    cr_expect_eq(s.close_code, 1000);
    ws_close(&l, &s);
}
