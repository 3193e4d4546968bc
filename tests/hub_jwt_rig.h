/* Signs JSON web tokens as a directory would, with a key of its own that is made once. */
#ifndef TESTS_HUB_JWT_RIG_H
#define TESTS_HUB_JWT_RIG_H

#include <criterion/criterion.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <stdio.h>
#include <string.h>

enum { JWT_MAX = 4096 };

static inline EVP_PKEY *jwt_key_make(void)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);

    cr_assert_not_null(key);
    return key;
}

static inline void jwt_base64url(const void *bytes, size_t len, char *to)
{
    int n = EVP_EncodeBlock((unsigned char *)to, bytes, (int)len);

    while (n > 0 && to[n - 1] == '=')
        n--;
    to[n] = '\0';
    for (char *at = to; *at; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
}

/* Header and claims as JSON. */
static inline void jwt_sign(EVP_PKEY *key, const char *header, const char *claims, char token[JWT_MAX])
{
    unsigned char signature[512];
    size_t len = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    jwt_base64url(header, strlen(header), token);
    strcat(token, ".");
    jwt_base64url(claims, strlen(claims), token + strlen(token));
    cr_assert_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    cr_assert_eq(EVP_DigestSign(ctx, signature, &len, (unsigned char *)token, strlen(token)), 1);
    EVP_MD_CTX_free(ctx);
    strcat(token, ".");
    jwt_base64url(signature, len, token + strlen(token));
}

/* One that holds; `roles` is a JSON array, or NULL for none. */
static inline void jwt_make(EVP_PKEY *key, long long expiry_s, const char *roles, char token[JWT_MAX])
{
    char claims[1024];

    snprintf(claims, sizeof claims, "{\"aud\":\"https://eventhubs.azure.net\",\"exp\":%lld,\"oid\":\"someone\"%s%s}", expiry_s,
             roles ? ",\"roles\":" : "", roles ? roles : "");
    jwt_sign(key, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", claims, token);
}

#endif
