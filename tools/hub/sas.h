/* Shared access signatures: signs and verifies tokens. Knows no hubs. */
#ifndef HUB_SAS_H
#define HUB_SAS_H

#include "address.h"
#include "frame.h"

#include <stddef.h>
#include <stdint.h>

enum { HUB_POLICIES_MAX = 16, HUB_KEY_MAX = 256, HUB_TOKEN_MAX = 8192 };

/* A policy may be listed twice with two keys, like the primary and secondary key of the service. */
struct hub_policy {
    char name[HUB_NAME_MAX];
    char key[HUB_KEY_MAX];
};

struct hub_policies {
    struct hub_policy at[HUB_POLICIES_MAX];
    unsigned count;
};

/* What a verified token allows. */
struct hub_claim {
    struct hub_address resource;
    int64_t expiry_s;
};

/* Adds a policy. 0, or -EINVAL: empty or too long, -ENOSPC: too many. */
int hub_policies_add(struct hub_policies *p, const char *name, const char *key);

/* Whether this is the key of this policy; takes the same time for every wrong key of the same length. */
bool hub_policies_match(const struct hub_policies *p, const char *name, const char *key);

/* Verifies signature, policy and expiry of a token. 0, or -EPROTO with condition and text in `why`; never shows the token. */
int hub_sas_verify(const struct hub_policies *p, const char *token, int64_t now_s, struct hub_claim *claim, struct hub_error *why);

/* Writes a token for a URI. 0, or -ENOSPC: `size` is too small. */
int hub_sas_sign(const struct hub_policy *policy, const char *uri, int64_t expiry_s, char *token, size_t size);

#endif
