/* Events over a connection of our own. What the shipper makes of an event's optional fields is made here in the same way. */
#include "replay_direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/direct_peer.h"

enum { TRIES_MAX = 4, BUSY_TRIES_MAX = 30, BUSY_SECONDS = 4 };

static int fill(const struct ehring_event *event, struct ehring_direct_event *to, struct ehring_direct_property *property, char *why,
                size_t cap);
static int fill_property(const struct ehring_property *from, struct ehring_direct_property *to);
static size_t add_extra(struct ehring_direct_property *property, size_t count, const char *name, const char *text);
static int judge(struct replay_direct *out, int outcome, int tried, int *wait_seconds);
static void wait_for(int seconds);

int replay_direct_open(struct replay_direct *out, const struct replay_options *options, const volatile sig_atomic_t *stop)
{
    *out = (struct replay_direct){.stop = stop, .timeout_ms = (int)options->timeout_ms};
    return direct_peer_open("ehring-ctl", &options->peer, (uint32_t)options->timeout_ms, &out->direct) == 0 ? 0 : -1;
}

void replay_direct_close(struct replay_direct *out)
{
    ehring_direct_close(out->direct);
    out->direct = NULL;
}

int replay_direct_send(struct replay_direct *out, const struct ehring_event *event, const char **why)
{
    static struct ehring_direct_property property[EHRING_PROPERTIES_MAX + 3];
    struct ehring_direct_event to;
    char key[EHRING_KEY_CHARS_MAX * 4 + 1];
    int verdict, wait_seconds;

    *why = out->why;
    if (event->key_len >= sizeof(key) || (event->key && strnlen(event->key, event->key_len) != event->key_len)) {
        snprintf(out->why, sizeof(out->why), "its key is too long, or holds a NUL");
        return 1;
    }
    if (fill(event, &to, property, out->why, sizeof(out->why)) != 0)
        return 1;
    if (event->key) {
        memcpy(key, event->key, event->key_len);
        key[event->key_len] = '\0';
    }
    for (int tried = 1;; tried++) {
        int outcome = ehring_direct_send(out->direct, &to, event->key ? key : NULL, event->partition_id, out->timeout_ms);
        verdict = judge(out, outcome, tried, &wait_seconds);
        if (wait_seconds < 0 || *out->stop)
            return verdict;
        wait_for(wait_seconds);
    }
}

static int fill(const struct ehring_event *event, struct ehring_direct_event *to, struct ehring_direct_property *property, char *why,
                size_t cap)
{
    size_t count = event->property_count;

    for (size_t i = 0; i < count; i++)
        if (fill_property(&event->properties[i], &property[i]) != 0) {
            snprintf(why, cap, "its property %s is a UUID, which --direct cannot send: replay it through a ring",
                     event->properties[i].name);
            return -EINVAL;
        }
    count = add_extra(property, count, "schema-version", event->schema_version);
    count = add_extra(property, count, "traceparent", event->traceparent);
    count = add_extra(property, count, "Diagnostic-Id", event->traceparent);
    *to = (struct ehring_direct_event){.data = event->data,
                                       .len = event->len,
                                       .content_type = event->content_type,
                                       .message_id = event->message_id,
                                       .correlation_id = event->correlation_id,
                                       .properties = property,
                                       .property_count = count};
    return 0;
}

static int fill_property(const struct ehring_property *from, struct ehring_direct_property *to)
{
    *to = (struct ehring_direct_property){.name = from->name, .type = (enum ehring_direct_type)from->type, .len = from->len};
    switch (from->type) {
    case EHRING_TYPE_TEXT:
        to->value.text = from->value.text;
        return 0;
    case EHRING_TYPE_BOOL:
        to->value.yes = from->value.yes;
        return 0;
    case EHRING_TYPE_INT:
    case EHRING_TYPE_TIMESTAMP:
        to->value.i64 = from->value.i64;
        return 0;
    case EHRING_TYPE_UINT:
        to->value.u64 = from->value.u64;
        return 0;
    case EHRING_TYPE_DOUBLE:
        to->value.f64 = from->value.f64;
        return 0;
    case EHRING_TYPE_BYTES:
        to->value.bytes = from->value.bytes;
        return 0;
    case EHRING_TYPE_UUID:
        return -EINVAL;
    }
    return -EINVAL;
}

_Static_assert((int)EHRING_TYPE_TEXT == EHRING_DIRECT_TEXT && (int)EHRING_TYPE_BOOL == EHRING_DIRECT_BOOL &&
                   (int)EHRING_TYPE_INT == EHRING_DIRECT_INT && (int)EHRING_TYPE_UINT == EHRING_DIRECT_UINT &&
                   (int)EHRING_TYPE_DOUBLE == EHRING_DIRECT_DOUBLE && (int)EHRING_TYPE_TIMESTAMP == EHRING_DIRECT_TIMESTAMP &&
                   (int)EHRING_TYPE_BYTES == EHRING_DIRECT_BYTES,
               "types");

/* The producer's own property of the name wins. */
static size_t add_extra(struct ehring_direct_property *property, size_t count, const char *name, const char *text)
{
    if (!text)
        return count;
    for (size_t i = 0; i < count; i++)
        if (strcmp(property[i].name, name) == 0)
            return count;
    property[count] = (struct ehring_direct_property){.name = name, .type = EHRING_DIRECT_TEXT, .value.text = text};
    return count + 1;
}

/* *wait_seconds: how long until the same event is sent again; negative: it is not. */
static int judge(struct replay_direct *out, int outcome, int tried, int *wait_seconds)
{
    const char *condition = ehring_direct_condition(out->direct);
    bool busy = outcome == EHRING_DIRECT_REJECTED && strcmp(condition, "com.microsoft:server-busy") == 0;

    *wait_seconds = -1;
    if (outcome == EHRING_DIRECT_ACCEPTED)
        return 0;
    snprintf(out->why, sizeof(out->why), "%s", ehring_direct_error(out->direct));
    if (outcome == -EMSGSIZE || outcome == -EILSEQ || outcome == -EINVAL || (outcome == EHRING_DIRECT_REJECTED && !busy))
        return 1;
    if (tried < (busy ? BUSY_TRIES_MAX : TRIES_MAX))
        *wait_seconds = busy ? BUSY_SECONDS : 1;
    return -1;
}

/* A signal ends it. */
static void wait_for(int seconds)
{
    struct timespec time = {.tv_sec = seconds};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}
