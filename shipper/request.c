/* One node ($cbs or $management): its two links, the one request under way, its answer and time-out. Does no I/O. */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/disposition.h>

#define REPLY_CREDIT 4

static int links_attach(struct request *request, pn_session_t *session);
static void links_end(struct request *request);
static pn_link_t *link_end(pn_link_t *link);
static void message_send(struct request *request);
static void message_wipe(struct request *request);
static void answer_none(struct request *request, const char *condition, const char *description);
static bool sender_delivery(struct request *request, pn_delivery_t *delivery);
static bool receiver_delivery(struct request *request, pn_delivery_t *delivery);
static bool reply_read(struct request *request, pn_delivery_t *delivery);

void request_init(struct request *request, const char *node, const char *reply_to)
{
    memset(request, 0, sizeof *request);
    request->owner = OWNER_REQUEST;
    request->node = node;
    request->reply_to = reply_to;
}

void request_free(struct request *request)
{
    message_wipe(request);
}

int request_begin(struct request *request, pn_session_t *session, const struct request_field *fields, size_t field_count, const char *body,
                  int64_t now_ms)
{
    if (request->is_pending)
        return -EBUSY;
    uint8_t *message;
    int64_t len = request_encode(request->next_id + 1, request->reply_to, fields, field_count, body, &message);
    if (len < 0)
        return (int)len;
    request->message = message;
    request->message_len = (size_t)len;
    if (request->state == REQUEST_CLOSED) {
        int ret = links_attach(request, session);
        if (ret < 0) {
            message_wipe(request);
            return ret;
        }
    }
    request->next_id++;
    request->is_pending = true;
    request->deadline_ms = now_ms ? now_ms + REQUEST_TIMEOUT_MS : 0;
    request->status = 0;
    request->partition_count = 0;
    request->ids_plain = false;
    memset(&request->text, 0, sizeof request->text);
    message_send(request);
    return 0;
}

void request_link_changed(struct request *request)
{
    bool is_answered = (pn_link_state(request->sender) & PN_REMOTE_ACTIVE) && (pn_link_state(request->receiver) & PN_REMOTE_ACTIVE);
    if (request->state == REQUEST_OPENING && is_answered && pn_terminus_get_type(pn_link_remote_target(request->sender)) == PN_TARGET &&
        pn_terminus_get_type(pn_link_remote_source(request->receiver)) == PN_SOURCE)
        request->state = REQUEST_READY;
    message_send(request);
}

bool request_link_ended(struct request *request, pn_link_t *link)
{
    bool was_pending = request->is_pending;
    if (was_pending) {
        char description[128];
        snprintf(description, sizeof description, "the peer ended the link to %s", request->node);
        answer_none(request, "", description);
        if (pn_condition_is_set(pn_link_remote_condition(link)))
            request_text_set(&request->text, pn_link_remote_condition(link));
    }
    links_end(request);
    return was_pending;
}

bool request_delivery(struct request *request, pn_delivery_t *delivery)
{
    return pn_delivery_link(delivery) == request->sender ? sender_delivery(request, delivery) : receiver_delivery(request, delivery);
}

bool request_tick(struct request *request, int64_t now_ms)
{
    if (!request->is_pending)
        return false;
    if (request->deadline_ms == 0)
        request->deadline_ms = now_ms + REQUEST_TIMEOUT_MS;
    if (now_ms < request->deadline_ms)
        return false;
    char description[128];
    snprintf(description, sizeof description, "no answer from %s within %d s", request->node, REQUEST_TIMEOUT_MS / 1000);
    answer_none(request, "com.microsoft:timeout", description);
    return true;
}

/* New names each time: a name in use would steal the link. */
static int links_attach(struct request *request, pn_session_t *session)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%llu", request->reply_to, (unsigned long long)request->next_id);
    request->sender = pn_sender(session, name);
    request->receiver = pn_receiver(session, name);
    if (!request->sender || !request->receiver)
        return -ENOMEM;
    pn_link_set_context(request->sender, request);
    pn_link_set_context(request->receiver, request);
    pn_link_set_snd_settle_mode(request->sender, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(request->sender, PN_RCV_FIRST);
    pn_link_set_rcv_settle_mode(request->receiver, PN_RCV_FIRST);
    pn_terminus_set_type(pn_link_source(request->sender), PN_SOURCE);
    pn_terminus_set_address(pn_link_source(request->sender), request->reply_to);
    pn_terminus_set_type(pn_link_target(request->sender), PN_TARGET);
    pn_terminus_set_address(pn_link_target(request->sender), request->node);
    pn_terminus_set_type(pn_link_source(request->receiver), PN_SOURCE);
    pn_terminus_set_address(pn_link_source(request->receiver), request->node);
    pn_terminus_set_type(pn_link_target(request->receiver), PN_TARGET);
    pn_terminus_set_address(pn_link_target(request->receiver), request->reply_to);
    pn_link_open(request->sender);
    pn_link_open(request->receiver);
    pn_link_flow(request->receiver, REPLY_CREDIT);
    request->state = REQUEST_OPENING;
    return 0;
}

static void links_end(struct request *request)
{
    request->sender = link_end(request->sender);
    request->receiver = link_end(request->receiver);
    request->state = REQUEST_CLOSED;
    message_wipe(request);
}

static pn_link_t *link_end(pn_link_t *link)
{
    if (link) {
        pn_link_set_context(link, NULL);
        pn_link_close(link);
        pn_link_free(link);
    }
    return NULL;
}

static void message_send(struct request *request)
{
    if (!request->message || request->state != REQUEST_READY || pn_link_credit(request->sender) <= 0)
        return;
    uint64_t count = request->tag++;
    char tag[4] = {(char)(count >> 24), (char)(count >> 16), (char)(count >> 8), (char)count};
    if (!pn_delivery(request->sender, pn_dtag(tag, sizeof tag)))
        return;
    pn_link_send(request->sender, (const char *)request->message, request->message_len);
    pn_link_advance(request->sender);
    message_wipe(request);
}

/* It holds a token. What proton has copied of it is out of reach. */
static void message_wipe(struct request *request)
{
    if (request->message)
        explicit_bzero(request->message, request->message_len);
    free(request->message);
    request->message = NULL;
    request->message_len = 0;
}

static void answer_none(struct request *request, const char *condition, const char *description)
{
    request->is_pending = false;
    request->deadline_ms = 0;
    request->status = 0;
    request_text_clean(request->text.condition, sizeof request->text.condition, condition, strlen(condition));
    request_text_clean(request->text.description, sizeof request->text.description, description, strlen(description));
    message_wipe(request);
}

/* The peer took or refused the request's message. */
static bool sender_delivery(struct request *request, pn_delivery_t *delivery)
{
    uint64_t state = pn_delivery_remote_state(delivery);
    bool is_refused = state == PN_REJECTED || state == PN_RELEASED || state == PN_MODIFIED;
    if (!is_refused && state != PN_ACCEPTED && !pn_delivery_settled(delivery))
        return false;
    bool answered = is_refused && request->is_pending;
    if (answered) {
        char description[128];
        snprintf(description, sizeof description, "%s did not take the request", request->node);
        answer_none(request, "", description);
        if (state == PN_REJECTED && pn_condition_is_set(pn_disposition_condition(pn_delivery_remote(delivery))))
            request_text_set(&request->text, pn_disposition_condition(pn_delivery_remote(delivery)));
    }
    pn_delivery_settle(delivery);
    return answered;
}

static bool receiver_delivery(struct request *request, pn_delivery_t *delivery)
{
    if (pn_delivery_pending(delivery) > REQUEST_REPLY_BYTES_MAX) {
        bool was_pending = request->is_pending;
        if (was_pending) {
            char description[128];
            snprintf(description, sizeof description, "reply of %s exceeds %u bytes", request->node, REQUEST_REPLY_BYTES_MAX);
            answer_none(request, "amqp:link:message-size-exceeded", description);
        }
        links_end(request);
        return was_pending;
    }
    if (!pn_delivery_aborted(delivery) && pn_delivery_partial(delivery))
        return false;
    bool answered = !pn_delivery_aborted(delivery) && reply_read(request, delivery);
    if (!pn_delivery_aborted(delivery))
        pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
    if (pn_link_credit(request->receiver) < REPLY_CREDIT)
        pn_link_flow(request->receiver, REPLY_CREDIT - pn_link_credit(request->receiver));
    return answered;
}

static bool reply_read(struct request *request, pn_delivery_t *delivery)
{
    size_t len = pn_delivery_pending(delivery);
    char *bytes = malloc(len ? len : 1);
    if (!bytes)
        return false;
    ssize_t got = pn_link_recv(request->receiver, bytes, len);
    bool answered = request->is_pending && got > 0 && request_decode(request, request->next_id, bytes, (size_t)got);
    free(bytes);
    if (answered) {
        request->is_pending = false;
        request->deadline_ms = 0;
    }
    return answered;
}
