/* What the service says against us, as one table: condition, place and text to what is to be done. Pure. */
#include "shipper/outcome.h"

#include <string.h>

#define BUSY_WAIT_MS 4000
#define BUSY_WAIT_SHORT_MS 2000 /* error code 50009 */
#define CLOSING_WAIT_MS 4000
#define SLOW_WAIT_MS 30000
#define NAMED_WAIT_SECONDS_MAX 600 /* whatever a text says */

#define EVENTS OUTCOME_IN(OUTCOME_DISPOSITION)
#define LINKS (OUTCOME_IN(OUTCOME_ATTACH) | OUTCOME_IN(OUTCOME_DETACH))
#define ENDS (OUTCOME_IN(OUTCOME_END) | OUTCOME_IN(OUTCOME_CLOSE))
#define REPLIES (OUTCOME_IN(OUTCOME_CBS) | OUTCOME_IN(OUTCOME_MANAGEMENT))
#define ALL (EVENTS | LINKS | ENDS | REPLIES)
#define ALL_BUT(place) (ALL & ~OUTCOME_IN(place))

#define BUSY .action = OUTCOME_THROTTLE, .remedy = "the hub is over its throughput: add throughput units or partitions, or send less"
#define QUOTA                                                                                                                              \
    .action = OUTCOME_THROTTLE, .wait_ms = SLOW_WAIT_MS,                                                                                   \
    .remedy = "a quota of the namespace is used up: connections, links or size; lower max_size, or ask for a larger quota"
#define UNAUTHORIZED                                                                                                                       \
    .action = OUTCOME_RENEW_TOKEN, .counts_as_failure = true,                                                                              \
    .remedy = "the token does not give the right to send: check policy, key, its Send claim (or the role Data Sender), and the clock"
#define NORMAL(what) .action = (what), .normal = true
#define HOLD(sentence) .action = OUTCOME_HOLD, .counts_as_failure = true, .remedy = (sentence)
#define SPLIT(sentence) .action = OUTCOME_SPLIT, .refused = true, .remedy = (sentence)
#define FAILED(what) .action = (what), .counts_as_failure = true

#define NOT_FOUND "the hub or the namespace does not exist: check hub, EntityPath and Endpoint"
#define NO_RIGHT "the service forbids it: check policy, role and network rules of the namespace"
#define BAD_REQUEST "the service does not understand the request: check hub and connection string"
#define TOO_LARGE "the service takes no message so large: its text names the limit"
#define UNREADABLE "the service cannot read what was sent: its text says why"
#define BAD_ARGUMENT "the service refuses an address or a property: check hub, partitions and what the events carry"
#define PRECONDITION "a condition that the hub was given is not met: its text says which"
#define MOVED "the service asks to connect elsewhere: check the namespace and its pairing"
#define NOT_OURS "another client claims this place at the hub: use a policy and a hub of one's own"

const struct outcome_row outcome_table[] = {
    /* throttled */
    {ALL, 0, "com.microsoft:server-busy", "50009", {BUSY, .wait_ms = BUSY_WAIT_SHORT_MS}},
    {ALL, 0, "com.microsoft:server-busy", NULL, {BUSY, .wait_ms = BUSY_WAIT_MS}},
    {ALL, 0, "amqp:link:detach-forced", "server busy", {BUSY, .wait_ms = BUSY_WAIT_MS}},
    {ALL, 0, "amqp:connection:forced", "server busy", {BUSY, .wait_ms = BUSY_WAIT_MS}},
    /* proton 0.37 says this itself when the peer has been silent for too long */
    {ENDS, 0, "amqp:resource-limit-exceeded", "local-idle-timeout expired", {FAILED(OUTCOME_RECONNECT)}},
    {ALL, 0, "amqp:resource-limit-exceeded", NULL, {QUOTA}},

    /* the right to send; 401 and 403 are told apart by condition first */
    {ALL, 0, "amqp:link:detach-forced", "unauthorized access", {UNAUTHORIZED}},
    {ALL, 0, "amqp:connection:forced", "unauthorized access", {UNAUTHORIZED}},
    {ALL, 0, "amqp:unauthorized-access", NULL, {UNAUTHORIZED}},
    {ALL, 0, "com.microsoft:auth-failed", NULL, {UNAUTHORIZED}},
    {ALL, 0, "com.microsoft:publisher-revoked", NULL, {HOLD("the publisher is revoked: restore it, or use another policy")}},
    {REPLIES, 401, NULL, NULL, {UNAUTHORIZED}},
    {REPLIES, 403, NULL, "quota", {QUOTA}},
    {REPLIES, 403, NULL, NULL, {HOLD(NO_RIGHT)}},
    {OUTCOME_IN(OUTCOME_MANAGEMENT), 500, "amqp:not-allowed", NULL, {UNAUTHORIZED}}, /* an expired security_token */

    /* daily life */
    {ALL, 0, "amqp:link:detach-forced", NULL, {NORMAL(OUTCOME_REOPEN_LINK)}},
    {ALL, 0, "amqp:connection:forced", NULL, {NORMAL(OUTCOME_RECONNECT)}},
    {ALL, 0, "com.microsoft:container-close", NULL, {NORMAL(OUTCOME_RECONNECT), .wait_ms = CLOSING_WAIT_MS, .maybe_delivered = true}},
    {ALL, 0, "com.microsoft:operation-cancelled", NULL, {NORMAL(OUTCOME_RESEND), .maybe_delivered = true}},

    /* trouble that passes */
    {OUTCOME_IN(OUTCOME_CBS), 0, "com.microsoft:timeout", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {ALL_BUT(OUTCOME_CBS), 0, "com.microsoft:timeout", NULL, {FAILED(OUTCOME_RESEND), .maybe_delivered = true}},
    {ALL, 0, "amqp:internal-error", NULL, {FAILED(OUTCOME_RESEND), .maybe_delivered = true, .refused = true}},
    {ALL, 0, "amqp:illegal-state", NULL, {FAILED(OUTCOME_REOPEN_LINK)}},
    {ALL, 0, "amqp:link:transfer-limit-exceeded", NULL, {FAILED(OUTCOME_REOPEN_LINK)}},
    {ALL, 0, "amqp:connection:framing-error", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {ALL, 0, "amqp:session:window-violation", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {ALL, 0, "amqp:session:errant-link", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {ALL, 0, "amqp:session-errant-link", NULL, {FAILED(OUTCOME_RECONNECT)}}, /* so spelt in the service's own library */
    {ALL, 0, "amqp:session:handle-in-use", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {ALL, 0, "amqp:session:unattached-handle", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {OUTCOME_IN(OUTCOME_CBS), 0, "amqp:not-allowed", "already been opened", {FAILED(OUTCOME_RECONNECT)}},

    /* of a batch: its size or content */
    /* a new link tells the limit anew */
    {OUTCOME_IN(OUTCOME_DETACH), 0, "amqp:link:message-size-exceeded", NULL, {FAILED(OUTCOME_REOPEN_LINK)}},
    {ALL_BUT(OUTCOME_DETACH), 0, "amqp:link:message-size-exceeded", NULL, {SPLIT(TOO_LARGE)}},
    {ALL, 0, "amqp:decode-error", NULL, {SPLIT(UNREADABLE)}},
    {ALL, 0, "amqp:invalid-field", NULL, {SPLIT(UNREADABLE)}},
    {ALL, 0, "amqp:not-implemented", NULL, {SPLIT("the service does not know what was sent: is it an Event Hub?")}},
    {ALL, 0, "com.microsoft:argument-error", NULL, {SPLIT(BAD_ARGUMENT)}},
    {ALL, 0, "com.microsoft:argument-out-of-range", NULL, {SPLIT(BAD_ARGUMENT)}},
    {ALL, 0, "amqp:precondition-failed", NULL, {SPLIT(PRECONDITION)}},
    {ALL, 0, "com.microsoft:precondition-failed", NULL, {SPLIT(PRECONDITION)}},

    /* permanent for this configuration; a not-found that does not say what is missing may be an entity on the move */
    {ALL, 0, "amqp:not-found", "could not be found", {HOLD(NOT_FOUND)}},
    {ALL, 0, "amqp:not-found", "status-code: 404", {HOLD(NOT_FOUND)}},
    {REPLIES, 404, NULL, NULL, {HOLD(NOT_FOUND)}},
    {ALL, 0, "amqp:not-found", NULL, {FAILED(OUTCOME_RESEND), .remedy = NOT_FOUND}},
    {ALL, 0, "com.microsoft:entity-disabled", NULL, {HOLD("sending to the hub is switched off: set its status to active")}},
    {ALL, 0, "amqp:resource-deleted", NULL, {HOLD("the hub was deleted: make it again, or name another")}},
    {ALL, 0, "amqp:not-allowed", NULL, {HOLD("the service does not allow it: check hub, partitions and the kind of the entity")}},
    {ALL, 0, "amqp:link:redirect", NULL, {HOLD(MOVED)}},
    {ALL, 0, "amqp:connection:redirect", NULL, {HOLD(MOVED)}},
    {ALL, 0, "amqp:link:stolen", NULL, {HOLD(NOT_OURS)}},
    {ALL, 0, "com.microsoft:producer-epoch-stolen", NULL, {HOLD(NOT_OURS)}},
    {ALL, 0, "com.microsoft:out-of-order-sequence", NULL, {HOLD("the hub counts an idempotent producer's events: send to another hub")}},
    {ALL, 0, "com.microsoft:georeplication:invalid-offset", NULL, {HOLD("the hub takes this for a consumer: check hub")}},
    {REPLIES, 400, NULL, NULL, {HOLD(BAD_REQUEST)}},

    /* no condition */
    {EVENTS, 0, OUTCOME_RELEASED, NULL, {FAILED(OUTCOME_RESEND)}},
    {EVENTS, 0, OUTCOME_MODIFIED, NULL, {FAILED(OUTCOME_RESEND), .refused = true}},
    {EVENTS, 0, OUTCOME_UNDELIVERABLE_HERE, NULL, {FAILED(OUTCOME_REOPEN_LINK), .refused = true}},
    {EVENTS, 0, "", NULL, {FAILED(OUTCOME_RESEND), .refused = true}},
    {OUTCOME_IN(OUTCOME_ATTACH), 0, "", NULL, {FAILED(OUTCOME_REOPEN_LINK)}},
    {OUTCOME_IN(OUTCOME_DETACH), 0, "", NULL, {NORMAL(OUTCOME_REOPEN_LINK)}},
    {ENDS, 0, "", NULL, {FAILED(OUTCOME_RECONNECT)}},
    {REPLIES, 500, NULL, NULL, {FAILED(OUTCOME_RESEND)}},
    {REPLIES, 503, NULL, NULL, {FAILED(OUTCOME_RESEND)}},
    {OUTCOME_IN(OUTCOME_CBS), 0, "", NULL, {FAILED(OUTCOME_RECONNECT)}},

    /* a condition that is not known. One that judges a batch tells that link and connection work: others share them */
    {EVENTS, 0, NULL, NULL, {FAILED(OUTCOME_RESEND), .refused = true}},
    {LINKS | ENDS, 0, NULL, NULL, {FAILED(OUTCOME_RECONNECT)}},
    {REPLIES, 0, NULL, NULL, {FAILED(OUTCOME_RESEND)}},
};
const size_t outcome_table_count = sizeof outcome_table / sizeof outcome_table[0];

static bool row_matches(const struct outcome_row *row, enum outcome_place place, int status, const char *condition, const char *text);
static enum outcome_action place_action(enum outcome_place place, enum outcome_action action);
static int64_t named_wait_ms(const char *text);

struct outcome outcome_of(enum outcome_place place, int status, const char *condition, const char *description)
{
    const char *text = description ? description : "";
    const struct outcome_row *row = outcome_table; /* the last rows match whatever comes */
    while (!row_matches(row, place, status, condition ? condition : "", text))
        row++;
    struct outcome outcome = outcome_at(place, row->outcome);
    int64_t named_ms = outcome.action == OUTCOME_THROTTLE ? named_wait_ms(text) : 0;
    if (named_ms > 0 && (outcome.wait_ms < SLOW_WAIT_MS || named_ms > outcome.wait_ms))
        outcome.wait_ms = named_ms;
    return outcome;
}

struct outcome outcome_after_new_token(struct outcome outcome)
{
    if (outcome.action == OUTCOME_RENEW_TOKEN)
        outcome.action = OUTCOME_HOLD;
    return outcome;
}

const char *outcome_action_name(enum outcome_action action)
{
    static const char *const name[OUTCOME_ACTION_COUNT] = {
        [OUTCOME_RESEND] = "resend",       [OUTCOME_REOPEN_LINK] = "reopen-link",
        [OUTCOME_RECONNECT] = "reconnect", [OUTCOME_RENEW_TOKEN] = "renew-token",
        [OUTCOME_THROTTLE] = "throttle",   [OUTCOME_SPLIT] = "split",
        [OUTCOME_HOLD] = "hold",
    };
    return name[action];
}

const char *outcome_place_name(enum outcome_place place)
{
    static const char *const name[OUTCOME_PLACE_COUNT] = {
        [OUTCOME_DISPOSITION] = "disposition",
        [OUTCOME_ATTACH] = "attach",
        [OUTCOME_DETACH] = "detach",
        [OUTCOME_END] = "end",
        [OUTCOME_CLOSE] = "close",
        [OUTCOME_CBS] = "cbs",
        [OUTCOME_MANAGEMENT] = "management",
    };
    return name[place];
}

static bool row_matches(const struct outcome_row *row, enum outcome_place place, int status, const char *condition, const char *text)
{
    bool is_reply = place == OUTCOME_CBS || place == OUTCOME_MANAGEMENT;
    return (row->places & OUTCOME_IN(place)) && (row->status == 0 || (is_reply && row->status == status)) &&
           (!row->condition || strcmp(row->condition, condition) == 0) && (!row->text || strcasestr(text, row->text));
}

struct outcome outcome_at(enum outcome_place place, struct outcome outcome)
{
    enum outcome_action asked = outcome.action;
    if (place == OUTCOME_DISPOSITION)
        return outcome;
    outcome.action = place_action(place, asked);
    outcome.refused = false;
    outcome.counts_as_failure |= asked == OUTCOME_SPLIT; /* nothing to bisect: it is a HOLD now */
    outcome.maybe_delivered = place == OUTCOME_DETACH || place == OUTCOME_END || place == OUTCOME_CLOSE;
    return outcome;
}

/* The least that has to be done where something is over already; what is left is the row's. */
static enum outcome_action place_action(enum outcome_place place, enum outcome_action action)
{
    if (action == OUTCOME_SPLIT)
        return OUTCOME_HOLD;
    if (action != OUTCOME_RESEND && action != OUTCOME_REOPEN_LINK)
        return action;
    switch (place) {
    case OUTCOME_DISPOSITION:
        return action;
    case OUTCOME_ATTACH:
    case OUTCOME_DETACH:
        return OUTCOME_REOPEN_LINK;
    case OUTCOME_END:
    case OUTCOME_CLOSE:
        return OUTCOME_RECONNECT;
    case OUTCOME_CBS:
    case OUTCOME_MANAGEMENT:
        return OUTCOME_RESEND; /* a request opens its links by itself */
    }
    return action;
}

/* "Please wait 4 seconds and try again": 4,000. 0: the text names no wait. */
static int64_t named_wait_ms(const char *text)
{
    static const char word[] = "wait ";
    for (const char *at = text; (at = strcasestr(at, word));) {
        at += sizeof word - 1;
        int64_t seconds = 0;
        const char *digit = at;
        for (; *digit >= '0' && *digit <= '9'; digit++)
            seconds = seconds > NAMED_WAIT_SECONDS_MAX ? seconds : seconds * 10 + (*digit - '0');
        if (digit == at || strncasecmp(digit, " second", 7) != 0)
            continue;
        return (seconds < NAMED_WAIT_SECONDS_MAX ? seconds : NAMED_WAIT_SECONDS_MAX) * 1000;
    }
    return 0;
}
