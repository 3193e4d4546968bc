/* The faults of a WebSocket as a raw client meets them: messages cut, pings, close frames anywhere, upgrades refused or never answered. */
#include "tests/hub_ws_client.h"

TestSuite(hub_ws_fault, .timeout = 60);

Test(hub_ws_fault, messages_are_split_and_fragmented_on_demand_down_to_single_bytes)
{
    static const struct {
        const char *fault;
        size_t frame_len_max;
        bool is_fragmented;
    } rows[] = {{"ws-split bytes=1", 1, false},
                {"ws-split bytes=10", 10, false},
                {"ws-fragment bytes=1", 1, true},
                {"ws-fragment bytes=7", 7, true}};
    struct loop l;
    struct socket s;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ws_open(&l, &s, rows[i].fault);
        upgrade(&s);
        expect_event(&s, 0, 0);
        cr_expect_eq(s.frame_len_max, rows[i].frame_len_max, "%s", rows[i].fault);
        if (rows[i].is_fragmented)
            cr_expect_gt(s.frames, s.messages, "%s", rows[i].fault);
        else
            cr_expect_eq(s.frames, s.messages, "%s", rows[i].fault);
        ws_close(&l, &s);
    }
    ws_open(&l, &s, "ws-split bytes=20");
    rig_play(&l.r, "ws-fragment bytes=3");
    upgrade(&s);
    expect_event(&s, 0, 0);
    cr_expect_eq(s.frame_len_max, 3);
    cr_expect_geq(s.messages, s.amqp_bytes / 20);
    ws_close(&l, &s);
}

Test(hub_ws_fault, pings_come_unasked_ahead_of_messages_on_demand)
{
    struct loop l;
    struct socket s;

    ws_open(&l, &s, "ws-ping next=2");
    upgrade(&s);
    put_sender(&l.r);
    rig_send(&s, 0, 0);
    for (int i = 0; i < TURNS_MAX && s.frames == 0; i++)
        frames_take(&s);
    cr_expect_geq(s.pings, 1, "no ping ahead of the first message");
    cr_assert(await(&s, HUB_FLOW));
    rig_put_event(&l.r, 0, 0, "x", 1);
    rig_send(&s, 0, 0);
    cr_assert(await(&s, HUB_DISPOSITION));
    cr_expect_eq(s.pings, 2);
    ws_close(&l, &s);
}

Test(hub_ws_fault, a_close_frame_comes_after_any_byte_on_demand)
{
    struct loop l;
    struct socket s;
    char fault[96];

    ws_open(&l, &s, NULL);
    upgrade(&s);
    expect_event(&s, 0, 0);
    uint64_t whole = s.amqp_bytes;
    ws_close(&l, &s);
    cr_assert_gt(whole, 200);
    for (uint64_t bytes = 1; bytes < whole; bytes++) {
        snprintf(fault, sizeof fault, "ws-close-after bytes=%llu code=1011 text=\"try again\"", (unsigned long long)bytes);
        ws_open(&l, &s, fault);
        upgrade(&s);
        put_sender(&l.r);
        rig_send(&s, 0, 0);
        if (await(&s, HUB_FLOW)) {
            rig_put_event(&l.r, 0, 0, "over the web", 12);
            rig_send(&s, 0, 0);
        }
        await_close_frame(&s);
        cr_expect_eq(s.amqp_bytes, bytes);
        cr_expect_eq(s.close_code, 1011);
        cr_expect_str_eq(s.close_text, "try again");
        cr_expect_eq(l.r.broker.connections_cut, 1);
        socket_frame(&s, 0x80 | WS_CLOSE, true, "\x03\xf3", 2);
        await_end(&s);
        ws_close(&l, &s);
    }
}

Test(hub_ws_fault, open_sockets_are_closed_with_a_code_on_demand)
{
    struct loop l;
    struct socket s;

    ws_open(&l, &s, NULL);
    upgrade(&s);
    expect_event(&s, 0, 0);
    rig_play(&l.r, "ws-close");
    await_close_frame(&s);
    cr_expect_eq(s.close_code, 1001);
    socket_frame(&s, 0x80 | WS_CLOSE, true, "\x03\xe9", 2);
    await_end(&s);
    ws_close(&l, &s);
}

Test(hub_ws_fault, upgrades_are_refused_with_a_status_on_demand_and_the_next_one_is_taken)
{
    static const int statuses[] = {301, 401, 403, 429, 503};
    struct loop l;
    char fault[96];

    loop_open(&l);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        snprintf(fault, sizeof fault, "ws-refuse next=1 status=%d text=\"not now\"", statuses[i]);
        rig_play(&l.r, fault);
        expect_status(&l, WS_HEAD, strlen(WS_HEAD), 0, statuses[i], "not now");
        expect_status(&l, WS_HEAD, strlen(WS_HEAD), 0, 101, "101");
    }
    rig_play(&l.r, "ws-refuse next=1");
    expect_status(&l, WS_HEAD, strlen(WS_HEAD), 0, 503, "told to refuse");
    loop_close(&l);
}

Test(hub_ws_fault, an_upgrade_that_hangs_is_never_answered)
{
    struct loop l;
    struct socket s;

    ws_open(&l, &s, "ws-hang next=1");
    l.r.limits.token_wait_ms = 300;
    socket_write(&s, WS_HEAD, strlen(WS_HEAD), 0);
    for (int i = 0; i < TURNS_MAX && !s.ended; i++)
        socket_read(&s);
    cr_expect(s.ended);
    cr_expect_eq(hub_buf_used(&s.in), 0, "it was answered");
    socket_close(&s);
    expect_status(&l, WS_HEAD, strlen(WS_HEAD), 0, 101, "101");
    loop_close(&l);
}
