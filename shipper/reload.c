/* A configuration that is read again while the shipper runs: refused as a whole, or applied as a difference. Main thread. */
#include "shipper/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/config_difference.h"
#include "shipper/log.h"
#include "shipper/stream_dir.h"

struct reload {
    const struct config *before;
    struct config *after;
    struct roster *roster;
    struct deadletter *deadletter;
    struct config_difference difference;
    struct setup *setup[CONFIG_STREAMS_MAX]; /* by the stream's index; NULL: it stays as it is */
};

static int read_again(struct reload *reload);
static void errors_log(const char *text);
static int prepare(struct reload *reload, char *why, size_t why_len);
static int setups_make(struct reload *reload, char *why, size_t why_len);
static void changes_log(const struct config_difference *difference);
static void apply(struct reload *reload);
static void group_apply(const struct stream *stream, const char *rings, const char *before, const char *after);

int reload_config(struct config **config, struct roster *roster, struct deadletter *deadletter)
{
    struct reload reload = {.before = *config, .roster = roster, .deadletter = deadletter};
    char why[500] = "", quoted[600];
    int rc = read_again(&reload);
    if (rc == 0)
        rc = prepare(&reload, why, sizeof why);
    if (why[0])
        log_line(LOG_ERROR, "config", "the new configuration cannot be applied", "reason=%s", log_quote(quoted, sizeof quoted, why));
    if (rc != 0) {
        log_line(LOG_WARN, "config", "the new configuration is refused: the old one goes on", "file=%s", reload.before->path);
    } else if (reload.difference.count == 0) {
        log_line(LOG_INFO, "config", "the configuration was read again: nothing differs", "file=%s", reload.before->path);
    } else {
        changes_log(&reload.difference);
        apply(&reload);
        log_line(LOG_INFO, "config", "the configuration was read again and applied", "file=%s changes=%u", reload.before->path,
                 reload.difference.count);
        *config = reload.after;
        reload.after = (struct config *)reload.before;
    }
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++)
        setup_give(reload.setup[s]);
    config_difference_free(&reload.difference);
    config_free(reload.after);
    return rc;
}

static int read_again(struct reload *reload)
{
    char *text = NULL;
    size_t len = 0;
    FILE *errors = open_memstream(&text, &len);
    if (!errors)
        return -ENOMEM;
    int rc = config_read(reload->before->path, &reload->after, errors);
    fclose(errors);
    if (text)
        errors_log(text);
    free(text);
    return rc;
}

/* Each line has file, line, key and what is allowed. */
static void errors_log(const char *text)
{
    char line[1600], quoted[1700];
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        bool is_warning = strstr(line, ": warning: ") != NULL;
        log_line(is_warning ? LOG_WARN : LOG_ERROR, "config",
                 is_warning ? "the configuration is doubtful" : "the configuration is not in order", "at=%s",
                 log_quote(quoted, sizeof quoted, line));
    }
}

/* All that may fail, before anything has changed. */
static int prepare(struct reload *reload, char *why, size_t why_len)
{
    const struct config *after = reload->after;
    const struct deadletter_limits limits = {.segment_bytes_max = after->dead_letter_segment_bytes,
                                             .segment_seconds_max = after->dead_letter_segment_seconds};
    int rc = config_difference_make(reload->before, after, &reload->difference);
    if (rc != 0)
        snprintf(why, why_len, "out of memory");
    if (rc == 0)
        rc = setups_make(reload, why, why_len);
    if (rc == 0 && (rc = deadletter_configure(reload->deadletter, after->dead_letters, &limits)) != 0)
        snprintf(why, why_len, "dead_letters: %s", strerror(-rc));
    return rc;
}

static int setups_make(struct reload *reload, char *why, size_t why_len)
{
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < reload->after->stream_count; s++) {
        const struct config_stream *config = &reload->after->stream[s];
        const struct stream *stream = roster_find(reload->roster, config->name);
        if (stream && config_difference_has(&reload->difference, config->name))
            rc = setup_make(config, stream->setup, config_difference_effect(&reload->difference, config->name),
                            &reload->setup[stream->index], why, why_len);
    }
    return rc;
}

static void changes_log(const struct config_difference *difference)
{
    char before[300], after[300];
    for (uint32_t i = 0; i < difference->count; i++) {
        const struct config_change *change = &difference->change[i];
        const char *stream = change->stream[0] ? change->stream : "-";
        if (change->kind == CONFIG_STREAM_ADDED)
            log_line(LOG_INFO, "config", "a stream is added", "stream=%s", stream);
        else if (change->kind == CONFIG_STREAM_REMOVED)
            log_line(LOG_INFO, "config", "a stream is removed", "stream=%s", stream);
        else
            log_line(change->effect == CONFIG_AT_START ? LOG_WARN : LOG_INFO, "config",
                     change->effect == CONFIG_AT_START ? "a value cannot change while running: the old one stays until a restart"
                                                       : "a value has changed",
                     "stream=%s key=%s old=%s new=%s", stream, change->key,
                     change->before[0] ? log_quote(before, sizeof before, change->before) : "-",
                     change->after[0] ? log_quote(after, sizeof after, change->after) : "-");
    }
}

static void apply(struct reload *reload)
{
    const struct config *before = reload->before;
    struct config *after = reload->after;
    struct roster *roster = reload->roster;
    memcpy(after->rings, before->rings, sizeof after->rings);
    after->workers = before->workers;
    after->net = before->net;
    log_set_levels(after->log_level);
    for (uint32_t i = 0; i < reload->difference.count; i++) {
        const struct config_change *change = &reload->difference.change[i];
        struct stream *stream = change->kind == CONFIG_STREAM_REMOVED ? roster_find(roster, change->stream) : NULL;
        if (stream)
            roster_leave(roster, stream);
    }
    for (uint32_t s = 0; s < after->stream_count; s++) {
        const struct config_stream *config = &after->stream[s];
        struct stream *stream = roster_find(roster, config->name);
        if (!stream || !reload->setup[stream->index])
            continue;
        group_apply(stream, after->rings, stream->setup->config.group, config->group);
        roster_change(roster, stream, setup_take(reload->setup[stream->index]),
                      config_difference_effect(&reload->difference, config->name));
    }
    roster_hurry(roster);
}

/* As at a start: without a group the directory stays as it is. */
static void group_apply(const struct stream *stream, const char *rings, const char *before, const char *after)
{
    char why[500] = "", quoted[600];
    if (strcmp(before, after) == 0)
        return;
    int fd = stream_dir_open(rings, stream->dir, after, why, sizeof why);
    if (fd >= 0)
        close(fd);
    else
        log_line(LOG_ERROR, "config", "the stream's directory could not be given to its group", "stream=%s group=%s reason=%s",
                 stream->name, after, log_quote(quoted, sizeof quoted, why));
}
