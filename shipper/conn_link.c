/* The connection's sender links and the deliveries on them: attach, hand over in turn, settle, end. */
#include "conn_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/disposition.h>
#include <proton/transport.h>

struct delivery_chunk {
    struct delivery_chunk *next;
    struct delivery delivery[CONN_DELIVERIES_CHUNK];
};

static int session_with_room(struct conn *conn);
static int session_add(struct conn *conn);
static int link_number(struct conn *conn);
static int link_attach(struct link *link, const char *address);
static bool link_has_target(const struct link *link);
static bool link_may_feed(const struct link *link);
static size_t link_feed_piece(struct link *link);
static void link_stop_sending(struct link *link);
static void sending_abort(struct link *link);
static void sending_push(struct conn *conn, struct link *link);
static void sending_push_front(struct conn *conn, struct link *link);
static struct link *sending_pop(struct conn *conn);
static struct delivery *delivery_take(struct conn *conn);
static pn_delivery_t *delivery_begin(struct link *link, struct delivery *delivery, enum conn_format format);
static void deliveries_drop(struct link *link);
static bool outcome_read(struct delivery *delivery, pn_delivery_t *pn);

int conn_link_open(struct conn *conn, const char *address)
{
    if (conn->is_over)
        return -ENOTCONN;
    int session = session_with_room(conn);
    if (session < 0)
        return session;
    int number = link_number(conn);
    if (number < 0)
        return number;
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return -ENOMEM;
    link->owner = OWNER_SENDER;
    link->number = number;
    link->conn = conn;
    link->session = (uint32_t)session;
    int ret = link_attach(link, address);
    if (ret < 0) {
        free(link);
        return ret;
    }
    conn->session[session].link_count++;
    conn->link[number] = link;
    engine_drain(conn);
    return number;
}

void conn_link_close(struct conn *conn, int number)
{
    struct link *link = link_get(conn, number);
    if (!link || link->is_closing)
        return;
    link->is_closing = true;
    if (link->state == LINK_ENDED)
        return;
    if (link->sending)
        sending_abort(link);
    run_drop(link);
    deliveries_drop(link);
    pn_link_close(link->pn);
    engine_drain(conn);
}

uint32_t conn_link_count_max(const struct conn *conn)
{
    if (!conn->is_open || conn->is_over)
        return 0;
    uint32_t sessions = pn_transport_remote_channel_max(conn->driver.transport) + 1u;
    return (sessions < CONN_SESSIONS_MAX ? sessions : CONN_SESSIONS_MAX) * CONN_SESSION_LINKS_MAX - CONN_REQUEST_LINKS;
}

uint32_t conn_link_credit(const struct conn *conn, int number)
{
    const struct link *link = link_get(conn, number);
    if (!link || link->state != LINK_READY || link->is_closing)
        return 0;
    int credit = pn_link_credit(link->pn) - (link->sending ? 1 : 0); /* proton counts a delivery when it is handed over whole */
    return credit > 0 ? (uint32_t)credit : 0;
}

uint64_t conn_link_message_bytes_max(const struct conn *conn, int number)
{
    const struct link *link = link_get(conn, number);
    return link && link->pn ? pn_link_remote_max_message_size(link->pn) : 0;
}

int conn_send(struct conn *conn, int number, uint64_t tag, enum conn_format format, const uint8_t *data, size_t len)
{
    struct link *link = link_get(conn, number);
    if (!link || link->state != LINK_READY || link->is_closing || conn->is_over)
        return -ENOTCONN;
    if (link->sending || link->sent.is_queued || run_is_active(link))
        return -EBUSY;
    if (conn_link_credit(conn, number) == 0)
        return -EAGAIN;
    int rc = link_begin(link, tag, format, data, len);
    if (rc == 0)
        sending_push(conn, link);
    return rc;
}

int conn_send_run(struct conn *conn, int number, uint64_t tag, const uint8_t *data, const uint32_t *lens, uint32_t count)
{
    struct link *link = link_get(conn, number);
    if (!link || link->state != LINK_READY || link->is_closing || conn->is_over)
        return -ENOTCONN;
    if (link->sending || link->sent.is_queued || run_is_active(link))
        return -EBUSY;
    int rc = run_begin(link, tag, data, lens, count);
    if (rc == 0 && link->sending)
        sending_push(conn, link);
    return rc;
}

int link_begin(struct link *link, uint64_t tag, enum conn_format format, const uint8_t *data, size_t len)
{
    struct conn *conn = link->conn;
    struct delivery *delivery = delivery_take(conn);
    if (!delivery)
        return -ENOMEM;
    delivery->link = link;
    delivery->tag = tag;
    delivery->pn = delivery_begin(link, delivery, format);
    if (!delivery->pn) {
        delivery_free(conn, delivery);
        return -ENOMEM;
    }
    link->sending = delivery;
    link->data = data;
    link->data_len = len;
    link->handed_len = 0;
    if (conn_link_credit(conn, link->number) == 0)
        link->is_credit_told = false;
    return 0;
}

void conn_send_abort(struct conn *conn, int number)
{
    struct link *link = link_get(conn, number);
    if (!link || !link->sending || run_is_active(link))
        return;
    sending_abort(link);
    link_changed(link);
    engine_drain(conn);
}

bool links_feed(struct conn *conn)
{
    size_t fed = 0;
    bool any = false;
    struct link *first_blocked = NULL;
    while (fed < CONN_PIECE_BYTES && conn->sending_head && conn->sending_head != first_blocked) {
        struct link *link = sending_pop(conn);
        if (link_may_feed(link)) {
            fed += link_feed_piece(link);
            any = true;
            if (link->sending && link->turn_len < CONN_TURN_BYTES) {
                sending_push_front(conn, link);
                continue;
            }
        } else if (!first_blocked) {
            first_blocked = link;
        }
        link->turn_len = 0;
        if (link->sending)
            sending_push(conn, link);
    }
    return any;
}

void link_changed(struct link *link)
{
    if (link->state == LINK_OPENING && (pn_link_state(link->pn) & PN_REMOTE_ACTIVE) && link_has_target(link)) {
        link->state = LINK_READY;
        event_queue(link->conn, &link->ready, CONN_LINK_READY);
    }
    if (link->state != LINK_READY || link->is_closing)
        return;
    if (run_is_active(link) && !link->sending) { /* it stood still for want of credit */
        run_go_on(link);
        if (link->sending)
            sending_push(link->conn, link);
    }
    if (pn_link_get_drain(link->pn) && !link->sending)
        pn_link_drained(link->pn);
    if (!link->is_credit_told && conn_link_credit(link->conn, link->number) > 0) {
        link->is_credit_told = true;
        event_queue(link->conn, &link->credit, CONN_LINK_CREDIT);
    }
}

void link_peer_ended(struct link *link)
{
    pn_condition_t *condition = pn_link_remote_condition(link->pn);
    if (pn_condition_is_set(condition)) {
        link->end_text = calloc(1, sizeof *link->end_text);
        if (link->end_text)
            request_text_set(link->end_text, condition);
    }
    if (link->sending)
        link_stop_sending(link);
    run_stop(link);
    deliveries_drop(link);
    link->is_refused = !link_has_target(link);
    pn_link_set_context(link->pn, NULL);
    pn_link_close(link->pn);
    pn_link_free(link->pn);
    link->pn = NULL;
    link->state = LINK_ENDED;
    link->conn->session[link->session].link_count--;
    event_queue(link->conn, &link->ended, CONN_LINK_ENDED);
}

void link_delivery_changed(pn_delivery_t *pn)
{
    struct delivery *delivery = pn_delivery_get_context(pn);
    if (!delivery || !pn_delivery_updated(pn))
        return;
    pn_delivery_clear(pn);
    if (!outcome_read(delivery, pn))
        return;
    struct link *link = delivery->link;
    pn_delivery_set_context(pn, NULL);
    delivery->pn = NULL;
    if (link->sending == delivery) {
        /* judged before all of it was there: the rest need not go, and it cannot have been accepted */
        link_stop_sending(link);
        if (!delivery->is_of_run) {
            link->sent_tag = delivery->tag;
            event_queue(link->conn, &link->sent, CONN_SENT);
        }
        if (delivery->outcome == CONN_ACCEPTED)
            delivery->outcome = CONN_RELEASED;
        pn_delivery_abort(pn);
    } else {
        pn_delivery_settle(pn);
    }
    if (!delivery->is_of_run) {
        event_queue(link->conn, &delivery->settled, CONN_SETTLED);
        return;
    }
    run_judge(link->run, delivery);
    delivery_free(link->conn, delivery);
}

void link_forget(struct link *link)
{
    link->conn->link[link->number] = NULL;
    free(link->run);
    free(link->end_text);
    free(link);
}

void delivery_free(struct conn *conn, struct delivery *delivery)
{
    free(delivery->text);
    memset(delivery, 0, sizeof *delivery);
    delivery->next_free = conn->free_delivery;
    conn->free_delivery = delivery;
}

void links_free(struct conn *conn)
{
    for (uint32_t i = 0; i < conn->link_cap; i++) {
        if (conn->link[i])
            link_forget(conn->link[i]);
    }
    free(conn->link);
    while (conn->chunk) {
        struct delivery_chunk *next = conn->chunk->next;
        for (uint32_t i = 0; i < CONN_DELIVERIES_CHUNK; i++)
            free(conn->chunk->delivery[i].text);
        free(conn->chunk);
        conn->chunk = next;
    }
}

static int session_with_room(struct conn *conn)
{
    for (uint32_t i = 0; i < conn->session_count; i++) {
        if (conn->session[i].link_count < CONN_SESSION_LINKS_MAX)
            return (int)i;
    }
    return session_add(conn);
}

static int session_add(struct conn *conn)
{
    /* a begin beyond the peer's channel-max would end the connection */
    if (!conn->is_open || conn->session_count >= CONN_SESSIONS_MAX ||
        conn->session_count > pn_transport_remote_channel_max(conn->driver.transport))
        return -EMFILE;
    pn_session_t *session = pn_session(conn->driver.connection);
    if (!session)
        return -ENOMEM;
    pn_session_set_context(session, conn);
    pn_session_open(session);
    conn->session[conn->session_count].pn = session;
    conn->session[conn->session_count].link_count = 0;
    return (int)conn->session_count++;
}

/* The lowest free number; the table grows by doubling. */
static int link_number(struct conn *conn)
{
    for (uint32_t i = 0; i < conn->link_cap; i++) {
        if (!conn->link[i])
            return (int)i;
    }
    uint32_t cap = conn->link_cap ? conn->link_cap * 2 : 16;
    struct link **grown = realloc(conn->link, cap * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    memset(grown + conn->link_cap, 0, (cap - conn->link_cap) * sizeof *grown);
    int number = (int)conn->link_cap;
    conn->link = grown;
    conn->link_cap = cap;
    return number;
}

struct link *link_get(const struct conn *conn, int number)
{
    return number >= 0 && (uint32_t)number < conn->link_cap ? conn->link[number] : NULL;
}

static int link_attach(struct link *link, const char *address)
{
    struct conn *conn = link->conn;
    char name[192];
    snprintf(name, sizeof name, "%s-%llu", conn->container_id, (unsigned long long)++conn->link_names);
    link->pn = pn_sender(conn->session[link->session].pn, name);
    if (!link->pn)
        return -ENOMEM;
    pn_link_set_context(link->pn, link);
    pn_link_set_snd_settle_mode(link->pn, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(link->pn, PN_RCV_FIRST);
    pn_terminus_set_type(pn_link_source(link->pn), PN_SOURCE);
    pn_terminus_set_address(pn_link_source(link->pn), name);
    pn_terminus_set_type(pn_link_target(link->pn), PN_TARGET);
    if (conn->is_broker)
        pn_terminus_set_durability(pn_link_target(link->pn), PN_CONFIGURATION);
    if (pn_terminus_set_address(pn_link_target(link->pn), address) != 0) {
        pn_link_free(link->pn);
        return -ENOMEM;
    }
    pn_link_open(link->pn);
    return 0;
}

/* A peer that refuses a link attaches it without. */
static bool link_has_target(const struct link *link)
{
    return pn_terminus_get_type(pn_link_remote_target(link->pn)) == PN_TARGET;
}

/* Nothing for a link whose last piece proton could not put into a frame (session window, credit taken back), nor for a session with much of
 * that. */
static bool link_may_feed(const struct link *link)
{
    return pn_delivery_pending(link->sending->pn) == 0 && pn_session_outgoing_bytes(pn_link_session(link->pn)) < CONN_PENDING_BYTES_MAX;
}

/* Hands over one piece; after the last the delivery is whole and its buffer the caller's again. Returns the bytes. */
static size_t link_feed_piece(struct link *link)
{
    size_t piece_len = link->data_len - link->handed_len;
    if (piece_len > CONN_PIECE_BYTES)
        piece_len = CONN_PIECE_BYTES;
    pn_link_send(link->pn, (const char *)link->data + link->handed_len, piece_len);
    link->handed_len += piece_len;
    link->turn_len += piece_len;
    if (link->handed_len < link->data_len)
        return piece_len;
    link->sent_tag = link->sending->tag;
    link->sending = NULL;
    link->data = NULL;
    pn_link_advance(link->pn);
    if (run_is_active(link))
        run_go_on(link);
    else
        event_queue(link->conn, &link->sent, CONN_SENT);
    return piece_len;
}

static void link_stop_sending(struct link *link)
{
    struct conn *conn = link->conn;
    struct link *previous = NULL;
    for (struct link *at = conn->sending_head; at; previous = at, at = at->next_sending) {
        if (at != link)
            continue;
        if (previous)
            previous->next_sending = link->next_sending;
        else
            conn->sending_head = link->next_sending;
        if (conn->sending_tail == link)
            conn->sending_tail = previous;
        break;
    }
    link->next_sending = NULL;
    link->sending = NULL;
    link->data = NULL;
}

static void sending_abort(struct link *link)
{
    struct delivery *delivery = link->sending;
    link_stop_sending(link);
    pn_delivery_set_context(delivery->pn, NULL);
    pn_delivery_abort(delivery->pn);
    delivery_free(link->conn, delivery);
}

static void sending_push(struct conn *conn, struct link *link)
{
    link->next_sending = NULL;
    if (conn->sending_tail)
        conn->sending_tail->next_sending = link;
    else
        conn->sending_head = link;
    conn->sending_tail = link;
}

static void sending_push_front(struct conn *conn, struct link *link)
{
    link->next_sending = conn->sending_head;
    conn->sending_head = link;
    if (!conn->sending_tail)
        conn->sending_tail = link;
}

static struct link *sending_pop(struct conn *conn)
{
    struct link *link = conn->sending_head;
    conn->sending_head = link->next_sending;
    if (!conn->sending_head)
        conn->sending_tail = NULL;
    link->next_sending = NULL;
    return link;
}

/* From the free list, which grows by a chunk when more deliveries are unsettled than ever before. */
static struct delivery *delivery_take(struct conn *conn)
{
    if (!conn->free_delivery) {
        struct delivery_chunk *chunk = calloc(1, sizeof *chunk);
        if (!chunk)
            return NULL;
        chunk->next = conn->chunk;
        conn->chunk = chunk;
        for (uint32_t i = 0; i < CONN_DELIVERIES_CHUNK; i++)
            delivery_free(conn, &chunk->delivery[i]);
    }
    struct delivery *delivery = conn->free_delivery;
    conn->free_delivery = delivery->next_free;
    delivery->next_free = NULL;
    return delivery;
}

/* Tags: four counted bytes; a batch has four more, by which the format filter knows it. */
static pn_delivery_t *delivery_begin(struct link *link, struct delivery *delivery, enum conn_format format)
{
    uint32_t count = link->conn->next_tag++;
    char bytes[FORMAT_TAG_BYTES] = {(char)(count >> 24), (char)(count >> 16), (char)(count >> 8), (char)count};
    pn_delivery_t *pn = pn_delivery(link->pn, pn_dtag(bytes, format == CONN_FORMAT_BATCH ? FORMAT_TAG_BYTES : 4));
    if (pn)
        pn_delivery_set_context(pn, delivery);
    return pn;
}

/* The link's unsettled deliveries: their outcome will not be known. */
static void deliveries_drop(struct link *link)
{
    for (pn_delivery_t *pn = pn_unsettled_head(link->pn); pn; pn = pn_unsettled_next(pn)) {
        struct delivery *delivery = pn_delivery_get_context(pn);
        pn_delivery_set_context(pn, NULL);
        if (delivery)
            delivery_free(link->conn, delivery);
    }
}

/* false: no outcome yet. Settled by the peer without one counts as released: not known to be stored. */
static bool outcome_read(struct delivery *delivery, pn_delivery_t *pn)
{
    switch (pn_delivery_remote_state(pn)) {
    case PN_ACCEPTED:
        delivery->outcome = CONN_ACCEPTED;
        return true;
    case PN_RELEASED:
        delivery->outcome = CONN_RELEASED;
        return true;
    case PN_MODIFIED:
        delivery->outcome = CONN_MODIFIED;
        delivery->is_failed = pn_disposition_is_failed(pn_delivery_remote(pn));
        delivery->is_undeliverable_here = pn_disposition_is_undeliverable(pn_delivery_remote(pn));
        return true;
    case PN_REJECTED: {
        delivery->outcome = CONN_REJECTED;
        pn_condition_t *condition = pn_disposition_condition(pn_delivery_remote(pn));
        if (pn_condition_is_set(condition)) {
            delivery->text = calloc(1, sizeof *delivery->text);
            if (delivery->text)
                request_text_set(delivery->text, condition);
        }
        return true;
    }
    default:
        delivery->outcome = CONN_RELEASED;
        return pn_delivery_settled(pn);
    }
}
