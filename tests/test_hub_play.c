/* What a client on the wire sees of each fault, and when it is over. */
#include "tests/hub_expect.h"

enum { END_ERROR = 0, CLOSE_ERROR = 0, DETACH_ERROR = 2 };

static void send_one(struct rig *r, uint32_t id)
{
    rig_put_event(r, 0, id, "x", 1);
}

Test(hub_play, the_next_deliveries_have_the_outcome_and_the_one_behind_them_is_accepted)
{
    static const struct {
        const char *fault;
        uint64_t outcome;
        const char *condition;
    } rows[] = {
        {"reject next=2 condition=amqp:not-allowed text=no", HUB_REJECTED, "amqp:not-allowed"},
        {"server-busy next=2 code=50008", HUB_REJECTED, "com.microsoft:server-busy"},
        {"release next=2", HUB_RELEASED, ""},
        {"modify next=2", HUB_MODIFIED, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rig r;
        open_sender(&r, NULL, "hub1");
        send_one(&r, 0);
        expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
        rig_play(&r, rows[i].fault);
        for (uint32_t id = 1; id < 4; id++)
            send_one(&r, id);
        expect_outcome(&r, 1, 1, rows[i].outcome, rows[i].condition);
        expect_outcome(&r, 2, 2, rows[i].outcome, rows[i].condition);
        expect_outcome(&r, 3, 3, HUB_ACCEPTED, "");
        cr_expect_eq(rig_stored(&r), 2);
        cr_expect_eq(r.broker.rejected, i < 2 ? 2 : 0);
        cr_expect_eq(r.broker.throttled, i == 1 ? 2 : 0);
        cr_expect_eq(r.broker.released, i == 2 ? 2 : 0);
        cr_expect_eq(r.broker.modified, i == 3 ? 2 : 0);
        rig_close(&r);
    }
}

Test(hub_play, a_modified_outcome_says_what_it_was_told_to)
{
    struct hub_fields state;
    uint64_t code;
    struct rig r;

    open_sender(&r, "modify next=1 delivery-failed=no undeliverable-here=yes", "hub1");
    send_one(&r, 0);
    cr_assert(rig_await(&r, HUB_DISPOSITION));
    struct hub_in in = hub_in_of(r.fields.at[4].raw, r.fields.at[4].raw_len);
    cr_assert_eq(hub_fields_read(&in, &code, &state), 0);
    cr_expect_eq(code, HUB_MODIFIED);
    cr_expect_not(hub_field_bool(&state, 0, true));
    cr_expect(hub_field_bool(&state, 1, false));
    rig_close(&r);
}

Test(hub_play, a_poisoned_delivery_is_rejected_until_the_fault_is_cleared)
{
    struct rig r;

    open_sender(&r, "reject body=poison condition=amqp:decode-error text=no", "hub1");
    rig_put_event(&r, 0, 0, "some poison here", 16);
    expect_outcome(&r, 0, 0, HUB_REJECTED, "amqp:decode-error");
    rig_put_event(&r, 0, 1, "harmless", 8);
    expect_outcome(&r, 1, 1, HUB_ACCEPTED, "");
    rig_put_event(&r, 0, 2, "some poison here", 16);
    expect_outcome(&r, 2, 2, HUB_REJECTED, "amqp:decode-error");
    rig_play(&r, "clear reject");
    rig_put_event(&r, 0, 3, "some poison here", 16);
    expect_outcome(&r, 3, 3, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 2);
    rig_close(&r);
}

Test(hub_play, a_busy_time_ends_by_itself)
{
    struct rig r;

    open_sender(&r, "server-busy for=4s", "hub1");
    r.broker.now_mono_ms = 3999;
    send_one(&r, 0);
    expect_outcome(&r, 0, 0, HUB_REJECTED, "com.microsoft:server-busy");
    r.broker.now_mono_ms = 4000;
    send_one(&r, 1);
    expect_outcome(&r, 1, 1, HUB_ACCEPTED, "");
    rig_close(&r);
}

Test(hub_play, the_rate_limit_answers_busy_beyond_it)
{
    struct rig r;

    open_sender(&r, "rate-limit events-per-second=2", "hub1");
    for (uint32_t id = 0; id < 3; id++)
        send_one(&r, id);
    expect_outcome(&r, 0, 1, HUB_ACCEPTED, "");
    expect_outcome(&r, 2, 2, HUB_REJECTED, "com.microsoft:server-busy");
    r.broker.now_mono_ms = 1000;
    send_one(&r, 3);
    expect_outcome(&r, 3, 3, HUB_ACCEPTED, "");
    cr_expect_eq(r.broker.throttled, 1);
    rig_close(&r);
}

Test(hub_play, what_is_left_in_doubt_was_stored_as_often_as_asked)
{
    struct rig r;

    open_sender(&r, "silent-disposition next=2", "hub1");
    for (uint32_t id = 0; id < 3; id++)
        send_one(&r, id);
    expect_outcome(&r, 2, 2, HUB_ACCEPTED, "");
    cr_expect_eq(rig_stored(&r), 3);
    cr_expect_eq(r.broker.unanswered, 2);
    rig_play(&r, "drop-after next=1");
    send_one(&r, 3);
    cr_expect_not(rig_await(&r, HUB_DISPOSITION));
    cr_expect(r.ended);
    cr_expect_eq(rig_stored(&r), 4);
    rig_close(&r);
}

Test(hub_play, all_connections_are_dropped_without_a_word)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_play(&r, "drop-connections");
    cr_expect_not(rig_next(&r), "it said something");
    cr_expect(r.ended);
    cr_expect_null(r.conn);
    cr_expect_null(r.broker.conns);
    cr_expect_eq(r.broker.connections_cut, 1);
    rig_close(&r);
}

Test(hub_play, a_connection_is_cut_after_exactly_so_many_received_bytes)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    send_one(&r, 0);
    size_t whole = hub_buf_used(&r.out);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    char fault[64];
    snprintf(fault, sizeof fault, "cut-received bytes=%zu", whole * 2 - 1);
    rig_play(&r, fault);
    for (uint32_t id = 1; id < 4; id++)
        send_one(&r, id);
    cr_expect_not(rig_await(&r, HUB_DISPOSITION), "the answer went out");
    cr_expect(r.ended);
    cr_expect_eq(rig_stored(&r), 2, "the frame that came whole, and no other");
    rig_close(&r);
}

Test(hub_play, a_connection_is_cut_after_exactly_so_many_sent_bytes)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    hub_buf_take(&r.in, hub_buf_used(&r.in));
    rig_play(&r, "cut-sent bytes=11");
    send_one(&r, 0);
    rig_flush(&r);
    cr_expect_eq(hub_buf_used(&r.in), 11);
    cr_expect(r.ended);
    cr_expect_eq(rig_stored(&r), 1);
    rig_close(&r);
}

Test(hub_play, matching_sender_links_are_detached_and_others_go_on)
{
    struct rig r;

    open_sender(&r, NULL, "hub1/Partitions/1");
    rig_put_attach(&r, 1, false, "hub1/Partitions/2", NULL, -1);
    rig_put_attach(&r, 2, true, "hub1/ConsumerGroups/$Default/Partitions/1", NULL, -1);
    send_one(&r, 0);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_play(&r, "detach address=*/1 condition=com.microsoft:container-close text=bye");
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_eq(hub_field_uint(&r.fields, 0, 99), 0);
    cr_expect(hub_field_bool(&r.fields, 1, false), "not closed");
    cr_expect_str_eq(rig_condition(&r, DETACH_ERROR), "com.microsoft:container-close");
    rig_put_event(&r, 1, 1, "x", 1);
    expect_outcome(&r, 1, 1, HUB_ACCEPTED, "");
    rig_play(&r, "detach");
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_eq(hub_field_uint(&r.fields, 0, 99), 1);
    cr_expect_str_eq(rig_condition(&r, DETACH_ERROR), "amqp:link:detach-forced");
    cr_expect_not(rig_await(&r, HUB_DETACH), "a receiver was detached");
    rig_close(&r);
}

static void begin_again(struct rig *r)
{
    size_t list, frame;

    hub_put_end(&r->out, 0, NULL);
    frame = rig_begin_frame(r, HUB_FRAME_AMQP, HUB_BEGIN, &list);
    hub_put_null(&r->out);
    hub_put_uint(&r->out, 0);
    hub_put_uint(&r->out, 5000);
    hub_put_uint(&r->out, 5000);
    rig_end_frame(r, frame, list, 4);
}

Test(hub_play, a_session_is_ended_and_what_still_comes_for_it_is_passed_over)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_play(&r, "end condition=amqp:internal-error text=no");
    send_one(&r, 0);
    rig_put_attach(&r, 1, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_END));
    cr_expect_str_eq(rig_condition(&r, END_ERROR), "amqp:internal-error");
    cr_expect_not(rig_next(&r), "code 0x%llx", (unsigned long long)r.code);
    cr_expect_eq(rig_stored(&r), 0);
    begin_again(&r);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_FLOW));
    send_one(&r, 0);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_close(&r);
}

Test(hub_play, a_connection_is_closed_with_the_condition_after_what_was_accepted)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_play(&r, "late-dispositions delay=0ms");
    send_one(&r, 0);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_play(&r, "close condition=amqp:connection:forced text=\"maintenance\"");
    cr_assert(rig_await(&r, HUB_CLOSE));
    cr_expect_str_eq(rig_condition(&r, CLOSE_ERROR), "amqp:connection:forced");
    rig_play(&r, "close");
    rig_play(&r, "detach");
    rig_play(&r, "end");
    rig_play(&r, "expire-tokens");
    cr_expect_not(rig_next(&r), "something follows the close");
    rig_close(&r);
}

Test(hub_play, the_next_attach_is_refused_with_a_null_target_and_then_a_detach)
{
    struct rig r;

    rig_open(&r, "refuse-attach next=1 address=hub1* condition=amqp:unauthorized-access text=no");
    rig_put_open(&r, true, 65536);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    expect_refusal(&r, false, "amqp:unauthorized-access");
    hub_put_detach(&r.out, 0, 0, true, NULL);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 6));
    cr_expect_eq(r.broker.links_refused, 1);
    rig_close(&r);
}

Test(hub_play, stopped_credit_runs_out_and_comes_again_when_cleared)
{
    struct rig r;

    rig_open(&r, NULL);
    r.limits.credit = 3;
    rig_put_open(&r, true, 65536);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_FLOW));
    rig_play(&r, "stop-credit");
    for (uint32_t id = 0; id < 3; id++)
        send_one(&r, id);
    expect_outcome(&r, 0, 2, HUB_ACCEPTED, "");
    rig_put_attach(&r, 1, false, "hub1/Partitions/1", NULL, -1);
    cr_expect_not(rig_await(&r, HUB_FLOW), "credit was given");
    rig_play(&r, "clear stop-credit");
    for (int i = 0; i < 2; i++) {
        cr_assert(rig_await(&r, HUB_FLOW));
        cr_expect_eq(hub_field_uint(&r.fields, 6, 0), 3);
    }
    rig_close(&r);
}

Test(hub_play, a_million_of_credit_is_given_and_topped_up)
{
    enum { CREDIT = 1000000, USED = CREDIT - CREDIT * 2 / 3 + 1 };
    struct rig r;
    uint32_t id = 0, granted = 0;

    open_sender(&r, NULL, "hub1");
    r.broker.sink = true;
    rig_play(&r, "credit count=1000000");
    cr_assert(rig_await(&r, HUB_FLOW));
    cr_expect_eq(hub_field_uint(&r.fields, 6, 0), CREDIT);
    while (id < USED) {
        for (int i = 0; i < 1000 && id < USED; i++)
            send_one(&r, id++);
        while (rig_next(&r)) {
            if (r.code == HUB_FLOW && hub_field_is_set(&r.fields, 4))
                granted = hub_field_uint(&r.fields, 6, 0);
        }
        cr_assert_not(r.ended);
    }
    cr_expect_eq(granted, CREDIT);
    cr_expect_eq(rig_stored(&r), USED);
    rig_close(&r);
}

Test(hub_play, the_delay_of_dispositions_changes_for_those_that_wait_too_and_keeps_their_order)
{
    struct rig r;

    open_sender(&r, "late-dispositions delay=10s", "hub1");
    send_one(&r, 0);
    cr_expect_not(rig_await(&r, HUB_DISPOSITION));
    cr_expect_eq(hub_settle_next_ms(r.conn), 10000);
    rig_play(&r, "late-dispositions delay=2s");
    cr_expect_eq(hub_settle_next_ms(r.conn), 2000);
    r.broker.now_mono_ms = 1000;
    rig_play(&r, "clear");
    send_one(&r, 1);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    expect_outcome(&r, 1, 1, HUB_ACCEPTED, "");
    cr_expect_eq(hub_settle_next_ms(r.conn), INT64_MAX);
    rig_close(&r);
}

Test(hub_play, expired_tokens_detach_the_links_as_the_service_does)
{
    struct rig r;
    struct hub_fields error;
    char text[512] = "";
    uint64_t code;

    cr_assert_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1700000100), 202);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_FLOW));
    rig_play(&r, "expire-tokens");
    cr_assert(rig_await(&r, HUB_DETACH));
    cr_expect_str_eq(rig_condition(&r, DETACH_ERROR), "amqp:link:detach-forced");
    struct hub_in in = hub_in_of(r.fields.at[2].raw, r.fields.at[2].raw_len);
    cr_assert_eq(hub_fields_read(&in, &code, &error), 0);
    hub_value_text(&error.at[1], text, sizeof text);
    cr_expect_not_null(strstr(text, "Unauthorized access. 'Send' claim(s)"), "%s", text);
    hub_put_detach(&r.out, 0, 0, true, NULL);
    put_token_request(&r, RIG_KEY, "sb://localhost/hub1", 1700000200);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect(hub_field_is_set(&r.fields, 6), "the new token does not count");
    cr_expect_eq(r.broker.tokens_accepted, 2);
    rig_close(&r);
}

Test(hub_play, a_token_lives_no_longer_than_the_cap)
{
    struct rig r;

    cr_assert_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1700003600), 202);
    rig_play(&r, "token-life max=30s");
    put_token_request(&r, RIG_KEY, "sb://localhost/hub1", 1700003600);
    rig_put_attach(&r, 0, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_FLOW));
    r.broker.now_ms += 29999;
    cr_expect_not(rig_await(&r, HUB_DETACH));
    r.broker.now_ms += 1;
    cr_assert(rig_await(&r, HUB_DETACH));
    rig_close(&r);
}

Test(hub_play, nothing_is_read_until_reading_goes_on)
{
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_play(&r, "stop-reading for=5m");
    send_one(&r, 0);
    r.broker.now_mono_ms = 299000;
    cr_expect_not(rig_next(&r), "longer than the idle time-out, and yet something came");
    cr_expect_eq(r.broker.deliveries, 0);
    r.broker.now_mono_ms = 300000;
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_close(&r);
}

Test(hub_play, a_smaller_message_size_is_announced_to_new_links_and_judges_old_ones)
{
    char body[2000] = "";
    struct rig r;

    open_sender(&r, NULL, "hub1");
    rig_put_event(&r, 0, 0, body, sizeof body);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    rig_play(&r, "max-message-size bytes=1000");
    rig_put_event(&r, 0, 1, body, sizeof body);
    expect_outcome(&r, 1, 1, HUB_REJECTED, "amqp:link:message-size-exceeded");
    rig_put_attach(&r, 1, false, "hub1", NULL, -1);
    cr_assert(rig_await(&r, HUB_ATTACH));
    cr_expect_eq(hub_field_ulong(&r.fields, 10, 0), 1000);
    rig_play(&r, "clear max-message-size");
    rig_put_event(&r, 0, 2, body, sizeof body);
    rig_put_event(&r, 1, 3, body, sizeof body);
    expect_outcome(&r, 2, 3, HUB_ACCEPTED, "");
    rig_close(&r);
}

Test(hub_play, the_next_token_is_refused_or_left_without_answer)
{
    struct rig r;

    cr_assert_eq(put_token(&r, RIG_KEY, "sb://localhost/hub1", 1700000100), 202);
    rig_play(&r, "fail-cbs next=1 silent=yes");
    put_token_request(&r, RIG_KEY, "sb://localhost/hub1", 1700000100);
    cr_expect_not(rig_await(&r, HUB_TRANSFER), "it was answered");
    rig_play(&r, "fail-cbs next=1 status=500 condition=amqp:internal-error text=later");
    put_token_request(&r, RIG_KEY, "sb://localhost/hub1", 1700000100);
    cr_assert(rig_await(&r, HUB_TRANSFER));
    cr_expect_not_null(memmem(r.payload.at, hub_in_left(&r.payload), "amqp:internal-error", 19));
    put_token_request(&r, RIG_KEY, "sb://localhost/hub1", 1700000100);
    cr_assert(rig_await(&r, HUB_TRANSFER));
    cr_expect_not_null(memmem(r.payload.at, hub_in_left(&r.payload), "Accepted", 8));
    cr_expect_eq(r.broker.tokens_accepted, 2);
    cr_expect_eq(r.broker.tokens_refused, 2);
    rig_close(&r);
}

Test(hub_play, lines_are_played_all_or_none)
{
    char why[HUB_WHY_MAX];
    struct rig r;

    open_sender(&r, NULL, "hub1");
    cr_expect_lt(hub_play_lines(&r.broker, "reject\n\nrelease nxt=1\n", why), 0);
    cr_expect_eq(strncmp(why, "line 3: release does not take 'nxt'", 35), 0, "%s", why);
    send_one(&r, 0);
    expect_outcome(&r, 0, 0, HUB_ACCEPTED, "");
    cr_expect_eq(hub_play_lines(&r.broker, "# two\r\nreject next=1\r\n  release next=1", why), 2);
    send_one(&r, 1);
    send_one(&r, 2);
    expect_outcome(&r, 1, 1, HUB_REJECTED, "amqp:internal-error");
    expect_outcome(&r, 2, 2, HUB_RELEASED, "");
    cr_expect_eq(hub_play_lines(&r.broker, "\n#\n", why), 0);
    rig_close(&r);
}
