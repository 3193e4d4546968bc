/* What a connection of libehring-direct has met so far, step by step: for who asks where a way ends, and what lies on it. */
#include "direct_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

static void address_print(const struct addrinfo *address, char *to, size_t cap);

void seen_begin(struct ehring_direct *direct, const char *host, uint16_t port)
{
    direct->seen = (struct direct_seen){.step = DIRECT_NAME, .port = port};
    snprintf(direct->seen.host, sizeof direct->seen.host, "%s", host);
}

void seen_resolved(struct ehring_direct *direct, const struct addrinfo *list)
{
    struct direct_seen *seen = &direct->seen;
    size_t len = 0;
    seen->step = DIRECT_TCP;
    for (const struct addrinfo *at = list; at; at = at->ai_next) {
        char text[64];
        address_print(at, text, sizeof text);
        if (len + strlen(text) + 2 < sizeof seen->addresses)
            len += (size_t)snprintf(seen->addresses + len, sizeof seen->addresses - len, "%s%s", len ? ", " : "", text);
    }
}

void seen_dialed(struct ehring_direct *direct, const struct addrinfo *address, int64_t took_ms)
{
    direct->seen.tcp_ms = took_ms;
    address_print(address, direct->seen.address, sizeof direct->seen.address);
}

/* An orderly end is of what lies above: it was up. */
void seen_way(struct ehring_direct *direct)
{
    static const enum direct_step steps[] = {[TRANSPORT_PROXY] = DIRECT_PROXY,
                                             [TRANSPORT_TLS] = DIRECT_TLS,
                                             [TRANSPORT_WEBSOCKET] = DIRECT_WEBSOCKET,
                                             [TRANSPORT_UP] = DIRECT_OPEN};
    struct direct_seen *seen = &direct->seen;
    if (!direct->transport || seen->step > DIRECT_OPEN)
        return;
    bool has_ended_orderly = transport_error_code(direct->transport) == -ECONNRESET;
    seen->step = has_ended_orderly ? DIRECT_OPEN : steps[transport_stage(direct->transport)];
    if (!seen->way.date[0])
        seen->way_ns = clock_wall_ns();
    transport_print_seen(direct->transport, &seen->way);
}

void seen_event(struct ehring_direct *direct, const struct conn_event *event)
{
    struct direct_seen *seen = &direct->seen;
    switch (event->kind) {
    case CONN_OPENED:
        seen->step = direct->door.type == DOOR_AMQP ? DIRECT_LINK : DIRECT_TOKEN;
        conn_peer(direct->conn, &seen->peer);
        break;
    case CONN_TOKEN:
        if (event->status >= 200 && event->status < 300 && seen->step == DIRECT_TOKEN)
            seen->step = DIRECT_LINK;
        break;
    case CONN_LINK_READY:
        seen->step = DIRECT_READY;
        break;
    case CONN_HUB:
    case CONN_LINK_CREDIT:
    case CONN_SENT:
    case CONN_PROGRESS:
    case CONN_SETTLED:
    case CONN_LINK_ENDED:
    case CONN_CLOSED:
        break;
    }
}

static void address_print(const struct addrinfo *address, char *to, size_t cap)
{
    if (getnameinfo(address->ai_addr, address->ai_addrlen, to, (socklen_t)cap, NULL, 0, NI_NUMERICHOST) != 0)
        snprintf(to, cap, "?");
}
