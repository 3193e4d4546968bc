/* The AMQP connection against a scripted peer in memory: opening, requests, ends, hostile peers. */
#include <errno.h>

#include "conn_rig.h"

TestSuite(conn, .init = rig_open, .fini = rig_close);

Test(conn, opens_with_its_name_limits_and_properties)
{
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_OPENED));
    pn_connection_t *seen = peer.driver.connection;
    cr_assert_str_eq(pn_connection_remote_container(seen), "test-1");
    cr_assert_str_eq(pn_connection_remote_hostname(seen), "contoso.servicebus.windows.net");
    cr_assert_eq(pn_transport_get_remote_max_frame(peer.driver.transport), 65536);
    cr_assert_eq(pn_transport_get_remote_idle_timeout(peer.driver.transport), 30000);
    char product[64];
    pn_data_t *properties = pn_connection_remote_properties(seen);
    pn_data_rewind(properties);
    cr_assert(pn_data_next(properties) && pn_data_type(properties) == PN_MAP);
    cr_assert_eq(pn_data_get_map(properties), 10);
    pn_data_enter(properties);
    pn_data_next(properties);
    cr_assert_eq(pn_data_type(properties), PN_SYMBOL);
    pn_data_next(properties);
    snprintf(product, sizeof product, "%.*s", (int)pn_data_get_string(properties).size, pn_data_get_string(properties).start);
    cr_assert_str_eq(product, "ehring");
}

Test(conn, puts_a_token_and_hears_that_it_is_accepted)
{
    cr_assert_eq(conn_put_token(conn, "servicebus.windows.net:sastoken", "sb://contoso/hub1", "SharedAccessSignature x", 1700000000), 0);
    cr_assert_eq(conn_put_token(conn, "jwt", "x", "y", 0), -EBUSY);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.status, 202);
    cr_assert_str_eq(peer.put_token_type, "servicebus.windows.net:sastoken");
    cr_assert_str_eq(peer.put_token_name, "sb://contoso/hub1");
    cr_assert_str_eq(peer.put_token_body, "SharedAccessSignature x");
}

Test(conn, puts_tokens_again_on_the_same_links)
{
    for (int i = 0; i < 20; i++) {
        char token[32];
        snprintf(token, sizeof token, "token-%d", i);
        cr_assert_eq(conn_put_token(conn, "jwt", "sb://contoso/hub1", token, 0), 0);
        peer_pump(&peer, conn, WHOLE);
        cr_assert(await(CONN_TOKEN), "answer %d", i);
        cr_assert_str_eq(peer.put_token_body, token);
    }
    int links = 0;
    for (pn_link_t *link = pn_link_head(peer.driver.connection, 0); link; link = pn_link_next(link, 0))
        links++;
    cr_assert_eq(links, 2);
}

Test(conn, tells_condition_and_text_of_a_refused_token)
{
    peer.cbs_status = 401;
    peer.cbs_condition = "com.microsoft:auth-failed";
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "old", 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.place, OUTCOME_CBS);
    cr_assert_eq(event.status, 401);
    cr_assert_str_eq(event.condition, "com.microsoft:auth-failed");
    cr_assert_str_eq(event.description, "ExpiredToken: The token is expired", "control bytes are replaced");
}

Test(conn, tells_why_the_hub_could_not_be_read)
{
    peer.management_status = 404;
    peer.cbs_condition = "amqp:not-found";
    conn_read_hub(conn, "hub1", "t");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_HUB));
    cr_assert_eq(event.place, OUTCOME_MANAGEMENT);
    cr_assert_eq(event.status, 404);
    cr_assert_str_eq(event.condition, "amqp:not-found");
}

Test(conn, tells_why_the_link_of_a_request_was_refused)
{
    peer.refuse = "$cbs";
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.status, 0);
    cr_assert_str_eq(event.condition, "amqp:unauthorized-access");
    cr_assert(strstr(event.description, "Send"));
    peer.refuse = "$management";
    conn_read_hub(conn, "hub1", "t");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_HUB));
    cr_assert_eq(event.status, 0);
    cr_assert_str_eq(event.condition, "amqp:unauthorized-access");
    peer.refuse = NULL;
    cr_assert_eq(conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.status, 202);
}

Test(conn, tells_why_the_message_of_a_request_was_rejected)
{
    peer.refuse_requests = true;
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0);
    conn_read_hub(conn, "hub1", "t");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.status, 0);
    cr_assert_str_eq(event.condition, "com.microsoft:server-busy");
    cr_assert(await(CONN_HUB));
    cr_assert_str_eq(event.condition, "com.microsoft:server-busy");
}

Test(conn, gives_up_a_token_request_after_its_time)
{
    peer.cbs_status = 0;
    conn_tick(conn, 1000);
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_leq(conn_tick(conn, 1001), 61000);
    cr_assert_not(await(CONN_TOKEN));
    conn_tick(conn, 60999);
    cr_assert_not(await(CONN_TOKEN));
    conn_tick(conn, 61000);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.status, 0);
    cr_assert_str_eq(event.condition, "com.microsoft:timeout");
    cr_assert_eq(conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0), 0, "the node is free again");
}

Test(conn, does_not_take_a_late_answer_for_the_next_one)
{
    peer.cbs_status = 0;
    conn_tick(conn, 1000);
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "first", 0);
    peer_pump(&peer, conn, WHOLE);
    pn_atom_t first = peer.last_id;
    conn_tick(conn, 61000);
    cr_assert(await(CONN_TOKEN));
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "second", 0);
    peer_pump(&peer, conn, WHOLE);
    peer_reply(&peer, peer.cbs_reply, first, 401);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_not(await(CONN_TOKEN));
    peer_reply(&peer, peer.cbs_reply, peer.last_id, 202);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(event.status, 202);
}

Test(conn, reads_the_hub_and_its_plain_partition_ids)
{
    peer.partitions = 32;
    cr_assert_eq(conn_read_hub(conn, "hub1", "t"), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_HUB));
    cr_assert_eq(event.status, 200);
    cr_assert_eq(event.partition_count, 32);
    cr_assert(event.ids_plain);
    cr_assert_str_eq(peer.read_name, "hub1");
}

Test(conn, reads_no_count_from_an_absurd_number_of_partitions)
{
    peer.partitions = 5000;
    conn_read_hub(conn, "hub1", "t");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_HUB));
    cr_assert_eq(event.partition_count, 0);
    cr_assert_not(event.ids_plain);
}

Test(conn, closes_orderly)
{
    peer_pump(&peer, conn, WHOLE);
    conn_close(conn);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    cr_assert_str_eq(event.condition, "");
    cr_assert_eq(conn_link_open(conn, "hub1"), -ENOTCONN);
    cr_assert_eq(conn_put_token(conn, "jwt", "a", "t", 0), -ENOTCONN);
}

Test(conn, tells_why_the_peer_closed)
{
    peer_pump(&peer, conn, WHOLE);
    pn_condition_t *condition = pn_connection_condition(peer.driver.connection);
    pn_condition_set_name(condition, "amqp:connection:forced");
    pn_condition_set_description(condition, "inactive for more than 300000 milliseconds");
    pn_connection_close(peer.driver.connection);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    cr_assert_eq(event.place, OUTCOME_CLOSE);
    cr_assert_str_eq(event.condition, "amqp:connection:forced");
    cr_assert_str_eq(event.description, "inactive for more than 300000 milliseconds");
    cr_assert_not(await(CONN_CLOSED), "told once");
}

Test(conn, tells_why_the_peer_ended_the_session)
{
    peer_pump(&peer, conn, WHOLE);
    pn_session_t *session = pn_session_head(peer.driver.connection, 0);
    pn_condition_set_name(pn_session_condition(session), "amqp:session:window-violation");
    pn_session_close(session);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    cr_assert_eq(event.place, OUTCOME_END);
    cr_assert_str_eq(event.condition, "amqp:session:window-violation");
}

Test(conn, ends_with_its_transport)
{
    peer_pump(&peer, conn, WHOLE);
    conn_input_end(conn);
    cr_assert(await(CONN_CLOSED));
    cr_assert_eq(event.place, OUTCOME_CLOSE);
    cr_assert_str_eq(event.condition, "");
}

Test(conn, takes_a_session_of_many_for_the_whole_connection)
{
    peer_pump(&peer, conn, WHOLE);
    for (int i = 0; i < 300; i++)
        conn_link_open(conn, "hub1");
    peer_pump(&peer, conn, WHOLE);
    pn_session_t *second = pn_session_next(pn_session_head(peer.driver.connection, 0), 0);
    cr_assert(second);
    pn_condition_set_name(pn_session_condition(second), "amqp:session:errant-link");
    pn_session_close(second);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    cr_assert_eq(event.place, OUTCOME_END);
    cr_assert_str_eq(event.condition, "amqp:session:errant-link");
}

Test(conn, ends_with_a_condition_when_the_peer_falls_silent)
{
    conn_tick(conn, 1000);
    peer_pump(&peer, conn, WHOLE);
    int64_t now_ms = conn_tick(conn, 2000);
    for (int i = 0; i < 10 && !await(CONN_CLOSED); i++)
        now_ms = conn_tick(conn, now_ms);
    cr_assert_eq(event.kind, CONN_CLOSED);
    cr_assert(strstr(event.description, "idle"), "%s", event.description);
}

Test(conn, keeps_the_peer_awake_with_empty_frames)
{
    pn_transport_set_idle_timeout(peer.driver.transport, 40000); /* announced as 20 s, so every 10 s */
    peer_pump(&peer, conn, WHOLE);
    cr_assert_eq(conn_tick(conn, 1000), 11000);
    const uint8_t *data;
    conn_tick(conn, 10999);
    cr_assert_eq(conn_output(conn, &data), 0);
    conn_tick(conn, 11000);
    size_t len = conn_output(conn, &data);
    cr_assert_geq(len, 8);
    cr_assert_eq(memcmp(data, "\0\0\0\x08\x02\0\0\0", 8), 0);
}

/* The service's own time-out; ours is shorter, so the peer sends empty frames too. */
Test(conn, stays_open_through_five_idle_minutes)
{
    pn_transport_set_idle_timeout(peer.driver.transport, 480000); /* announced as 240 s */
    peer_pump(&peer, conn, WHOLE);
    int64_t now_ms = 1000, sent_ms = now_ms, silence_ms = 0;
    while (now_ms < 1000 + 310000) {
        int64_t next_ms = conn_tick(conn, now_ms), peer_ms = pn_transport_tick(peer.driver.transport, now_ms);
        cr_assert_gt(next_ms, now_ms);
        const uint8_t *data;
        if (conn_output(conn, &data) > 0)
            sent_ms = now_ms;
        silence_ms = now_ms - sent_ms > silence_ms ? now_ms - sent_ms : silence_ms;
        peer_pump(&peer, conn, WHOLE);
        now_ms = peer_ms > now_ms && peer_ms < next_ms ? peer_ms : next_ms;
    }
    cr_assert_not(await(CONN_CLOSED));
    cr_assert(pn_connection_state(peer.driver.connection) & PN_LOCAL_ACTIVE);
    cr_assert(silence_ms > 60000 && silence_ms <= 120000, "%lld ms", (long long)silence_ms);
}

Test(conn, is_not_hurried_by_a_peer_with_an_idle_timeout_of_nothing)
{
    pn_transport_set_idle_timeout(peer.driver.transport, 2);
    peer_pump(&peer, conn, WHOLE);
    int64_t now_ms = conn_tick(conn, 1000);
    cr_assert_geq(now_ms, 1010);
    cr_assert_geq(conn_tick(conn, now_ms), now_ms + 10);
}

Test(conn, refuses_a_peer_that_opens_links_of_its_own)
{
    peer_pump(&peer, conn, WHOLE);
    pn_session_t *session = pn_session_head(peer.driver.connection, 0);
    pn_link_open(pn_sender(session, "mine"));
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    cr_assert_str_eq(event.condition, "amqp:not-allowed");
}

Test(conn, ends_on_garbage)
{
    static const char *const garbage[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "AMQP\x00\x00\x09\x01",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct conn *other;
        struct conn_options options = {.container_id = "g", .hostname = "h"};
        cr_assert_eq(conn_open(&options, &other), 0);
        size_t len = i == 1 ? 8 : strlen(garbage[i]);
        for (size_t at = 0; at < len; at++)
            conn_input(other, (const uint8_t *)garbage[i] + at, 1);
        conn_input_end(other);
        bool closed = false;
        while (conn_next_event(other, &event))
            closed = closed || event.kind == CONN_CLOSED;
        cr_assert(closed);
        cr_assert_neq(conn_input(other, (const uint8_t *)"x", 1), 0);
        conn_free(other);
    }
}

Test(conn, ends_when_anonymous_is_not_offered)
{
    pn_sasl_allowed_mechs(pn_sasl(peer.driver.transport), "EXTERNAL");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    cr_assert_str_eq(event.condition, "amqp:unauthorized-access");
}
