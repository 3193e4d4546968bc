/* A connection's trace into the log. */
#include "trace_log.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "trace_internal.h"

#define AREA "wire"

static void text_line(const char *name, const char *what, const char *line, size_t len);

bool trace_log_wanted(void)
{
    return log_enabled(LOG_TRACE, AREA);
}

void trace_log_bytes(struct trace *trace, enum trace_way way, const char *name, const uint8_t *data, size_t len)
{
    struct trace_line line;
    while (len > 0) {
        size_t taken = trace_take(trace, way, data, len, &line);
        if (line.what)
            log_line(LOG_TRACE, AREA, line.what, "%s %s", name, line.fields);
        data += taken;
        len -= taken;
    }
}

void trace_log_text(const char *name, const char *what, const char *text, size_t len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end ? (size_t)(end - text) : len, step = end ? line_len + 1 : line_len;
        text_line(name, what, text, line_len > 0 && text[line_len - 1] == '\r' ? line_len - 1 : line_len);
        text += step;
        len -= step;
    }
}

/* Of a header that authorises or is a cookie only the name. */
static void text_line(const char *name, const char *what, const char *line, size_t len)
{
    static const char *const masked[] = {"authorization:", "proxy-authorization:", "servicebusauthorization:", "cookie:", "set-cookie:"};
    char text[TRACE_TEXT_BYTES_MAX + 16], quoted[4 * sizeof text + 3];
    if (len == 0)
        return;
    trace_clean((const uint8_t *)line, len, text, sizeof text);
    for (size_t i = 0; i < sizeof masked / sizeof masked[0]; i++) {
        size_t head_len = strlen(masked[i]);
        if (len >= head_len && strncasecmp(line, masked[i], head_len) == 0)
            snprintf(text, sizeof text, "%.*s masked", (int)head_len, line);
    }
    log_line(LOG_TRACE, AREA, what, "%s text=%s", name, log_quote(quoted, sizeof quoted, text));
}
