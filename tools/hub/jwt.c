/* JSON web tokens signed by RS256, as Entra ID gives them out: verifies them, and reads what their roles allow. Knows no hubs. */
#include "jwt.h"

#include "buf.h"

#include <cjson/cJSON.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIENCE "https://eventhubs.azure.net"
#define SECONDS_MAX 1e12

/* The three parts, decoded. */
struct parts {
    cJSON *header, *claims;
    unsigned char *signature;
    size_t signature_len, signed_len; /* of the text in front of the last dot */
};

static int parts_read(const char *token, struct parts *p);
static void parts_free(struct parts *p);
static cJSON *json_decode(const char *from, size_t len);
static unsigned char *base64url_decode(const char *from, size_t len, size_t *decoded_len);
static bool signature_is_good(EVP_PKEY *key, const char *token, const struct parts *p);
static int claims_check(const cJSON *claims, int64_t now_s, struct hub_claim *claim, struct hub_error *why);
static int seconds_read(const cJSON *claims, const char *name, int64_t *seconds);
static bool audience_is_ours(const cJSON *audience);
static unsigned rights_of(const cJSON *roles);
static bool text_is(const cJSON *item, const char *text);
static int unauthorized(struct hub_error *why, const char *text);

EVP_PKEY *hub_jwt_key_read(const char *path, char *why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;

    if (!file)
        snprintf(why, why_size, "%s", strerror(errno));
    else if (!key)
        snprintf(why, why_size, "it holds no public key in PEM (BEGIN PUBLIC KEY)");
    if (file)
        fclose(file);
    ERR_clear_error();
    if (!key || EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return key;
    snprintf(why, why_size, "its key is not RSA");
    EVP_PKEY_free(key);
    return NULL;
}

int hub_jwt_verify(EVP_PKEY *key, const char *token, int64_t now_s, struct hub_claim *claim, struct hub_error *why)
{
    struct parts p = {.header = NULL};
    int rc;

    *claim = (struct hub_claim){.expiry_s = 0};
    if (parts_read(token, &p) < 0)
        rc = unauthorized(why, "MalformedToken: The token is not a JSON web token of three parts.");
    else if (!text_is(cJSON_GetObjectItemCaseSensitive(p.header, "alg"), "RS256"))
        rc = unauthorized(why, "InvalidToken: The token is not signed by RS256.");
    else if (!signature_is_good(key, token, &p))
        rc = unauthorized(why, "InvalidSignature: The token has an invalid signature.");
    else
        rc = claims_check(p.claims, now_s, claim, why);
    parts_free(&p);
    return rc;
}

static int parts_read(const char *token, struct parts *p)
{
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;

    if (!second || strchr(second + 1, '.'))
        return -EINVAL;
    p->signed_len = (size_t)(second - token);
    p->header = json_decode(token, (size_t)(first - token));
    p->claims = json_decode(first + 1, (size_t)(second - first - 1));
    p->signature = base64url_decode(second + 1, strlen(second + 1), &p->signature_len);
    return p->header && p->claims && p->signature ? 0 : -EINVAL;
}

static void parts_free(struct parts *p)
{
    cJSON_Delete(p->header);
    cJSON_Delete(p->claims);
    free(p->signature);
}

/* An object, or NULL. */
static cJSON *json_decode(const char *from, size_t len)
{
    size_t text_len = 0;
    unsigned char *text = base64url_decode(from, len, &text_len);
    cJSON *json = text ? cJSON_ParseWithLength((const char *)text, text_len) : NULL;

    free(text);
    if (cJSON_IsObject(json))
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* Without padding, as tokens have it. The caller frees it; NULL: it is something else. */
static unsigned char *base64url_decode(const char *from, size_t len, size_t *decoded_len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t padded = (len + 3) / 4 * 4;

    if (len == 0 || len % 4 == 1 || len > HUB_TOKEN_MAX || strspn(from, allowed) < len)
        return NULL;
    unsigned char *text = hub_alloc(padded + 1, 1), *decoded = hub_alloc(padded, 1);
    for (size_t i = 0; i < padded; i++)
        text[i] = i >= len ? '=' : from[i] == '-' ? '+' : from[i] == '_' ? '/' : (unsigned char)from[i];
    int n = EVP_DecodeBlock(decoded, text, (int)padded);
    free(text);
    if (n < 0) {
        free(decoded);
        return NULL;
    }
    *decoded_len = (size_t)n - (padded - len);
    return decoded;
}

static bool signature_is_good(EVP_PKEY *key, const char *token, const struct parts *p)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, p->signature, p->signature_len, (const unsigned char *)token, p->signed_len) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

static int claims_check(const cJSON *claims, int64_t now_s, struct hub_claim *claim, struct hub_error *why)
{
    int64_t not_before_s = 0;

    if (seconds_read(claims, "exp", &claim->expiry_s) <= 0)
        return unauthorized(why, "InvalidToken: The token has no expiration time (exp).");
    if (seconds_read(claims, "nbf", &not_before_s) < 0)
        return unauthorized(why, "InvalidToken: nbf of the token is not a number of seconds.");
    if (claim->expiry_s <= now_s)
        return hub_error_set(why, "com.microsoft:auth-failed", "ExpiredToken: The token is expired. Expiration time: '%lld', now: '%lld'.",
                             (long long)claim->expiry_s, (long long)now_s);
    if (not_before_s > now_s)
        return hub_error_set(why, "com.microsoft:auth-failed",
                             "InvalidToken: The token is not valid yet. It is valid from: '%lld', now: '%lld'.", (long long)not_before_s,
                             (long long)now_s);
    if (!audience_is_ours(cJSON_GetObjectItemCaseSensitive(claims, "aud")))
        return unauthorized(why, "InvalidAudience: The audience (aud) of the token is not " AUDIENCE ".");
    claim->rights = rights_of(cJSON_GetObjectItemCaseSensitive(claims, "roles"));
    return 0;
}

/* 1: read, 0: there is none. */
static int seconds_read(const cJSON *claims, const char *name, int64_t *seconds)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(claims, name);

    if (!item)
        return 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > SECONDS_MAX)
        return -EINVAL;
    *seconds = (int64_t)item->valuedouble;
    return 1;
}

static bool audience_is_ours(const cJSON *audience)
{
    return text_is(audience, AUDIENCE) || text_is(audience, AUDIENCE "/");
}

static unsigned rights_of(const cJSON *roles)
{
    const cJSON *role;
    unsigned rights = 0;

    cJSON_ArrayForEach(role, roles)
    {
        if (text_is(role, "Azure Event Hubs Data Sender"))
            rights |= HUB_RIGHT_SEND;
        else if (text_is(role, "Azure Event Hubs Data Receiver"))
            rights |= HUB_RIGHT_LISTEN;
        else if (text_is(role, "Azure Event Hubs Data Owner"))
            rights |= HUB_RIGHT_ALL;
    }
    return rights;
}

static bool text_is(const cJSON *item, const char *text)
{
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

static int unauthorized(struct hub_error *why, const char *text)
{
    return hub_error_set(why, "com.microsoft:auth-failed", "%s", text);
}
