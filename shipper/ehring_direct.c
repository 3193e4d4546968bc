/* libehring-direct: its calls, from arguments to outcome. */
#include "direct_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "utf8.h"

#define CONNECT_TIMEOUT_MS 10000u
#define GOODBYE_MS 1000

struct sending {
    uint64_t tag;
    int link;
    uint32_t run_count;      /* messages of a run; 0: it is one message */
    uint32_t accepted_count; /* of a run's first messages */
    bool is_sent;            /* whole */
    int result;
};

static struct ehring_direct *handle_make(uint32_t connect_timeout_ms);
static int handle_fill(struct ehring_direct *direct, const char *connection_string, const struct ehring_direct_options *options);
static int handle_equip(struct ehring_direct *direct);
static void handle_free(struct ehring_direct *direct);
static int route_check(struct ehring_direct *direct, const char *key, const char *partition_id);
static int route_address(struct ehring_direct *direct, const char *partition_id, char *to, size_t cap);
static int message_send(struct ehring_direct *direct, size_t len, enum conn_format format, const char *partition_id, int64_t deadline_ms);
static int size_check(struct ehring_direct *direct, int index, const char *what, size_t len);
static int run_send(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key,
                    int64_t deadline_ms);
static int outcome_wait(struct ehring_direct *direct, struct sending *sending, int64_t deadline_ms);
static bool outcome_event(struct ehring_direct *direct, struct sending *sending, const struct conn_event *event);
static int outcome_lost(struct ehring_direct *direct, const struct sending *sending, int code);
static int outcome_told(struct ehring_direct *direct, const struct conn_event *event);

int ehring_direct_open(const char *connection_string, const struct ehring_direct_options *options, struct ehring_direct **out, char *error,
                       size_t error_cap)
{
    static const struct ehring_direct_options defaults;
    if (!options)
        options = &defaults;
    struct ehring_direct *direct = handle_make(options->connect_timeout_ms);
    int ret = -ENOMEM;
    if (error && error_cap > 0)
        snprintf(error, error_cap, "out of memory");
    if (!direct)
        return ret;
    ret = handle_fill(direct, connection_string, options);
    if (ret == 0)
        ret = session_link(direct, direct->door.hub, direct_deadline_ms((int)direct->connect_timeout_ms));
    if (ret < 0) {
        if (error && error_cap > 0)
            snprintf(error, error_cap, "%s", direct->error);
        handle_free(direct);
        return ret;
    }
    if (error && error_cap > 0)
        error[0] = '\0';
    *out = direct;
    return 0;
}

int direct_open_door(const struct door *door, uint32_t connect_timeout_ms, struct ehring_direct **out)
{
    *out = handle_make(connect_timeout_ms);
    if (!*out)
        return -ENOMEM;
    (*out)->door = *door;
    (*out)->is_traced = true; /* if the log wants it */
    return handle_equip(*out);
}

void ehring_direct_close(struct ehring_direct *direct)
{
    if (!direct)
        return;
    session_close(direct, direct_deadline_ms(GOODBYE_MS));
    handle_free(direct);
}

int ehring_direct_send(struct ehring_direct *direct, const struct ehring_direct_event *event, const char *key, const char *partition_id,
                       int timeout_ms)
{
    int64_t deadline_ms = direct_deadline_ms(timeout_ms);
    int ret = route_check(direct, key, partition_id);
    if (ret < 0)
        return ret;
    int64_t len = direct_encode_event(direct, event, key);
    return len < 0 ? (int)len : message_send(direct, (size_t)len, CONN_FORMAT_SINGLE, partition_id, deadline_ms);
}

int ehring_direct_send_batch(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key,
                             const char *partition_id, int timeout_ms)
{
    int64_t deadline_ms = direct_deadline_ms(timeout_ms);
    int ret = route_check(direct, key, partition_id);
    if (ret < 0)
        return ret;
    if (event_count == 0)
        return direct_fail(direct, -EINVAL, "a batch of no events");
    if (direct->door.type == DOOR_AMQP)
        return run_send(direct, events, event_count, key, deadline_ms);
    int64_t len = direct_encode_batch(direct, events, event_count, key);
    return len < 0 ? (int)len : message_send(direct, (size_t)len, CONN_FORMAT_BATCH, partition_id, deadline_ms);
}

uint64_t ehring_direct_message_bytes_max(const struct ehring_direct *direct)
{
    if (!direct->conn || direct->link[0].number < 0)
        return 0;
    uint64_t bytes_max = conn_link_message_bytes_max(direct->conn, direct->link[0].number);
    return bytes_max ? bytes_max : DIRECT_MESSAGE_BYTES_DEFAULT;
}

const char *ehring_direct_error(const struct ehring_direct *direct)
{
    return direct->error;
}

const char *ehring_direct_condition(const struct ehring_direct *direct)
{
    return direct->condition;
}

int64_t direct_now_ms(void)
{
    return clock_mono_ns() / CLOCK_NS_PER_MS;
}

int64_t direct_deadline_ms(int timeout_ms)
{
    return timeout_ms < 0 ? DIRECT_NO_DEADLINE : direct_now_ms() + timeout_ms;
}

int direct_fail(struct ehring_direct *direct, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(direct->error, sizeof direct->error, format, args);
    va_end(args);
    return code;
}

int direct_fail_peer(struct ehring_direct *direct, const char *what, const struct conn_event *event)
{
    static const struct {
        const char *condition;
        int code;
    } known[] = {
        {"amqp:unauthorized-access", -EACCES},
        {"com.microsoft:auth-failed", -EACCES},
        {"amqp:not-found", -ENOENT},
        {"com.microsoft:timeout", -ETIMEDOUT},
        {"com.microsoft:entity-disabled", -EACCES},
        {"com.microsoft:argument-error", -EINVAL},
        {"com.microsoft:argument-out-of-range", -EINVAL},
    };
    int code = event->kind == CONN_CLOSED && !event->condition[0] ? -ECONNRESET : -EPROTO;
    if (event->status == 401 || event->status == 403)
        code = -EACCES;
    else if (event->status == 404)
        code = -ENOENT;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(event->condition, known[i].condition) == 0)
            code = known[i].code;
    }
    memcpy(direct->condition, event->condition, sizeof direct->condition);
    bool lacks_role = code == -EACCES && direct->door.credential.kind != CREDENTIAL_SAS;
    return direct_fail(direct, code, "%s%s%s%s%s%s", what, event->condition[0] ? ": " : "", event->condition,
                       event->description[0] ? ": " : "", event->description,
                       lacks_role ? " (the identity needs the role Azure Event Hubs Data Sender)" : "");
}

static struct ehring_direct *handle_make(uint32_t connect_timeout_ms)
{
    struct ehring_direct *direct = calloc(1, sizeof *direct);
    if (!direct)
        return NULL;
    direct->fd = -1;
    direct->connect_timeout_ms = connect_timeout_ms ? connect_timeout_ms : CONNECT_TIMEOUT_MS;
    if (direct->connect_timeout_ms > INT32_MAX)
        direct->connect_timeout_ms = INT32_MAX;
    for (uint32_t i = 0; i < DIRECT_LINKS_MAX; i++)
        direct->link[i].number = -1;
    return direct;
}

static int handle_fill(struct ehring_direct *direct, const char *connection_string, const struct ehring_direct_options *options)
{
    if (options->trace) {
        direct->is_traced = true;
        log_set_levels("info, wire=trace");
    }
    int ret = direct_door_make(direct, connection_string, options);
    return ret < 0 ? ret : handle_equip(direct);
}

/* What follows from the door. */
static int handle_equip(struct ehring_direct *direct)
{
    char why[1200];
    const struct door *door = &direct->door;
    snprintf(direct->audience, sizeof direct->audience, "sb://%s/%s", door->connstr.host, door->hub);
    int ret = transport_way_open(door, &direct->way, why, sizeof why);
    return ret < 0 ? direct_fail(direct, ret, "%s", why) : 0;
}

static void handle_free(struct ehring_direct *direct)
{
    wire_close(direct);
    transport_way_close(&direct->way);
    credential_token_give(direct->token);
    explicit_bzero(&direct->door, sizeof direct->door);
    free(direct->message);
    free(direct->lens);
    free(direct);
}

static int route_check(struct ehring_direct *direct, const char *key, const char *partition_id)
{
    direct->error[0] = direct->condition[0] = '\0';
    if (key && partition_id)
        return direct_fail(direct, -EINVAL, "key and partition id together: an event has one of them");
    if (partition_id && direct->door.type == DOOR_AMQP)
        return direct_fail(direct, -EINVAL, "a partition id has no meaning with type = amqp");
    if (partition_id && (!partition_id[0] || strlen(partition_id) > 9 || partition_id[strspn(partition_id, "0123456789")]))
        return direct_fail(direct, -EINVAL, "partition id is not a decimal number");
    if (!key)
        return 0;
    size_t chars = 0;
    if (!key[0])
        return direct_fail(direct, -EINVAL, "empty key");
    if (!utf8_is_valid((const uint8_t *)key, strlen(key)))
        return direct_fail(direct, -EILSEQ, "key is not UTF-8");
    for (const char *at = key; *at; at++)
        chars += ((unsigned char)*at & 0xc0) != 0x80;
    if (chars > EHRING_DIRECT_KEY_CHARS_MAX)
        return direct_fail(direct, -EINVAL, "key of %zu characters, at most %u", chars, EHRING_DIRECT_KEY_CHARS_MAX);
    return 0;
}

static int route_address(struct ehring_direct *direct, const char *partition_id, char *to, size_t cap)
{
    int len =
        partition_id ? snprintf(to, cap, "%s/Partitions/%s", direct->door.hub, partition_id) : snprintf(to, cap, "%s", direct->door.hub);
    return len > 0 && (size_t)len < cap ? 0 : -EINVAL;
}

static int message_send(struct ehring_direct *direct, size_t len, enum conn_format format, const char *partition_id, int64_t deadline_ms)
{
    char address[sizeof direct->link[0].address];
    if (route_address(direct, partition_id, address, sizeof address) < 0)
        return direct_fail(direct, -EINVAL, "hub name too long");
    int index = session_link(direct, address, deadline_ms);
    if (index >= 0 && size_check(direct, index, format == CONN_FORMAT_BATCH ? "batch" : "event", len) < 0)
        return -EMSGSIZE;
    if (index < 0)
        return index;
    struct sending sending = {.tag = ++direct->next_tag, .link = direct->link[index].number};
    int ret = conn_send(direct->conn, sending.link, sending.tag, format, direct->message, len);
    if (ret < 0)
        return direct_fail(direct, ret, "cannot send on the link to %s: %s", address, strerror(-ret));
    return outcome_wait(direct, &sending, deadline_ms);
}

static int size_check(struct ehring_direct *direct, int index, const char *what, size_t len)
{
    uint64_t bytes_max = conn_link_message_bytes_max(direct->conn, direct->link[index].number);
    if (bytes_max == 0)
        bytes_max = DIRECT_MESSAGE_BYTES_DEFAULT;
    if (len <= bytes_max)
        return 0;
    return direct_fail(direct, -EMSGSIZE, "%s of %zu bytes exceeds the link's maximum of %llu (%s)", what, len,
                       (unsigned long long)bytes_max, direct->link[index].address);
}

/* A message for each event, one behind the other; the first that is not accepted ends it. */
static int run_send(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key,
                    int64_t deadline_ms)
{
    int64_t len = direct_encode_run(direct, events, event_count, key);
    int index = len < 0 ? (int)len : session_link(direct, direct->door.hub, deadline_ms);
    for (size_t i = 0; index >= 0 && i < event_count; i++)
        if (size_check(direct, index, "event", direct->lens[i]) < 0)
            return -EMSGSIZE;
    if (index < 0)
        return index;
    struct sending sending = {.tag = ++direct->next_tag, .link = direct->link[index].number, .run_count = (uint32_t)event_count};
    int ret = conn_send_run(direct->conn, sending.link, sending.tag, direct->message, direct->lens, sending.run_count);
    if (ret < 0)
        return direct_fail(direct, ret, "cannot send on the link to %s: %s", direct->door.hub, strerror(-ret));
    ret = outcome_wait(direct, &sending, deadline_ms);
    if (sending.accepted_count > 0 && ret != EHRING_DIRECT_ACCEPTED) {
        char said[sizeof direct->error];
        memcpy(said, direct->error, sizeof said);
        direct_fail(direct, ret, "the first %u of %zu events are stored; %.900s", sending.accepted_count, event_count, said);
    }
    return ret;
}

/* Until the outcome of the message, the end of its link or connection, or the deadline. */
static int outcome_wait(struct ehring_direct *direct, struct sending *sending, int64_t deadline_ms)
{
    struct conn_event event;
    int ret;
    while ((ret = wire_next_event(direct, deadline_ms, &event)) > 0) {
        if (outcome_event(direct, sending, &event))
            return sending->result;
    }
    if (ret == 0)
        ret = direct_fail(direct, -ETIMEDOUT, "no outcome from %s in time", direct->door.hub);
    while (conn_next_event(direct->conn, &event)) { /* the wire broke: what was known by then counts */
        if (outcome_event(direct, sending, &event))
            return sending->result;
    }
    return outcome_lost(direct, sending, ret);
}

/* true: `sending` has its result. */
static bool outcome_event(struct ehring_direct *direct, struct sending *sending, const struct conn_event *event)
{
    session_event(direct, event);
    if (event->kind == CONN_SENT && event->tag == sending->tag)
        sending->is_sent = true;
    if ((event->kind == CONN_PROGRESS || event->kind == CONN_SETTLED) && event->tag == sending->tag)
        sending->accepted_count = event->accepted_count;
    if (event->kind == CONN_SETTLED && event->tag == sending->tag) {
        sending->result = outcome_told(direct, event);
        return true;
    }
    if (event->kind == CONN_CLOSED || (event->kind == CONN_LINK_ENDED && event->link == sending->link)) {
        int code = direct_fail_peer(
            direct, event->kind == CONN_CLOSED ? "connection lost before the outcome" : "link lost before the outcome", event);
        sending->result = outcome_lost(direct, sending, code);
        return true;
    }
    return false;
}

/* A message whose last piece has not left for the engine cannot have been stored: it is given up. Of a whole one nobody knows. */
static int outcome_lost(struct ehring_direct *direct, const struct sending *sending, int code)
{
    if (sending->run_count > 0)
        wire_close(direct); /* what is left of it must not go out any more */
    if (sending->is_sent || sending->run_count > 0)
        return EHRING_DIRECT_UNKNOWN;
    conn_send_abort(direct->conn, sending->link); /* nothing if the link has ended */
    return code;
}

static int outcome_told(struct ehring_direct *direct, const struct conn_event *event)
{
    switch (event->outcome) {
    case CONN_ACCEPTED:
        return EHRING_DIRECT_ACCEPTED;
    case CONN_REJECTED:
        direct_fail_peer(direct, "rejected", event);
        return EHRING_DIRECT_REJECTED;
    case CONN_RELEASED:
        direct_fail_peer(direct, "released: not taken", event);
        return EHRING_DIRECT_RELEASED;
    case CONN_MODIFIED:
        direct_fail_peer(direct, "modified: not taken", event);
        return EHRING_DIRECT_MODIFIED;
    }
    return EHRING_DIRECT_UNKNOWN;
}
