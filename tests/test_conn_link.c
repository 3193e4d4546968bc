/* The connection's links against a scripted peer in memory: attach, credit, sends in turn, outcomes, ends. */
#include <errno.h>

#include "conn_rig.h"

TestSuite(conn_link, .init = rig_open, .fini = rig_close);

static int link_up(const char *address)
{
    peer_pump(&peer, conn, WHOLE);
    int link = conn_link_open(conn, address);
    cr_assert_geq(link, 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_READY));
    cr_assert_eq(event.link, link);
    return link;
}

static uint64_t sum_of(const uint8_t *bytes, size_t len)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

static uint8_t *noise(size_t len)
{
    uint8_t *bytes = malloc(len);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < len; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        bytes[i] = (uint8_t)state;
    }
    return bytes;
}

/* How often the bytes that make a transfer a batch stand in what the peer got. */
static int formats_seen(void)
{
    static const uint8_t format[5] = {0x70, 0x80, 0x01, 0x37, 0x00};
    int count = 0;
    for (size_t i = 6; i + sizeof format < peer.got_len; i++)
        count += memcmp(peer.got + i, format, sizeof format) == 0 && peer.got[i - 6] == 0xa0 && peer.got[i - 5] == 4;
    return count;
}

Test(conn_link, tells_link_size_limit_and_credit)
{
    int link = link_up("hub1/Partitions/0");
    cr_assert_eq(event.message_bytes_max, 1048576);
    cr_assert(await(CONN_LINK_CREDIT));
    cr_assert_eq(conn_link_credit(conn, link), 100);
    cr_assert_eq(conn_link_message_bytes_max(conn, link), 1048576);
}

Test(conn_link, does_not_call_a_refused_link_ready)
{
    peer.refuse = "hub1";
    peer_pump(&peer, conn, WHOLE);
    int link = conn_link_open(conn, "hub1");
    peer_pump(&peer, conn, 1); /* so that the attach is looked at before its detach is there */
    while (conn_next_event(conn, &event) && event.kind != CONN_LINK_ENDED)
        cr_assert_neq(event.kind, CONN_LINK_READY);
    cr_assert_eq(event.kind, CONN_LINK_ENDED);
    cr_assert_eq(event.link, link);
    cr_assert_eq(event.place, OUTCOME_ATTACH);
    cr_assert_str_eq(event.condition, "amqp:unauthorized-access");
    cr_assert(strstr(event.description, "Send"));
    cr_assert_eq(conn_send(conn, link, 1, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), -ENOTCONN);
}

Test(conn_link, tells_a_refusal_from_a_detach_that_comes_with_the_attach)
{
    peer.refuse = "hub1";
    peer_pump(&peer, conn, WHOLE);
    conn_link_open(conn, "hub1");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_ENDED));
    cr_assert_eq(event.place, OUTCOME_ATTACH);
    peer.detach_at_once = true;
    conn_link_open(conn, "hub2");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_ENDED));
    cr_assert_eq(event.place, OUTCOME_DETACH);
    cr_assert_str_eq(event.condition, "amqp:link:detach-forced");
}

Test(conn_link, sends_nothing_without_credit)
{
    peer.credit = 0;
    int link = link_up("hub1");
    cr_assert_not(await(CONN_LINK_CREDIT));
    cr_assert_eq(conn_send(conn, link, 1, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), -EAGAIN);
    pn_link_flow(peer.last_link, 2);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_CREDIT));
    cr_assert_eq(conn_link_credit(conn, link), 2);
    cr_assert_eq(conn_send(conn, link, 1, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), 0);
    cr_assert_eq(conn_link_credit(conn, link), 1);
    cr_assert_eq(conn_send(conn, link, 2, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), -EBUSY);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SENT));
    cr_assert_eq(conn_send(conn, link, 2, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SENT));
    cr_assert_eq(conn_send(conn, link, 3, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), -EAGAIN);
    pn_link_flow(peer.last_link, 1);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_CREDIT), "told again when it had run out");
}

Test(conn_link, sends_a_single_event_with_format_0_and_a_batch_with_its_own)
{
    peer_record(&peer, 1 << 20);
    int link = link_up("hub1");
    peer.got_len = 0;
    conn_send(conn, link, 7, CONN_FORMAT_SINGLE, (const uint8_t *)"event", 5);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SENT));
    cr_assert_eq(event.tag, 7);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.tag, 7);
    cr_assert_eq(event.outcome, CONN_ACCEPTED);
    cr_assert_eq(formats_seen(), 0);
    conn_send(conn, link, UINT64_MAX, CONN_FORMAT_BATCH, (const uint8_t *)"batch", 5);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.tag, UINT64_MAX);
    cr_assert_eq(formats_seen(), 1);
    cr_assert_eq(peer.delivery[1].tag_len, 4);
    cr_assert_eq(peer.delivery[1].sum, sum_of((const uint8_t *)"batch", 5));
}

Test(conn_link, gives_each_link_its_turn_in_large_batches)
{
    enum { LINKS = 3, LEN = 1048576 };
    int link[LINKS];
    char address[] = "hub1/Partitions/0";
    peer_record(&peer, 8 << 20);
    uint8_t *batch = noise(LEN);
    for (int i = 0; i < LINKS; i++) {
        address[sizeof address - 2] = (char)('0' + i);
        link[i] = link_up(address);
    }
    peer.got_len = 0;
    for (int i = 0; i < LINKS; i++)
        cr_assert_eq(conn_send(conn, link[i], (uint64_t)i, CONN_FORMAT_BATCH, batch, LEN), 0);
    peer_pump(&peer, conn, WHOLE);
    for (int i = 0; i < LINKS; i++)
        cr_assert(await(CONN_SETTLED));
    cr_assert_eq(peer.delivery_count, LINKS);
    for (int i = 0; i < LINKS; i++) {
        cr_assert_eq(peer.delivery[i].len, LEN);
        cr_assert_eq(peer.delivery[i].sum, sum_of(batch, LEN));
    }
    cr_assert_eq(memcmp(peer.order, "000011112222000011112222", 24), 0, "order of pieces: %.30s", peer.order);
    cr_assert_geq(formats_seen(), LINKS * (LEN / 65536), "every frame of a batch says its format");
    free(batch);
}

Test(conn_link, lets_a_small_event_overtake_a_large_batch_of_another_link)
{
    enum { LEN = 1048576 };
    uint8_t *batch = noise(LEN);
    int large = link_up("hub1/Partitions/0"), small = link_up("hub1/Partitions/1");
    cr_assert_eq(conn_send(conn, large, 0, CONN_FORMAT_BATCH, batch, LEN), 0);
    const uint8_t *data;
    cr_assert_gt(conn_output(conn, &data), 0);
    cr_assert_eq(conn_send(conn, small, 1, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_eq(peer.delivery_count, 2);
    cr_assert_eq(peer.delivery[0].len, 1);
    cr_assert_eq(peer.delivery[1].sum, sum_of(batch, LEN));
    cr_assert_lt(strcspn(peer.order, "1"), 6, "order of pieces: %.20s", peer.order);
    free(batch);
}

Test(conn_link, gives_the_engine_little_ahead_of_the_wire)
{
    enum { LEN = 1048576, LINKS = 32 };
    uint8_t *batch = noise(LEN);
    int link[LINKS];
    for (int i = 0; i < LINKS; i++)
        link[i] = link_up("hub1");
    for (int i = 0; i < LINKS; i++)
        cr_assert_eq(conn_send(conn, link[i], (uint64_t)i, CONN_FORMAT_BATCH, batch, LEN), 0);
    const uint8_t *data;
    size_t len = conn_output(conn, &data), held = 0;
    cr_assert_gt(len, 0);
    for (int i = 0; i < LINKS; i++)
        conn_send_abort(conn, link[i]); /* what comes out now is what the engine had been given */
    while ((len = conn_output(conn, &data)) > 0) {
        held += len;
        conn_output_done(conn, len);
    }
    cr_assert_lt(held, 4 * CONN_MAX_FRAME);
    free(batch);
}

Test(conn_link, cuts_a_batch_into_the_peers_smallest_frames)
{
    enum { LEN = 100000 };
    uint8_t *batch = noise(LEN);
    pn_transport_set_max_frame(peer.driver.transport, 512);
    peer.session_bytes = 512 * 1024;
    peer_record(&peer, 1 << 20);
    int link = link_up("hub1");
    peer.got_len = 0;
    cr_assert_eq(conn_send(conn, link, 0, CONN_FORMAT_BATCH, batch, LEN), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(peer.delivery[0].sum, sum_of(batch, LEN));
    cr_assert_geq(formats_seen(), LEN / 512);
    free(batch);
}

Test(conn_link, keeps_to_a_session_window_of_two_frames)
{
    enum { LEN = 1048576 };
    uint8_t *batch = noise(LEN);
    peer.session_bytes = 2 * 65536;
    int first = link_up("hub1/Partitions/0"), second = link_up("hub1/Partitions/1");
    cr_assert_eq(conn_send(conn, first, 0, CONN_FORMAT_BATCH, batch, LEN), 0);
    cr_assert_eq(conn_send(conn, second, 1, CONN_FORMAT_BATCH, batch, LEN), 0);
    const uint8_t *data;
    size_t len, ahead = 0;
    uint8_t *held = malloc(2 * LEN);
    while ((len = conn_output(conn, &data)) > 0) { /* the peer reads nothing yet */
        memcpy(held + ahead, data, len);
        ahead += len;
        conn_output_done(conn, len);
    }
    cr_assert_leq(ahead, 3 * 65536);
    peer_input(&peer, held, ahead);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    cr_assert(await(CONN_SETTLED));
    for (int i = 0; i < 2; i++)
        cr_assert_eq(peer.delivery[i].sum, sum_of(batch, LEN));
    free(held);
    free(batch);
}

Test(conn_link, carries_batches_when_every_byte_comes_and_goes_alone)
{
    enum { LEN = 70000 };
    uint8_t *batch = noise(LEN);
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0);
    peer_pump(&peer, conn, 1);
    cr_assert(await(CONN_TOKEN));
    conn_read_hub(conn, "hub1", "t");
    peer_pump(&peer, conn, 1);
    cr_assert(await(CONN_HUB));
    cr_assert_eq(event.partition_count, 4);
    int link = conn_link_open(conn, "hub1");
    peer_pump(&peer, conn, 1);
    cr_assert_eq(conn_send(conn, link, 3, CONN_FORMAT_BATCH, batch, LEN), 0);
    peer_pump(&peer, conn, 1);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.tag, 3);
    cr_assert_eq(peer.delivery[0].sum, sum_of(batch, LEN));
    cr_assert_eq(peer.delivery[0].tag_len, 4, "the filter saw every head");
    free(batch);
}

Test(conn_link, tells_each_of_the_four_outcomes)
{
    int link = link_up("hub1");
    static const enum peer_outcome script[] = {PEER_ACCEPT, PEER_REJECT, PEER_RELEASE, PEER_MODIFY, PEER_MODIFY_HERE, PEER_MODIFY_FAILED};
    static const enum conn_outcome expected[] = {CONN_ACCEPTED, CONN_REJECTED, CONN_RELEASED, CONN_MODIFIED, CONN_MODIFIED, CONN_MODIFIED};
    for (uint64_t i = 0; i < 6; i++) {
        peer.outcome = script[i];
        cr_assert_eq(conn_send(conn, link, i, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), 0);
        peer_pump(&peer, conn, WHOLE);
        cr_assert(await(CONN_SETTLED));
        cr_assert_eq(event.tag, i);
        cr_assert_eq(event.outcome, expected[i]);
        cr_assert_eq(event.place, OUTCOME_DISPOSITION);
        cr_assert_eq(event.undeliverable_here, i == 4);
        cr_assert_eq(event.delivery_failed, i == 5);
        cr_assert_str_eq(event.condition, i == 1 ? "com.microsoft:server-busy" : "");
        cr_assert_str_eq(event.description, i == 1 ? "Please wait 4 seconds and try again." : "");
    }
}

Test(conn_link, takes_outcomes_in_any_order)
{
    enum { COUNT = 40 };
    peer.outcome = PEER_HOLD;
    int link = link_up("hub1");
    for (uint64_t i = 0; i < COUNT; i++) {
        cr_assert_eq(conn_send(conn, link, 1000 + i, CONN_FORMAT_BATCH, (const uint8_t *)"x", 1), 0);
        peer_pump(&peer, conn, WHOLE);
        cr_assert(await(CONN_SENT));
    }
    for (int i = COUNT - 1; i >= 0; i--)
        peer_settle(peer.delivery[i].pn, i % 2 ? PEER_ACCEPT : PEER_RELEASE);
    peer_pump(&peer, conn, WHOLE);
    bool seen[COUNT] = {0};
    while (await(CONN_SETTLED)) {
        int i = (int)(event.tag - 1000);
        cr_assert(i >= 0 && i < COUNT && !seen[i]);
        seen[i] = true;
        cr_assert_eq(event.outcome, i % 2 ? CONN_ACCEPTED : CONN_RELEASED);
    }
    for (int i = 0; i < COUNT; i++)
        cr_assert(seen[i]);
}

Test(conn_link, does_not_believe_an_accept_of_half_a_batch)
{
    enum { LEN = 400000 };
    uint8_t *batch = noise(LEN);
    int link = link_up("hub1");
    cr_assert_eq(conn_send(conn, link, 5, CONN_FORMAT_BATCH, batch, LEN), 0);
    for (int i = 0; i < 100000 && !pn_link_current(peer.last_link); i++) { /* one frame, and no more */
        const uint8_t *data;
        pn_rwbytes_t room = pn_connection_driver_read_buffer(&peer.driver);
        size_t part = conn_output(conn, &data);
        part = part < room.size ? part : room.size;
        part = part < 1000 ? part : 1000;
        memcpy(room.start, data, part);
        pn_connection_driver_read_done(&peer.driver, part);
        conn_output_done(conn, part);
    }
    pn_delivery_t *half = pn_link_current(peer.last_link);
    cr_assert(half);
    pn_delivery_update(half, PN_ACCEPTED);
    pn_delivery_settle(half);
    pn_bytes_t out = pn_connection_driver_write_buffer(&peer.driver);
    conn_input(conn, (const uint8_t *)out.start, out.size);
    pn_connection_driver_write_done(&peer.driver, out.size);
    cr_assert(await(CONN_SENT), "the buffer is free");
    memset(batch, 0xee, LEN);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.outcome, CONN_RELEASED);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_eq(peer.delivery_count, 0);
    free(batch);
}

Test(conn_link, aborts_a_half_sent_batch_and_keeps_the_link)
{
    enum { LEN = 400000 };
    uint8_t *batch = noise(LEN);
    int link = link_up("hub1");
    cr_assert_eq(conn_send(conn, link, 5, CONN_FORMAT_BATCH, batch, LEN), 0);
    const uint8_t *data;
    size_t len = conn_output(conn, &data);
    cr_assert_lt(len, LEN);
    conn_send_abort(conn, link);
    free(batch); /* nobody looks at it any more */
    peer_pump(&peer, conn, WHOLE);
    cr_assert_not(await(CONN_SETTLED));
    cr_assert_eq(peer.aborted_count, 1);
    cr_assert_eq(conn_send(conn, link, 6, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.tag, 6);
    cr_assert_eq(peer.delivery_count, 1);
}

Test(conn_link, tells_the_settlements_before_a_detach_and_none_after)
{
    peer.outcome = PEER_HOLD;
    int link = link_up("hub1");
    for (uint64_t i = 0; i < 2; i++) {
        conn_send(conn, link, i, CONN_FORMAT_BATCH, (const uint8_t *)"x", 1);
        peer_pump(&peer, conn, WHOLE);
        cr_assert(await(CONN_SENT));
    }
    peer_settle(peer.delivery[0].pn, PEER_ACCEPT);
    peer_pump(&peer, conn, WHOLE);
    pn_condition_set_name(pn_link_condition(peer.last_link), "amqp:link:detach-forced");
    pn_condition_set_description(pn_link_condition(peer.last_link), "Idle timeout: 00:30:00.");
    pn_link_close(peer.last_link);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(conn_next_event(conn, &event));
    cr_assert_eq(event.kind, CONN_SETTLED);
    cr_assert_eq(event.tag, 0);
    cr_assert(conn_next_event(conn, &event));
    cr_assert_eq(event.kind, CONN_LINK_ENDED);
    cr_assert_eq(event.link, link);
    cr_assert_eq(event.place, OUTCOME_DETACH);
    cr_assert_str_eq(event.condition, "amqp:link:detach-forced");
    cr_assert_str_eq(event.description, "Idle timeout: 00:30:00.");
    cr_assert_not(conn_next_event(conn, &event));
    cr_assert_eq(link_up("hub1"), link, "the number is free for the next link");
}

Test(conn_link, closes_a_link_without_settlements_afterwards)
{
    peer.outcome = PEER_HOLD;
    int link = link_up("hub1");
    conn_send(conn, link, 1, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1);
    peer_pump(&peer, conn, WHOLE);
    peer_settle(peer.delivery[0].pn, PEER_ACCEPT);
    peer_pump(&peer, conn, WHOLE); /* it waits to be fetched */
    conn_link_close(conn, link);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(conn_next_event(conn, &event));
    while (event.kind != CONN_LINK_ENDED) {
        cr_assert_neq(event.kind, CONN_SETTLED);
        cr_assert(conn_next_event(conn, &event));
    }
    cr_assert_str_eq(event.condition, "");
}

Test(conn_link, closes_a_link_and_leaves_the_others_sends_alone)
{
    enum { LEN = 400000 };
    uint8_t *batch = noise(LEN);
    int closed = link_up("hub1/Partitions/0"), other = link_up("hub1/Partitions/1");
    cr_assert_eq(conn_send(conn, closed, 1, CONN_FORMAT_BATCH, batch, LEN), 0);
    cr_assert_eq(conn_send(conn, other, 2, CONN_FORMAT_BATCH, batch, LEN), 0);
    const uint8_t *data;
    cr_assert_gt(conn_output(conn, &data), 0, "both are half-sent");
    conn_link_close(conn, closed);
    conn_link_close(conn, closed);
    int ended = 0, accepted = 0;
    peer_pump(&peer, conn, WHOLE);
    while (conn_next_event(conn, &event)) {
        ended += event.kind == CONN_LINK_ENDED && event.link == closed;
        accepted += event.kind == CONN_SETTLED && event.tag == 2 && event.outcome == CONN_ACCEPTED;
        cr_assert_neq(event.kind, CONN_CLOSED);
    }
    cr_assert_eq(ended, 1);
    cr_assert_eq(accepted, 1);
    cr_assert_eq(peer.delivery_count, 1);
    cr_assert_eq(peer.delivery[0].sum, sum_of(batch, LEN));
    free(batch);
}

Test(conn_link, is_detached_in_order_when_its_settlements_were_fetched)
{
    int link = link_up("hub1");
    conn_send(conn, link, 1, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    conn_link_close(conn, link);
    cr_assert_eq(conn_send(conn, link, 2, CONN_FORMAT_SINGLE, (const uint8_t *)"x", 1), -ENOTCONN);
    cr_assert_eq(conn_link_credit(conn, link), 0);
    cr_assert_not(await(CONN_LINK_ENDED), "not before the peer has answered");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_ENDED));
    cr_assert_eq(event.link, link);
    cr_assert_eq(peer.aborted_count, 0);
    cr_assert_eq(link_up("hub1"), link);
}

Test(conn_link, opens_more_links_than_a_session_has_handles)
{
    enum { LINKS = 1000 };
    cr_assert_eq(conn_link_count_max(conn), 0, "the peer's limit is not known yet");
    peer_pump(&peer, conn, WHOLE);
    cr_assert_geq(conn_link_count_max(conn), LINKS);
    for (int i = 0; i < LINKS; i++)
        cr_assert_eq(conn_link_open(conn, "hub1"), i);
    peer_pump(&peer, conn, WHOLE);
    int ready = 0;
    while (await(CONN_LINK_READY))
        ready++;
    cr_assert_eq(ready, LINKS);
    int sessions = 0;
    for (pn_session_t *s = pn_session_head(peer.driver.connection, 0); s; s = pn_session_next(s, 0))
        sessions++;
    cr_assert_eq(sessions, 4);
}

Test(conn_link, refuses_a_link_beyond_the_peers_channels)
{
    pn_transport_set_channel_max(peer.driver.transport, 0);
    peer_pump(&peer, conn, WHOLE);
    int link = 0;
    uint32_t count = 0;
    while ((link = conn_link_open(conn, "hub1")) >= 0)
        count++;
    cr_assert_eq(link, -EMFILE);
    cr_assert_eq(count, conn_link_count_max(conn));
    cr_assert_eq(count, 251);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_not(await(CONN_CLOSED));
}
