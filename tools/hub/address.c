/* Names of entities as clients spell them: bare paths, paths with a slash, full URLs. */
#include "address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PARTS_MAX = 6 };

static int host_read(struct hub_address *a, const char *from, size_t len);
static int path_clean(struct hub_address *a, const char *from);
static unsigned split(char *path, char *parts[PARTS_MAX]);
static void copy(char to[HUB_NAME_MAX], const char *from);

int hub_address_read(struct hub_address *a, const char *text)
{
    const char *rest = strstr(text, "://");

    a->host[0] = 0;
    if (!rest)
        return path_clean(a, text);
    rest += 3;
    size_t len = strcspn(rest, "/");
    if (host_read(a, rest, len) < 0)
        return -EINVAL;
    return path_clean(a, rest + len);
}

bool hub_path_covers(const char *parent, const char *path)
{
    size_t len = strlen(parent);

    if (len == 0)
        return true;
    if (strncasecmp(parent, path, len) != 0)
        return false;
    return path[len] == 0 || path[len] == '/';
}

void hub_path_read(struct hub_path *p, const char *path)
{
    char copied[HUB_PATH_MAX];
    char *parts[PARTS_MAX] = {0};

    *p = (struct hub_path){.node = HUB_NODE_UNKNOWN};
    snprintf(copied, sizeof(copied), "%s", path);
    unsigned count = split(copied, parts);
    if (count == 0 || count > 5)
        return;
    copy(p->hub, parts[0]);
    if (strcasecmp(path, "$cbs") == 0) {
        p->node = HUB_NODE_CBS;
    } else if (strcasecmp(parts[count - 1], "$management") == 0 && count <= 2) {
        p->node = HUB_NODE_MANAGEMENT;
    } else if (count == 1) {
        p->node = HUB_NODE_SENDER;
    } else if (count == 3 && strcasecmp(parts[1], "Partitions") == 0) {
        p->node = HUB_NODE_SENDER;
        copy(p->partition, parts[2]);
    } else if (count == 5 && strcasecmp(parts[1], "ConsumerGroups") == 0 && strcasecmp(parts[3], "Partitions") == 0) {
        p->node = HUB_NODE_RECEIVER;
        copy(p->group, parts[2]);
        copy(p->partition, parts[4]);
    }
}

/* A colon inside brackets belongs to an IPv6 address. */
static int host_read(struct hub_address *a, const char *from, size_t len)
{
    const char *bracket = memchr(from, ']', len);
    size_t skip = bracket ? (size_t)(bracket - from) : 0;
    const char *colon = memchr(from + skip, ':', len - skip);

    if (colon)
        len = (size_t)(colon - from);
    if (len >= sizeof(a->host))
        return -EINVAL;
    memcpy(a->host, from, len);
    a->host[len] = 0;
    return 0;
}

static int path_clean(struct hub_address *a, const char *from)
{
    size_t len = 0;

    for (; *from; from++) {
        if (*from == '/' && (len == 0 || a->path[len - 1] == '/'))
            continue;
        if (len + 1 >= sizeof(a->path))
            return -EINVAL;
        a->path[len++] = *from;
    }
    if (len > 0 && a->path[len - 1] == '/')
        len--;
    a->path[len] = 0;
    return 0;
}

static unsigned split(char *path, char *parts[PARTS_MAX])
{
    unsigned count = 0;
    char *save = NULL;

    for (char *part = strtok_r(path, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (count == PARTS_MAX || strlen(part) >= HUB_NAME_MAX)
            return 0;
        parts[count++] = part;
    }
    return count;
}

static void copy(char to[HUB_NAME_MAX], const char *from)
{
    memcpy(to, from, strnlen(from, HUB_NAME_MAX - 1) + 1);
    to[HUB_NAME_MAX - 1] = 0;
}
