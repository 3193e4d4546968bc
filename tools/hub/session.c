/* Sessions: begin and end, windows, and which link a frame is for. */
#include "session.h"

#include "detach.h"
#include "link.h"
#include "settle.h"

#include <errno.h>
#include <stdlib.h>

static int flow(struct hub_session *s, const struct hub_fields *f, struct hub_error *why);
static int transfer(struct hub_session *s, const struct hub_fields *f, struct hub_in payload, enum hub_after *after, struct hub_error *why);
static void disposition(struct hub_session *s, const struct hub_fields *f);
static int detach(struct hub_session *s, const struct hub_fields *f, struct hub_error *why);
static void end(struct hub_session *s);
static struct hub_link *link_of(struct hub_session *s, uint32_t handle);
static int unattached(struct hub_error *why, uint32_t handle);
static void flow_send(struct hub_session *s);

int hub_session_begin(struct hub_conn *c, uint16_t channel, const struct hub_fields *f, struct hub_error *why)
{
    if (channel > HUB_CHANNEL_MAX)
        return hub_error_set(why, "amqp:connection:framing-error", "channel %u exceeds the connection's limit %d", channel,
                             HUB_CHANNEL_MAX);
    if (c->sessions[channel])
        return hub_error_set(why, "amqp:illegal-state", "channel %u has a session already", channel);
    if (hub_field_is_set(f, 0))
        return hub_error_set(why, "amqp:invalid-field", "a begin with remote-channel answers none of ours");
    struct hub_session *s = hub_alloc(1, sizeof(*s));
    s->conn = c;
    s->channel = channel;
    s->id = ++c->next_session_id;
    s->next_incoming_id = hub_field_uint(f, 1, 0);
    s->incoming_window = HUB_WINDOW;
    s->next_outgoing_id = 1;
    s->remote_window = hub_field_uint(f, 2, 0);
    c->sessions[channel] = s;
    hub_put_begin(&c->out, channel, HUB_WINDOW, HUB_HANDLE_MAX);
    return 0;
}

int hub_session_frame(struct hub_session *s, uint64_t code, const struct hub_fields *f, struct hub_in payload, enum hub_after *after,
                      struct hub_error *why)
{
    if (s->ending && code != HUB_END)
        return 0;
    switch (code) {
    case HUB_ATTACH:
        return hub_link_attach(s, f, why);
    case HUB_FLOW:
        return flow(s, f, why);
    case HUB_TRANSFER:
        return transfer(s, f, payload, after, why);
    case HUB_DISPOSITION:
        disposition(s, f);
        return 0;
    case HUB_DETACH:
        return detach(s, f, why);
    case HUB_END:
        end(s);
        return 0;
    default:
        return hub_error_set(why, "amqp:not-implemented", "performative 0x%llx is not one of a session", (unsigned long long)code);
    }
}

void hub_session_fail(struct hub_session *s, const struct hub_error *error)
{
    if (s->ending || s->conn->state != HUB_CONN_OPEN)
        return;
    hub_settle_flush(s->conn);
    hub_put_end(&s->conn->out, s->channel, error);
    s->ending = true;
}

void hub_session_pump(struct hub_session *s)
{
    for (unsigned i = 0; i <= HUB_HANDLE_MAX; i++) {
        if (s->links[i])
            hub_link_pump(s->links[i]);
    }
}

void hub_session_free(struct hub_session *s)
{
    for (unsigned i = 0; i <= HUB_HANDLE_MAX; i++) {
        if (s->links[i])
            hub_link_free(s->links[i]);
    }
    s->conn->sessions[s->channel] = NULL;
    free(s);
}

static int flow(struct hub_session *s, const struct hub_fields *f, struct hub_error *why)
{
    uint32_t next_id = hub_field_uint(f, 0, 1), window = hub_field_uint(f, 1, 0);
    uint32_t left = next_id + window - s->next_outgoing_id;

    s->remote_window = left > INT32_MAX ? 0 : left;
    if (hub_field_is_set(f, 4)) {
        uint32_t handle = hub_field_uint(f, 4, UINT32_MAX);
        struct hub_link *l = link_of(s, handle);
        if (!l)
            return unattached(why, handle);
        hub_link_flow(l, f);
    } else if (hub_field_bool(f, 9, false)) {
        flow_send(s);
    }
    hub_session_pump(s);
    return 0;
}

static int transfer(struct hub_session *s, const struct hub_fields *f, struct hub_in payload, enum hub_after *after, struct hub_error *why)
{
    uint32_t handle = hub_field_uint(f, 0, UINT32_MAX);
    struct hub_link *l = link_of(s, handle);

    if (!l)
        return unattached(why, handle);
    if (s->incoming_window == 0)
        return hub_error_set(why, "amqp:session:window-violation", "a transfer came on channel %u whose window is used up", s->channel);
    s->next_incoming_id++;
    s->incoming_window--;
    if (hub_link_transfer(l, f, payload, after, why) < 0)
        return -EPROTO;
    if (s->incoming_window <= HUB_WINDOW / 2) {
        s->incoming_window = HUB_WINDOW;
        flow_send(s);
    }
    return 0;
}

/* Events are read by position, so outcomes of receivers change nothing; one that is not settled wants to hear that it is. */
static void disposition(struct hub_session *s, const struct hub_fields *f)
{
    uint32_t first = hub_field_uint(f, 1, 0);
    struct hub_disposition d = {.first = first, .last = hub_field_uint(f, 2, first), .outcome = HUB_OUTCOME_ACCEPTED};

    if (hub_field_bool(f, 0, false) && !hub_field_bool(f, 3, false))
        hub_put_disposition(&s->conn->out, s->channel, &d);
}

static int detach(struct hub_session *s, const struct hub_fields *f, struct hub_error *why)
{
    uint32_t handle = hub_field_uint(f, 0, UINT32_MAX);
    struct hub_link *l = link_of(s, handle);

    if (!l)
        return unattached(why, handle);
    hub_settle_flush(s->conn);
    hub_link_detach(l, f);
    return 0;
}

static void end(struct hub_session *s)
{
    hub_settle_flush(s->conn);
    if (!s->ending)
        hub_put_end(&s->conn->out, s->channel, NULL);
    hub_session_free(s);
}

static struct hub_link *link_of(struct hub_session *s, uint32_t handle)
{
    return handle <= HUB_HANDLE_MAX ? s->links[handle] : NULL;
}

static int unattached(struct hub_error *why, uint32_t handle)
{
    return hub_error_set(why, "amqp:session:unattached-handle", "handle %u is not attached", handle);
}

static void flow_send(struct hub_session *s)
{
    struct hub_flow f = {.next_incoming_id = s->next_incoming_id,
                         .incoming_window = s->incoming_window,
                         .next_outgoing_id = s->next_outgoing_id,
                         .outgoing_window = HUB_WINDOW};

    if (!s->ending && s->conn->state == HUB_CONN_OPEN)
        hub_put_flow(&s->conn->out, s->channel, &f);
}
