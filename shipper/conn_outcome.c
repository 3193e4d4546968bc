/* What to do about what a connection tells: its events, looked up in the table of outcomes. Pure. */
#include "shipper/conn_outcome.h"

#include <assert.h>

static const char *settled_condition(const struct conn_event *event);

struct outcome conn_event_outcome(enum door_type type, const struct conn_event *event)
{
    const char *condition = event->kind == CONN_SETTLED ? settled_condition(event) : event->condition;
    if (type == DOOR_AMQP)
        return outcome_of_broker(event->place, condition, event->description);
    return outcome_of(event->place, event->status, condition, event->description);
}

static const char *settled_condition(const struct conn_event *event)
{
    assert(event->outcome != CONN_ACCEPTED);
    switch (event->outcome) {
    case CONN_ACCEPTED:
    case CONN_REJECTED:
        break;
    case CONN_RELEASED:
        return OUTCOME_RELEASED;
    case CONN_MODIFIED:
        return event->undeliverable_here ? OUTCOME_UNDELIVERABLE_HERE : OUTCOME_MODIFIED;
    }
    return event->condition;
}
