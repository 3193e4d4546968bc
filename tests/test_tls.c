/* TLS as a byte transformer: our client against OpenSSL's server, both in memory, with certificates made here. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/tls.h"
#include "tests/tls_rig.h"

#define WHOLE ((size_t)1 << 20)

static struct authority ours, stranger;
static struct tls_context *context;
static struct tls *tls;
static char why[512];

static void rig_open(void)
{
    authority_make(&ours, "Our Test CA");
    authority_make(&stranger, "Strange CA");
}

static void rig_close(void)
{
    tls_close(tls);
    tls_context_close(context);
    SSL_free(server.ssl);
    SSL_CTX_free(server.ctx);
    authority_free(&ours);
    authority_free(&stranger);
}

TestSuite(tls, .init = rig_open, .fini = rig_close);

static void dial(const char *host)
{
    cr_assert_eq(tls_context_open(&(struct tls_options){.ca_file = ours.file}, &context, why, sizeof why), 0, "%s", why);
    cr_assert_eq(tls_open(context, host, &tls), 0);
}

/* Moves bytes both ways, at most `step` at a time, until nothing moves or the session is dead. */
static int pump(size_t step)
{
    uint8_t bytes[16384];
    bool any = true;
    while (any) {
        any = false;
        size_t len = tls_output(tls, bytes, step < sizeof bytes ? step : sizeof bytes);
        if (len > 0) {
            BIO_write(server.in, bytes, (int)len);
            any = true;
        }
        if (!SSL_is_init_finished(server.ssl))
            SSL_do_handshake(server.ssl);
        int got = BIO_read(server.out, bytes, step < sizeof bytes ? (int)step : (int)sizeof bytes);
        if (got > 0) {
            int ret = tls_input(tls, bytes, (size_t)got);
            if (ret < 0)
                return ret;
            any = true;
        }
    }
    return 0;
}

static void talk(size_t step)
{
    char bytes[64] = {0};
    cr_assert_eq(pump(step), 0, "%s", tls_error(tls));
    cr_assert(tls_is_ready(tls));
    cr_assert_eq(tls_write(tls, (const uint8_t *)"hello", 5), 5);
    cr_assert_eq(pump(step), 0);
    cr_assert_eq(SSL_read(server.ssl, bytes, sizeof bytes), 5);
    cr_assert_str_eq(bytes, "hello");
    SSL_write(server.ssl, "world", 5);
    cr_assert_eq(pump(step), 0);
    memset(bytes, 0, sizeof bytes);
    cr_assert_eq(tls_read(tls, (uint8_t *)bytes, sizeof bytes), 5);
    cr_assert_str_eq(bytes, "world");
    cr_assert_eq(tls_read(tls, (uint8_t *)bytes, sizeof bytes), 0);
}

Test(tls, talks_to_a_server_whose_authority_it_trusts)
{
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    talk(WHOLE);
    cr_assert(strstr(tls_version(tls), "TLSv1.3"));
    cr_assert_str_eq(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), "hub.example");
}

Test(tls, talks_when_every_byte_comes_and_goes_alone)
{
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    talk(1);
}

Test(tls, talks_tls_1_2)
{
    serve(&ours, "DNS:*.ns.example", -DAY, DAY);
    SSL_set_max_proto_version(server.ssl, TLS1_2_VERSION);
    dial("hub.ns.example");
    talk(WHOLE);
    cr_assert(strstr(tls_version(tls), "TLSv1.2"));
}

Test(tls, refuses_a_server_below_tls_1_2)
{
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    SSL_set_security_level(server.ssl, 0);
    SSL_set_min_proto_version(server.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(server.ssl, TLS1_1_VERSION);
    dial("hub.example");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert_not(tls_is_ready(tls));
    cr_assert(strstr(tls_error(tls), "version"), "%s", tls_error(tls));
}

Test(tls, verifies_an_address_literal_and_sends_no_server_name_for_it)
{
    serve(&ours, "IP:127.0.0.7", -DAY, DAY);
    dial("127.0.0.7");
    talk(WHOLE);
    cr_assert_null(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name));
}

Test(tls, names_the_issuer_it_does_not_trust_and_the_remedy)
{
    serve(&stranger, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "Strange CA"), "%s", tls_error(tls));
    cr_assert(strstr(tls_error(tls), "ca_file"));
    uint8_t byte;
    cr_assert_lt(tls_read(tls, &byte, 1), 0);
    cr_assert_lt(tls_write(tls, &byte, 1), 0);
    cr_assert_lt(tls_input(tls, &byte, 1), 0);
}

Test(tls, tells_expected_and_found_names)
{
    serve(&ours, "DNS:other.example,DNS:third.example,IP:10.0.0.1", -DAY, DAY);
    dial("hub.example");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "hub.example"), "%s", tls_error(tls));
    cr_assert(strstr(tls_error(tls), "other.example, third.example, 10.0.0.1"), "%s", tls_error(tls));
}

Test(tls, tells_the_name_in_the_subject_when_there_is_no_other)
{
    serve(&ours, NULL, -DAY, DAY);
    dial("hub.example");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "CN = server"), "%s", tls_error(tls));
}

Test(tls, refuses_another_address)
{
    serve(&ours, "IP:127.0.0.7,DNS:127.0.0.8", -DAY, DAY);
    dial("127.0.0.8");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "127.0.0.7"), "%s", tls_error(tls));
}

Test(tls, says_to_check_the_clock_when_a_certificate_has_expired)
{
    serve(&ours, "DNS:hub.example", -2 * DAY, -DAY);
    dial("hub.example");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "expired"), "%s", tls_error(tls));
    cr_assert(strstr(tls_error(tls), "clock"));
}

Test(tls, says_to_check_the_clock_when_a_certificate_is_not_yet_valid)
{
    serve(&ours, "DNS:hub.example", DAY, 2 * DAY);
    dial("hub.example");
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "not valid before"), "%s", tls_error(tls));
    cr_assert(strstr(tls_error(tls), "clock"));
}

Test(tls, says_when_the_other_side_does_not_speak_tls)
{
    dial("hub.example");
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    cr_assert_lt(tls_input(tls, (const uint8_t *)answer, sizeof answer - 1), 0);
    cr_assert(strstr(tls_error(tls), "does not speak TLS"), "%s", tls_error(tls));
}

Test(tls, tells_an_orderly_end_from_silence)
{
    uint8_t byte;
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    talk(WHOLE);
    cr_assert_eq(tls_read(tls, &byte, 1), 0);
    SSL_shutdown(server.ssl);
    cr_assert_eq(pump(WHOLE), 0);
    cr_assert_eq(tls_read(tls, &byte, 1), -ECONNRESET);
}

Test(tls, says_goodbye)
{
    char byte;
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    talk(WHOLE);
    tls_shutdown(tls);
    cr_assert_eq(pump(WHOLE), 0);
    cr_assert_eq(SSL_read(server.ssl, &byte, 1), 0);
    cr_assert_eq(SSL_get_shutdown(server.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

Test(tls, takes_at_most_its_share_until_the_output_is_taken)
{
    enum { LEN = 200000 };
    uint8_t *bytes = calloc(1, LEN), *back = malloc(LEN);
    for (int i = 0; i < LEN; i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    cr_assert_eq(tls_write(tls, bytes, LEN), 0, "nothing before the handshake");
    talk(WHOLE);
    size_t written = 0, got = 0;
    while (got < LEN) {
        ssize_t taken = tls_write(tls, bytes + written, LEN - written);
        cr_assert_geq(taken, 0);
        cr_assert_leq(taken, TLS_WRITE_BYTES_MAX);
        written += (size_t)taken;
        if (written < LEN)
            cr_assert_eq(tls_write(tls, bytes + written, LEN - written), 0, "the output waits");
        pump(WHOLE);
        int part;
        while ((part = SSL_read(server.ssl, back + got, (int)(LEN - got))) > 0)
            got += (size_t)part;
    }
    cr_assert_eq(memcmp(bytes, back, LEN), 0);
    free(bytes);
    free(back);
}

Test(tls, follows_a_key_update)
{
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    dial("hub.example");
    talk(WHOLE);
    SSL_key_update(server.ssl, SSL_KEY_UPDATE_REQUESTED);
    talk(WHOLE);
}

Test(tls, names_the_file_it_cannot_trust)
{
    cr_assert_lt(tls_context_open(&(struct tls_options){.ca_file = "/nonexistent/ca.pem"}, &context, why, sizeof why), 0);
    cr_assert(strstr(why, "/nonexistent/ca.pem"));
    cr_assert_lt(tls_context_open(&(struct tls_options){.ca_file = "/dev/null"}, &context, why, sizeof why), 0);
    cr_assert(strstr(why, "no certificate"), "%s", why);
    cr_assert_lt(tls_context_open(&(struct tls_options){.ca_dir = "/dev/null"}, &context, why, sizeof why), 0);
    cr_assert(strstr(why, "not a directory"), "%s", why);
}

Test(tls, takes_the_systems_store_when_nothing_is_named)
{
    serve(&ours, "DNS:hub.example", -DAY, DAY);
    cr_assert_eq(tls_context_open(&(struct tls_options){.ca_file = "", .ca_dir = ""}, &context, why, sizeof why), 0);
    cr_assert_eq(tls_open(context, "hub.example", &tls), 0);
    cr_assert_lt(pump(WHOLE), 0);
    cr_assert(strstr(tls_error(tls), "Our Test CA"), "%s", tls_error(tls));
}
