/* Dispositions of what the peer sent: accepted deliveries are told in ranges, on demand later. */
#include "settle.h"

#include <string.h>

/* In front of each frame in conn->delayed. The delay may change while it waits, so it is not part of it. */
struct delayed {
    int64_t put_ms;
    uint64_t session_id;
    uint32_t len;
    uint16_t channel;
};

static int64_t delay_ms(const struct hub_conn *c);
static void accepted_put(struct hub_session *s);
static void put(struct hub_session *s, const struct hub_disposition *d);
static void put_delayed(struct hub_session *s, const struct hub_disposition *d);

void hub_settle_accept(struct hub_session *s, uint32_t delivery_id)
{
    if (s->has_accepted && delivery_id == s->accepted_last + 1) {
        s->accepted_last = delivery_id;
        return;
    }
    accepted_put(s);
    s->has_accepted = true;
    s->accepted_first = s->accepted_last = delivery_id;
}

void hub_settle(struct hub_session *s, const struct hub_disposition *d)
{
    accepted_put(s);
    put(s, d);
}

void hub_settle_flush(struct hub_conn *c)
{
    for (unsigned i = 0; i <= HUB_CHANNEL_MAX; i++) {
        if (c->sessions[i])
            accepted_put(c->sessions[i]);
    }
}

void hub_settle_due(struct hub_conn *c)
{
    struct delayed d;

    while (hub_buf_used(&c->delayed) > 0) {
        memcpy(&d, c->delayed.data + c->delayed.head, sizeof(d));
        if (d.put_ms + delay_ms(c) > c->broker->now_mono_ms)
            return;
        struct hub_session *s = c->sessions[d.channel];
        if (s && s->id == d.session_id && !s->ending)
            hub_buf_put(&c->out, c->delayed.data + c->delayed.head + sizeof(d), d.len);
        hub_buf_take(&c->delayed, sizeof(d) + d.len);
    }
}

int64_t hub_settle_next_ms(const struct hub_conn *c)
{
    struct delayed d;

    if (hub_buf_used(&c->delayed) == 0)
        return INT64_MAX;
    memcpy(&d, c->delayed.data + c->delayed.head, sizeof(d));
    return d.put_ms + delay_ms(c);
}

static int64_t delay_ms(const struct hub_conn *c)
{
    const struct hub_fault *f = hub_broker_fault(c->broker, HUB_FAULT_LATE);

    return f ? f->time_ms : c->limits->disposition_delay_ms;
}

static void accepted_put(struct hub_session *s)
{
    if (!s->has_accepted)
        return;
    s->has_accepted = false;
    put(s,
        &(struct hub_disposition){.receiver = true, .first = s->accepted_first, .last = s->accepted_last, .outcome = HUB_OUTCOME_ACCEPTED});
}

static void put(struct hub_session *s, const struct hub_disposition *d)
{
    if (s->ending)
        return;
    if (delay_ms(s->conn) > 0 || hub_buf_used(&s->conn->delayed) > 0)
        put_delayed(s, d);
    else
        hub_put_disposition(&s->conn->out, s->channel, d);
}

static void put_delayed(struct hub_session *s, const struct hub_disposition *d)
{
    struct hub_buf *b = &s->conn->delayed;
    struct delayed head = {.put_ms = s->conn->broker->now_mono_ms, .session_id = s->id, .channel = s->channel};

    hub_buf_pack(b);
    size_t place = b->len;
    hub_buf_put(b, &head, sizeof(head));
    hub_put_disposition(b, s->channel, d);
    head.len = (uint32_t)(b->len - place - sizeof(head));
    memcpy(b->data + place, &head, sizeof(head));
}
