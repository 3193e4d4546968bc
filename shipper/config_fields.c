/* The one table of what can be configured, and how a value's text becomes a field. */
#include "config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "log.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)
#define SHIPPER CONFIG_SECTION_SHIPPER
#define STREAM CONFIG_SECTION_STREAM
static const char *const net_words[] = {[NET_AUTO] = "auto", [NET_URING] = "uring", [NET_EPOLL] = "epoll", NULL};
static const char *const type_words[] = {[DOOR_EVENT_HUBS] = "eventhubs", [DOOR_AMQP] = "amqp", NULL};
static const char *const transport_words[] = {[DOOR_TRANSPORT_AMQP] = "amqp", [DOOR_TRANSPORT_WEBSOCKET] = "websocket", NULL};
/* clang-format off */
#define IN_SHIPPER(member) .section = SHIPPER, .offset = offsetof(struct config, member), .size = sizeof(((struct config *)0)->member)
#define IN_STREAM(member) .section = STREAM, .offset = offsetof(struct config_draft, member), .size = sizeof(((struct config_draft *)0)->member)
#define IN_DOOR(member) .of_door = true, IN_STREAM(stream.door.member)
#define IN_DRAFT(member) .of_door = true, IN_STREAM(member)
#define FOR_HUBS .of_type = CONFIG_EVENT_HUBS_ONLY
#define FOR_AMQP .of_type = CONFIG_AMQP_ONLY
#define WORD(list) .kind = CONFIG_WORD, .words = (list), .unit = "name"
#define TEXT(max_len) .kind = CONFIG_TEXT, .min = 1, .max = (max_len), .unit = "text"
#define PATH .kind = CONFIG_PATH, .min = 1, .max = 1023, .unit = "path"
#define NUMBER(least, most) .kind = CONFIG_NUMBER, .min = (least), .max = (most)
#define BYTES(least, most) .kind = CONFIG_BYTES, .min = (least), .max = (most), .unit = "bytes"

const struct config_field config_fields[KEY_COUNT] = {
    [KEY_RINGS] = {.effect = CONFIG_AT_START, .name = "rings", IN_SHIPPER(rings), PATH, .standard = "/dev/shm/ehring", .meaning = "the directory that holds the streams' directories"},
    [KEY_WORKERS] = {.effect = CONFIG_AT_START, .name = "workers", IN_SHIPPER(workers), NUMBER(1, CONFIG_WORKERS_MAX), .unit = "threads", .standard = "1",
                     .meaning = "threads that read rings and send"},
    [KEY_NET] = {.effect = CONFIG_AT_START, .name = "net", IN_SHIPPER(net), WORD(net_words), .standard = "auto",
                 .meaning = "network backend; auto: io_uring where the kernel allows it"},
    [KEY_LOG_LEVEL] = {.name = "log_level", IN_SHIPPER(log_level), .kind = CONFIG_LEVELS, .unit = "levels", .standard = "info",
                       .meaning = "level, and levels of areas: info, pool=debug"},
    [KEY_DRAIN] = {.name = "drain_seconds", IN_SHIPPER(drain_seconds), NUMBER(0, 86400), .unit = "s", .standard = "30",
                   .meaning = "how long a TERM waits for what is in flight"},
    [KEY_DEAD_LETTERS] = {.name = "dead_letters", IN_SHIPPER(dead_letters), PATH, .standard = "/var/lib/ehring/dead-letters",
                          .meaning = "the directory of the events that nobody takes, a directory per stream"},
    [KEY_DEAD_LETTER_SEGMENT_BYTES] = {.name = "dead_letter_segment_bytes", IN_SHIPPER(dead_letter_segment_bytes), BYTES(KIB, 4 * GIB),
                                       .standard = "16 MiB", .meaning = "a dead-letter file of this size is followed by a new one"},
    [KEY_DEAD_LETTER_SEGMENT_SECONDS] = {.name = "dead_letter_segment_seconds", IN_SHIPPER(dead_letter_segment_seconds), NUMBER(1, 31536000),
                                         .unit = "s", .standard = "3600", .meaning = "a dead-letter file of this age is followed by a new one"},
    [KEY_TYPE] = {.effect = CONFIG_NEW_HUB, .name = "type", IN_DOOR(type), WORD(type_words), .standard = "eventhubs",
                  .meaning = "Azure Event Hubs, or any AMQP 1.0 broker"},
    [KEY_HUB] = {FOR_HUBS, .effect = CONFIG_NEW_HUB, .name = "hub", IN_DOOR(hub), TEXT(256), .meaning = "the Event Hub; may be in the connection string instead"},
    [KEY_CONNECTION_STRING] = {FOR_HUBS, .name = "connection_string", IN_DRAFT(connection_string), .secret = true, TEXT(CONFIG_VALUE_BYTES_MAX),
                               .meaning = "an Event Hubs connection string, best as ${file:PATH}"},
    [KEY_CONNECTION_STRING_SECONDARY] = {FOR_HUBS, .name = "connection_string_secondary", IN_DRAFT(connection_string_secondary), .secret = true,
                                         TEXT(CONFIG_VALUE_BYTES_MAX), .meaning = "the same hub's with another key, taken when the first is refused"},
    [KEY_NAMESPACE] = {FOR_HUBS, .name = "namespace", IN_DRAFT(namespace_host), TEXT(261),
                       .meaning = "the namespace, with or without .servicebus.windows.net, instead of a connection string"},
    [KEY_SHARED_ACCESS_KEY_NAME] = {FOR_HUBS, .name = "shared_access_key_name", IN_DRAFT(shared_access_key_name), TEXT(256), .meaning = "with namespace: the policy"},
    [KEY_SHARED_ACCESS_KEY] = {FOR_HUBS, .name = "shared_access_key", IN_DRAFT(shared_access_key), .secret = true, TEXT(512),
                               .meaning = "with namespace: the policy's key, best as ${file:PATH}"},
    [KEY_SHARED_ACCESS_KEY_SECONDARY] = {FOR_HUBS, .name = "shared_access_key_secondary", IN_DRAFT(shared_access_key_secondary), .secret = true, TEXT(512),
                                         .meaning = "the policy's other key, taken when the first is refused"},
    [KEY_CREDENTIAL] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "credential", IN_DOOR(credential.kind), WORD(credential_kind_names), .standard = "key",
                        .meaning = "who we are to the namespace: a key, or an identity of Entra ID; default: the SDKs' chain"},
    [KEY_TENANT_ID] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "tenant_id", IN_DOOR(credential.tenant_id), TEXT(127),
                       .meaning = "of an identity, instead of AZURE_TENANT_ID"},
    [KEY_CLIENT_ID] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "client_id", IN_DOOR(credential.client_id), TEXT(127),
                       .meaning = "of an application or a user-assigned identity, instead of AZURE_CLIENT_ID"},
    [KEY_CLIENT_SECRET] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "client_secret", IN_DOOR(credential.client_secret), .secret = true, TEXT(512),
                           .meaning = "of an application, instead of AZURE_CLIENT_SECRET, best as ${file:PATH}"},
    [KEY_CLIENT_CERTIFICATE] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "client_certificate", IN_DOOR(credential.client_certificate), PATH,
                                .meaning = "of an application, PEM with key, instead of AZURE_CLIENT_CERTIFICATE_PATH"},
    [KEY_CLIENT_CERTIFICATE_PASSWORD] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "client_certificate_password", IN_DOOR(credential.client_certificate_password),
                                         .secret = true, TEXT(256), .meaning = "of that key, instead of AZURE_CLIENT_CERTIFICATE_PASSWORD"},
    [KEY_TOKEN_FILE] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "token_file", IN_DOOR(credential.token_file), PATH,
                        .meaning = "of a workload identity, instead of AZURE_FEDERATED_TOKEN_FILE"},
    [KEY_OBJECT_ID] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "object_id", IN_DOOR(credential.object_id), TEXT(127),
                       .meaning = "of a user-assigned managed identity, instead of client_id"},
    [KEY_RESOURCE_ID] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "resource_id", IN_DOOR(credential.resource_id), TEXT(511),
                         .meaning = "of a user-assigned managed identity, instead of client_id"},
    [KEY_AUTHORITY_HOST] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "authority_host", IN_DOOR(credential.authority_host), TEXT(255),
                            .meaning = "Entra ID's host, instead of AZURE_AUTHORITY_HOST and login.microsoftonline.com"},
    [KEY_BROKER] = {FOR_AMQP, .name = "broker", IN_DRAFT(broker), TEXT(280), .meaning = "with type = amqp: amqps://HOST[:PORT], or amqp://HOST[:PORT] without TLS"},
    [KEY_ADDRESS] = {FOR_AMQP, .name = "address", IN_DRAFT(address), TEXT(256), .meaning = "with type = amqp: the target's address at the broker, a queue's name"},
    [KEY_OPEN_HOSTNAME] = {FOR_AMQP, .effect = CONFIG_NEW_HUB, .name = "open_hostname", IN_DOOR(open_hostname), TEXT(255),
                           .meaning = "with type = amqp: hostname of the open frame instead of the broker's name; RabbitMQ: vhost:NAME"},
    [KEY_SASL_USER] = {FOR_AMQP, .effect = CONFIG_NEW_PEER, .name = "sasl_user", IN_DOOR(sasl_user), TEXT(256),
                       .meaning = "with type = amqp: for SASL PLAIN; left out: ANONYMOUS"},
    [KEY_SASL_PASSWORD] = {FOR_AMQP, .effect = CONFIG_NEW_PEER, .name = "sasl_password", IN_DOOR(sasl_password), .secret = true, TEXT(256),
                           .meaning = "with sasl_user, best as ${file:PATH}"},
    [KEY_KEY_PROPERTY] = {FOR_AMQP, .effect = CONFIG_NEW_PEER, .name = "key_property", IN_DOOR(key_property), TEXT(150), .standard = "group-id",
                          .meaning = "with type = amqp: where an event's key goes: group-id, subject, property:NAME or annotation:NAME"},
    [KEY_WINDOW_EVENTS] = {FOR_AMQP, .name = "window_events", IN_STREAM(stream.window_events), NUMBER(1, 4096), .unit = "events", .standard = "256",
                           .meaning = "with type = amqp: messages of a domain under way at once; 1: a refused one is overtaken by none"},
    [KEY_TRANSPORT] = {FOR_HUBS, .effect = CONFIG_NEW_PEER, .name = "transport", IN_DOOR(transport), WORD(transport_words), .standard = "amqp",
                       .meaning = "AMQP over TCP, or within a WebSocket (port 443)"},
    [KEY_ENDPOINT] = {.effect = CONFIG_NEW_PEER, .name = "endpoint", IN_DOOR(endpoint), TEXT(280),
                      .meaning = "HOST[:PORT] where TCP goes instead (private link, gateway); names stay the namespace's"},
    [KEY_PROXY] = {.effect = CONFIG_NEW_PEER, .name = "proxy", IN_DOOR(proxy_text), TEXT(280), .standard = "none",
                   .meaning = "none, auto (as https_proxy, all_proxy and no_proxy say), or http://HOST[:PORT], asked to CONNECT"},
    [KEY_PROXY_USER] = {.effect = CONFIG_NEW_PEER, .name = "proxy_user", IN_DOOR(proxy_user), TEXT(256), .meaning = "for Basic authentication at the proxy"},
    [KEY_PROXY_PASSWORD] = {.effect = CONFIG_NEW_PEER, .name = "proxy_password", IN_DOOR(proxy_password), .secret = true, TEXT(256),
                            .meaning = "with proxy_user, best as ${file:PATH}"},
    [KEY_CA_FILE] = {.effect = CONFIG_NEW_PEER, .name = "ca_file", IN_DOOR(ca_file), PATH, .meaning = "PEM file of trusted authorities instead of the system's store"},
    [KEY_CA_DIR] = {.effect = CONFIG_NEW_PEER, .name = "ca_dir", IN_DOOR(ca_dir), PATH, .meaning = "directory of trusted authorities (c_rehash) instead of the system's store"},
    [KEY_TLS_CERTIFICATE] = {.effect = CONFIG_NEW_PEER, .name = "tls_certificate", IN_DOOR(tls_certificate), PATH,
                             .meaning = "PEM file of our certificate and its chain, for a peer that asks for one"},
    [KEY_TLS_KEY] = {.effect = CONFIG_NEW_PEER, .name = "tls_key", IN_DOOR(tls_key), PATH, .meaning = "PEM file of its key; left out: in tls_certificate"},
    [KEY_TLS_KEY_PASSWORD] = {.effect = CONFIG_NEW_PEER, .name = "tls_key_password", IN_DOOR(tls_key_password), .secret = true, TEXT(256),
                              .meaning = "pass phrase of that key, best as ${file:PATH}"},
    [KEY_GROUP] = {.name = "group", IN_STREAM(stream.group), TEXT(63), .meaning = "group whose members may create rings in the stream's directory"},
    [KEY_LINGER] = {.name = "linger_ms", IN_STREAM(stream.linger_ms), NUMBER(0, 60000), .unit = "ms", .standard = "5",
                    .meaning = "how long a batch waits to be filled"},
    [KEY_BATCH_BYTES] = {.name = "batch_bytes_max", IN_STREAM(stream.batch_bytes_max), .zero_is_none = true, BYTES(KIB, 64 * MIB), .standard = "0",
                         .meaning = "largest batch; 0: what the link takes"},
    [KEY_BATCH_COUNT] = {.name = "batch_count_max", IN_STREAM(stream.batch_count_max), NUMBER(0, 1000000), .unit = "events", .standard = "0",
                         .meaning = "most events of a batch; 0: no limit"},
    [KEY_INFLIGHT_BYTES] = {.name = "inflight_bytes_max", IN_STREAM(stream.inflight_bytes_max), BYTES(64 * KIB, 16 * GIB), .standard = "64 MiB",
                            .meaning = "most bytes sent and not yet accepted, over all workers"},
    [KEY_CONNECT_TIMEOUT] = {.name = "connect_timeout_seconds", IN_STREAM(stream.connect_timeout_seconds), NUMBER(1, 300), .unit = "s", .standard = "10",
                             .meaning = "for each step of the way: TCP to an address, proxy, TLS, WebSocket, AMQP open; an answer to a token has 60 s"},
    [KEY_RETRY_BACKOFF] = {.name = "retry_backoff_ms", IN_STREAM(stream.retry_backoff_ms), NUMBER(1, 600000), .unit = "ms", .standard = "800",
                           .meaning = "first wait after a failure, doubled with each further one"},
    [KEY_RETRY_BACKOFF_MAX] = {.name = "retry_backoff_max_seconds", IN_STREAM(stream.retry_backoff_max_seconds), NUMBER(1, 3600), .unit = "s",
                               .standard = "60", .meaning = "longest wait after a failure"},
    [KEY_TOKEN] = {FOR_HUBS, .name = "token_seconds", IN_STREAM(stream.token_seconds), NUMBER(5, 604800), .unit = "s", .standard = "3600",
                   .meaning = "life of a token made from the key"},
    [KEY_PARTITION_REFRESH] = {FOR_HUBS, .name = "partition_refresh_seconds", IN_STREAM(stream.partition_refresh_seconds), NUMBER(1, 86400), .unit = "s",
                               .standard = "300", .meaning = "how often the hub's partitions are read again"},
    [KEY_MAX_SIZE] = {.name = "max_size", IN_STREAM(stream.max_size), NUMBER(1, CONFIG_CONNECTIONS_MAX), .unit = "connections", .standard = "10",
                      .meaning = "most connections, over all workers; each worker has one at least"},
    [KEY_CLIENT_LIMIT] = {.name = "client_limit", IN_STREAM(stream.client_limit), NUMBER(1, 4000), .unit = "links", .standard = "100",
                          .meaning = "most partitions' links on one connection"},
    [KEY_MAX_IDLE] = {.name = "max_idle_seconds", IN_STREAM(stream.max_idle_seconds), NUMBER(1, 86400), .unit = "s", .standard = "300",
                      .meaning = "a connection that sent nothing for so long is closed; the next event opens one"},
    [KEY_MAX_LIFESPAN] = {.name = "max_lifespan_seconds", IN_STREAM(stream.max_lifespan_seconds), NUMBER(0, 31536000), .unit = "s", .standard = "0",
                          .meaning = "a connection is replaced at this age, a tenth more or less; 0: never"},
    [KEY_MAX_CONCURRENT_CONNECTS] = {.name = "max_concurrent_connects", IN_STREAM(stream.max_concurrent_connects), NUMBER(1, CONFIG_CONNECTIONS_MAX),
                                     .unit = "connections", .meaning = "most connections being made at a time; left out: a third of max_size, 1 at least"},
    [KEY_READY_MESSAGE] = {.name = "ready_message", IN_STREAM(stream.ready_message), TEXT(CONFIG_READY_MESSAGE_BYTES_MAX),
                           .meaning = "an event that each new connection sends first, beside the ledger; left out: none"},
    [KEY_MAX_RETRIES] = {.name = "max_retries", IN_STREAM(stream.max_retries), NUMBER(0, 1000000), .unit = "times", .standard = "0",
                         .meaning = "an event refused by the hub more often than this is dead-lettered; 0: it is tried for ever"},
    [KEY_MAX_AGE] = {.name = "max_age_seconds", IN_STREAM(stream.max_age_seconds), NUMBER(0, 31536000), .unit = "s", .standard = "0",
                     .meaning = "an event older than this is dead-lettered, an outage's too; 0: never"},
    [KEY_THROUGHPUT_UNITS] = {FOR_HUBS, .name = "throughput_units", IN_STREAM(stream.throughput_units), NUMBER(0, 10000), .unit = "units", .standard = "0",
                              .meaning = "send no more than so many units of 1 MB/s and 1000 events/s; 0: no quota"},
};
/* clang-format on */

static int text_set(const struct config_field *field, const char *value, char *to, char *why, size_t why_len);
static int number_set(const struct config_field *field, const char *value, void *to);
static int word_set(const struct config_field *field, const char *value, uint32_t *to);
static void words_join(const struct config_field *field, char *to, size_t to_len);
static const char *digits_take(const char *text, uint64_t *value);
static uint64_t bytes_unit(const char *text);
static unsigned name_distance(const char *left, const char *right);

int config_field_set(const struct config_field *field, const char *value, void *base, char *why, size_t why_len)
{
    void *to = (char *)base + field->offset;
    int error = 0;
    switch (field->kind) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        return text_set(field, value, to, why, why_len);
    case CONFIG_NUMBER:
    case CONFIG_BYTES:
        error = number_set(field, value, to);
        break;
    case CONFIG_WORD:
        error = word_set(field, value, to);
        break;
    case CONFIG_LEVELS:
        error = strlen(value) < field->size ? log_check_levels(value) : -EINVAL;
        if (error == 0)
            strcpy(to, value);
        break;
    }
    if (error != 0) {
        char limits[160];
        config_field_limits(field, limits, sizeof limits);
        snprintf(why, why_len, "must be %s", limits);
    }
    return error;
}

void config_field_set_standards(enum config_section section, void *base)
{
    char why[160];
    for (int key = 0; key < KEY_COUNT; key++)
        if (config_fields[key].section == section && config_fields[key].standard != NULL)
            config_field_set(&config_fields[key], config_fields[key].standard, base, why, sizeof why);
}

const struct config_field *config_field_find(enum config_section section, const char *name)
{
    for (int key = 0; key < KEY_COUNT; key++)
        if (config_fields[key].section == section && strcmp(config_fields[key].name, name) == 0)
            return &config_fields[key];
    return NULL;
}

const char *config_field_near(enum config_section section, const char *name)
{
    const char *nearest = NULL;
    unsigned least = 3; /* two slips of the finger */
    for (int key = 0; key < KEY_COUNT; key++) {
        if (config_fields[key].section != section)
            continue;
        unsigned distance = name_distance(config_fields[key].name, name);
        if (distance < least && distance < strlen(config_fields[key].name) / 2) {
            least = distance;
            nearest = config_fields[key].name;
        }
    }
    return nearest;
}

void config_field_limits(const struct config_field *field, char *to, size_t to_len)
{
    char least[32], most[32];
    switch (field->kind) {
    case CONFIG_TEXT:
        snprintf(to, to_len, "1 to %" PRIu64 " bytes of text", field->max);
        break;
    case CONFIG_PATH:
        snprintf(to, to_len, "an absolute path of at most %" PRIu64 " bytes", field->max);
        break;
    case CONFIG_NUMBER:
        snprintf(to, to_len, "a number from %" PRIu64 " to %" PRIu64, field->min, field->max);
        break;
    case CONFIG_BYTES:
        config_bytes_text(field->min, least, sizeof least);
        config_bytes_text(field->max, most, sizeof most);
        snprintf(to, to_len, "%sbytes (KiB, MiB, GiB, kB, MB, GB) from %s to %s", field->zero_is_none ? "0 or " : "", least, most);
        break;
    case CONFIG_WORD:
        words_join(field, to, to_len);
        break;
    case CONFIG_LEVELS:
        snprintf(to, to_len, "error, warn, info, debug or trace, also by area: info, pool=debug");
        break;
    }
}

bool config_field_fits(const struct config_field *field, enum door_type type)
{
    return field->of_type == CONFIG_ANY_TYPE || (field->of_type == CONFIG_AMQP_ONLY) == (type == DOOR_AMQP);
}

bool config_field_is_kept(const struct config_field *field)
{
    return field->section == CONFIG_SECTION_SHIPPER || field->offset < sizeof(struct config_stream);
}

void config_field_text(const struct config_field *field, const void *base, char *to, size_t to_len)
{
    const void *at = (const char *)base + field->offset;
    uint64_t bytes = 0;
    uint32_t number = 0;
    switch (field->kind) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
    case CONFIG_LEVELS:
        snprintf(to, to_len, "%s", (const char *)at);
        break;
    case CONFIG_NUMBER:
        memcpy(&number, at, sizeof number);
        snprintf(to, to_len, "%u", number);
        break;
    case CONFIG_BYTES:
        memcpy(&bytes, at, sizeof bytes);
        config_bytes_text(bytes, to, to_len);
        break;
    case CONFIG_WORD:
        memcpy(&number, at, sizeof number);
        snprintf(to, to_len, "%s", field->words[number]);
        break;
    }
}

void config_bytes_text(uint64_t bytes, char *to, size_t to_len)
{
    if (bytes >= GIB && bytes % GIB == 0)
        snprintf(to, to_len, "%" PRIu64 " GiB", bytes / GIB);
    else if (bytes >= MIB && bytes % MIB == 0)
        snprintf(to, to_len, "%" PRIu64 " MiB", bytes / MIB);
    else if (bytes >= KIB && bytes % KIB == 0)
        snprintf(to, to_len, "%" PRIu64 " KiB", bytes / KIB);
    else
        snprintf(to, to_len, "%" PRIu64, bytes);
}

static int text_set(const struct config_field *field, const char *value, char *to, char *why, size_t why_len)
{
    size_t len = strlen(value);
    const char *wrong = NULL;
    for (size_t i = 0; i < len; i++)
        if (iscntrl((unsigned char)value[i]))
            wrong = "holds a line break or another control character";
    if (len == 0)
        wrong = "is empty; leave the key out";
    if (wrong == NULL && field->kind == CONFIG_PATH && value[0] != '/')
        wrong = "must be an absolute path";
    if (wrong == NULL && len <= field->max && len < field->size) {
        memcpy(to, value, len + 1);
        return 0;
    }
    if (wrong != NULL)
        snprintf(why, why_len, "%s", wrong);
    else
        snprintf(why, why_len, "has %zu bytes, at most %" PRIu64 " are allowed", len, field->max);
    return -EINVAL;
}

static int number_set(const struct config_field *field, const char *value, void *to)
{
    uint64_t number = 0, unit = 1;
    const char *rest = digits_take(value, &number);
    if (rest == NULL)
        return -EINVAL;
    if (*rest != '\0') {
        unit = field->kind == CONFIG_BYTES ? bytes_unit(rest) : 0;
        if (unit == 0 || number > UINT64_MAX / unit)
            return -EINVAL;
    }
    number *= unit;
    bool none = number == 0 && field->zero_is_none;
    if (!none && (number < field->min || number > field->max))
        return -EINVAL;
    if (field->size == sizeof(uint64_t))
        memcpy(to, &number, sizeof number);
    else
        *(uint32_t *)to = (uint32_t)number;
    return 0;
}

static int word_set(const struct config_field *field, const char *value, uint32_t *to)
{
    for (uint32_t i = 0; field->words[i] != NULL; i++)
        if (strcmp(field->words[i], value) == 0) {
            *to = i;
            return 0;
        }
    return -EINVAL;
}

/* "auto, uring or epoll" */
static void words_join(const struct config_field *field, char *to, size_t to_len)
{
    size_t len = 0;
    to[0] = '\0';
    for (uint32_t i = 0; field->words[i] != NULL && len < to_len; i++)
        len += (size_t)snprintf(to + len, to_len - len, "%s%s", i == 0 ? "" : field->words[i + 1] != NULL ? ", " : " or ", field->words[i]);
}

/* What follows the digits, or NULL: none, or more than 64 bits. */
static const char *digits_take(const char *text, uint64_t *value)
{
    const char *at = text;
    for (*value = 0; isdigit((unsigned char)*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            return NULL;
        *value = *value * 10 + digit;
    }
    return at == text ? NULL : at;
}

/* 0: not a unit. */
static uint64_t bytes_unit(const char *text)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"B", 1}, {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}, {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000},
    };
    while (*text == ' ' || *text == '\t')
        text++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcasecmp(units[i].name, text) == 0)
            return units[i].bytes;
    return 0;
}

/* Levenshtein's distance without case; names are short. */
static unsigned name_distance(const char *left, const char *right)
{
    enum { NAME_MAX_LEN = 40 };
    unsigned row[NAME_MAX_LEN + 1];
    size_t left_len = strlen(left), right_len = strlen(right);
    if (left_len > NAME_MAX_LEN || right_len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (size_t i = 0; i <= left_len; i++)
        row[i] = (unsigned)i;
    for (size_t j = 1; j <= right_len; j++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)j;
        for (size_t i = 1; i <= left_len; i++) {
            unsigned changed = diagonal + (tolower((unsigned char)left[i - 1]) != tolower((unsigned char)right[j - 1]));
            diagonal = row[i];
            unsigned shorter = row[i] < row[i - 1] ? row[i] + 1 : row[i - 1] + 1;
            row[i] = changed < shorter ? changed : shorter;
        }
    }
    return row[left_len];
}
