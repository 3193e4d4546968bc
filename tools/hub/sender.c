/* A delivery of events: judged, stored, answered. */
#include "sender.h"

#include "detach.h"
#include "scenario.h"
#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum hub_after deliver(struct hub_link *l, const uint8_t *bytes, size_t len);
static int judge(const struct hub_link *l, const uint8_t *bytes, size_t len, struct hub_message *m, struct hub_error *why);
static const struct hub_fault *rate_exceeded(const struct hub_link *l, const struct hub_message *m, size_t len);
static void store(struct hub_link *l, const struct hub_message *m, size_t len);
static void accept(struct hub_link *l);
static void reject(struct hub_link *l, const struct hub_error *error);
static void give_back(struct hub_link *l, enum hub_outcome outcome, const struct hub_fault *fault);
static enum hub_after fault_apply(struct hub_link *l, const struct hub_fault *fault, const struct hub_message *m, size_t len);

/* A scenario counts each delivery as it comes, so that what it waits for is exact. */
enum hub_after hub_sender_deliver(struct hub_link *l, const uint8_t *bytes, size_t len)
{
    struct hub_broker *b = l->session->conn->broker;
    enum hub_after after;

    b->deliveries++;
    after = deliver(l, bytes, len);
    if (b->scenario)
        hub_scenario_step(b->scenario, b);
    return after;
}

static enum hub_after deliver(struct hub_link *l, const uint8_t *bytes, size_t len)
{
    struct hub_broker *b = l->session->conn->broker;
    const struct hub_fault *fault;
    struct hub_message m;
    struct hub_error why;

    if (judge(l, bytes, len, &m, &why) < 0) {
        reject(l, &why);
        return HUB_AFTER_GO_ON;
    }
    if (b->faults.count > 0 && (fault = rate_exceeded(l, &m, len))) {
        reject(l, &fault->error);
        return HUB_AFTER_GO_ON;
    }
    if (b->faults.count > 0 && (fault = hub_faults_delivery(&b->faults, l->path, &m, b->now_mono_ms)))
        return fault_apply(l, fault, &m, len);
    store(l, &m, len);
    accept(l);
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

static const struct hub_fault *rate_exceeded(const struct hub_link *l, const struct hub_message *m, size_t len)
{
    struct hub_broker *b = l->session->conn->broker;
    struct hub_fault *f = hub_faults_find(&b->faults, HUB_FAULT_RATE, b->now_mono_ms);

    return f && !hub_rate_take(&f->rate, b->now_mono_ms, m->event_count, len) ? f : NULL;
}

static void store(struct hub_link *l, const struct hub_message *m, size_t len)
{
    struct hub_partition *p = l->partition ? l->partition : hub_entity_choose(l->entity, m);

    hub_broker_store(l->session->conn->broker, p, m, len);
}

static void accept(struct hub_link *l)
{
    if (!l->delivery_settled)
        hub_settle_accept(l->session, l->delivery_id);
}

static void reject(struct hub_link *l, const struct hub_error *error)
{
    struct hub_broker *b = l->session->conn->broker;
    struct hub_disposition d = {
        .receiver = true, .first = l->delivery_id, .last = l->delivery_id, .outcome = HUB_OUTCOME_REJECTED, .error = error};

    b->rejected++;
    b->throttled += strcmp(error->condition, "com.microsoft:server-busy") == 0;
    if (b->verbose)
        fprintf(stderr, "ehring-hub: link=%s delivery=%u rejected condition=%s text=\"%s\"\n", l->name, l->delivery_id, error->condition,
                error->text);
    if (!l->delivery_settled)
        hub_settle(l->session, &d);
}

static void give_back(struct hub_link *l, enum hub_outcome outcome, const struct hub_fault *fault)
{
    struct hub_broker *b = l->session->conn->broker;
    struct hub_disposition d = {.receiver = true,
                                .first = l->delivery_id,
                                .last = l->delivery_id,
                                .outcome = outcome,
                                .delivery_failed = fault->delivery_failed,
                                .undeliverable_here = fault->undeliverable_here};

    b->released += outcome == HUB_OUTCOME_RELEASED;
    b->modified += outcome == HUB_OUTCOME_MODIFIED;
    if (!l->delivery_settled)
        hub_settle(l->session, &d);
}

/* What is cut off, left silent or detached was stored: the sender cannot know, and sends again. */
static enum hub_after fault_apply(struct hub_link *l, const struct hub_fault *fault, const struct hub_message *m, size_t len)
{
    if (fault->kind == HUB_FAULT_REJECT) {
        reject(l, &fault->error);
    } else if (fault->kind == HUB_FAULT_RELEASE) {
        give_back(l, HUB_OUTCOME_RELEASED, fault);
    } else if (fault->kind == HUB_FAULT_MODIFY) {
        give_back(l, HUB_OUTCOME_MODIFIED, fault);
    } else {
        store(l, m, len);
        l->session->conn->broker->unanswered++;
    }
    if (fault->kind == HUB_FAULT_DETACH_AFTER)
        hub_link_fail(l, &fault->error);
    return fault->kind == HUB_FAULT_DROP_AFTER ? HUB_AFTER_CUT : HUB_AFTER_GO_ON;
}
