/* The configuration in force as INI, secrets masked, and the list of all keys. */
#include "config_internal.h"

#include <inttypes.h>
#include <string.h>

#define MASK "***"

static void fields_print(enum config_section section, const void *base, FILE *to);
static void stream_print(const struct config_stream *stream, FILE *to);
static void connstr_print(const struct connstr *connstr, FILE *to);
static void limits_print(const struct config_field *field, FILE *to);

void config_print(const struct config *config, FILE *to)
{
    fprintf(to, "; %s\n", config->path);
    fprintf(to, "[shipper]\n");
    fields_print(CONFIG_SECTION_SHIPPER, config, to);
    for (uint32_t i = 0; i < config->stream_count; i++)
        stream_print(&config->stream[i], to);
}

void config_print_keys(FILE *to)
{
    for (int key = 0; key < KEY_COUNT; key++) {
        const struct config_field *field = &config_fields[key];
        const char *section = field->section == CONFIG_SECTION_SHIPPER ? "[shipper]" : "[stream NAME]";
        fprintf(to, "%-13s %-26s %-7s %-16s ", section, field->name, field->unit, field->standard != NULL ? field->standard : "-");
        limits_print(field, to);
        fprintf(to, "  %s\n", field->meaning);
    }
}

static void fields_print(enum config_section section, const void *base, FILE *to)
{
    char text[1100];
    for (int key = 0; key < KEY_COUNT; key++) {
        const struct config_field *field = &config_fields[key];
        if (field->section != section || !config_field_is_kept(field) || key == KEY_HUB)
            continue;
        config_field_text(field, base, text, sizeof text);
        if (text[0] != '\0')
            fprintf(to, "%s = %s\n", field->name, text);
    }
}

static void stream_print(const struct config_stream *stream, FILE *to)
{
    fprintf(to, "\n[stream %s]\nhub = %s\n", stream->name, stream->hub);
    connstr_print(&stream->connstr, to);
    fields_print(CONFIG_SECTION_STREAM, stream, to);
}

static void connstr_print(const struct connstr *connstr, FILE *to)
{
    bool bracketed = strchr(connstr->host, ':') != NULL;
    fprintf(to, "connection_string = Endpoint=sb://%s%s%s", bracketed ? "[" : "", connstr->host, bracketed ? "]" : "");
    if (connstr->port != 0)
        fprintf(to, ":%u", connstr->port);
    if (connstr->signature[0] != '\0')
        fprintf(to, "/;SharedAccessSignature=" MASK);
    else
        fprintf(to, "/;SharedAccessKeyName=%s;SharedAccessKey=" MASK, connstr->key_name);
    fprintf(to, "%s\n", connstr->emulator ? ";UseDevelopmentEmulator=true" : "");
}

static void limits_print(const struct config_field *field, FILE *to)
{
    char least[32], most[32], text[96] = "-";
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
    case CONFIG_NET:
        snprintf(text, sizeof text, "auto|uring|epoll");
        break;
    case CONFIG_LEVELS:
        snprintf(text, sizeof text, "error..trace");
        break;
    }
    fprintf(to, "%-22s", text);
}
