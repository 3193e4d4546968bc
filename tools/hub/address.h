/* Names of entities as clients spell them: bare paths, paths with a slash, full URLs. */
#ifndef HUB_ADDRESS_H
#define HUB_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { HUB_NAME_MAX = 256, HUB_PATH_MAX = 1024 };

/* Host (without port) and path (no slash at its ends, none twice) of an address; the scheme says nothing to us. */
struct hub_address {
    char host[HUB_NAME_MAX];
    char path[HUB_PATH_MAX];
};

/* Splits an address. 0, or -EINVAL: a part is too long. Without a scheme all of it is path. */
int hub_address_read(struct hub_address *a, const char *text);

/* Whether `path` is `parent` or lies below it; case is ignored, as on the service. */
bool hub_path_covers(const char *parent, const char *path);

enum hub_node { HUB_NODE_CBS, HUB_NODE_MANAGEMENT, HUB_NODE_SENDER, HUB_NODE_RECEIVER, HUB_NODE_UNKNOWN };

/* What a path names. Texts are empty where the path has no such part. */
struct hub_path {
    enum hub_node node;
    char hub[HUB_NAME_MAX];
    char group[HUB_NAME_MAX];
    char partition[HUB_NAME_MAX];
};

/* Takes a path apart: $cbs, $management, hub[/Partitions/N], hub/ConsumerGroups/G/Partitions/N. Never fails: node says. */
void hub_path_read(struct hub_path *p, const char *path);

#endif
