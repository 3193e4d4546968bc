/* Certificates made in memory and OpenSSL's server between two memory BIOs, for tests of what a client does with them. */
#ifndef EHRING_TESTS_TLS_RIG_H
#define EHRING_TESTS_TLS_RIG_H

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define DAY 86400

struct authority {
    EVP_PKEY *key;
    X509 *cert;
    char file[64];
};
struct server {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
};

static struct server server;

static inline void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX v3;
    X509V3_set_ctx_nodb(&v3);
    X509V3_set_ctx(&v3, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline X509 *cert_make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *alt_names, long from_s,
                              long to_s)
{
    static int serial = 1;
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : X509_get_subject_name(cert));
    add_extension(cert, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt_names)
        add_extension(cert, NID_subject_alt_name, alt_names);
    X509_sign(cert, issuer_key, EVP_sha256());
    return cert;
}

static inline void authority_make(struct authority *authority, const char *name)
{
    authority->key = EVP_EC_gen("P-256");
    authority->cert = cert_make(name, authority->key, NULL, authority->key, NULL, -DAY, DAY);
    snprintf(authority->file, sizeof authority->file, "/tmp/ehring-test-ca-XXXXXX");
    int fd = mkstemp(authority->file);
    FILE *file = fdopen(fd, "w");
    PEM_write_X509(file, authority->cert);
    fclose(file);
}

static inline void authority_free(struct authority *authority)
{
    unlink(authority->file);
    X509_free(authority->cert);
    EVP_PKEY_free(authority->key);
}

static inline void serve(struct authority *authority, const char *alt_names, long from_s, long to_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = cert_make("server", key, authority->cert, authority->key, alt_names, from_s, to_s);
    server.ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(server.ctx, cert);
    SSL_CTX_use_PrivateKey(server.ctx, key);
    server.ssl = SSL_new(server.ctx);
    server.in = BIO_new(BIO_s_mem());
    server.out = BIO_new(BIO_s_mem());
    SSL_set_bio(server.ssl, server.in, server.out);
    SSL_set_accept_state(server.ssl);
    X509_free(cert);
    EVP_PKEY_free(key);
}

#endif
