/* One AMQP 1.0 connection: the proton engine, its session(s), sender links, credit, CBS and management requests. Bytes in, bytes out; does
 * no I/O. Used by one thread. No callbacks: what happened is fetched with conn_next_event. */
#ifndef EHRING_CONN_H
#define EHRING_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outcome.h"

#define CONN_MAX_FRAME 65536u
#define CONN_PIECE_BYTES (CONN_MAX_FRAME - 512u)     /* handed to proton at once, per link and turn */
#define CONN_TURN_BYTES (4u * CONN_PIECE_BYTES)      /* a link's turn: batches that are all half-sent would all be answered late */
#define CONN_PENDING_BYTES_MAX (4u * CONN_MAX_FRAME) /* a session whose peer's window is closed is handed no more than this */

struct conn;

struct conn_options {
    const char *container_id; /* unique per connection */
    const char *hostname;     /* the namespace's name: `open.hostname` */
    uint32_t idle_timeout_ms; /* ours; 0: 60,000 */
    const char *product;      /* `open` properties: product and version; platform and user-agent are made of uname */
    const char *version;
    const char *trace_name; /* key=value pairs, at the front of each line of the trace if the log wants one; NULL: no trace */
    const char *sasl_user;  /* NULL: SASL ANONYMOUS, else PLAIN; proton holds a copy of the password until it was sent */
    const char *sasl_password;
    bool is_broker; /* any: it is open when its session is, as RabbitMQ judges a user only then; links ask for targets that outlive them,
                       so that a broker that makes a queue for a link makes it durable */
};

/* SASL, open and begin are sent by themselves. A peer that refuses the user: CONN_CLOSED with amqp:unauthorized-access and a description
 * that begins with "SASL". Strings are copied. 0 or -ENOMEM. */
int conn_open(const struct conn_options *options, struct conn **out);
/* What the peer said of itself in its open. */
struct conn_peer {
    char container_id[128];
    uint32_t idle_timeout_ms; /* 0: none */
    uint32_t frame_bytes_max;
};
void conn_peer(const struct conn *conn, struct conn_peer *peer); /* all zero before CONN_OPENED */
void conn_free(struct conn *conn); /* at once, NULL is fine; buffers of unfinished sends are no longer looked at */

/* ---- bytes ---- */
/* Plain bytes from the peer; takes them all (feeds proton as often as needed). 0, or negative errno once the engine is broken (a
 * CONN_CLOSED event follows). */
int conn_input(struct conn *conn, const uint8_t *data, size_t len);
void conn_input_end(struct conn *conn); /* the transport ended */
/* Plain bytes for the peer (after the message-format filter): count and *data, valid until conn_output_done. Hands pieces of the sends
 * under way to proton, in turn over the links, while it holds little. 0: nothing now. */
size_t conn_output(struct conn *conn, const uint8_t **data);
void conn_output_done(struct conn *conn, size_t len);
/* Timers of the AMQP idle time-outs and of pending requests. Returns the time in ms at which to call again (same clock, CLOCK_MONOTONIC
 * ms). */
int64_t conn_tick(struct conn *conn, int64_t now_ms);

/* ---- requests ---- */
/* put-token on $cbs (links are opened on first use). Answer: CONN_TOKEN. `type`: servicebus.windows.net:sastoken or jwt. One request per
 * node at a time: -EBUSY until its answer was fetched. Time-out 60 s, counted by conn_tick. Strings are copied; our copy is wiped, proton's
 * is out of reach. 0, -EBUSY, -ENOTCONN, -E2BIG. */
int conn_put_token(struct conn *conn, const char *type, const char *audience, const char *token, int64_t expires_s);
/* READ of the hub on $management. Answer: CONN_HUB. */
int conn_read_hub(struct conn *conn, const char *hub, const char *token);

/* ---- links ---- */
/* Attaches a sender (unsettled, first) to `address`. A link number >= 0 or -EMFILE (there are conn_link_count_max already; more sessions
 * are opened by themselves). Answer: CONN_LINK_READY or CONN_LINK_ENDED. */
int conn_link_open(struct conn *conn, const char *address);
/* Detach(closed); CONN_LINK_ENDED follows when the peer has answered (or has detached meanwhile). No settlement of its sends comes
 * afterwards: fetch them first. A send under way is aborted, other links are not touched. */
void conn_link_close(struct conn *conn, int link);
/* How many links there can be, from the peer's channel-max on: 0 before CONN_OPENED. */
uint32_t conn_link_count_max(const struct conn *conn);
uint32_t conn_link_credit(const struct conn *conn, int link);            /* deliveries that may be begun now */
uint64_t conn_link_message_bytes_max(const struct conn *conn, int link); /* the peer's max-message-size, 0: none told */

enum conn_format { CONN_FORMAT_SINGLE, CONN_FORMAT_BATCH }; /* message-format 0 and 0x80013700 */

/* Begins one delivery. One under way (CONN_SENT not fetched) per link: -EBUSY; -EAGAIN without credit; -ENOTCONN. `data` stays the caller's
 * and must live and not change until CONN_SENT or the link's end. `tag` comes back in CONN_SENT and CONN_SETTLED. */
int conn_send(struct conn *conn, int link, uint64_t tag, enum conn_format format, const uint8_t *data, size_t len);
/* Begins a run: `count` (> 0) deliveries of format 0 that lie behind each other in `data`, `lens[i]` bytes each, begun one after the other
 * as credit allows; the first one that is not accepted ends it, those that are not begun by then are not sent. One run of a link at a time:
 * -EBUSY until its CONN_SETTLED was fetched; -ENOTCONN, -ENOMEM. No credit is needed to begin. `data` and `lens` stay the caller's and must
 * live and not change until CONN_SENT or the link's end. CONN_PROGRESS tells from time to time how many are accepted; one CONN_SENT comes
 * when no more of it is going to be handed over, one CONN_SETTLED behind it when all that were begun are judged. */
int conn_send_run(struct conn *conn, int link, uint64_t tag, const uint8_t *data, const uint32_t *lens, uint32_t count);
/* Whether delivery `index` of the link's last run was accepted; until another one is begun or the link's end was fetched. */
bool conn_run_was_accepted(const struct conn *conn, int link, uint32_t index);
/* Gives up a delivery of which not all is handed over (AMQP aborted): its buffer is free afterwards, no settlement comes. Not for runs. */
void conn_send_abort(struct conn *conn, int link);

/* Sends close; CONN_CLOSED comes when the peer has answered (or the transport ended). */
void conn_close(struct conn *conn);

/* ---- what happened ---- */
enum conn_event_kind {
    CONN_OPENED, /* the peer's open has come; of a broker, its begin */
    CONN_TOKEN,  /* status 200..299: accepted; else refused: condition, description. Status 0: no answer came (time-out, link refused) */
    CONN_HUB,    /* status as above; partition_count; ids are "0".."n-1" (`ids_plain`) or not */
    CONN_LINK_READY,  /* attached with a target */
    CONN_LINK_CREDIT, /* credit came where there was none */
    CONN_SENT,        /* the last piece of `tag` is with proton: the buffer is the caller's again */
    CONN_PROGRESS,    /* of the run `tag` the first accepted_count are accepted, more than were told before */
    CONN_SETTLED,     /* `outcome` of `tag`; of a run: of its first delivery that is not accepted, or CONN_ACCEPTED */
    CONN_LINK_ENDED,  /* refused, detached or closed; all its unsettled sends have an unknown outcome */
    CONN_CLOSED, /* the connection is over: condition, description (empty: closed by us or transport end). No CONN_LINK_ENDED needs to have
                    come before */
};
enum conn_outcome { CONN_ACCEPTED, CONN_REJECTED, CONN_RELEASED, CONN_MODIFIED };
struct conn_event {
    enum conn_event_kind kind;
    int link;
    enum conn_outcome outcome;
    /* where the condition was met: CONN_TOKEN, CONN_HUB, CONN_SETTLED; CONN_LINK_ENDED (ATTACH: refused, it never had a target, else
     * DETACH); CONN_CLOSED (END: the peer ended a session, which takes the connection with it, else CLOSE) */
    enum outcome_place place;
    int status;
    bool ids_plain;
    bool delivery_failed;    /* CONN_MODIFIED */
    bool undeliverable_here; /* CONN_MODIFIED */
    uint32_t partition_count;
    uint32_t accepted_count; /* of a run: of its first deliveries, without a gap */
    uint32_t begun_count;    /* of a run that is settled: those behind were not sent */
    uint64_t tag;
    uint64_t message_bytes_max;
    char condition[64];    /* AMQP symbol, empty if none */
    char description[512]; /* the peer's text, cut, control bytes replaced */
};
/* Takes the oldest event. false: none. */
bool conn_next_event(struct conn *conn, struct conn_event *event);

#endif
