/* AMQP frames: reads a performative's fields, writes every performative the hub sends. */
#include "frame.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { OPEN_FIELDS = 10, BEGIN_FIELDS = 8, ATTACH_FIELDS = 14, SOURCE_FIELDS = 11, TARGET_FIELDS = 7 };

static void put_nulls(struct hub_buf *out, unsigned count);
static void put_error(struct hub_buf *out, const struct hub_error *e);
static void put_terminus(struct hub_buf *out, uint64_t code, const struct hub_value *v, uint32_t fields);
static void put_state(struct hub_buf *out, const struct hub_disposition *d);
static size_t begin(struct hub_buf *out, uint16_t channel, enum hub_code code, size_t *list);
static void end(struct hub_buf *out, size_t frame, size_t list, uint32_t count);

int hub_error_set(struct hub_error *e, const char *condition, const char *format, ...)
{
    va_list args;

    snprintf(e->condition, sizeof(e->condition), "%s", condition);
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    return -EPROTO;
}

int hub_fields_read(struct hub_in *in, uint64_t *code, struct hub_fields *f)
{
    struct hub_value described, list;
    struct hub_in inner, items;

    if (hub_value_read(in, &described) < 0 || described.type != HUB_DESCRIBED)
        return -EBADMSG;
    inner = hub_value_items(&described);
    if (hub_value_read(&inner, &list) < 0 || list.type != HUB_LIST || list.count > HUB_FIELDS_MAX)
        return -EBADMSG;
    *code = described.u;
    f->count = list.count;
    items = hub_value_items(&list);
    for (uint32_t i = 0; i < list.count; i++) {
        if (hub_value_read(&items, &f->at[i]) < 0)
            return -EBADMSG;
    }
    return hub_in_left(&items) == 0 ? 0 : -EBADMSG;
}

uint32_t hub_field_uint(const struct hub_fields *f, unsigned i, uint32_t otherwise)
{
    if (!hub_field_is_set(f, i) || f->at[i].type < HUB_UBYTE || f->at[i].type > HUB_UINT)
        return otherwise;
    return (uint32_t)f->at[i].u;
}

uint64_t hub_field_ulong(const struct hub_fields *f, unsigned i, uint64_t otherwise)
{
    if (!hub_field_is_set(f, i) || f->at[i].type < HUB_UBYTE || f->at[i].type > HUB_ULONG)
        return otherwise;
    return f->at[i].u;
}

bool hub_field_bool(const struct hub_fields *f, unsigned i, bool otherwise)
{
    if (!hub_field_is_set(f, i) || f->at[i].type != HUB_BOOL)
        return otherwise;
    return f->at[i].u != 0;
}

bool hub_field_is_set(const struct hub_fields *f, unsigned i)
{
    return i < f->count && f->at[i].type != HUB_NULL;
}

size_t hub_frame_begin(struct hub_buf *out, uint8_t type, uint16_t channel)
{
    size_t place = out->len;
    uint8_t *p = hub_buf_room(out, HUB_FRAME_HEAD);

    p[4] = 2;
    p[5] = type;
    p[6] = (uint8_t)(channel >> 8);
    p[7] = (uint8_t)channel;
    out->len += HUB_FRAME_HEAD;
    return place;
}

void hub_frame_end(struct hub_buf *out, size_t place)
{
    hub_store_u32(out->data + place, (uint32_t)(out->len - place));
}

void hub_put_open(struct hub_buf *out, const char *container, uint32_t frame_bytes_max, uint16_t channel_max, uint32_t idle_ms)
{
    size_t list, frame = begin(out, 0, HUB_OPEN, &list);

    hub_put_string(out, container);
    hub_put_null(out);
    hub_put_uint(out, frame_bytes_max);
    hub_put_ushort(out, channel_max);
    hub_put_uint(out, idle_ms);
    put_nulls(out, 5);
    end(out, frame, list, OPEN_FIELDS);
}

void hub_put_begin(struct hub_buf *out, uint16_t channel, uint32_t window, uint32_t handle_max)
{
    size_t list, frame = begin(out, channel, HUB_BEGIN, &list);

    hub_put_ushort(out, channel);
    hub_put_uint(out, 1);
    hub_put_uint(out, window);
    hub_put_uint(out, window);
    hub_put_uint(out, handle_max);
    put_nulls(out, 3);
    end(out, frame, list, BEGIN_FIELDS);
}

void hub_put_attach(struct hub_buf *out, uint16_t channel, const struct hub_attach *a)
{
    size_t list, map, frame = begin(out, channel, HUB_ATTACH, &list);

    hub_put_string(out, a->name);
    hub_put_uint(out, a->handle);
    hub_put_bool(out, a->receiver);
    hub_put_ubyte(out, a->snd_settle_mode);
    hub_put_ubyte(out, a->rcv_settle_mode);
    put_terminus(out, HUB_SOURCE, a->source, SOURCE_FIELDS);
    put_terminus(out, HUB_TARGET, a->target, TARGET_FIELDS);
    put_nulls(out, 2);
    if (a->receiver)
        hub_put_null(out);
    else
        hub_put_uint(out, 0);
    if (a->message_bytes_max)
        hub_put_ulong(out, a->message_bytes_max);
    else
        hub_put_null(out);
    put_nulls(out, 2);
    map = hub_put_map_begin(out);
    hub_put_symbol(out, "com.microsoft:tracking-id");
    hub_put_string(out, a->tracking_id);
    hub_put_compound_end(out, map, 2);
    end(out, frame, list, ATTACH_FIELDS);
}

void hub_put_flow(struct hub_buf *out, uint16_t channel, const struct hub_flow *f)
{
    size_t list, frame = begin(out, channel, HUB_FLOW, &list);

    hub_put_uint(out, f->next_incoming_id);
    hub_put_uint(out, f->incoming_window);
    hub_put_uint(out, f->next_outgoing_id);
    hub_put_uint(out, f->outgoing_window);
    if (f->has_link) {
        hub_put_uint(out, f->handle);
        hub_put_uint(out, f->delivery_count);
        hub_put_uint(out, f->link_credit);
        hub_put_null(out);
        hub_put_bool(out, f->drain);
        hub_put_bool(out, false);
        hub_put_null(out);
    } else {
        put_nulls(out, 7);
    }
    end(out, frame, list, 11);
}

void hub_put_transfer(struct hub_buf *out, uint16_t channel, const struct hub_transfer *t, const uint8_t *payload, size_t len)
{
    size_t list, frame = begin(out, channel, HUB_TRANSFER, &list);

    hub_put_uint(out, t->handle);
    hub_put_uint(out, t->delivery_id);
    hub_put_binary(out, &t->tag, sizeof(t->tag));
    hub_put_uint(out, 0);
    hub_put_bool(out, t->settled);
    hub_put_bool(out, t->more);
    put_nulls(out, 5);
    hub_put_compound_end(out, list, 11);
    hub_buf_put(out, payload, len);
    hub_frame_end(out, frame);
}

void hub_put_disposition(struct hub_buf *out, uint16_t channel, const struct hub_disposition *d)
{
    size_t list, frame = begin(out, channel, HUB_DISPOSITION, &list);

    hub_put_bool(out, d->receiver);
    hub_put_uint(out, d->first);
    hub_put_uint(out, d->last);
    hub_put_bool(out, true);
    put_state(out, d);
    hub_put_null(out);
    end(out, frame, list, 6);
}

void hub_put_detach(struct hub_buf *out, uint16_t channel, uint32_t handle, bool closed, const struct hub_error *e)
{
    size_t list, frame = begin(out, channel, HUB_DETACH, &list);

    hub_put_uint(out, handle);
    hub_put_bool(out, closed);
    put_error(out, e);
    end(out, frame, list, 3);
}

void hub_put_end(struct hub_buf *out, uint16_t channel, const struct hub_error *e)
{
    size_t list, frame = begin(out, channel, HUB_END, &list);

    put_error(out, e);
    end(out, frame, list, 1);
}

void hub_put_close(struct hub_buf *out, const struct hub_error *e)
{
    size_t list, frame = begin(out, 0, HUB_CLOSE, &list);

    put_error(out, e);
    end(out, frame, list, 1);
}

void hub_put_empty_frame(struct hub_buf *out)
{
    hub_frame_end(out, hub_frame_begin(out, HUB_FRAME_AMQP, 0));
}

void hub_put_sasl_mechanisms(struct hub_buf *out)
{
    static const char *const offered[] = {"MSSBCBS", "PLAIN", "ANONYMOUS"};
    size_t frame = hub_frame_begin(out, HUB_FRAME_SASL, 0);

    hub_put_descriptor(out, HUB_SASL_MECHANISMS);
    size_t list = hub_put_list_begin(out);
    hub_put_symbol_array(out, offered, 3);
    end(out, frame, list, 1);
}

void hub_put_sasl_outcome(struct hub_buf *out, uint8_t code)
{
    size_t frame = hub_frame_begin(out, HUB_FRAME_SASL, 0);

    hub_put_descriptor(out, HUB_SASL_OUTCOME);
    size_t list = hub_put_list_begin(out);
    hub_put_ubyte(out, code);
    if (code == 0)
        hub_put_binary(out, "Welcome!", 8);
    else
        hub_put_null(out);
    end(out, frame, list, 2);
}

static void put_nulls(struct hub_buf *out, unsigned count)
{
    while (count-- > 0)
        hub_put_null(out);
}

static void put_error(struct hub_buf *out, const struct hub_error *e)
{
    if (!e || !e->condition[0]) {
        hub_put_null(out);
        return;
    }
    hub_put_descriptor(out, HUB_ERROR);
    size_t list = hub_put_list_begin(out);
    hub_put_symbol(out, e->condition);
    hub_put_string(out, e->text);
    hub_put_null(out);
    hub_put_compound_end(out, list, 3);
}

/* The peer's own terminus, its fields as they were encoded and the missing ones as nulls. */
static void put_terminus(struct hub_buf *out, uint64_t code, const struct hub_value *v, uint32_t fields)
{
    struct hub_fields f;
    uint64_t peer_code;

    if (!v || v->type != HUB_DESCRIBED) {
        hub_put_null(out);
        return;
    }
    struct hub_in in = hub_in_of(v->raw, v->raw_len);
    if (hub_fields_read(&in, &peer_code, &f) < 0 || peer_code != code || f.count > fields) {
        hub_put_null(out);
        return;
    }
    hub_put_descriptor(out, code);
    size_t list = hub_put_list_begin(out);
    for (uint32_t i = 0; i < f.count; i++)
        hub_buf_put(out, f.at[i].raw, f.at[i].raw_len);
    put_nulls(out, fields - f.count);
    hub_put_compound_end(out, list, fields);
}

static void put_state(struct hub_buf *out, const struct hub_disposition *d)
{
    static const uint64_t codes[] = {HUB_ACCEPTED, HUB_REJECTED, HUB_RELEASED, HUB_MODIFIED};

    hub_put_descriptor(out, codes[d->outcome]);
    size_t list = hub_put_list_begin(out);
    switch (d->outcome) {
    case HUB_OUTCOME_ACCEPTED:
    case HUB_OUTCOME_RELEASED:
        hub_put_compound_end(out, list, 0);
        break;
    case HUB_OUTCOME_REJECTED:
        put_error(out, d->error);
        hub_put_compound_end(out, list, 1);
        break;
    case HUB_OUTCOME_MODIFIED:
        hub_put_bool(out, d->delivery_failed);
        hub_put_bool(out, d->undeliverable_here);
        hub_put_null(out);
        hub_put_compound_end(out, list, 3);
        break;
    }
}

static size_t begin(struct hub_buf *out, uint16_t channel, enum hub_code code, size_t *list)
{
    size_t frame = hub_frame_begin(out, HUB_FRAME_AMQP, channel);

    hub_put_descriptor(out, code);
    *list = hub_put_list_begin(out);
    return frame;
}

static void end(struct hub_buf *out, size_t frame, size_t list, uint32_t count)
{
    hub_put_compound_end(out, list, count);
    hub_frame_end(out, frame);
}
