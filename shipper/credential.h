/* Who we are to Entra ID, and the tokens it gives us for that: fetched on a thread of their own, kept per identity, renewed when asked for
 * ahead of their end. No text of this module holds a token, a secret or an assertion. */
#ifndef EHRING_CREDENTIAL_H
#define EHRING_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#define CREDENTIAL_TOKEN_BYTES_MAX (16u << 10)
#define CREDENTIAL_ERROR_BYTES 1024u

enum credential_kind {
    CREDENTIAL_SAS = 0, /* a key or a signature of the connection string: no Entra ID */
    CREDENTIAL_DEFAULT, /* the chain: environment, workload identity, managed identity, Azure CLI */
    CREDENTIAL_ENVIRONMENT,
    CREDENTIAL_CLIENT_SECRET,
    CREDENTIAL_CLIENT_CERTIFICATE,
    CREDENTIAL_WORKLOAD_IDENTITY,
    CREDENTIAL_MANAGED_IDENTITY,
    CREDENTIAL_AZURE_CLI,
    CREDENTIAL_KINDS
};
/* "key", "default", "environment", "client-secret", …: also the words of the configuration; ends with NULL. */
extern const char *const credential_kind_names[CREDENTIAL_KINDS + 1];
const char *credential_kind_name(enum credential_kind kind);

/* What names an identity. An empty field comes from the environment variable beside it, where there is one. */
struct credential_options {
    enum credential_kind kind;
    char tenant_id[128];                   /* AZURE_TENANT_ID */
    char client_id[128];                   /* AZURE_CLIENT_ID */
    char client_secret[513];               /* AZURE_CLIENT_SECRET */
    char client_certificate[1024];         /* path of a PEM file with certificate and key: AZURE_CLIENT_CERTIFICATE_PATH */
    char client_certificate_password[257]; /* AZURE_CLIENT_CERTIFICATE_PASSWORD */
    char token_file[1024];                 /* AZURE_FEDERATED_TOKEN_FILE */
    char object_id[128];                   /* of a user-assigned managed identity */
    char resource_id[512];                 /* the same, named by its resource */
    char authority_host[256];              /* AZURE_AUTHORITY_HOST, else login.microsoftonline.com */
};
bool credential_options_equal(const struct credential_options *a, const struct credential_options *b);

/* One access token, immutable, shared by its users. Times are of CLOCK_REALTIME. */
struct credential_token {
    _Atomic uint32_t users;
    int64_t expires_ns;
    int64_t refresh_ns; /* from here on a new one is wanted */
    uint32_t len;
    char text[CREDENTIAL_TOKEN_BYTES_MAX + 1];
};
struct credential_token *credential_token_take(struct credential_token *token); /* one user more. Any thread that has it from a user */
void credential_token_give(struct credential_token *token);                     /* one user less; the last wipes it. NULL is fine */

enum credential_verdict {
    CREDENTIAL_GIVEN,
    CREDENTIAL_ABSENT,  /* unavailable here: a chain passes on */
    CREDENTIAL_REFUSED, /* configured and failing: a chain stops */
    CREDENTIAL_LATER,   /* failing in a way that passes: a chain stops for now */
};
struct credential_result {
    enum credential_verdict verdict;
    struct credential_token *token; /* GIVEN: the receiver's (credential_token_give); else NULL */
    int64_t wait_ms;                /* LATER: not to be asked again before; 0: not told */
    bool is_updating;               /* LATER: the source of identities is itself being updated */
    const char *remedy;             /* a sentence, or NULL */
    char error[CREDENTIAL_ERROR_BYTES];
};

/* Every wait, limit of time and fixed place; tests have their own. */
struct credential_limits {
    const char *arc_key_dir; /* where Azure Arc's agent puts its keys */
    uint32_t connect_ms;
    uint32_t total_ms; /* of one request, and of its answer */
    uint32_t probe_ms; /* is there an IMDS? */
    uint32_t cli_ms;   /* of the Azure CLI */
    uint32_t retry_ms; /* first wait after a failure that passes; it doubles up to retry_max_ms */
    uint32_t retry_max_ms;
    uint32_t retry_count; /* then whoever waits is told */
    uint32_t updating_ms; /* wait while IMDS is being updated */
    uint32_t updating_count;
    uint32_t keep_ms;  /* after a failed renewal the old token stays in use; it is tried again after this */
    uint32_t again_ms; /* a failure is told again without another request for this long */
    uint32_t renew_ms; /* a token with less left than this is renewed */
};
extern const struct credential_limits credential_limits_default;

/* What was learned of an identity: the first of the chain that worked, that there is an IMDS. All zero at first. */
struct credential_memory {
    enum credential_kind found;
    bool imds_seen;
};

/* Blocking, in the caller's thread: a token, or why there is none, tried again while `limits` and the deadline (CLOCK_MONOTONIC ns) allow.
 * `stop_fd` (-1: none) ends it early when it becomes readable. Makes no signal. */
void credential_fetch(const struct credential_options *options, const struct credential_limits *limits, struct credential_memory *memory,
                      int stop_fd, int64_t deadline_ns, struct credential_result *result);

/* ---- the thread: one request at a time, one cache entry per identity (equal options) ---- */
struct credentials;
int credentials_open(const struct credential_limits *limits, struct credentials **out); /* NULL: the default limits */
void credentials_close(struct credentials *credentials); /* ends the request under way; nobody may have a query with it any more */

enum credential_state { CREDENTIAL_IDLE, CREDENTIAL_BUSY, CREDENTIAL_DONE };

/* One query slot, owned by the asker; must stay where it is while BUSY. */
struct credential_query {
    int notify_fd;                   /* eventfd of the asker, written when the state changes */
    _Atomic uint32_t state;          /* enum credential_state; read through credential_state() */
    struct credential_result result; /* DONE: the asker's, token included */
    struct credential_query *next;   /* the thread's, while BUSY */
};
/* Asks for a token (state BUSY): the kept one while it is not due for renewal, else a new one; the kept one again as long as it lives if
 * there is no new one. Many askers at once make one request. A result that is still in the slot is given back. Any thread. */
void credential_begin(struct credentials *credentials, struct credential_query *query, const struct credential_options *options);
enum credential_state credential_state(const struct credential_query *query);
/* Takes the slot back, BUSY or not, with what is in it: IDLE. The asker's thread. */
void credential_forget(struct credentials *credentials, struct credential_query *query);
/* The service did not take this token: the next asker gets another one. */
void credential_distrust(struct credentials *credentials, const struct credential_token *token);

#endif
