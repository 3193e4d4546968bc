/* A certificate authority of one's own, and certificates of servers and clients signed by it; good ones, and bad ones for tests. */
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

enum usage { AUTHORITY, SERVER, CLIENT };

/* A certificate and its key. */
struct pair {
    X509 *cert;
    EVP_PKEY *key;
};

/* What is to stand in a certificate. */
struct wish {
    enum usage usage;
    const char *common_name;
    const char *const *names; /* of a server */
    unsigned name_count;
    long from_days, until_days; /* from now */
};

static int authority_open(const struct hub_cert_files *files, struct pair *ca);
static bool authority_read(const struct hub_cert_files *files, struct pair *ca);
static void server_wish(struct wish *w, const char *const *names, unsigned count, enum hub_cert_fault fault);
static int pair_make(struct pair *p, const struct wish *w, const struct pair *issuer);
static int pair_write(const struct pair *p, const char *cert, const char *key);
static void pair_free(struct pair *p);
static X509 *cert_new(const struct wish *w, EVP_PKEY *key, const struct pair *issuer);
static bool extensions_add(X509 *cert, const struct wish *w, X509 *issuer);
static bool extension_add(X509 *cert, X509V3_CTX *ctx, int nid, const char *value);
static void alt_names(const char *const *names, unsigned count, char text[ALT_NAMES_MAX]);
static bool is_address(const char *name);
static bool is_good_for_a_day(const X509 *cert);
static int write_pem(const char *path, X509 *cert, EVP_PKEY *key);
static X509 *read_cert(const char *path);
static EVP_PKEY *read_key(const char *path);
static bool cert_has_names(X509 *cert, const char *const *names, unsigned count);
static bool clients_need(SSL_CTX *ctx, const char *client_ca);

int hub_cert_fault_read(const char *name, enum hub_cert_fault *fault)
{
    static const struct {
        const char *name;
        enum hub_cert_fault fault;
    } rows[] = {{"expired", HUB_CERT_EXPIRED},
                {"future", HUB_CERT_FUTURE},
                {"other-host", HUB_CERT_OTHER_HOST},
                {"self-signed", HUB_CERT_SELF_SIGNED}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) != 0)
            continue;
        *fault = rows[i].fault;
        return 0;
    }
    return -EINVAL;
}

int hub_cert_make(const struct hub_cert_files *files, const char *const *names, unsigned count, enum hub_cert_fault fault)
{
    struct pair ca = {.cert = NULL}, server = {.cert = NULL};
    struct wish w;
    int rc = authority_open(files, &ca);

    server_wish(&w, names, count, fault);
    if (rc == 0)
        rc = pair_make(&server, &w, fault == HUB_CERT_SELF_SIGNED ? NULL : &ca);
    if (rc == 0)
        rc = pair_write(&server, files->cert, files->key);
    pair_free(&server);
    pair_free(&ca);
    return rc;
}

int hub_cert_make_client(const struct hub_cert_files *files, const char *cert, const char *key)
{
    const struct wish w = {.usage = CLIENT, .common_name = "ehring-hub test client", .from_days = -1, .until_days = DAYS_VALID};
    struct pair ca = {.cert = NULL}, client = {.cert = NULL};
    int rc = authority_open(files, &ca);

    if (rc == 0)
        rc = pair_make(&client, &w, &ca);
    if (rc == 0)
        rc = pair_write(&client, cert, key);
    pair_free(&client);
    pair_free(&ca);
    return rc;
}

bool hub_cert_is_usable(const struct hub_cert_files *files, const char *const *names, unsigned count)
{
    struct pair ca = {.cert = NULL};
    X509 *cert = read_cert(files->cert);
    char ignored[256];
    bool good = false;

    if (!authority_read(files, &ca) || !cert || !is_good_for_a_day(cert))
        goto out;
    if (X509_verify(cert, X509_get0_pubkey(ca.cert)) != 1 || !cert_has_names(cert, names, count))
        goto out;
    SSL_CTX *ctx = hub_cert_context(files->cert, files->key, NULL, ignored, sizeof(ignored));
    good = ctx != NULL;
    SSL_CTX_free(ctx);
out:
    pair_free(&ca);
    X509_free(cert);
    ERR_clear_error();
    return good;
}

SSL_CTX *hub_cert_context(const char *cert, const char *key, const char *client_ca, char *why, size_t why_size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(ctx) == 1 &&
        (!client_ca || clients_need(ctx, client_ca))) {
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

/* What is there is used again, so that who trusts it goes on to. */
static int authority_open(const struct hub_cert_files *files, struct pair *ca)
{
    const struct wish w = {.usage = AUTHORITY, .common_name = "ehring-hub test authority", .from_days = -1, .until_days = DAYS_VALID};

    if (authority_read(files, ca))
        return 0;
    pair_free(ca);
    int rc = pair_make(ca, &w, NULL);
    return rc < 0 ? rc : pair_write(ca, files->ca, files->ca_key);
}

static bool authority_read(const struct hub_cert_files *files, struct pair *ca)
{
    ca->cert = read_cert(files->ca);
    ca->key = read_key(files->ca_key);
    bool good = ca->cert && ca->key && is_good_for_a_day(ca->cert) && X509_check_private_key(ca->cert, ca->key) == 1;
    ERR_clear_error();
    return good;
}

static void server_wish(struct wish *w, const char *const *names, unsigned count, enum hub_cert_fault fault)
{
    static const char *const others[] = {"other-host.invalid"};

    *w = (struct wish){.usage = SERVER, .names = names, .name_count = count, .from_days = -1, .until_days = DAYS_VALID};
    if (fault == HUB_CERT_OTHER_HOST) {
        w->names = others;
        w->name_count = 1;
    } else if (fault == HUB_CERT_EXPIRED) {
        w->from_days = -3;
        w->until_days = -1;
    } else if (fault == HUB_CERT_FUTURE) {
        w->from_days = 1;
    }
    w->common_name = w->name_count > 0 && strlen(w->names[0]) <= 64 ? w->names[0] : "ehring-hub";
}

static int pair_make(struct pair *p, const struct wish *w, const struct pair *issuer)
{
    p->key = EVP_EC_gen("P-256");
    p->cert = p->key ? cert_new(w, p->key, issuer) : NULL;
    return p->cert ? 0 : -EIO;
}

/* The key first: a certificate that is there has one. */
static int pair_write(const struct pair *p, const char *cert, const char *key)
{
    return write_pem(key, NULL, p->key) == 0 && write_pem(cert, p->cert, NULL) == 0 ? 0 : -EIO;
}

static void pair_free(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    *p = (struct pair){.cert = NULL};
}

/* Signed by itself when it has no issuer. */
static X509 *cert_new(const struct wish *w, EVP_PKEY *key, const struct pair *issuer)
{
    X509 *cert = X509_new();
    uint64_t serial = 0;

    if (!cert || RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
        goto fail;
    X509_NAME *name = X509_get_subject_name(cert);
    if (X509_set_version(cert, 2) != 1 || ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) != 1)
        goto fail;
    if (!X509_gmtime_adj(X509_getm_notBefore(cert), w->from_days * SECONDS_PER_DAY) ||
        !X509_gmtime_adj(X509_getm_notAfter(cert), w->until_days * SECONDS_PER_DAY))
        goto fail;
    if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)w->common_name, -1, -1, 0) != 1)
        goto fail;
    if (X509_set_pubkey(cert, key) != 1 || X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer->cert) : name) != 1)
        goto fail;
    if (!extensions_add(cert, w, issuer ? issuer->cert : cert) || X509_sign(cert, issuer ? issuer->key : key, EVP_sha256()) == 0)
        goto fail;
    return cert;
fail:
    X509_free(cert);
    return NULL;
}

static bool extensions_add(X509 *cert, const struct wish *w, X509 *issuer)
{
    char text[ALT_NAMES_MAX];
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    if (!extension_add(cert, &ctx, NID_subject_key_identifier, "hash"))
        return false;
    if (w->usage == AUTHORITY)
        return extension_add(cert, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
               extension_add(cert, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!extension_add(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") ||
        !extension_add(cert, &ctx, NID_key_usage, "critical,digitalSignature") ||
        !extension_add(cert, &ctx, NID_ext_key_usage, w->usage == SERVER ? "serverAuth" : "clientAuth") ||
        !extension_add(cert, &ctx, NID_authority_key_identifier, "keyid"))
        return false;
    alt_names(w->names, w->name_count, text);
    return w->usage == CLIENT || extension_add(cert, &ctx, NID_subject_alt_name, text);
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

static bool is_good_for_a_day(const X509 *cert)
{
    time_t tomorrow = time(NULL) + SECONDS_PER_DAY;

    return X509_cmp_time(X509_get0_notAfter(cert), &tomorrow) > 0;
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

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

    if (file)
        fclose(file);
    return key;
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

/* A session is resumed only in the context it was made in, so this one needs a name. */
static bool clients_need(SSL_CTX *ctx, const char *client_ca)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca);

    if (!names || SSL_CTX_load_verify_locations(ctx, client_ca, NULL) != 1)
        return false;
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"hub", 3) == 1;
}
