/* What a broker says against us where an Event Hub would mean something else by it: looked up before the common table. Pure. */
#include "shipper/outcome.h"

#include <stdlib.h>
#include <string.h>

#define LINKS (OUTCOME_IN(OUTCOME_ATTACH) | OUTCOME_IN(OUTCOME_DETACH))
#define ENDS (OUTCOME_IN(OUTCOME_END) | OUTCOME_IN(OUTCOME_CLOSE))
#define EVENTS OUTCOME_IN(OUTCOME_DISPOSITION)
#define ALL (EVENTS | LINKS | ENDS)

#define FULL_WAIT_MS 4000
#define HOLD(sentence) .action = OUTCOME_HOLD, .counts_as_failure = true, .remedy = (sentence)
#define FAILED(what, sentence) .action = (what), .counts_as_failure = true, .remedy = (sentence)
#define SPLIT(sentence) .action = OUTCOME_SPLIT, .refused = true, .remedy = (sentence)

#define SASL_REFUSED "check sasl_user and sasl_password, and whether the broker lets this user in from this host"
#define SASL_UNKNOWN "the broker does not offer this way in: give sasl_user and sasl_password for PLAIN, or neither for ANONYMOUS"
#define NO_VHOST "the virtual host does not exist, or the user has no permission there: check open_hostname and the user"
#define NO_RIGHT                                                                                                                           \
    "the user may not send to the address: grant it write permission (RabbitMQ: write to the exchange, and configure of the queue, or "    \
    "address = /amq/queue/NAME)"
#define NO_ADDRESS "the address does not exist at the broker: make the queue or exchange, or check address and open_hostname"
#define BAD_ADDRESS "the broker does not understand the address: check its form in the broker's manual"
#define OTHER_QUEUE "the queue has properties that no link asks for: with RabbitMQ give address = /amq/queue/NAME"
#define TOO_LARGE "the broker takes no message so large: its text names the limit"
#define MAX_SIZE "max size "
#define FULL "the broker has no room: free memory or disk, read the queue, or raise its limit"
#define INSIDE "the broker failed inside, its log says why; RabbitMQ does so when a queue that is full refuses (overflow reject-publish)"

/* Of each condition the rows with a text come first. RabbitMQ ends the session for what others say of a link. */
const struct outcome_row outcome_broker_table[] = {
    {ENDS, 0, "amqp:unauthorized-access", "is not offered by the peer", {HOLD(SASL_UNKNOWN)}},
    {ENDS, 0, "amqp:unauthorized-access", "SASL", {HOLD(SASL_REFUSED)}},
    {ENDS, 0, "amqp:unauthorized-access", "insufficient permissions", {HOLD(NO_VHOST)}},
    {ALL, 0, "amqp:unauthorized-access", NULL, {HOLD(NO_RIGHT)}},
    {LINKS | ENDS, 0, "amqp:not-found", NULL, {HOLD(NO_ADDRESS)}},
    {LINKS | ENDS, 0, "amqp:resource-deleted", NULL, {HOLD(NO_ADDRESS)}},
    {LINKS | ENDS, 0, "amqp:invalid-field", NULL, {HOLD(BAD_ADDRESS)}},
    {LINKS | ENDS, 0, "amqp:not-implemented", NULL, {HOLD(BAD_ADDRESS)}},
    {LINKS | ENDS, 0, "amqp:not-allowed", NULL, {HOLD(NO_RIGHT)}},
    {LINKS | ENDS, 0, "amqp:precondition-failed", MAX_SIZE, {FAILED(OUTCOME_RECONNECT, TOO_LARGE)}},
    {LINKS | ENDS, 0, "amqp:precondition-failed", NULL, {HOLD(OTHER_QUEUE)}},
    {EVENTS, 0, "amqp:link:message-size-exceeded", NULL, {SPLIT(TOO_LARGE)}},
    {EVENTS, 0, "amqp:not-found", NULL, {FAILED(OUTCOME_RESEND, NO_ADDRESS)}}, /* routed at each message: the next may find its way */
    /* proton 0.37 says this itself when the peer has been silent for too long */
    {ENDS, 0, "amqp:resource-limit-exceeded", "local-idle-timeout expired", {FAILED(OUTCOME_RECONNECT, NULL)}},
    {ALL, 0, "amqp:resource-limit-exceeded", NULL, {.action = OUTCOME_THROTTLE, .wait_ms = FULL_WAIT_MS, .remedy = FULL}},
    /* RabbitMQ 3.10 is being stopped in order */
    {ENDS, 0, "amqp:internal-error", "shutdown", {.action = OUTCOME_RECONNECT, .normal = true}},
    {ENDS, 0, "amqp:internal-error", NULL, {FAILED(OUTCOME_RECONNECT, INSIDE)}},
};
const size_t outcome_broker_table_count = sizeof outcome_broker_table / sizeof outcome_broker_table[0];

uint64_t outcome_broker_size_limit(const char *description)
{
    const char *at = description ? strcasestr(description, MAX_SIZE) : NULL;
    return at ? strtoull(at + strlen(MAX_SIZE), NULL, 10) : 0;
}

struct outcome outcome_of_broker(enum outcome_place place, const char *condition, const char *description)
{
    const char *text = description ? description : "";
    for (size_t i = 0; i < outcome_broker_table_count; i++) {
        const struct outcome_row *row = &outcome_broker_table[i];
        if ((row->places & OUTCOME_IN(place)) && strcmp(row->condition, condition ? condition : "") == 0 &&
            (!row->text || strcasestr(text, row->text)))
            return outcome_at(place, row->outcome);
    }
    return outcome_after_new_token(outcome_of(place, 0, condition, description)); /* there is no token to renew */
}
