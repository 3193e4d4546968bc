/* A stream's section as a whole: its hub, its credentials, and what must fit together. */
#include "config_internal.h"

#include <string.h>
#include <strings.h>

#define DOMAIN ".servicebus.windows.net"

static void credentials_finish(struct config_draft *draft, struct config_report *report);
static void parts_finish(struct config_draft *draft, struct config_report *report);
static void hub_finish(struct config_draft *draft, struct config_report *report);

void config_stream_finish(const struct config *config, struct config_draft *draft, struct config_report *report)
{
    struct config_stream *stream = &draft->stream;
    credentials_finish(draft, report);
    hub_finish(draft, report);
    if (draft->line[KEY_MAX_CONCURRENT_CONNECTS] == 0)
        stream->max_concurrent_connects = stream->max_size / 3 > 1 ? stream->max_size / 3 : 1;
    size_t bell_len = strlen(config->rings) + 1 + strlen(stream->name) + strlen(".bell");
    if (bell_len > CONFIG_BELL_PATH_BYTES_MAX)
        config_complain(report, draft->section_line, NULL,
                        "the doorbell's path %s/%s.bell has %zu bytes, a socket's takes %u: shorten rings or the stream's name",
                        config->rings, stream->name, bell_len, CONFIG_BELL_PATH_BYTES_MAX);
    if (stream->retry_backoff_ms > UINT64_C(1000) * stream->retry_backoff_max_seconds)
        config_complain(report, draft->line[KEY_RETRY_BACKOFF] != 0 ? draft->line[KEY_RETRY_BACKOFF] : draft->line[KEY_RETRY_BACKOFF_MAX],
                        "retry_backoff_ms", "%u ms is more than retry_backoff_max_seconds, %u s", stream->retry_backoff_ms,
                        stream->retry_backoff_max_seconds);
}

static void credentials_finish(struct config_draft *draft, struct config_report *report)
{
    const unsigned *line = draft->line;
    char why[256];
    unsigned part_line = line[KEY_NAMESPACE] != 0                ? line[KEY_NAMESPACE]
                         : line[KEY_SHARED_ACCESS_KEY_NAME] != 0 ? line[KEY_SHARED_ACCESS_KEY_NAME]
                                                                 : line[KEY_SHARED_ACCESS_KEY];
    if (line[KEY_CONNECTION_STRING] != 0) {
        if (part_line != 0)
            config_complain(report, part_line, NULL, "connection_string excludes namespace, shared_access_key_name and shared_access_key");
        if (draft->connection_string[0] == '\0') /* its value was complained about */
            return;
        if (connstr_parse(draft->connection_string, &draft->stream.connstr, why, sizeof why) != 0)
            config_complain(report, line[KEY_CONNECTION_STRING], "connection_string", "%s", why);
    } else if (part_line != 0) {
        parts_finish(draft, report);
    } else {
        config_complain(report, draft->section_line, NULL,
                        "stream %s has no credentials: give connection_string, or namespace, shared_access_key_name and shared_access_key",
                        draft->stream.name);
    }
}

static void parts_finish(struct config_draft *draft, struct config_report *report)
{
    static const enum config_key keys[] = {KEY_NAMESPACE, KEY_SHARED_ACCESS_KEY_NAME, KEY_SHARED_ACCESS_KEY};
    struct connstr *connstr = &draft->stream.connstr;
    char why[256];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (draft->line[keys[i]] == 0)
            config_complain(report, draft->section_line, config_fields[keys[i]].name, "is missing: a namespace needs a policy and its key");
    char *host = draft->namespace_host;
    if (host[0] != '\0' && strpbrk(host, ".:[") == NULL && strcasecmp(host, "localhost") != 0)
        strcat(host, DOMAIN); /* 261 bytes at most before, room for 320 */
    if (host[0] != '\0' && connstr_set_host(host, connstr, why, sizeof why) != 0)
        config_complain(report, draft->line[KEY_NAMESPACE], "namespace", "%s", why);
    memcpy(connstr->key_name, draft->shared_access_key_name, sizeof connstr->key_name);
    memcpy(connstr->key, draft->shared_access_key, sizeof connstr->key);
}

static void hub_finish(struct config_draft *draft, struct config_report *report)
{
    struct config_stream *stream = &draft->stream;
    bool given = draft->line[KEY_HUB] != 0;
    if (!given && stream->connstr.hub[0] != '\0')
        memcpy(stream->hub, stream->connstr.hub, sizeof stream->hub);
    else if (!given)
        config_complain(report, draft->section_line, "hub", "is missing, and the connection string has no EntityPath");
    else if (stream->hub[0] != '\0' && stream->connstr.hub[0] != '\0' && strcasecmp(stream->hub, stream->connstr.hub) != 0)
        config_complain(report, draft->line[KEY_HUB], "hub", "%s is not the connection string's EntityPath %s", stream->hub,
                        stream->connstr.hub);
    else
        memcpy(stream->connstr.hub, stream->hub, sizeof stream->connstr.hub);
}
