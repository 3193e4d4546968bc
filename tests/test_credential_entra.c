/* Tokens from Entra ID: what is asked, exactly, for each kind of application, and what becomes of each answer. */
#include "entra_rig.h"
#include "port_rig.h"

static struct credential_options options;
static struct credential_memory memory;
static struct credential_result result;
static struct credential_limits limits;

static void set_up(void)
{
    entra_open();
    limits = entra_limits;
    options = (struct credential_options){.kind = CREDENTIAL_CLIENT_SECRET,
                                          .tenant_id = "contoso.example",
                                          .client_id = "11111111-2222",
                                          .client_secret = "p&ss=wörd/+ hunter2"};
    snprintf(options.authority_host, sizeof options.authority_host, "%s", entra_authority());
}

static void tear_down(void)
{
    credential_token_give(result.token);
    entra_close();
}

TestSuite(credential_entra, .init = set_up, .fini = tear_down, .timeout = 120);

static void fetch(enum credential_verdict verdict)
{
    credential_token_give(result.token);
    credential_fetch(&options, &limits, &memory, -1, INT64_MAX, &result);
    cr_assert_eq(result.verdict, verdict, "verdict %d: %s", result.verdict, result.error);
    cr_assert_eq(result.token != NULL, verdict == CREDENTIAL_GIVEN);
}

Test(credential_entra, a_secret_is_posted_as_a_form_and_gives_the_token)
{
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(result.token->text, ENTRA_TOKEN);
    int64_t left_s = (result.token->expires_ns - clock_wall_ns()) / CLOCK_NS_PER_SECOND;
    cr_assert(left_s > 3400 && left_s <= 3599, "%lld s are left", (long long)left_s);
    cr_assert_eq(entra.request_count, 1);
    const struct entra_request *request = &entra.request[0];
    cr_assert_str_eq(request->line, "POST /contoso.example/oauth2/v2.0/token");
    entra_expect(request->headers, "Content-Type: application/x-www-form-urlencoded\n");
    cr_assert_str_eq(request->body, "client_id=11111111-2222&client_secret=p%26ss%3Dw%C3%B6rd%2F%2B%20hunter2&grant_type=client_credentials"
                                    "&scope=https%3A%2F%2Feventhubs.azure.net%2F.default");
}

Test(credential_entra, what_the_options_leave_open_comes_from_the_environment)
{
    options = (struct credential_options){.kind = CREDENTIAL_CLIENT_SECRET, .client_id = "mine"};
    setenv("AZURE_TENANT_ID", "tenant-of-env", 1);
    setenv("AZURE_CLIENT_ID", "not-taken", 1);
    setenv("AZURE_CLIENT_SECRET", "hunter2", 1);
    setenv("AZURE_AUTHORITY_HOST", entra_authority() + strlen("https://"), 1); /* a bare host is fine, too */
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra.request[0].line, "POST /tenant-of-env/oauth2/v2.0/token");
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_id"), "mine");
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_secret"), "hunter2");
}

Test(credential_entra, what_is_missing_is_named_and_nothing_is_asked)
{
    options = (struct credential_options){.kind = CREDENTIAL_CLIENT_SECRET, .client_id = "mine"};
    fetch(CREDENTIAL_ABSENT);
    cr_assert_str_eq(result.error, "client-secret: not set: tenant_id (AZURE_TENANT_ID), client_secret (AZURE_CLIENT_SECRET)");
    cr_assert_eq(entra.request_count, 0);
}

Test(credential_entra, the_tenant_adfs_has_a_path_of_its_own)
{
    strcpy(options.tenant_id, "adfs");
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra.request[0].line, "POST /adfs/oauth2/token");
}

Test(credential_entra, a_tenant_that_would_change_the_path_is_refused)
{
    static const char *const tenants[] = {"a/b", "a?b", "..", "a b", "a%2f", "a\"b"};
    for (size_t i = 0; i < sizeof tenants / sizeof *tenants; i++) {
        strcpy(options.tenant_id, tenants[i]);
        fetch(CREDENTIAL_REFUSED);
        entra_expect(result.error, "tenant_id has a character other than");
    }
    cr_assert_eq(entra.request_count, 0);
}

Test(credential_entra, an_authority_without_tls_is_refused)
{
    static const char *const hosts[] = {"http://localhost", "https://", "https://user@host", "ftp://host", "https://host?x"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        strcpy(options.authority_host, hosts[i]);
        limits.retry_count = 0;
        credential_fetch(&options, &limits, &memory, -1, INT64_MAX, &result);
        cr_assert_neq(result.verdict, CREDENTIAL_GIVEN, "%s", hosts[i]);
        entra_expect_not(result.error, "hunter2");
    }
    cr_assert_eq(entra.request_count, 0);
}

static void refused(const char *body, const char *text, const char *remedy)
{
    ENTRA_ANSWERS({.status = 401, .body = body});
    int before = entra.request_count;
    fetch(CREDENTIAL_REFUSED);
    cr_assert_eq(entra.request_count, before + 1, "a refusal is not tried again");
    entra_expect(result.error, text);
    entra_expect(result.error, "localhost:");
    entra_expect_not(result.error, "hunter2");
    entra_expect_not(result.error, "Trace ID");
    if (remedy)
        entra_expect(result.remedy ? result.remedy : "(none)", remedy);
}

Test(credential_entra, the_well_known_refusals_have_a_remedy)
{
#define REFUSAL(code, text)                                                                                                                \
    "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS" code ": " text                                                          \
    "\\r\\nTrace ID: 1\\r\\nCorrelation ID: 2\",\"error_codes\":[" code "]}"
    refused(REFUSAL("7000215", "Invalid client secret provided."), "answers 401: AADSTS7000215: Invalid client secret provided.",
            "secret is wrong");
    refused(REFUSAL("7000222", "The provided client secret keys are expired."), "AADSTS7000222", "secret has expired");
    refused(REFUSAL("700016", "Application with identifier 'x' was not found"), "AADSTS700016", "not known in this tenant");
    refused(REFUSAL("90002", "Tenant 'x' not found."), "AADSTS90002", "tenant does not exist");
    refused(REFUSAL("700024", "Client assertion is not within its valid time range."), "AADSTS700024", "clock");
    refused(REFUSAL("70021", "No matching federated identity record found"), "AADSTS70021", "federated");
    refused("{\"error\":\"invalid_scope\"}", "invalid_scope", NULL);
    refused("<html>go away</html>", "without a readable reason", NULL);
}

Test(credential_entra, a_secret_that_is_echoed_is_masked)
{
    ENTRA_ANSWERS({.status = 400, .body = "{\"error_description\":\"secret p&ss=wörd/+ hunter2 and token eyJhbGciOi.eyJh.x9 are bad\"}"});
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "secret *** and token *** are bad");
}

Test(credential_entra, what_passes_is_tried_again_and_then_told)
{
    ENTRA_ANSWERS({.status = 429, .body = "{}"}, {.status = 503, .body = "busy"}, {.status = 500, .body = ""}, {.status = 200});
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(entra.request_count, 4);
    ENTRA_ANSWERS({.status = 503, .body = "{\"error\":\"temporarily_unavailable\"}"});
    fetch(CREDENTIAL_LATER);
    cr_assert_eq(entra.request_count, 4 + 1 + (int)limits.retry_count);
    entra_expect(result.error, "answers 503: temporarily_unavailable");
}

Test(credential_entra, a_long_retry_after_is_told_and_not_waited_for)
{
    ENTRA_ANSWERS({.status = 429, .body = "{}", .header = "Retry-After", .value = "600"});
    fetch(CREDENTIAL_LATER);
    cr_assert_eq(entra.request_count, 1);
    cr_assert_eq(result.wait_ms, 600000);
}

Test(credential_entra, answers_that_are_no_tokens_are_told_apart)
{
    static const struct {
        const char *body, *text;
    } bad[] = {
        {"garbage", "its answer of 7 bytes is not JSON"},
        {"", "its answer of 0 bytes is not JSON"},
        {"[]", "its answer has no access_token"},
        {"{\"access_token\":\"\"}", "its answer has no access_token"},
        {"{\"access_token\":7,\"expires_in\":1}", "its answer has no access_token"},
        {"{\"access_token\":\"a b\",\"expires_in\":100}", "characters that no token has"},
        {"{\"access_token\":\"a\\r\\nb\",\"expires_in\":100}", "characters that no token has"},
        {"{\"access_token\":\"abc\"}", "does not say when the token expires"},
        {"{\"access_token\":\"abc\",\"expires_on\":1000}", "check this machine's clock"},
    };
    limits.retry_count = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ENTRA_ANSWERS({.status = 200, .body = bad[i].body});
        fetch(CREDENTIAL_LATER);
        entra_expect(result.error, bad[i].text);
    }
}

Test(credential_entra, a_token_larger_than_the_limit_is_refused_with_both_sizes)
{
    char *body = malloc(40000);
    int at = sprintf(body, "{\"expires_in\":60,\"access_token\":\"");
    memset(body + at, 'a', CREDENTIAL_TOKEN_BYTES_MAX + 1);
    strcpy(body + at + CREDENTIAL_TOKEN_BYTES_MAX + 1, "\"}");
    limits.retry_count = 0;
    ENTRA_ANSWERS({.status = 200, .body = body});
    fetch(CREDENTIAL_LATER);
    entra_expect(result.error, "token of 16385 bytes exceeds the limit of 16384");
    strcpy(body + at + CREDENTIAL_TOKEN_BYTES_MAX, "\"}");
    ENTRA_ANSWERS({.status = 200, .body = body});
    fetch(CREDENTIAL_GIVEN);
    cr_assert_eq(result.token->len, CREDENTIAL_TOKEN_BYTES_MAX);
    free(body);
}

Test(credential_entra, an_answer_of_ten_megabytes_is_refused_naming_the_limit)
{
    ENTRA_ANSWERS({.status = 200, .padding = 10u << 20});
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "its answer is larger than 1048576 bytes");
}

Test(credential_entra, a_hang_ends_with_the_time_out)
{
    uint16_t port;
    int fd = entra_hanging(&port);
    snprintf(options.authority_host, sizeof options.authority_host, "localhost:%u", port);
    limits.total_ms = 100;
    limits.retry_count = 1;
    fetch(CREDENTIAL_LATER);
    entra_expect(result.error, "localhost:");
    entra_expect(result.error, "time"); /* "timed out" or "timeout", by what libcurl was at */
    close(fd);
}

Test(credential_entra, a_hang_ends_with_the_deadline_and_with_the_word_to_stop)
{
    uint16_t port;
    int fd = entra_hanging(&port), stop[2];
    snprintf(options.authority_host, sizeof options.authority_host, "localhost:%u", port);
    credential_fetch(&options, &credential_limits_default, &memory, -1, clock_mono_ns() + 50 * CLOCK_NS_PER_MS, &result);
    cr_assert_eq(result.verdict, CREDENTIAL_LATER);
    entra_expect(result.error, "no answer in time");
    cr_assert_eq(pipe(stop), 0);
    cr_assert_eq(write(stop[1], "x", 1), 1);
    credential_fetch(&options, &credential_limits_default, &memory, stop[0], INT64_MAX, &result);
    cr_assert_eq(result.verdict, CREDENTIAL_LATER);
    entra_expect(result.error, "stopped");
    close(fd);
}

Test(credential_entra, a_refused_connection_names_the_host)
{
    uint16_t port;
    int fd = port_reserve(&port);
    snprintf(options.authority_host, sizeof options.authority_host, "localhost:%u", port);
    limits.retry_count = 0;
    fetch(CREDENTIAL_LATER);
    entra_expect(result.error, "client-secret: localhost:");
    entra_expect(result.error, "connect to localhost");
    close(fd);
}

Test(credential_entra, a_certificate_of_another_name_or_of_nobody_is_not_trusted)
{
    snprintf(options.authority_host, sizeof options.authority_host, "127.0.0.1:%u", entra.tls_port);
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "127.0.0.1");
    entra_expect(result.remedy, "certificate is not trusted");
    snprintf(options.authority_host, sizeof options.authority_host, "%s", entra_authority());
    unsetenv("SSL_CERT_FILE");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.remedy, "SSL_CERT_FILE");
    cr_assert_eq(entra.request_count, 0);
}

Test(credential_entra, a_proxy_of_the_environment_is_used)
{
    char line[64];
    setenv("https_proxy", entra_plain(""), 1);
    setenv("no_proxy", "", 1);
    limits.retry_count = 0;
    ENTRA_ANSWERS({.status = 403, .body = ""}, {.status = 200});
    fetch(CREDENTIAL_LATER);
    snprintf(line, sizeof line, "CONNECT localhost:%u", entra.tls_port);
    cr_assert_str_eq(entra.request[0].line, line);
    entra_expect(result.error, "403");
    setenv("no_proxy", "localhost", 1);
    fetch(CREDENTIAL_GIVEN);
}

/* ---- life and renewal ---- */

static int64_t refresh_after_s(const char *body)
{
    char why[300];
    struct credential_token *token;
    int64_t now_ns = clock_wall_ns();
    cr_assert_eq(
        credential_token_parse(body, strlen(body), CREDENTIAL_OF_ENTRA, &credential_limits_default, now_ns, &token, why, sizeof why), 0,
        "%s", why);
    int64_t seconds = (token->refresh_ns - now_ns) / CLOCK_NS_PER_SECOND;
    cr_assert_lt(token->refresh_ns, token->expires_ns);
    credential_token_give(token);
    return seconds;
}

Test(credential_entra, a_token_is_renewed_ahead_of_its_end_with_jitter)
{
    for (int i = 0; i < 100; i++) {
        int64_t seconds = refresh_after_s("{\"access_token\":\"a\",\"expires_in\":\"3600\"}"); /* a string is a number, too */
        cr_assert(seconds >= 3300 - 61 && seconds <= 3300, "%lld", (long long)seconds);
        seconds = refresh_after_s("{\"access_token\":\"a\",\"expires_in\":86400,\"refresh_in\":43200}");
        cr_assert(seconds >= 43200 - 61 && seconds <= 43200, "%lld", (long long)seconds);
        seconds = refresh_after_s("{\"access_token\":\"a\",\"expires_in\":100}");
        cr_assert(seconds >= 44 && seconds <= 50, "%lld", (long long)seconds);
    }
}

/* ---- certificate ---- */

static EVP_PKEY *key;
static X509 *certificate;

static void certificate_make(long seconds, const char *password)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *other_key = EVP_RSA_gen(2048);
    X509 *other = entra_certificate(other_key, "issuer", 86400);
    char *data;
    key = EVP_RSA_gen(2048);
    certificate = entra_certificate(key, "application", seconds);
    PEM_write_bio_X509(bio, other); /* a chain may come first */
    PEM_write_bio_PrivateKey(bio, key, password ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL, (void *)(uintptr_t)password);
    PEM_write_bio_X509(bio, certificate);
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &data);
    options.kind = CREDENTIAL_CLIENT_CERTIFICATE;
    snprintf(options.client_certificate, sizeof options.client_certificate, "%s", entra_file("app.pem", data));
    BIO_free(bio);
    X509_free(other);
    EVP_PKEY_free(other_key);
}

static size_t base64url(const char *text, size_t len, uint8_t *to)
{
    char padded[4096];
    size_t at = 0;
    for (; at < len; at++)
        padded[at] = text[at] == '-' ? '+' : text[at] == '_' ? '/' : text[at];
    size_t pad = (4 - at % 4) % 4;
    for (size_t i = 0; i < pad; i++)
        padded[at++] = '=';
    int size = EVP_DecodeBlock(to, (const uint8_t *)padded, (int)at);
    cr_assert_geq(size, 0);
    return (size_t)size - pad;
}

static void assertion_verify(const char *jwt)
{
    uint8_t part[4096], digest[20];
    unsigned digest_len;
    const char *first = strchr(jwt, '.'), *second = strchr(first + 1, '.');
    size_t len = base64url(second + 1, strlen(second + 1), part);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    cr_assert_eq(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestVerify(context, part, len, (const uint8_t *)jwt, (size_t)(second - jwt)), 1, "the signature is not the key's");
    EVP_MD_CTX_free(context);
    len = base64url(jwt, (size_t)(first - jwt), part);
    part[len] = '\0';
    entra_expect((char *)part, "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5t\":\"");
    char *x5t = strstr((char *)part, "x5t\":\"") + 6;
    uint8_t thumbprint[64];
    cr_assert_eq(base64url(x5t, strcspn(x5t, "\""), thumbprint), 20);
    X509_digest(certificate, EVP_sha1(), digest, &digest_len);
    cr_assert_arr_eq(thumbprint, digest, 20);
    len = base64url(first + 1, (size_t)(second - first - 1), part);
    part[len] = '\0';
    char audience[200];
    snprintf(audience, sizeof audience, "\"aud\":\"https://localhost:%u/contoso.example/oauth2/v2.0/token\"", entra.tls_port);
    entra_expect((char *)part, audience);
    entra_expect((char *)part, "\"iss\":\"11111111-2222\",\"sub\":\"11111111-2222\",\"jti\":\"");
    long long nbf = 0, exp = 0;
    cr_assert_eq(sscanf(strstr((char *)part, "\"nbf\""), "\"nbf\":%lld,\"exp\":%lld}", &nbf, &exp), 2);
    cr_assert_eq(exp - nbf, 600);
    cr_assert_leq(llabs(nbf - (long long)time(NULL)), 60);
}

static void certificate_free(void)
{
    X509_free(certificate);
    EVP_PKEY_free(key);
}

Test(credential_entra, a_certificate_signs_an_assertion_that_its_public_key_verifies)
{
    certificate_make(86400, NULL);
    fetch(CREDENTIAL_GIVEN);
    const char *body = entra.request[0].body;
    cr_assert_str_eq(entra_field(body, "client_assertion_type"), "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
    cr_assert_str_eq(entra_field(body, "client_id"), "11111111-2222");
    cr_assert_str_eq(entra_field(body, "grant_type"), "client_credentials");
    cr_assert_str_eq(entra_field(body, "scope"), "https%3A%2F%2Feventhubs.azure.net%2F.default");
    cr_assert_str_eq(entra_field(body, "client_secret"), "");
    assertion_verify(entra_field(body, "client_assertion"));
    fetch(CREDENTIAL_GIVEN);
    char first[16384];
    snprintf(first, sizeof first, "%s", entra_field(entra.request[0].body, "client_assertion"));
    cr_assert_str_neq(first, entra_field(entra.request[1].body, "client_assertion"), "an assertion is used once");
    certificate_free();
}

Test(credential_entra, a_password_opens_the_key_and_a_wrong_one_is_told)
{
    certificate_make(86400, "hunter2");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "encrypted and client_certificate_password is not set");
    strcpy(options.client_certificate_password, "wrong");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "encrypted and client_certificate_password does not open it");
    strcpy(options.client_certificate_password, "hunter2");
    fetch(CREDENTIAL_GIVEN);
    assertion_verify(entra_field(entra.request[0].body, "client_assertion"));
    certificate_free();
}

static void certificate_bad(const char *text, const char *why)
{
    snprintf(options.client_certificate, sizeof options.client_certificate, "%s", entra_file("bad.pem", text));
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "bad.pem");
    entra_expect(result.error, why);
}

Test(credential_entra, certificate_files_that_do_not_do_are_told_apart)
{
    certificate_make(-60, NULL);
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "has expired on 2");
    char *key_pem = entra_pem(key, NULL), *certificate_pem = entra_pem(NULL, certificate), both[8192];
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    X509 *other = entra_certificate(curve, "other", 60);
    char *curve_pem = entra_pem(curve, NULL), *other_pem = entra_pem(NULL, other);
    certificate_bad("", "is empty");
    certificate_bad("0\x82\x01junk", "is not PEM");
    certificate_bad(certificate_pem, "holds no private key");
    certificate_bad(key_pem, "holds no certificate");
    certificate_bad(curve_pem, "not an RSA key");
    certificate_bad("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "is damaged");
    snprintf(both, sizeof both, "%s%s", key_pem, other_pem);
    certificate_bad(both, "no certificate that belongs to its key");
    strcpy(options.client_certificate, "/nowhere/app.pem");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "/nowhere/app.pem cannot be read: No such file");
    snprintf(options.client_certificate, sizeof options.client_certificate, "%s", entra.dir);
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "is not a regular file");
    cr_assert_eq(entra.request_count, 0);
    free(key_pem);
    free(certificate_pem);
    free(curve_pem);
    free(other_pem);
    X509_free(other);
    EVP_PKEY_free(curve);
    certificate_free();
}

/* ---- workload identity ---- */

Test(credential_entra, a_workload_token_is_read_again_each_time_and_loses_its_newline)
{
    options.kind = CREDENTIAL_WORKLOAD_IDENTITY;
    setenv("AZURE_FEDERATED_TOKEN_FILE", entra_file("token", "eyJfirst.a.b\n"), 1);
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_assertion"), "eyJfirst.a.b");
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_assertion_type"),
                     "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
    cr_assert_str_eq(entra_field(entra.request[0].body, "client_secret"), "");
    entra_file("token", "eyJsecond.a.b");
    fetch(CREDENTIAL_GIVEN);
    cr_assert_str_eq(entra_field(entra.request[1].body, "client_assertion"), "eyJsecond.a.b");
    ENTRA_ANSWERS({.status = 401,
                   .body = "{\"error_description\":\"AADSTS700024: Client assertion eyJsecond.a.b is not within its valid time range.\"}"});
    fetch(CREDENTIAL_REFUSED);
    entra_expect_not(result.error, "eyJ");
    entra_expect(result.remedy, "clock");
}

Test(credential_entra, a_workload_token_file_is_bounded_and_its_absence_told)
{
    char *text = malloc(CREDENTIAL_FILE_BYTES_MAX + 2);
    memset(text, 'x', CREDENTIAL_FILE_BYTES_MAX + 1);
    text[CREDENTIAL_FILE_BYTES_MAX + 1] = '\0';
    options.kind = CREDENTIAL_WORKLOAD_IDENTITY;
    snprintf(options.token_file, sizeof options.token_file, "%s", entra_file("token", text));
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "is larger than 65536 bytes");
    strcpy(options.token_file, "/nowhere/token");
    fetch(CREDENTIAL_REFUSED);
    entra_expect(result.error, "token_file: /nowhere/token cannot be read");
    free(text);
}
