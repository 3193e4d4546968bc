/* A signed statement of who we are: a JWT (RS256) that names the certificate by its thumbprint. */
#include "credential_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIFE_SECONDS 600
#define ASSERTION_BYTES_MAX 8192u
#define THUMBPRINT_BYTES 20 /* SHA-1: what x5t is defined as */

static int key_read(const char *pem, const char *password, const char *path, EVP_PKEY **key, char *why, size_t why_len);
static X509 *certificate_find(const char *pem, EVP_PKEY *key, const char *path, char *why, size_t why_len);
static int thumbprint_make(X509 *certificate, uint8_t thumbprint[THUMBPRINT_BYTES]);
static void head_put(struct credential_text *jwt, const uint8_t thumbprint[THUMBPRINT_BYTES]);
static void claims_put(struct credential_text *jwt, const char *client_id, const char *audience, int64_t now_s);
static void base64url_put(struct credential_text *text, const uint8_t *data, size_t len);
static int signature_put(struct credential_text *jwt, EVP_PKEY *key);
static int password_give(char *to, int cap, int writing, void *password);

int credential_assertion_make(const char *path, const char *password, const char *client_id, const char *audience, int64_t now_s,
                              char **out, char *why, size_t why_len)
{
    struct credential_text jwt = {0};
    uint8_t thumbprint[THUMBPRINT_BYTES];
    EVP_PKEY *key = NULL;
    X509 *certificate = NULL;
    char *pem = NULL;
    *out = NULL;
    int64_t len = credential_file_read(path, &pem, why, why_len);
    int rc = len < 0 ? (int)len : key_read(pem, password, path, &key, why, why_len);
    if (rc == 0 && !(certificate = certificate_find(pem, key, path, why, why_len)))
        rc = -EINVAL;
    if (rc != 0)
        goto out;
    rc = thumbprint_make(certificate, thumbprint);
    if (rc == 0) {
        head_put(&jwt, thumbprint);
        credential_text_put(&jwt, ".", 1, ASSERTION_BYTES_MAX);
        claims_put(&jwt, client_id, audience, now_s);
        rc = signature_put(&jwt, key);
    }
    if (rc != 0)
        snprintf(why, why_len, "no assertion can be signed with the key of %.512s: %s", path, strerror(-rc));
out:
    if (rc == 0)
        *out = jwt.data;
    else
        credential_text_free(&jwt);
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (pem)
        explicit_bzero(pem, (size_t)len);
    free(pem);
    return rc;
}

static int key_read(const char *pem, const char *password, const char *path, EVP_PKEY **key, char *why, size_t why_len)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, password_give, (void *)(uintptr_t)password) : NULL;
    BIO_free(bio);
    if (*key && EVP_PKEY_base_id(*key) == EVP_PKEY_RSA)
        return 0;
    if (*key)
        snprintf(why, why_len, "the key of %.512s is not an RSA key, which the assertion needs", path);
    else if (!strstr(pem, "-----BEGIN "))
        snprintf(why, why_len,
                 "%.512s is not PEM: it must hold certificate and key as PEM (of PKCS#12: openssl pkcs12 -in FILE -out FILE.pem -nodes)",
                 path);
    else if (!strstr(pem, "PRIVATE KEY-----"))
        snprintf(why, why_len, "%.512s holds no private key", path);
    else if (strstr(pem, "ENCRYPTED"))
        snprintf(why, why_len, "the key of %.512s is encrypted and %s", path,
                 password[0] ? "client_certificate_password does not open it" : "client_certificate_password is not set");
    else
        snprintf(why, why_len, "the private key of %.512s is damaged", path);
    return -EINVAL;
}

/* Never a prompt. */
static int password_give(char *to, int cap, int writing, void *password)
{
    size_t len = strlen(password);
    (void)writing;
    if (len == 0 || len > (size_t)cap)
        return -1;
    memcpy(to, password, len);
    return (int)len;
}

/* A file may hold the chain too, in any order: ours is the one of the key. */
static X509 *certificate_find(const char *pem, EVP_PKEY *key, const char *path, char *why, size_t why_len)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = NULL;
    int count = 0;
    while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) && X509_check_private_key(certificate, key) != 1) {
        X509_free(certificate);
        count++;
    }
    BIO_free(bio);
    if (!certificate)
        snprintf(why, why_len, "%.512s %s", path, count ? "has no certificate that belongs to its key" : "holds no certificate");
    if (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        struct tm end = {0};
        char date[32] = "";
        if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end))
            strftime(date, sizeof date, " on %Y-%m-%d", &end);
        snprintf(why, why_len, "the certificate of %.512s has expired%s", path, date);
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static int thumbprint_make(X509 *certificate, uint8_t thumbprint[THUMBPRINT_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!X509_digest(certificate, EVP_sha1(), digest, &len) || len != THUMBPRINT_BYTES)
        return -EIO;
    memcpy(thumbprint, digest, THUMBPRINT_BYTES);
    return 0;
}

static void head_put(struct credential_text *jwt, const uint8_t thumbprint[THUMBPRINT_BYTES])
{
    struct credential_text x5t = {0};
    char kid[2 * THUMBPRINT_BYTES + 1], head[256];
    base64url_put(&x5t, thumbprint, THUMBPRINT_BYTES);
    for (size_t i = 0; i < THUMBPRINT_BYTES; i++)
        snprintf(kid + 2 * i, 3, "%02X", thumbprint[i]);
    int len =
        snprintf(head, sizeof head, "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5t\":\"%s\",\"kid\":\"%s\"}", x5t.data ? x5t.data : "", kid);
    base64url_put(jwt, (const uint8_t *)head, (size_t)len);
    credential_text_free(&x5t);
}

/* Client id and audience were checked for their characters: nothing of them needs an escape. */
static void claims_put(struct credential_text *jwt, const char *client_id, const char *audience, int64_t now_s)
{
    uint8_t id[16] = {0};
    char claims[1024];
    if (RAND_bytes(id, sizeof id) != 1)
        jwt->error = -EIO;
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    int len =
        snprintf(claims, sizeof claims,
                 "{\"aud\":\"%s\",\"iss\":\"%s\",\"sub\":\"%s\",\"jti\":\"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%"
                 "02x%02x\",\"nbf\":%" PRId64 ",\"exp\":%" PRId64 "}",
                 audience, client_id, client_id, id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11],
                 id[12], id[13], id[14], id[15], now_s, now_s + LIFE_SECONDS);
    if ((size_t)len >= sizeof claims)
        jwt->error = -EMSGSIZE;
    else
        base64url_put(jwt, (const uint8_t *)claims, (size_t)len);
}

static void base64url_put(struct credential_text *text, const uint8_t *data, size_t len)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i += 3) {
        size_t part = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (part > 1 ? (uint32_t)data[i + 1] << 8 : 0) | (part > 2 ? data[i + 2] : 0u);
        char four[4] = {digit[bits >> 18], digit[bits >> 12 & 63], digit[bits >> 6 & 63], digit[bits & 63]};
        credential_text_put(text, four, part + 1, ASSERTION_BYTES_MAX);
    }
}

static int signature_put(struct credential_text *jwt, EVP_PKEY *key)
{
    uint8_t signature[1024]; /* of 8,192 bits */
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int rc = jwt->error;
    if (rc == 0 && (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
                    EVP_DigestSign(context, signature, &len, (const uint8_t *)jwt->data, jwt->len) != 1))
        rc = -EIO;
    EVP_MD_CTX_free(context);
    if (rc != 0)
        return rc;
    credential_text_put(jwt, ".", 1, ASSERTION_BYTES_MAX);
    base64url_put(jwt, signature, len);
    return jwt->error;
}
