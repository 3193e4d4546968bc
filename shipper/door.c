/* What follows from how a peer is reached: addresses and ports. */
#include "door.h"

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

static uint16_t default_port(const struct door *door)
{
    if (door->transport == DOOR_TRANSPORT_WEBSOCKET)
        return door->plain ? 80 : 443;
    return door->plain ? 5672 : 5671;
}
