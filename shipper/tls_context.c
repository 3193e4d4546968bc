/* What the TLS sessions of a peer share: whom we trust, and the certificate that says who we are. */
#include "tls_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

/* What OpenSSL is told when it asks for a pass phrase, and that it did. */
struct phrase {
    const char *text;
    bool asked;
};

static int context_trust(SSL_CTX *ssl_ctx, const char *ca_file, const char *ca_dir, char *why, size_t why_len);
static int context_identify(SSL_CTX *ssl_ctx, const struct tls_options *options, char *why, size_t why_len);
static int certificate_load(SSL_CTX *ssl_ctx, const char *path, char *why, size_t why_len);
static int key_load(SSL_CTX *ssl_ctx, const char *path, const char *password, char *why, size_t why_len);
static int phrase_give(char *to, int cap, int writing, void *user_data);
static void identity_warn(SSL_CTX *ssl_ctx, const struct tls_options *options, char *why, size_t why_len);
static bool is_given(const char *text);

int tls_context_open(const struct tls_options *options, struct tls_context **out, char *why, size_t why_len)
{
    int ret = -ENOMEM;
    struct tls_context *context = calloc(1, sizeof *context);
    snprintf(why, why_len, "TLS: out of memory");
    if (!context)
        goto out;
    context->ssl_ctx = SSL_CTX_new(TLS_client_method());
    if (!context->ssl_ctx)
        goto out;
    if (SSL_CTX_set_min_proto_version(context->ssl_ctx, TLS1_2_VERSION) != 1)
        goto out;
    SSL_CTX_set_options(context->ssl_ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context->ssl_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context->ssl_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context->ssl_ctx, SSL_VERIFY_PEER, tls_verify_note);
    SSL_CTX_set_cert_cb(context->ssl_ctx, tls_certificate_note, NULL);
    ret = context_trust(context->ssl_ctx, options->ca_file, options->ca_dir, why, why_len);
    if (ret < 0)
        goto out;
    why[0] = '\0';
    if (is_given(options->certificate))
        ret = context_identify(context->ssl_ctx, options, why, why_len);
    if (ret < 0)
        goto out;
    *out = context;
    context = NULL;
out:
    tls_context_close(context);
    return ret;
}

int tls_context_share(struct tls_context *context, struct tls_context **out)
{
    *out = NULL;
    if (!context)
        return 0;
    struct tls_context *same = calloc(1, sizeof *same);
    if (!same)
        return -ENOMEM;
    SSL_CTX_up_ref(context->ssl_ctx);
    same->ssl_ctx = context->ssl_ctx;
    *out = same;
    return 0;
}

void tls_context_close(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl_ctx);
    free(context);
}

static int context_trust(SSL_CTX *ssl_ctx, const char *ca_file, const char *ca_dir, char *why, size_t why_len)
{
    struct stat status;
    if (!is_given(ca_file) && !is_given(ca_dir)) {
        if (SSL_CTX_set_default_verify_paths(ssl_ctx) == 1)
            return 0;
        snprintf(why, why_len, "the system's certificate store cannot be read; install ca-certificates or set ca_file");
        return -ENOENT;
    }
    if (is_given(ca_file)) {
        if (stat(ca_file, &status) < 0) {
            int error = errno;
            snprintf(why, why_len, "ca_file %s: %s", ca_file, strerror(error));
            return -error;
        }
        if (S_ISDIR(status.st_mode) || access(ca_file, R_OK) < 0) {
            int error = S_ISDIR(status.st_mode) ? EISDIR : errno;
            snprintf(why, why_len, "ca_file %s: %s", ca_file, strerror(error));
            return -error;
        }
        ERR_clear_error();
        if (SSL_CTX_load_verify_file(ssl_ctx, ca_file) != 1) {
            snprintf(why, why_len, "ca_file %s holds no certificate in PEM form: %s", ca_file, tls_openssl_reason());
            return -EINVAL;
        }
    }
    if (is_given(ca_dir)) {
        if (stat(ca_dir, &status) < 0 || !S_ISDIR(status.st_mode)) {
            snprintf(why, why_len, "ca_dir %s is not a directory", ca_dir);
            return -ENOTDIR;
        }
        if (SSL_CTX_load_verify_dir(ssl_ctx, ca_dir) != 1) {
            snprintf(why, why_len, "ca_dir %s cannot be used: %s", ca_dir, tls_openssl_reason());
            return -EINVAL;
        }
    }
    return 0;
}

/* A file that can be used gives a warning in `why` where somebody should look at it. */
static int context_identify(SSL_CTX *ssl_ctx, const struct tls_options *options, char *why, size_t why_len)
{
    const char *key = is_given(options->key) ? options->key : options->certificate;
    int ret = certificate_load(ssl_ctx, options->certificate, why, why_len);
    if (ret == 0)
        ret = key_load(ssl_ctx, key, options->key_password ? options->key_password : "", why, why_len);
    if (ret == 0 && SSL_CTX_check_private_key(ssl_ctx) != 1) {
        snprintf(why, why_len, "tls_key %s is not the key of tls_certificate %s", key, options->certificate);
        ret = -EINVAL;
    }
    ERR_clear_error();
    if (ret == 0)
        identity_warn(ssl_ctx, options, why, why_len);
    return ret;
}

static int certificate_load(SSL_CTX *ssl_ctx, const char *path, char *why, size_t why_len)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        int error = errno;
        snprintf(why, why_len, "tls_certificate %s: %s", path, strerror(error));
        return -error;
    }
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl_ctx, path) == 1)
        return 0;
    snprintf(why, why_len, "tls_certificate %s holds no certificate in PEM form that can be used: %s", path, tls_openssl_reason());
    return -EINVAL;
}

static int key_load(SSL_CTX *ssl_ctx, const char *path, const char *password, char *why, size_t why_len)
{
    struct phrase phrase = {.text = password};
    int ret = -EINVAL;
    EVP_PKEY *key = NULL;
    FILE *file = fopen(path, "re");
    if (!file) {
        int error = errno;
        snprintf(why, why_len, "tls_key %s: %s", path, strerror(error));
        return -error;
    }
    ERR_clear_error();
    key = PEM_read_PrivateKey(file, NULL, phrase_give, &phrase);
    if (!key && phrase.asked && !password[0])
        snprintf(why, why_len, "tls_key %s is encrypted: give its pass phrase as tls_key_password", path);
    else if (!key && phrase.asked)
        snprintf(why, why_len, "tls_key %s cannot be decrypted: tls_key_password is not its pass phrase", path);
    else if (!key)
        snprintf(why, why_len, "tls_key %s holds no private key in PEM form: %s", path, tls_openssl_reason());
    else if (SSL_CTX_use_PrivateKey(ssl_ctx, key) != 1)
        snprintf(why, why_len, "tls_key %s is not the key of tls_certificate: %s", path, tls_openssl_reason());
    else
        ret = 0;
    EVP_PKEY_free(key);
    fclose(file);
    return ret;
}

/* Never asks a terminal. */
static int phrase_give(char *to, int cap, int writing, void *user_data)
{
    struct phrase *phrase = user_data;
    size_t len = strlen(phrase->text);
    (void)writing;
    phrase->asked = true;
    if (len == 0 || len > (size_t)cap)
        return -1;
    memcpy(to, phrase->text, len);
    return (int)len;
}

static void identity_warn(SSL_CTX *ssl_ctx, const struct tls_options *options, char *why, size_t why_len)
{
    struct stat status;
    char date[64] = "?";
    const char *key = is_given(options->key) ? options->key : options->certificate;
    const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(ssl_ctx));
    if (end && X509_cmp_current_time(end) < 0) {
        tls_print_date(end, date, sizeof date);
        snprintf(why, why_len, "tls_certificate %s has expired on %s", options->certificate, date);
    } else if (stat(key, &status) == 0 && (status.st_mode & S_IROTH)) {
        snprintf(why, why_len, "tls_key %s can be read by every user of this machine: chmod o-r", key);
    }
}

static bool is_given(const char *text)
{
    return text && text[0];
}
