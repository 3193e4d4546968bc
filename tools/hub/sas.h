/* Shared access signatures: signs and verifies tokens. Knows no hubs. */
#ifndef HUB_SAS_H
#define HUB_SAS_H

#include "address.h"
#include "frame.h"

#include <stddef.h>
#include <stdint.h>

enum { HUB_POLICIES_MAX = 16, HUB_KEY_MAX = 256, HUB_TOKEN_MAX = 8192 };

/* What a policy or a token allows. */
enum hub_right { HUB_RIGHT_SEND = 1, HUB_RIGHT_LISTEN = 2, HUB_RIGHT_ALL = HUB_RIGHT_SEND | HUB_RIGHT_LISTEN };

/* A policy may be listed twice with two keys, like the primary and secondary key of the service. */
struct hub_policy {
    char name[HUB_NAME_MAX];
    char key[HUB_KEY_MAX];
    unsigned rights;
};

struct hub_policies {
    struct hub_policy at[HUB_POLICIES_MAX];
    unsigned count;
};

/* What a verified token allows. */
struct hub_claim {
    struct hub_address resource;
    int64_t expiry_s;
    unsigned rights;
};

/* Adds a policy. 0, or -EINVAL: empty or too long, -ENOSPC: too many. */
int hub_policies_add(struct hub_policies *p, const char *name, const char *key, unsigned rights);

/* The rights of the policy if this is a key of it, else 0; takes the same time for every wrong key of the same length. */
unsigned hub_policies_match(const struct hub_policies *p, const char *name, const char *key);

/* Verifies signature, policy and expiry of a token. 0, or -EPROTO with condition and text in `why`; never shows the token. */
int hub_sas_verify(const struct hub_policies *p, const char *token, int64_t now_s, struct hub_claim *claim, struct hub_error *why);

/* Writes a token for a URI. 0, or -ENOSPC: `size` is too small. */
int hub_sas_sign(const struct hub_policy *policy, const char *uri, int64_t expiry_s, char *token, size_t size);

#endif
