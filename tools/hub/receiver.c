/* A reader of one partition: where it begins, who may read besides it, and the events it is sent. */
#include "receiver.h"

#include "detach.h"
#include "outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SELECTOR_MAX = 512 };

static int filter_read(const struct hub_value *source, struct hub_position *at, struct hub_error *why);
static int filter_text(const struct hub_value *filters, char *text);
static int epoch_apply(struct hub_link *l, struct hub_error *why);
static uint32_t annotations_copy(struct hub_buf *b, const struct hub_event *e);

int hub_receiver_open(struct hub_link *l, const struct hub_value *source, const struct hub_value *properties, struct hub_error *why)
{
    struct hub_position at = {.start = HUB_START_OFFSET, .value = -1};
    struct hub_value v;

    if (filter_read(source, &at, why) < 0)
        return -EPROTO;
    if (properties && hub_map_find(properties, "com.microsoft:epoch", &v)) {
        if (hub_value_integer(&v, &l->epoch) < 0)
            return hub_error_set(why, "amqp:invalid-field", "the link property com.microsoft:epoch is not a number");
        l->has_epoch = true;
    }
    if (epoch_apply(l, why) < 0)
        return -EPROTO;
    hub_log_seek(&l->partition->log, &at, &l->cursor);
    l->next_receiver = l->partition->receivers;
    l->partition->receivers = l;
    return 0;
}

void hub_receiver_pump(struct hub_link *l)
{
    struct hub_record r;

    hub_outgoing_continue(l);
    while (hub_outgoing_ready(l)) {
        if (!hub_log_read(&l->partition->log, &l->cursor, &r)) {
            hub_outgoing_drain(l);
            return;
        }
        hub_event_annotate(&l->sending, &r);
        hub_outgoing_start(l);
    }
}

/* `amqp.annotation.x-opt-NAME > 'VALUE'`, or `>=`; quotes may be missing. */
int hub_selector_read(const char *text, struct hub_position *at)
{
    char name[64], operator[3], value[32], *end;

    if (sscanf(text, " amqp.annotation.x-opt-%63[a-z-] %2[>=] %31s", name, operator, value) != 3)
        return -EINVAL;
    char *from = value + (value[0] == '\'');
    from[strcspn(from, "'")] = 0;
    if (strcmp(name, "offset") == 0)
        at->start = HUB_START_OFFSET;
    else if (strcmp(name, "sequence-number") == 0)
        at->start = HUB_START_SEQUENCE;
    else if (strcmp(name, "enqueued-time") == 0)
        at->start = HUB_START_TIME;
    else
        return -EINVAL;
    if (strcmp(operator, ">") != 0 && strcmp(operator, ">=") != 0)
        return -EINVAL;
    at->inclusive = operator[1] == '=';
    if (strcmp(from, "@latest") == 0) {
        at->start = HUB_START_LATEST;
        return 0;
    }
    at->value = strtoll(from, &end, 10);
    return end == from || *end ? -EINVAL : 0;
}

void hub_event_annotate(struct hub_buf *b, const struct hub_record *r)
{
    struct hub_event e;
    struct hub_error ignored;
    char offset[24];

    if (hub_event_read(&e, r->event, r->event_len, &ignored) < 0)
        return;
    hub_buf_put(b, e.header_section.bytes, e.header_section.len);
    hub_put_descriptor(b, HUB_SECTION_ANNOTATIONS);
    size_t map = hub_put_map_begin(b);
    uint32_t count = annotations_copy(b, &e);
    snprintf(offset, sizeof(offset), "%llu", (unsigned long long)r->offset);
    hub_put_symbol(b, "x-opt-sequence-number");
    hub_put_long(b, r->seq);
    hub_put_symbol(b, "x-opt-offset");
    hub_put_string(b, offset);
    hub_put_symbol(b, "x-opt-enqueued-time");
    hub_put_timestamp(b, r->time_ms);
    hub_put_compound_end(b, map, count + 6);
    hub_buf_put(b, e.after_annotations.bytes, e.after_annotations.len);
}

static int filter_read(const struct hub_value *source, struct hub_position *at, struct hub_error *why)
{
    struct hub_in in = hub_in_of(source->raw, source->raw_len);
    char text[SELECTOR_MAX];
    struct hub_fields f;
    uint64_t code;

    if (hub_fields_read(&in, &code, &f) < 0 || !hub_field_is_set(&f, 7))
        return 0;
    int rc = filter_text(&f.at[7], text);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0 && hub_selector_read(text, at) == 0)
        return 0;
    return hub_error_set(
        why, "amqp:invalid-field",
        "the filter apache.org:selector-filter:string is not a comparison of x-opt-offset, x-opt-sequence-number or x-opt-enqueued-time");
}

static int filter_text(const struct hub_value *filters, char *text)
{
    struct hub_value v, inner;

    if (!hub_map_find(filters, "apache.org:selector-filter:string", &v))
        return -ENOENT;
    if (v.type == HUB_DESCRIBED) {
        struct hub_in in = hub_value_items(&v);
        if (hub_value_read(&in, &inner) < 0)
            return -EINVAL;
        v = inner;
    }
    return hub_value_text(&v, text, SELECTOR_MAX);
}

/* One epoch rules a group and partition: the higher one takes it over, without an epoch nobody gets in beside it. */
static int epoch_apply(struct hub_link *l, struct hub_error *why)
{
    struct hub_link *next;
    struct hub_error stolen;

    for (struct hub_link *other = l->partition->receivers; other; other = other->next_receiver) {
        if (strcasecmp(other->group, l->group) != 0 || !other->has_epoch)
            continue;
        if (!l->has_epoch)
            return hub_error_set(why, "amqp:link:stolen",
                                 "A receiver with epoch '%lld' reads this partition; one without epoch is not allowed beside it.",
                                 (long long)other->epoch);
        if (other->epoch > l->epoch)
            return hub_error_set(why, "amqp:link:stolen",
                                 "A receiver with the higher epoch '%lld' reads this partition; epoch '%lld' is not allowed.",
                                 (long long)other->epoch, (long long)l->epoch);
    }
    if (!l->has_epoch)
        return 0;
    hub_error_set(&stolen, "amqp:link:stolen", "A new receiver with epoch '%lld' was created, so this one is disconnected.",
                  (long long)l->epoch);
    for (struct hub_link *other = l->partition->receivers; other; other = next) {
        next = other->next_receiver;
        if (strcasecmp(other->group, l->group) == 0)
            hub_link_fail(other, &stolen);
    }
    return 0;
}

/* The sender's annotations but for the names that are the service's. Returns how many keys and values. */
static uint32_t annotations_copy(struct hub_buf *b, const struct hub_event *e)
{
    struct hub_in in = hub_in_of(e->annotations.bytes, e->annotations.len);
    struct hub_value map, key, value;
    uint32_t count = 0;

    if (e->annotations.len == 0 || hub_value_read(&in, &map) < 0)
        return 0;
    struct hub_in items = hub_value_items(&map);
    while (hub_value_read(&items, &key) == 0 && hub_value_read(&items, &value) == 0) {
        if (hub_value_is(&key, "x-opt-sequence-number") || hub_value_is(&key, "x-opt-offset") || hub_value_is(&key, "x-opt-enqueued-time"))
            continue;
        hub_buf_put(b, key.raw, key.raw_len);
        hub_buf_put(b, value.raw, value.raw_len);
        count += 2;
    }
    return count;
}
