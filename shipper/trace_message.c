/* Requests to $cbs and $management and their replies: what a trace may tell of their messages. The rest, bodies above all, stays untold. */
#include "trace_internal.h"

#define SECTION_PROPERTIES 0x73u
#define SECTION_APPLICATION_PROPERTIES 0x74u
#define SECTION_BODY_FIRST 0x75u

static void properties_tell(struct trace_fields *fields, const struct trace_value *list);
static void application_properties_tell(struct trace_fields *fields, const struct trace_value *map);

void trace_message(struct trace_fields *fields, struct trace_cursor message)
{
    struct trace_value section;
    uint64_t code;
    while (trace_value_next(&message, &section)) {
        if (!section.is_described || !trace_number(&section.descriptor, &code) || code >= SECTION_BODY_FIRST)
            return;
        if (code == SECTION_PROPERTIES && trace_is_list(&section))
            properties_tell(fields, &section);
        if (code == SECTION_APPLICATION_PROPERTIES && trace_is_map(&section))
            application_properties_tell(fields, &section);
    }
}

static void properties_tell(struct trace_fields *fields, const struct trace_value *list)
{
    static const char *const names[] = {[0] = "message-id", [2] = "to", [4] = "reply-to", [5] = "correlation-id"};
    struct trace_cursor from = {.at = list->of.data, .left = list->of.len};
    struct trace_value value;
    for (uint32_t i = 0; i < list->count && i < sizeof names / sizeof names[0] && trace_value_next(&from, &value); i++)
        if (names[i])
            trace_field_value(fields, names[i], &value);
}

static void application_properties_tell(struct trace_fields *fields, const struct trace_value *map)
{
    static const char *const told[] = {"operation",       "type",        "name",
                                       "expiration",      "status-code", "status-description",
                                       "error-condition", "statusCode",  "statusDescription"};
    struct trace_cursor from = {.at = map->of.data, .left = map->of.len};
    struct trace_value key, value;
    for (uint32_t i = 0; i + 1 < map->count && trace_value_next(&from, &key); i += 2) {
        bool is_there = trace_value_next(&from, &value); /* a token may be longer than what is kept of a frame */
        if (trace_text_is(&key.of, "security_token"))
            trace_field_text(fields, "security_token", "masked");
        for (size_t k = 0; is_there && k < sizeof told / sizeof told[0]; k++)
            if (trace_text_is(&key.of, told[k]))
                trace_field_value(fields, told[k], &value);
        if (!is_there)
            return;
    }
}
