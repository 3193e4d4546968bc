/* SASL of a connection, against a peer that is nothing but the bytes of SASL frames: who we say we are, and what we say when refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "shipper/conn.h"

#define PASSWORD "s3cret-of-the-broker"

static struct conn *conn;
static struct conn_event event;
static uint8_t sent[4096];
static size_t sent_len;

static void open_as(const char *user)
{
    const struct conn_options options = {
        .container_id = "test-1", .hostname = "broker.example", .sasl_user = user, .sasl_password = user ? PASSWORD : NULL};
    cr_assert_eq(conn_open(&options, &conn), 0);
}

static void take_output(void)
{
    const uint8_t *data;
    for (size_t len; (len = conn_output(conn, &data)) > 0; conn_output_done(conn, len)) {
        cr_assert_leq(sent_len + len, sizeof sent);
        memcpy(sent + sent_len, data, len);
        sent_len += len;
    }
}

static bool has_sent(const char *bytes, size_t len)
{
    return memmem(sent, sent_len, bytes, len) != NULL;
}

static void give(const void *bytes, size_t len)
{
    conn_input(conn, bytes, len);
    take_output();
}

/* The header and a list of mechanisms: an array of symbols. */
static void offer(const char *mechanism)
{
    uint8_t frame[64] = {0, 0, 0, 0, 2, 1, 0, 0, 0, 0x53, 0x40, 0xc0, 0, 1, 0xe0, 0, 1, 0xa3};
    size_t len = strlen(mechanism);
    frame[18] = (uint8_t)len;
    memcpy(frame + 19, mechanism, len);
    frame[15] = (uint8_t)(3 + len);
    frame[12] = (uint8_t)(1 + 2 + 3 + len);
    frame[3] = (uint8_t)(19 + len);
    give("AMQP\3\1\0\0", 8);
    give(frame, 19 + len);
}

static void decide(uint8_t code)
{
    const uint8_t frame[] = {0, 0, 0, 16, 2, 1, 0, 0, 0, 0x53, 0x44, 0xc0, 3, 1, 0x50, code};
    give(frame, sizeof frame);
}

static bool is_closed(void)
{
    while (conn_next_event(conn, &event))
        if (event.kind == CONN_CLOSED)
            return true;
    return false;
}

static void end(void)
{
    conn_free(conn);
}
TestSuite(conn_sasl, .fini = end);

Test(conn_sasl, says_user_and_password_to_a_peer_that_takes_plain)
{
    open_as("shipper");
    take_output();
    offer("PLAIN");
    cr_assert(has_sent("\0shipper\0" PASSWORD, 9 + strlen(PASSWORD)));
    cr_assert_not(has_sent("AMQP\0\1\0\0", 8));
    decide(0);
    cr_assert_not(is_closed());
    cr_assert(has_sent("AMQP\0\1\0\0", 8));
}

Test(conn_sasl, is_anonymous_without_a_user)
{
    open_as(NULL);
    take_output();
    offer("ANONYMOUS");
    cr_assert(has_sent("ANONYMOUS", 9));
    decide(0);
    cr_assert_not(is_closed());
}

Test(conn_sasl, names_the_user_that_was_refused_and_not_its_password)
{
    open_as("shipper");
    take_output();
    offer("PLAIN");
    decide(1);
    cr_assert(is_closed());
    cr_assert_str_eq(event.condition, "amqp:unauthorized-access");
    cr_assert_str_eq(event.description, "SASL PLAIN was refused (user shipper)");
}

Test(conn_sasl, says_that_anonymous_was_refused)
{
    open_as(NULL);
    take_output();
    offer("ANONYMOUS");
    decide(1);
    cr_assert(is_closed());
    cr_assert_str_eq(event.description, "SASL ANONYMOUS was refused");
}

Test(conn_sasl, says_what_the_peer_does_not_offer_and_keeps_the_password)
{
    open_as("shipper");
    take_output();
    offer("EXTERNAL");
    cr_assert(is_closed());
    cr_assert_str_eq(event.condition, "amqp:unauthorized-access");
    cr_assert_str_eq(event.description, "SASL PLAIN is not offered by the peer (user shipper)");
    cr_assert_not(has_sent(PASSWORD, strlen(PASSWORD)));
}

Test(conn_sasl, leaves_a_connection_that_ends_in_the_middle_without_a_judgement)
{
    open_as("shipper");
    take_output();
    offer("PLAIN");
    conn_input_end(conn);
    cr_assert(is_closed());
    cr_assert_str_eq(event.description, "");
}
