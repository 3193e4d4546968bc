/* The names that the AMQP 1.0 specification gives to its types, their fields and the values of its enumerations. */
#include "trace_internal.h"

#include <string.h>

static const struct trace_type types[] = {
    {0x10,
     "open",
     {"container-id", "hostname", "max-frame-size", "channel-max", "idle-time-out", "outgoing-locales", "incoming-locales",
      "offered-capabilities", "desired-capabilities", "properties"}},
    {0x11,
     "begin",
     {"remote-channel", "next-outgoing-id", "incoming-window", "outgoing-window", "handle-max", "offered-capabilities",
      "desired-capabilities", "properties"}},
    {0x12,
     "attach",
     {"name", "handle", "role", "snd-settle-mode", "rcv-settle-mode", "source", "target", "unsettled", "incomplete-unsettled",
      "initial-delivery-count", "max-message-size", "offered-capabilities", "desired-capabilities", "properties"}},
    {0x13,
     "flow",
     {"next-incoming-id", "incoming-window", "next-outgoing-id", "outgoing-window", "handle", "delivery-count", "link-credit", "available",
      "drain", "echo", "properties"}},
    {0x14,
     "transfer",
     {"handle", "delivery-id", "delivery-tag", "message-format", "settled", "more", "rcv-settle-mode", "state", "resume", "aborted",
      "batchable"}},
    {0x15, "disposition", {"role", "first", "last", "settled", "state", "batchable"}},
    {0x16, "detach", {"handle", "closed", "error"}},
    {0x17, "end", {"error"}},
    {0x18, "close", {"error"}},
    {0x1d, "error", {"condition", "description", "info"}},
    {0x23, "received", {"section-number", "section-offset"}},
    {0x24, "accepted", {NULL}},
    {0x25, "rejected", {"error"}},
    {0x26, "released", {NULL}},
    {0x27, "modified", {"delivery-failed", "undeliverable-here", "message-annotations"}},
    {0x28,
     "source",
     {"address", "durable", "expiry-policy", "timeout", "dynamic", "dynamic-node-properties", "distribution-mode", "filter",
      "default-outcome", "outcomes", "capabilities"}},
    {0x29, "target", {"address", "durable", "expiry-policy", "timeout", "dynamic", "dynamic-node-properties", "capabilities"}},
    {0x30, "coordinator", {"capabilities"}},
    {0x33, "declared", {"txn-id"}},
    {0x34, "transactional-state", {"txn-id", "outcome"}},
    {0x40, "sasl-mechanisms", {"sasl-server-mechanisms"}},
    {0x41, "sasl-init", {"mechanism", "initial-response", "hostname"}},
    {0x42, "sasl-challenge", {"challenge"}},
    {0x43, "sasl-response", {"response"}},
    {0x44, "sasl-outcome", {"code", "additional-data"}},
};
static const size_t type_count = sizeof types / sizeof types[0];

static const struct {
    const char *name;
    enum trace_field_kind kind;
} kinds[] = {
    {"role", TRACE_ROLE},
    {"snd-settle-mode", TRACE_SND_SETTLE},
    {"rcv-settle-mode", TRACE_RCV_SETTLE},
    {"message-format", TRACE_HEX},
    {"code", TRACE_SASL_CODE},
    {"initial-response", TRACE_MASKED},
    {"challenge", TRACE_MASKED},
    {"response", TRACE_MASKED},
    {"additional-data", TRACE_MASKED},
    {"message-annotations", TRACE_MASKED},
};

static bool is_symbol_of(const struct trace_scalar *descriptor, const char *name);

const struct trace_type *trace_type_of(const struct trace_scalar *descriptor)
{
    uint64_t code;
    bool is_number = trace_number(descriptor, &code);
    for (size_t i = 0; i < type_count; i++)
        if (is_number ? types[i].code == code : is_symbol_of(descriptor, types[i].name))
            return &types[i];
    return NULL;
}

enum trace_field_kind trace_field_kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    return TRACE_PLAIN;
}

const char *trace_enum_name(enum trace_field_kind kind, uint64_t number)
{
    static const char *const role[] = {"sender", "receiver"}, *const send[] = {"unsettled", "settled", "mixed"},
                             *const receive[] = {"first", "second"}, *const code[] = {"ok", "auth", "sys", "sys-perm", "sys-temp"};
    switch (kind) {
    case TRACE_ROLE:
        return number < 2 ? role[number] : NULL;
    case TRACE_SND_SETTLE:
        return number < 3 ? send[number] : NULL;
    case TRACE_RCV_SETTLE:
        return number < 2 ? receive[number] : NULL;
    case TRACE_SASL_CODE:
        return number < 5 ? code[number] : NULL;
    case TRACE_PLAIN:
    case TRACE_HEX:
    case TRACE_MASKED:
        return NULL;
    }
    return NULL;
}

static bool is_symbol_of(const struct trace_scalar *descriptor, const char *name)
{
    static const char head[] = "amqp:", tail[] = ":list";
    size_t len = strlen(name), head_len = sizeof head - 1, tail_len = sizeof tail - 1;
    if (!trace_is_text(descriptor) || descriptor->len != head_len + len + tail_len)
        return false;
    return memcmp(descriptor->data, head, head_len) == 0 && memcmp(descriptor->data + head_len, name, len) == 0 &&
           memcmp(descriptor->data + head_len + len, tail, tail_len) == 0;
}
