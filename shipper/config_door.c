/* What a section says of its peer, as a whole: type, host, hub, identity, and the way there. */
#include "config_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DOMAIN ".servicebus.windows.net"

static void types_check(const struct config_draft *draft, struct config_report *report);
static void event_hubs_finish(struct config_draft *draft, struct config_report *report);
static void string_finish(struct config_draft *draft, struct config_report *report);
static void second_string_finish(struct config_draft *draft, struct config_report *report);
static void parts_finish(struct config_draft *draft, struct config_report *report);
static void identity_check(const struct config_draft *draft, struct config_report *report);
static void hub_finish(struct config_draft *draft, struct config_report *report);
static void broker_finish(struct config_draft *draft, struct config_report *report);
static void key_property_finish(struct config_draft *draft, struct config_report *report);
static void way_finish(struct config_draft *draft, struct config_report *report);
static void files_stamp(const char *first, const char *second, char *to, size_t to_len);
static void proxy_finish(struct config_draft *draft, struct config_report *report);
static void need(const struct config_draft *draft, enum config_key key, enum config_key other, struct config_report *report);
static bool host_take(const struct config_draft *draft, enum config_key key, const char *text, char host[256], uint16_t *port,
                      struct config_report *report);

void config_door_finish(struct config_draft *draft, struct config_report *report)
{
    types_check(draft, report);
    if (draft->stream.door.type == DOOR_AMQP) {
        broker_finish(draft, report);
        key_property_finish(draft, report);
    } else {
        event_hubs_finish(draft, report);
        hub_finish(draft, report);
    }
    way_finish(draft, report);
}

static void types_check(const struct config_draft *draft, struct config_report *report)
{
    enum door_type type = draft->stream.door.type;
    for (int key = 0; key < KEY_COUNT; key++)
        if (draft->line[key] != 0 && config_fields[key].section == CONFIG_SECTION_STREAM && !config_field_fits(&config_fields[key], type))
            config_complain(report, draft->line[key], config_fields[key].name, "has a meaning with type = %s only",
                            type == DOOR_AMQP ? "eventhubs" : "amqp");
}

static void event_hubs_finish(struct config_draft *draft, struct config_report *report)
{
    const unsigned *line = draft->line;
    static const enum config_key parts[] = {KEY_NAMESPACE, KEY_SHARED_ACCESS_KEY_NAME, KEY_SHARED_ACCESS_KEY,
                                            KEY_SHARED_ACCESS_KEY_SECONDARY};
    unsigned part_line = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && part_line == 0; i++)
        part_line = line[parts[i]];
    identity_check(draft, report);
    if (line[KEY_CONNECTION_STRING] != 0) {
        if (part_line != 0)
            config_complain(report, part_line, NULL, "connection_string excludes namespace, shared_access_key_name and shared_access_key");
        string_finish(draft, report);
    } else if (part_line != 0) {
        parts_finish(draft, report);
    } else {
        config_complain(report, draft->section_line, NULL,
                        "stream %s has no credentials: give connection_string, or namespace, shared_access_key_name and shared_access_key, "
                        "or namespace and credential",
                        draft->stream.name);
    }
    draft->stream.door.plain = draft->stream.door.connstr.emulator;
}

static void string_finish(struct config_draft *draft, struct config_report *report)
{
    struct connstr *connstr = &draft->stream.door.connstr;
    char why[256];
    if (draft->connection_string[0] == '\0') /* its value was complained about */
        return;
    if (connstr_parse(draft->connection_string, connstr, why, sizeof why) != 0)
        config_complain(report, draft->line[KEY_CONNECTION_STRING], "connection_string", "%s", why);
    else if (draft->connection_string_secondary[0] != '\0')
        second_string_finish(draft, report);
}

static void second_string_finish(struct config_draft *draft, struct config_report *report)
{
    static const enum config_key key = KEY_CONNECTION_STRING_SECONDARY;
    struct door *door = &draft->stream.door;
    struct connstr second;
    char why[256];
    if (connstr_parse(draft->connection_string_secondary, &second, why, sizeof why) != 0) {
        config_complain(report, draft->line[key], config_fields[key].name, "%s", why);
        return;
    }
    if (strcasecmp(second.host, door->connstr.host) != 0 || second.port != door->connstr.port || second.emulator != door->connstr.emulator)
        config_complain(report, draft->line[key], config_fields[key].name, "its Endpoint is not the first one's");
    else if (second.hub[0] != '\0' && door->connstr.hub[0] != '\0' && strcasecmp(second.hub, door->connstr.hub) != 0)
        config_complain(report, draft->line[key], config_fields[key].name, "its EntityPath is not the first one's");
    else if (second.signature[0] != '\0' || door->connstr.signature[0] != '\0')
        config_complain(report, draft->line[key], config_fields[key].name, "two keys are needed, a ready signature has no other");
    memcpy(door->second_key_name, second.key_name, sizeof door->second_key_name);
    memcpy(door->second_key, second.key, sizeof door->second_key);
    connstr_wipe(&second);
}

static void parts_finish(struct config_draft *draft, struct config_report *report)
{
    static const enum config_key keys[] = {KEY_NAMESPACE, KEY_SHARED_ACCESS_KEY_NAME, KEY_SHARED_ACCESS_KEY};
    struct door *door = &draft->stream.door;
    char why[256];
    bool entra = door->credential.kind != CREDENTIAL_SAS;
    for (size_t i = 0; i < (entra ? 1 : sizeof keys / sizeof *keys); i++)
        if (draft->line[keys[i]] == 0)
            config_complain(report, draft->section_line, config_fields[keys[i]].name,
                            entra ? "is missing" : "is missing: a namespace needs a policy and its key, or a credential");
    char *host = draft->namespace_host;
    if (host[0] != '\0' && strpbrk(host, ".:[") == NULL && strcasecmp(host, "localhost") != 0)
        strcat(host, DOMAIN); /* 261 bytes at most before, room for 320 */
    if (host[0] != '\0' && connstr_set_host(host, &door->connstr, why, sizeof why) != 0)
        config_complain(report, draft->line[KEY_NAMESPACE], "namespace", "%s", why);
    memcpy(door->connstr.key_name, draft->shared_access_key_name, sizeof door->connstr.key_name);
    memcpy(door->connstr.key, draft->shared_access_key, sizeof door->connstr.key);
    if (draft->shared_access_key_secondary[0] != '\0') {
        memcpy(door->second_key_name, draft->shared_access_key_name, sizeof door->second_key_name);
        memcpy(door->second_key, draft->shared_access_key_secondary, sizeof door->second_key);
    }
    need(draft, KEY_CONNECTION_STRING_SECONDARY, KEY_CONNECTION_STRING, report);
}

/* An identity of Entra ID and a key exclude each other; its parts belong to its kind. */
static void identity_check(const struct config_draft *draft, struct config_report *report)
{
    static const enum config_key keys[] = {KEY_CONNECTION_STRING, KEY_CONNECTION_STRING_SECONDARY, KEY_SHARED_ACCESS_KEY_NAME,
                                           KEY_SHARED_ACCESS_KEY, KEY_SHARED_ACCESS_KEY_SECONDARY};
    static const enum config_key parts[] = {
        KEY_TENANT_ID,  KEY_CLIENT_ID, KEY_CLIENT_SECRET, KEY_CLIENT_CERTIFICATE, KEY_CLIENT_CERTIFICATE_PASSWORD,
        KEY_TOKEN_FILE, KEY_OBJECT_ID, KEY_RESOURCE_ID,   KEY_AUTHORITY_HOST};
    bool entra = draft->stream.door.credential.kind != CREDENTIAL_SAS;
    for (size_t i = 0; entra && i < sizeof keys / sizeof *keys; i++)
        if (draft->line[keys[i]] != 0)
            config_complain(report, draft->line[keys[i]], config_fields[keys[i]].name,
                            "an identity of Entra ID (credential) excludes keys: give namespace and hub alone");
    for (size_t i = 0; !entra && i < sizeof parts / sizeof *parts; i++)
        if (draft->line[parts[i]] != 0)
            config_complain(report, draft->line[parts[i]], config_fields[parts[i]].name, "has a meaning with credential only");
    if (draft->line[KEY_OBJECT_ID] != 0 && draft->line[KEY_RESOURCE_ID] != 0)
        config_complain(report, draft->line[KEY_RESOURCE_ID], "resource_id", "an identity is named by object_id or by resource_id");
}

static void hub_finish(struct config_draft *draft, struct config_report *report)
{
    struct door *door = &draft->stream.door;
    bool given = draft->line[KEY_HUB] != 0;
    if (!given && door->connstr.hub[0] != '\0')
        memcpy(door->hub, door->connstr.hub, sizeof door->hub);
    else if (!given)
        config_complain(report, draft->section_line, "hub", "is missing, and the connection string has no EntityPath");
    else if (door->hub[0] != '\0' && door->connstr.hub[0] != '\0' && strcasecmp(door->hub, door->connstr.hub) != 0)
        config_complain(report, draft->line[KEY_HUB], "hub", "%s is not the connection string's EntityPath %s", door->hub,
                        door->connstr.hub);
    else
        memcpy(door->connstr.hub, door->hub, sizeof door->connstr.hub);
}

static void broker_finish(struct config_draft *draft, struct config_report *report)
{
    struct door *door = &draft->stream.door;
    const char *url = draft->broker;
    if (draft->line[KEY_BROKER] == 0)
        config_complain(report, draft->section_line, "broker", "is missing: type = amqp needs broker and address");
    if (draft->line[KEY_ADDRESS] == 0)
        config_complain(report, draft->section_line, "address", "is missing: type = amqp needs broker and address");
    memcpy(door->hub, draft->address, sizeof door->hub);
    need(draft, KEY_SASL_USER, KEY_SASL_PASSWORD, report);
    need(draft, KEY_SASL_PASSWORD, KEY_SASL_USER, report);
    if (url[0] == '\0')
        return;
    door->plain = strncasecmp(url, "amqp://", 7) == 0;
    if (!door->plain && strncasecmp(url, "amqps://", 8) != 0) {
        config_complain(report, draft->line[KEY_BROKER], "broker", "must be amqps://HOST[:PORT] or amqp://HOST[:PORT]");
        return;
    }
    host_take(draft, KEY_BROKER, url + (door->plain ? 7 : 8), door->connstr.host, &door->connstr.port, report);
    if (door->plain && door->sasl_password[0] != '\0' && !connstr_host_is_local(door->connstr.host))
        config_warn(report, draft->line[KEY_BROKER], "broker", "sasl_password goes to %s without encryption: give amqps://",
                    door->connstr.host);
}

static void key_property_finish(struct config_draft *draft, struct config_report *report)
{
    struct door *door = &draft->stream.door;
    const char *text = door->key_property, *name = strchr(text, ':');
    name = name != NULL ? name + 1 : "";
    if (strcmp(text, "group-id") == 0)
        door->key_place = DOOR_KEY_GROUP_ID;
    else if (strcmp(text, "subject") == 0)
        door->key_place = DOOR_KEY_SUBJECT;
    else if (strncmp(text, "property:", 9) == 0 && name[0] != '\0' && strlen(name) < sizeof door->key_name)
        door->key_place = DOOR_KEY_APPLICATION_PROPERTY;
    else if (strncmp(text, "annotation:", 11) == 0 && name[0] != '\0' && strlen(name) < sizeof door->key_name)
        door->key_place = DOOR_KEY_MESSAGE_ANNOTATION;
    else
        config_complain(report, draft->line[KEY_KEY_PROPERTY], "key_property",
                        "must be group-id, subject, property:NAME or annotation:NAME, a name of 1 to %zu bytes", sizeof door->key_name - 1);
    if (strlen(name) < sizeof door->key_name)
        memcpy(door->key_name, name, strlen(name) + 1);
}

static void way_finish(struct config_draft *draft, struct config_report *report)
{
    struct door *door = &draft->stream.door;
    if (door->endpoint[0] != '\0')
        host_take(draft, KEY_ENDPOINT, door->endpoint, door->endpoint_host, &door->endpoint_port, report);
    proxy_finish(draft, report);
    need(draft, KEY_TLS_KEY, KEY_TLS_CERTIFICATE, report);
    need(draft, KEY_TLS_KEY_PASSWORD, KEY_TLS_CERTIFICATE, report);
    if (door->tls_key[0] == '\0')
        memcpy(door->tls_key, door->tls_certificate, sizeof door->tls_key);
    files_stamp(door->ca_file, door->ca_dir, door->ca_stamp, sizeof door->ca_stamp);
    files_stamp(door->tls_certificate, door->tls_key, door->tls_stamp, sizeof door->tls_stamp);
}

/* Changes when one of the files is another one or was written since. One that cannot be looked at is complained about when it is read. */
static void files_stamp(const char *first, const char *second, char *to, size_t to_len)
{
    const char *const paths[] = {first, second};
    size_t len = 0;
    for (size_t i = 0; i < 2; i++) {
        struct stat status;
        if (paths[i][0] != '\0' && stat(paths[i], &status) == 0)
            len += (size_t)snprintf(to + len, to_len - len, "%sinode %llu of %lld.%09ld", len > 0 ? ", " : "",
                                    (unsigned long long)status.st_ino, (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
}

static void proxy_finish(struct config_draft *draft, struct config_report *report)
{
    struct door *door = &draft->stream.door;
    const char *text = door->proxy_text;
    need(draft, KEY_PROXY_USER, KEY_PROXY, report);
    need(draft, KEY_PROXY_USER, KEY_PROXY_PASSWORD, report);
    need(draft, KEY_PROXY_PASSWORD, KEY_PROXY_USER, report);
    if (text[0] == '\0' || strcmp(text, "none") == 0) {
        door->proxy = DOOR_PROXY_NONE;
    } else if (strcmp(text, "auto") == 0) {
        door->proxy = DOOR_PROXY_AUTO;
    } else if (strncasecmp(text, "http://", 7) != 0 || strchr(text, '@') != NULL) {
        config_complain(report, draft->line[KEY_PROXY], "proxy",
                        "must be none, auto or http://HOST[:PORT]; user and password belong in proxy_user and proxy_password");
        door->proxy_text[0] = '\0'; /* it may hold a password */
    } else {
        char host[300];
        strcpy(host, text + 7);
        host[strcspn(host, "/")] = '\0';
        door->proxy = DOOR_PROXY_GIVEN;
        host_take(draft, KEY_PROXY, host, door->proxy_host, &door->proxy_port, report);
        if (door->proxy_port == 0)
            door->proxy_port = 3128;
    }
}

/* `key` is given, then `other` must be. */
static void need(const struct config_draft *draft, enum config_key key, enum config_key other, struct config_report *report)
{
    if (draft->line[key] != 0 && draft->line[other] == 0)
        config_complain(report, draft->line[key], config_fields[key].name, "needs %s", config_fields[other].name);
}

static bool host_take(const struct config_draft *draft, enum config_key key, const char *text, char host[256], uint16_t *port,
                      struct config_report *report)
{
    struct connstr *parsed = calloc(1, sizeof *parsed);
    char why[256] = "out of memory";
    bool good = parsed != NULL && connstr_set_host(text, parsed, why, sizeof why) == 0;
    if (good) {
        memcpy(host, parsed->host, sizeof parsed->host);
        *port = parsed->port;
    } else {
        config_complain(report, draft->line[key], config_fields[key].name, "%s", why);
    }
    free(parsed);
    return good;
}
