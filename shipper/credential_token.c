/* What the givers of tokens answer: made into a token, or into a sentence that holds none. Pure but for the jitter. */
#include "credential_internal.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backoff.h"
#include "clock.h"
#include "ringbuf/ring_order.h"

#define LIFE_SECONDS_MAX INT64_C(315360000)
#define HALF_LIFE_FROM_NS (7200 * CLOCK_NS_PER_SECOND)
#define JITTER_NS_MAX (60 * CLOCK_NS_PER_SECOND)
#define SECRET_BYTES_MIN 4u /* a shorter one is in too many words */

static void answer_wipe(cJSON *answer);
static bool token_is_plain(const char *text);
static int64_t expires_of(const cJSON *answer, enum credential_source source, int64_t now_s);
static int64_t number_of(const cJSON *answer, const char *name);
static int64_t date_of(const char *text, enum credential_source source);
static int64_t refresh_of(const cJSON *answer, enum credential_source source, const struct credential_limits *limits, int64_t now_ns,
                          int64_t expires_ns);

int credential_token_parse(const char *body, size_t len, enum credential_source source, const struct credential_limits *limits,
                           int64_t now_ns, struct credential_token **out, char *why, size_t why_len)
{
    struct credential_token *token = NULL;
    cJSON *answer = cJSON_ParseWithLength(body, len);
    const char *name = source == CREDENTIAL_OF_CLI ? "accessToken" : "access_token";
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, name));
    int64_t now_s = now_ns / CLOCK_NS_PER_SECOND, expires_s = expires_of(answer, source, now_s);
    if (!answer)
        snprintf(why, why_len, "its answer of %zu bytes is not JSON", len);
    else if (!text || !text[0])
        snprintf(why, why_len, "its answer has no %s", name);
    else if (strlen(text) > CREDENTIAL_TOKEN_BYTES_MAX)
        snprintf(why, why_len, "its token of %zu bytes exceeds the limit of %u", strlen(text), CREDENTIAL_TOKEN_BYTES_MAX);
    else if (!token_is_plain(text))
        snprintf(why, why_len, "its token has characters that no token has");
    else if (expires_s == 0)
        snprintf(why, why_len, "its answer does not say when the token expires");
    else if (expires_s <= now_s)
        snprintf(why, why_len, "its token has expired %" PRId64 " s ago: check this machine's clock", now_s - expires_s);
    else if (!(token = calloc(1, sizeof *token)))
        snprintf(why, why_len, "out of memory");
    else {
        order_count_add(&token->users, 1);
        token->expires_ns = expires_s * CLOCK_NS_PER_SECOND;
        token->refresh_ns = refresh_of(answer, source, limits, now_ns, token->expires_ns);
        token->len = (uint32_t)strlen(text);
        memcpy(token->text, text, token->len);
    }
    answer_wipe(answer);
    cJSON_Delete(answer);
    *out = token;
    return token ? 0 : -EBADMSG;
}

struct credential_token *credential_token_take(struct credential_token *token)
{
    order_count_add(&token->users, 1);
    return token;
}

void credential_token_give(struct credential_token *token)
{
    if (!token || order_count_add(&token->users, -1) > 0)
        return;
    explicit_bzero(token, sizeof *token);
    free(token);
}

static void answer_wipe(cJSON *answer)
{
    for (cJSON *item = answer ? answer->child : NULL; item; item = item->next)
        if (item->valuestring)
            explicit_bzero(item->valuestring, strlen(item->valuestring));
}

static bool token_is_plain(const char *text)
{
    while (isalnum((unsigned char)*text) || (*text && strchr("-._~+/=", *text)))
        text++;
    return *text == '\0';
}

/* 0: not told. The moment before the life: IMDS tells the life from the issue on, and keeps tokens. */
static int64_t expires_of(const cJSON *answer, enum credential_source source, int64_t now_s)
{
    int64_t expires_s = number_of(answer, "expires_on"), life_s = number_of(answer, "expires_in");
    const char *date = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "expires_on"));
    if (source == CREDENTIAL_OF_CLI)
        date = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "expiresOn"));
    if (expires_s == 0 && date)
        expires_s = date_of(date, source);
    if (expires_s == 0 && life_s > 0)
        expires_s = now_s + life_s;
    return expires_s < now_s + LIFE_SECONDS_MAX ? expires_s : now_s + LIFE_SECONDS_MAX;
}

/* A number, or a string that is one; 0: neither. */
static int64_t number_of(const cJSON *answer, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(answer, name);
    double value = cJSON_GetNumberValue(item);
    const char *text = cJSON_GetStringValue(item);
    if (text && text[0] && strlen(text) < 16 && text[strspn(text, "0123456789")] == '\0')
        value = strtod(text, NULL);
    return value >= 1 && value < 1e15 ? (int64_t)value : 0;
}

/* The Azure CLI's is local time, App Service's is UTC, in one of two forms. */
static int64_t date_of(const char *text, enum credential_source source)
{
    static const char *const forms[] = {"%m/%d/%Y %H:%M:%S +00:00", "%m/%d/%Y %I:%M:%S %p +00:00"};
    struct tm when = {.tm_isdst = -1};
    if (source == CREDENTIAL_OF_CLI) {
        const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &when);
        return rest && (*rest == '\0' || *rest == '.') ? mktime(&when) : 0;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        when = (struct tm){0};
        const char *rest = strptime(text, forms[i], &when);
        if (rest && *rest == '\0')
            return timegm(&when);
    }
    return 0;
}

/* Ahead of the end, and for short lives never before half of it. */
static int64_t refresh_of(const cJSON *answer, enum credential_source source, const struct credential_limits *limits, int64_t now_ns,
                          int64_t expires_ns)
{
    int64_t life_ns = expires_ns - now_ns, early_ns = limits->renew_ms * CLOCK_NS_PER_MS;
    int64_t told_ns = number_of(answer, "refresh_in") * CLOCK_NS_PER_SECOND;
    int64_t wait_ns = early_ns < life_ns / 2 ? life_ns - early_ns : life_ns / 2;
    if (told_ns > 0 && told_ns < wait_ns)
        wait_ns = told_ns;
    else if (source == CREDENTIAL_OF_MANAGED && life_ns >= HALF_LIFE_FROM_NS)
        wait_ns = life_ns / 2;
    int64_t jitter_ns = wait_ns / 10 < JITTER_NS_MAX ? wait_ns / 10 : JITTER_NS_MAX; /* many machines begin together */
    return now_ns + wait_ns - backoff_random_between(0, jitter_ns);
}

void credential_error_text(const char *body, size_t len, const char *secret, char *to, size_t to_len)
{
    cJSON *answer = cJSON_ParseWithLength(body ? body : "", body ? len : 0);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    const char *names[] = {cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error_description")),
                           cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message")),
                           cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "message")), cJSON_GetStringValue(error)};
    const char *text = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !text; i++)
        text = names[i] && names[i][0] ? names[i] : NULL;
    credential_text_clean(text ? text : answer ? "without a reason" : "without a readable reason", secret, to, to_len);
    answer_wipe(answer);
    cJSON_Delete(answer);
}

/* How much of `at` must not be shown: the secret itself, or a word that begins as a JWT does. */
static size_t masked_len(const char *at, const char *secret)
{
    size_t secret_len = secret ? strlen(secret) : 0;
    if (secret_len >= SECRET_BYTES_MIN && strncmp(at, secret, secret_len) == 0)
        return secret_len;
    if (strncmp(at, "eyJ", 3) != 0)
        return 0;
    size_t len = 3;
    while (isalnum((unsigned char)at[len]) || (at[len] && strchr("-_.=+/", at[len])))
        len++;
    return len;
}

void credential_text_clean(const char *text, const char *secret, char *to, size_t to_len)
{
    size_t at = 0;
    while (*text && *text != '\n' && *text != '\r' && at + 4 < to_len) {
        size_t hidden = masked_len(text, secret);
        if (hidden > 0) {
            memcpy(to + at, "***", 3);
            at += 3;
            text += hidden;
            continue;
        }
        to[at++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
        text++;
    }
    while (at > 0 && to[at - 1] == ' ')
        at--;
    to[at] = '\0';
}

const char *credential_error_remedy(const char *text)
{
    static const struct {
        const char *code, *remedy;
    } known[] = {
        {"AADSTS7000215", "the client secret is wrong: give its value, not its id"},
        {"AADSTS7000222", "the client secret has expired: make a new one for the application"},
        {"AADSTS700016", "the client id is not known in this tenant: check client_id and tenant_id"},
        {"AADSTS90002", "the tenant does not exist: check tenant_id, and authority_host for a sovereign cloud"},
        {"AADSTS900023", "the tenant's name is malformed: check tenant_id"},
        {"AADSTS700024", "the assertion is outside of its time: check this machine's clock, or the token file's age"},
        {"AADSTS700027", "the certificate is not known to the application: upload its public part there"},
        {"AADSTS70021", "no federated credential of the application matches: check its issuer, subject and audience"},
        {"AADSTS700213", "no federated credential of the application matches: check its subject"},
        {"AADSTS700211", "no federated credential of the application matches: check its issuer"},
        {"AADSTS700212", "no federated credential of the application matches: check its audience"},
        {"AADSTS7000112", "the application is disabled"},
        {"AADSTS500011", "Event Hubs is not known in this tenant: check tenant_id"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const char *at = strstr(text, known[i].code);
        if (at && !isdigit((unsigned char)at[strlen(known[i].code)]))
            return known[i].remedy;
    }
    return NULL;
}
