/* A plain sender with Qpid Proton's proactor: one message a delivery, as many on the way as the hub gives credit.
 * usage: proton-sender HOST PORT CA_FILE|- HUB USER CONNECTION_STRING_FILE BYTES; prints "accepted N" until it is ended. */
#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/netaddr.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>

#include <proton/ssl.h>
#include <proton/transport.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAY_NS INT64_C(50000000)
#define ROOM_BYTES 4096

struct sender {
    const char *hub;
    pn_message_t *message;
    pn_rwbytes_t wire;
    uint64_t number;
    uint64_t accepted;
    int64_t said_ns;
    bool failed;
};

static pn_transport_t *make_transport(const char *ca);
static int read_key(const char *path, char *key, size_t key_len);
static bool handle(struct sender *sender, pn_event_t *event);
static void open_link(struct sender *sender, pn_connection_t *connection);
static void send_messages(struct sender *sender, pn_link_t *link);
static void settle(struct sender *sender, pn_delivery_t *delivery);

int main(int argc, char *argv[])
{
    char address[PN_MAX_ADDR], key[128];
    struct sender sender = {0};
    pn_proactor_t *proactor;
    pn_connection_t *connection;
    pn_transport_t *transport;
    bool goes_on = true;
    size_t len;
    char *body;

    if (argc != 8 || read_key(argv[6], key, sizeof(key))) {
        fputs("usage: proton-sender HOST PORT CA_FILE|- HUB USER CONNECTION_STRING_FILE BYTES\n", stderr);
        return 2;
    }
    len = strtoul(argv[7], NULL, 10);
    body = calloc(1, len + 1);
    sender.hub = argv[4];
    sender.message = pn_message();
    sender.wire = pn_rwbytes(len + ROOM_BYTES, malloc(len + ROOM_BYTES));
    if (!body || !sender.wire.start)
        return 1;
    memset(body, 'e', len);
    pn_data_put_binary(pn_message_body(sender.message), pn_bytes(len, body));
    transport = make_transport(strcmp(argv[3], "-") == 0 ? NULL : argv[3]);
    connection = pn_connection();
    pn_connection_set_container(connection, "ehring-bench-proton");
    pn_connection_set_hostname(connection, argv[1]);
    pn_connection_set_user(connection, argv[5]);
    pn_connection_set_password(connection, key);
    proactor = pn_proactor();
    pn_proactor_addr(address, sizeof(address), argv[1], argv[2]);
    pn_proactor_connect2(proactor, connection, transport, address);
    while (goes_on) {
        pn_event_batch_t *events = pn_proactor_wait(proactor);

        for (pn_event_t *event = pn_event_batch_next(events); event && goes_on; event = pn_event_batch_next(events))
            goes_on = handle(&sender, event);
        pn_proactor_done(proactor, events);
    }
    pn_proactor_free(proactor);
    pn_message_free(sender.message);
    free(sender.wire.start);
    free(body);
    return sender.failed ? 1 : 0;
}

static pn_transport_t *make_transport(const char *ca)
{
    pn_transport_t *transport = pn_transport();

    pn_sasl_allowed_mechs(pn_sasl(transport), "PLAIN");
    pn_sasl_set_allow_insecure_mechs(pn_sasl(transport), true);
    if (ca) {
        pn_ssl_domain_t *domain = pn_ssl_domain(PN_SSL_MODE_CLIENT);

        pn_ssl_domain_set_trusted_ca_db(domain, ca);
        pn_ssl_domain_set_peer_authentication(domain, PN_SSL_VERIFY_PEER, NULL);
        pn_ssl_init(pn_ssl(transport), domain, NULL);
        pn_ssl_domain_free(domain);
    }
    return transport;
}

static int read_key(const char *path, char *key, size_t key_len)
{
    char text[1024] = "", *at;
    FILE *file = fopen(path, "r");

    if (file && !fgets(text, sizeof(text), file))
        text[0] = 0;
    if (file)
        fclose(file);
    at = strstr(text, "SharedAccessKey=");
    if (!at)
        return -1;
    at += strlen("SharedAccessKey=");
    at[strcspn(at, ";\n")] = 0;
    snprintf(key, key_len, "%s", at);
    return 0;
}

static bool handle(struct sender *sender, pn_event_t *event)
{
    switch (pn_event_type(event)) {
    case PN_CONNECTION_INIT:
        open_link(sender, pn_event_connection(event));
        return true;
    case PN_LINK_FLOW:
        send_messages(sender, pn_event_link(event));
        return true;
    case PN_DELIVERY:
        settle(sender, pn_event_delivery(event));
        send_messages(sender, pn_event_link(event));
        return !sender->failed;
    case PN_TRANSPORT_CLOSED:
    case PN_LINK_REMOTE_CLOSE:
    case PN_CONNECTION_REMOTE_CLOSE: {
        pn_condition_t *why = pn_transport_condition(pn_event_transport(event));

        fprintf(stderr, "proton-sender: ended: %s\n", pn_condition_is_set(why) ? pn_condition_get_description(why) : "closed by the hub");
        sender->failed = true;
        return false;
    }
    default:
        return true;
    }
}

static void open_link(struct sender *sender, pn_connection_t *connection)
{
    pn_session_t *session = pn_session(connection);
    pn_link_t *link = pn_sender(session, "bench");

    pn_connection_open(connection);
    pn_session_open(session);
    pn_terminus_set_address(pn_link_target(link), sender->hub);
    pn_link_open(link);
}

static void send_messages(struct sender *sender, pn_link_t *link)
{
    while (pn_link_credit(link) > 0) {
        uint64_t tag = sender->number++;

        pn_message_set_id(sender->message, (pn_msgid_t){.type = PN_ULONG, .u.as_ulong = tag});
        pn_delivery(link, pn_dtag((const char *)&tag, sizeof(tag)));
        if (pn_message_send(sender->message, link, &sender->wire) < 0)
            sender->failed = true;
    }
}

static void settle(struct sender *sender, pn_delivery_t *delivery)
{
    struct timespec now;
    int64_t now_ns;

    if (pn_delivery_remote_state(delivery) != PN_ACCEPTED)
        sender->failed = true;
    pn_delivery_settle(delivery);
    sender->accepted++;
    if (sender->accepted % 64 != 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    now_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    if (now_ns - sender->said_ns < SAY_NS)
        return;
    sender->said_ns = now_ns;
    printf("accepted %llu\n", (unsigned long long)sender->accepted);
    fflush(stdout);
}
