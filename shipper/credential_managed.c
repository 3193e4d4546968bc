/* Managed identities: IMDS of a virtual machine, App Service, Cloud Shell, Azure Arc, Azure Machine Learning. Never through a proxy. */
#include "credential_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"

#define IMDS_DEFAULT "http://169.254.169.254"
#define IMDS_PATH "/metadata/identity/oauth2/token"
#define ARC_KEY_BYTES_MAX 4096
#define URL_BYTES_MAX 4096u
#define HEADER_BYTES_MAX 8192u

enum place { PLACE_IMDS, PLACE_APP_SERVICE, PLACE_APP_SERVICE_2017, PLACE_CLOUD_SHELL, PLACE_ARC, PLACE_SERVICE_FABRIC };

/* How a place is asked; the names of the parameter for a user-assigned identity, NULL: it takes none. */
static const struct dialect {
    const char *name, *version, *secret_header, *client_id, *object_id, *resource_id;
} dialects[] = {
    [PLACE_IMDS] = {"IMDS", "2018-02-01", NULL, "client_id", "object_id", "msi_res_id"},
    [PLACE_APP_SERVICE] = {"App Service", "2019-08-01", "X-IDENTITY-HEADER", "client_id", "principal_id", "mi_res_id"},
    [PLACE_APP_SERVICE_2017] = {"App Service", "2017-09-01", "secret", "clientid", NULL, NULL},
    [PLACE_CLOUD_SHELL] = {"Cloud Shell", NULL, NULL, NULL, NULL, NULL},
    [PLACE_ARC] = {"Azure Arc", "2019-11-01", NULL, NULL, NULL, NULL},
    [PLACE_SERVICE_FABRIC] = {"Service Fabric", NULL, NULL, NULL, NULL, NULL},
};

struct call {
    struct credential_run *run;
    enum place place;
    const struct dialect *dialect;
    const char *base;             /* of the URL */
    struct credential_text url;   /* whole */
    struct credential_text body;  /* Cloud Shell's */
    struct credential_text proof; /* a header with a secret */
    struct credential_answer answer;
};

static enum place place_find(const char **base);
static bool imds_is_there(struct call *call);
static bool question_make(struct call *call);
static bool identity_put(struct call *call);
static void secret_put(struct call *call, const char *name, const char *value);
static int question_ask(struct call *call, const char *metadata, int64_t connect_ms);
static void arc_answer_challenge(struct call *call);
static void answered(struct call *call);
static void unreachable(struct call *call, int error);

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

void credential_managed_fetch(struct credential_run *run)
{
    struct call call = {.run = run};
    call.place = place_find(&call.base);
    call.dialect = &dialects[call.place];
    if (call.place == PLACE_SERVICE_FABRIC)
        credential_say(run, CREDENTIAL_REFUSED, "identities of Service Fabric (IDENTITY_SERVER_THUMBPRINT is set) are not supported");
    else if (question_make(&call) && (call.place != PLACE_IMDS || !run->in_chain || imds_is_there(&call))) {
        int rc = question_ask(&call, "Metadata: true", run->limits->connect_ms);
        if (rc == 0 && call.place == PLACE_ARC && call.answer.status == 401)
            arc_answer_challenge(&call);
        else if (rc == 0)
            answered(&call);
        else
            unreachable(&call, rc);
    }
    credential_answer_free(&call.answer);
    credential_text_free(&call.proof);
    credential_text_free(&call.body);
    credential_text_free(&call.url);
}

static enum place place_find(const char **base)
{
    const char *identity = variable("IDENTITY_ENDPOINT"), *msi = variable("MSI_ENDPOINT"),
               *pod = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    *base = identity;
    if (identity && variable("IDENTITY_HEADER"))
        return variable("IDENTITY_SERVER_THUMBPRINT") ? PLACE_SERVICE_FABRIC : PLACE_APP_SERVICE;
    if (identity && variable("IMDS_ENDPOINT"))
        return PLACE_ARC;
    *base = msi;
    if (msi)
        return variable("MSI_SECRET") ? PLACE_APP_SERVICE_2017 : PLACE_CLOUD_SHELL;
    *base = pod ? pod : IMDS_DEFAULT;
    return PLACE_IMDS;
}

/* On an ordinary machine nothing answers there, and connecting would take its whole time-out. Without its header IMDS refuses: any answer
 * tells that it is there. */
static bool imds_is_there(struct call *call)
{
    struct credential_run *run = call->run;
    if (run->memory->imds_seen)
        return true;
    int rc = question_ask(call, NULL, run->limits->probe_ms);
    run->memory->imds_seen = rc == 0;
    if (rc != 0)
        credential_say(run, CREDENTIAL_ABSENT, "no IMDS at %.200s: %s", call->base, call->answer.error);
    return rc == 0;
}

static bool question_make(struct call *call)
{
    const struct dialect *dialect = call->dialect;
    struct credential_text *url = &call->url;
    char version[64];
    size_t base_len = strlen(call->base);
    if (call->place == PLACE_IMDS)
        while (base_len > 0 && call->base[base_len - 1] == '/')
            base_len--;
    credential_text_put(url, call->base, base_len, URL_BYTES_MAX);
    if (call->place == PLACE_IMDS)
        credential_text_put(url, IMDS_PATH, strlen(IMDS_PATH), URL_BYTES_MAX);
    if (call->place == PLACE_CLOUD_SHELL) {
        credential_text_field(&call->body, "resource", CREDENTIAL_RESOURCE);
    } else {
        int len = snprintf(version, sizeof version, "%capi-version=%s", strchr(call->base, '?') ? '&' : '?', dialect->version);
        credential_text_put(url, version, (size_t)len, URL_BYTES_MAX);
        credential_text_field(url, "resource", CREDENTIAL_RESOURCE);
    }
    if (!identity_put(call))
        return false;
    if (dialect->secret_header)
        secret_put(call, dialect->secret_header, variable(call->place == PLACE_APP_SERVICE ? "IDENTITY_HEADER" : "MSI_SECRET"));
    if (url->error == 0 && call->body.error == 0 && call->proof.error == 0)
        return true;
    credential_say(call->run, CREDENTIAL_REFUSED, "%s: the endpoint's address or secret is too long or malformed", dialect->name);
    return false;
}

/* The identity of a machine has no name; one that the user has assigned has one of three. */
static bool identity_put(struct call *call)
{
    const struct credential_options *o = call->run->options;
    const char *key = o->object_id[0] ? "object_id" : o->resource_id[0] ? "resource_id" : "client_id";
    const char *value = o->object_id[0] ? o->object_id : o->resource_id[0] ? o->resource_id : o->client_id;
    const char *name = o->object_id[0]     ? call->dialect->object_id
                       : o->resource_id[0] ? call->dialect->resource_id
                                           : call->dialect->client_id;
    if (!value[0])
        return true;
    if (name)
        credential_text_field(&call->url, name, value);
    else
        credential_say(call->run, CREDENTIAL_REFUSED, "%s takes no user-assigned identity by %s", call->dialect->name, key);
    return name != NULL;
}

static void secret_put(struct call *call, const char *name, const char *value)
{
    struct credential_text *proof = &call->proof;
    if (strpbrk(value, "\r\n")) {
        proof->error = -EINVAL;
        return;
    }
    credential_text_put(proof, name, strlen(name), HEADER_BYTES_MAX);
    credential_text_put(proof, ": ", 2, HEADER_BYTES_MAX);
    credential_text_put(proof, value, strlen(value), HEADER_BYTES_MAX);
}

/* `metadata` NULL: a probe. */
static int question_ask(struct call *call, const char *metadata, int64_t connect_ms)
{
    const struct credential_limits *limits = call->run->limits;
    struct credential_request request = {.url = call->url.data,
                                         .body = call->body.data,
                                         .header = {call->proof.data, NULL},
                                         .reach = CREDENTIAL_LOCAL,
                                         .connect_ms = connect_ms,
                                         .total_ms = metadata ? limits->total_ms : limits->probe_ms};
    if (metadata && !call->dialect->secret_header)
        request.header[call->proof.data ? 1 : 0] = metadata;
    credential_answer_free(&call->answer);
    return credential_http(call->run, &request, &call->answer);
}

/* Whoever can read the named file, may have a token. The name comes over the wire: it is used only if it is where the agent puts them. */
static void arc_answer_challenge(struct call *call)
{
    struct credential_run *run = call->run;
    const char *realm = strchr(call->answer.challenge, '='), *dir = run->limits->arc_key_dir;
    size_t dir_len = strlen(dir), len;
    char path[1200], why[700], *key = NULL;
    if (!realm || strchr(realm + 1, '=') || strncasecmp(call->answer.challenge, "Basic realm", 11) != 0) {
        credential_say(run, CREDENTIAL_REFUSED, "Azure Arc: its challenge is not Basic realm=FILE");
        return;
    }
    snprintf(path, sizeof path, "%s", realm + 1);
    len = strlen(path);
    if (strncmp(path, dir, dir_len) != 0 || path[dir_len] != '/' || strchr(path + dir_len + 1, '/') || len < dir_len + 6 ||
        strcmp(path + len - 4, ".key") != 0) {
        credential_say(run, CREDENTIAL_REFUSED, "Azure Arc: its challenge names a file that is not %s/NAME.key", dir);
        return;
    }
    int64_t key_len = credential_file_read(path, &key, why, sizeof why);
    if (key_len < 0) {
        credential_say(run, CREDENTIAL_REFUSED, "Azure Arc: %s", why);
        run->result->remedy = "the user must be in the group himds";
    } else if (key_len > ARC_KEY_BYTES_MAX) {
        credential_say(run, CREDENTIAL_REFUSED, "Azure Arc: %.600s of %lld bytes is larger than %d", path, (long long)key_len,
                       ARC_KEY_BYTES_MAX);
    } else {
        static const char name[] = "Authorization: Basic ";
        credential_text_put(&call->proof, name, sizeof name - 1, HEADER_BYTES_MAX);
        credential_text_put(&call->proof, key, (size_t)key_len, HEADER_BYTES_MAX);
        int rc = question_ask(call, "Metadata: true", run->limits->connect_ms);
        if (rc == 0)
            answered(call);
        else
            unreachable(call, rc);
    }
    if (key)
        explicit_bzero(key, (size_t)key_len);
    free(key);
}

static void answered(struct call *call)
{
    struct credential_run *run = call->run;
    const struct credential_answer *answer = &call->answer;
    const char *name = call->dialect->name;
    char text[400];
    bool imds = call->place == PLACE_IMDS;
    if (answer->status == 200) {
        if (credential_token_parse(answer->body, answer->len, CREDENTIAL_OF_MANAGED, run->limits, clock_wall_ns(), &run->result->token,
                                   text, sizeof text) == 0)
            run->result->verdict = CREDENTIAL_GIVEN;
        else
            credential_say(run, CREDENTIAL_LATER, "%s: %s", name, text);
        return;
    }
    credential_error_text(answer->body, answer->len, NULL, text, sizeof text);
    if (imds && (answer->status == 400 || (answer->status == 403 && strstr(text, "unreachable")))) {
        credential_say(run, CREDENTIAL_ABSENT, "IMDS answers %d, no identity is assigned to this machine, or not the one that is named: %s",
                       answer->status, text);
        return;
    }
    bool passes = answer->status == 404 || answer->status == 408 || answer->status == 410 || answer->status == 429 || answer->status >= 500;
    credential_say(run, passes ? CREDENTIAL_LATER : CREDENTIAL_REFUSED, "%s answers %d: %s", name, answer->status, text);
    run->result->is_updating = imds && answer->status == 410;
    run->result->wait_ms = answer->retry_after_ms;
}

/* That nothing answers at IMDS' address is what most machines are like; elsewhere a variable has promised it. */
static void unreachable(struct call *call, int error)
{
    bool absent = call->place == PLACE_IMDS && !call->run->memory->imds_seen && error != -EMSGSIZE && error != -ECANCELED;
    if (absent)
        credential_say(call->run, CREDENTIAL_ABSENT, "no IMDS at %.200s: %s", call->base, call->answer.error);
    else
        credential_say(call->run, error == -EMSGSIZE || error == -EINVAL ? CREDENTIAL_REFUSED : CREDENTIAL_LATER, "%s at %.200s: %s",
                       call->dialect->name, call->base, call->answer.error);
}
