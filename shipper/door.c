/* What follows from how a peer is reached: addresses, ports, and where an event's key goes. */
#include "door.h"

#include <string.h>

#include "amqp.h"

static uint16_t default_port(const struct door *door);

uint16_t door_port(const struct door *door)
{
    return door->connstr.port ? door->connstr.port : default_port(door);
}

const char *door_dial_host(const struct door *door)
{
    return door->endpoint_host[0] ? door->endpoint_host : door->connstr.host;
}

uint16_t door_dial_port(const struct door *door)
{
    if (!door->endpoint_host[0])
        return door_port(door);
    return door->endpoint_port ? door->endpoint_port : default_port(door);
}

const char *door_open_hostname(const struct door *door)
{
    return door->open_hostname[0] ? door->open_hostname : door->connstr.host;
}

int door_place_key(const struct door *door, struct amqp_text key, struct amqp_event *event)
{
    struct amqp_text name = {(const uint8_t *)door->key_name, (uint32_t)strlen(door->key_name)};
    switch (door->key_place) {
    case DOOR_KEY_GROUP_ID:
        event->group_id = key;
        return 0;
    case DOOR_KEY_SUBJECT:
        event->subject = key;
        return 0;
    case DOOR_KEY_APPLICATION_PROPERTY:
        return amqp_event_add_property(event, door->key_name, name.len, key);
    case DOOR_KEY_MESSAGE_ANNOTATION:
        event->key = key;
        event->key_annotation = name;
        return 0;
    }
    return 0;
}

static uint16_t default_port(const struct door *door)
{
    if (door->transport == DOOR_TRANSPORT_WEBSOCKET)
        return door->plain ? 80 : 443;
    return door->plain ? 5672 : 5671;
}
