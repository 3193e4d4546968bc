/*
 * Reads one fault from its text:
 *
 *   NAME [KEY=VALUE]...                 values with blanks in double quotes, where \" is a quote and any other backslash is itself
 *   NAME:N[:CONDITION[:TEXT]]           the short form of NAME every=N condition=CONDITION text=TEXT
 */
#include "fault.h"

#include "buf.h"
#include "websocket.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVERY = 1 << 0,
    NEXT = 1 << 1,
    FOR = 1 << 2,
    ADDRESS = 1 << 3,
    PATTERN = 1 << 4,
    CONDITION = 1 << 5,
    TEXT = 1 << 6,
    BYTES = 1 << 7,
    DELAY = 1 << 8,
    MAX = 1 << 9,
    RATE = 1 << 10,
    WINDOW = 1 << 11,
    COUNT = 1 << 12,
    CODE = 1 << 13,
    WAIT = 1 << 14,
    STATUS = 1 << 15,
    SILENT = 1 << 16,
    MODIFIED = 1 << 17,
    NAME = 1 << 18,
    CLOSE_CODE = 1 << 19,
    HTTP_STATUS = 1 << 20,
    REASON = 1 << 21,
    PIECE = 1 << 22,
    TIMES = EVERY | NEXT | FOR,
    DELIVERY = TIMES | ADDRESS | PATTERN,
    ERROR = CONDITION | TEXT,
};

#define BUSY "com.microsoft:server-busy"
#define AUTH "com.microsoft:auth-failed"

static const struct row {
    const char *name;
    enum hub_fault_kind kind;
    unsigned keys, needs;
    bool is_short; /* has the short form */
    const char *condition, *text;
} rows[] = {
    {"reject", HUB_FAULT_REJECT, DELIVERY | ERROR, 0, true, "amqp:internal-error", "The hub was told to reject this delivery."},
    {"release", HUB_FAULT_RELEASE, DELIVERY, 0, true, "", ""},
    {"modify", HUB_FAULT_MODIFY, DELIVERY | MODIFIED, 0, true, "", ""},
    {"server-busy", HUB_FAULT_REJECT, DELIVERY | ERROR | CODE | WAIT, 0, true, BUSY, ""},
    {"silent-disposition", HUB_FAULT_SILENT, DELIVERY, 0, true, "", ""},
    {"drop-after", HUB_FAULT_DROP_AFTER, DELIVERY, 0, true, "", ""},
    {"detach-after", HUB_FAULT_DETACH_AFTER, DELIVERY | ERROR, 0, true, "amqp:link:detach-forced", "The hub was told to detach this link."},
    {"refuse-attach", HUB_FAULT_REFUSE_ATTACH, TIMES | ADDRESS | ERROR, 0, false, "amqp:internal-error",
     "The hub was told to refuse this link."},
    {"fail-cbs", HUB_FAULT_FAIL_CBS, TIMES | ERROR | STATUS | SILENT, 0, false, AUTH,
     "InvalidSignature: The hub was told to refuse every token."},
    {"fail-management", HUB_FAULT_FAIL_MANAGEMENT, TIMES | ERROR | STATUS | SILENT, 0, false, "amqp:internal-error",
     "The hub was told to fail this request."},
    {"cut-received", HUB_FAULT_CUT_RECEIVED, NEXT | FOR | BYTES, BYTES, false, "", ""},
    {"cut-sent", HUB_FAULT_CUT_SENT, NEXT | FOR | BYTES, BYTES, false, "", ""},
    {"stop-credit", HUB_FAULT_STOP_CREDIT, FOR | ADDRESS, 0, false, "", ""},
    {"stop-reading", HUB_FAULT_STOP_READING, FOR, 0, false, "", ""},
    {"refuse-connections", HUB_FAULT_REFUSE_CONNECTIONS, FOR, 0, false, "", ""},
    {"late-dispositions", HUB_FAULT_LATE, DELAY, DELAY, false, "", ""},
    {"max-message-size", HUB_FAULT_MESSAGE_SIZE, FOR | BYTES, BYTES, false, "", ""},
    {"credit", HUB_FAULT_CREDIT, FOR | COUNT, COUNT, false, "", ""},
    {"token-life", HUB_FAULT_TOKEN_LIFE, FOR | MAX, MAX, false, "", ""},
    {"rate-limit", HUB_FAULT_RATE, FOR | RATE | WINDOW | CODE | WAIT, RATE, false, BUSY, ""},
    {"ws-refuse", HUB_FAULT_WS_REFUSE, TIMES | HTTP_STATUS | TEXT, 0, false, "", "The hub was told to refuse this upgrade."},
    {"ws-hang", HUB_FAULT_WS_HANG, TIMES, 0, false, "", ""},
    {"ws-ping", HUB_FAULT_WS_PING, TIMES, 0, false, "", ""},
    {"ws-split", HUB_FAULT_WS_SPLIT, FOR | BYTES, BYTES, false, "", ""},
    {"ws-fragment", HUB_FAULT_WS_FRAGMENT, FOR | PIECE, PIECE, false, "", ""},
    {"ws-close-after", HUB_FAULT_WS_CLOSE_AFTER, NEXT | FOR | BYTES | CLOSE_CODE | REASON, BYTES, false, "", ""},
    {"ws-close", HUB_FAULT_WS_CLOSE, CLOSE_CODE | REASON, 0, false, "", ""},
    {"drop-connections", HUB_FAULT_DROP_CONNECTIONS, 0, 0, false, "", ""},
    {"detach", HUB_FAULT_DETACH, ADDRESS | ERROR, 0, false, "amqp:link:detach-forced", "The hub was told to detach this link."},
    {"end", HUB_FAULT_END, ERROR, 0, false, "amqp:internal-error", "The hub was told to end this session."},
    {"close", HUB_FAULT_CLOSE, ERROR, 0, false, "amqp:connection:forced", "The hub was told to close this connection."},
    {"expire-tokens", HUB_FAULT_EXPIRE_TOKENS, 0, 0, false, "", ""},
    {"clear", HUB_FAULT_CLEAR, NAME, 0, false, "", ""},
};

/* Other names of a row. */
static const struct {
    const char *name, *of;
} aliases[] = {{"throttle", "server-busy"}, {"token-refuse", "fail-cbs"}};

enum value { NUMBER, TIME, STRING, YES_NO, SEARCH };

static const struct key {
    const char *name;
    unsigned bit;
    enum value value;
    size_t offset;
    uint64_t min, max; /* STRING: room; SEARCH: kind of pattern */
} keys[] = {
#define AT(field) offsetof(struct hub_fault, field)
    {"every", EVERY, NUMBER, AT(every), 1, 1000000000000},
    {"next", NEXT, NUMBER, AT(next), 1, 1000000000000},
    {"for", FOR, TIME, AT(for_ms), 1, 7 * 86400000},
    {"address", ADDRESS, STRING, AT(address), 1, HUB_NAME_MAX},
    {"body", PATTERN, SEARCH, AT(pattern), 0, HUB_PATTERN_BODY},
    {"body-regex", PATTERN, SEARCH, AT(pattern), 0, HUB_PATTERN_BODY_REGEX},
    {"key", PATTERN, SEARCH, AT(pattern), 0, HUB_PATTERN_KEY},
    {"key-regex", PATTERN, SEARCH, AT(pattern), 0, HUB_PATTERN_KEY_REGEX},
    {"condition", CONDITION, STRING, AT(error.condition), 1, sizeof((struct hub_error *)NULL)->condition},
    {"text", TEXT, STRING, AT(error.text), 0, sizeof((struct hub_error *)NULL)->text},
    {"bytes", BYTES, NUMBER, AT(bytes), 1, (uint64_t)1 << 40},
    {"delay", DELAY, TIME, AT(time_ms), 0, 7 * 86400000},
    {"max", MAX, TIME, AT(time_ms), 1000, 7 * 86400000},
    {"bytes-per-second", RATE, NUMBER, AT(rate.bytes_per_second), 1, (uint64_t)1 << 40},
    {"events-per-second", RATE, NUMBER, AT(rate.events_per_second), 1, 1000000000000},
    {"window", WINDOW, TIME, AT(rate.window_ms), 1, 3600000},
    {"count", COUNT, NUMBER, AT(count), 1, 1000000},
    {"code", CODE, NUMBER, AT(code), 10000, 99999},
    {"wait", WAIT, TIME, AT(time_ms), 1000, 3600000},
    {"status", STATUS, NUMBER, AT(status), 100, 599},
    {"code", CLOSE_CODE, NUMBER, AT(code), 1000, 4999},
    {"status", HTTP_STATUS, NUMBER, AT(status), 300, 599},
    {"text", REASON, STRING, AT(error.text), 0, HUB_WEBSOCKET_REASON_MAX + 1},
    {"bytes", PIECE, NUMBER, AT(bytes), 1, HUB_WEBSOCKET_FRAGMENT_MAX},
    {"silent", SILENT, YES_NO, AT(unanswered), 0, 0},
    {"delivery-failed", MODIFIED, YES_NO, AT(delivery_failed), 0, 0},
    {"undeliverable-here", MODIFIED, YES_NO, AT(undeliverable_here), 0, 0},
#undef AT
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), ALIASES = sizeof(aliases) / sizeof(aliases[0]), KEYS = sizeof(keys) / sizeof(keys[0]) };

/* The text being read. */
struct reader {
    const struct row *row;
    struct hub_fault *fault;
    const char *at;
    unsigned had;      /* bits of keys */
    unsigned key_mask; /* keys, by index */
    char *why;
};

static const struct row *row_of(const char *name, size_t len);
static int words_read(struct reader *r);
static int word_read(struct reader *r);
static int value_read(struct reader *r, const char *key, char value[HUB_FAULT_TEXT_MAX]);
static int key_set(struct reader *r, const struct key *k, const char *value);
static int number_read(const char *text, uint64_t *number);
static int name_read(struct reader *r);
static int short_read(struct reader *r);
static int error_read(struct hub_error *e, const char *from);
static void texts_complete(struct hub_fault *f);
static int say(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int say_names(struct reader *r, const char *name, size_t len);
static int say_keys(struct reader *r, const char *key, size_t len);

int hub_fault_read(const char *text, struct hub_fault **fault, char why[HUB_WHY_MAX])
{
    struct reader r = {.at = text + strspn(text, " \t"), .why = why};
    size_t len = strcspn(r.at, ": \t");
    int rc;

    *fault = NULL;
    if (strlen(r.at) >= HUB_FAULT_TEXT_MAX)
        return say(&r, "a fault has %d bytes at most, not %zu", HUB_FAULT_TEXT_MAX - 1, strlen(r.at));
    r.row = row_of(r.at, len);
    if (!r.row)
        return say_names(&r, r.at, len);
    r.fault = *fault = hub_alloc(1, sizeof(**fault));
    r.fault->kind = r.row->kind;
    r.fault->name = r.row->name;
    r.fault->rate.window_ms = 1000;
    r.fault->delivery_failed = true;
    hub_error_set(&r.fault->error, r.row->condition, "%s", r.row->text);
    snprintf(r.fault->source, sizeof(r.fault->source), "%s", r.at);
    r.at += len;
    rc = *r.at == ':' ? short_read(&r) : words_read(&r);
    if (rc < 0) {
        hub_fault_free(*fault);
        *fault = NULL;
        return rc;
    }
    texts_complete(r.fault);
    return 0;
}

int hub_time_read(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end;

    errno = 0;
    double v = strtod(text, &end);
    if (errno || *text < '0' || *text > '9' || v > 1e9)
        return -EINVAL;
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        *ms = (uint64_t)(v * (double)units[i].ms + 0.5);
        return 0;
    }
    return -EINVAL;
}

static const struct row *row_of(const char *name, size_t len)
{
    for (unsigned i = 0; i < ALIASES; i++) {
        if (strlen(aliases[i].name) == len && strncmp(aliases[i].name, name, len) == 0)
            return row_of(aliases[i].of, strlen(aliases[i].of));
    }
    for (unsigned i = 0; i < ROWS; i++) {
        if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
            return &rows[i];
    }
    return NULL;
}

static int words_read(struct reader *r)
{
    while (*(r->at += strspn(r->at, " \t"))) {
        if (word_read(r) < 0)
            return -EINVAL;
    }
    unsigned missing = r->row->needs & ~r->had;
    for (unsigned i = 0; i < KEYS && missing; i++) {
        if (keys[i].bit & missing)
            return say(r, "%s needs %s=", r->row->name, keys[i].name);
    }
    return 0;
}

static int word_read(struct reader *r)
{
    size_t len = strcspn(r->at, "= \t");
    char value[HUB_FAULT_TEXT_MAX];

    if (r->row->keys == NAME)
        return name_read(r);
    for (unsigned i = 0; i < KEYS; i++) {
        if (strlen(keys[i].name) != len || strncmp(keys[i].name, r->at, len) != 0 || !(keys[i].bit & r->row->keys) || r->at[len] != '=')
            continue;
        if (r->key_mask & 1u << i)
            return say(r, "%s has %s= twice", r->row->name, keys[i].name);
        r->key_mask |= 1u << i;
        r->at += len + 1;
        r->had |= keys[i].bit;
        return value_read(r, keys[i].name, value) < 0 ? -EINVAL : key_set(r, &keys[i], value);
    }
    return say_keys(r, r->at, len);
}

static int value_read(struct reader *r, const char *key, char value[HUB_FAULT_TEXT_MAX])
{
    size_t len = 0;

    if (*r->at != '"') {
        len = strcspn(r->at, " \t");
        memcpy(value, r->at, len);
        value[len] = 0;
        r->at += len;
        return 0;
    }
    for (r->at++; *r->at && *r->at != '"'; r->at++) {
        if (r->at[0] == '\\' && r->at[1] == '"')
            r->at++;
        value[len++] = *r->at;
    }
    value[len] = 0;
    if (*r->at != '"' || !strchr(" \t", r->at[1]))
        return say(r, "%s: the value of %s= has no closing quote, or something right behind it", r->row->name, key);
    r->at++;
    return 0;
}

static int key_set(struct reader *r, const struct key *k, const char *value)
{
    char *field = (char *)r->fault + k->offset, why[HUB_WHY_MAX / 2];
    uint64_t number = 0;

    switch (k->value) {
    case NUMBER:
        if (number_read(value, &number) < 0 || number < k->min || number > k->max)
            return say(r, "%s: %s='%.32s' is no number from %llu to %llu", r->row->name, k->name, value, (unsigned long long)k->min,
                       (unsigned long long)k->max);
        *(uint64_t *)(void *)field = number;
        return 0;
    case TIME:
        if (hub_time_read(value, &number) < 0 || number < k->min || number > k->max)
            return say(r, "%s: %s='%.32s' is no time from %llums to %llums; it has a unit: 500ms, 4s, 2m, 1h", r->row->name, k->name, value,
                       (unsigned long long)k->min, (unsigned long long)k->max);
        *(int64_t *)(void *)field = (int64_t)number;
        return 0;
    case STRING:
        if (strlen(value) < k->min || strlen(value) >= k->max)
            return say(r, "%s: %s= has %zu bytes, allowed are %llu to %llu", r->row->name, k->name, strlen(value),
                       (unsigned long long)k->min, (unsigned long long)k->max - 1);
        memcpy(field, value, strlen(value) + 1);
        return 0;
    case YES_NO:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
            return say(r, "%s: %s='%.32s' is neither yes nor no", r->row->name, k->name, value);
        *(bool *)field = *value == 'y';
        return 0;
    case SEARCH:
        if (r->fault->pattern.kind != HUB_PATTERN_NONE)
            return say(r, "%s: only one of body=, body-regex=, key=, key-regex=", r->row->name);
        if (hub_pattern_set(&r->fault->pattern, (enum hub_pattern_kind)k->max, value, why, sizeof(why)) < 0)
            return say(r, "%s: %s=: %s", r->row->name, k->name, why);
        return 0;
    }
    return -EINVAL;
}

/* Decimal, with K, M or G for powers of 1024. */
static int number_read(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno || *text < '0' || *text > '9' || end[shift > 0] || v > UINT64_MAX >> shift)
        return -EINVAL;
    *number = (uint64_t)v << shift;
    return 0;
}

/* What is to be cleared, by any of its names. */
static int name_read(struct reader *r)
{
    size_t len = strcspn(r->at, " \t");
    const struct row *row = row_of(r->at, len);

    if (!row)
        return say_names(r, r->at, len);
    if (hub_fault_is_act(row->kind))
        return say(r, "clear: %s is done at once, it does not stand", row->name);
    if (r->fault->of)
        return say(r, "clear has one name or none");
    r->fault->of = row->name;
    r->at += len;
    return 0;
}

static int short_read(struct reader *r)
{
    struct hub_fault *f = r->fault;
    char *end;

    if (!r->row->is_short)
        return say(r, "%s has no short form with ':'; write %s KEY=VALUE...", r->row->name, r->row->name);
    errno = 0;
    f->every = strtoull(r->at + 1, &end, 10);
    if (errno || r->at[1] < '0' || r->at[1] > '9' || f->every == 0 || (*end && *end != ':'))
        return say(r, "%s:N needs a number from 1, not '%.32s'", r->row->name, r->at + 1);
    if (!*end)
        return 0;
    if (!(r->row->keys & ERROR))
        return say(r, "%s:N takes no condition", r->row->name);
    if (error_read(&f->error, end + 1) < 0)
        return say(r, "%s:N:CONDITION:TEXT: the condition has 1 to %zu bytes and no blank", r->row->name, sizeof(f->error.condition) - 1);
    return 0;
}

/*
 * Conditions hold colons themselves, but no blanks: with a blank somewhere, the text begins behind the last colon in
 * front of it (`amqp:internal-error:try later`, `amqp:internal-error: later`); without one, all is the condition.
 */
static int error_read(struct hub_error *e, const char *from)
{
    char condition[sizeof(e->condition)], text[sizeof(e->text)];
    size_t len = strcspn(from, " ");

    snprintf(text, sizeof(text), "%s", e->text);
    if (from[len]) {
        const char *colon = memrchr(from, ':', len);
        if (!colon)
            return -EINVAL;
        len = (size_t)(colon - from);
        snprintf(text, sizeof(text), "%s", colon + 1 + strspn(colon + 1, " "));
    }
    if (len == 0 || len >= sizeof(condition))
        return -EINVAL;
    memcpy(condition, from, len);
    condition[len] = 0;
    hub_error_set(e, condition, "%s", text);
    return 0;
}

/* What was not said is as the service has it. */
static void texts_complete(struct hub_fault *f)
{
    bool is_busy = f->kind == HUB_FAULT_RATE || (f->kind == HUB_FAULT_REJECT && strcmp(f->name, "server-busy") == 0);

    if (strcmp(f->error.condition, "none") == 0)
        hub_error_set(&f->error, "", "%s", ""); /* an error without a condition is none at all */
    if (f->status == 0)
        f->status = f->kind == HUB_FAULT_FAIL_CBS ? 401 : f->kind == HUB_FAULT_WS_REFUSE ? 503 : 500;
    if (f->kind >= HUB_FAULT_CUT_RECEIVED && f->kind <= HUB_FAULT_WS_CLOSE_AFTER && f->next == 0)
        f->next = 1;
    if ((f->kind == HUB_FAULT_WS_CLOSE || f->kind == HUB_FAULT_WS_CLOSE_AFTER) && f->code == 0)
        f->code = 1001;
    if (!is_busy || f->error.text[0])
        return;
    if (f->code == 0)
        f->code = 50002;
    if (f->time_ms == 0)
        f->time_ms = 4000;
    snprintf(f->error.text, sizeof(f->error.text),
             "The request was terminated because the entity is being throttled. Error code : %llu. Please wait %lld seconds and try again.",
             (unsigned long long)f->code, (long long)f->time_ms / 1000);
}

static int say(struct reader *r, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(r->why, HUB_WHY_MAX, format, list);
    va_end(list);
    return -EINVAL;
}

static int say_names(struct reader *r, const char *name, size_t len)
{
    say(r, "'%.*s' is no fault; there are", len > 64 ? 64 : (int)len, name);
    for (unsigned i = 0; i < ROWS; i++) {
        size_t used = strlen(r->why);
        snprintf(r->why + used, HUB_WHY_MAX - used, "%s %s", i > 0 ? "," : "", rows[i].name);
    }
    return -EINVAL;
}

static int say_keys(struct reader *r, const char *key, size_t len)
{
    say(r, "%s does not take '%.*s'; it takes", r->row->name, len > 64 ? 64 : (int)len, key);
    size_t before = strlen(r->why);
    for (unsigned i = 0; i < KEYS; i++) {
        size_t used = strlen(r->why);
        if (keys[i].bit & r->row->keys)
            snprintf(r->why + used, HUB_WHY_MAX - used, "%s %s=", used > before ? "," : "", keys[i].name);
    }
    if (strlen(r->why) == before)
        snprintf(r->why + before, HUB_WHY_MAX - before, " nothing");
    return -EINVAL;
}
