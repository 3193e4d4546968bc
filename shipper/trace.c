/* A connection's bytes into frames, and each frame into a line. */
#include "trace_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 8u
#define KEPT_BYTES_MAX 8192u /* of a frame: every performative, and a request up to its body */
#define NODES_MAX 16u        /* links to $cbs and $management, of a direction; others push the first out */
#define FRAME_AMQP 0u
#define FRAME_SASL 1u
enum { CODE_ATTACH = 0x12, CODE_TRANSFER = 0x14, CODE_DETACH = 0x16, CODE_END = 0x17 };
enum { TRANSFER_HANDLE = 0, TRANSFER_MORE = 5, ATTACH_HANDLE = 1, ATTACH_SOURCE = 5, ATTACH_TARGET = 6 };

struct node { /* a link whose transfers are requests or replies */
    uint16_t channel;
    uint32_t handle;
    const char *name; /* NULL: free */
    bool is_within;   /* of a message: the next transfer goes on with it */
};
struct direction {
    uint8_t kept[KEPT_BYTES_MAX]; /* of the frame in hand, its head included */
    size_t kept_len;
    uint32_t frame_len, frame_left; /* frame_len 0: the head is not all there */
    bool is_lost;
    struct node node[NODES_MAX];
    uint32_t next_node;
};
struct trace {
    struct direction direction[2];
    char what[40];
    struct trace_fields fields;
};
struct frame {
    enum trace_way way;
    uint16_t channel;
    uint32_t len;
    struct trace_cursor body; /* what is kept of it */
};

static size_t take(struct direction *direction, const uint8_t *data, size_t len);
static void head_read(struct direction *direction);
static void line_make(struct trace *trace, enum trace_way way, struct trace_line *line);
static void protocol_tell(struct trace *trace, const struct direction *direction, const char *way);
static void frame_tell(struct trace *trace, struct frame *frame, const char *way);
static void transfer_tell(struct trace *trace, const struct frame *frame, const struct trace_value *list);
static void links_note(struct direction *direction, const struct frame *frame, uint8_t code, const struct trace_value *list);
static void attach_note(struct direction *direction, const struct frame *frame, const struct trace_value *list);
static const char *node_name(const struct trace_value *list, uint32_t index);
static struct node *node_find(struct direction *direction, const struct frame *frame, const struct trace_value *list, uint32_t index);
static bool list_value(const struct trace_value *list, uint32_t index, struct trace_value *value);
static bool list_number(const struct trace_value *list, uint32_t index, uint64_t *number);

int trace_open(struct trace **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : -ENOMEM;
}

void trace_close(struct trace *trace)
{
    free(trace);
}

size_t trace_take(struct trace *trace, enum trace_way way, const uint8_t *data, size_t len, struct trace_line *line)
{
    struct direction *direction = &trace->direction[way];
    *line = (struct trace_line){0};
    if (direction->is_lost)
        return len;
    size_t taken = 0;
    if (direction->frame_len == 0) {
        taken = take(direction, data, HEAD_BYTES - direction->kept_len < len ? HEAD_BYTES - direction->kept_len : len);
        if (direction->kept_len == HEAD_BYTES)
            head_read(direction);
    }
    if (direction->frame_len > 0 && direction->frame_left > 0) {
        size_t step = len - taken < direction->frame_left ? len - taken : direction->frame_left;
        taken += take(direction, data + taken, step);
        direction->frame_left -= (uint32_t)step;
    }
    if (direction->is_lost || (direction->frame_len > 0 && direction->frame_left == 0)) {
        line_make(trace, way, line);
        direction->frame_len = 0;
        direction->kept_len = 0;
    }
    return taken;
}

static size_t take(struct direction *direction, const uint8_t *data, size_t len)
{
    size_t room = sizeof direction->kept - direction->kept_len, kept = len < room ? len : room;
    memcpy(direction->kept + direction->kept_len, data, kept);
    direction->kept_len += kept;
    return len;
}

static uint32_t load_be32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void head_read(struct direction *direction)
{
    const uint8_t *head = direction->kept;
    if (memcmp(head, "AMQP", 4) == 0) {
        direction->frame_len = HEAD_BYTES;
        return;
    }
    uint32_t len = load_be32(head), body_off = head[4] * 4u;
    direction->is_lost = body_off < HEAD_BYTES || body_off > len || head[5] > FRAME_SASL;
    direction->frame_len = len;
    direction->frame_left = len - HEAD_BYTES;
}

static void line_make(struct trace *trace, enum trace_way way, struct trace_line *line)
{
    const struct direction *direction = &trace->direction[way];
    const uint8_t *head = direction->kept;
    const char *way_name = way == TRACE_SENT ? "sent" : "received";
    trace_fields_begin(&trace->fields);
    if (direction->is_lost || memcmp(head, "AMQP", 4) == 0) {
        protocol_tell(trace, direction, way_name);
    } else {
        size_t body_off = head[4] * 4u;
        if (body_off > direction->kept_len)
            body_off = direction->kept_len;
        struct frame frame = {.way = way,
                              .channel = (uint16_t)(head[6] << 8 | head[7]),
                              .len = direction->frame_len,
                              .body = {.at = head + body_off, .left = direction->kept_len - body_off}};
        if (head[5] == FRAME_AMQP)
            trace_field_number(&trace->fields, "channel", frame.channel);
        trace_field_number(&trace->fields, "bytes", frame.len);
        frame_tell(trace, &frame, way_name);
    }
    trace_fields_end(&trace->fields);
    *line = (struct trace_line){.what = trace->what, .fields = trace->fields.text};
}

static void protocol_tell(struct trace *trace, const struct direction *direction, const char *way)
{
    static const char *const protocols[] = {[0] = "amqp", [2] = "tls", [3] = "sasl"};
    const uint8_t *head = direction->kept;
    char text[32];
    if (direction->is_lost) {
        snprintf(trace->what, sizeof trace->what, "%s what is not AMQP", way);
        snprintf(text, sizeof text, "0x%08x%08x", load_be32(head), load_be32(head + 4));
        trace_field_text(&trace->fields, "head", text);
        return;
    }
    snprintf(trace->what, sizeof trace->what, "%s protocol header", way);
    if (head[4] < sizeof protocols / sizeof protocols[0] && protocols[head[4]])
        trace_field_text(&trace->fields, "protocol", protocols[head[4]]);
    else
        trace_field_number(&trace->fields, "protocol", head[4]);
    snprintf(text, sizeof text, "%u.%u.%u", head[5], head[6], head[7]);
    trace_field_text(&trace->fields, "version", text);
}

static void frame_tell(struct trace *trace, struct frame *frame, const char *way)
{
    struct direction *direction = &trace->direction[frame->way];
    struct trace_value list;
    uint8_t frame_type = direction->kept[5];
    if (frame_type == FRAME_AMQP && frame->body.left == 0) {
        snprintf(trace->what, sizeof trace->what, "%s heartbeat", way);
        return;
    }
    bool is_read = trace_value_next(&frame->body, &list) && list.is_described && trace_is_list(&list);
    const struct trace_type *type = is_read ? trace_type_of(&list.descriptor) : NULL;
    if (!type) {
        snprintf(trace->what, sizeof trace->what, "%s an unknown frame", way);
        trace_field_number(&trace->fields, "type", frame_type);
        return;
    }
    snprintf(trace->what, sizeof trace->what, "%s %s", way, type->name);
    trace_field_list(&trace->fields, type, &list);
    if (frame_type == FRAME_AMQP && type->code == CODE_TRANSFER)
        transfer_tell(trace, frame, &list);
    else if (frame_type == FRAME_AMQP)
        links_note(direction, frame, type->code, &list);
}

static void transfer_tell(struct trace *trace, const struct frame *frame, const struct trace_value *list)
{
    struct direction *direction = &trace->direction[frame->way];
    size_t before = (size_t)(frame->body.at - direction->kept);
    uint64_t more = 0;
    trace_field_number(&trace->fields, "payload", frame->len - before);
    struct node *node = node_find(direction, frame, list, TRANSFER_HANDLE);
    if (!node)
        return;
    trace_field_text(&trace->fields, "node", node->name);
    if (!node->is_within)
        trace_message(&trace->fields, frame->body);
    node->is_within = list_number(list, TRANSFER_MORE, &more) && more;
}

static void links_note(struct direction *direction, const struct frame *frame, uint8_t code, const struct trace_value *list)
{
    if (code == CODE_ATTACH)
        attach_note(direction, frame, list);
    if (code == CODE_DETACH) {
        struct node *node = node_find(direction, frame, list, 0);
        if (node)
            node->name = NULL;
    }
    for (uint32_t i = 0; code == CODE_END && i < NODES_MAX; i++)
        if (direction->node[i].channel == frame->channel)
            direction->node[i].name = NULL;
}

/* A handle is given anew by each attach; one that no attach named has payloads of which only the length is told. */
static void attach_note(struct direction *direction, const struct frame *frame, const struct trace_value *list)
{
    uint64_t handle;
    const char *name = node_name(list, ATTACH_TARGET);
    struct node *node = node_find(direction, frame, list, ATTACH_HANDLE);
    if (!name)
        name = node_name(list, ATTACH_SOURCE);
    if (node)
        node->name = NULL;
    if (!name || !list_number(list, ATTACH_HANDLE, &handle))
        return;
    direction->node[direction->next_node++ % NODES_MAX] =
        (struct node){.channel = frame->channel, .handle = (uint32_t)handle, .name = name};
}

/* The address of a source or target, if it is a node of requests. */
static const char *node_name(const struct trace_value *list, uint32_t index)
{
    static const char *const names[] = {"$cbs", "$management"};
    struct trace_value terminus, address;
    if (!list_value(list, index, &terminus) || !trace_is_list(&terminus) || !list_value(&terminus, 0, &address))
        return NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (trace_text_is(&address.of, names[i]))
            return names[i];
    return NULL;
}

static struct node *node_find(struct direction *direction, const struct frame *frame, const struct trace_value *list, uint32_t index)
{
    uint64_t handle;
    if (!list_number(list, index, &handle))
        return NULL;
    for (uint32_t i = 0; i < NODES_MAX; i++)
        if (direction->node[i].name && direction->node[i].channel == frame->channel && direction->node[i].handle == handle)
            return &direction->node[i];
    return NULL;
}

static bool list_value(const struct trace_value *list, uint32_t index, struct trace_value *value)
{
    struct trace_cursor from = {.at = list->of.data, .left = list->of.len};
    if (index >= list->count)
        return false;
    for (uint32_t i = 0; i <= index; i++)
        if (!trace_value_next(&from, value))
            return false;
    return true;
}

static bool list_number(const struct trace_value *list, uint32_t index, uint64_t *number)
{
    struct trace_value value;
    return list_value(list, index, &value) && !value.is_described && trace_number(&value.of, number);
}
