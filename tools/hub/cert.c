/* A certificate authority of one's own and a server certificate signed by it, for a hub that was given none. */
#include "cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DAYS_VALID = 365, SECONDS_PER_DAY = 86400, READ_AHEAD_BYTES = 128 << 10, ALT_NAMES_MAX = 4096 };

static X509 *cert_new(const char *common_name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *const *names, unsigned count);
static bool extensions_add(X509 *cert, X509 *issuer, const char *const *names, unsigned count);
static bool extension_add(X509 *cert, X509V3_CTX *ctx, int nid, const char *value);
static void alt_names(const char *const *names, unsigned count, char text[ALT_NAMES_MAX]);
static bool is_address(const char *name);
static int write_pem(const char *path, X509 *cert, EVP_PKEY *key);
static X509 *read_cert(const char *path);
static bool cert_has_names(X509 *cert, const char *const *names, unsigned count);

int hub_cert_make(const struct hub_cert_files *files, const char *const *names, unsigned count)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = NULL, *cert = NULL;
    int rc = -EIO;

    if (!ca_key || !key)
        goto out;
    ca = cert_new("ehring-hub test authority", ca_key, NULL, ca_key, NULL, 0);
    if (!ca)
        goto out;
    cert = cert_new(count > 0 && strlen(names[0]) <= 64 ? names[0] : "ehring-hub", key, ca, ca_key, names, count);
    if (!cert)
        goto out;
    if (write_pem(files->key, NULL, key) == 0 && write_pem(files->cert, cert, NULL) == 0 && write_pem(files->ca, ca, NULL) == 0)
        rc = 0;
out:
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return rc;
}

bool hub_cert_is_usable(const struct hub_cert_files *files, const char *const *names, unsigned count)
{
    X509 *ca = read_cert(files->ca), *cert = read_cert(files->cert);
    char ignored[256];
    bool good = false;
    time_t tomorrow = time(NULL) + SECONDS_PER_DAY;

    if (!ca || !cert || X509_cmp_time(X509_get0_notAfter(cert), &tomorrow) < 0)
        goto out;
    if (X509_verify(cert, X509_get0_pubkey(ca)) != 1 || !cert_has_names(cert, names, count))
        goto out;
    SSL_CTX *ctx = hub_cert_context(files->cert, files->key, ignored, sizeof(ignored));
    good = ctx != NULL;
    SSL_CTX_free(ctx);
out:
    X509_free(ca);
    X509_free(cert);
    ERR_clear_error();
    return good;
}

SSL_CTX *hub_cert_context(const char *cert, const char *key, char *why, size_t why_size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(ctx) == 1) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_read_ahead(ctx, 1);
        SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_BYTES);
        return ctx;
    }
    ERR_error_string_n(ERR_get_error(), why, why_size);
    SSL_CTX_free(ctx);
    return NULL;
}

/* An authority when it has no issuer but itself. */
static X509 *cert_new(const char *common_name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *const *names, unsigned count)
{
    X509 *cert = X509_new();
    uint64_t serial = 0;

    if (!cert || RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
        goto fail;
    X509_NAME *name = X509_get_subject_name(cert);
    if (X509_set_version(cert, 2) != 1 || ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) != 1)
        goto fail;
    if (!X509_gmtime_adj(X509_getm_notBefore(cert), -SECONDS_PER_DAY) ||
        !X509_gmtime_adj(X509_getm_notAfter(cert), (long)DAYS_VALID * SECONDS_PER_DAY))
        goto fail;
    if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) != 1)
        goto fail;
    if (X509_set_pubkey(cert, key) != 1 || X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name) != 1)
        goto fail;
    if (!extensions_add(cert, issuer, names, count) || X509_sign(cert, issuer_key, EVP_sha256()) == 0)
        goto fail;
    return cert;
fail:
    X509_free(cert);
    return NULL;
}

static bool extensions_add(X509 *cert, X509 *issuer, const char *const *names, unsigned count)
{
    char text[ALT_NAMES_MAX];
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer ? issuer : cert, cert, NULL, NULL, 0);
    if (!extension_add(cert, &ctx, NID_subject_key_identifier, "hash"))
        return false;
    if (!issuer)
        return extension_add(cert, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
               extension_add(cert, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign");
    alt_names(names, count, text);
    return extension_add(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
           extension_add(cert, &ctx, NID_key_usage, "critical,digitalSignature") &&
           extension_add(cert, &ctx, NID_ext_key_usage, "serverAuth") && extension_add(cert, &ctx, NID_authority_key_identifier, "keyid") &&
           extension_add(cert, &ctx, NID_subject_alt_name, text);
}

static bool extension_add(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool added = e && X509_add_ext(cert, e, -1) == 1;

    X509_EXTENSION_free(e);
    return added;
}

static void alt_names(const char *const *names, unsigned count, char text[ALT_NAMES_MAX])
{
    size_t len = 0;

    text[0] = 0;
    for (unsigned i = 0; i < count && len + strlen(names[i]) + 8 < ALT_NAMES_MAX; i++)
        len += (size_t)snprintf(text + len, ALT_NAMES_MAX - len, "%s%s:%s", i ? "," : "", is_address(names[i]) ? "IP" : "DNS", names[i]);
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Never readable by others, not even between open and chmod. */
static int write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, key ? 0600 : 0644);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    int ok = 0;

    if (!file) {
        if (fd >= 0)
            close(fd);
        return -EIO;
    }
    ok = key ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) : PEM_write_X509(file, cert);
    return fclose(file) == 0 && ok == 1 ? 0 : -EIO;
}

static X509 *read_cert(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (file)
        fclose(file);
    return cert;
}

static bool cert_has_names(X509 *cert, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int found = is_address(names[i]) ? X509_check_ip_asc(cert, names[i], 0) : X509_check_host(cert, names[i], 0, 0, NULL);
        if (found != 1)
            return false;
    }
    return true;
}
