/* A delivery of events: judged, stored, answered. */
#include "sender.h"

#include "detach.h"
#include "settle.h"

#include <errno.h>
#include <stdio.h>

static int judge(const struct hub_link *l, const uint8_t *bytes, size_t len, struct hub_message *m, struct hub_error *why);
static void store(struct hub_link *l, const struct hub_message *m, size_t len);
static void answer(struct hub_link *l, enum hub_outcome outcome, const struct hub_error *error);
static enum hub_after fault_apply(struct hub_link *l, const struct hub_fault *fault, const struct hub_message *m, size_t len);

enum hub_after hub_sender_deliver(struct hub_link *l, const uint8_t *bytes, size_t len)
{
    struct hub_broker *b = l->session->conn->broker;
    const struct hub_fault *fault = hub_faults_next(&b->faults);
    struct hub_message m;
    struct hub_error why;

    if (judge(l, bytes, len, &m, &why) < 0) {
        if (b->verbose)
            fprintf(stderr, "ehring-hub: link=%s delivery=%u rejected condition=%s text=\"%s\"\n", l->name, l->delivery_id, why.condition,
                    why.text);
        answer(l, HUB_OUTCOME_REJECTED, &why);
        return HUB_AFTER_GO_ON;
    }
    if (fault)
        return fault_apply(l, fault, &m, len);
    store(l, &m, len);
    answer(l, HUB_OUTCOME_ACCEPTED, NULL);
    return HUB_AFTER_GO_ON;
}

static int judge(const struct hub_link *l, const uint8_t *bytes, size_t len, struct hub_message *m, struct hub_error *why)
{
    if (!bytes)
        return hub_error_set(
            why, "amqp:link:message-size-exceeded",
            "The received message (delivery-id:%u, size:%llu bytes) exceeds the limit (%llu bytes) currently allowed on the link.",
            l->delivery_id, (unsigned long long)l->delivery_len, (unsigned long long)l->message_bytes_max);
    if (hub_message_open(m, l->delivery_format, bytes, len, why) < 0)
        return -EPROTO;
    if (l->session->conn->broker->sink)
        return 0;
    return hub_message_check(m, l->partition ? HUB_TARGET_PARTITION : HUB_TARGET_HUB, why);
}

static void store(struct hub_link *l, const struct hub_message *m, size_t len)
{
    struct hub_partition *p = l->partition ? l->partition : hub_entity_choose(l->entity, m);

    hub_broker_store(l->session->conn->broker, p, m, len);
}

static void answer(struct hub_link *l, enum hub_outcome outcome, const struct hub_error *error)
{
    struct hub_broker *b = l->session->conn->broker;

    if (outcome == HUB_OUTCOME_REJECTED)
        b->rejected++;
    else if (outcome != HUB_OUTCOME_ACCEPTED)
        b->released++;
    if (l->delivery_settled)
        return;
    if (outcome == HUB_OUTCOME_ACCEPTED)
        hub_settle_accept(l->session, l->delivery_id);
    else
        hub_settle(l->session, l->delivery_id, outcome, error);
}

/* What is cut off, left silent or detached was stored: the sender cannot know, and sends again. */
static enum hub_after fault_apply(struct hub_link *l, const struct hub_fault *fault, const struct hub_message *m, size_t len)
{
    switch (fault->kind) {
    case HUB_FAULT_REJECT:
    case HUB_FAULT_THROTTLE:
        answer(l, HUB_OUTCOME_REJECTED, &fault->error);
        return HUB_AFTER_GO_ON;
    case HUB_FAULT_RELEASE:
        answer(l, HUB_OUTCOME_RELEASED, NULL);
        return HUB_AFTER_GO_ON;
    case HUB_FAULT_MODIFY:
        answer(l, HUB_OUTCOME_MODIFIED, NULL);
        return HUB_AFTER_GO_ON;
    case HUB_FAULT_SILENT:
        store(l, m, len);
        return HUB_AFTER_GO_ON;
    case HUB_FAULT_DROP:
        store(l, m, len);
        return HUB_AFTER_CUT;
    case HUB_FAULT_DETACH:
        store(l, m, len);
        hub_link_fail(l, &fault->error);
        return HUB_AFTER_GO_ON;
    case HUB_FAULT_TOKEN_REFUSE:
        break;
    }
    return HUB_AFTER_GO_ON;
}
