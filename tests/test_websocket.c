/* WebSocket as a byte transformer: the upgrade's answers, frames cut everywhere, control frames, and peers that break the rules. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/http_head.h"
#include "shipper/websocket.h"
#include "tests/websocket_peer.h"

#define WHOLE ((size_t)1 << 20)

static struct websocket *websocket;
static uint8_t got[1 << 20];
static size_t got_len;

static void rig_close(void)
{
    websocket_close(websocket);
    websocket = NULL;
}
TestSuite(websocket, .fini = rig_close);

static const char *request(void)
{
    static char text[2048];
    const uint8_t *data;
    size_t len = 0, step;
    while ((step = websocket_output(websocket, &data)) > 0) {
        step = step > 5 ? 5 : step;
        memcpy(text + len, data, step);
        len += step;
        websocket_output_done(websocket, step);
    }
    text[len] = '\0';
    return text;
}

static void dial(void)
{
    rig_close();
    got_len = 0;
    cr_assert_eq(websocket_open("ns.example", 0, &websocket), 0);
}

/* Bytes of the peer's in pieces, decoded in the memory they come in. */
static void feed(const void *data, size_t len, size_t step)
{
    static uint8_t piece[1 << 20];
    for (size_t at = 0; at < len; at += step) {
        size_t part = len - at < step ? len - at : step;
        memcpy(piece, (const uint8_t *)data + at, part);
        size_t out = websocket_input(websocket, piece, part, piece);
        cr_assert_leq(out, part);
        memcpy(got + got_len, piece, out);
        got_len += out;
    }
}

static void up(size_t step)
{
    char text[512];
    dial();
    size_t len = ws_answer(request(), text, sizeof text);
    feed(text, len, step);
    cr_assert(websocket_is_ready(websocket), "%s", websocket_error(websocket));
}

static void over(int code, const char *words)
{
    cr_assert(websocket_is_over(websocket));
    cr_assert_eq(websocket_error_code(websocket), code, "%d: %s", websocket_error_code(websocket), websocket_error(websocket));
    cr_assert(strstr(websocket_error(websocket), words), "%s: no \"%s\"", websocket_error(websocket), words);
    cr_assert_eq(websocket_write(websocket, (const uint8_t *)"x", 1), 0);
    cr_assert_eq(websocket_input(websocket, (const uint8_t *)"\x82\x01x", 3, got), 0);
}

/* ---- the upgrade ---- */

Test(websocket, asks_for_the_upgrade)
{
    dial();
    const char *text = request();
    cr_assert_eq(strncmp(text, "GET /$servicebus/websocket HTTP/1.1\r\nHost: ns.example\r\n", 55), 0, "%s", text);
    cr_assert(strstr(text, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"));
    cr_assert(strstr(text, "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n"));
    cr_assert_str_eq(text + strlen(text) - 4, "\r\n\r\n");
}

Test(websocket, names_a_port_that_is_not_the_schemes_own)
{
    cr_assert_eq(websocket_open("::1", 8443, &websocket), 0);
    cr_assert(strstr(request(), "\r\nHost: [::1]:8443\r\n"));
}

Test(websocket, asks_with_another_key_each_time)
{
    char first[2048];
    dial();
    snprintf(first, sizeof first, "%s", request());
    dial();
    cr_assert_str_neq(request(), first);
}

Test(websocket, refuses_a_name_that_would_write_a_line_of_its_own)
{
    cr_assert_eq(websocket_open("ns.example\r\nX: y", 0, &websocket), -EINVAL);
    cr_assert_eq(websocket_open("", 0, &websocket), -EINVAL);
}

Test(websocket, is_up_however_the_answer_is_cut)
{
    for (size_t step = 1; step < 250; step++) {
        up(step);
        cr_assert_str_eq(websocket_answer(websocket), "101 Switching Protocols");
    }
}

Test(websocket, takes_nothing_before_the_answer)
{
    dial();
    cr_assert_eq(websocket_write(websocket, (const uint8_t *)"x", 1), 0);
    request();
    cr_assert_eq(websocket_write(websocket, (const uint8_t *)"x", 1), 0);
}

Test(websocket, reads_frames_that_come_with_the_answer)
{
    for (size_t step = 1; step < 250; step += 3) {
        char text[512];
        dial();
        size_t len = ws_answer(request(), text, sizeof text);
        len += ws_frame((uint8_t *)text + len, 0x82, "AMQP", 4);
        feed(text, len, step);
        cr_assert_eq(got_len, 4);
        cr_assert_eq(memcmp(got, "AMQP", 4), 0);
    }
}

/* The good answer with one line replaced. */
static void answer_with(const char *line, const char *other)
{
    char text[512], spoilt[600];
    dial();
    ws_answer(request(), text, sizeof text);
    char *at = strstr(text, line);
    cr_assert(at, "%s", line);
    snprintf(spoilt, sizeof spoilt, "%.*s%s%s", (int)(at - text), text, other, at + strcspn(at, "\r") + 2);
    feed(spoilt, strlen(spoilt), 11);
}

Test(websocket, checks_every_line_of_the_answer)
{
    answer_with("Upgrade:", "");
    over(-EPROTO, "switches to another protocol");
    answer_with("Upgrade:", "Upgrade: h2c\r\n");
    over(-EPROTO, "switches to another protocol");
    answer_with("Connection:", "Connection: close\r\n");
    over(-EPROTO, "switches to another protocol");
    answer_with("Sec-WebSocket-Accept:", "");
    over(-EPROTO, "wrong key");
    answer_with("Sec-WebSocket-Accept:", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
    over(-EPROTO, "wrong key");
    answer_with("Sec-WebSocket-Protocol:", "");
    over(-EPROTONOSUPPORT, "its answer is none");
    answer_with("Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: mqtt\r\n");
    over(-EPROTONOSUPPORT, "its answer is mqtt");
    answer_with("Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: AMQPWSB10\r\nSec-WebSocket-Extensions: permessage-deflate\r\n");
    over(-EPROTO, "extension");
}

static void refused(const char *answer, int code, const char *words)
{
    for (size_t step = 1; step < 200; step += 23) {
        dial();
        request();
        feed(answer, strlen(answer), step);
        over(code, words);
    }
}

Test(websocket, says_what_the_server_refuses)
{
    refused("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", -ECONNREFUSED,
            "(400 Bad Request): it takes the request for a wrong one");
    refused("HTTP/1.1 401 Unauthorized\r\n\r\n", -EACCES, "login");
    refused("HTTP/1.1 403 Forbidden\r\n\r\n", -EACCES, "network rules");
    refused("HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nno such\x01path", -ECONNREFUSED,
            "there is no /$servicebus/websocket; check that the host is an Event Hubs namespace; it says: no such path");
    refused("HTTP/1.1 426 Upgrade Required\r\n\r\n", -ECONNREFUSED, "another protocol or version");
    refused("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", -ECONNREFUSED, "not available at this moment");
    refused("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", -ECONNREFUSED, "it says: abc");
    refused("SSH-2.0-x\r\n", -EPROTO, "does not answer the WebSocket upgrade in HTTP");
}

Test(websocket, quotes_no_more_than_an_excerpt_of_a_body)
{
    char body[1000];
    memset(body, 'b', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    dial();
    request();
    feed("HTTP/1.1 404 Not Found\r\nContent-Length: 100000000\r\n\r\n", 53, WHOLE);
    cr_assert_not(websocket_is_over(websocket));
    cr_assert(strstr(websocket_error(websocket), "404 Not Found"), "the sentence is there before the body");
    feed(body, sizeof body - 1, 100);
    over(-ECONNREFUSED, "it says: bbb");
    cr_assert_lt(strlen(websocket_error(websocket)), 500);
}

Test(websocket, has_done_with_a_refusal_whose_body_is_cut)
{
    dial();
    request();
    feed("HTTP/1.1 403 No\r\nContent-Length: 50\r\n\r\nabc", 41, WHOLE);
    websocket_input_end(websocket);
    over(-EACCES, "it says: ab");
}

Test(websocket, says_that_the_server_ended_early)
{
    dial();
    request();
    feed("HTTP/1.1 101", 12, WHOLE);
    websocket_input_end(websocket);
    over(-ECONNRESET, "before its answer to the WebSocket upgrade was whole (12 bytes of it)");
}

Test(websocket, bounds_the_head_of_the_answer)
{
    static char text[HTTP_HEAD_BYTES_MAX + 100];
    memset(text, 'a', sizeof text);
    memcpy(text, "HTTP/1.1 101 x\r\nA: ", 19);
    dial();
    request();
    feed(text, sizeof text, 1000);
    over(-EPROTO, "more than 8192 bytes");
}

/* ---- frames to the peer ---- */

Test(websocket, masks_one_binary_frame_for_each_write)
{
    static const size_t lens[] = {1, 2, 31, 32, 33, 63, 125, 126, 127, 1000, 65527, 65528, 65529, 200000};
    static uint8_t bytes[200000], frame[WEBSOCKET_FRAME_BYTES_MAX];
    uint8_t first, *payload, masks[2][4] = {{0}};
    size_t payload_len;
    up(WHOLE);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 131 >> 3);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        const uint8_t *data;
        size_t taken = websocket_write(websocket, bytes, lens[i]);
        cr_assert_eq(taken, lens[i] < 65528 ? lens[i] : 65528, "%zu of %zu", taken, lens[i]);
        cr_assert_eq(websocket_write(websocket, bytes, lens[i]), 0, "the output waits");
        size_t len = websocket_output(websocket, &data);
        memcpy(frame, data, len);
        websocket_output_done(websocket, len);
        cr_assert_eq(websocket_output(websocket, &data), 0);
        memcpy(masks[i % 2], frame + (taken < 126 ? 2 : 4), 4);
        cr_assert_neq(memcmp(masks[0], masks[1], 4), 0, "every frame has a mask of its own");
        cr_assert_eq(ws_take(frame, len, &first, &payload, &payload_len), len);
        cr_assert_eq(first, 0x82);
        cr_assert_eq(payload_len, taken);
        cr_assert_eq(memcmp(payload, bytes, taken), 0, "%zu bytes", taken);
    }
}

Test(websocket, draws_masks_without_end)
{
    const uint8_t *data;
    up(WHOLE);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(websocket_write(websocket, (const uint8_t *)"x", 1), 1);
        websocket_output_done(websocket, websocket_output(websocket, &data));
    }
}

/* ---- frames from the peer ---- */

Test(websocket, reads_frames_however_they_are_cut)
{
    static uint8_t bytes[70000], stream[200000];
    static const size_t steps[] = {1, 2, 3, 5, 7, 100, 4095, 4096, 4097, 60000, WHOLE};
    size_t len = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 >> 2);
    len += ws_frame(stream + len, 0x82, bytes, 5);
    len += ws_frame(stream + len, 0x02, bytes + 5, 120);
    len += ws_frame(stream + len, 0x89, "ping", 4);
    len += ws_frame(stream + len, 0x00, bytes + 125, 0);
    len += ws_frame(stream + len, 0x00, bytes + 125, 126);
    len += ws_frame(stream + len, 0x8a, NULL, 0);
    len += ws_frame(stream + len, 0x80, bytes + 251, 300);
    len += ws_frame(stream + len, 0x82, NULL, 0);
    len += ws_frame(stream + len, 0x82, bytes + 551, 69449);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        up(WHOLE);
        feed(stream, len, steps[i]);
        cr_assert_eq(got_len, sizeof bytes, "%zu bytes by %zu", got_len, steps[i]);
        cr_assert_eq(memcmp(got, bytes, sizeof bytes), 0, "by %zu", steps[i]);
        cr_assert_not(websocket_is_over(websocket));
    }
}

/* The next frame of the client's. */
static uint8_t frame_take(char *text, size_t cap)
{
    static uint8_t frame[WEBSOCKET_FRAME_BYTES_MAX];
    const uint8_t *data;
    uint8_t first, *payload;
    size_t payload_len, len = websocket_output(websocket, &data), whole;
    memcpy(frame, data, len);
    whole = ws_take(frame, len, &first, &payload, &payload_len);
    cr_assert_gt(whole, 0);
    cr_assert_lt(payload_len, cap);
    memcpy(text, payload, payload_len);
    text[payload_len] = '\0';
    websocket_output_done(websocket, whole);
    return first;
}

Test(websocket, answers_a_ping_with_its_bytes)
{
    uint8_t stream[200];
    char text[200];
    up(WHOLE);
    size_t len = ws_frame(stream, 0x89, "are you there", 13);
    feed(stream, len, 3);
    cr_assert_eq(websocket_write(websocket, (const uint8_t *)"x", 1), 0, "the pong goes first");
    cr_assert_eq(frame_take(text, sizeof text), 0x8a);
    cr_assert_str_eq(text, "are you there");
    cr_assert_eq(websocket_write(websocket, (const uint8_t *)"x", 1), 1);
}

Test(websocket, answers_no_ping_inside_a_frame_under_way)
{
    uint8_t stream[200], first, *payload;
    static uint8_t out[70000];
    const uint8_t *data;
    size_t out_len = 0, payload_len;
    up(WHOLE);
    cr_assert_eq(websocket_write(websocket, stream, 100), 100);
    feed(stream, ws_frame(stream, 0x89, "p", 1), WHOLE);
    for (size_t len; (len = websocket_output(websocket, &data)) > 0; out_len += len) {
        len = len > 9 ? 9 : len;
        memcpy(out + out_len, data, len);
        websocket_output_done(websocket, len);
    }
    size_t whole = ws_take(out, out_len, &first, &payload, &payload_len);
    cr_assert_eq(first, 0x82);
    cr_assert_eq(payload_len, 100);
    cr_assert_eq(ws_take(out + whole, out_len - whole, &first, &payload, &payload_len), out_len - whole);
    cr_assert_eq(first, 0x8a);
}

Test(websocket, gives_up_on_a_peer_that_pings_without_listening)
{
    static uint8_t stream[65536];
    size_t len = 0;
    while (len + 2 <= sizeof stream)
        len += ws_frame(stream + len, 0x89, NULL, 0);
    up(WHOLE);
    feed(stream, len, WHOLE);
    over(-EPROTO, "pings faster");
}

Test(websocket, lives_through_many_pings_that_are_answered)
{
    uint8_t stream[16];
    char text[16];
    up(WHOLE);
    for (int i = 0; i < 1000; i++) {
        feed(stream, ws_frame(stream, 0x89, "p", 1), WHOLE);
        cr_assert_eq(frame_take(text, sizeof text), 0x8a);
    }
}

/* ---- the end ---- */

static void closed(uint16_t code, const char *reason, int want, const char *words)
{
    uint8_t body[125] = {(uint8_t)(code >> 8), (uint8_t)code}, stream[256];
    char text[200];
    size_t reason_len = strlen(reason), len;
    memcpy(body + 2, reason, reason_len);
    for (size_t step = 1; step < 20; step += 6) {
        up(WHOLE);
        len = ws_frame(stream, 0x82, "last", 4);
        len += ws_frame(stream + len, 0x88, body, code ? 2 + reason_len : 0);
        feed(stream, len, step);
        cr_assert_eq(got_len, 4, "what came before the end is heard");
        over(want, words);
        cr_assert_eq(frame_take(text, sizeof text), 0x88, "the close is answered");
    }
}

Test(websocket, tells_the_code_and_reason_of_a_close)
{
    closed(1000, "", -ECONNRESET, "closed the WebSocket (code 1000)");
    closed(0, "", -ECONNRESET, "closed the WebSocket");
    closed(1001, "moving on", -ECONNRESET, "(code 1001: moving on)");
    closed(1011, "out of order", -EPROTO, "(code 1011: out of order)");
    closed(1008, "", -EPROTO, "(code 1008)");
}

Test(websocket, closes_by_itself)
{
    uint8_t stream[16];
    char text[200];
    up(WHOLE);
    websocket_shutdown(websocket);
    websocket_shutdown(websocket);
    cr_assert_eq(websocket_write(websocket, stream, 1), 0);
    cr_assert_eq(frame_take(text, sizeof text), 0x88);
    cr_assert_eq(memcmp(text, "\x03\xe8", 2), 0);
    feed(stream, ws_frame(stream, 0x82, "late", 4), WHOLE);
    cr_assert_eq(got_len, 4);
    feed(stream, ws_frame(stream, 0x88, "\x03\xe8", 2), WHOLE);
    over(-ECONNRESET, "1000");
}

Test(websocket, misses_the_close_frame_of_a_peer_that_just_ends)
{
    up(WHOLE);
    websocket_input_end(websocket);
    over(-EPIPE, "without a close frame");
}

static void broken(const void *data, size_t len, const char *words)
{
    for (size_t step = 1; step <= 8; step++) {
        up(WHOLE);
        feed(data, len, step);
        over(-EPROTO, words);
    }
}

Test(websocket, refuses_what_breaks_the_protocol)
{
    broken("\x81\x02hi", 4, "text");
    broken("\x01\x02hi", 4, "text");
    broken("\x82\x81\x01\x02\x03\x04x", 7, "breaks the WebSocket protocol"); /* a server does not mask */
    broken("\xc2\x01x", 3, "breaks the WebSocket protocol");                 /* reserved bit */
    broken("\x83\x01x", 3, "breaks the WebSocket protocol");                 /* unknown opcode */
    broken("\x80\x01x", 3, "breaks the WebSocket protocol");                 /* continues nothing */
    broken("\x02\x01x\x82\x01y", 6, "breaks the WebSocket protocol");        /* a message within another */
    broken("\x09\x01x", 3, "breaks the WebSocket protocol");                 /* a ping in pieces */
    broken("\x89\x7e\x00\x7e", 4, "breaks the WebSocket protocol");          /* a ping too long */
    broken("\x82\x7e\x00\x05hello", 9, "breaks the WebSocket protocol");     /* a length longer than it need be */
    broken("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, "breaks the WebSocket protocol");
    broken("\x88\x01x", 3, "breaks the WebSocket protocol");        /* half a code */
    broken("\x88\x02\x00\x01", 4, "breaks the WebSocket protocol"); /* no code of a close */
}

Test(websocket, reads_a_frame_of_any_length_without_holding_it)
{
    static uint8_t head[10] = {0x82, 0x7f, 0, 0, 0, 0, 0x10, 0, 0, 0}, bytes[65536];
    up(WHOLE);
    feed(head, sizeof head, WHOLE);
    for (int i = 0; i < 16; i++)
        feed(bytes, sizeof bytes, WHOLE);
    cr_assert_eq(got_len, 16 * sizeof bytes);
}
