/* What differs between two configurations, key by key, and what a running shipper does about it. Pure. */
#include "config_difference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

#define MASK "***"

static struct config_change *change_add(struct config_difference *difference, enum config_change_kind kind, const char *stream);
static int fields_compare(struct config_difference *difference, enum config_section section, const char *stream, const void *before,
                          const void *after);
static int peer_compare(struct config_difference *difference, const char *stream, const struct door *before, const struct door *after);
static void peer_text(const struct door *door, char *to, size_t to_len);

int config_difference_make(const struct config *before, const struct config *after, struct config_difference *difference)
{
    *difference = (struct config_difference){0};
    int error = fields_compare(difference, CONFIG_SECTION_SHIPPER, "", before, after);
    for (uint32_t i = 0; error == 0 && i < after->stream_count; i++) {
        const struct config_stream *is = &after->stream[i], *was = config_find_stream(before, is->name);
        if (was == NULL)
            error = change_add(difference, CONFIG_STREAM_ADDED, is->name) != NULL ? 0 : -ENOMEM;
        else if ((error = peer_compare(difference, is->name, &was->door, &is->door)) == 0)
            error = fields_compare(difference, CONFIG_SECTION_STREAM, is->name, was, is);
    }
    for (uint32_t i = 0; error == 0 && i < before->stream_count; i++)
        if (config_find_stream(after, before->stream[i].name) == NULL &&
            change_add(difference, CONFIG_STREAM_REMOVED, before->stream[i].name) == NULL)
            error = -ENOMEM;
    if (error != 0)
        config_difference_free(difference);
    return error;
}

void config_difference_free(struct config_difference *difference)
{
    free(difference->change);
    *difference = (struct config_difference){0};
}

bool config_difference_has(const struct config_difference *difference, const char *stream)
{
    for (uint32_t i = 0; i < difference->count; i++)
        if (difference->change[i].kind == CONFIG_VALUE_CHANGED && strcmp(difference->change[i].stream, stream) == 0)
            return true;
    return false;
}

enum config_effect config_difference_effect(const struct config_difference *difference, const char *stream)
{
    enum config_effect most = CONFIG_AT_USE;
    for (uint32_t i = 0; i < difference->count; i++)
        if (strcmp(difference->change[i].stream, stream) == 0 && difference->change[i].effect > most)
            most = difference->change[i].effect;
    return most;
}

const struct config_stream *config_find_stream(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->stream_count; i++)
        if (strcmp(config->stream[i].name, name) == 0)
            return &config->stream[i];
    return NULL;
}

/* NULL: no memory. */
static struct config_change *change_add(struct config_difference *difference, enum config_change_kind kind, const char *stream)
{
    if (difference->count == difference->cap) {
        uint32_t cap = difference->cap != 0 ? 2 * difference->cap : 8;
        struct config_change *grown = realloc(difference->change, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        difference->change = grown;
        difference->cap = cap;
    }
    struct config_change *change = &difference->change[difference->count++];
    *change = (struct config_change){.kind = kind};
    snprintf(change->stream, sizeof change->stream, "%s", stream);
    return change;
}

/* `before` and `after` are texts of the same key; equal ones are no change. */
static int value_compare(struct config_difference *difference, const char *stream, const char *key, enum config_effect effect, bool secret,
                         const char *before, const char *after)
{
    if (strcmp(before, after) == 0)
        return 0;
    struct config_change *change = change_add(difference, CONFIG_VALUE_CHANGED, stream);
    if (change == NULL)
        return -ENOMEM;
    change->key = key;
    change->effect = effect;
    snprintf(change->before, sizeof change->before, "%s", secret && before[0] != '\0' ? MASK : before);
    snprintf(change->after, sizeof change->after, "%s", secret && after[0] != '\0' ? MASK : after);
    return 0;
}

static int fields_compare(struct config_difference *difference, enum config_section section, const char *stream, const void *before,
                          const void *after)
{
    char was[CONFIG_CHANGE_TEXT_BYTES], is[CONFIG_CHANGE_TEXT_BYTES];
    int error = 0;
    bool of_broker = section == CONFIG_SECTION_STREAM && ((const struct config_stream *)after)->door.type == DOOR_AMQP;
    for (int key = 0; error == 0 && key < KEY_COUNT; key++) {
        const struct config_field *field = &config_fields[key];
        if (field->section != section || !config_field_is_kept(field))
            continue;
        config_field_text(field, before, was, sizeof was);
        config_field_text(field, after, is, sizeof is);
        const char *name = key == KEY_HUB && of_broker ? config_fields[KEY_ADDRESS].name : field->name;
        error = value_compare(difference, stream, name, field->effect, field->secret, was, is);
    }
    return error;
}

/* The same paths with other contents: a certificate that was renewed in place. */
static int stamps_compare(struct config_difference *difference, const char *stream, const struct door *before, const struct door *after)
{
    int error = 0;
    if (strcmp(before->ca_file, after->ca_file) == 0 && strcmp(before->ca_dir, after->ca_dir) == 0)
        error = value_compare(difference, stream, config_fields[after->ca_file[0] ? KEY_CA_FILE : KEY_CA_DIR].name, CONFIG_NEW_PEER, false,
                              before->ca_stamp, after->ca_stamp);
    if (error == 0 && strcmp(before->tls_certificate, after->tls_certificate) == 0 && strcmp(before->tls_key, after->tls_key) == 0)
        error = value_compare(difference, stream, config_fields[KEY_TLS_CERTIFICATE].name, CONFIG_NEW_PEER, false, before->tls_stamp,
                              after->tls_stamp);
    return error;
}

/* What is in a draft only: parts of a connection string have the names of the single keys. */
static int peer_compare(struct config_difference *difference, const char *stream, const struct door *before, const struct door *after)
{
    const struct connstr *old = &before->connstr, *new = &after->connstr;
    const struct {
        enum config_key key;
        const char *before, *after;
    } parts[] = {
        {KEY_SHARED_ACCESS_KEY_NAME, old->key_name, new->key_name},
        {KEY_SHARED_ACCESS_KEY, old->key, new->key},
        {KEY_SHARED_ACCESS_KEY_SECONDARY, before->second_key, after->second_key},
        {KEY_CONNECTION_STRING_SECONDARY, before->second_key_name, after->second_key_name},
    };
    char was[320], is[320];
    peer_text(before, was, sizeof was);
    peer_text(after, is, sizeof is);
    int error = value_compare(difference, stream, config_fields[after->type == DOOR_AMQP ? KEY_BROKER : KEY_NAMESPACE].name, CONFIG_NEW_HUB,
                              false, was, is);
    for (size_t i = 0; error == 0 && i < sizeof parts / sizeof *parts; i++)
        error = value_compare(difference, stream, config_fields[parts[i].key].name, CONFIG_NEW_PEER, config_fields[parts[i].key].secret,
                              parts[i].before, parts[i].after);
    if (error == 0)
        error = stamps_compare(difference, stream, before, after);
    if (error == 0)
        error = value_compare(difference, stream, "shared_access_signature", CONFIG_NEW_PEER, true, old->signature, new->signature);
    return error;
}

static void peer_text(const struct door *door, char *to, size_t to_len)
{
    char port[16] = "";
    if (door->connstr.port != 0)
        snprintf(port, sizeof port, ":%u", door->connstr.port);
    snprintf(to, to_len, "%s%s%s%s",
             door->type != DOOR_AMQP ? ""
             : door->plain           ? "amqp://"
                                     : "amqps://",
             door->connstr.host, port, door->connstr.emulator ? " (emulator)" : "");
}
