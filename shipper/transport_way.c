/* What all connections through a door share: trust, identity, and the proxy that the door or the environment names. */
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int proxy_take(const struct door *door, struct transport_way *out, char *why, size_t why_len);

int transport_way_open(const struct door *door, struct transport_way *out, char *why, size_t why_len)
{
    struct transport_way way = {0};
    why[0] = '\0';
    *out = way;
    int ret = proxy_take(door, &way, why, why_len);
    if (ret == 0 && !door->plain)
        ret = tls_context_open(&(struct tls_options){.ca_file = door->ca_file,
                                                     .ca_dir = door->ca_dir,
                                                     .certificate = door->tls_certificate,
                                                     .key = door->tls_key,
                                                     .key_password = door->tls_key_password},
                               &way.tls, why, why_len);
    if (ret == 0)
        *out = way;
    explicit_bzero(&way.proxy, sizeof way.proxy);
    return ret;
}

int transport_way_share(const struct transport_way *way, struct transport_way *out)
{
    *out = *way;
    int ret = tls_context_share(way->tls, &out->tls);
    if (ret < 0)
        explicit_bzero(out, sizeof *out);
    return ret;
}

void transport_way_close(struct transport_way *way)
{
    tls_context_close(way->tls);
    explicit_bzero(way, sizeof *way);
}

const char *transport_way_host(const struct transport_way *way, const struct door *door)
{
    return way->has_proxy ? way->proxy.host : door_dial_host(door);
}

uint16_t transport_way_port(const struct transport_way *way, const struct door *door)
{
    return way->has_proxy ? way->proxy.port : door_dial_port(door);
}

static int proxy_take(const struct door *door, struct transport_way *out, char *why, size_t why_len)
{
    struct proxy_environment environment;
    int ret = 0;
    switch (door->proxy) {
    case DOOR_PROXY_NONE:
        return 0;
    case DOOR_PROXY_AUTO:
        proxy_environment_read(&environment);
        ret = proxy_select(&environment, door_dial_host(door), door_dial_port(door), &out->proxy, why, why_len);
        out->has_proxy = ret > 0;
        break;
    case DOOR_PROXY_GIVEN:
        out->has_proxy = true;
        memcpy(out->proxy.host, door->proxy_host, sizeof out->proxy.host);
        out->proxy.port = door->proxy_port;
        break;
    }
    if (!out->has_proxy)
        return ret;
    if (door->proxy_user[0]) { /* with auto too: the environment need not hold the password */
        memcpy(out->proxy.user, door->proxy_user, sizeof out->proxy.user);
        memcpy(out->proxy.password, door->proxy_password, sizeof out->proxy.password);
    }
    if (!strchr(out->proxy.user, ':'))
        return 0;
    snprintf(why, why_len, "proxy_user has a colon, which Basic authentication cannot carry");
    return -EINVAL;
}
