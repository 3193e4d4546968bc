/* Requests on `$cbs` and `$management`: one node with its pair of links, one request under way, one answer, a time-out. Does no I/O.
 * Belongs to conn, which tells it what the engine says about its links. Used by one thread. */
#ifndef EHRING_REQUEST_H
#define EHRING_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <proton/link.h>
#include <proton/session.h>

#define REQUEST_TIMEOUT_MS 60000
#define REQUEST_REPLY_BYTES_MAX (128u << 10) /* a longer reply ends the node's links */
#define REQUEST_PARTITIONS_MAX 4096u

/* What a link's proton context points to: who is told what happens on it. */
enum link_owner { OWNER_SENDER, OWNER_REQUEST };

struct request_text { /* a peer's error */
    char condition[64];
    char description[512];
};

enum request_state {
    REQUEST_CLOSED,  /* no links */
    REQUEST_OPENING, /* attaching; a message may be waiting */
    REQUEST_READY,   /* both links stand */
};
struct request {
    enum link_owner owner; /* OWNER_REQUEST; first, see above */
    const char *node;      /* $cbs or $management: literals */
    const char *reply_to;
    enum request_state state;
    pn_link_t *sender;
    pn_link_t *receiver;
    uint64_t next_id;
    uint64_t tag;
    uint8_t *message; /* encoded, waits for the links; wiped when handed over */
    size_t message_len;
    bool is_pending;     /* from request_begin to the answer */
    int64_t deadline_ms; /* 0: not set yet */
    /* the answer, valid from the call that returned true until the next request_begin */
    int status; /* 0: none came */
    struct request_text text;
    uint32_t partition_count;
    bool ids_plain;
};

/* One string field of a request's application properties. */
struct request_field {
    const char *name;
    const char *text; /* NULL: `timestamp_ms` is the value */
    int64_t timestamp_ms;
};
#define REQUEST_FIELDS_MAX 8

void request_init(struct request *request, const char *node, const char *reply_to);
/* Wipes and forgets a waiting message. The links are the session's to free. */
void request_free(struct request *request);

/* Begins a request with the given application properties and, if not NULL, a string as body. Attaches the links on `session` if there are
 * none. `now_ms` 0: unknown. 0, -EBUSY: one is under way, -E2BIG, -ENOMEM. */
int request_begin(struct request *request, pn_session_t *session, const struct request_field *fields, size_t field_count, const char *body,
                  int64_t now_ms);

/* Something happened to one of the links (attach, flow). Sends what waits when it can. */
void request_link_changed(struct request *request);
/* A link was refused, detached or closed: both are given up. true: a request was under way; it is answered (status 0, the peer's text). */
bool request_link_ended(struct request *request, pn_link_t *link);
/* A delivery of one of the links changed. true: the answer is there. */
bool request_delivery(struct request *request, pn_delivery_t *delivery);
/* true: the time is up; answered with status 0 and `com.microsoft:timeout`. */
bool request_tick(struct request *request, int64_t now_ms);

/* ---- the messages (request_message.c) ---- */
/* Encodes into a buffer of its own, to be wiped and freed by the caller. Length, or -E2BIG / -ENOMEM. */
int64_t request_encode(uint64_t id, const char *reply_to, const struct request_field *fields, size_t field_count, const char *body,
                       uint8_t **out);
/* Reads a reply into the request's answer. false: not an answer to `id` (another correlation-id, or no message at all). */
bool request_decode(struct request *request, uint64_t id, const char *bytes, size_t len);

/* The peer's error into `text`, cut, control bytes replaced. Empty if the condition is NULL or not set. */
void request_text_set(struct request_text *text, pn_condition_t *condition);
void request_text_clean(char *to, size_t cap, const char *from, size_t len);

#endif
