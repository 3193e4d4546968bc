/* The message-format filter: a script of frames cut everywhere, and what real proton writes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <proton/connection.h>
#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/transport.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipper/format.h"

/* ---- a caller as conn.c is one: pending bytes, of which the first `passed` may go out ---- */

struct pipe {
    struct format_filter filter;
    uint8_t pending[1 << 16];
    size_t pending_len, passed;
    uint8_t out[1 << 16];
    size_t out_len;
};

static void pipe_push(struct pipe *pipe, const uint8_t *data, size_t len)
{
    memcpy(pipe->pending + pipe->pending_len, data, len);
    pipe->pending_len += len;
    int64_t count = format_filter(&pipe->filter, pipe->pending + pipe->passed, pipe->pending_len - pipe->passed);
    cr_assert_geq(count, 0);
    pipe->passed += (size_t)count;
    cr_assert_leq(pipe->passed, pipe->pending_len);
    cr_assert_lt(pipe->pending_len - pipe->passed, FORMAT_HELD_MAX, "%zu bytes are held back", pipe->pending_len - pipe->passed);
}

static void pipe_pop(struct pipe *pipe, size_t len)
{
    memcpy(pipe->out + pipe->out_len, pipe->pending, len);
    pipe->out_len += len;
    memmove(pipe->pending, pipe->pending + len, pipe->pending_len - len);
    pipe->pending_len -= len;
    pipe->passed -= len;
}

/* ---- the script ---- */

static uint8_t script[1 << 15], wanted[1 << 15];
static size_t script_len;

static void put(const void *bytes, const void *after, size_t len)
{
    memcpy(script + script_len, bytes, len);
    memcpy(wanted + script_len, after, len);
    script_len += len;
}

static void put_frame(uint8_t type, const void *body, const void *after, size_t len)
{
    uint8_t head[8] = {0, 0, (uint8_t)((len + 8) >> 8), (uint8_t)(len + 8), 2, type, 0, 0};
    put(head, head, 8);
    put(body, after, len);
}

/* clang-format off */
#define BATCH_BEFORE "\xa0\x08" "ABCDEFGH" "\x43"
#define BATCH_AFTER "\xa0\x04" "ABCD" "\x70\x80\x01\x37\x00"
#define FRAME(type, before, after) put_frame(type, before, after, sizeof(before) - 1)
#define SAME(type, bytes) FRAME(type, bytes, bytes)

static void script_make(void)
{
    script_len = 0;
    put("AMQP\3\1\0\0", "AMQP\3\1\0\0", 8);
    SAME(1, "\0\x53\x41\xc0\x0d\x01\xa3\x09" "ANONYMOUS");
    SAME(1, "\0\x53\x14\xc0\x20\x05\x43\x43" BATCH_BEFORE "\x42"); /* a SASL frame, whatever it holds */
    put("AMQP\0\1\0\0", "AMQP\0\1\0\0", 8);
    SAME(0, "\0\x53\x10\xc0\x03\x01\xa1\x01" "c");
    SAME(0, "");
    FRAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43" BATCH_BEFORE "payload", "\0\x53\x14\xc0\x10\x04\x43\x43" BATCH_AFTER "payload");
    FRAME(0, "\0\x53\x14\xc0\x13\x06\x43\x52\x07" BATCH_BEFORE "\x42\x41" "payload " BATCH_BEFORE, "\0\x53\x14\xc0\x13\x06\x43\x52\x07" BATCH_AFTER "\x42\x41" "payload " BATCH_BEFORE);
    FRAME(0, "\0\x53\x14\xc0\x1a\x04\x70\1\2\3\4\x70\1\2\3\4" BATCH_BEFORE, "\0\x53\x14\xc0\x1a\x04\x70\1\2\3\4\x70\1\2\3\4" BATCH_AFTER);
    FRAME(0, "\0\x53\x14\xd0\0\0\0\x19\0\0\0\x04\x52\x01\x40" BATCH_BEFORE, "\0\x53\x14\xd0\0\0\0\x19\0\0\0\x04\x52\x01\x40" BATCH_AFTER);
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\xa0\x07" "ABCDEFG" "\x43\x42" "payload"); /* a shorter tag */
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\xa0\x01" "A" "\x43");
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\xa0\x00\x43");
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\xa0\x09" "ABCDEFGHI" "\x43");
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\xa0\x08" "ABCDEFGH" "\x40");                /* no format */
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\xa0\x08" "ABCDEFGH" "\x70\x80\x01\x37\x00"); /* has one already */
    SAME(0, "\0\x53\x14\xc0\x10\x03\x43\x43\xa0\x08" "ABCDEFGH" "\x43payload");      /* the list ends with the tag */
    SAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43\x40\x43" "payload");
    SAME(0, "\0\x53\x15\xc0\x10\x04\x43\x43" BATCH_BEFORE); /* another performative */
    SAME(0, "\0\x53\x14\x45");
    SAME(0, "\0\x53\x14");
    SAME(0, "\0");
    put("\0\0\0\x22\3\0\0\0\1\2\3\4\0\x53\x14\xc0\x10\x04\x43\x43" BATCH_BEFORE "xyz", "\0\0\0\x22\3\0\0\0\1\2\3\4\0\x53\x14\xc0\x10\x04\x43\x43" BATCH_AFTER "xyz", 34);
    FRAME(0, "\0\x53\x14\xc0\x10\x04\x43\x43" BATCH_BEFORE, "\0\x53\x14\xc0\x10\x04\x43\x43" BATCH_AFTER);
}
/* clang-format on */

static void expect_script(const struct pipe *pipe, const char *how, size_t at)
{
    cr_assert_eq(pipe->out_len, script_len, "%s %zu: %zu bytes instead of %zu", how, at, pipe->out_len, script_len);
    for (size_t i = 0; i < script_len; i++)
        cr_assert_eq(pipe->out[i], wanted[i], "%s %zu: byte %zu is %02x instead of %02x", how, at, i, pipe->out[i], wanted[i]);
}

Test(format, patches_batch_transfers_and_nothing_else)
{
    static struct pipe pipe;
    script_make();
    pipe_push(&pipe, script, script_len);
    pipe_pop(&pipe, pipe.passed);
    expect_script(&pipe, "whole", 0);
}

Test(format, one_byte_at_a_time_gives_the_same)
{
    static struct pipe pipe;
    script_make();
    for (size_t i = 0; i < script_len; i++) {
        pipe_push(&pipe, script + i, 1);
        pipe_pop(&pipe, pipe.passed);
    }
    expect_script(&pipe, "bytes", 1);
}

Test(format, a_cut_at_any_boundary_gives_the_same)
{
    static struct pipe pipe;
    script_make();
    for (size_t cut = 0; cut <= script_len; cut++) {
        memset(&pipe, 0, sizeof pipe);
        pipe_push(&pipe, script, cut);
        pipe_pop(&pipe, pipe.passed);
        pipe_push(&pipe, script + cut, script_len - cut);
        pipe_pop(&pipe, pipe.passed);
        expect_script(&pipe, "cut at", cut);
    }
}

Test(format, a_peer_that_takes_little_at_a_time_gets_the_same)
{
    static struct pipe pipe;
    script_make();
    for (size_t step = 1; step < 40; step++) {
        memset(&pipe, 0, sizeof pipe);
        for (size_t at = 0; at < script_len; at += step) {
            pipe_push(&pipe, script + at, at + step < script_len ? step : script_len - at);
            pipe_pop(&pipe, pipe.passed / 3);
        }
        pipe_pop(&pipe, pipe.passed);
        expect_script(&pipe, "step", step);
    }
}

Test(format, what_is_no_frame_is_refused)
{
    static const uint8_t cases[][8] = {
        {0, 0, 0, 7, 2, 0, 0, 0}, {0, 0, 0, 8, 1, 0, 0, 0}, {0, 0, 0, 8, 3, 0, 0, 0}, {'H', 'T', 'T', 'P', 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct format_filter filter = {0};
        uint8_t data[8];
        memcpy(data, cases[i], 8);
        cr_expect_eq(format_filter(&filter, data, 8), -EBADMSG, "case %zu", i);
    }
}

/* ---- proton ---- */

#define DELIVERIES 24u
static const size_t delivery_lens[] = {300, 5000, 65000, 65536, 131000, 200000, 1 << 20, 0};

static pn_connection_driver_t client, server;
static struct format_filter filter;
static uint8_t *plain, *patched; /* all that the client wrote, before and after the filter */
static size_t plain_len, patched_len;
static size_t passed, received_len[DELIVERIES], chunk_max;
static unsigned received_count;
static bool received_intact = true;
static pn_link_t *sender;

static size_t delivery_len(unsigned number)
{
    return delivery_lens[number % (sizeof delivery_lens / sizeof *delivery_lens)];
}
static bool delivery_is_batch(unsigned number)
{
    return number % 3 != 1;
}

static void server_receive(pn_delivery_t *delivery)
{
    char data[65536];
    ssize_t count;
    pn_link_t *link = pn_delivery_link(delivery);
    while ((count = pn_link_recv(link, data, sizeof data)) > 0)
        for (ssize_t i = 0; i < count; i++)
            received_intact &= data[i] == (char)(received_count + received_len[received_count]++ * 7);
    if (pn_delivery_partial(delivery))
        return;
    received_count++;
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_link_advance(link);
    pn_delivery_settle(delivery);
}

static void server_events(void)
{
    for (pn_event_t *event; (event = pn_connection_driver_next_event(&server)) != NULL;)
        switch (pn_event_type(event)) {
        case PN_CONNECTION_REMOTE_OPEN:
            pn_connection_open(server.connection);
            break;
        case PN_SESSION_REMOTE_OPEN:
            pn_session_open(pn_event_session(event));
            break;
        case PN_LINK_REMOTE_OPEN:
            pn_terminus_copy(pn_link_target(pn_event_link(event)), pn_link_remote_target(pn_event_link(event)));
            pn_link_open(pn_event_link(event));
            pn_link_flow(pn_event_link(event), DELIVERIES);
            break;
        case PN_DELIVERY:
            server_receive(pn_event_delivery(event));
            break;
        default:
            break;
        }
}

/* The client's pending bytes through the filter, in proton's own buffer, to the server. */
static bool client_to_server(void)
{
    pn_bytes_t pending = pn_connection_driver_write_buffer(&client);
    uint8_t *start = (uint8_t *)(uintptr_t)pending.start;
    uint8_t *before = malloc(pending.size + 1);
    if (pending.size > passed)
        memcpy(before, start + passed, pending.size - passed);
    int64_t count = format_filter(&filter, start + passed, pending.size - passed);
    cr_assert_geq(count, 0);
    memcpy(plain + plain_len, before, (size_t)count);
    plain_len += (size_t)count;
    free(before);
    passed += (size_t)count;
    pn_rwbytes_t room = pn_connection_driver_read_buffer(&server);
    size_t len = passed < room.size ? passed : room.size;
    len = len < chunk_max ? len : chunk_max;
    if (len == 0)
        return false;
    memcpy(room.start, start, len);
    memcpy(patched + patched_len, start, len);
    patched_len += len;
    pn_connection_driver_read_done(&server, len);
    pn_connection_driver_write_done(&client, len);
    passed -= len;
    return true;
}

static bool server_to_client(void)
{
    pn_bytes_t pending = pn_connection_driver_write_buffer(&server);
    pn_rwbytes_t room = pn_connection_driver_read_buffer(&client);
    size_t len = pending.size < room.size ? pending.size : room.size;
    if (len == 0)
        return false;
    memcpy(room.start, pending.start, len);
    pn_connection_driver_read_done(&client, len);
    pn_connection_driver_write_done(&server, len);
    return true;
}

static void pump(void)
{
    for (bool moved = true; moved;) {
        while (pn_connection_driver_next_event(&client) != NULL)
            continue;
        server_events();
        moved = client_to_server();
        moved |= server_to_client();
    }
}

static void pair_open(void)
{
    plain = malloc(32u << 20);
    patched = malloc(32u << 20);
    cr_assert_eq(pn_connection_driver_init(&client, NULL, NULL), 0);
    cr_assert_eq(pn_connection_driver_init(&server, NULL, NULL), 0);
    pn_transport_set_server(server.transport);
    pn_sasl_allowed_mechs(pn_sasl(client.transport), "ANONYMOUS");
    pn_sasl_allowed_mechs(pn_sasl(server.transport), "ANONYMOUS");
    pn_transport_set_max_frame(client.transport, 65536);
    pn_transport_set_max_frame(server.transport, 65536);
    pn_connection_set_container(client.connection, "client");
    pn_connection_set_container(server.connection, "server");
    pn_connection_open(client.connection);
    pn_session_t *session = pn_session(client.connection);
    pn_session_open(session);
    sender = pn_sender(session, "sender");
    pn_terminus_set_address(pn_link_target(sender), "hub");
    pn_link_open(sender);
    pump();
    cr_assert_eq(pn_link_credit(sender), (int)DELIVERIES);
}

static void delivery_send(unsigned number)
{
    static char data[1 << 20];
    char tag[16];
    size_t len = delivery_len(number);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(number + i * 7);
    snprintf(tag, sizeof tag, "%04u0000", number);
    pn_delivery(sender, pn_dtag(tag, delivery_is_batch(number) ? 8 : 4));
    for (size_t at = 0; at < len;) { /* in pieces, as the shipper hands them over */
        size_t piece = len - at < 65024 ? len - at : 65024;
        cr_assert_eq(pn_link_send(sender, data + at, piece), (ssize_t)piece);
        at += piece;
        if (at < len && number % 2)
            pump();
    }
    pn_link_advance(sender);
    if (number % 4 != 3) /* sometimes several are pending at once */
        pump();
}

static uint32_t be32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static size_t uint_skip(const uint8_t *at)
{
    return *at == 0x70 ? 5 : *at == 0x52 ? 2 : 1;
}

/* A second reading of the stream: every transfer's tag and format. */
static void expect_formats(unsigned transfers_wanted)
{
    unsigned transfers = 0;
    cr_assert_eq(plain_len, patched_len);
    for (size_t at = 0; at < patched_len;) {
        if (memcmp(patched + at, "AMQP", 4) == 0) {
            at += 8;
            continue;
        }
        const uint8_t *frame = patched + at, *body = frame + 8;
        cr_assert_eq(be32(frame), be32(plain + at), "a frame's length has changed");
        cr_assert_leq(be32(frame), 65536);
        if (frame[5] == 0 && be32(frame) > 8 && body[2] == 0x14) {
            const uint8_t *field = body + (body[3] == 0xc0 ? 6 : 12);
            field += uint_skip(field);
            field += uint_skip(field);
            cr_assert_eq(field[0], 0xa0);
            cr_assert_eq(field[1], 4, "a tag of %u bytes is left", field[1]);
            char number[5] = {(char)field[2], (char)field[3], (char)field[4], (char)field[5]};
            field += 6;
            if (delivery_is_batch((unsigned)atoi(number)))
                cr_assert(field[0] == 0x70 && be32(field + 1) == UINT32_C(0x80013700), "batch %s has another format", number);
            else
                cr_assert_eq(field[0], 0x43, "single event %s has another format", number);
            transfers++;
        } else {
            cr_assert_eq(memcmp(frame, plain + at, be32(frame)), 0, "a frame that is no transfer has changed");
        }
        at += be32(frame);
    }
    cr_assert_geq(transfers, transfers_wanted);
}

static void run(size_t chunk)
{
    chunk_max = chunk;
    pair_open();
    for (unsigned number = 0; number < DELIVERIES; number++)
        delivery_send(number);
    pump();
    cr_assert_eq(received_count, DELIVERIES);
    cr_assert(received_intact);
    for (unsigned number = 0; number < DELIVERIES; number++)
        cr_assert_eq(received_len[number], delivery_len(number));
    expect_formats(DELIVERIES + 3 * 16); /* deliveries of 1 MiB take 16 frames and more */
    cr_assert_eq(pn_link_unsettled(sender), (int)DELIVERIES);
    for (pn_delivery_t *delivery = pn_unsettled_head(sender); delivery != NULL; delivery = pn_unsettled_next(delivery))
        cr_assert_eq(pn_delivery_remote_state(delivery), PN_ACCEPTED, "proton misses its tag");
    pn_connection_close(client.connection);
    pump();
    pn_connection_driver_destroy(&client);
    pn_connection_driver_destroy(&server);
    free(plain);
    free(patched);
}

Test(format_proton, deliveries_of_all_sizes_have_their_format)
{
    run(SIZE_MAX);
}

Test(format_proton, a_slow_transport_changes_nothing)
{
    run(1999);
}
