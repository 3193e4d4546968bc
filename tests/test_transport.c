/* The stack of a connection as a whole: every combination of proxy, TLS and WebSocket carries AMQP to a scripted peer, cut anywhere, and
 * says which layer it was that failed. */
#include <criterion/criterion.h>

#include <errno.h>

#include "shipper/transport.h"
#include "tests/conn_rig.h"
#include "tests/tls_rig.h"
#include "tests/websocket_peer.h"

#define HOST "contoso.servicebus.windows.net"
#define QUEUE_BYTES (1u << 22)

/* The far side: what a proxy, a TLS server and a WebSocket server do between the wire and the AMQP peer. */
static struct {
    bool has_proxy, has_tls, has_websocket;
    bool tunnelled, upgraded;
    bool is_mute; /* the WebSocket server does not answer */
    const char *proxy_answer;
    char connect[1024], upgrade[1024];
    size_t connect_len, upgrade_len;
    uint8_t frames[1u << 19];
    size_t frames_len, frame_count, frame_bytes_max;
    uint8_t last_opcode;
    uint8_t wire[QUEUE_BYTES]; /* for the client */
    size_t wire_len, wire_sent;
} far;
static struct authority ours;
static struct transport_way way;
static struct transport *transport;
static struct door door;
static char why[1200];

static void suite_open(void)
{
    rig_open();
    authority_make(&ours, "Our Test CA");
}

static void suite_close(void)
{
    transport_close(transport);
    transport_way_close(&way);
    SSL_free(server.ssl);
    SSL_CTX_free(server.ctx);
    authority_free(&ours);
    rig_close();
}

TestSuite(transport, .init = suite_open, .fini = suite_close);

/* ---- the far side ---- */

static void far_wire(const void *data, size_t len)
{
    cr_assert_leq(far.wire_len + len, sizeof far.wire);
    memcpy(far.wire + far.wire_len, data, len);
    far.wire_len += len;
}

static void far_flush(void)
{
    uint8_t bytes[16384];
    for (int got; far.has_tls && (got = BIO_read(server.out, bytes, sizeof bytes)) > 0;)
        far_wire(bytes, (size_t)got);
}

static void far_plain_out(const void *data, size_t len)
{
    if (far.has_tls)
        cr_assert_eq(SSL_write(server.ssl, data, (int)len), (int)len);
    else
        far_wire(data, len);
    far_flush();
}

/* Frames of changing sizes, a ping now and then. */
static void far_amqp_out(const uint8_t *data, size_t len)
{
    static uint8_t frame[70000];
    static size_t turn;
    if (!far.has_websocket) {
        far_plain_out(data, len);
        return;
    }
    while (len > 0) {
        size_t part = (turn++ * 7919) % 300 + 1;
        part = part < len ? part : len;
        far_plain_out(frame, ws_frame(frame, 0x82, data, part));
        if (turn % 5 == 0)
            far_plain_out(frame, ws_frame(frame, 0x89, "ping", 4));
        data += part;
        len -= part;
    }
}

/* Up to the end of a head in `text`: how many bytes were taken; *whole: it is there. */
static size_t far_head(char *text, size_t *text_len, const uint8_t *data, size_t len, bool *whole)
{
    size_t taken = 0;
    *whole = false;
    while (taken < len && !*whole) {
        cr_assert_lt(*text_len, 1023);
        text[(*text_len)++] = (char)data[taken++];
        text[*text_len] = '\0';
        *whole = *text_len >= 4 && strcmp(text + *text_len - 4, "\r\n\r\n") == 0;
    }
    return taken;
}

static void far_frames_in(const uint8_t *data, size_t len)
{
    uint8_t *payload;
    size_t payload_len, whole, at = 0;
    cr_assert_leq(far.frames_len + len, sizeof far.frames);
    memcpy(far.frames + far.frames_len, data, len);
    far.frames_len += len;
    while ((whole = ws_take(far.frames + at, far.frames_len - at, &far.last_opcode, &payload, &payload_len)) > 0) {
        far.frame_count++;
        if (whole > far.frame_bytes_max)
            far.frame_bytes_max = whole;
        if (far.last_opcode == 0x82)
            peer_input(&peer, payload, payload_len);
        at += whole;
    }
    memmove(far.frames, far.frames + at, far.frames_len - at);
    far.frames_len -= at;
}

static void far_plain_in(const uint8_t *data, size_t len)
{
    char answer[512];
    bool whole;
    if (far.is_mute)
        return;
    if (far.has_websocket && !far.upgraded) {
        size_t taken = far_head(far.upgrade, &far.upgrade_len, data, len, &whole);
        data += taken;
        len -= taken;
        if (!whole)
            return;
        far.upgraded = true;
        far_plain_out(answer, ws_answer(far.upgrade, answer, sizeof answer));
    }
    if (far.has_websocket)
        far_frames_in(data, len);
    else
        peer_input(&peer, data, len);
}

static void far_in(const uint8_t *data, size_t len)
{
    static uint8_t plain[65536];
    bool whole;
    if (far.has_proxy && !far.tunnelled) {
        size_t taken = far_head(far.connect, &far.connect_len, data, len, &whole);
        data += taken;
        len -= taken;
        if (!whole)
            return;
        far.tunnelled = true;
        far_wire(far.proxy_answer, strlen(far.proxy_answer));
    }
    if (!far.has_tls) {
        far_plain_in(data, len);
        return;
    }
    BIO_write(server.in, data, (int)len);
    int got;
    while ((got = SSL_read(server.ssl, plain, sizeof plain)) > 0)
        far_plain_in(plain, (size_t)got);
    far_flush();
}

static void far_out(void)
{
    peer_turn(&peer);
    for (pn_bytes_t out; (far.has_websocket ? far.upgraded : true) && (out = pn_connection_driver_write_buffer(&peer.driver)).size > 0;) {
        far_amqp_out((const uint8_t *)out.start, out.size);
        pn_connection_driver_write_done(&peer.driver, out.size);
        peer_turn(&peer);
    }
}

/* ---- both ---- */

static void dial(bool proxy, bool tls, bool websocket)
{
    transport_close(transport);
    transport_way_close(&way);
    transport = NULL;
    memset(&far, 0, sizeof far);
    far.has_proxy = proxy;
    far.has_tls = tls;
    far.has_websocket = websocket;
    far.proxy_answer = "HTTP/1.1 200 OK\r\n\r\n";
    door = (struct door){.plain = !tls,
                         .transport = websocket ? DOOR_TRANSPORT_WEBSOCKET : DOOR_TRANSPORT_AMQP,
                         .proxy = proxy ? DOOR_PROXY_GIVEN : DOOR_PROXY_NONE,
                         .proxy_port = 3128};
    strcpy(door.connstr.host, HOST);
    strcpy(door.ca_file, ours.file);
    strcpy(door.proxy_host, "proxy.example");
    if (tls) {
        SSL_free(server.ssl);
        SSL_CTX_free(server.ctx);
        serve(&ours, "DNS:" HOST, -DAY, DAY);
    }
}

static void begin(void)
{
    cr_assert_eq(transport_way_open(&door, &way, why, sizeof why), 0, "%s", why);
    cr_assert_eq(transport_open(&way, &door, &transport, why, sizeof why), 0, "%s", why);
}

/* Both ways until nothing moves, at most `step` bytes at a time. What transport_input said last. */
static int pump(size_t step)
{
    static uint8_t bytes[1u << 18];
    int ret = 0;
    for (bool any = true; any && ret == 0;) {
        any = false;
        for (size_t len; (len = transport_output(transport, conn, bytes, step < sizeof bytes ? step : sizeof bytes)) > 0; any = true)
            far_in(bytes, len);
        if (!far.has_proxy || far.tunnelled)
            far_out();
        while (far.wire_sent < far.wire_len && ret == 0) {
            size_t len = far.wire_len - far.wire_sent;
            len = len < step ? len : step;
            ret = transport_input(transport, conn, far.wire + far.wire_sent, len);
            far.wire_sent += len;
            any = true;
        }
        if (far.wire_sent == far.wire_len)
            far.wire_sent = far.wire_len = 0;
    }
    return ret;
}

/* A connection whose bytes nobody has seen yet. */
static void engine_again(void)
{
    rig_close();
    rig_open();
}

Test(transport, carries_amqp_through_every_stack_however_it_is_cut)
{
    static const size_t steps[] = {1, 3, 100, 1000, WHOLE};
    static uint8_t body[200000];
    memset(body, 'x', sizeof body);
    for (int kind = 0; kind < 8; kind++)
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            engine_again();
            dial(kind & 1, kind & 2, kind & 4);
            begin();
            cr_assert_eq(pump(steps[i]), 0, "%s", transport_error(transport));
            cr_assert_eq(transport_stage(transport), TRANSPORT_UP, "kind %d by %zu: %s", kind, steps[i], transport_error(transport));
            cr_assert(await(CONN_OPENED), "kind %d by %zu", kind, steps[i]);
            int link = conn_link_open(conn, "orders");
            peer.outcome = PEER_ACCEPT;
            cr_assert_eq(pump(steps[i]), 0);
            cr_assert(await(CONN_LINK_CREDIT), "kind %d by %zu", kind, steps[i]);
            size_t len = steps[i] < 100 ? 3000 : sizeof body;
            cr_assert_eq(conn_send(conn, link, 7, CONN_FORMAT_SINGLE, body, len), 0);
            cr_assert_eq(pump(steps[i]), 0);
            cr_assert(await(CONN_SETTLED), "kind %d by %zu", kind, steps[i]);
            cr_assert_eq(event.outcome, CONN_ACCEPTED);
            cr_assert_eq(peer.message_len, len, "kind %d by %zu", kind, steps[i]);
            cr_assert_leq(far.frame_bytes_max, 65536);
        }
}

Test(transport, names_the_peer_whatever_the_address)
{
    struct transport_seen seen;
    dial(true, true, true);
    strcpy(door.endpoint_host, "10.1.2.3");
    strcpy(door.proxy_user, "u");
    strcpy(door.proxy_password, "p");
    begin();
    cr_assert_str_eq(transport_way_host(&way, &door), "proxy.example");
    cr_assert_eq(transport_way_port(&way, &door), 3128);
    cr_assert_eq(pump(WHOLE), 0);
    cr_assert_eq(strncmp(far.connect, "CONNECT 10.1.2.3:443 HTTP/1.1\r\n", 31), 0, "%s", far.connect);
    cr_assert(strstr(far.connect, "Proxy-Authorization: Basic dTpw\r\n"));
    cr_assert(strstr(far.upgrade, "\r\nHost: " HOST "\r\n"), "%s", far.upgrade);
    cr_assert_str_eq(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), HOST);
    transport_print_seen(transport, &seen);
    cr_assert_str_eq(seen.proxy, "200 OK");
    cr_assert_str_eq(seen.websocket, "101 Switching Protocols");
    cr_assert(strstr(seen.tls, "TLSv1.3"));
    cr_assert(strstr(seen.certificate, "by \"CN = Our Test CA\""), "%s", seen.certificate);
}

Test(transport, dials_the_endpoint_without_a_proxy)
{
    dial(false, true, false);
    strcpy(door.endpoint_host, "10.1.2.3");
    begin();
    cr_assert_str_eq(transport_way_host(&way, &door), "10.1.2.3");
    cr_assert_eq(transport_way_port(&way, &door), 5671);
    door.endpoint_port = 7777;
    cr_assert_eq(transport_way_port(&way, &door), 7777);
}

Test(transport, takes_the_proxy_from_the_environment)
{
    dial(false, true, false);
    door.proxy = DOOR_PROXY_AUTO;
    setenv("https_proxy", "http://eu%40x:pw@envproxy.example:8080", 1);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    begin();
    cr_assert_str_eq(transport_way_host(&way, &door), "envproxy.example");
    cr_assert_str_eq(way.proxy.user, "eu@x");
    cr_assert_eq(transport_stage(transport), TRANSPORT_PROXY);
    setenv("no_proxy", ".windows.net", 1);
    transport_way_close(&way);
    cr_assert_eq(transport_way_open(&door, &way, why, sizeof why), 0, "%s", why);
    cr_assert_str_eq(transport_way_host(&way, &door), HOST);
    unsetenv("no_proxy");
    setenv("https_proxy", "https://u:hunter2@envproxy.example", 1);
    transport_way_close(&way);
    cr_assert_eq(transport_way_open(&door, &way, why, sizeof why), -EPROTONOSUPPORT);
    cr_assert(strstr(why, "environment variable https_proxy"), "%s", why);
    unsetenv("https_proxy");
}

Test(transport, refuses_a_proxy_user_that_basic_cannot_carry)
{
    dial(true, false, false);
    strcpy(door.proxy_user, "a:b");
    cr_assert_eq(transport_way_open(&door, &way, why, sizeof why), -EINVAL);
    cr_assert(strstr(why, "colon"), "%s", why);
}

static void fails(enum transport_stage stage, int code, const char *what, const char *words)
{
    cr_assert_eq(transport_error_code(transport), code, "%d: %s", transport_error_code(transport), transport_error(transport));
    cr_assert_eq(transport_stage(transport), stage);
    cr_assert_str_eq(transport_what(transport), what);
    cr_assert(strstr(transport_error(transport), words), "%s: no \"%s\"", transport_error(transport), words);
    cr_assert_eq(transport_input(transport, conn, (const uint8_t *)"x", 1), code);
    cr_assert_eq(transport_output(transport, conn, far.wire, 1000), 0);
}

Test(transport, says_that_it_was_the_proxy)
{
    dial(true, true, true);
    far.proxy_answer = "HTTP/1.1 407 No\r\n\r\n";
    begin();
    cr_assert_eq(pump(5), -EACCES);
    fails(TRANSPORT_PROXY, -EACCES, "the proxy gives no connection", "proxy proxy.example:3128 wants a user and a password");
}

Test(transport, says_that_it_was_tls)
{
    dial(true, true, true);
    SSL_free(server.ssl);
    SSL_CTX_free(server.ctx);
    serve(&ours, "DNS:other.example", -DAY, DAY);
    begin();
    cr_assert_lt(pump(WHOLE), 0);
    fails(TRANSPORT_TLS, -EPROTO, "TLS failed", "certificate is for another host: expected " HOST);
}

static void answer_upgrade(const char *answer)
{
    dial(false, true, true);
    begin();
    far.is_mute = true; /* what is fed here comes instead */
    pump(WHOLE);
    cr_assert_eq(transport_stage(transport), TRANSPORT_WEBSOCKET);
    far_plain_out(answer, strlen(answer));
}

Test(transport, says_that_it_was_the_websocket)
{
    answer_upgrade("HTTP/1.1 404 Not Found\r\n\r\n");
    cr_assert_eq(pump(WHOLE), -ECONNREFUSED);
    fails(TRANSPORT_WEBSOCKET, -ECONNREFUSED, "WebSocket failed", HOST " refuses the WebSocket upgrade (404 Not Found)");
}

Test(transport, has_its_sentence_before_the_body_of_a_refusal)
{
    answer_upgrade("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nbecause");
    cr_assert_eq(pump(WHOLE), 0);
    cr_assert(strstr(transport_error(transport), "(403 No)"), "%s", transport_error(transport));
    SSL_shutdown(server.ssl);
    far_flush();
    cr_assert_eq(pump(WHOLE), -EPIPE);
    fails(TRANSPORT_WEBSOCKET, -EPIPE, "WebSocket failed", "it says: because");
}

Test(transport, tells_which_stage_was_cut_off)
{
    static const char *const words[] = {"proxy proxy.example:3128 ended", "during the handshake",
                                        "before its answer to the WebSocket upgrade"};
    for (int stage = 0; stage < 3; stage++) {
        dial(stage == 0, stage == 1, stage == 2);
        begin();
        cr_assert_eq(transport_stage(transport), (enum transport_stage)stage);
        transport_input_end(transport);
        cr_assert(strstr(transport_error(transport), words[stage]), "%s", transport_error(transport));
        cr_assert_eq(transport_error_code(transport), -EPIPE);
    }
    dial(false, false, false);
    begin();
    transport_input_end(transport);
    cr_assert_eq(transport_error_code(transport), 0, "the engine tells of that end itself");
}

Test(transport, hears_what_came_before_a_close)
{
    static uint8_t frame[64];
    for (int tls = 0; tls < 2; tls++) {
        engine_again();
        dial(false, tls, true);
        begin();
        cr_assert_eq(pump(WHOLE), 0);
        cr_assert(await(CONN_OPENED));
        int link = conn_link_open(conn, "orders");
        peer.outcome = PEER_ACCEPT;
        cr_assert_eq(pump(WHOLE), 0);
        cr_assert(await(CONN_LINK_CREDIT));
        cr_assert_eq(conn_send(conn, link, 7, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), 0);
        for (size_t len; (len = transport_output(transport, conn, far.wire, sizeof far.wire)) > 0;)
            far_in(far.wire, len);
        far.wire_len = 0;
        far_out();
        far_plain_out(frame, ws_frame(frame, 0x88,
                                      "\x03\xe9"
                                      "moving",
                                      8));
        int ret = transport_input(transport, conn, far.wire, far.wire_len);
        cr_assert_eq(ret, -ECONNRESET, "%d", ret);
        cr_assert(await(CONN_SETTLED));
        size_t len = transport_output(transport, conn, far.wire, sizeof far.wire);
        far_in(far.wire, len);
        cr_assert_eq(far.last_opcode, 0x88, "the close is answered");
        cr_assert_eq(transport_output(transport, conn, far.wire, sizeof far.wire), 0);
        cr_assert_str_eq(transport_what(transport), "connection closed by the peer");
        cr_assert(strstr(transport_error(transport), "(code 1001: moving)"), "%s", transport_error(transport));
    }
}

Test(transport, ends_in_order)
{
    for (int kind = 0; kind < 4; kind++) {
        engine_again();
        dial(false, kind & 1, kind & 2);
        begin();
        cr_assert_eq(pump(WHOLE), 0);
        conn_link_open(conn, "orders"); /* output that is no longer wanted */
        size_t frames = far.frame_count;
        transport_shutdown(transport);
        transport_shutdown(transport);
        pump(7);
        if (kind & 2) {
            cr_assert_eq(far.frame_count, frames + 1);
            cr_assert_eq(far.last_opcode, 0x88);
        }
        if (kind & 1)
            cr_assert(SSL_get_shutdown(server.ssl) & SSL_RECEIVED_SHUTDOWN, "kind %d: close_notify", kind);
    }
}

Test(transport, shares_a_way_that_outlives_the_first)
{
    struct transport_way other;
    dial(false, true, true);
    begin();
    transport_close(transport);
    transport = NULL;
    cr_assert_eq(transport_way_share(&way, &other), 0);
    transport_way_close(&way);
    way = other;
    cr_assert_eq(transport_open(&way, &door, &transport, why, sizeof why), 0, "%s", why);
    cr_assert_eq(pump(WHOLE), 0);
    cr_assert_eq(transport_stage(transport), TRANSPORT_UP);
}
