/* Frames as lines: what they tell, what they must never tell, and any bytes in any cuts. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn_peer.h"
#include "shipper/trace.h"
#include "vectors.h"

/* ---- frames by hand ---- */

static uint8_t bytes[1 << 16];
static size_t bytes_len;

static void put(const void *data, size_t len)
{
    cr_assert_leq(bytes_len + len, sizeof bytes);
    memcpy(bytes + bytes_len, data, len);
    bytes_len += len;
}

static size_t opened[8]; /* where the lengths of what is open stand */
static int open_count;

static void close_length(size_t behind)
{
    size_t at = opened[--open_count], len = bytes_len - at - behind;
    for (int i = 0; i < 4; i++)
        bytes[at + (size_t)i] = (uint8_t)(len >> (24 - 8 * i));
}

static void frame_begin(uint8_t type)
{
    opened[open_count++] = bytes_len;
    put((uint8_t[]){0, 0, 0, 0, 2, type, 0, 0}, 8);
}
static void frame_end(void)
{
    close_length(0);
}
static void compound_begin(uint8_t code, uint32_t count)
{
    put(&code, 1);
    opened[open_count++] = bytes_len;
    put((uint8_t[]){0, 0, 0, 0, (uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count}, 8);
}
static void compound_end(void)
{
    close_length(4);
}
static void list_begin(uint8_t descriptor, uint32_t count)
{
    put((uint8_t[]){0, 0x53, descriptor}, 3);
    compound_begin(0xd0, count);
}
static void put_text(uint8_t code, const char *text)
{
    put((uint8_t[]){code, (uint8_t)strlen(text)}, 2);
    put(text, strlen(text));
}

/* clang-format off */
#define PUT(literal) put(literal, sizeof(literal) - 1)
#define FRAME(type, literal) (frame_begin(type), PUT(literal), frame_end())
#define TRANSFER "\0\x53\x14\xc0\x07\x04\x43\x43\xa0\x01T\x43"
#define TRANSFER_ON "\0\x53\x14\xc0\x09\x06\x43\x43\xa0\x01T\x43\x42\x41"
#define PUT_TOKEN "\0\x53\x74\xc1\x17\x02\xa1\x09operation\xa1\x09put-token" "\0\x53\x77\xa1\x2c" "SharedAccessSignature sr=x&sig=abcSECRETdef&"
#define PUT_TOKEN_BYTES "77"
/* clang-format on */

static void attach(const char *address)
{
    frame_begin(0);
    list_begin(0x12, 7);
    PUT("\xa1\x01L\x43\x42\x40\x40\x40");
    list_begin(0x29, 1);
    put_text(0xa1, address);
    compound_end();
    compound_end();
    frame_end();
}

/* A close with an error: condition, description. */
static void close_with(const char *condition, const void *description, size_t description_len)
{
    frame_begin(0);
    list_begin(0x18, 1);
    list_begin(0x1d, 2);
    put_text(0xa3, condition);
    put((uint8_t[]){0xa1, (uint8_t)description_len}, 2);
    put(description, description_len);
    compound_end();
    compound_end();
    frame_end();
}

static char text[1 << 20]; /* of all lines: WHAT, a space, FIELDS, a newline */
static size_t text_len;

static void lines_take(struct trace *trace, enum trace_way way, const uint8_t *data, size_t len)
{
    struct trace_line line;
    while (len > 0) {
        size_t taken = trace_take(trace, way, data, len, &line);
        cr_assert(taken > 0 && taken <= len);
        data += taken;
        len -= taken;
        if (line.what) {
            cr_assert_lt(strlen(line.fields), TRACE_FIELDS_BYTES_MAX);
            text_len += (size_t)snprintf(text + text_len, sizeof text - text_len, "%s %s\n", line.what, line.fields);
            cr_assert_lt(text_len, sizeof text);
        }
    }
}

/* The lines of the bytes put, handed over `step` at a time. */
static const char *lines_of(enum trace_way way, size_t step)
{
    struct trace *trace;
    cr_assert_eq(trace_open(&trace), 0);
    text_len = 0;
    text[0] = '\0';
    for (size_t at = 0; at < bytes_len; at += step)
        lines_take(trace, way, bytes + at, step < bytes_len - at ? step : bytes_len - at);
    trace_close(trace);
    return text;
}

static const char *received(void)
{
    const char *lines = lines_of(TRACE_RECEIVED, sizeof bytes);
    bytes_len = 0;
    return lines;
}

static void says(const char *lines, const char *wanted)
{
    cr_expect_not_null(strstr(lines, wanted), "it does not say: %s\n%s", wanted, lines);
}
static void silent(const char *lines, const char *unwanted)
{
    cr_expect_null(strstr(lines, unwanted), "it says: %s\n%s", unwanted, lines);
}

static int count_of(const char *lines, const char *part)
{
    int count = 0;
    for (; (lines = strstr(lines, part)); lines += strlen(part))
        count++;
    return count;
}

/* ---- what is told ---- */

Test(trace, names_protocol_headers_and_heartbeats)
{
    put("AMQP\3\1\0\0", 8);
    put("AMQP\0\1\0\0", 8);
    put("AMQP\7\1\0\0", 8);
    FRAME(0, "");
    cr_assert_str_eq(received(), "received protocol header protocol=sasl version=1.0.0\n"
                                 "received protocol header protocol=amqp version=1.0.0\n"
                                 "received protocol header protocol=7 version=1.0.0\n"
                                 "received heartbeat channel=0 bytes=8\n");
}

Test(trace, gives_fields_the_names_of_the_specification_and_leaves_out_nulls)
{
    FRAME(0, "\0\x53\x10\xc0\x15\x05\xa1\x01"
             "c\x40\x70\0\1\0\0\x60\x0f\xff\x70\0\3\xa9\x80");
    FRAME(0, "\0\x53\x13\xc0\x0b\x07\x40\x43\x52\x05\x43\x43\x52\x02\x52");
    FRAME(0, "\0\xa3\x0d"
             "amqp:end:list\x45");
    cr_assert_str_eq(received(),
                     "received open channel=0 bytes=31 container-id=c max-frame-size=65536 channel-max=4095 idle-time-out=240000\n"
                     "received flow channel=0 bytes=23 incoming-window=0 next-outgoing-id=5 outgoing-window=0 handle=0 "
                     "delivery-count=2 link-credit=?\n"
                     "received end channel=0 bytes=25\n");
}

Test(trace, tells_outcomes_and_errors_by_their_path)
{
    frame_begin(0);
    list_begin(0x15, 5);
    PUT("\x41\x52\x07\x40\x41");
    list_begin(0x25, 1);
    list_begin(0x1d, 3);
    put_text(0xa3, "com.microsoft:server-busy");
    put_text(0xa1, "Wait \n");
    compound_begin(0xd1, 2);
    put_text(0xa1, "a b=\"c\n");
    put_text(0xa1, "v");
    for (int i = 0; i < 4; i++)
        compound_end();
    frame_end();
    FRAME(0, "\0\x53\x15\xc0\x0a\x05\x41\x43\x52\x09\x41\0\x53\x24\x45");
    cr_assert_str_eq(received(), "received disposition channel=0 bytes=105 role=receiver first=7 settled=true state=rejected "
                                 "state.error.condition=com.microsoft:server-busy state.error.description=\"Wait \\x0a\" "
                                 "state.error.info.a?b??c?=v\n"
                                 "received disposition channel=0 bytes=23 role=receiver first=0 last=9 settled=true state=accepted\n");
}

Test(trace, tells_of_a_transfer_its_length_and_not_its_bytes)
{
    attach("hub1");
    FRAME(0, "\0\x53\x14\xc0\x11\x06\x43\x52\x05\xa0\x04\1\2\3\4\x70\x80\x01\x37\x00\x42\x41"
             "PAYLOAD");
    const char *lines = received();
    says(lines, "received transfer channel=0 bytes=37 handle=0 delivery-id=5 delivery-tag=0x01020304 message-format=0x80013700 "
                "settled=false more=true payload=7\n");
    silent(lines, "PAYLOAD");
}

Test(trace, reads_a_request_but_for_its_token)
{
    attach("$cbs");
    FRAME(0, TRANSFER PUT_TOKEN);
    const char *lines = received();
    says(lines, "target.address=$cbs");
    says(lines, "payload=" PUT_TOKEN_BYTES " node=$cbs operation=put-token\n");
    silent(lines, "SECRET");
    silent(lines, "SharedAccess");
}

Test(trace, masks_the_security_token_of_management_whole_or_cut)
{
    static char token[12000];
    memset(token, 'S', sizeof token);
    for (size_t len = 100; len <= sizeof token; len += sizeof token - 100) {
        attach("$management");
        frame_begin(0);
        PUT(TRANSFER "\0\x53\x74");
        compound_begin(0xd1, 4);
        put_text(0xa1, "operation");
        put_text(0xa1, "READ");
        put_text(0xa1, "security_token");
        put((uint8_t[]){0xb1, 0, 0, (uint8_t)(len >> 8), (uint8_t)len}, 5);
        put(token, len);
        compound_end();
        frame_end();
        const char *lines = received();
        says(lines, "node=$management operation=READ security_token=masked\n");
        silent(lines, "SS");
    }
}

Test(trace, reads_no_message_of_a_link_that_is_gone_or_another)
{
    FRAME(0, TRANSFER PUT_TOKEN); /* never attached */
    attach("$cbs");
    FRAME(0, "\0\x53\x16\xc0\x03\x02\x43\x41"); /* detach */
    FRAME(0, TRANSFER PUT_TOKEN);
    attach("$cbs");
    attach("hub1"); /* the same handle */
    FRAME(0, TRANSFER PUT_TOKEN);
    attach("$cbs");
    FRAME(0, "\0\x53\x17\x45"); /* the session's end */
    FRAME(0, TRANSFER PUT_TOKEN);
    const char *lines = received();
    silent(lines, "put-token");
    silent(lines, "SECRET");
    cr_assert_eq(count_of(lines, "payload=" PUT_TOKEN_BYTES "\n"), 4, "%s", lines);
}

Test(trace, reads_no_message_from_its_middle)
{
    attach("$cbs");
    FRAME(0, TRANSFER_ON "\0\x53\x77\xb1\0\0\x10\0start of a token");
    FRAME(0, TRANSFER PUT_TOKEN);
    silent(received(), "put-token");
    attach("$cbs");
    FRAME(0, TRANSFER_ON PUT_TOKEN);
    FRAME(0, TRANSFER PUT_TOKEN);
    FRAME(0, TRANSFER PUT_TOKEN); /* a new one */
    cr_assert_eq(count_of(received(), "operation=put-token"), 2);
}

Test(trace, masks_what_sasl_carries)
{
    FRAME(1, "\0\x53\x41\xc0\x1a\x03\xa3\x05PLAIN\xa0\x0e\0guest\0SECRET1\xa1\x00");
    FRAME(1, "\0\x53\x42\xc0\x09\x01\xa0\x06SECRET");
    FRAME(1, "\0\x53\x43\xc0\x09\x01\xa0\x06SECRET");
    FRAME(1, "\0\x53\x44\xc0\x0b\x02\x50\x01\xa0\x06SECRET");
    FRAME(1, "\0\x53\x40\xc0\x13\x01\xe0\x10\x02\xa3\x05PLAIN\x07MSSBCBS");
    const char *lines = received();
    silent(lines, "SECRET");
    silent(lines, "guest");
    says(lines, "received sasl-init bytes=39 mechanism=PLAIN initial-response=masked hostname=\"\"\n");
    says(lines, "received sasl-challenge bytes=22 challenge=masked\n");
    says(lines, "received sasl-response bytes=22 response=masked\n");
    says(lines, "received sasl-outcome bytes=24 code=auth additional-data=masked\n");
    says(lines, "sasl-server-mechanisms=PLAIN,MSSBCBS\n");
}

/* ---- published messages ---- */

/* Each run of letters, digits and dots in the message that is long enough to be somebody's word. */
static void expect_no_word_of(const char *lines, const uint8_t *message, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        char word[64];
        size_t word_len = 0;
        while (at < len && word_len + 1 < sizeof word && (isalnum(message[at]) || strchr("-._ ", message[at])) && message[at] != '\0')
            word[word_len++] = (char)message[at++];
        word[word_len] = '\0';
        if (word_len >= 5)
            silent(lines, word);
    }
}

Test(trace, tells_no_word_of_the_published_messages)
{
    cJSON *json = vectors_read("messages.json"), *entry;
    int count = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(json, "messages"))
    {
        static uint8_t message[1 << 15];
        const char *hex = cJSON_GetObjectItem(entry, "hex")->valuestring;
        size_t len = strlen(hex) / 2;
        for (size_t i = 0; i < len; i++)
            sscanf(hex + 2 * i, "%2hhx", &message[i]);
        char wanted[40];
        snprintf(wanted, sizeof wanted, "payload=%zu\n", len);
        attach("hub1");
        frame_begin(0);
        PUT(TRANSFER);
        put(message, len);
        frame_end();
        const char *lines = received();
        says(lines, wanted);
        expect_no_word_of(lines, message, len);
        count++;
    }
    cr_assert_gt(count, 5);
    cJSON_Delete(json);
}

/* ---- a whole session of proton's with the scripted peer ---- */

#define SESSION_SECRET "eyJSECRETSECRETSECRETSECRET"
static struct peer peer;

static void session_record(void)
{
    struct conn *conn;
    struct conn_event event;
    struct conn_options options = {.container_id = "test", .hostname = "contoso.servicebus.windows.net"};
    peer_open(&peer);
    peer_record(&peer, 1 << 20);
    cr_assert_eq(conn_open(&options, &conn), 0);
    conn_put_token(conn, "jwt", "sb://contoso/hub1", SESSION_SECRET, 1700000000);
    for (int turn = 0; turn < 20; turn++) {
        peer_pump(&peer, conn, 1 << 20);
        while (conn_next_event(conn, &event)) {
            if (event.kind == CONN_TOKEN)
                conn_read_hub(conn, "hub1", SESSION_SECRET);
            if (event.kind == CONN_HUB)
                conn_link_open(conn, "hub1/Partitions/3");
            if (event.kind == CONN_LINK_CREDIT)
                conn_send(conn, event.link, 1, CONN_FORMAT_BATCH, (const uint8_t *)"PAYLOAD", 7);
            if (event.kind == CONN_SETTLED)
                conn_close(conn);
        }
    }
    conn_free(conn);
}

Test(trace, tells_a_session_the_same_in_any_cuts)
{
    session_record();
    for (int way = 0; way < 2; way++) {
        bytes_len = 0;
        put(way == TRACE_SENT ? peer.got : peer.sent, way == TRACE_SENT ? peer.got_len : peer.sent_len);
        char *whole = strdup(lines_of((enum trace_way)way, sizeof bytes));
        silent(whole, "SECRET");
        silent(whole, "PAYLOAD");
        silent(whole, "unknown");
        if (way == TRACE_SENT) {
            says(whole, "operation=put-token type=jwt name=sb://contoso/hub1 expiration=1700000000000\n");
            says(whole, "operation=READ name=hub1 type=com.microsoft:eventhub security_token=masked\n");
            says(whole, "target.address=hub1/Partitions/3");
            says(whole, "message-format=0x80013700 payload=7\n");
        } else {
            says(whole, "node=$cbs correlation-id=1 status-code=202 status-description=Accepted\n");
            says(whole, "state=accepted\n");
            says(whole, "received close");
        }
        for (size_t step = 1; step < 70; step++)
            cr_assert_str_eq(lines_of((enum trace_way)way, step), whole, "cut every %zu bytes", step);
        free(whole);
    }
    peer_free(&peer);
}

/* ---- peers that lie ---- */

Test(trace, says_once_what_is_not_amqp)
{
    put("HTTP/1.1 400 Bad Request\r\n", 26);
    put("AMQP\0\1\0\0", 8);
    cr_assert_str_eq(received(), "received what is not AMQP head=0x485454502f312e31\n");
    FRAME(2, "xyz");
    cr_assert_str_eq(received(), "received what is not AMQP head=0x0000000b02020000\n");
    put("\0\0\0\x0b\3\0\0\0....", 12); /* a frame that ends within its head */
    cr_assert_str_eq(received(), "received what is not AMQP head=0x0000000b03000000\n");
}

Test(trace, says_what_frame_it_does_not_know)
{
    FRAME(0, "\0\x53\x99\xc0\x03\x02\x43\x41");
    FRAME(0, "\0\x53\x10"); /* no list */
    FRAME(1, "");
    FRAME(0, "\0\0\x53\x10\x45");
    FRAME(0, "\0\x53\x10\xc7");
    const char *lines = received();
    for (const char *at = lines; *at != '\0'; at = strchr(at, '\n') + 1)
        cr_expect_eq(strncmp(at, "received an unknown frame", 25), 0, "%s", at);
    says(lines, "received an unknown frame bytes=8 type=1\n");
}

Test(trace, bounds_a_line_and_says_that_it_is_cut)
{
    frame_begin(0);
    list_begin(0x18, 1);
    list_begin(0x1d, 3);
    PUT("\x40\x40");
    compound_begin(0xd1, 65535); /* more than there are */
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%03d", i);
        put_text(0xa1, key);
        put_text(0xa1, "\\\\\\\\\\\\\\\\");
    }
    for (int i = 0; i < 3; i++)
        compound_end();
    frame_end();
    const char *lines = received();
    says(lines, " cut=true\n");
    says(lines, "error.info.key000=");
    cr_assert_lt(strlen(lines), TRACE_FIELDS_BYTES_MAX + 40);
    cr_assert_gt(strlen(lines), TRACE_FIELDS_BYTES_MAX - 200);
}

Test(trace, bounds_a_text_and_an_array)
{
    static char name[3000];
    memset(name, 'a', sizeof name);
    frame_begin(0);
    list_begin(0x10, 2);
    PUT("\xb1\0\0\x0b\xb8");
    put(name, sizeof name);
    PUT("\x40");
    compound_end();
    frame_end();
    const char *lines = received();
    says(lines, "aaaaaaaa…\n");
    cr_assert_lt(strlen(lines), 400);
    FRAME(1, "\0\x53\x40\xc0\x0b\x01\xf0\0\0\0\x05\xff\xff\xff\xff\x41"); /* four thousand million of no length */
    lines = received();
    says(lines, "true,…\n");
    cr_assert_lt(strlen(lines), 500);
}

Test(trace, leaves_out_what_is_nested_too_deep)
{
    frame_begin(0);
    size_t at = bytes_len;
    PUT("\0\x53\x18\xd0\0\0\3\xff\0\0\0\1\0\x53\x1d\xd0\0\0\3\xff\0\0\0\3\x40\x40");
    for (int i = 0; i < 60; i++)
        PUT("\xd1\0\0\x03\xff\0\0\0\2\xa1\1k");
    cr_assert_lt(bytes_len - at, 1024);
    frame_end();
    cr_assert_str_eq(received(), "received close channel=0 bytes=754\n");
}

/* clang-format off */
Test(trace, gives_the_log_nothing_but_text)
{
    static const char hostile[] = "a\0b\xc2\x9b" "31m\xe2\x80\xa6\xc3\xbc\x7f\x1b[0m end";
    close_with("amqp:\xff\x80\"\x01", hostile, sizeof hostile - 1);
    const char *lines = received();
    says(lines, "error.condition=\"amqp:\?\?\\\"\\x01\"");
    says(lines, "error.description=\"a?b??31m…ü\\x7f\\x1b[0m end\"");
    close_with("x", "\xc3\x28", 2);
    says(received(), "error.description=?(");
}
/* clang-format on */
