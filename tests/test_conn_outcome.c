/* What is to be done about what a peer does to a connection: from its bytes to the row of the table. */
#include <errno.h>

#include "conn_rig.h"
#include "shipper/conn_outcome.h"

TestSuite(conn_outcome, .init = rig_open, .fini = rig_close);

static int link_up(void)
{
    peer_pump(&peer, conn, WHOLE);
    int link = conn_link_open(conn, "hub1");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_READY));
    return link;
}

static void condition_set(pn_condition_t *condition, const char *name, const char *text)
{
    pn_condition_set_name(condition, name);
    pn_condition_set_description(condition, text);
}

Test(conn_outcome, follows_each_outcome_of_a_batch)
{
    const struct {
        enum peer_outcome peer;
        enum outcome_action action;
        int64_t wait_ms;
        bool refused;
    } row[] = {
        {PEER_REJECT, OUTCOME_THROTTLE, 4000, false},     {PEER_RELEASE, OUTCOME_RESEND, 0, false},
        {PEER_MODIFY, OUTCOME_RESEND, 0, true},           {PEER_MODIFY_FAILED, OUTCOME_RESEND, 0, true},
        {PEER_MODIFY_HERE, OUTCOME_REOPEN_LINK, 0, true},
    };
    int link = link_up();
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        peer.outcome = row[i].peer;
        cr_assert_eq(conn_send(conn, link, i, CONN_FORMAT_BATCH, (const uint8_t *)"x", 1), 0);
        peer_pump(&peer, conn, WHOLE);
        cr_assert(await(CONN_SETTLED));
        struct outcome o = conn_event_outcome(DOOR_EVENT_HUBS, &event);
        cr_assert(o.action == row[i].action && o.wait_ms == row[i].wait_ms && o.refused == row[i].refused, "outcome %zu: %s", i,
                  outcome_action_name(o.action));
    }
}

Test(conn_outcome, follows_a_refused_link_a_detached_link_and_a_closed_connection)
{
    peer.refuse = "secret";
    link_up();
    conn_link_open(conn, "secret");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_ENDED));
    struct outcome refused = conn_event_outcome(DOOR_EVENT_HUBS, &event);
    cr_assert(refused.action == OUTCOME_RENEW_TOKEN && !refused.maybe_delivered);

    condition_set(pn_link_condition(peer.last_link), "amqp:link:detach-forced", "Idle timeout: 00:30:00.");
    pn_link_close(peer.last_link);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_LINK_ENDED));
    struct outcome idle = conn_event_outcome(DOOR_EVENT_HUBS, &event);
    cr_assert(idle.action == OUTCOME_REOPEN_LINK && idle.normal);

    condition_set(pn_connection_condition(peer.driver.connection), "amqp:connection:forced", "upgrade");
    pn_connection_close(peer.driver.connection);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    struct outcome closed = conn_event_outcome(DOOR_EVENT_HUBS, &event);
    cr_assert(closed.action == OUTCOME_RECONNECT && closed.normal && closed.maybe_delivered);
}

Test(conn_outcome, follows_an_ended_session)
{
    peer_pump(&peer, conn, WHOLE);
    pn_session_t *session = pn_session_head(peer.driver.connection, 0);
    condition_set(pn_session_condition(session), "amqp:session:window-violation", "");
    pn_session_close(session);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_CLOSED));
    struct outcome o = conn_event_outcome(DOOR_EVENT_HUBS, &event);
    cr_assert(o.action == OUTCOME_RECONNECT && o.counts_as_failure);
}

Test(conn_outcome, follows_a_lost_transport_and_a_silent_peer)
{
    peer_pump(&peer, conn, WHOLE);
    conn_input_end(conn);
    cr_assert(await(CONN_CLOSED));
    struct outcome lost = conn_event_outcome(DOOR_EVENT_HUBS, &event);
    cr_assert(lost.action == OUTCOME_RECONNECT && lost.counts_as_failure && lost.maybe_delivered);
    rig_close();

    rig_open();
    peer_pump(&peer, conn, WHOLE);
    int64_t now_ms = conn_tick(conn, 1000);
    for (int i = 0; i < 10 && !await(CONN_CLOSED); i++)
        now_ms = conn_tick(conn, now_ms);
    cr_assert_eq(event.kind, CONN_CLOSED);
    struct outcome silent = conn_event_outcome(DOOR_EVENT_HUBS, &event);
    cr_assert(silent.action == OUTCOME_RECONNECT && silent.counts_as_failure, "%s %s", event.condition, event.description);
}

Test(conn_outcome, follows_refused_requests)
{
    peer.cbs_status = 401;
    peer.cbs_condition = "com.microsoft:auth-failed";
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "old", 0);
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(conn_event_outcome(DOOR_EVENT_HUBS, &event).action, OUTCOME_RENEW_TOKEN);

    peer.management_status = 404;
    peer.cbs_condition = NULL;
    conn_read_hub(conn, "hub1", "t");
    peer_pump(&peer, conn, WHOLE);
    cr_assert(await(CONN_HUB));
    cr_assert_eq(conn_event_outcome(DOOR_EVENT_HUBS, &event).action, OUTCOME_HOLD);

    peer.cbs_status = 0;
    conn_tick(conn, 1000);
    conn_put_token(conn, "jwt", "sb://contoso/hub1", "t", 0);
    peer_pump(&peer, conn, WHOLE);
    conn_tick(conn, 62000);
    cr_assert(await(CONN_TOKEN));
    cr_assert_eq(conn_event_outcome(DOOR_EVENT_HUBS, &event).action, OUTCOME_RECONNECT, "a $cbs that does not answer");
}
