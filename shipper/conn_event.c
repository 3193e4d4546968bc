/* What happened on the connection: proton's events into ours, and the queue they are fetched from. */
#include "conn_internal.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/event.h>
#include <proton/transport.h>

#define CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static void engine_event(struct conn *conn, pn_event_t *event);
static void session_event(struct conn *conn, pn_event_t *event);
static void link_event(struct conn *conn, pn_event_t *event);
static void delivery_event(struct conn *conn, pn_event_t *event);
static void request_answered(struct conn *conn, const struct request *request);
static void peer_refuse(struct conn *conn, const char *what);
static bool event_fill(struct conn *conn, struct event_node *node, struct conn_event *event);
static bool fill_answer(const struct request *request, struct conn_event *event);
static bool fill_link(struct event_node *node, struct link *link, struct conn_event *event);
static bool fill_link_ended(struct link *link, struct conn_event *event);
static bool fill_settled(struct conn *conn, struct delivery *delivery, struct conn_event *event);
static bool fill_progress(struct run *run, struct conn_event *event);
static bool fill_run(struct run *run, struct conn_event *event);
static void fill_text(struct conn_event *event, const struct request_text *text);

bool conn_next_event(struct conn *conn, struct conn_event *event)
{
    engine_drain(conn);
    while (conn->event_head) {
        struct event_node *node = conn->event_head;
        conn->event_head = node->next;
        if (!conn->event_head)
            conn->event_tail = NULL;
        node->next = NULL;
        node->is_queued = false;
        if (event_fill(conn, node, event))
            return true;
    }
    return false;
}

void event_queue(struct conn *conn, struct event_node *node, enum conn_event_kind kind)
{
    if (node->is_queued)
        return;
    node->kind = kind;
    node->is_queued = true;
    node->next = NULL;
    if (conn->event_tail)
        conn->event_tail->next = node;
    else
        conn->event_head = node;
    conn->event_tail = node;
}

void engine_drain(struct conn *conn)
{
    pn_event_t *event;
    while ((event = pn_connection_driver_next_event(&conn->driver)))
        engine_event(conn, event);
}

static void engine_event(struct conn *conn, pn_event_t *event)
{
    pn_event_type_t type = pn_event_type(event);
    switch ((int)type) {
    case PN_CONNECTION_REMOTE_OPEN:
        conn->is_open = true;
        if (!conn->is_broker)
            event_queue(conn, &conn->opened, CONN_OPENED);
        break;
    case PN_CONNECTION_REMOTE_CLOSE:
        conn_end(conn, OUTCOME_CLOSE, pn_connection_remote_condition(conn->driver.connection));
        pn_connection_close(conn->driver.connection);
        break;
    case PN_SESSION_REMOTE_OPEN:
    case PN_SESSION_REMOTE_CLOSE:
        session_event(conn, event);
        break;
    case PN_LINK_REMOTE_OPEN:
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH:
    case PN_LINK_FLOW:
        link_event(conn, event);
        break;
    case PN_DELIVERY:
        delivery_event(conn, event);
        break;
    case PN_TRANSPORT_ERROR:
        conn->is_broken = true;
        conn_end(conn, OUTCOME_CLOSE, pn_transport_condition(conn->driver.transport));
        break;
    case PN_TRANSPORT_TAIL_CLOSED:
    case PN_TRANSPORT_CLOSED:
        conn_end(conn, OUTCOME_CLOSE, pn_transport_condition(conn->driver.transport));
        break;
    default:
        break; /* what we did ourselves */
    }
}

/* A session that ends takes the connection with it: that is what its errors ask for. */
static void session_event(struct conn *conn, pn_event_t *event)
{
    pn_session_t *session = pn_event_session(event);
    if (!pn_session_get_context(session)) {
        peer_refuse(conn, "sessions of the peer are not served");
    } else if (pn_event_type(event) == PN_SESSION_REMOTE_CLOSE) {
        conn_end(conn, OUTCOME_END, pn_session_remote_condition(session));
        pn_connection_close(conn->driver.connection);
    } else if (conn->is_broker && session == conn->session[0].pn) {
        event_queue(conn, &conn->opened, CONN_OPENED);
    }
}

static void link_event(struct conn *conn, pn_event_t *event)
{
    pn_link_t *pn = pn_event_link(event);
    enum link_owner *owner = pn_link_get_context(pn);
    if (!owner) { /* one of ours that ended (NULL since), or one the peer attached */
        if (pn_link_state(pn) & PN_LOCAL_UNINIT)
            peer_refuse(conn, "links of the peer are not served");
        return;
    }
    bool ended = pn_event_type(event) == PN_LINK_REMOTE_CLOSE || pn_event_type(event) == PN_LINK_REMOTE_DETACH;
    switch (*owner) {
    case OWNER_SENDER:
        if (ended)
            link_peer_ended((struct link *)(void *)owner);
        else
            link_changed((struct link *)(void *)owner);
        break;
    case OWNER_REQUEST: {
        struct request *request = (struct request *)(void *)owner;
        if (!ended)
            request_link_changed(request);
        else if (request_link_ended(request, pn))
            request_answered(conn, request);
        break;
    }
    }
}

static void delivery_event(struct conn *conn, pn_event_t *event)
{
    pn_delivery_t *delivery = pn_event_delivery(event);
    enum link_owner *owner = pn_link_get_context(pn_delivery_link(delivery));
    if (!owner)
        return;
    switch (*owner) {
    case OWNER_SENDER:
        link_delivery_changed(delivery);
        break;
    case OWNER_REQUEST: {
        struct request *request = (struct request *)(void *)owner;
        if (request_delivery(request, delivery))
            request_answered(conn, request);
        break;
    }
    }
}

static void request_answered(struct conn *conn, const struct request *request)
{
    if (request == &conn->cbs)
        event_queue(conn, &conn->token, CONN_TOKEN);
    else
        event_queue(conn, &conn->hub, CONN_HUB);
}

/* Event Hubs opens nothing towards a client; a peer that does is none, and each such thing would cost memory. */
static void peer_refuse(struct conn *conn, const char *what)
{
    pn_condition_t *condition = pn_connection_condition(conn->driver.connection);
    if (!pn_condition_is_set(condition)) {
        pn_condition_set_name(condition, "amqp:not-allowed");
        pn_condition_set_description(condition, what);
    }
    conn_end(conn, OUTCOME_CLOSE, condition);
    pn_connection_close(conn->driver.connection);
}

/* false: nothing to tell after all. */
static bool event_fill(struct conn *conn, struct event_node *node, struct conn_event *event)
{
    memset(event, 0, offsetof(struct conn_event, condition));
    event->condition[0] = event->description[0] = '\0';
    event->kind = node->kind;
    event->link = -1;
    switch (node->kind) {
    case CONN_OPENED:
        return true;
    case CONN_TOKEN:
        event->place = OUTCOME_CBS;
        return fill_answer(&conn->cbs, event);
    case CONN_HUB:
        event->place = OUTCOME_MANAGEMENT;
        return fill_answer(&conn->management, event);
    case CONN_LINK_READY:
        return fill_link(node, CONTAINER(node, struct link, ready), event);
    case CONN_LINK_CREDIT:
        return fill_link(node, CONTAINER(node, struct link, credit), event);
    case CONN_SENT:
        return fill_link(node, CONTAINER(node, struct link, sent), event);
    case CONN_PROGRESS:
        return fill_progress(CONTAINER(node, struct run, progress), event);
    case CONN_SETTLED:
        if (node->is_of_run)
            return fill_run(CONTAINER(node, struct run, settled), event);
        return fill_settled(conn, CONTAINER(node, struct delivery, settled), event);
    case CONN_LINK_ENDED:
        return fill_link_ended(CONTAINER(node, struct link, ended), event);
    case CONN_CLOSED:
        event->place = conn->end_place;
        fill_text(event, &conn->end_text);
        return true;
    }
    return false;
}

static bool fill_answer(const struct request *request, struct conn_event *event)
{
    event->status = request->status;
    event->partition_count = request->partition_count;
    event->ids_plain = request->ids_plain;
    fill_text(event, &request->text);
    return true;
}

static bool fill_link(struct event_node *node, struct link *link, struct conn_event *event)
{
    if (link->is_closing)
        return false;
    event->link = link->number;
    if (node->kind == CONN_SENT)
        event->tag = link->sent_tag;
    else if (link->pn)
        event->message_bytes_max = pn_link_remote_max_message_size(link->pn);
    return true;
}

static bool fill_link_ended(struct link *link, struct conn_event *event)
{
    event->link = link->number;
    event->place = link->is_refused ? OUTCOME_ATTACH : OUTCOME_DETACH;
    fill_text(event, link->end_text);
    link_forget(link);
    return true;
}

/* The link lives still: its end is queued behind its settlements. */
static bool fill_settled(struct conn *conn, struct delivery *delivery, struct conn_event *event)
{
    bool is_wanted = !delivery->link->is_closing;
    event->link = delivery->link->number;
    event->tag = delivery->tag;
    event->outcome = delivery->outcome;
    event->place = OUTCOME_DISPOSITION;
    event->delivery_failed = delivery->is_failed;
    event->undeliverable_here = delivery->is_undeliverable_here;
    fill_text(event, delivery->text);
    delivery_free(conn, delivery);
    return is_wanted;
}

static bool fill_progress(struct run *run, struct conn_event *event)
{
    if (!run->is_active || run->told_count == run->accepted_count)
        return false;
    run->told_count = run->accepted_count;
    event->link = run->link->number;
    event->tag = run->tag;
    event->accepted_count = run->accepted_count;
    return true;
}

static bool fill_run(struct run *run, struct conn_event *event)
{
    if (!run->is_active)
        return false;
    run->is_active = false;
    event->link = run->link->number;
    event->tag = run->tag;
    event->outcome = run->outcome;
    event->place = OUTCOME_DISPOSITION;
    event->delivery_failed = run->is_failed;
    event->undeliverable_here = run->is_undeliverable_here;
    event->accepted_count = run->accepted_count;
    event->begun_count = run->begun_count;
    fill_text(event, &run->text);
    return true;
}

static void fill_text(struct conn_event *event, const struct request_text *text)
{
    if (!text)
        return;
    static_assert(sizeof text->condition == sizeof event->condition && sizeof text->description == sizeof event->description, "texts");
    memcpy(event->condition, text->condition, sizeof event->condition);
    memcpy(event->description, text->description, sizeof event->description);
}
