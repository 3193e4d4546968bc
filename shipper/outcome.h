/* What the service says against us, as one table: condition, place and text to what is to be done. Pure. */
#ifndef EHRING_OUTCOME_H
#define EHRING_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome_place { /* where a condition was met */
                     OUTCOME_DISPOSITION,
                     OUTCOME_ATTACH, /* refused: attach without a target, then detach */
                     OUTCOME_DETACH,
                     OUTCOME_END,
                     OUTCOME_CLOSE, /* also a transport that ended without one */
                     OUTCOME_CBS,
                     OUTCOME_MANAGEMENT,
};
#define OUTCOME_PLACE_COUNT 7
#define OUTCOME_IN(place) (1u << (place))

/* What to do about the batch, the link, the connection or the request that met it. After all but RESEND and SPLIT in a disposition, what
 * the peer has ended is made again: a link that was detached with THROTTLE is attached again after the wait. */
enum outcome_action {
    OUTCOME_RESEND,      /* the same again after the backoff: the batch from the ring; in a reply, the request */
    OUTCOME_REOPEN_LINK, /* a new link, then again */
    OUTCOME_RECONNECT,   /* a new connection, then again */
    OUTCOME_RENEW_TOKEN, /* a new token, then again; if that was done already, see outcome_after_new_token */
    OUTCOME_THROTTLE,    /* again after wait_ms, at a slower pace; never a failure */
    OUTCOME_SPLIT,       /* refused for its size or content: bisect the batch. Only in a disposition */
    OUTCOME_HOLD,        /* permanent for this configuration: again only at the longest backoff, and the remedy is told */
};
#define OUTCOME_ACTION_COUNT 7

struct outcome {
    enum outcome_action action;
    int64_t wait_ms;        /* at least this long; 0: the backoff decides */
    bool normal;            /* daily life of the service: told as info, the first retry at once, later ones in a row by the backoff */
    bool counts_as_failure; /* for the circuit; never with `normal` or THROTTLE */
    bool maybe_delivered;   /* what was on its way and is not judged otherwise may be stored: a resend may be a duplicate */
    bool refused;           /* the service judged the events: counts towards max_retries. Only in a disposition */
    const char *remedy;     /* a sentence for the operator, or NULL; never NULL with HOLD and RENEW_TOKEN */
};

/* `condition` of outcomes that carry none: the names of their AMQP types. */
#define OUTCOME_RELEASED "amqp:released:list"
#define OUTCOME_MODIFIED "amqp:modified:list"
#define OUTCOME_UNDELIVERABLE_HERE "amqp:modified:list:undeliverable-here"

/* What to do. `status`: the reply's status-code for CBS and MANAGEMENT (not 200..299; 0: no reply came), else not looked at.
 * `condition` and `description` may be NULL or empty: none was given (a reject without error, a lost transport). */
struct outcome outcome_of(enum outcome_place place, int status, const char *condition, const char *description);

/* The same of any other AMQP 1.0 broker, which is asked neither for tokens nor for properties: never RENEW_TOKEN. */
struct outcome outcome_of_broker(enum outcome_place place, const char *condition, const char *description);
/* The largest message that a broker takes, where its text names it ("… larger than configured max size 1000"); 0: it does not. */
uint64_t outcome_broker_size_limit(const char *description);

/* What to do if the same comes again although a new token was accepted since: RENEW_TOKEN becomes HOLD, all else stays. */
struct outcome outcome_after_new_token(struct outcome outcome);

const char *outcome_action_name(enum outcome_action action); /* "resend", "reopen-link", ... */
const char *outcome_place_name(enum outcome_place place);    /* "disposition", "attach", ... */

/* The table, for tests: the first row that matches is applied. `outcome.action` is what a disposition asks for; elsewhere outcome_of makes
 * of it what the place asks for: a link or connection that is gone is opened again, and what would split a batch is a HOLD. */
struct outcome_row {
    uint32_t places;       /* set of OUTCOME_IN(place) */
    int status;            /* 0: any */
    const char *condition; /* NULL: any; "": none */
    const char *text;      /* is in the description, without case; NULL: any */
    struct outcome outcome;
};
extern const struct outcome_row outcome_table[];
extern const size_t outcome_table_count;
extern const struct outcome_row outcome_broker_table[]; /* of which no row has a status; what none matches is looked up above */
extern const size_t outcome_broker_table_count;
/* What a row's outcome becomes at a place. */
struct outcome outcome_at(enum outcome_place place, struct outcome outcome);

#endif
