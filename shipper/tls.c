/* TLS for one connection: OpenSSL between two memory BIOs. Does no I/O. */
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_context {
    SSL_CTX *ssl_ctx;
};
struct tls {
    SSL *ssl;
    BIO *in;  /* cipher bytes from the peer; owned by ssl */
    BIO *out; /* cipher bytes for the peer; owned by ssl */
    bool ready;
    bool dead;
    char host[256];
    char version[96];
    char error[768];
};

static int context_trust(SSL_CTX *ssl_ctx, const char *ca_file, const char *ca_dir, char *why, size_t why_len);
static bool is_given(const char *text);
static int session_make(struct tls_context *context, struct tls *tls);
static int session_name(struct tls *tls);
static void handshake_drive(struct tls *tls);
static int session_fail(struct tls *tls, const char *doing, int result);
static const char *openssl_reason(void);
static int verify_note(int ok, X509_STORE_CTX *store_ctx);
static void error_untrusted(struct tls *tls, X509 *cert);
static void error_name(struct tls *tls, X509 *leaf);
static void error_date(struct tls *tls, X509 *cert, int code);
static void print_names(X509 *leaf, char *to, size_t cap);
static void print_name(X509_NAME *name, char *to, size_t cap);
static void print_date(const ASN1_TIME *date, char *to, size_t cap);

int tls_context_open(const char *ca_file, const char *ca_dir, struct tls_context **out, char *why, size_t why_len)
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
    SSL_CTX_set_verify(context->ssl_ctx, SSL_VERIFY_PEER, verify_note);
    ret = context_trust(context->ssl_ctx, ca_file, ca_dir, why, why_len);
    if (ret < 0)
        goto out;
    *out = context;
    context = NULL;
    why[0] = '\0';
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

int tls_open(struct tls_context *context, const char *host, struct tls **out)
{
    size_t host_len = strlen(host);
    if (host_len == 0 || host_len >= sizeof((struct tls *)0)->host)
        return -EINVAL;
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return -ENOMEM;
    memcpy(tls->host, host, host_len);
    int ret = session_make(context, tls);
    if (ret == 0)
        ret = session_name(tls);
    if (ret < 0) {
        tls_close(tls);
        return ret;
    }
    handshake_drive(tls);
    *out = tls;
    return 0;
}

void tls_close(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

int tls_input(struct tls *tls, const uint8_t *data, size_t len)
{
    if (tls->dead)
        return -EPROTO;
    while (len > 0) {
        int step = len > (1u << 30) ? 1 << 30 : (int)len;
        int taken = BIO_write(tls->in, data, step);
        if (taken <= 0)
            return session_fail(tls, "out of memory", 0);
        data += taken;
        len -= (size_t)taken;
    }
    if (!tls->ready)
        handshake_drive(tls);
    return tls->dead ? -EPROTO : 0;
}

ssize_t tls_read(struct tls *tls, uint8_t *to, size_t cap)
{
    if (!tls->ready && !tls->dead)
        handshake_drive(tls);
    if (tls->dead)
        return -EPROTO;
    if (!tls->ready)
        return 0;
    size_t got = 0;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, to, cap, &got);
    if (result == 1)
        return (ssize_t)got;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return -ECONNRESET;
    default:
        return session_fail(tls, "reading", result);
    }
}

ssize_t tls_write(struct tls *tls, const uint8_t *data, size_t len)
{
    if (tls->dead)
        return -EPROTO;
    if (!tls->ready || len == 0 || BIO_pending(tls->out) > 0)
        return 0;
    if (len > TLS_WRITE_BYTES_MAX)
        len = TLS_WRITE_BYTES_MAX;
    /* with partial writes OpenSSL returns after each record of 16 KiB */
    size_t taken = 0;
    while (taken < len) {
        size_t step = 0;
        ERR_clear_error();
        int result = SSL_write_ex(tls->ssl, data + taken, len - taken, &step);
        if (result != 1) {
            int code = SSL_get_error(tls->ssl, result);
            if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
                break;
            return session_fail(tls, "writing", result);
        }
        taken += step;
    }
    return (ssize_t)taken;
}

size_t tls_output(struct tls *tls, uint8_t *to, size_t cap)
{
    size_t got = 0;
    if (cap == 0 || BIO_pending(tls->out) == 0)
        return 0;
    return BIO_read_ex(tls->out, to, cap, &got) == 1 ? got : 0;
}

bool tls_is_ready(const struct tls *tls)
{
    return tls->ready && !tls->dead;
}

void tls_shutdown(struct tls *tls)
{
    if (!tls_is_ready(tls))
        return;
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
}

const char *tls_error(const struct tls *tls)
{
    return tls->error;
}

const char *tls_version(const struct tls *tls)
{
    return tls->version;
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
        ERR_clear_error();
        if (SSL_CTX_load_verify_file(ssl_ctx, ca_file) != 1) {
            snprintf(why, why_len, "ca_file %s holds no certificate in PEM form: %s", ca_file, openssl_reason());
            return -EINVAL;
        }
    }
    if (is_given(ca_dir)) {
        if (stat(ca_dir, &status) < 0 || !S_ISDIR(status.st_mode)) {
            snprintf(why, why_len, "ca_dir %s is not a directory", ca_dir);
            return -ENOTDIR;
        }
        if (SSL_CTX_load_verify_dir(ssl_ctx, ca_dir) != 1) {
            snprintf(why, why_len, "ca_dir %s cannot be used: %s", ca_dir, openssl_reason());
            return -EINVAL;
        }
    }
    return 0;
}

static bool is_given(const char *text)
{
    return text && text[0];
}

static int session_make(struct tls_context *context, struct tls *tls)
{
    tls->ssl = SSL_new(context->ssl_ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        return -ENOMEM;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    SSL_set_app_data(tls->ssl, tls);
    return 0;
}

/* What the certificate must say, and for names what the server is told (SNI). */
static int session_name(struct tls *tls)
{
    struct in6_addr address;
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    if (inet_pton(AF_INET, tls->host, &address) == 1 || inet_pton(AF_INET6, tls->host, &address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, tls->host) == 1 ? 0 : -ENOMEM;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(param, tls->host, 0) != 1 || SSL_set_tlsext_host_name(tls->ssl, tls->host) != 1)
        return -ENOMEM;
    return 0;
}

static void handshake_drive(struct tls *tls)
{
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->ready = true;
        snprintf(tls->version, sizeof tls->version, "%s %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));
        return;
    }
    int code = SSL_get_error(tls->ssl, result);
    if (code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
        session_fail(tls, "handshake", result);
}

/* Notes why the session is dead, unless the verification has said so better already. */
static int session_fail(struct tls *tls, const char *doing, int result)
{
    tls->dead = true;
    if (tls->error[0])
        return -EPROTO;
    int code = result == 0 ? SSL_ERROR_SSL : SSL_get_error(tls->ssl, result);
    const char *reason = openssl_reason();
    const char *remedy = "";
    if (strstr(reason, "wrong version number") || strstr(reason, "packet length too long") || strstr(reason, "record layer failure"))
        remedy = "; what answers there does not speak TLS: check host and port";
    else if (strstr(reason, "protocol version"))
        remedy = "; TLS 1.2 is the least";
    snprintf(tls->error, sizeof tls->error, "TLS with %s failed (%s): %s%s", tls->host, doing,
             code == SSL_ERROR_SYSCALL ? "the stream ended without close_notify" : reason, remedy);
    return -EPROTO;
}

static const char *openssl_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "no reason given";
}

/* OpenSSL's verify callback: decides nothing, only keeps the certificate's particulars, which are gone once the handshake has failed. */
static int verify_note(int ok, X509_STORE_CTX *store_ctx)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
    if (ok || !tls)
        return ok;
    int code = X509_STORE_CTX_get_error(store_ctx);
    X509 *current = X509_STORE_CTX_get_current_cert(store_ctx);
    X509 *leaf = X509_STORE_CTX_get0_cert(store_ctx);
    switch (code) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        error_untrusted(tls, current ? current : leaf);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        error_name(tls, leaf);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        error_date(tls, current ? current : leaf, code);
        break;
    default:
        snprintf(tls->error, sizeof tls->error, "certificate of %s is refused: %s", tls->host, X509_verify_cert_error_string(code));
    }
    return ok;
}

static void error_untrusted(struct tls *tls, X509 *cert)
{
    char issuer[256] = "?";
    if (cert)
        print_name(X509_get_issuer_name(cert), issuer, sizeof issuer);
    snprintf(tls->error, sizeof tls->error,
             "certificate of %s is not trusted: its issuer is \"%s\"; if that is right, give the issuer's certificate as ca_file",
             tls->host, issuer);
}

static void error_name(struct tls *tls, X509 *leaf)
{
    char names[384] = "";
    if (leaf)
        print_names(leaf, names, sizeof names);
    snprintf(tls->error, sizeof tls->error, "certificate is for another host: expected %s, found %s; check the host name", tls->host,
             names[0] ? names : "no name");
}

static void error_date(struct tls *tls, X509 *cert, int code)
{
    bool early = code == X509_V_ERR_CERT_NOT_YET_VALID;
    char date[64] = "?", now[64] = "?";
    time_t seconds = time(NULL);
    struct tm utc;
    if (cert)
        print_date(early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert), date, sizeof date);
    if (gmtime_r(&seconds, &utc))
        strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S UTC", &utc);
    snprintf(tls->error, sizeof tls->error, "certificate of %s %s %s; check this machine's clock, which says %s", tls->host,
             early ? "is not valid before" : "has expired on", date, now);
}

/* The names of the certificate that a host may have: DNS names and addresses, else the common name. */
static void print_names(X509 *leaf, char *to, size_t cap)
{
    size_t used = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && used + 1 < cap; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[256] = "";
        if (name->type == GEN_DNS) {
            snprintf(text, sizeof text, "%.*s", ASN1_STRING_length(name->d.dNSName), (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            int len = ASN1_STRING_length(name->d.iPAddress);
            inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text,
                      len == 4 || len == 16 ? sizeof text : 0);
        }
        if (text[0])
            used += (size_t)snprintf(to + used, cap - used, "%s%s", used ? ", " : "", text);
    }
    GENERAL_NAMES_free(names);
    if (used == 0)
        print_name(X509_get_subject_name(leaf), to, cap);
}

static void print_name(X509_NAME *name, char *to, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        int len = BIO_read(bio, to, (int)cap - 1);
        to[len > 0 ? len : 0] = '\0';
    }
    BIO_free(bio);
}

static void print_date(const ASN1_TIME *date, char *to, size_t cap)
{
    struct tm utc;
    if (ASN1_TIME_to_tm(date, &utc) == 1)
        strftime(to, cap, "%Y-%m-%d %H:%M:%S UTC", &utc);
}
