/* TLS as clients meet it: certificates that are good or bad on purpose, and client certificates that are asked for. */
#include "tests/hub_loop.h"
#include "tests/hub_ws_rig.h"

#include "tools/hub/cert.h"

#include <openssl/err.h>

TestSuite(hub_tls, .timeout = 60);

enum { TURNS_MAX = 2000 };

/* A hub with TLS and what its clients need to reach it. */
struct place {
    struct loop l;
    char dir[64];
    struct hub_cert_files files;
    SSL_CTX *server, *client;
    uint16_t amqps, wss;
};

static void files_of(struct hub_cert_files *f, const char *dir)
{
    snprintf(f->ca, sizeof f->ca, "%s/ca.pem", dir);
    snprintf(f->ca_key, sizeof f->ca_key, "%s/ca.key", dir);
    snprintf(f->cert, sizeof f->cert, "%s/server.pem", dir);
    snprintf(f->key, sizeof f->key, "%s/server.key", dir);
}

static void place_open(struct place *p, enum hub_cert_fault fault, bool client_needed)
{
    static const char *const names[] = {"localhost"};
    struct hub_way tls = {0}, wss = {.websocket = true};
    char why[256];

    *p = (struct place){.dir = "/tmp/ehring-hub-tls.XXXXXX"};
    cr_assert_not_null(mkdtemp(p->dir));
    files_of(&p->files, p->dir);
    cr_assert_eq(hub_cert_make(&p->files, names, 1, fault), 0);
    p->server = hub_cert_context(p->files.cert, p->files.key, client_needed ? p->files.ca : NULL, why, sizeof why);
    cr_assert_not_null(p->server, "%s", why);
    tls.ctx = wss.ctx = p->server;
    loop_open(&p->l);
    cr_assert_eq(hub_server_listen(p->l.server, loopback, 1, &p->amqps, &tls), 0);
    cr_assert_eq(hub_server_listen(p->l.server, loopback, 1, &p->wss, &wss), 0);
    p->client = SSL_CTX_new(TLS_client_method());
    cr_assert_eq(SSL_CTX_load_verify_locations(p->client, p->files.ca, NULL), 1);
}

static void place_close(struct place *p)
{
    const char *const names[] = {p->files.ca, p->files.ca_key, p->files.cert, p->files.key};

    loop_close(&p->l);
    SSL_CTX_free(p->client);
    SSL_CTX_free(p->server);
    for (unsigned i = 0; i < 4; i++)
        unlink(names[i]);
    cr_expect_eq(rmdir(p->dir), 0);
}

/* Sends text when the handshake is done, and reads what comes back. Returns its length, or 0 with the reason of OpenSSL. */
static size_t talk(struct place *p, SSL *ssl, const char *text, size_t text_len, char *answer, size_t size, int *reason)
{
    bool sent = false;
    int n = -1;

    *reason = 0;
    for (int i = 0; i < TURNS_MAX; i++) {
        ERR_clear_error();
        n = !sent ? SSL_write(ssl, text, (int)text_len) : SSL_read(ssl, answer, (int)size);
        if (n > 0 && sent)
            return (size_t)n;
        sent |= n > 0;
        int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            *reason = ERR_GET_REASON(ERR_peek_error());
            return 0;
        }
        cr_assert_eq(hub_server_turn(p->l.server, &p->l.mask), 0);
    }
    return 0;
}

static SSL *ssl_open(struct place *p, uint16_t port, int *fd)
{
    SSL *ssl = SSL_new(p->client);

    *fd = dial(port);
    cr_assert_geq(*fd, 0);
    SSL_set_fd(ssl, *fd);
    SSL_set_connect_state(ssl);
    SSL_set1_host(ssl, "localhost");
    return ssl;
}

static void ssl_close(SSL *ssl, int fd)
{
    SSL_free(ssl);
    close(fd);
}

/* Whether a hub of AMQP answers; `verified` is what OpenSSL found of its certificate. */
static bool speaks_amqp(struct place *p, long *verified, int *reason)
{
    char answer[512];
    int fd;
    SSL *ssl = ssl_open(p, p->amqps, &fd);
    size_t len = talk(p, ssl, "AMQP\3\1\0\0", 8, answer, sizeof answer, reason);

    *verified = SSL_get_verify_result(ssl);
    ssl_close(ssl, fd);
    return len >= 8 && memcmp(answer, "AMQP\3\1\0\0", 8) == 0;
}

Test(hub_tls, certificates_are_good_or_bad_in_the_way_that_was_asked_for)
{
    static const struct {
        const char *name;
        enum hub_cert_fault fault;
        long verified;
    } rows[] = {
        {NULL, HUB_CERT_GOOD, X509_V_OK},
        {"expired", HUB_CERT_EXPIRED, X509_V_ERR_CERT_HAS_EXPIRED},
        {"future", HUB_CERT_FUTURE, X509_V_ERR_CERT_NOT_YET_VALID},
        {"other-host", HUB_CERT_OTHER_HOST, X509_V_ERR_HOSTNAME_MISMATCH},
        {"self-signed", HUB_CERT_SELF_SIGNED, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum hub_cert_fault fault = HUB_CERT_GOOD;
        struct place p;
        long verified;
        int reason;
        if (rows[i].name)
            cr_expect_eq(hub_cert_fault_read(rows[i].name, &fault), 0);
        cr_expect_eq(fault, rows[i].fault);
        place_open(&p, fault, false);
        cr_expect(speaks_amqp(&p, &verified, &reason), "%zu", i);
        cr_expect_eq(verified, rows[i].verified, "%s: %s", rows[i].name, X509_verify_cert_error_string(verified));
        place_close(&p);
    }
    enum hub_cert_fault ignored;
    cr_expect_lt(hub_cert_fault_read("fine", &ignored), 0);
}

Test(hub_tls, a_client_that_does_not_trust_the_hub_is_a_failed_handshake_and_not_a_refused_one)
{
    struct place p;
    long verified;
    int reason;

    place_open(&p, HUB_CERT_SELF_SIGNED, false);
    SSL_CTX_set_verify(p.client, SSL_VERIFY_PEER, NULL);
    cr_expect_not(speaks_amqp(&p, &verified, &reason));
    for (int i = 0; i < TURNS_MAX && p.l.r.broker.handshakes_failed == 0; i++)
        cr_assert_eq(hub_server_turn(p.l.server, &p.l.mask), 0);
    cr_expect_eq(p.l.r.broker.handshakes_failed, 1);
    cr_expect_eq(p.l.r.broker.handshakes_refused, 0);
    place_close(&p);
}

static void client_cert_use(struct place *p, const struct hub_cert_files *authority)
{
    char cert[128], key[128];

    snprintf(cert, sizeof cert, "%s/client.pem", p->dir);
    snprintf(key, sizeof key, "%s/client.key", p->dir);
    cr_assert_eq(hub_cert_make_client(authority, cert, key), 0);
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(p->client, cert), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(p->client, key, SSL_FILETYPE_PEM), 1);
    unlink(cert);
    unlink(key);
}

Test(hub_tls, a_client_certificate_that_is_needed_lets_in_and_its_want_is_told_and_counted)
{
    struct hub_cert_files foreign;
    struct place p;
    char dir[] = "/tmp/ehring-hub-tls.XXXXXX";
    long verified;
    int reason;

    place_open(&p, HUB_CERT_GOOD, true);
    cr_expect_not(speaks_amqp(&p, &verified, &reason), "without a certificate");
    cr_expect_eq(reason, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "reason %d", reason);
    cr_expect_eq(p.l.r.broker.handshakes_refused, 1);
    cr_assert_not_null(mkdtemp(dir));
    files_of(&foreign, dir);
    client_cert_use(&p, &foreign);
    cr_expect_not(speaks_amqp(&p, &verified, &reason), "with a certificate of another authority");
    cr_expect_eq(reason, SSL_R_TLSV1_ALERT_UNKNOWN_CA, "reason %d", reason);
    cr_expect_eq(p.l.r.broker.handshakes_refused, 2);
    cr_expect_eq(p.l.r.broker.handshakes_failed, 2);
    client_cert_use(&p, &p.files);
    cr_expect(speaks_amqp(&p, &verified, &reason), "with the hub's own: reason %d", reason);
    cr_expect_eq(verified, X509_V_OK);
    cr_expect_eq(p.l.r.broker.handshakes_failed, 2);
    unlink(foreign.ca);
    unlink(foreign.ca_key);
    rmdir(dir);
    place_close(&p);
}

Test(hub_tls, a_secure_websocket_is_an_upgrade_within_tls)
{
    char answer[1024] = "";
    struct place p;
    int fd, reason;

    place_open(&p, HUB_CERT_GOOD, false);
    SSL *ssl = ssl_open(&p, p.wss, &fd);
    cr_expect_gt(talk(&p, ssl, WS_HEAD, strlen(WS_HEAD), answer, sizeof answer - 1, &reason), 0);
    cr_expect_eq(strncmp(answer, "HTTP/1.1 101 ", 13), 0, "%s", answer);
    struct hub_buf out = {0};
    ws_put_binary(&out, "AMQP\3\1\0\0", 8);
    memset(answer, 0, sizeof answer);
    cr_expect_gt(talk(&p, ssl, (const char *)out.data, out.len, answer, sizeof answer - 1, &reason), 10);
    cr_expect_eq((uint8_t)answer[0], 0x80 | WS_BINARY);
    cr_expect_eq(memcmp(answer + 2, "AMQP\3\1\0\0", 8), 0);
    cr_expect_eq(p.l.r.broker.connections_by[HUB_TRANSPORT_WSS], 1);
    cr_expect_eq(p.l.r.broker.connections_by[HUB_TRANSPORT_AMQPS], 0);
    hub_buf_free(&out);
    ssl_close(ssl, fd);
    place_close(&p);
}

Test(hub_tls, an_authority_that_is_there_signs_again_and_one_without_its_key_is_made_anew)
{
    static const char *const names[] = {"localhost", "elsewhere"};
    struct place p;

    place_open(&p, HUB_CERT_GOOD, false);
    cr_expect(hub_cert_is_usable(&p.files, names, 1));
    cr_expect_not(hub_cert_is_usable(&p.files, names, 2));
    cr_assert_eq(hub_cert_make(&p.files, names, 2, HUB_CERT_GOOD), 0);
    cr_expect(hub_cert_is_usable(&p.files, names, 2));
    cr_expect_eq(SSL_CTX_load_verify_locations(p.client, p.files.ca, NULL), 1);
    unlink(p.files.ca_key);
    cr_expect_not(hub_cert_is_usable(&p.files, names, 2), "nothing more can be signed");
    cr_assert_eq(hub_cert_make(&p.files, names, 2, HUB_CERT_GOOD), 0);
    cr_expect(hub_cert_is_usable(&p.files, names, 2));
    place_close(&p);
}
