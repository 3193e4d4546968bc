/* What a stream's section says of its peer: type, identity, transport, proxy, certificates; what is taken, what is refused, what is
 * printed. */
#include "tests/config_rig.h"

TestSuite(config_door, .init = config_setup, .fini = config_teardown);

#define ENTRA "[stream orders]\nhub = orders\nnamespace = contoso\ncredential = "
#define BROKER "[stream orders]\ntype = amqp\nbroker = amqps://rabbit.example:5671\naddress = orders\n"

static const struct door *door_of(const char *text)
{
    good(text);
    return &config->stream[0].door;
}

Test(config_door, a_plain_section_goes_to_event_hubs_over_amqp_with_a_key)
{
    const struct door *door = door_of(STREAM);
    cr_expect_eq(door->type, DOOR_EVENT_HUBS);
    cr_expect_eq(door->transport, DOOR_TRANSPORT_AMQP);
    cr_expect_eq(door->credential.kind, CREDENTIAL_SAS);
    cr_expect_eq(door->proxy, DOOR_PROXY_NONE);
    cr_expect_not(door->plain);
    cr_expect_eq(door_port(door), 5671);
    cr_expect_eq(door_dial_port(door), 5671);
    cr_expect_str_eq(door_dial_host(door), "contoso.servicebus.windows.net");
}

Test(config_door, every_credential_has_a_name)
{
    static const struct {
        const char *word;
        enum credential_kind kind;
    } cases[] = {{"default", CREDENTIAL_DEFAULT},
                 {"environment", CREDENTIAL_ENVIRONMENT},
                 {"client-secret", CREDENTIAL_CLIENT_SECRET},
                 {"client-certificate", CREDENTIAL_CLIENT_CERTIFICATE},
                 {"workload-identity", CREDENTIAL_WORKLOAD_IDENTITY},
                 {"managed-identity", CREDENTIAL_MANAGED_IDENTITY},
                 {"azure-cli", CREDENTIAL_AZURE_CLI}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, ENTRA "%s\n", cases[i].word);
        const struct door *door = door_of(text);
        cr_expect_eq(door->credential.kind, cases[i].kind);
        cr_expect_str_eq(door->connstr.host, "contoso.servicebus.windows.net");
        cr_expect_str_eq(door->hub, "orders");
    }
    const struct door *door =
        door_of(ENTRA "client-secret\ntenant_id = t\nclient_id = c\nclient_secret = hunter2\nauthority_host = login.example\n");
    cr_expect_str_eq(door->credential.tenant_id, "t");
    cr_expect_str_eq(door->credential.client_id, "c");
    cr_expect_str_eq(door->credential.client_secret, "hunter2");
    cr_expect_str_eq(door->credential.authority_host, "login.example");
    cr_expect_null(strstr(printed(), "hunter2"));
    cr_expect_not_null(strstr(printed(), "client_secret = ***\n"));
    cr_expect_not_null(strstr(printed(), "namespace = contoso.servicebus.windows.net\n"));
}

Test(config_door, an_identity_and_a_key_exclude_each_other)
{
    bad(STREAM "credential = default\n", 3, "connection_string: an identity of Entra ID (credential) excludes keys");
    bad(ENTRA "default\nshared_access_key = " SECRET "\n", 5, "shared_access_key: an identity of Entra ID");
    bad(STREAM "client_id = x\n", 4, "client_id: has a meaning with credential only");
    bad(ENTRA "managed-identity\nobject_id = a\nresource_id = b\n", 6, "resource_id: an identity is named by");
    bad("[stream orders]\nhub = orders\ncredential = default\n", 1, "stream orders has no credentials");
    bad(ENTRA "environmental\n", 4, "credential: environmental: must be key, default, environment, client-secret");
}

Test(config_door, a_second_key_is_of_the_same_peer)
{
    const struct door *door =
        door_of(STREAM "connection_string_secondary = Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=other;"
                       "SharedAccessKey=hunter2\n");
    cr_expect_str_eq(door->second_key_name, "other");
    cr_expect_str_eq(door->second_key, "hunter2");
    cr_expect_null(strstr(printed(), "hunter2"));
    door = door_of("[stream a]\nhub = h\nnamespace = n\nshared_access_key_name = p\nshared_access_key = "
                   "hunter2\nshared_access_key_secondary = hunter3\n");
    cr_expect_str_eq(door->second_key_name, "p");
    cr_expect_str_eq(door->second_key, "hunter3");
    bad(STREAM "connection_string_secondary = Endpoint=sb://fabrikam.example/;SharedAccessKeyName=other;SharedAccessKey=hunter2\n", 4,
        "connection_string_secondary: its Endpoint is not the first one's");
    bad(STREAM "connection_string_secondary = Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=a\n", 4,
        "connection_string_secondary: ");
}

Test(config_door, a_broker_has_an_address_and_no_hub)
{
    const struct door *door =
        door_of(BROKER "sasl_user = u\nsasl_password = hunter2\nkey_property = property:device\nwindow_events = 16\n");
    cr_expect_eq(door->type, DOOR_AMQP);
    cr_expect_str_eq(door->connstr.host, "rabbit.example");
    cr_expect_eq(door->connstr.port, 5671);
    cr_expect_str_eq(door->hub, "orders");
    cr_expect_str_eq(door->sasl_password, "hunter2");
    cr_expect_eq(door->key_place, DOOR_KEY_APPLICATION_PROPERTY);
    cr_expect_str_eq(door->key_name, "device");
    cr_expect_eq(config->stream[0].window_events, 16);
    cr_expect_not(door->plain);
    cr_expect_null(strstr(printed(), "hunter2"));
    cr_expect_not_null(strstr(printed(), "broker = amqps://rabbit.example:5671\naddress = orders\n"));
    door = door_of("[stream a]\ntype = amqp\nbroker = amqp://[::1]\naddress = q\nkey_property = annotation:x-opt-key\n");
    cr_expect(door->plain);
    cr_expect_str_eq(door->connstr.host, "::1");
    cr_expect_eq(door_port(door), 5672);
    cr_expect_eq(door->key_place, DOOR_KEY_MESSAGE_ANNOTATION);
    bad("[stream a]\ntype = amqp\naddress = q\n", 1, "broker: is missing");
    bad("[stream a]\ntype = amqp\nbroker = amqp://h\n", 1, "address: is missing");
    bad(BROKER "hub = x\n", 5, "hub: has a meaning with type = eventhubs only");
    bad(BROKER "connection_string = " CONNECTION "\n", 5, "connection_string: has a meaning with type = eventhubs only");
    bad(STREAM "broker = amqp://h\n", 4, "broker: has a meaning with type = amqp only");
    bad(BROKER "sasl_user = u\n", 5, "sasl_user: needs sasl_password");
    bad(BROKER "key_property = property:\n", 5, "key_property: must be group-id, subject, property:NAME or annotation:NAME");
    bad("[stream a]\ntype = amqp\nbroker = rabbit.example\naddress = q\n", 3, "broker: must be amqps://HOST[:PORT] or amqp://HOST[:PORT]");
    bad("[stream a]\ntype = amqp\nbroker = amqps://\naddress = q\n", 3, "broker: ");
}

Test(config_door, the_way_there_has_its_own_ports)
{
    const struct door *door = door_of(STREAM "transport = websocket\nendpoint = 10.0.0.4\n");
    cr_expect_eq(door->transport, DOOR_TRANSPORT_WEBSOCKET);
    cr_expect_eq(door_port(door), 443);
    cr_expect_str_eq(door_dial_host(door), "10.0.0.4");
    cr_expect_eq(door_dial_port(door), 443);
    cr_expect_str_eq(door->connstr.host, "contoso.servicebus.windows.net");
    door = door_of(STREAM "endpoint = [fd00::4]:15671\n");
    cr_expect_str_eq(door_dial_host(door), "fd00::4");
    cr_expect_eq(door_dial_port(door), 15671);
    cr_expect_eq(door_port(door), 5671);
    bad(STREAM "transport = udp\n", 4, "transport: udp: must be amqp or websocket");
    bad(STREAM "endpoint = a/b\n", 4, "endpoint: the host holds");
}

Test(config_door, a_proxys_password_has_a_key_of_its_own)
{
    const struct door *door = door_of(STREAM "proxy = http://proxy.example:8080/\nproxy_user = u\nproxy_password = hunter2\n");
    cr_expect_eq(door->proxy, DOOR_PROXY_GIVEN);
    cr_expect_str_eq(door->proxy_host, "proxy.example");
    cr_expect_eq(door->proxy_port, 8080);
    cr_expect_null(strstr(printed(), "hunter2"));
    cr_expect_eq(door_of(STREAM "proxy = http://p\n")->proxy_port, 3128);
    cr_expect_eq(door_of(STREAM "proxy = auto\n")->proxy, DOOR_PROXY_AUTO);
    cr_expect_eq(door_of(STREAM "proxy = none\n")->proxy, DOOR_PROXY_NONE);
    bad(STREAM "proxy = http://u:hunter2@proxy.example:8080\n", 4,
        "proxy: must be none, auto or http://HOST[:PORT]; user and password belong in");
    bad(STREAM "proxy = socks5://p\n", 4, "proxy: must be none, auto or http://");
    bad(STREAM "proxy = auto\nproxy_password = hunter2\n", 5, "proxy_password: needs proxy_user");
}

Test(config_door, our_own_certificate_holds_its_key_or_names_it)
{
    const struct door *door = door_of(STREAM "tls_certificate = /a/client.pem\n");
    cr_expect_str_eq(door->tls_key, "/a/client.pem");
    door = door_of(STREAM "tls_certificate = /a/client.pem\ntls_key = /a/client.key\ntls_key_password = hunter2\n");
    cr_expect_str_eq(door->tls_key, "/a/client.key");
    cr_expect_null(strstr(printed(), "hunter2"));
    bad(STREAM "tls_key = /a/client.key\n", 4, "tls_key: needs tls_certificate");
}

Test(config_door, what_is_printed_of_every_door_can_be_read_again)
{
    static const char *const texts[] = {
        STREAM "transport = websocket\nproxy = http://p:1\nendpoint = e\ntls_certificate = /c.pem\n",
        ENTRA "client-secret\ntenant_id = t\nclient_id = c\nclient_secret = s\n",
        BROKER "sasl_user = u\nsasl_password = p\nkey_property = annotation:k\n",
        STREAM "connection_string_secondary = " CONNECTION "\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        static char first[1 << 16];
        good(texts[i]);
        strcpy(first, printed());
        good(first);
        cr_expect_str_eq(printed(), first);
    }
}
