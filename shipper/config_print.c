/* The configuration in force as INI, secrets masked, and the list of all keys. */
#include "config_internal.h"

#include <inttypes.h>
#include <string.h>

#define MASK "***"

static void shipper_print(const struct config *config, FILE *to);
static void stream_print(const struct config_stream *stream, FILE *to);
static void connstr_print(const struct connstr *connstr, FILE *to);
static void text_print(const char *name, const char *value, FILE *to);
static void bytes_print(const char *name, uint64_t bytes, FILE *to);
static void limits_print(const struct config_field *field, FILE *to);

void config_print(const struct config *config, FILE *to)
{
    fprintf(to, "; %s\n", config->path);
    shipper_print(config, to);
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

static void shipper_print(const struct config *config, FILE *to)
{
    static const char *const nets[] = {[NET_AUTO] = "auto", [NET_URING] = "uring", [NET_EPOLL] = "epoll"};
    fprintf(to, "[shipper]\nrings = %s\nworkers = %u\nnet = %s\nlog_level = %s\ndrain_seconds = %u\n", config->rings, config->workers,
            nets[config->net], config->log_level, config->drain_seconds);
}

static void stream_print(const struct config_stream *stream, FILE *to)
{
    fprintf(to, "\n[stream %s]\nhub = %s\n", stream->name, stream->hub);
    connstr_print(&stream->connstr, to);
    text_print("ca_file", stream->ca_file, to);
    text_print("ca_dir", stream->ca_dir, to);
    text_print("group", stream->group, to);
    fprintf(to, "linger_ms = %u\n", stream->linger_ms);
    bytes_print("batch_bytes_max", stream->batch_bytes_max, to);
    fprintf(to, "batch_count_max = %u\n", stream->batch_count_max);
    bytes_print("inflight_bytes_max", stream->inflight_bytes_max, to);
    fprintf(to,
            "connect_timeout_seconds = %u\nretry_backoff_ms = %u\nretry_backoff_max_seconds = %u\ntoken_seconds = "
            "%u\npartition_refresh_seconds = %u\n",
            stream->connect_timeout_seconds, stream->retry_backoff_ms, stream->retry_backoff_max_seconds, stream->token_seconds,
            stream->partition_refresh_seconds);
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

static void text_print(const char *name, const char *value, FILE *to)
{
    if (value[0] != '\0')
        fprintf(to, "%s = %s\n", name, value);
}

static void bytes_print(const char *name, uint64_t bytes, FILE *to)
{
    char text[32];
    config_bytes_text(bytes, text, sizeof text);
    fprintf(to, "%s = %s\n", name, text);
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
