/* The end of a link, from our side or theirs: takes it out of every list it is in. */
#include "detach.h"

#include <stdlib.h>

static void unlist(struct hub_link *l);
static void partial_drop(struct hub_link *l);

void hub_link_fail(struct hub_link *l, const struct hub_error *error)
{
    struct hub_session *s = l->session;

    if (l->detaching || s->ending)
        return;
    if (s->conn->state == HUB_CONN_OPEN)
        hub_put_detach(&s->conn->out, s->channel, l->handle, true, error);
    l->detaching = true;
    s->conn->broker->links_detached++;
    unlist(l);
    partial_drop(l);
}

void hub_link_free(struct hub_link *l)
{
    struct hub_conn *c = l->session->conn;

    unlist(l);
    partial_drop(l);
    if (l->node == HUB_NODE_CBS && l->peer_sends)
        c->cbs_senders--;
    else if (l->node == HUB_NODE_CBS)
        c->cbs_receivers--;
    hub_buf_free(&l->sending);
    hub_buf_free(&l->replies);
    l->session->links[l->handle] = NULL;
    c->link_count--;
    free(l);
}

static void unlist(struct hub_link *l)
{
    if (l->node != HUB_NODE_RECEIVER || !l->partition)
        return;
    for (struct hub_link **at = &l->partition->receivers; *at; at = &(*at)->next_receiver) {
        if (*at == l) {
            *at = l->next_receiver;
            return;
        }
    }
}

static void partial_drop(struct hub_link *l)
{
    l->session->conn->partial_bytes -= l->partial.cap;
    hub_buf_free(&l->partial);
    l->in_delivery = false;
}
