/* What the tokens of a connection allow it to do, and until when. */
#include "claim.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

static struct hub_grant *grant_of(struct hub_conn *c, const char *path);
static bool is_valid(const struct hub_conn *c, const struct hub_grant *g);
static int64_t min(int64_t a, int64_t b);

int hub_claim_add(struct hub_conn *c, const char *path, int64_t expiry_s, unsigned rights)
{
    const struct hub_fault *life = hub_broker_fault(c->broker, HUB_FAULT_TOKEN_LIFE);
    struct hub_grant *g = grant_of(c, path);

    if (!g)
        return -ENOSPC;
    snprintf(g->path, sizeof(g->path), "%s", path);
    g->expiry_s = life ? min(expiry_s, c->broker->now_ms / 1000 + life->time_ms / 1000) : expiry_s;
    g->rights = rights;
    c->saw_token = true;
    return 0;
}

bool hub_claim_covers(const struct hub_conn *c, const char *path, unsigned rights)
{
    if (c->login)
        return c->login & rights;
    for (unsigned i = 0; i < c->grant_count; i++) {
        if (is_valid(c, &c->grants[i]) && (c->grants[i].rights & rights) && hub_path_covers(c->grants[i].path, path))
            return true;
    }
    return false;
}

bool hub_claim_any(const struct hub_conn *c)
{
    if (c->login)
        return true;
    for (unsigned i = 0; i < c->grant_count; i++) {
        if (is_valid(c, &c->grants[i]))
            return true;
    }
    return false;
}

void hub_claim_expire(struct hub_conn *c)
{
    for (unsigned i = 0; i < c->grant_count; i++)
        c->grants[i].expiry_s = 0;
}

/* The grant on this path, else an expired or a new one. */
static struct hub_grant *grant_of(struct hub_conn *c, const char *path)
{
    struct hub_grant *free_one = NULL;

    for (unsigned i = 0; i < c->grant_count; i++) {
        if (strcasecmp(c->grants[i].path, path) == 0)
            return &c->grants[i];
        if (!is_valid(c, &c->grants[i]))
            free_one = &c->grants[i];
    }
    if (free_one)
        return free_one;
    if (c->grant_count == HUB_GRANTS_MAX)
        return NULL;
    if (!c->grants)
        c->grants = hub_alloc(HUB_GRANTS_MAX, sizeof(*c->grants));
    return &c->grants[c->grant_count++];
}

static bool is_valid(const struct hub_conn *c, const struct hub_grant *g)
{
    return g->expiry_s > c->broker->now_ms / 1000;
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
