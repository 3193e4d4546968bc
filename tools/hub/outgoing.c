/* Deliveries to the peer: one encoded message on its way through credit, session window and frame size. */
#include "outgoing.h"

bool hub_outgoing_ready(const struct hub_link *l)
{
    const struct hub_session *s = l->session;

    if (l->detaching || s->ending || s->conn->state != HUB_CONN_OPEN)
        return false;
    return l->credit > 0 && hub_buf_used(&l->sending) == 0 && s->remote_window > 0 && hub_buf_used(&s->conn->out) < HUB_OUT_BYTES_PUMP;
}

void hub_outgoing_start(struct hub_link *l)
{
    l->credit--;
    l->delivery_count++;
    l->delivery_id = l->session->next_delivery_id++;
    l->next_tag++;
    hub_outgoing_continue(l);
}

void hub_outgoing_continue(struct hub_link *l)
{
    struct hub_session *s = l->session;
    size_t room = s->conn->peer_frame_bytes_max - HUB_TRANSFER_HEAD_MAX;

    if (l->detaching || s->ending)
        return;
    while (hub_buf_used(&l->sending) > 0 && s->remote_window > 0) {
        size_t left = hub_buf_used(&l->sending), len = left < room ? left : room;
        struct hub_transfer t = {
            .handle = l->handle, .delivery_id = l->delivery_id, .tag = l->next_tag, .settled = l->settle_sent, .more = len < left};
        hub_put_transfer(&s->conn->out, s->channel, &t, l->sending.data + l->sending.head, len);
        hub_buf_take(&l->sending, len);
        s->remote_window--;
        s->next_outgoing_id++;
    }
}

void hub_outgoing_flow(struct hub_link *l)
{
    struct hub_session *s = l->session;
    struct hub_flow f = {.next_incoming_id = s->next_incoming_id,
                         .incoming_window = s->incoming_window,
                         .next_outgoing_id = s->next_outgoing_id,
                         .outgoing_window = HUB_WINDOW,
                         .has_link = true,
                         .handle = l->handle,
                         .delivery_count = l->delivery_count,
                         .link_credit = l->credit,
                         .drain = l->drain};

    if (!s->ending && s->conn->state == HUB_CONN_OPEN)
        hub_put_flow(&s->conn->out, s->channel, &f);
}

void hub_outgoing_drain(struct hub_link *l)
{
    if (!l->drain || l->credit == 0 || hub_buf_used(&l->sending) > 0)
        return;
    l->delivery_count += l->credit;
    l->credit = 0;
    hub_outgoing_flow(l);
}
