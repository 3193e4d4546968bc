/* Shared access signature tokens. */
#include "sas.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_PREFIX "SharedAccessSignature "
#define MAC_BYTES 32

static int text_put(char *to, size_t cap, size_t *at, const char *text);
static int percent_put(char *to, size_t cap, size_t *at, const char *text);
static int signature_make(const char *signed_text, const char *key, char base64[4 * MAC_BYTES / 3 + 8]);

int sas_make_token(const char *uri, const char *key_name, const char *key, int64_t expires_s, char *to, size_t cap)
{
    char signed_text[SAS_TOKEN_BYTES_MAX], expiry[24], base64[4 * MAC_BYTES / 3 + 8] = "";
    size_t signed_len = 0, at = 0;
    snprintf(expiry, sizeof expiry, "%" PRId64, expires_s);
    int error = percent_put(signed_text, sizeof signed_text, &signed_len, uri);
    if (error != 0 || (error = text_put(to, cap, &at, TOKEN_PREFIX "sr=")) != 0 || (error = text_put(to, cap, &at, signed_text)) != 0)
        goto out;
    if ((error = text_put(signed_text, sizeof signed_text, &signed_len, "\n")) != 0 ||
        (error = text_put(signed_text, sizeof signed_text, &signed_len, expiry)) != 0 ||
        (error = signature_make(signed_text, key, base64)) != 0)
        goto out;
    if ((error = text_put(to, cap, &at, "&sig=")) != 0 || (error = percent_put(to, cap, &at, base64)) != 0 ||
        (error = text_put(to, cap, &at, "&se=")) != 0 || (error = text_put(to, cap, &at, expiry)) != 0 ||
        (error = text_put(to, cap, &at, "&skn=")) != 0)
        goto out;
    error = percent_put(to, cap, &at, key_name);
out:
    OPENSSL_cleanse(base64, sizeof base64);
    if (error != 0 && cap > 0)
        OPENSSL_cleanse(to, cap);
    return error;
}

int64_t sas_expiry(const char *token)
{
    if (strncmp(token, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) == 0)
        token += strlen(TOKEN_PREFIX);
    for (const char *part = token; *part != '\0';) {
        size_t len = strcspn(part, "&");
        if (strncmp(part, "se=", 3) == 0) {
            char *end;
            errno = 0;
            long long expiry = strtoll(part + 3, &end, 10);
            bool whole = end == part + len && end != part + 3 && part[3] >= '0' && part[3] <= '9';
            return whole && errno == 0 ? expiry : INT64_MAX;
        }
        part += len + (part[len] == '&');
    }
    return INT64_MAX;
}

/* HMAC-SHA256 with the key's text as the key: it looks like base64 and is not decoded. */
static int signature_make(const char *signed_text, const char *key, char base64[4 * MAC_BYTES / 3 + 8])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    if (HMAC(EVP_sha256(), key, (int)strlen(key), (const uint8_t *)signed_text, strlen(signed_text), mac, &mac_len) == NULL)
        return -EIO;
    EVP_EncodeBlock((uint8_t *)base64, mac, (int)mac_len);
    OPENSSL_cleanse(mac, sizeof mac);
    return 0;
}

/* Appends and terminates; at most cap - 1 characters in all. */
static int text_put(char *to, size_t cap, size_t *at, const char *text)
{
    size_t len = strlen(text);
    if (len >= cap - *at)
        return -ENOSPC;
    memcpy(to + *at, text, len + 1);
    *at += len;
    return 0;
}

/* RFC 3986: unreserved characters stay, all others as %XX in upper case. */
static int percent_put(char *to, size_t cap, size_t *at, const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char one[4] = {*text};
        if (strchr(unreserved, byte) == NULL)
            memcpy(one, (char[4]){'%', digits[byte >> 4], digits[byte & 15]}, 4);
        int error = text_put(to, cap, at, one);
        if (error != 0)
            return error;
    }
    return 0;
}
