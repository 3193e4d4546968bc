/* Which credential is asked, in which order, and what its verdict means for the next; one attempt, or several in the caller's thread. */
#include "credential_internal.h"

#include <ctype.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backoff.h"
#include "clock.h"

#define CHAIN_VARIABLE "AZURE_TOKEN_CREDENTIALS"
#define IN(kind) (1u << (kind))

const struct credential_limits credential_limits_default = {
    .arc_key_dir = "/var/opt/azcmagent/tokens",
    .connect_ms = 10000,
    .total_ms = 30000,
    .probe_ms = 1000,
    .cli_ms = 10000,
    .retry_ms = 800,
    .retry_max_ms = 60000,
    .retry_count = 5,
    .updating_ms = 10000,
    .updating_count = 7,
    .keep_ms = 30000,
    .again_ms = 5000,
    .renew_ms = 300000,
};

static const enum credential_kind chain[] = {CREDENTIAL_ENVIRONMENT, CREDENTIAL_WORKLOAD_IDENTITY, CREDENTIAL_MANAGED_IDENTITY,
                                             CREDENTIAL_AZURE_CLI};

static void options_complete(struct credential_options *options);
static void chain_try(struct credential_run *run);
static uint32_t chain_choose(struct credential_run *run);
static void one_try(struct credential_run *run);
static void environment_try(struct credential_run *run);

const char *const credential_kind_names[CREDENTIAL_KINDS + 1] = {
    [CREDENTIAL_SAS] = "key",
    [CREDENTIAL_DEFAULT] = "default",
    [CREDENTIAL_ENVIRONMENT] = "environment",
    [CREDENTIAL_CLIENT_SECRET] = "client-secret",
    [CREDENTIAL_CLIENT_CERTIFICATE] = "client-certificate",
    [CREDENTIAL_WORKLOAD_IDENTITY] = "workload-identity",
    [CREDENTIAL_MANAGED_IDENTITY] = "managed-identity",
    [CREDENTIAL_AZURE_CLI] = "azure-cli",
};

const char *credential_kind_name(enum credential_kind kind)
{
    return credential_kind_names[kind];
}

bool credential_options_equal(const struct credential_options *a, const struct credential_options *b)
{
    return a->kind == b->kind && strcmp(a->tenant_id, b->tenant_id) == 0 && strcmp(a->client_id, b->client_id) == 0 &&
           strcmp(a->client_secret, b->client_secret) == 0 && strcmp(a->client_certificate, b->client_certificate) == 0 &&
           strcmp(a->client_certificate_password, b->client_certificate_password) == 0 && strcmp(a->token_file, b->token_file) == 0 &&
           strcmp(a->object_id, b->object_id) == 0 && strcmp(a->resource_id, b->resource_id) == 0 &&
           strcmp(a->authority_host, b->authority_host) == 0;
}

void credential_say(struct credential_run *run, enum credential_verdict verdict, const char *format, ...)
{
    struct credential_result *result = run->result;
    va_list arguments;
    int at = snprintf(result->error, sizeof result->error, "%s: ", credential_kind_name(run->kind));
    va_start(arguments, format);
    vsnprintf(result->error + at, sizeof result->error - (size_t)at, format, arguments);
    va_end(arguments);
    result->verdict = verdict;
}

void credential_try(const struct credential_options *options, const struct credential_limits *limits, struct credential_memory *memory,
                    int stop_fd, int64_t deadline_ns, struct credential_result *result)
{
    struct credential_options complete = *options;
    struct credential_run run = {.options = &complete,
                                 .limits = limits,
                                 .memory = memory,
                                 .kind = options->kind,
                                 .stop_fd = stop_fd,
                                 .deadline_ns = deadline_ns,
                                 .result = result};
    *result = (struct credential_result){.verdict = CREDENTIAL_ABSENT};
    options_complete(&complete);
    if (options->kind == CREDENTIAL_DEFAULT)
        chain_try(&run);
    else
        one_try(&run);
    explicit_bzero(&complete, sizeof complete);
}

/* What the configuration leaves open is the environment's. A user-assigned identity that is named otherwise needs no client id. */
static void options_complete(struct credential_options *options)
{
    const struct {
        const char *name;
        char *to;
        size_t cap;
    } variable[] = {
        {"AZURE_TENANT_ID", options->tenant_id, sizeof options->tenant_id},
        {"AZURE_CLIENT_ID", options->client_id, sizeof options->client_id},
        {"AZURE_CLIENT_SECRET", options->client_secret, sizeof options->client_secret},
        {"AZURE_CLIENT_CERTIFICATE_PATH", options->client_certificate, sizeof options->client_certificate},
        {"AZURE_CLIENT_CERTIFICATE_PASSWORD", options->client_certificate_password, sizeof options->client_certificate_password},
        {"AZURE_FEDERATED_TOKEN_FILE", options->token_file, sizeof options->token_file},
        {"AZURE_AUTHORITY_HOST", options->authority_host, sizeof options->authority_host},
    };
    for (size_t i = 0; i < sizeof variable / sizeof variable[0]; i++) {
        const char *value = getenv(variable[i].name);
        if (!variable[i].to[0] && value && strlen(value) < variable[i].cap)
            memcpy(variable[i].to, value, strlen(value) + 1);
    }
}

/* Unavailable passes on; anything else ends it. Who worked once is asked alone from then on. */
static void chain_try(struct credential_run *run)
{
    char reasons[CREDENTIAL_ERROR_BYTES];
    size_t at = 0;
    uint32_t chosen = run->memory->found ? IN(run->memory->found) : chain_choose(run);
    if (chosen == 0)
        return;
    run->in_chain = (chosen & (chosen - 1)) != 0;
    for (size_t i = 0; i < sizeof chain / sizeof chain[0]; i++) {
        if (!(chosen & IN(chain[i])))
            continue;
        run->kind = chain[i];
        one_try(run);
        if (run->result->verdict == CREDENTIAL_GIVEN)
            run->memory->found = chain[i];
        if (run->result->verdict != CREDENTIAL_ABSENT)
            return;
        int len = snprintf(reasons + at, sizeof reasons - at, "%s%.240s", at ? "; " : "", run->result->error);
        at = at + (size_t)len < sizeof reasons ? at + (size_t)len : sizeof reasons - 1;
    }
    run->kind = CREDENTIAL_DEFAULT;
    credential_say(run, CREDENTIAL_ABSENT, "no credential is available: %s", reasons);
}

/* The links that AZURE_TOKEN_CREDENTIALS leaves; 0: it is wrong, and that was said. */
static uint32_t chain_choose(struct credential_run *run)
{
    static const struct {
        const char *name;
        uint32_t chosen;
    } known[] = {
        {"prod", IN(CREDENTIAL_ENVIRONMENT) | IN(CREDENTIAL_WORKLOAD_IDENTITY) | IN(CREDENTIAL_MANAGED_IDENTITY)},
        {"dev", IN(CREDENTIAL_AZURE_CLI)},
        {"EnvironmentCredential", IN(CREDENTIAL_ENVIRONMENT)},
        {"WorkloadIdentityCredential", IN(CREDENTIAL_WORKLOAD_IDENTITY)},
        {"ManagedIdentityCredential", IN(CREDENTIAL_MANAGED_IDENTITY)},
        {"AzureCliCredential", IN(CREDENTIAL_AZURE_CLI)},
    };
    const char *value = getenv(CHAIN_VARIABLE);
    char text[64];
    while (value && isspace((unsigned char)*value))
        value++;
    size_t len = value ? strlen(value) : 0;
    while (len > 0 && isspace((unsigned char)value[len - 1]))
        len--;
    if (len == 0)
        return known[0].chosen | known[1].chosen;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == len && strncasecmp(known[i].name, value, len) == 0)
            return known[i].chosen;
    credential_text_clean(value, NULL, text, sizeof text);
    credential_say(run, CREDENTIAL_REFUSED,
                   CHAIN_VARIABLE " is \"%s\": it may be prod, dev, EnvironmentCredential, WorkloadIdentityCredential, "
                                  "ManagedIdentityCredential or AzureCliCredential",
                   text);
    return 0;
}

static void one_try(struct credential_run *run)
{
    switch (run->kind) {
    case CREDENTIAL_SAS:
    case CREDENTIAL_DEFAULT:
    case CREDENTIAL_KINDS:
        credential_say(run, CREDENTIAL_REFUSED, "not a credential of its own");
        return;
    case CREDENTIAL_ENVIRONMENT:
        environment_try(run);
        return;
    case CREDENTIAL_CLIENT_SECRET:
        credential_secret_fetch(run);
        return;
    case CREDENTIAL_CLIENT_CERTIFICATE:
        credential_certificate_fetch(run);
        return;
    case CREDENTIAL_WORKLOAD_IDENTITY:
        credential_workload_fetch(run);
        return;
    case CREDENTIAL_MANAGED_IDENTITY:
        credential_managed_fetch(run);
        return;
    case CREDENTIAL_AZURE_CLI:
        credential_cli_fetch(run);
        return;
    }
}

static void environment_try(struct credential_run *run)
{
    const struct credential_options *o = run->options;
    if (o->client_secret[0])
        credential_secret_fetch(run);
    else if (o->client_certificate[0])
        credential_certificate_fetch(run);
    else
        credential_say(run, CREDENTIAL_ABSENT, "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set");
}

int64_t credential_retry_wait_ms(const struct credential_result *result, const struct credential_limits *limits, uint32_t tried)
{
    if (result->verdict != CREDENTIAL_LATER || tried > (result->is_updating ? limits->updating_count : limits->retry_count))
        return -1;
    if (result->wait_ms > limits->retry_max_ms)
        return -1; /* whoever waits is better told */
    int64_t wait_ms = backoff_wait_ns(tried, limits->retry_ms, limits->retry_max_ms / 1000) / CLOCK_NS_PER_MS;
    if (result->is_updating)
        wait_ms = limits->updating_ms;
    return result->wait_ms > wait_ms ? result->wait_ms : wait_ms;
}

void credential_fetch(const struct credential_options *options, const struct credential_limits *limits, struct credential_memory *memory,
                      int stop_fd, int64_t deadline_ns, struct credential_result *result)
{
    for (uint32_t tried = 1;; tried++) {
        credential_try(options, limits, memory, stop_fd, deadline_ns, result);
        int64_t wait_ms = credential_retry_wait_ms(result, limits, tried), left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_NS_PER_MS;
        struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
        if (wait_ms < 0 || left_ms <= wait_ms || poll(&stop, stop_fd >= 0 ? 1 : 0, (int)wait_ms) > 0)
            return;
    }
}
