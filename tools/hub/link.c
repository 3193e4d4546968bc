/* Links: attach and its refusal, credit, transfers put together to deliveries. */
#include "link.h"

#include "claim.h"
#include "detach.h"
#include "outgoing.h"
#include "receiver.h"
#include "request.h"
#include "settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum attach_field { NAME, HANDLE, ROLE, SND_MODE, RCV_MODE, SOURCE, TARGET, MESSAGE_BYTES_MAX = 10, PROPERTIES = 13 };
enum { REQUEST_CREDIT = 100, REQUEST_BYTES_MAX = 65536 };

static struct hub_link *link_new(struct hub_session *s, const struct hub_fields *f, uint32_t handle);
static int terminus_address(const struct hub_fields *f, unsigned field, char address[HUB_PATH_MAX]);
static int admit(struct hub_link *l, const struct hub_fields *f, struct hub_error *why);
static int admit_cbs(struct hub_link *l, struct hub_error *why);
static int admit_entity(struct hub_link *l, const struct hub_path *path, const char *address, struct hub_error *why);
static int refuse_on_demand(const struct hub_link *l, struct hub_error *why);
static uint64_t message_bytes_max(const struct hub_link *l);
static bool may_use(const struct hub_link *l, const char *path);
static void unauthorized(const struct hub_link *l, struct hub_error *e);
static void attach_answer(struct hub_link *l, const struct hub_fields *f, bool refused);
static void credit_top_up(struct hub_link *l);
static uint32_t credit_max(const struct hub_link *l);
static int delivery_begin(struct hub_link *l, const struct hub_fields *f, struct hub_error *why);
static int delivery_add(struct hub_link *l, struct hub_in payload, struct hub_error *why);
static void partial_return(struct hub_link *l);
static enum hub_after delivery_end(struct hub_link *l, struct hub_in payload);
static enum hub_after dispatch(struct hub_link *l, const uint8_t *bytes, size_t len);

int hub_link_attach(struct hub_session *s, const struct hub_fields *f, struct hub_error *why)
{
    uint32_t handle = hub_field_uint(f, HANDLE, UINT32_MAX);
    struct hub_error refusal = {.condition = ""};

    if (handle > HUB_HANDLE_MAX)
        return hub_error_set(why, "amqp:connection:framing-error", "handle %u exceeds the session's limit %d", handle, HUB_HANDLE_MAX);
    if (s->links[handle])
        return hub_error_set(why, "amqp:session:handle-in-use", "handle %u is attached already", handle);
    if (s->conn->link_count == HUB_LINKS_MAX)
        return hub_error_set(why, "amqp:resource-limit-exceeded", "the connection has its limit of %d links", HUB_LINKS_MAX);
    struct hub_link *l = link_new(s, f, handle);
    if (!l)
        return hub_error_set(why, "amqp:invalid-field", "the name of a link is missing or longer than %d bytes", HUB_NAME_MAX - 1);
    bool refused = admit(l, f, &refusal) < 0;
    attach_answer(l, f, refused);
    s->conn->broker->links_refused += refused;
    if (refused && s->conn->broker->verbose)
        fprintf(stderr, "ehring-hub: connection=%llu link=%s refused condition=%s text=\"%s\"\n", (unsigned long long)s->conn->id, l->name,
                refusal.condition, refusal.text);
    if (refused)
        hub_link_fail(l, &refusal);
    else if (l->peer_sends)
        credit_top_up(l);
    return 0;
}

int hub_link_transfer(struct hub_link *l, const struct hub_fields *f, struct hub_in payload, enum hub_after *after, struct hub_error *why)
{
    *after = HUB_AFTER_GO_ON;
    if (l->detaching)
        return 0;
    if (!l->peer_sends)
        return hub_error_set(why, "amqp:session:errant-link", "a transfer came on handle %u, which receives", l->handle);
    if (!l->in_delivery && delivery_begin(l, f, why) < 0)
        return -EPROTO;
    if (l->detaching)
        return 0;
    l->delivery_settled |= hub_field_bool(f, 4, false);
    if (hub_field_bool(f, 9, false)) {
        l->in_delivery = false;
        partial_return(l);
    } else if (hub_field_bool(f, 5, false)) {
        return delivery_add(l, payload, why);
    } else {
        *after = delivery_end(l, payload);
    }
    if (*after == HUB_AFTER_GO_ON)
        credit_top_up(l);
    return 0;
}

void hub_link_flow(struct hub_link *l, const struct hub_fields *f)
{
    if (l->detaching)
        return;
    if (!l->peer_sends) {
        uint32_t credit = hub_field_uint(f, 6, 0);
        uint32_t limit = hub_field_uint(f, 5, l->delivery_count) + credit;
        uint32_t left = limit - l->delivery_count;
        l->credit = left > INT32_MAX ? 0 : left;
        l->drain = hub_field_bool(f, 8, false);
        hub_link_pump(l);
    }
    if (hub_field_bool(f, 9, false))
        hub_outgoing_flow(l);
}

void hub_link_detach(struct hub_link *l, const struct hub_fields *f)
{
    struct hub_session *s = l->session;

    if (!l->detaching && !s->ending)
        hub_put_detach(&s->conn->out, s->channel, l->handle, hub_field_bool(f, 1, false), NULL);
    hub_link_free(l);
}

void hub_link_pump(struct hub_link *l)
{
    if (l->detaching)
        return;
    if (l->peer_sends) {
        credit_top_up(l);
        return;
    }
    if (l->node == HUB_NODE_RECEIVER) {
        hub_receiver_pump(l);
        return;
    }
    hub_outgoing_continue(l);
    hub_request_pump(l);
    hub_outgoing_drain(l);
}

void hub_link_check_claim(struct hub_link *l)
{
    struct hub_error e;

    if (l->detaching || (l->node != HUB_NODE_SENDER && l->node != HUB_NODE_RECEIVER) || may_use(l, l->path))
        return;
    unauthorized(l, &e);
    snprintf(e.condition, sizeof(e.condition), "amqp:link:detach-forced");
    hub_link_fail(l, &e);
}

static struct hub_link *link_new(struct hub_session *s, const struct hub_fields *f, uint32_t handle)
{
    struct hub_link *l = hub_alloc(1, sizeof(*l));

    l->node = HUB_NODE_UNKNOWN;
    if (!hub_field_is_set(f, NAME) || hub_value_text(&f->at[NAME], l->name, sizeof(l->name)) < 0) {
        free(l);
        return NULL;
    }
    l->session = s;
    l->handle = handle;
    l->peer_sends = !hub_field_bool(f, ROLE, false);
    l->settle_sent = hub_field_uint(f, SND_MODE, 2) != 0;
    s->links[handle] = l;
    s->conn->link_count++;
    return l;
}

/* Field 0 of a source or target. -ENOENT: null. */
static int terminus_address(const struct hub_fields *f, unsigned field, char address[HUB_PATH_MAX])
{
    struct hub_fields terminus;
    uint64_t code;

    address[0] = 0;
    if (!hub_field_is_set(f, field))
        return -ENOENT;
    struct hub_in in = hub_in_of(f->at[field].raw, f->at[field].raw_len);
    if (hub_fields_read(&in, &code, &terminus) < 0 || (code != HUB_SOURCE && code != HUB_TARGET))
        return -EINVAL;
    if (!hub_field_is_set(&terminus, 0))
        return -ENOENT;
    return hub_value_text(&terminus.at[0], address, HUB_PATH_MAX);
}

static int admit(struct hub_link *l, const struct hub_fields *f, struct hub_error *why)
{
    char text[HUB_PATH_MAX];
    struct hub_address address;
    struct hub_path path;

    if (terminus_address(f, l->peer_sends ? TARGET : SOURCE, text) < 0 || hub_address_read(&address, text) < 0)
        return hub_error_set(why, "amqp:invalid-field", "the %s of the link has no usable address", l->peer_sends ? "target" : "source");
    hub_path_read(&path, address.path);
    snprintf(l->path, sizeof(l->path), "%s", address.path);
    if (!l->peer_sends && terminus_address(f, TARGET, text) == 0)
        snprintf(l->address, sizeof(l->address), "%.*s", HUB_NAME_MAX - 1, text);
    if (path.node == HUB_NODE_CBS)
        return admit_cbs(l, why);
    if (path.node == HUB_NODE_MANAGEMENT) {
        l->node = HUB_NODE_MANAGEMENT;
        l->message_bytes_max = REQUEST_BYTES_MAX;
        if (hub_claim_any(l->session->conn))
            return 0;
        unauthorized(l, why);
        return -EPROTO;
    }
    if (admit_entity(l, &path, address.path, why) < 0)
        return -EPROTO;
    if (path.node == HUB_NODE_RECEIVER) {
        if (hub_receiver_open(l, &f->at[SOURCE], hub_field_is_set(f, PROPERTIES) ? &f->at[PROPERTIES] : NULL, why) < 0)
            return -EPROTO;
        l->node = HUB_NODE_RECEIVER;
        return 0;
    }
    l->node = HUB_NODE_SENDER;
    l->peer_message_bytes_max = hub_field_ulong(f, MESSAGE_BYTES_MAX, 0);
    l->message_bytes_max = message_bytes_max(l);
    return refuse_on_demand(l, why);
}

static int admit_cbs(struct hub_link *l, struct hub_error *why)
{
    struct hub_conn *c = l->session->conn;
    unsigned *count = l->peer_sends ? &c->cbs_senders : &c->cbs_receivers;

    if (*count > 0)
        return hub_error_set(why, "amqp:not-allowed", "A link to connection '%llu' $cbs node has already been opened.",
                             (unsigned long long)c->id);
    (*count)++;
    l->node = HUB_NODE_CBS;
    l->message_bytes_max = REQUEST_BYTES_MAX;
    return 0;
}

/* The claim is asked for first: who may not use a hub is not told whether it exists. */
static int admit_entity(struct hub_link *l, const struct hub_path *path, const char *address, struct hub_error *why)
{
    struct hub_broker *b = l->session->conn->broker;

    if (!may_use(l, address)) {
        unauthorized(l, why);
        return -EPROTO;
    }
    l->entity = hub_broker_find(b, path->hub);
    if (!l->entity || path->node == HUB_NODE_UNKNOWN || (path->node == HUB_NODE_RECEIVER) == l->peer_sends)
        return hub_error_set(why, "amqp:not-found", "The messaging entity 'sb://%.128s/%.256s' could not be found.", b->host, address);
    if (path->group[0] && !hub_entity_has_group(l->entity, path->group))
        return hub_error_set(why, "amqp:not-found",
                             "The consumer group '%s' of the messaging entity 'sb://%.128s/%.128s' could not be found.", path->group,
                             b->host, l->entity->name);
    snprintf(l->group, sizeof(l->group), "%s", path->group);
    if (!path->partition[0])
        return 0;
    l->partition = hub_entity_partition(l->entity, path->partition);
    if (!l->partition)
        return hub_error_set(why, "com.microsoft:argument-out-of-range",
                             "The specified partition '%.64s' is invalid for the Event Hub '%.128s'. It should be between 0 and %u.",
                             path->partition, l->entity->name, l->entity->partition_count - 1);
    return 0;
}

static int refuse_on_demand(const struct hub_link *l, struct hub_error *why)
{
    struct hub_broker *b = l->session->conn->broker;
    const struct hub_fault *f = hub_faults_request(&b->faults, HUB_FAULT_REFUSE_ATTACH, l->path, b->now_mono_ms);

    if (!f)
        return 0;
    *why = f->error;
    return -EPROTO;
}

static uint64_t message_bytes_max(const struct hub_link *l)
{
    const struct hub_fault *f = hub_broker_fault(l->session->conn->broker, HUB_FAULT_MESSAGE_SIZE);
    uint64_t ours = f ? f->bytes : l->session->conn->limits->message_bytes_max, theirs = l->peer_message_bytes_max;

    return theirs > 0 && theirs < ours ? theirs : ours;
}

static bool may_use(const struct hub_link *l, const char *path)
{
    return hub_claim_covers(l->session->conn, path, l->peer_sends ? HUB_RIGHT_SEND : HUB_RIGHT_LISTEN);
}

static void unauthorized(const struct hub_link *l, struct hub_error *e)
{
    hub_error_set(e, "amqp:unauthorized-access",
                  "Unauthorized access. '%s' claim(s) are required to perform this operation. Resource: 'sb://%.128s/%.256s'.",
                  l->peer_sends ? "Send" : "Listen", l->session->conn->broker->host, l->path);
}

/* Null termini are how AMQP says that a detach will follow. */
static void attach_answer(struct hub_link *l, const struct hub_fields *f, bool refused)
{
    struct hub_session *s = l->session;
    char tracking[64];
    struct hub_attach a = {.name = l->name, .handle = l->handle, .receiver = l->peer_sends, .tracking_id = tracking};

    snprintf(tracking, sizeof(tracking), "G%llu:%llu:%u", (unsigned long long)s->conn->id, (unsigned long long)s->id, l->handle);
    a.snd_settle_mode = (uint8_t)(l->peer_sends ? hub_field_uint(f, SND_MODE, 2) : l->settle_sent);
    a.rcv_settle_mode = (uint8_t)hub_field_uint(f, RCV_MODE, 0);
    if (!refused && hub_field_is_set(f, SOURCE))
        a.source = &f->at[SOURCE];
    if (!refused && hub_field_is_set(f, TARGET))
        a.target = &f->at[TARGET];
    a.message_bytes_max = l->message_bytes_max;
    if (!l->peer_sends)
        a.message_bytes_max = message_bytes_max(l);
    hub_put_attach(&s->conn->out, s->channel, &a);
}

/* At the beginning, and again whenever a third is used up: unless a fault holds it back, and then later. */
static void credit_top_up(struct hub_link *l)
{
    struct hub_broker *b = l->session->conn->broker;
    const struct hub_fault *stop = hub_broker_fault(b, HUB_FAULT_STOP_CREDIT);

    if (l->detaching || l->session->ending || l->credit > credit_max(l) * 2 / 3)
        return;
    if (stop && l->node == HUB_NODE_SENDER && hub_fault_is_of(stop, l->path))
        return;
    l->credit = credit_max(l);
    hub_outgoing_flow(l);
}

static uint32_t credit_max(const struct hub_link *l)
{
    const struct hub_fault *f = hub_broker_fault(l->session->conn->broker, HUB_FAULT_CREDIT);

    if (l->node != HUB_NODE_SENDER)
        return REQUEST_CREDIT;
    return f ? (uint32_t)f->count : l->session->conn->limits->credit;
}

static int delivery_begin(struct hub_link *l, const struct hub_fields *f, struct hub_error *why)
{
    struct hub_error e;

    if (!hub_field_is_set(f, 1))
        return hub_error_set(why, "amqp:invalid-field", "the first transfer of a delivery on handle %u has no delivery-id", l->handle);
    if (l->credit == 0) {
        hub_error_set(&e, "amqp:link:transfer-limit-exceeded", "A transfer came on a link without credit.");
        hub_link_fail(l, &e);
        return 0;
    }
    l->credit--;
    l->delivery_count++;
    l->in_delivery = true;
    l->delivery_settled = false;
    l->delivery_id = hub_field_uint(f, 1, 0);
    l->delivery_format = hub_field_uint(f, 3, 0);
    l->delivery_len = 0;
    if (l->node == HUB_NODE_SENDER)
        l->message_bytes_max = message_bytes_max(l);
    return 0;
}

/* What is too long is counted, not kept. */
static int delivery_add(struct hub_link *l, struct hub_in payload, struct hub_error *why)
{
    struct hub_conn *c = l->session->conn;
    size_t cap = l->partial.cap;

    if (cap == 0) {
        l->partial = c->spare;
        c->spare = (struct hub_buf){0};
    }
    l->delivery_len += hub_in_left(&payload);
    if (l->delivery_len <= l->message_bytes_max)
        hub_buf_put(&l->partial, payload.at, hub_in_left(&payload));
    c->partial_bytes += l->partial.cap - cap;
    if (c->partial_bytes > HUB_PARTIAL_BYTES_MAX)
        return hub_error_set(why, "amqp:resource-limit-exceeded",
                             "half-received deliveries of %zu bytes exceed the connection's limit of %d bytes", c->partial_bytes,
                             HUB_PARTIAL_BYTES_MAX);
    return 0;
}

/* Memory goes with what is on its way, not with the number of links; one buffer is kept, so that one busy link allocates nothing. */
static void partial_return(struct hub_link *l)
{
    struct hub_conn *c = l->session->conn;

    c->partial_bytes -= l->partial.cap;
    hub_buf_take(&l->partial, hub_buf_used(&l->partial));
    if (c->spare.cap == 0) {
        c->spare = l->partial;
        l->partial = (struct hub_buf){0};
    }
    hub_buf_free(&l->partial);
}

static enum hub_after delivery_end(struct hub_link *l, struct hub_in payload)
{
    struct hub_error ignored;
    enum hub_after after;

    if (hub_buf_used(&l->partial) == 0 && l->delivery_len == 0) {
        l->delivery_len = hub_in_left(&payload);
        after = dispatch(l, payload.at, hub_in_left(&payload));
    } else {
        delivery_add(l, payload, &ignored);
        after = dispatch(l, l->partial.data, l->partial.len);
    }
    partial_return(l);
    l->in_delivery = false;
    return after;
}

static enum hub_after dispatch(struct hub_link *l, const uint8_t *bytes, size_t len)
{
    if (l->delivery_len > l->message_bytes_max)
        bytes = NULL;
    if (l->node == HUB_NODE_SENDER)
        return hub_sender_deliver(l, bytes, len);
    if (bytes)
        hub_request_answer(l, bytes, len);
    if (!l->delivery_settled)
        hub_settle_accept(l->session, l->delivery_id);
    return HUB_AFTER_GO_ON;
}
