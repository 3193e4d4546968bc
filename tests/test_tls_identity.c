/* Who we are in TLS: certificate and key files good and bad, and what a peer that asks for them makes of it. */
#include <criterion/criterion.h>

#include <errno.h>
#include <sys/stat.h>

#include "shipper/tls.h"
#include "tests/tls_rig.h"

static struct authority ours, stranger;
static struct tls_context *context;
static struct tls *tls;
static char why[1200];
static char dir[64], certificate[96], key[96], locked_key[96], other_key[96], both[96], old[96];

static void key_write(const char *path, EVP_PKEY *pkey, const char *phrase, const char *mode)
{
    FILE *file = fopen(path, mode);
    cr_assert(file);
    fchmod(fileno(file), 0600);
    PEM_write_PrivateKey(file, pkey, phrase ? EVP_aes_256_cbc() : NULL, NULL, 0, NULL, (void *)(uintptr_t)phrase);
    fclose(file);
}

static void cert_write(const char *path, X509 *cert)
{
    FILE *file = fopen(path, "w");
    cr_assert(file);
    PEM_write_X509(file, cert);
    fclose(file);
}

/* A client's certificate of `authority`'s in all forms that the tests want. */
static void identity_make(struct authority *authority)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *cert = cert_make("client", pkey, authority->cert, authority->key, NULL, -DAY, DAY);
    X509 *expired = cert_make("client", pkey, authority->cert, authority->key, NULL, -2 * DAY, -DAY);
    cert_write(certificate, cert);
    cert_write(both, cert);
    cert_write(old, expired);
    key_write(key, pkey, NULL, "w");
    key_write(both, pkey, NULL, "a");
    key_write(locked_key, pkey, "open sesame", "w");
    key_write(other_key, other, NULL, "w");
    X509_free(cert);
    X509_free(expired);
    EVP_PKEY_free(pkey);
    EVP_PKEY_free(other);
}

static void rig_open(void)
{
    snprintf(dir, sizeof dir, "/tmp/ehring-test-identity-XXXXXX");
    cr_assert(mkdtemp(dir));
    snprintf(certificate, sizeof certificate, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(locked_key, sizeof locked_key, "%s/locked.pem", dir);
    snprintf(other_key, sizeof other_key, "%s/other.pem", dir);
    snprintf(both, sizeof both, "%s/both.pem", dir);
    snprintf(old, sizeof old, "%s/old.pem", dir);
    authority_make(&ours, "Our Test CA");
    authority_make(&stranger, "Strange CA");
    identity_make(&ours);
}

static void rig_close(void)
{
    char command[96];
    tls_close(tls);
    tls_context_close(context);
    SSL_free(server.ssl);
    SSL_CTX_free(server.ctx);
    authority_free(&ours);
    authority_free(&stranger);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

TestSuite(tls_identity, .init = rig_open, .fini = rig_close);

static int open_with(const char *certificate_file, const char *key_file, const char *password)
{
    tls_context_close(context);
    context = NULL;
    return tls_context_open(
        &(struct tls_options){.ca_file = ours.file, .certificate = certificate_file, .key = key_file, .key_password = password}, &context,
        why, sizeof why);
}

static void refuses(const char *certificate_file, const char *key_file, const char *password, const char *words)
{
    cr_assert_lt(open_with(certificate_file, key_file, password), 0, "%s", words);
    cr_assert(strstr(why, words), "%s: no \"%s\"", why, words);
    cr_assert_not(strstr(why, "sesame"), "%s", why);
}

/* The handshake with a server that asks for a certificate of our authority's; `version`: TLS's. */
static void shake(int version)
{
    uint8_t bytes[16384];
    bool any = true;
    X509_STORE *store;
    SSL_CTX_free(server.ctx);
    SSL_free(server.ssl);
    tls_close(tls);
    tls = NULL;
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    SSL_set_min_proto_version(server.ssl, version);
    SSL_set_max_proto_version(server.ssl, version);
    SSL_set_verify(server.ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    store = SSL_CTX_get_cert_store(server.ctx);
    X509_STORE_add_cert(store, ours.cert);
    cr_assert_eq(tls_open(context, "hub.example", &tls), 0);
    while (any) {
        any = false;
        size_t len = tls_output(tls, bytes, sizeof bytes);
        if (len > 0) {
            BIO_write(server.in, bytes, (int)len);
            any = true;
        }
        SSL_do_handshake(server.ssl);
        int got = BIO_read(server.out, bytes, sizeof bytes);
        if (got > 0 && tls_input(tls, bytes, (size_t)got) == 0)
            any = tls_read(tls, bytes, sizeof bytes) >= 0;
    }
}

static void dies(int version, const char *words)
{
    uint8_t byte;
    shake(version);
    cr_assert_lt(tls_read(tls, &byte, 1), 0);
    cr_assert(strstr(tls_error(tls), words), "%s: no \"%s\"", tls_error(tls), words);
}

Test(tls_identity, shows_a_certificate_to_a_peer_that_asks)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(open_with(certificate, key, NULL), 0, "%s", why);
        cr_assert_str_eq(why, "");
        shake(versions[i]);
        cr_assert(tls_is_ready(tls), "%s", tls_error(tls));
        X509 *shown = SSL_get0_peer_certificate(server.ssl);
        cr_assert(shown && SSL_get_verify_result(server.ssl) == X509_V_OK);
    }
}

Test(tls_identity, reads_a_key_from_the_certificates_file)
{
    cr_assert_eq(open_with(both, NULL, NULL), 0, "%s", why);
    cr_assert_eq(open_with(both, "", ""), 0, "%s", why);
    shake(TLS1_3_VERSION);
    cr_assert(tls_is_ready(tls), "%s", tls_error(tls));
}

Test(tls_identity, reads_a_key_with_a_pass_phrase)
{
    cr_assert_eq(open_with(certificate, locked_key, "open sesame"), 0, "%s", why);
    refuses(certificate, locked_key, "close sesame", "locked.pem cannot be decrypted: tls_key_password is not its pass phrase");
    refuses(certificate, locked_key, NULL, "locked.pem is encrypted: give its pass phrase as tls_key_password");
    refuses(certificate, locked_key, "", "is encrypted");
}

Test(tls_identity, names_the_file_that_is_wrong)
{
    refuses("/nonexistent/cert.pem", key, NULL, "tls_certificate /nonexistent/cert.pem: No such file");
    refuses(certificate, "/nonexistent/key.pem", NULL, "tls_key /nonexistent/key.pem: No such file");
    refuses(key, key, NULL, "key.pem holds no certificate in PEM form");
    refuses(certificate, certificate, NULL, "cert.pem holds no private key in PEM form");
    refuses(certificate, NULL, NULL, "cert.pem holds no private key");
    refuses(certificate, other_key, NULL, "other.pem is not the key of tls_certificate");
    refuses("/dev/null", key, NULL, "tls_certificate /dev/null holds no certificate");
}

Test(tls_identity, warns_of_a_key_that_everybody_can_read)
{
    chmod(key, 0644);
    cr_assert_eq(open_with(certificate, key, NULL), 0, "%s", why);
    cr_assert(strstr(why, "key.pem can be read by every user"), "%s", why);
    chmod(key, 0640);
    cr_assert_eq(open_with(certificate, key, NULL), 0, "%s", why);
    cr_assert_str_eq(why, "");
}

Test(tls_identity, warns_of_a_certificate_that_has_expired)
{
    cr_assert_eq(open_with(old, key, NULL), 0, "%s", why);
    cr_assert(strstr(why, "old.pem has expired on 20"), "%s", why);
}

Test(tls_identity, tells_that_the_peer_wants_a_certificate)
{
    cr_assert_eq(open_with(NULL, NULL, NULL), 0, "%s", why);
    dies(TLS1_2_VERSION, "the peer asks for a client certificate and none is given: set tls_certificate and tls_key");
    dies(TLS1_3_VERSION, "the peer asks for a client certificate and none is given");
}

Test(tls_identity, tells_that_the_peer_does_not_accept_the_certificate)
{
    identity_make(&stranger);
    cr_assert_eq(open_with(certificate, key, NULL), 0, "%s", why);
    dies(TLS1_2_VERSION, "does not accept the client certificate: its issuer is not known there");
    dies(TLS1_3_VERSION, "does not accept the client certificate: its issuer is not known there");
    cr_assert_eq(open_with(old, key, NULL), 0, "%s", why);
    identity_make(&ours);
    cr_assert_eq(open_with(old, key, NULL), 0, "%s", why);
    dies(TLS1_3_VERSION, "does not accept the client certificate: it has expired");
}

Test(tls_identity, suspects_the_certificate_when_the_peer_just_ends)
{
    uint8_t bytes[8192];
    cr_assert_eq(open_with(NULL, NULL, NULL), 0, "%s", why);
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    SSL_set_max_proto_version(server.ssl, TLS1_2_VERSION);
    SSL_set_verify(server.ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    cr_assert_eq(tls_open(context, "hub.example", &tls), 0);
    size_t len = tls_output(tls, bytes, sizeof bytes);
    BIO_write(server.in, bytes, (int)len);
    SSL_do_handshake(server.ssl);
    int got = BIO_read(server.out, bytes, sizeof bytes);
    cr_assert_eq(tls_input(tls, bytes, (size_t)got), 0);
    tls_input_end(tls);
    cr_assert(strstr(tls_error(tls), "ended the connection during the handshake; the peer asks for a client certificate"), "%s",
              tls_error(tls));
    cr_assert_lt(tls_read(tls, bytes, 1), 0);
}

Test(tls_identity, describes_the_peers_certificate)
{
    char text[600];
    cr_assert_eq(open_with(certificate, key, NULL), 0, "%s", why);
    cr_assert_eq(tls_open(context, "hub.example", &tls), 0);
    tls_print_peer(tls, text, sizeof text);
    cr_assert_str_eq(text, "");
    shake(TLS1_3_VERSION);
    tls_print_peer(tls, text, sizeof text);
    cr_assert_eq(strncmp(text, "certificate for hub.example by \"CN = Our Test CA\", valid until 20", 64), 0, "%s", text);
}
