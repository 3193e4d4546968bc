/* What the files of the connection share: conn.c (engine, bytes, timers), conn_link.c (links and sends), conn_run.c (runs of sends),
 * conn_event.c (what happened). Private to them.
 *
 * The queue of events holds nodes that live in what they tell of: four in each link, four in the connection, two in each run, one in each
 * unsettled delivery. Each is queued at most once at a time, so the queue is bounded by links and unsettled deliveries; both are the
 * caller's doing, never the peer's. */
#ifndef EHRING_CONN_INTERNAL_H
#define EHRING_CONN_INTERNAL_H

#include "conn.h"
#include "format.h"
#include "request.h"
#include "trace_log.h"

#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/session.h>

#define CONN_SESSIONS_MAX 16u
#define CONN_SESSION_LINKS_MAX 255u /* Event Hubs' handle-max, which proton does not tell */
#define CONN_REQUEST_LINKS 4u       /* of both requests, in the first session */
#define CONN_DELIVERIES_CHUNK 64u

struct event_node {
    struct event_node *next;
    enum conn_event_kind kind;
    bool is_queued;
    bool is_of_run;
};

struct link;
struct delivery { /* an unsettled delivery of ours; the context of its pn_delivery_t */
    struct event_node settled;
    struct delivery *next_free;
    struct link *link;
    pn_delivery_t *pn; /* NULL once settled */
    uint64_t tag;
    enum conn_outcome outcome;
    bool is_failed, is_undeliverable_here;
    struct request_text *text; /* NULL: no error came */
    bool is_of_run;
    uint32_t run_index;
};

/* A link's run. Which of it are accepted is kept by index: dispositions come in any order. */
struct run {
    bool is_active; /* until CONN_SETTLED was fetched */
    bool is_handed; /* no more of it is going to be begun */
    uint64_t tag;
    const uint8_t *data; /* of the delivery to begin next */
    const uint32_t *lens;
    uint32_t count, begun_count, judged_count;
    uint32_t accepted_count, told_count; /* the first ones, without a gap; as CONN_PROGRESS has it */
    uint32_t refused_index;              /* UINT32_MAX: none was refused */
    enum conn_outcome outcome;
    bool is_failed, is_undeliverable_here;
    struct request_text text;
    struct event_node progress, settled;
    struct link *link;
    uint32_t cap;
    bool accepted[]; /* cap */
};

enum link_state { LINK_OPENING, LINK_READY, LINK_ENDED };
struct link {
    enum link_owner owner; /* OWNER_SENDER; first, see request.h */
    int number;
    struct conn *conn;
    pn_link_t *pn; /* NULL once ended */
    uint32_t session;
    enum link_state state;
    bool is_refused;     /* ended without the peer ever having given a target */
    bool is_closing;     /* conn_link_close was called: only its end is told */
    bool is_credit_told; /* CONN_LINK_CREDIT was queued and the credit is not used up since */
    struct event_node ready, credit, sent, ended;
    struct request_text *end_text;
    /* the send under way; `sending` NULL: none */
    struct delivery *sending;
    struct link *next_sending;
    const uint8_t *data;
    size_t data_len;
    size_t handed_len;
    size_t turn_len; /* of it, since the link's turn began */
    uint64_t sent_tag;
    struct run *run; /* NULL: it never had one */
};

struct conn {
    pn_connection_driver_t driver;
    struct format_filter filter;
    size_t out_passed; /* bytes at the front of proton's output that may go out */
    size_t out_taken;  /* of them, those already taken by the caller */
    int64_t now_ms;    /* of the last conn_tick */
    bool is_open;      /* the peer's open has come */
    bool is_over;      /* CONN_CLOSED was queued */
    bool is_broken;    /* the engine takes no more bytes */
    struct event_node opened, token, hub, closed;
    enum outcome_place end_place;
    struct request_text end_text;
    struct event_node *event_head, *event_tail;
    struct {
        pn_session_t *pn;
        uint32_t link_count; /* those of requests included */
    } session[CONN_SESSIONS_MAX];
    uint32_t session_count;
    struct request cbs, management;
    struct link **link; /* by number, NULL: free */
    uint32_t link_cap;
    uint64_t link_names;                      /* names given so far */
    struct link *sending_head, *sending_tail; /* links with bytes to hand over, in turn */
    uint32_t next_tag;
    struct delivery *free_delivery;
    struct delivery_chunk *chunk;
    bool is_broker;
    char container_id[128];
    struct trace *trace; /* NULL: its frames are not traced */
    char trace_name[160];
    char sasl_user[256]; /* empty: ANONYMOUS */
};

/* ---- conn.c ---- */
/* Queues CONN_CLOSED once. `condition` may be NULL. */
void conn_end(struct conn *conn, enum outcome_place place, pn_condition_t *condition);

/* ---- conn_event.c ---- */
void event_queue(struct conn *conn, struct event_node *node, enum conn_event_kind kind);
/* Takes all proton has to say and turns it into queued events and states. */
void engine_drain(struct conn *conn);

/* ---- conn_link.c ---- */
/* Hands proton the next pieces, one per link in turn, at most CONN_PIECE_BYTES and a bit in all. false: nothing to hand over. */
bool links_feed(struct conn *conn);
void link_changed(struct link *link);          /* attach or flow */
void link_peer_ended(struct link *link);       /* refused, detached or closed by the peer, or our close answered */
void link_delivery_changed(pn_delivery_t *pn); /* a disposition */
void link_forget(struct link *link);           /* CONN_LINK_ENDED was fetched: the number is free */
struct link *link_get(const struct conn *conn, int number);
/* Begins a delivery, which is the link's `sending` from now on. 0 or -ENOMEM. */
int link_begin(struct link *link, uint64_t tag, enum conn_format format, const uint8_t *data, size_t len);
void delivery_free(struct conn *conn, struct delivery *delivery);
void links_free(struct conn *conn);

/* ---- conn_run.c ---- */
bool run_is_active(const struct link *link);
int run_begin(struct link *link, uint64_t tag, const uint8_t *data, const uint32_t *lens, uint32_t count); /* 0 or -ENOMEM */
/* Nothing of the link's is being handed over and credit may have come: begins the run's next delivery, if there is one. */
void run_go_on(struct link *link);
/* A delivery of the run has its outcome, which is the caller's still. */
void run_judge(struct run *run, const struct delivery *delivery);
void run_stop(struct link *link); /* nothing more of it is begun; what is told of it is still told */
void run_drop(struct link *link); /* what is not judged by now will not be: nothing more is told of it */

#endif
