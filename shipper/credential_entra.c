/* Tokens from Entra ID itself: by client secret, by certificate, by the token of a workload's own issuer. */
#include "credential_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"

#define AUTHORITY_DEFAULT "login.microsoftonline.com"
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
#define HOST_CHARACTERS ID_CHARACTERS ":[]/"

static bool wants(struct credential_run *run, const char *needed[][2]);
static bool names_are_plain(struct credential_run *run);
static int token_url(struct credential_run *run, char *url, size_t url_len);
static void token_ask(struct credential_run *run, const char *url, const char *name, const char *secret);
static void token_answered(struct credential_run *run, const char *url, const struct credential_answer *answer, const char *secret);
static const char *host_of(const char *url, char *host, size_t host_len);

void credential_secret_fetch(struct credential_run *run)
{
    const struct credential_options *o = run->options;
    const char *needed[][2] = {{o->tenant_id, "tenant_id (AZURE_TENANT_ID)"},
                               {o->client_id, "client_id (AZURE_CLIENT_ID)"},
                               {o->client_secret, "client_secret (AZURE_CLIENT_SECRET)"},
                               {NULL, NULL}};
    char url[512];
    if (wants(run, needed) && token_url(run, url, sizeof url) == 0)
        token_ask(run, url, "client_secret", o->client_secret);
}

void credential_certificate_fetch(struct credential_run *run)
{
    const struct credential_options *o = run->options;
    const char *needed[][2] = {{o->tenant_id, "tenant_id (AZURE_TENANT_ID)"},
                               {o->client_id, "client_id (AZURE_CLIENT_ID)"},
                               {o->client_certificate, "client_certificate (AZURE_CLIENT_CERTIFICATE_PATH)"},
                               {NULL, NULL}};
    char url[512], why[700], *assertion = NULL;
    if (!wants(run, needed) || token_url(run, url, sizeof url) != 0)
        return;
    int rc = credential_assertion_make(o->client_certificate, o->client_certificate_password, o->client_id, url,
                                       clock_wall_ns() / CLOCK_NS_PER_SECOND, &assertion, why, sizeof why);
    if (rc != 0) {
        credential_say(run, CREDENTIAL_REFUSED, "%s", why);
        return;
    }
    token_ask(run, url, "client_assertion", assertion);
    explicit_bzero(assertion, strlen(assertion));
    free(assertion);
}

/* The file is read again each time: whoever issues it replaces it long before its end. */
void credential_workload_fetch(struct credential_run *run)
{
    const struct credential_options *o = run->options;
    const char *needed[][2] = {{o->tenant_id, "tenant_id (AZURE_TENANT_ID)"},
                               {o->client_id, "client_id (AZURE_CLIENT_ID)"},
                               {o->token_file, "token_file (AZURE_FEDERATED_TOKEN_FILE)"},
                               {NULL, NULL}};
    char url[512], why[700], *assertion = NULL;
    if (!wants(run, needed) || token_url(run, url, sizeof url) != 0)
        return;
    int64_t len = credential_file_read(o->token_file, &assertion, why, sizeof why);
    if (len < 0) {
        credential_say(run, CREDENTIAL_REFUSED, "token_file: %s", why);
        return;
    }
    token_ask(run, url, "client_assertion", assertion);
    explicit_bzero(assertion, (size_t)len);
    free(assertion);
}

/* What is missing is told in one go. */
static bool wants(struct credential_run *run, const char *needed[][2])
{
    char missing[300] = "";
    size_t at = 0;
    for (size_t i = 0; needed[i][0]; i++)
        if (!needed[i][0][0])
            at += (size_t)snprintf(missing + at, sizeof missing - at, "%s%s", at ? ", " : "", needed[i][1]);
    if (at > 0)
        credential_say(run, CREDENTIAL_ABSENT, "not set: %s", missing);
    return at == 0;
}

static bool names_are_plain(struct credential_run *run)
{
    const struct credential_options *o = run->options;
    const char *wrong = NULL;
    if (o->tenant_id[strspn(o->tenant_id, ID_CHARACTERS)] || o->tenant_id[strspn(o->tenant_id, ".")] == '\0')
        wrong = "tenant_id";
    else if (o->client_id[strspn(o->client_id, ID_CHARACTERS)])
        wrong = "client_id";
    if (wrong)
        credential_say(run, CREDENTIAL_REFUSED, "%s has a character other than A-Z a-z 0-9 . - _", wrong);
    return !wrong;
}

/* The authority is a host, with or without https:// and a final slash. Nothing but TLS: what goes there is a secret. */
static int token_url(struct credential_run *run, char *url, size_t url_len)
{
    const struct credential_options *o = run->options;
    const char *host = o->authority_host[0] ? o->authority_host : AUTHORITY_DEFAULT;
    if (!names_are_plain(run))
        return -EINVAL;
    if (strncasecmp(host, "http://", 7) == 0) {
        credential_say(run, CREDENTIAL_REFUSED, "authority_host (AZURE_AUTHORITY_HOST) is http: only https is spoken");
        return -EINVAL;
    }
    if (strncasecmp(host, "https://", 8) == 0)
        host += 8;
    size_t len = strlen(host);
    while (len > 0 && host[len - 1] == '/')
        len--;
    if (len == 0 || host[strspn(host, HOST_CHARACTERS)]) {
        credential_say(run, CREDENTIAL_REFUSED, "authority_host (AZURE_AUTHORITY_HOST) is not the name of a host");
        return -EINVAL;
    }
    bool adfs = strcasecmp(o->tenant_id, "adfs") == 0;
    snprintf(url, url_len, "https://%.*s/%s/%s", (int)len, host, o->tenant_id, adfs ? "oauth2/token" : "oauth2/v2.0/token");
    return 0;
}

static void token_ask(struct credential_run *run, const char *url, const char *name, const char *secret)
{
    struct credential_text form = {0};
    struct credential_answer answer;
    char host[300];
    credential_text_field(&form, "client_id", run->options->client_id);
    if (strcmp(name, "client_assertion") == 0)
        credential_text_field(&form, "client_assertion_type", ASSERTION_TYPE);
    credential_text_field(&form, name, secret);
    credential_text_field(&form, "grant_type", "client_credentials");
    credential_text_field(&form, "scope", CREDENTIAL_SCOPE);
    if (form.error != 0) {
        credential_say(run, CREDENTIAL_LATER, "no request could be made: %s", strerror(-form.error));
        credential_text_free(&form);
        return;
    }
    const struct credential_request request = {.url = url,
                                               .body = form.data,
                                               .header = {"Accept: application/json"},
                                               .reach = CREDENTIAL_HTTPS,
                                               .connect_ms = run->limits->connect_ms,
                                               .total_ms = run->limits->total_ms};
    int rc = credential_http(run, &request, &answer);
    credential_text_free(&form);
    if (rc == 0)
        token_answered(run, url, &answer, secret);
    else if (rc == -EKEYREJECTED || rc == -EMSGSIZE || rc == -EINVAL)
        credential_say(run, CREDENTIAL_REFUSED, "%s: %s", host_of(url, host, sizeof host), answer.error);
    else
        credential_say(run, CREDENTIAL_LATER, "%s: %s", host_of(url, host, sizeof host), answer.error);
    if (rc == -EKEYREJECTED)
        run->result->remedy = "the authority's certificate is not trusted: SSL_CERT_FILE names further authorities";
    credential_answer_free(&answer);
}

static void token_answered(struct credential_run *run, const char *url, const struct credential_answer *answer, const char *secret)
{
    char host[300], text[400];
    host_of(url, host, sizeof host);
    if (answer->status == 200) {
        if (credential_token_parse(answer->body, answer->len, CREDENTIAL_OF_ENTRA, run->limits, clock_wall_ns(), &run->result->token, text,
                                   sizeof text) == 0)
            run->result->verdict = CREDENTIAL_GIVEN;
        else
            credential_say(run, CREDENTIAL_LATER, "%s: %s", host, text);
        return;
    }
    credential_error_text(answer->body, answer->len, secret, text, sizeof text);
    bool passes = answer->status == 408 || answer->status == 429 || answer->status >= 500;
    credential_say(run, passes ? CREDENTIAL_LATER : CREDENTIAL_REFUSED, "%s answers %d: %s", host, answer->status, text);
    run->result->remedy = credential_error_remedy(text);
    run->result->wait_ms = answer->retry_after_ms;
}

static const char *host_of(const char *url, char *host, size_t host_len)
{
    const char *start = url + strlen("https://");
    snprintf(host, host_len, "%.*s", (int)strcspn(start, "/"), start);
    return host;
}
