/* AMQP values as fields of a log line: nested ones by their path (target.address=orders), nulls left out, all of it bounded. */
#include "trace_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define DEPTH_MAX 6        /* of values within values; what is deeper is left out */
#define ELEMENTS_MAX 64u   /* told of an array or a list */
#define NAME_BYTES_MAX 48u /* of a map's key, as a part of the path */
#define CUT_BYTES 10u      /* " cut=true" */
#define TEXT_BYTES (TRACE_TEXT_BYTES_MAX + 16u)

static void field_put(struct trace_fields *fields, const char *text);
static void value_put(struct trace_fields *fields, const struct trace_value *value, int depth);
static void described_put(struct trace_fields *fields, const struct trace_value *value, int depth);
static void list_put(struct trace_fields *fields, const struct trace_type *type, const struct trace_value *list, int depth);
static void typed_put(struct trace_fields *fields, enum trace_field_kind kind, const struct trace_value *value, int depth);
static void map_put(struct trace_fields *fields, const struct trace_value *map, int depth);
static void elements_put(struct trace_fields *fields, const struct trace_value *value);
static bool element_next(struct trace_cursor *from, const struct trace_value *of, uint8_t code, struct trace_value *element);
static size_t path_push(struct trace_fields *fields, const char *name);
static void path_pop(struct trace_fields *fields, size_t len);

void trace_fields_begin(struct trace_fields *fields)
{
    fields->len = fields->path_len = 0;
    fields->text[0] = fields->path[0] = '\0';
    fields->is_cut = false;
}

void trace_fields_end(struct trace_fields *fields)
{
    if (fields->is_cut)
        snprintf(fields->text + fields->len, sizeof fields->text - fields->len, "%scut=true", fields->len ? " " : "");
}

void trace_field_text(struct trace_fields *fields, const char *name, const char *text)
{
    size_t len = path_push(fields, name);
    field_put(fields, text);
    path_pop(fields, len);
}

void trace_field_number(struct trace_fields *fields, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    trace_field_text(fields, name, text);
}

void trace_field_value(struct trace_fields *fields, const char *name, const struct trace_value *value)
{
    size_t len = path_push(fields, name);
    value_put(fields, value, 0);
    path_pop(fields, len);
}

void trace_field_list(struct trace_fields *fields, const struct trace_type *type, const struct trace_value *list)
{
    list_put(fields, type, list, 0);
}

/* The field at the present path: whole, or not at all and the line is cut there. */
static void field_put(struct trace_fields *fields, const char *text)
{
    char quoted[4 * TEXT_BYTES + 3];
    if (fields->is_cut)
        return;
    size_t room = sizeof fields->text - CUT_BYTES - fields->len;
    int len =
        snprintf(fields->text + fields->len, room, "%s%s=%s", fields->len ? " " : "", fields->path, log_quote(quoted, sizeof quoted, text));
    fields->is_cut = len < 0 || (size_t)len >= room;
    if (fields->is_cut)
        fields->text[fields->len] = '\0';
    else
        fields->len += (size_t)len;
}

static void value_put(struct trace_fields *fields, const struct trace_value *value, int depth)
{
    char text[TEXT_BYTES];
    if (depth > DEPTH_MAX || fields->is_cut)
        return;
    if (value->is_described)
        described_put(fields, value, depth);
    else if (trace_is_map(value))
        map_put(fields, value, depth);
    else if (trace_is_list(value) || trace_is_array(value))
        elements_put(fields, value);
    else if (value->of.code != TRACE_CODE_NULL) {
        trace_scalar_text(&value->of, text, sizeof text);
        field_put(fields, text);
    }
}

/* Of the specification: its name, unless the path says it already, and its fields by name. Of others: descriptor and value. */
static void described_put(struct trace_fields *fields, const struct trace_value *value, int depth)
{
    struct trace_value plain = *value;
    const struct trace_type *type = trace_type_of(&value->descriptor);
    char text[TEXT_BYTES];
    plain.is_described = false;
    if (type && trace_is_list(value)) {
        size_t len = strlen(type->name);
        if (fields->path_len < len || strcmp(fields->path + fields->path_len - len, type->name) != 0)
            field_put(fields, type->name);
        list_put(fields, type, value, depth + 1);
        return;
    }
    trace_scalar_text(&value->descriptor, text, sizeof text);
    trace_field_text(fields, "descriptor", text);
    value_put(fields, &plain, depth + 1);
}

static void list_put(struct trace_fields *fields, const struct trace_type *type, const struct trace_value *list, int depth)
{
    struct trace_cursor from = {.at = list->of.data, .left = list->of.len};
    struct trace_value value;
    for (uint32_t i = 0; i < list->count && i < TRACE_FIELDS_MAX && type->field[i] && !fields->is_cut; i++) {
        if (!trace_value_next(&from, &value)) {
            trace_field_text(fields, type->field[i], "?");
            return;
        }
        size_t len = path_push(fields, type->field[i]);
        typed_put(fields, trace_field_kind_of(type->field[i]), &value, depth);
        path_pop(fields, len);
    }
}

static void typed_put(struct trace_fields *fields, enum trace_field_kind kind, const struct trace_value *value, int depth)
{
    uint64_t number;
    bool is_number = !value->is_described && trace_number(&value->of, &number);
    bool is_null = !value->is_described && value->of.code == TRACE_CODE_NULL;
    const char *name = is_number ? trace_enum_name(kind, number) : NULL;
    char text[24];
    if (kind == TRACE_MASKED && !is_null) {
        field_put(fields, "masked");
    } else if (name) {
        field_put(fields, name);
    } else if (is_number && kind == TRACE_HEX && number > 0) {
        snprintf(text, sizeof text, "0x%08" PRIx64, number);
        field_put(fields, text);
    } else {
        value_put(fields, value, depth);
    }
}

static void map_put(struct trace_fields *fields, const struct trace_value *map, int depth)
{
    struct trace_cursor from = {.at = map->of.data, .left = map->of.len};
    struct trace_value key, value;
    char name[TEXT_BYTES];
    for (uint32_t i = 0; i + 1 < map->count && !fields->is_cut && trace_value_next(&from, &key) && trace_value_next(&from, &value);
         i += 2) {
        trace_scalar_text(&key.of, name, sizeof name);
        name[NAME_BYTES_MAX] = '\0';
        for (char *at = name; *at != '\0'; at++)
            if (!isalnum((unsigned char)*at) && !strchr("-_:.", *at))
                *at = '?';
        size_t len = path_push(fields, name[0] ? name : "?");
        value_put(fields, &value, depth + 1);
        path_pop(fields, len);
    }
}

/* a,b,c in one field. */
static void elements_put(struct trace_fields *fields, const struct trace_value *value)
{
    struct trace_cursor from = {.at = value->of.data, .left = value->of.len};
    struct trace_value element;
    char text[TEXT_BYTES], one[TEXT_BYTES];
    size_t at = 0;
    uint8_t code = 0;
    text[0] = '\0';
    if (trace_is_array(value) && value->count > 0 && !trace_array_begin(&from, &code))
        return;
    for (uint32_t i = 0; i < value->count; i++) {
        bool is_there = i < ELEMENTS_MAX && element_next(&from, value, code, &element);
        if (!is_there)
            snprintf(one, sizeof one, "…");
        else if (element.is_described || trace_scalar_text(&element.of, one, sizeof one) == 0)
            snprintf(one, sizeof one, element.of.code == TRACE_CODE_NULL ? "null" : "(…)");
        if (at + strlen(one) + sizeof ",…" > sizeof text) {
            snprintf(one, sizeof one, "…");
            is_there = false;
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i ? "," : "", one);
        if (!is_there)
            break;
    }
    field_put(fields, text);
}

static bool element_next(struct trace_cursor *from, const struct trace_value *of, uint8_t code, struct trace_value *element)
{
    return trace_is_array(of) ? trace_array_next(from, code, element) : trace_value_next(from, element);
}

/* Returns the length to go back to. A part that does not fit is left out: the path is for people. */
static size_t path_push(struct trace_fields *fields, const char *name)
{
    size_t before = fields->path_len;
    int len = snprintf(fields->path + before, sizeof fields->path - before, "%s%s", before ? "." : "", name);
    if (len < 0 || (size_t)len >= sizeof fields->path - before)
        fields->path[before] = '\0';
    else
        fields->path_len += (size_t)len;
    return before;
}

static void path_pop(struct trace_fields *fields, size_t len)
{
    fields->path_len = len;
    fields->path[len] = '\0';
}
