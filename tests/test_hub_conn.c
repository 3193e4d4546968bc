/* What a client sees of the hub on the wire: tokens, links, credit, outcomes, faults. */
#include <criterion/criterion.h>

#include "tests/hub_expect.h"

Test(hub_conn, a_link_without_token_is_refused)
{
    struct rig r;

    rig_open(&r, NULL);
    rig_put_open(&r, false, 65536);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    expect_refusal(&r, false, "amqp:unauthorized-access");
    rig_put_attach(&r, 1, false, "$management", NULL, -1);
    expect_refusal(&r, false, "amqp:unauthorized-access");
    rig_close(&r);
}

Test(hub_conn, a_good_token_opens_the_hub_and_its_partitions_and_nothing_else)
{
    struct rig r;

    cr_assert_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1700000100), 202);
    cr_assert_eq(hub_broker_add(&r.broker, "hub2:1"), 0);
    rig_put_attach(&r, 0, false, "amqps://localhost:5671/hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 6));
    rig_put_attach(&r, 1, false, "/hub1/Partitions/3", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 6));
    rig_put_attach(&r, 2, false, "hub2", NULL, -1);
    expect_refusal(&r, false, "amqp:unauthorized-access");
    rig_close(&r);
}

Test(hub_conn, wrong_keys_expired_tokens_and_missing_hubs_have_their_own_answers)
{
    struct rig r;

    cr_expect_eq(put_token(&r, "d3Jvbmc=", "sb://localhost/hub1", 1700000100), 401);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    expect_refusal(&r, false, "amqp:unauthorized-access");
    rig_close(&r);
    cr_expect_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1699999999), 401);
    rig_close(&r);
    cr_expect_eq(put_token(&r, RIG_KEY, "sb://localhost/missing", 1700000100), 404);
    rig_close(&r);
}

Test(hub_conn, a_second_cbs_pair_is_refused_until_the_first_is_gone)
{
    struct rig r;

    cr_assert_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1700000100), 202);
    rig_put_attach(&r, 2, false, "$cbs", NULL, -1);
    expect_refusal(&r, false, "amqp:not-allowed");
    rig_put_attach(&r, 3, true, "$cbs", NULL, -1);
    expect_refusal(&r, true, "amqp:not-allowed");
    hub_put_detach(&r.out, 0, 100, true, NULL);
    rig_put_attach(&r, 4, false, "$cbs", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 6));
    rig_close(&r);
}

Test(hub_conn, a_connection_without_token_is_closed_after_its_time)
{
    struct rig r;

    rig_open(&r, NULL);
    rig_put_open(&r, false, 65536);
    rig_flush(&r);
    r.broker.now_mono_ms = 20000;
    cr_expect_not(rig_await(&r, HUB_CLOSE));
    r.broker.now_mono_ms = 20001;
    cr_assert(rig_await(&r, HUB_CLOSE));
    cr_expect_str_eq(rig_condition(&r, 0), "amqp:connection:forced");
    rig_close(&r);
}

Test(hub_conn, a_connection_that_never_opens_is_cut_however_slowly_it_talks)
{
    struct rig r;

    rig_open(&r, NULL);
    for (int i = 0; i < 8; i++) {
        r.broker.now_mono_ms = i * 3000;
        hub_buf_put(&r.out, &"AMQP\3\1\0\0"[i], 1);
        rig_flush(&r);
        cr_assert_eq(r.ended, i * 3000 > 20000, "at %d s", i * 3);
    }
    rig_close(&r);
}

Test(hub_conn, a_token_that_runs_out_drops_the_links_until_a_new_one_is_put)
{
    struct rig r;

    cr_assert_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1700000100), 202);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    r.broker.now_ms = 1700000099000;
    cr_expect_not(rig_await(&r, HUB_DETACH));
    r.broker.now_ms = 1700000100000;
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(&r, 2), "amqp:link:detach-forced");
    hub_put_detach(&r.out, 0, 0, true, NULL);
    put_token_request(&r, RIG_KEY, "sb://localhost/hub1", 1700000200);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 6));
    rig_close(&r);
}

Test(hub_conn, missing_hubs_groups_and_partitions_are_refused_by_name)
{
    static const struct {
        const char *address, *condition;
        bool receiver;
    } rows[] = {
        {"missing", "amqp:not-found", false},
        {"hub1/Partitions/4", "com.microsoft:argument-out-of-range", false},
        {"hub1/Partitions/00", "com.microsoft:argument-out-of-range", false},
        {"hub1/nonsense", "amqp:not-found", false},
        {"hub1", "amqp:not-found", true},
        {"hub1/ConsumerGroups/nobody/Partitions/0", "amqp:not-found", true},
        {"hub1/ConsumerGroups/readers/Partitions/9", "com.microsoft:argument-out-of-range", true},
    };
    struct rig r;

    rig_open(&r, NULL);
    rig_put_open(&r, true, 65536);
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig_put_attach(&r, i, rows[i].receiver, rows[i].address, NULL, -1);
        expect_refusal(&r, rows[i].receiver, rows[i].condition);
    }
    rig_close(&r);
}

Test(hub_conn, the_first_credit_is_300_and_is_topped_up_at_200)
{
    struct rig r;
    uint32_t id = 0;

    open_sender(&r, NULL, "hub1");
    cr_expect_eq(hub_field_uint(&r.fields, 6, 0), 300);
    for (; id < 99; id++)
        rig_put_event(&r, 0, id, "x", 1);
    cr_expect_not(rig_await(&r, HUB_FLOW));
    rig_put_event(&r, 0, id, "x", 1);
    cr_assert(rig_await(&r, HUB_FLOW));
    cr_expect_eq(hub_field_uint(&r.fields, 5, 0), 100);
    cr_expect_eq(hub_field_uint(&r.fields, 6, 0), 300);
    rig_close(&r);
}

Test(hub_conn, deliveries_that_came_together_are_accepted_in_one_range)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    for (uint32_t id = 5; id < 15; id++)
        rig_put_event(&r, 0, id, "x", 1);
    expect_outcome(&r, 5, 14, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 10);
    cr_expect_eq(r.broker.entities[0]->partitions[0].counts.events, 3, "not in turn over the partitions");
    rig_close(&r);
}

Test(hub_conn, a_conversation_cut_into_single_bytes_is_the_same)
{
    char body[70000];
    struct rig r;

    memset(body, 'b', sizeof body);
    rig_open(&r, NULL);
    r.piece = 1;
    rig_put_open(&r, true, 65536);
    rig_put_attach(&r, 0, false, "hub1/Partitions/2", NULL, -1);
    rig_put_event(&r, 0, 0, body, sizeof body);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    cr_expect_eq(r.broker.entities[0]->partitions[2].counts.events, 1);
    rig_close(&r);
}

Test(hub_conn, an_event_over_the_limit_is_rejected_and_the_next_is_taken)
{
    char *body = calloc(1, 300000);
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_put_event(&r, 0, 0, body, 200000 - 8);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_put_event(&r, 0, 1, body, 200001 - 8);
    expect_outcome(&r, 1, 1, HUB_REJECTED, "amqp:link:message-size-exceeded");
    rig_put_event(&r, 0, 2, body, 300000);
    expect_outcome(&r, 2, 2, HUB_REJECTED, "amqp:link:message-size-exceeded");
    rig_put_event(&r, 0, 3, body, 10);
    expect_outcome(&r, 3, 3, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 2);
    rig_close(&r);
    free(body);
}

Test(hub_conn, an_aborted_delivery_leaves_nothing_behind)
{
    struct rig r;
    size_t list;

    open_sender(&r, NULL, "hub1");
    rig_put_transfer(&r, 0, 0, 0, "half", 4, true);
    size_t frame = rig_begin_frame(&r, HUB_FRAME_AMQP, HUB_TRANSFER, &list);
    hub_put_uint(&r.out, 0);
    for (int i = 1; i < 9; i++)
        hub_put_null(&r.out);
    hub_put_bool(&r.out, true);
    rig_end_frame(&r, frame, list, 10);
    rig_put_event(&r, 0, 1, "x", 1);
    expect_outcome(&r, 1, 1, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 1);
    rig_close(&r);
}

Test(hub_conn, a_bad_message_is_rejected_and_the_link_goes_on)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_put_transfer(&r, 0, 0, 0, "garbage", 7, false);
    rig_put_transfer(&r, 0, 1, HUB_FORMAT_BATCH, "", 0, false);
    rig_put_event(&r, 0, 2, "x", 1);
    expect_outcome(&r, 0, 0, HUB_REJECTED, "amqp:decode-error");
    expect_outcome(&r, 1, 1, HUB_REJECTED, "amqp:invalid-field");
    expect_outcome(&r, 2, 2, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 1);
    rig_close(&r);
}

Test(hub_conn, a_frame_larger_than_agreed_closes_the_connection)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    hub_buf_put(&r.out, "\0\1\0\1\2\0\0\0", 8);
    cr_assert(rig_await(&r, HUB_CLOSE));
    cr_expect_str_eq(rig_condition(&r, 0), "amqp:connection:framing-error");
    rig_close(&r);
}

Test(hub_conn, a_wrong_password_is_refused_by_sasl)
{
    struct rig r;
    size_t list;

    rig_open(&r, NULL);
    hub_buf_put(&r.out, "AMQP\3\1\0\0", 8);
    size_t frame = rig_begin_frame(&r, HUB_FRAME_SASL, HUB_SASL_INIT, &list);
    hub_put_symbol(&r.out, "PLAIN");
    hub_put_binary(&r.out, "\0send\0wrong", 11);
    rig_end_frame(&r, frame, list, 2);
    cr_assert(rig_await(&r, HUB_SASL_OUTCOME));
    cr_expect_eq(hub_field_uint(&r.fields, 0, 0), 1);
    rig_close(&r);
}

Test(hub_conn, a_receiver_gets_as_much_as_its_credit_with_the_services_annotations)
{
    char *body = calloc(1, 150000);
    struct rig r;
    size_t got = 0;

    open_sender(&r, NULL, "hub1/Partitions/1");
    rig_put_event(&r, 0, 0, "first", 5);
    rig_put_event(&r, 0, 1, body, 150000);
    rig_put_event(&r, 0, 2, "third", 5);
    rig_put_attach(&r, 1, true, "hub1/ConsumerGroups/readers/Partitions/1", "amqp.annotation.x-opt-offset > '-1'", -1);
    rig_put_credit(&r, 1, 0, 2, false);
    cr_assert(rig_await(&r, HUB_TRANSFER));
    struct hub_event e;
    struct hub_error why;
    struct hub_value map, v;
    cr_assert_eq(hub_event_read(&e, r.payload.at, hub_in_left(&r.payload), &why), 0, "%s", why.text);
    cr_expect_eq(memcmp(e.data.bytes, "first", 5), 0);
    struct hub_in in = hub_in_of(e.annotations.bytes, e.annotations.len);
    cr_assert_eq(hub_value_read(&in, &map), 0);
    cr_expect(hub_map_find(&map, "x-opt-sequence-number", &v) && v.type == HUB_LONG && v.i == 0);
    cr_expect(hub_map_find(&map, "x-opt-offset", &v) && v.type == HUB_STRING && hub_value_is(&v, "0"));
    cr_expect(hub_map_find(&map, "x-opt-enqueued-time", &v) && v.type == HUB_TIMESTAMP && v.i == 1700000000000);
    bool more = true;
    while (more && rig_await(&r, HUB_TRANSFER)) {
        got += hub_in_left(&r.payload);
        more = hub_field_bool(&r.fields, 5, false);
    }
    cr_expect_gt(got, 150000);
    cr_expect_not(rig_await(&r, HUB_TRANSFER), "an event beyond the credit");
    rig_put_credit(&r, 1, 2, 10, true);
    cr_expect(rig_await(&r, HUB_TRANSFER));
    cr_assert(rig_await(&r, HUB_FLOW), "drain was not answered");
    cr_expect_eq(hub_field_uint(&r.fields, 5, 0), 12);
    cr_expect_eq(hub_field_uint(&r.fields, 6, 1), 0);
    rig_close(&r);
    free(body);
}

Test(hub_conn, a_receiver_hears_of_events_that_come_later)
{
    struct rig r;

    open_sender(&r, NULL, "hub1/Partitions/1");
    rig_put_event(&r, 0, 0, "before", 6);
    rig_put_attach(&r, 1, true, "hub1/ConsumerGroups/$Default/Partitions/1", "amqp.annotation.x-opt-offset > '@latest'", -1);
    rig_put_credit(&r, 1, 0, 10, false);
    cr_expect_not(rig_await(&r, HUB_TRANSFER));
    rig_put_event(&r, 0, 1, "after!", 6);
    cr_assert(rig_await(&r, HUB_TRANSFER));
    cr_expect_eq(memcmp(r.payload.end - 6, "after!", 6), 0);
    rig_close(&r);
}

Test(hub_conn, the_higher_epoch_takes_a_partition_over)
{
    static const char address[] = "hub1/ConsumerGroups/$Default/Partitions/1";
    struct rig r;

    rig_open(&r, NULL);
    rig_put_open(&r, true, 65536);
    rig_put_attach(&r, 0, true, address, NULL, 1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    rig_put_attach(&r, 1, true, address, NULL, 0);
    expect_refusal(&r, true, "amqp:link:stolen");
    rig_put_attach(&r, 2, true, address, NULL, -1);
    expect_refusal(&r, true, "amqp:link:stolen");
    rig_put_attach(&r, 3, true, address, NULL, 2);
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_eq(hub_field_uint(&r.fields, 0, 99), 0);
    cr_expect_str_eq(rig_condition(&r, 2), "amqp:link:stolen");
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 5));
    rig_close(&r);
}

Test(hub_conn, faults_answer_every_nth_delivery_and_store_what_they_should)
{
    static const struct {
        const char *fault;
        uint64_t outcome;
        const char *condition;
    } rows[] = {
        {"reject:2:amqp:internal-error:told to", HUB_REJECTED, "amqp:internal-error"},
        {"throttle:2", HUB_REJECTED, "com.microsoft:server-busy"},
        {"release:2", HUB_RELEASED, ""},
        {"modify:2", HUB_MODIFIED, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig r;
        open_sender(&r, rows[i].fault, "hub1");
        rig_put_event(&r, 0, 0, "x", 1);
        rig_put_event(&r, 0, 1, "x", 1);
        rig_put_event(&r, 0, 2, "x", 1);
        expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
        expect_outcome(&r, 1, 1, rows[i].outcome, rows[i].condition);
        expect_outcome(&r, 2, 2, HUB_ACCEPTED, "");
        cr_expect_eq(rig_stored(&r), 2);
        rig_close(&r);
    }
}

Test(hub_conn, faults_that_leave_the_sender_in_doubt_have_stored_the_event)
{
    struct rig r;

    open_sender(&r, "drop-after:2", "hub1");
    rig_put_event(&r, 0, 0, "x", 1);
    rig_put_event(&r, 0, 1, "x", 1);
    cr_expect_not(rig_await(&r, HUB_DISPOSITION));
    cr_expect(r.ended);
    cr_expect_eq(rig_stored(&r), 2);
    rig_close(&r);
    open_sender(&r, "silent-disposition:1", "hub1");
    rig_put_event(&r, 0, 0, "x", 1);
    cr_expect_not(rig_await(&r, HUB_DISPOSITION));
    cr_expect_eq(rig_stored(&r), 1);
    rig_close(&r);
    open_sender(&r, "detach-after:1:amqp:link:detach-forced", "hub1");
    rig_put_event(&r, 0, 0, "x", 1);
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(&r, 2), "amqp:link:detach-forced");
    cr_expect_eq(rig_stored(&r), 1);
    rig_close(&r);
}

Test(hub_conn, a_delayed_disposition_comes_at_its_time_and_not_before)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    r.limits.disposition_delay_ms = 50;
    rig_put_event(&r, 0, 0, "x", 1);
    cr_expect_not(rig_await(&r, HUB_DISPOSITION));
    cr_expect_eq(hub_settle_next_ms(r.conn), 50);
    r.broker.now_mono_ms = 50;
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_close(&r);
}

Test(hub_conn, a_transfer_without_credit_detaches_the_link)
{
    struct rig r;

    rig_open(&r, NULL);
    r.limits.credit = 1;
    r.limits.disposition_delay_ms = 1000;
    rig_put_open(&r, true, 65536);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_FLOW));
    cr_expect_eq(hub_field_uint(&r.fields, 6, 0), 1);
    rig_put_transfer(&r, 0, 0, 0, "half", 4, true);
    rig_flush(&r);
    r.conn->sessions[0]->links[0]->credit = 0;
    r.conn->sessions[0]->links[0]->in_delivery = false;
    rig_put_event(&r, 0, 1, "x", 1);
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(&r, 2), "amqp:link:transfer-limit-exceeded");
    rig_close(&r);
}
