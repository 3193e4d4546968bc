/* Managed identities: each place that gives them is asked in its own way, never through a proxy, and its refusals are told apart. */
#include "entra_rig.h"

static struct credential_options options;
static struct credential_memory memory;
static struct credential_result result;
static struct credential_limits limits;

#define RESOURCE "resource=https%3A%2F%2Feventhubs.azure.net"

static char good[400]; /* as IMDS gives it: every value a string */

static void set_up(void)
{
    entra_open();
    limits = entra_limits;
    options = (struct credential_options){.kind = CREDENTIAL_MANAGED_IDENTITY};
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* whoever asked it would fail */
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    snprintf(good, sizeof good,
             "{\"access_token\":\"" ENTRA_TOKEN
             "\",\"client_id\":\"c\",\"expires_in\":\"86399\",\"expires_on\":\"%lld\",\"not_before\":\"1\","
             "\"resource\":\"https://eventhubs.azure.net\",\"token_type\":\"Bearer\"}",
             (long long)time(NULL) + 7000);
    ENTRA_ANSWERS({.status = 200, .body = good});
}

static void tear_down(void)
{
    credential_token_give(result.token);
    entra_close();
}

TestSuite(credential_managed, .init = set_up, .fini = tear_down, .timeout = 120);

static void imds(void)
{
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", entra_plain("/"), 1);
}

static void fetch(enum credential_verdict verdict)
{
    credential_token_give(result.token);
    credential_fetch(&options, &limits, &memory, -1, INT64_MAX, &result);
    cr_assert_eq(result.verdict, verdict, "verdict %d: %s", result.verdict, result.error);
    cr_assert_eq(result.token != NULL, verdict == CREDENTIAL_GIVEN);
}

Test(credential_managed, imds_is_asked_with_its_header_and_believed_about_the_end)
{
    imds();
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 1);
    cr_assert_str_eq(entra.request[0].line, "GET /metadata/identity/oauth2/token?api-version=2018-02-01&" RESOURCE);
    entra_expect(entra.request[0].headers, "Metadata: true\n");
    cr_assert_str_eq(result.token->text, ENTRA_TOKEN);
    int64_t left_s = (result.token->expires_ns - clock_wall_ns()) / CLOCK_NS_PER_SECOND;
    cr_assert(left_s <= 7000 && left_s > 6900, "%lld s: the life counts from an issue long ago", (long long)left_s);
}

Test(credential_managed, a_long_life_is_renewed_at_its_half)
{
    imds();
    ENTRA_ANSWERS({.status = 200, .body = "{\"access_token\":\"a\",\"expires_in\":\"86400\"}"});
    fetch(CREDENTIAL_GIVEN);
    int64_t refresh_s = (result.token->refresh_ns - clock_wall_ns()) / CLOCK_NS_PER_SECOND;
    cr_assert(refresh_s <= 43200 && refresh_s >= 43200 - 200, "%lld", (long long)refresh_s);
}

Test(credential_managed, a_user_assigned_identity_is_named_in_each_places_own_words)
{
    imds();
    setenv("AZURE_CLIENT_ID", "of-env", 1);
    fetch(CREDENTIAL_GIVEN);
    entra_expect(entra.request[0].line, RESOURCE "&client_id=of-env");
    strcpy(options.resource_id, "/subscriptions/1/a b");
    fetch(CREDENTIAL_GIVEN);
    entra_expect(entra.request[1].line, RESOURCE "&msi_res_id=%2Fsubscriptions%2F1%2Fa%20b");
    strcpy(options.object_id, "o-1");
    fetch(CREDENTIAL_GIVEN);
    entra_expect(entra.request[2].line, RESOURCE "&object_id=o-1");
    entra_expect_not(entra.request[2].line, "of-env");
    setenv("IDENTITY_ENDPOINT", entra_plain("/msi/token"), 1);
    setenv("IDENTITY_HEADER", "hunter2", 1);
    fetch(CREDENTIAL_GIVEN);
    entra_expect(entra.request[3].line, "&principal_id=o-1");
    options.object_id[0] = '\0';
    fetch(CREDENTIAL_GIVEN);
    entra_expect(entra.request[4].line, "&mi_res_id=%2Fsubscriptions");
    options.resource_id[0] = '\0';
    fetch(CREDENTIAL_GIVEN);
    entra_expect(entra.request[5].line, "&client_id=of-env");
}

Test(credential_managed, imds_that_knows_no_identity_is_unavailable_and_not_asked_again)
{
    imds();
    ENTRA_ANSWERS({.status = 400, .body = "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}"});
    fetch(CREDENTIAL_ABSENT);
    cr_assert_eq(entra.request_count, 1);
    entra_expect(result.error, "managed-identity: IMDS answers 400");
    entra_expect(result.error, "Identity not found");
}

Test(credential_managed, imds_that_is_busy_or_not_ready_is_asked_again)
{
    imds();
    ENTRA_ANSWERS({.status = 404, .body = ""}, {.status = 429, .body = "{}"}, {.status = 500, .body = ""}, {.status = 503, .body = ""},
                  {.status = 429, .body = ""}, {.status = 200, .body = good});
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 6);
    ENTRA_ANSWERS({.status = 429, .body = "{\"error\":\"Too Many Requests\"}"});
    fetch(CREDENTIAL_LATER);
    cr_assert_eq(entra.request_count, 12, "one more attempt than retries");
    entra_expect(result.error, "IMDS answers 429: Too Many Requests");
}

Test(credential_managed, imds_that_is_being_updated_has_seventy_seconds)
{
    const struct credential_limits *usual = &credential_limits_default;
    imds();
    ENTRA_ANSWERS({.status = 410, .body = ""});
    fetch(CREDENTIAL_LATER);
    cr_assert(result.is_updating);
    cr_assert_eq(entra.request_count, 1 + (int)limits.updating_count);
    cr_assert_eq(usual->updating_ms * usual->updating_count, 70000);
    for (uint32_t tried = 1; tried <= 7; tried++)
        cr_assert_eq(credential_retry_wait_ms(&result, usual, tried), 10000);
    cr_assert_eq(credential_retry_wait_ms(&result, usual, 8), -1);
}

Test(credential_managed, waits_double_obey_retry_after_and_end)
{
    const struct credential_limits *usual = &credential_limits_default;
    result = (struct credential_result){.verdict = CREDENTIAL_LATER};
    for (uint32_t tried = 1; tried <= 5; tried++) {
        int64_t wait_ms = credential_retry_wait_ms(&result, usual, tried);
        cr_assert(wait_ms >= 400 && wait_ms <= 800 << (tried - 1), "%lld after %u", (long long)wait_ms, tried);
    }
    cr_assert_eq(credential_retry_wait_ms(&result, usual, 6), -1);
    result.wait_ms = 30000;
    cr_assert_eq(credential_retry_wait_ms(&result, usual, 1), 30000);
    result.wait_ms = 61000;
    cr_assert_eq(credential_retry_wait_ms(&result, usual, 1), -1);
    result = (struct credential_result){.verdict = CREDENTIAL_REFUSED};
    cr_assert_eq(credential_retry_wait_ms(&result, usual, 1), -1);
}

Test(credential_managed, in_the_chain_imds_is_probed_without_its_header_once)
{
    imds();
    options.kind = CREDENTIAL_DEFAULT;
    ENTRA_ANSWERS({.status = 400, .body = "{\"error\":\"header missing\"}"}, {.status = 200, .body = good});
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 2);
    entra_expect_not(entra.request[0].headers, "Metadata");
    entra_expect(entra.request[1].headers, "Metadata: true\n");
    cr_assert_eq(memory.found, CREDENTIAL_MANAGED_IDENTITY);
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 3, "it is there: that is known now");
}

Test(credential_managed, where_there_is_no_imds_the_probe_ends_soon)
{
    uint16_t port;
    int fd = entra_hanging(&port);
    char host[64];
    snprintf(host, sizeof host, "http://127.0.0.1:%u", port);
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", host, 1);
    setenv("AZURE_TOKEN_CREDENTIALS", "prod", 1);
    options.kind = CREDENTIAL_DEFAULT;
    limits.probe_ms = 50;
    fetch(CREDENTIAL_ABSENT);
    entra_expect(result.error, "managed-identity: no IMDS at http://127.0.0.1:");
    close(fd);
    options.kind = CREDENTIAL_MANAGED_IDENTITY;
    fetch(CREDENTIAL_ABSENT);
    entra_expect(result.error, "no IMDS at");
}

Test(credential_managed, an_answer_of_ten_megabytes_and_garbage_are_refused)
{
    imds();
    ENTRA_ANSWERS({.status = 200, .body = good, .padding = 10u << 20});
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "larger than 1048576 bytes");
    ENTRA_ANSWERS({.status = 200, .body = "<html>"});
    fetch(CREDENTIAL_LATER);
    entra_expect(result.error, "IMDS: its answer of 6 bytes is not JSON");
}

Test(credential_managed, app_service_is_asked_with_its_secret_header)
{
    setenv("IDENTITY_ENDPOINT", entra_plain("/msi/token"), 1);
    setenv("IDENTITY_HEADER", "hunter2", 1);
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra.request[0].line, "GET /msi/token?api-version=2019-08-01&" RESOURCE);
    entra_expect(entra.request[0].headers, "X-IDENTITY-HEADER: hunter2\n");
    entra_expect_not(entra.request[0].headers, "Metadata");
    ENTRA_ANSWERS({.status = 400, .body = "{\"statusCode\":400,\"message\":\"No MSI found\"}"});
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "App Service answers 400: No MSI found");
    setenv("IDENTITY_HEADER", "a\r\nb", 1);
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "malformed");
}

Test(credential_managed, the_app_service_of_2017_has_other_names_and_a_date)
{
    char body[200], date[64];
    time_t end = time(NULL) + 5000;
    setenv("MSI_ENDPOINT", entra_plain("/msi/token?x=1"), 1);
    setenv("MSI_SECRET", "hunter2", 1);
    strcpy(options.client_id, "c-1");
    static const char *const forms[] = {"%m/%d/%Y %H:%M:%S +00:00", "%m/%d/%Y %I:%M:%S %p +00:00"};
    for (int i = 0; i < 2; i++) {
        strftime(date, sizeof date, forms[i], gmtime(&end));
        snprintf(body, sizeof body, "{\"access_token\":\"a\",\"expires_on\":\"%s\"}", date);
        ENTRA_ANSWERS({.status = 200, .body = body});
        fetch(CREDENTIAL_GIVEN);
        cr_assert_eq(result.token->expires_ns / CLOCK_NS_PER_SECOND, end, "%s", date);
        cr_assert_str_eq(entra.request[i].line, "GET /msi/token?x=1&api-version=2017-09-01&" RESOURCE "&clientid=c-1");
        entra_expect(entra.request[i].headers, "secret: hunter2\n");
    }
    strcpy(options.object_id, "o-1");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "takes no user-assigned identity by object_id");
}

Test(credential_managed, cloud_shell_is_posted_to)
{
    setenv("MSI_ENDPOINT", entra_plain("/oauth2/token"), 1);
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra.request[0].line, "POST /oauth2/token");
    cr_assert_str_eq(entra.request[0].body, RESOURCE);
    entra_expect(entra.request[0].headers, "Metadata: true\n");
}

Test(credential_managed, service_fabric_is_said_not_to_be_supported)
{
    setenv("IDENTITY_ENDPOINT", entra_plain("/x"), 1);
    setenv("IDENTITY_HEADER", "hunter2", 1);
    setenv("IDENTITY_SERVER_THUMBPRINT", "ab", 1);
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "Service Fabric");
    entra_expect(result.error, "not supported");
    cr_assert_eq(entra.request_count, 0);
}

static void arc(const char *challenge)
{
    setenv("IDENTITY_ENDPOINT", entra_plain("/metadata/identity/oauth2/token"), 1);
    setenv("IMDS_ENDPOINT", "http://localhost:40342", 1);
    limits.arc_key_dir = entra.dir;
    ENTRA_ANSWERS({.status = 401, .body = "", .header = "WWW-Authenticate", .value = challenge}, {.status = 200, .body = good});
}

Test(credential_managed, arc_wants_a_key_that_its_agent_has_put_where_it_says)
{
    char challenge[300];
    snprintf(challenge, sizeof challenge, "Basic realm=%s", entra_file("one.key", "hunter2"));
    arc(challenge);
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 2);
    cr_assert_str_eq(entra.request[0].line, "GET /metadata/identity/oauth2/token?api-version=2019-11-01&" RESOURCE);
    entra_expect(entra.request[0].headers, "Metadata: true\n");
    entra_expect_not(entra.request[0].headers, "Authorization");
    cr_assert_str_eq(entra.request[1].line, entra.request[0].line);
    entra_expect(entra.request[1].headers, "Metadata: true\n");
    entra_expect(entra.request[1].headers, "Authorization: Basic hunter2\n");
}

Test(credential_managed, arc_does_not_make_us_read_another_file)
{
    char big[5000], challenge[8][400];
    const char *why[8];
    memset(big, 'k', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    snprintf(challenge[0], 400, "Basic realm=/etc/passwd"), why[0] = "NAME.key";
    snprintf(challenge[1], 400, "Basic realm=%s/../x.key", entra.dir), why[1] = "NAME.key";
    snprintf(challenge[2], 400, "Basic realm=%s/one.pem", entra.dir), why[2] = "NAME.key";
    snprintf(challenge[3], 400, "Basic realm=%s/a=b.key", entra.dir), why[3] = "is not Basic realm=FILE";
    snprintf(challenge[4], 400, "Digest realm=%s/one.key", entra.dir), why[4] = "is not Basic realm=FILE";
    snprintf(challenge[5], 400, "Basic realm=%sx/one.key", entra.dir), why[5] = "NAME.key";
    snprintf(challenge[6], 400, "Basic realm=%s/none.key", entra.dir), why[6] = "cannot be read";
    snprintf(challenge[7], 400, "Basic realm=%s", entra_file("big.key", big)), why[7] = "is larger than 4096";
    for (int i = 0; i < 8; i++) {
        int before = entra.request_count;
        arc(challenge[i]);
        fetch(CREDENTIAL_REFUSED);
        entra_expect(result.error, "Azure Arc");
        entra_expect(result.error, why[i]);
        cr_assert_eq(entra.request_count, before + 1, "%s", challenge[i]);
    }
}

Test(credential_managed, arc_takes_no_user_assigned_identity)
{
    arc("Basic realm=x");
    strcpy(options.client_id, "c-1");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "Azure Arc takes no user-assigned identity by client_id");
    cr_assert_eq(entra.request_count, 0);
}
