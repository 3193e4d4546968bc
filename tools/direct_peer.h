/* The peer of a tool that connects by itself, as its command line says it. */
#ifndef TOOLS_DIRECT_PEER_H
#define TOOLS_DIRECT_PEER_H

#include <stdint.h>

#include "shipper/ehring_direct.h"

enum { DIRECT_PEER_SETTINGS_MAX = 64 };

/* The part of --help that both tools have. */
#define DIRECT_PEER_HELP                                                                                                                   \
    "  --connection-string-file FILE   default: the text in $EHRING_CONNECTION_STRING\n"                                                   \
    "  --hub NAME               default: EntityPath of the connection string\n"                                                            \
    "  --ca-file FILE           trust these certificates; default: the system's\n"                                                         \
    "  --set NAME=VALUE         a key of ehring-shipper.conf(5) that says how the hub is reached, as transport=websocket,\n"               \
    "                           proxy=auto or credential=default; may be repeated. Secrets as ${file:PATH} or ${env:NAME}\n"

struct direct_peer {
    const char *hub, *ca_file, *connection_string_file; /* NULL: not given */
    const char *setting[DIRECT_PEER_SETTINGS_MAX + 1];  /* "name=value", the last one NULL */
    int setting_count;
    int is_traced; /* frames to standard error */
};

/* NULL, or what is wrong. */
const char *direct_peer_set(struct direct_peer *peer, const char *setting);
/* True if any of it was given. */
int direct_peer_is_given(const struct direct_peer *peer);
/* Connects. 0: *out is the caller's; else, after a line on stderr that begins with `program`, -EINVAL: there is no connection string to be
 * had, or another negative errno. The connection string is in no message. */
int direct_peer_open(const char *program, const struct direct_peer *peer, uint32_t timeout_ms, struct ehring_direct **out);

#endif
