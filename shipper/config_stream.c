/* A stream's section as a whole: what must fit together. */
#include "config_internal.h"

#include <string.h>

void config_stream_finish(const struct config *config, struct config_draft *draft, struct config_report *report)
{
    struct config_stream *stream = &draft->stream;
    config_door_finish(draft, report);
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
