/* The configuration in force as INI, secrets masked, and the list of all keys. */
#include "config_internal.h"

#include <inttypes.h>
#include <string.h>

#define MASK "***"

static void fields_print(enum config_section section, enum door_type type, const void *base, FILE *to);
static void stream_print(const struct config_stream *stream, FILE *to);
static void event_hubs_print(const struct door *door, FILE *to);
static void broker_print(const struct door *door, FILE *to);
static void words_print(const struct config_field *field, char *to, size_t to_len);
static void limits_print(const struct config_field *field, FILE *to);

void config_print(const struct config *config, FILE *to)
{
    fprintf(to, "; %s\n", config->path);
    fprintf(to, "[shipper]\n");
    fields_print(CONFIG_SECTION_SHIPPER, DOOR_EVENT_HUBS, config, to);
    for (uint32_t i = 0; i < config->stream_count; i++)
        stream_print(&config->stream[i], to);
}

void config_print_keys(FILE *to)
{
    for (int key = 0; key < KEY_COUNT; key++) {
        const struct config_field *field = &config_fields[key];
        const char *section = field->section == CONFIG_SECTION_SHIPPER ? "[shipper]" : "[stream NAME]";
        fprintf(to, "%-13s %-27s %-7s %-28s ", section, field->name, field->unit, field->standard != NULL ? field->standard : "-");
        limits_print(field, to);
        fprintf(to, "  %s\n", field->meaning);
    }
}

/* What stands at the head of the section is left out. */
static void fields_print(enum config_section section, enum door_type type, const void *base, FILE *to)
{
    char text[1100];
    for (int key = 0; key < KEY_COUNT; key++) {
        const struct config_field *field = &config_fields[key];
        if (field->section != section || !config_field_is_kept(field) || key == KEY_HUB || key == KEY_TYPE ||
            !config_field_fits(field, type))
            continue;
        config_field_text(field, base, text, sizeof text);
        if (text[0] != '\0')
            fprintf(to, "%s = %s\n", field->name, field->secret ? MASK : text);
        if (field->secret)
            explicit_bzero(text, sizeof text);
    }
}

static void stream_print(const struct config_stream *stream, FILE *to)
{
    char type[16];
    config_field_text(&config_fields[KEY_TYPE], stream, type, sizeof type);
    fprintf(to, "\n[stream %s]\ntype = %s\n", stream->name, type);
    if (stream->door.type == DOOR_AMQP)
        broker_print(&stream->door, to);
    else
        event_hubs_print(&stream->door, to);
    fields_print(CONFIG_SECTION_STREAM, stream->door.type, stream, to);
}

/* host[:port] as it stands in a URL */
static void host_print(const struct connstr *connstr, FILE *to)
{
    bool bracketed = strchr(connstr->host, ':') != NULL;
    fprintf(to, "%s%s%s", bracketed ? "[" : "", connstr->host, bracketed ? "]" : "");
    if (connstr->port != 0)
        fprintf(to, ":%u", connstr->port);
}

static void broker_print(const struct door *door, FILE *to)
{
    fprintf(to, "broker = %s://", door->plain ? "amqp" : "amqps");
    host_print(&door->connstr, to);
    fprintf(to, "\naddress = %s\n", door->hub);
}

static void event_hubs_print(const struct door *door, FILE *to)
{
    const struct connstr *connstr = &door->connstr;
    bool entra = door->credential.kind != CREDENTIAL_SAS;
    fprintf(to, "hub = %s\n%s", door->hub, entra ? "namespace = " : "connection_string = Endpoint=sb://");
    host_print(connstr, to);
    if (entra)
        ;
    else if (connstr->signature[0] != '\0')
        fprintf(to, "/;SharedAccessSignature=" MASK);
    else
        fprintf(to, "/;SharedAccessKeyName=%s;SharedAccessKey=" MASK, connstr->key_name);
    fprintf(to, "%s\n", !entra && connstr->emulator ? ";UseDevelopmentEmulator=true" : "");
    if (door->second_key[0] != '\0') {
        fprintf(to, "connection_string_secondary = Endpoint=sb://");
        host_print(connstr, to);
        fprintf(to, "/;SharedAccessKeyName=%s;SharedAccessKey=" MASK "%s\n", door->second_key_name,
                connstr->emulator ? ";UseDevelopmentEmulator=true" : "");
    }
}

static void words_print(const struct config_field *field, char *to, size_t to_len)
{
    size_t len = 0;
    for (uint32_t i = 0; field->words[i] != NULL && len < to_len; i++)
        len += (size_t)snprintf(to + len, to_len - len, "%s%s", i == 0 ? "" : "|", field->words[i]);
}

static void limits_print(const struct config_field *field, FILE *to)
{
    char least[32], most[32], text[160] = "-";
    config_bytes_text(field->min, least, sizeof least);
    config_bytes_text(field->max, most, sizeof most);
    switch (field->kind) {
    case CONFIG_TEXT:
        snprintf(text, sizeof text, "%" PRIu64 " bytes", field->max);
        break;
    case CONFIG_PATH:
        snprintf(text, sizeof text, "absolute");
        break;
    case CONFIG_NUMBER:
        snprintf(text, sizeof text, "%" PRIu64 "..%" PRIu64, field->min, field->max);
        break;
    case CONFIG_BYTES:
        snprintf(text, sizeof text, "%s%s..%s", field->zero_is_none ? "0, " : "", least, most);
        break;
    case CONFIG_WORD:
        words_print(field, text, sizeof text);
        break;
    case CONFIG_LEVELS:
        snprintf(text, sizeof text, "error..trace");
        break;
    }
    fprintf(to, "%-22s", text);
}
