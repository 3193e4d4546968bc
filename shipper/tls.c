/* TLS for one connection: OpenSSL between two ends in memory. Does no I/O. */
#include "tls_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define CERTIFICATE_REMEDY "; the peer asks for a client certificate and none is given: set tls_certificate and tls_key"

struct tls {
    SSL *ssl;
    BIO *in;       /* cipher bytes from the peer; owned by ssl */
    BIO *waiting;  /* cipher bytes for the peer that nothing was lent for */
    uint8_t *lent; /* where they go at once; NULL: nowhere */
    size_t lent_cap;
    size_t lent_len;
    bool ready;
    bool dead;
    bool certificate_wanted; /* the peer has asked for one of ours */
    char host[256];
    char version[96];
    char error[768];
};

static BIO_METHOD *output_method; /* one for the process */
static pthread_once_t output_once = PTHREAD_ONCE_INIT;

static void output_method_make(void);
static int output_create(BIO *bio);
static int output_write(BIO *bio, const char *data, size_t len, size_t *written);
static long output_ctrl(BIO *bio, int command, long number, void *pointer);
static bool output_waits(const struct tls *tls);
static int session_make(struct tls_context *context, struct tls *tls);
static int session_name(struct tls *tls);
static void handshake_drive(struct tls *tls);
static int session_fail(struct tls *tls, const char *doing, int result);
static void error_handshake(struct tls *tls, char *remedy, size_t cap, int reason);
static void error_untrusted(struct tls *tls, X509 *cert);
static void error_name(struct tls *tls, X509 *leaf);
static void error_date(struct tls *tls, X509 *cert, int code);
static void print_names(X509 *leaf, char *to, size_t cap);
static void print_name(X509_NAME *name, char *to, size_t cap);

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
    BIO_free(tls->waiting);
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
    if (!tls->ready || len == 0 || output_waits(tls))
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

void tls_lend(struct tls *tls, uint8_t *to, size_t cap)
{
    tls->lent = to;
    tls->lent_cap = cap;
    tls->lent_len = 0;
}

size_t tls_output(struct tls *tls, uint8_t *to, size_t cap)
{
    size_t put = 0, got = 0;
    if (tls->lent) {
        assert(to == tls->lent);
        assert(cap == tls->lent_cap);
        put = tls->lent_len;
        tls_lend(tls, NULL, 0);
    }
    if (put == cap || BIO_pending(tls->waiting) == 0)
        return put;
    return BIO_read_ex(tls->waiting, to + put, cap - put, &got) == 1 ? put + got : put;
}

bool tls_is_ready(const struct tls *tls)
{
    return tls->ready && !tls->dead;
}

bool tls_shutdown(struct tls *tls)
{
    if (!tls_is_ready(tls) || (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN))
        return false;
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    return true;
}

void tls_input_end(struct tls *tls)
{
    if (tls->dead)
        return;
    tls->dead = true;
    const char *remedy = tls->certificate_wanted && !SSL_get_certificate(tls->ssl) ? CERTIFICATE_REMEDY : "";
    snprintf(tls->error, sizeof tls->error, "TLS with %s failed: the peer ended the connection %s%s", tls->host,
             tls->ready ? "without close_notify" : "during the handshake", remedy);
}

const char *tls_error(const struct tls *tls)
{
    return tls->error;
}

const char *tls_version(const struct tls *tls)
{
    return tls->version;
}

void tls_print_peer(const struct tls *tls, char *to, size_t cap)
{
    char names[256] = "?", issuer[192] = "?", date[64] = "?";
    X509 *leaf = SSL_get0_peer_certificate(tls->ssl);
    to[0] = '\0';
    if (!leaf)
        return;
    print_names(leaf, names, sizeof names);
    print_name(X509_get_issuer_name(leaf), issuer, sizeof issuer);
    tls_print_date(X509_get0_notAfter(leaf), date, sizeof date);
    snprintf(to, cap, "certificate for %s by \"%s\", valid until %s", names, issuer, date);
}

int64_t tls_peer_end_s(const struct tls *tls)
{
    struct tm utc;
    X509 *leaf = SSL_get0_peer_certificate(tls->ssl);
    return leaf && ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &utc) == 1 ? (int64_t)timegm(&utc) : 0;
}

static int session_make(struct tls_context *context, struct tls *tls)
{
    tls->ssl = SSL_new(context->ssl_ctx);
    tls->in = BIO_new(BIO_s_mem());
    tls->waiting = BIO_new(BIO_s_mem());
    pthread_once(&output_once, output_method_make);
    BIO *out = output_method ? BIO_new(output_method) : NULL;
    if (!tls->ssl || !tls->in || !tls->waiting || !out) {
        BIO_free(tls->in);
        BIO_free(out);
        return -ENOMEM;
    }
    BIO_set_data(out, tls);
    SSL_set_bio(tls->ssl, tls->in, out);
    SSL_set_connect_state(tls->ssl);
    SSL_set_app_data(tls->ssl, tls);
    return 0;
}

/* OpenSSL's way out: into what was lent while that has room, else aside. */
static void output_method_make(void)
{
    output_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ehring output");
    if (output_method) {
        BIO_meth_set_create(output_method, output_create);
        BIO_meth_set_write_ex(output_method, output_write);
        BIO_meth_set_ctrl(output_method, output_ctrl);
    }
}

static int output_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static int output_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct tls *tls = BIO_get_data(bio);
    size_t room = BIO_pending(tls->waiting) > 0 ? 0 : tls->lent_cap - tls->lent_len, now = len < room ? len : room;
    if (now > 0)
        memcpy(tls->lent + tls->lent_len, data, now);
    tls->lent_len += now;
    *written = len;
    size_t later = 0;
    return now == len || (BIO_write_ex(tls->waiting, data + now, len - now, &later) == 1 && later == len - now);
}

static long output_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static bool output_waits(const struct tls *tls)
{
    return tls->lent_len > 0 || BIO_pending(tls->waiting) > 0;
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
    const char *reason = tls_openssl_reason();
    char remedy[160] = "";
    if (strstr(reason, "wrong version number") || strstr(reason, "packet length too long") || strstr(reason, "record layer failure"))
        snprintf(remedy, sizeof remedy, "; what answers there does not speak TLS: check host and port");
    else if (strstr(reason, "protocol version"))
        snprintf(remedy, sizeof remedy, "; TLS 1.2 is the least");
    else
        error_handshake(tls, remedy, sizeof remedy, ERR_GET_REASON(ERR_peek_error()));
    snprintf(tls->error, sizeof tls->error, "TLS with %s failed (%s): %s%s", tls->host, doing,
             code == SSL_ERROR_SYSCALL ? "the stream ended without close_notify" : reason, remedy);
    return -EPROTO;
}

/* What an alert of the peer's means once it has asked for our certificate. */
static void error_handshake(struct tls *tls, char *remedy, size_t cap, int reason)
{
    static const struct {
        int reason;
        const char *meaning;
    } alerts[] = {
        {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "it got none"},
        {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "it gives no reason"},
        {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "its issuer is not known there"},
        {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it is bad"},
        {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "its kind is not supported there"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "it has expired"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "it is revoked"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "it gives no reason"},
        {SSL_R_TLSV1_ALERT_ACCESS_DENIED, "its owner has no access"},
        {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, "its signature is wrong"},
    };
    for (size_t i = 0; tls->certificate_wanted && i < sizeof alerts / sizeof alerts[0]; i++) {
        if (alerts[i].reason != reason)
            continue;
        if (SSL_get_certificate(tls->ssl))
            snprintf(remedy, cap, "; the peer does not accept the client certificate: %s; check tls_certificate", alerts[i].meaning);
        else
            snprintf(remedy, cap, "%s", CERTIFICATE_REMEDY);
    }
}

int tls_certificate_note(SSL *ssl, void *unused)
{
    struct tls *tls = SSL_get_app_data(ssl);
    (void)unused;
    if (tls)
        tls->certificate_wanted = true;
    return 1;
}

const char *tls_openssl_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "no reason given";
}

/* OpenSSL's verify callback: decides nothing, only keeps the certificate's particulars, which are gone once the handshake has failed. */
int tls_verify_note(int ok, X509_STORE_CTX *store_ctx)
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
        tls_print_date(early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert), date, sizeof date);
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

void tls_print_date(const ASN1_TIME *date, char *to, size_t cap)
{
    struct tm utc;
    if (ASN1_TIME_to_tm(date, &utc) == 1)
        strftime(to, cap, "%Y-%m-%d %H:%M:%S UTC", &utc);
}
