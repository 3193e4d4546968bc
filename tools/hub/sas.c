/* Shared access signatures: signs and verifies tokens. Knows no hubs. */
#include "sas.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "SharedAccessSignature "

enum { MAC_LEN = 32, SIGNATURE_MAX = 64, RESOURCE_MAX = 2048 };

/* The four parts of a token as they were sent, still percent-encoded. */
struct parts {
    char sr[RESOURCE_MAX], sig[SIGNATURE_MAX * 3], se[24], skn[HUB_NAME_MAX * 3];
};

static int parts_read(const char *token, struct parts *p);
static int part_copy(char *to, size_t size, const char *from, size_t len);
static int signature_check(const struct hub_policies *p, const struct parts *parts, unsigned *rights, struct hub_error *why);
static void sign(const char *key, const char *sr, const char *se, char base64[SIGNATURE_MAX]);
static int percent_decode(const char *from, char *to, size_t size);
static int percent_encode(const char *from, char *to, size_t size);
static int hex_digit(char c);
static bool same_text(const char *a, const char *b);
static int unauthorized(struct hub_error *why, const char *text);

int hub_policies_add(struct hub_policies *p, const char *name, const char *key, unsigned rights)
{
    struct hub_policy *to = &p->at[p->count];

    if (p->count == HUB_POLICIES_MAX)
        return -ENOSPC;
    if (!*name || !*key || strlen(name) >= sizeof(to->name) || strlen(key) >= sizeof(to->key))
        return -EINVAL;
    memcpy(to->name, name, strlen(name) + 1);
    memcpy(to->key, key, strlen(key) + 1);
    to->rights = rights;
    p->count++;
    return 0;
}

unsigned hub_policies_match(const struct hub_policies *p, const char *name, const char *key)
{
    unsigned rights = 0;

    for (unsigned i = 0; i < p->count; i++) {
        if (strcmp(p->at[i].name, name) == 0 && same_text(p->at[i].key, key))
            rights |= p->at[i].rights;
    }
    return rights;
}

int hub_sas_verify(const struct hub_policies *p, const char *token, int64_t now_s, struct hub_claim *claim, struct hub_error *why)
{
    struct parts parts;
    char resource[RESOURCE_MAX], *end;

    if (parts_read(token, &parts) < 0)
        return hub_error_set(why, "amqp:invalid-field",
                             "InvalidToken: the token is not a shared access signature with sr, sig, se and skn");
    if (percent_decode(parts.sr, resource, sizeof(resource)) < 0 || hub_address_read(&claim->resource, resource) < 0)
        return hub_error_set(why, "amqp:invalid-field", "InvalidToken: sr of the token is not a percent-encoded address");
    errno = 0;
    claim->expiry_s = strtoll(parts.se, &end, 10);
    if (errno || end == parts.se || *end || claim->expiry_s < 0)
        return hub_error_set(why, "amqp:invalid-field", "InvalidToken: se of the token is not a number of seconds");
    if (signature_check(p, &parts, &claim->rights, why) < 0)
        return -EPROTO;
    if (claim->expiry_s <= now_s)
        return hub_error_set(why, "com.microsoft:auth-failed", "ExpiredToken: The token is expired. Expiration time: '%lld', now: '%lld'.",
                             (long long)claim->expiry_s, (long long)now_s);
    return 0;
}

int hub_sas_sign(const struct hub_policy *policy, const char *uri, int64_t expiry_s, char *token, size_t size)
{
    char sr[RESOURCE_MAX], skn[HUB_NAME_MAX * 3], se[24], base64[SIGNATURE_MAX], sig[SIGNATURE_MAX * 3];

    snprintf(se, sizeof(se), "%lld", (long long)expiry_s);
    if (percent_encode(uri, sr, sizeof(sr)) < 0 || percent_encode(policy->name, skn, sizeof(skn)) < 0)
        return -ENOSPC;
    sign(policy->key, sr, se, base64);
    if (percent_encode(base64, sig, sizeof(sig)) < 0)
        return -ENOSPC;
    int len = snprintf(token, size, PREFIX "sr=%s&sig=%s&se=%s&skn=%s", sr, sig, se, skn);
    return len < 0 || (size_t)len >= size ? -ENOSPC : 0;
}

static int parts_read(const char *token, struct parts *p)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } table[] = {
        {"sr=", p->sr, sizeof(p->sr)},
        {"sig=", p->sig, sizeof(p->sig)},
        {"se=", p->se, sizeof(p->se)},
        {"skn=", p->skn, sizeof(p->skn)},
    };

    *p = (struct parts){0};
    if (strncmp(token, PREFIX, strlen(PREFIX)) != 0)
        return -EINVAL;
    for (const char *at = token + strlen(PREFIX); *at;) {
        size_t len = strcspn(at, "&");
        for (unsigned i = 0; i < 4; i++) {
            size_t name_len = strlen(table[i].name);
            if (len > name_len && strncmp(at, table[i].name, name_len) == 0 &&
                part_copy(table[i].to, table[i].size, at + name_len, len - name_len) < 0)
                return -EINVAL;
        }
        at += len;
        at += *at == '&';
    }
    return p->sr[0] && p->sig[0] && p->se[0] && p->skn[0] ? 0 : -EINVAL;
}

/* A part that comes twice could be read in two ways: refused. */
static int part_copy(char *to, size_t size, const char *from, size_t len)
{
    if (to[0] || len >= size)
        return -EINVAL;
    memcpy(to, from, len);
    to[len] = 0;
    return 0;
}

static int signature_check(const struct hub_policies *p, const struct parts *parts, unsigned *rights, struct hub_error *why)
{
    char name[HUB_NAME_MAX], sent[SIGNATURE_MAX], made[SIGNATURE_MAX];
    bool known = false;

    *rights = 0;
    if (percent_decode(parts->skn, name, sizeof(name)) < 0 || percent_decode(parts->sig, sent, sizeof(sent)) < 0)
        return hub_error_set(why, "amqp:invalid-field", "InvalidToken: skn or sig of the token is not percent-encoded text");
    for (unsigned i = 0; i < p->count; i++) {
        if (strcmp(p->at[i].name, name) != 0)
            continue;
        known = true;
        sign(p->at[i].key, parts->sr, parts->se, made);
        if (same_text(made, sent))
            *rights |= p->at[i].rights;
    }
    if (*rights)
        return 0;
    return unauthorized(why, known ? "InvalidSignature: The token has an invalid signature."
                                   : "The policy named by skn in the token is not known here.");
}

static void sign(const char *key, const char *sr, const char *se, char base64[SIGNATURE_MAX])
{
    char text[RESOURCE_MAX + 32];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;

    int len = snprintf(text, sizeof(text), "%s\n%s", sr, se);
    HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, (size_t)len, mac, &mac_len);
    EVP_EncodeBlock((unsigned char *)base64, mac, MAC_LEN);
}

static int percent_decode(const char *from, char *to, size_t size)
{
    size_t len = 0;

    for (; *from; from++) {
        int c = (unsigned char)*from;
        if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            c = low < 0 ? 0 : high << 4 | low;
            from += 2;
        }
        if (c == 0 || len + 1 >= size)
            return -EINVAL;
        to[len++] = (char)c;
    }
    to[len] = 0;
    return 0;
}

static int percent_encode(const char *from, char *to, size_t size)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;

    for (; *from; from++) {
        unsigned char c = (unsigned char)*from;
        if (len + 4 > size)
            return -ENOSPC;
        if (strchr(plain, *from)) {
            to[len++] = *from;
            continue;
        }
        to[len++] = '%';
        to[len++] = hex[c >> 4];
        to[len++] = hex[c & 15];
    }
    to[len] = 0;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool same_text(const char *a, const char *b)
{
    size_t len = strlen(a);

    return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

static int unauthorized(struct hub_error *why, const char *text)
{
    return hub_error_set(why, "com.microsoft:auth-failed", "%s", text);
}
