/* Runs of deliveries on a link, against a scripted peer in memory: credit, outcomes in any order, refusals, ends. */
#include <errno.h>

#include "conn_rig.h"

#define COUNT 10u
#define TAG 77u

TestSuite(conn_run, .init = rig_open, .fini = rig_close);

static uint8_t bytes[1 << 20];
static uint32_t lens[1024];

static int link_up(void)
{
    peer_pump(&peer, conn, WHOLE);
    int link = conn_link_open(conn, "queue");
    cr_assert_geq(link, 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_READY));
    return link;
}

/* The same in a peer that gives credit by hand. */
static int link_up_with_credit(int credit)
{
    peer.credit = 0;
    int link = link_up();
    if (credit > 0)
        pn_link_flow(peer.last_link, credit);
    peer_pump(&peer, conn, WHOLE);
    return link;
}

static void run_make(uint32_t count, uint32_t len)
{
    for (uint32_t i = 0; i < count; i++)
        lens[i] = len + i;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
}

static void run_begin(int link, uint32_t count, uint32_t len)
{
    run_make(count, len);
    cr_assert_eq(conn_send_run(conn, link, TAG, bytes, lens, count), 0);
    peer_pump(&peer, conn, WHOLE);
}

static void settle(uint32_t index, enum peer_outcome outcome)
{
    peer_settle(peer.delivery[index].pn, outcome);
    peer_pump(&peer, conn, WHOLE);
}

static void expect_settled(enum conn_outcome outcome, uint32_t accepted, uint32_t begun)
{
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.tag, TAG);
    cr_assert_eq(event.outcome, outcome);
    cr_assert_eq(event.accepted_count, accepted, "%u accepted", event.accepted_count);
    cr_assert_eq(event.begun_count, begun, "%u begun", event.begun_count);
    cr_assert_not(await(CONN_SETTLED));
}

Test(conn_run, hands_over_each_delivery_whole_and_is_settled_once)
{
    int link = link_up();
    run_begin(link, COUNT, 300);
    cr_assert(await(CONN_SENT));
    cr_assert_eq(event.tag, TAG);
    expect_settled(CONN_ACCEPTED, COUNT, COUNT);
    cr_assert_eq(peer.delivery_count, (int)COUNT);
    size_t at = 0;
    for (uint32_t i = 0; i < COUNT; at += lens[i++]) {
        uint64_t sum = 0;
        for (uint32_t b = 0; b < lens[i]; b++)
            sum = sum * 31 + bytes[at + b];
        cr_assert_eq(peer.delivery[i].len, lens[i]);
        cr_assert_eq(peer.delivery[i].sum, sum);
        cr_assert_eq(peer.delivery[i].tag_len, 4u, "format 0");
    }
}

Test(conn_run, carries_deliveries_when_every_byte_comes_and_goes_alone)
{
    int link = link_up();
    run_make(COUNT, 20);
    cr_assert_eq(conn_send_run(conn, link, TAG, bytes, lens, COUNT), 0);
    peer_pump(&peer, conn, 1);
    expect_settled(CONN_ACCEPTED, COUNT, COUNT);
}

Test(conn_run, carries_deliveries_of_many_frames)
{
    int link = link_up();
    run_begin(link, 3, 200000);
    cr_assert(await(CONN_SENT));
    expect_settled(CONN_ACCEPTED, 3, 3);
    cr_assert_eq(peer.message_len, 600003u);
}

Test(conn_run, is_longer_than_the_one_before)
{
    int link = link_up();
    run_begin(link, 2, 10);
    expect_settled(CONN_ACCEPTED, 2, 2);
    run_begin(link, 700, 10);
    expect_settled(CONN_ACCEPTED, 700, 700);
    cr_assert(conn_run_was_accepted(conn, link, 699));
    cr_assert_not(conn_run_was_accepted(conn, link, 700));
}

Test(conn_run, begins_without_credit_and_goes_on_as_credit_comes)
{
    int link = link_up_with_credit(0);
    run_begin(link, COUNT, 30);
    cr_assert_eq(peer.delivery_count, 0);
    for (uint32_t given = 3; given < COUNT; given += 3) {
        pn_link_flow(peer.last_link, 3);
        peer_pump(&peer, conn, WHOLE);
        cr_assert_eq(peer.delivery_count, (int)given);
        cr_assert_not(await(CONN_SENT));
    }
    pn_link_flow(peer.last_link, 3);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_eq(peer.delivery_count, (int)COUNT);
    cr_assert(await(CONN_SENT));
    expect_settled(CONN_ACCEPTED, COUNT, COUNT);
}

Test(conn_run, is_settled_by_outcomes_in_any_order)
{
    peer.outcome = PEER_HOLD;
    int link = link_up();
    run_begin(link, COUNT, 30);
    cr_assert(await(CONN_SENT));
    static const uint32_t order[COUNT] = {9, 0, 3, 2, 1, 8, 7, 4, 6, 5};
    for (uint32_t i = 0; i < COUNT; i++) {
        cr_assert_not(await(CONN_SETTLED));
        settle(order[i], PEER_ACCEPT);
    }
    expect_settled(CONN_ACCEPTED, COUNT, COUNT);
    cr_assert_not(await(CONN_PROGRESS));
}

Test(conn_run, is_settled_by_one_disposition_for_all)
{
    peer.outcome = PEER_HOLD;
    int link = link_up();
    run_begin(link, COUNT, 30);
    for (uint32_t i = 0; i < COUNT; i++)
        peer_settle(peer.delivery[i].pn, PEER_ACCEPT);
    peer_pump(&peer, conn, WHOLE);
    expect_settled(CONN_ACCEPTED, COUNT, COUNT);
}

Test(conn_run, tells_how_many_are_accepted_without_a_gap)
{
    peer.outcome = PEER_HOLD;
    int link = link_up();
    run_begin(link, COUNT, 30);
    settle(1, PEER_ACCEPT);
    cr_assert_not(await(CONN_PROGRESS));
    settle(0, PEER_ACCEPT);
    settle(2, PEER_ACCEPT);
    cr_assert(await(CONN_PROGRESS));
    cr_assert_eq(event.accepted_count, 3u);
    cr_assert_eq(event.tag, TAG);
    cr_assert_not(await(CONN_PROGRESS));
}

Test(conn_run, tells_the_first_that_is_not_accepted_and_which_behind_it_are)
{
    peer.outcome = PEER_HOLD;
    int link = link_up();
    run_begin(link, COUNT, 30);
    settle(9, PEER_ACCEPT);
    settle(6, PEER_RELEASE);
    settle(3, PEER_REJECT);
    settle(5, PEER_MODIFY);
    for (uint32_t i = 0; i < COUNT; i++)
        if (i != 3 && i != 5 && i != 6 && i != 9)
            settle(i, PEER_ACCEPT);
    expect_settled(CONN_REJECTED, 3, COUNT);
    cr_assert_str_eq(event.condition, "com.microsoft:server-busy");
    cr_assert_eq(event.place, OUTCOME_DISPOSITION);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert_eq(conn_run_was_accepted(conn, link, i), i != 3 && i != 5 && i != 6, "delivery %u", i);
}

Test(conn_run, sends_nothing_behind_what_is_refused)
{
    peer.outcome = PEER_REJECT;
    int link = link_up_with_credit(2);
    run_begin(link, COUNT, 30);
    cr_assert(await(CONN_SENT));
    expect_settled(CONN_REJECTED, 0, 2);
    pn_link_flow(peer.last_link, 5);
    peer_pump(&peer, conn, WHOLE);
    cr_assert_eq(peer.delivery_count, 2);
}

Test(conn_run, makes_another_run_wait_until_its_end_is_fetched)
{
    peer.outcome = PEER_HOLD;
    int link = link_up();
    run_begin(link, 2, 30);
    cr_assert(await(CONN_SENT));
    cr_assert_eq(conn_send_run(conn, link, 5, bytes, lens, 1), -EBUSY);
    cr_assert_eq(conn_send(conn, link, 5, CONN_FORMAT_SINGLE, bytes, 10), -EBUSY);
    settle(0, PEER_ACCEPT);
    settle(1, PEER_ACCEPT);
    cr_assert_eq(conn_send_run(conn, link, 5, bytes, lens, 1), -EBUSY);
    expect_settled(CONN_ACCEPTED, 2, 2);
    cr_assert_eq(conn_send_run(conn, link, 5, bytes, lens, 1), 0);
}

Test(conn_run, leaves_the_link_to_single_sends_afterwards)
{
    int link = link_up();
    run_begin(link, 3, 30);
    expect_settled(CONN_ACCEPTED, 3, 3);
    cr_assert_eq(conn_send(conn, link, 5, CONN_FORMAT_BATCH, bytes, 100), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.tag, 5u);
}

Test(conn_run, tells_its_progress_before_the_links_end_and_nothing_after)
{
    peer.outcome = PEER_HOLD;
    int link = link_up();
    run_begin(link, COUNT, 30);
    settle(0, PEER_ACCEPT);
    settle(1, PEER_ACCEPT);
    pn_link_close(peer.last_link);
    peer_pump(&peer, conn, WHOLE);
    uint32_t accepted = 0;
    bool is_ended = false;
    while (conn_next_event(conn, &event)) {
        cr_assert_not(is_ended, "event %d behind the end", event.kind);
        cr_assert_neq(event.kind, CONN_SETTLED);
        is_ended = event.kind == CONN_LINK_ENDED;
        if (event.kind == CONN_PROGRESS)
            accepted = event.accepted_count;
    }
    cr_assert(is_ended);
    cr_assert_eq(conn_send_run(conn, link, 5, bytes, lens, 1), -ENOTCONN);
    cr_assert_eq(accepted, 2u);
}

/* In the same bytes: a refusal must not go under in the detach that follows it. */
Test(conn_run, is_told_of_what_came_together_with_the_links_end)
{
    static const enum peer_outcome last[] = {PEER_ACCEPT, PEER_REJECT};
    for (int i = 0; i < 2; i++) {
        peer.outcome = PEER_HOLD;
        int link = link_up();
        uint32_t first = peer.delivery_count;
        run_begin(link, 3, 30);
        for (uint32_t k = 0; k < 3; k++)
            peer_settle(peer.delivery[first + k].pn, k < 2 ? PEER_ACCEPT : last[i]);
        pn_link_close(peer.last_link);
        peer_pump(&peer, conn, WHOLE);
        cr_assert(await(CONN_SETTLED));
        cr_assert_eq(event.outcome, i == 0 ? CONN_ACCEPTED : CONN_REJECTED);
        cr_assert_eq(event.accepted_count, i == 0 ? 3u : 2u);
        cr_assert(await(CONN_LINK_ENDED));
    }
}

Test(conn_run, is_told_no_more_of_once_its_link_is_closed)
{
    peer.outcome = PEER_HOLD;
    int link = link_up_with_credit(4);
    run_begin(link, COUNT, 30);
    settle(0, PEER_ACCEPT);
    conn_link_close(conn, link);
    peer_pump(&peer, conn, WHOLE);
    while (conn_next_event(conn, &event))
        cr_assert(event.kind != CONN_SETTLED && event.kind != CONN_PROGRESS && event.kind != CONN_SENT, "event %d", event.kind);
}

Test(conn_run, shares_the_connection_with_other_links)
{
    int first = link_up(), second = link_up();
    run_make(500, 300);
    cr_assert_eq(conn_send_run(conn, first, 1, bytes, lens, 500), 0);
    cr_assert_eq(conn_send_run(conn, second, 2, bytes, lens, 500), 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.accepted_count, 500u);
    cr_assert(await(CONN_SETTLED));
    cr_assert_eq(event.accepted_count, 500u);
    cr_assert_eq(peer.delivery_count, 1000);
}
