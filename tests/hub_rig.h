/* A client of one hub connection, in the same thread: writes frames by hand, turns the hub over, reads what it says. */
#ifndef TESTS_HUB_RIG_H
#define TESTS_HUB_RIG_H

#include "tools/hub/conn.h"
#include "tools/hub/play.h"
#include "tools/hub/scenario.h"
#include "tools/hub/settle.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RIG_KEY "c2VjcmV0"

struct rig {
    struct hub_broker broker;
    struct hub_limits limits;
    struct hub_conn *conn;
    int fd;
    bool ended; /* the hub closed the socket */
    struct hub_buf out, in;
    size_t piece;  /* bytes written at once; 0: all */
    uint64_t code; /* of the frame read last */
    struct hub_fields fields;
    struct hub_in payload;
};

/* `way` is how the hub sees it come in; plain when NULL. */
static inline void rig_connect(struct rig *r, const struct hub_way *way)
{
    int fds[2];

    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    r->fd = fds[1];
    r->ended = false;
    r->conn = hub_conn_open(&r->broker, &r->limits, fds[0], way);
}

static inline void rig_play(struct rig *r, const char *fault)
{
    char why[HUB_WHY_MAX];

    if (hub_play_text(&r->broker, fault, why) < 0) {
        fprintf(stderr, "%s: %s\n", fault, why);
        abort();
    }
}

static inline void rig_open(struct rig *r, const char *fault)
{
    *r = (struct rig){.limits = {.message_bytes_max = 200000, .credit = 300, .idle_timeout_ms = 240000, .token_wait_ms = 20000}};
    r->broker.store_bytes_max = 64 << 20;
    r->broker.now_ms = 1700000000000;
    snprintf(r->broker.host, sizeof r->broker.host, "localhost");
    assert(hub_broker_add(&r->broker, "hub1:4:readers") == 0);
    assert(hub_policies_add(&r->broker.policies, "send", RIG_KEY, HUB_RIGHT_ALL) == 0);
    assert(hub_policies_add(&r->broker.policies, "listen", RIG_KEY, HUB_RIGHT_LISTEN) == 0);
    if (fault)
        rig_play(r, fault);
    rig_connect(r, NULL);
}

/* What the hub's event loop does with a connection; frees it when it is over. */
static inline void rig_turn(struct rig *r)
{
    if (!r->conn)
        return;
    hub_conn_read(r->conn);
    if (r->broker.scenario)
        hub_scenario_step(r->broker.scenario, &r->broker);
    hub_conn_tick(r->conn);
    hub_conn_pump(r->conn);
    hub_conn_write(r->conn);
    if (hub_conn_is_over(r->conn)) {
        hub_conn_free(r->conn);
        r->conn = NULL;
    }
}

static inline void rig_read(struct rig *r)
{
    ssize_t n;

    hub_buf_pack(&r->in);
    while ((n = read(r->fd, hub_buf_room(&r->in, 1 << 16), 1 << 16)) > 0)
        r->in.len += (size_t)n;
    r->ended |= n == 0 || (n < 0 && errno != EAGAIN);
}

/* Writes what was put into r->out, with turns of the hub in between, and one at the end. */
static inline void rig_flush(struct rig *r)
{
    while (hub_buf_used(&r->out) > 0) {
        size_t left = hub_buf_used(&r->out), len = r->piece && r->piece < left ? r->piece : left;
        ssize_t n = send(r->fd, r->out.data + r->out.head, len, MSG_NOSIGNAL);
        if (n > 0)
            hub_buf_take(&r->out, (size_t)n);
        if (n < 0 && errno != EAGAIN)
            hub_buf_take(&r->out, left);
        rig_turn(r);
        rig_read(r);
    }
    rig_turn(r);
    rig_read(r);
}

/* Reads the next frame that is not empty. False: there is none. */
static inline bool rig_next(struct rig *r)
{
    rig_flush(r);
    while (hub_buf_used(&r->in) >= 8) {
        uint8_t *at = r->in.data + r->in.head;
        uint32_t size = memcmp(at, "AMQP", 4) == 0 ? 8 : hub_load_u32(at);
        if (hub_buf_used(&r->in) < size)
            return false;
        r->in.head += size;
        r->payload = hub_in_of(at + 8, size - 8);
        if (size > 8 && hub_fields_read(&r->payload, &r->code, &r->fields) == 0)
            return true;
    }
    return false;
}

/* Reads frames up to the next one of this performative. */
static inline bool rig_await(struct rig *r, uint64_t code)
{
    while (rig_next(r)) {
        if (r->code == code)
            return true;
    }
    return false;
}

/* The condition of the error in field i of the frame read last, or "". */
static inline const char *rig_condition(struct rig *r, unsigned i)
{
    static char text[128];
    struct hub_fields f;
    uint64_t code;

    text[0] = '\0';
    if (!hub_field_is_set(&r->fields, i))
        return text;
    struct hub_in in = hub_in_of(r->fields.at[i].raw, r->fields.at[i].raw_len);
    if (hub_fields_read(&in, &code, &f) == 0 && code == HUB_ERROR)
        hub_value_text(&f.at[0], text, sizeof text);
    return text;
}

/* The outcome in field 4 of a disposition: its code, and the condition if rejected. */
static inline uint64_t rig_outcome(struct rig *r, char condition[128])
{
    struct hub_fields state, error;
    uint64_t code = 0, ignored;
    struct hub_in in = hub_in_of(r->fields.at[4].raw, r->fields.at[4].raw_len);

    condition[0] = '\0';
    if (hub_fields_read(&in, &code, &state) < 0)
        return 0;
    if (code == HUB_REJECTED && hub_field_is_set(&state, 0)) {
        in = hub_in_of(state.at[0].raw, state.at[0].raw_len);
        if (hub_fields_read(&in, &ignored, &error) == 0)
            hub_value_text(&error.at[0], condition, 128);
    }
    return code;
}

static inline size_t rig_begin_frame(struct rig *r, uint8_t type, uint64_t code, size_t *list)
{
    size_t frame = hub_frame_begin(&r->out, type, 0);

    hub_put_descriptor(&r->out, code);
    *list = hub_put_list_begin(&r->out);
    return frame;
}

static inline void rig_end_frame(struct rig *r, size_t frame, size_t list, uint32_t count)
{
    hub_put_compound_end(&r->out, list, count);
    hub_frame_end(&r->out, frame);
}

static inline void rig_put_open(struct rig *r, bool with_login, uint32_t frame_bytes_max)
{
    size_t list, frame;

    hub_buf_put(&r->out, "AMQP\3\1\0\0", 8);
    frame = rig_begin_frame(r, HUB_FRAME_SASL, HUB_SASL_INIT, &list);
    hub_put_symbol(&r->out, with_login ? "PLAIN" : "ANONYMOUS");
    hub_put_binary(&r->out, "\0send\0" RIG_KEY, with_login ? 6 + strlen(RIG_KEY) : 0);
    rig_end_frame(r, frame, list, 2);
    hub_buf_put(&r->out, "AMQP\0\1\0\0", 8);
    hub_put_open(&r->out, "rig", frame_bytes_max, 0, 0);
    frame = rig_begin_frame(r, HUB_FRAME_AMQP, HUB_BEGIN, &list);
    hub_put_null(&r->out);
    hub_put_uint(&r->out, 0);
    hub_put_uint(&r->out, 5000);
    hub_put_uint(&r->out, 5000);
    rig_end_frame(r, frame, list, 4);
}

static inline void rig_put_terminus(struct rig *r, uint64_t code, const char *address, const char *selector)
{
    hub_put_descriptor(&r->out, code);
    size_t list = hub_put_list_begin(&r->out);
    hub_put_string(&r->out, address);
    if (selector) {
        for (int i = 1; i < 7; i++)
            hub_put_null(&r->out);
        size_t map = hub_put_map_begin(&r->out);
        hub_put_symbol(&r->out, "apache.org:selector-filter:string");
        hub_put_descriptor(&r->out, 0x468C00000004);
        hub_put_string(&r->out, selector);
        hub_put_compound_end(&r->out, map, 2);
    }
    hub_put_compound_end(&r->out, list, selector ? 8 : 1);
}

/* `epoch` below 0: none. */
static inline void rig_put_attach(struct rig *r, uint32_t handle, bool receiver, const char *address, const char *selector, int64_t epoch)
{
    size_t list, frame = rig_begin_frame(r, HUB_FRAME_AMQP, HUB_ATTACH, &list);
    char name[32];

    snprintf(name, sizeof name, "link-%u", handle);
    hub_put_string(&r->out, name);
    hub_put_uint(&r->out, handle);
    hub_put_bool(&r->out, receiver);
    hub_put_ubyte(&r->out, receiver);
    hub_put_ubyte(&r->out, 0);
    rig_put_terminus(r, HUB_SOURCE, receiver ? address : "here", selector);
    rig_put_terminus(r, HUB_TARGET, receiver ? "here" : address, NULL);
    hub_put_null(&r->out);
    hub_put_null(&r->out);
    hub_put_uint(&r->out, 0);
    hub_put_ulong(&r->out, 0);
    hub_put_null(&r->out);
    hub_put_null(&r->out);
    size_t map = hub_put_map_begin(&r->out);
    hub_put_symbol(&r->out, "com.microsoft:epoch");
    hub_put_long(&r->out, epoch);
    if (epoch < 0)
        r->out.len = map;
    else
        hub_put_compound_end(&r->out, map, 2);
    rig_end_frame(r, frame, list, epoch < 0 ? 13 : 14);
}

static inline void rig_put_transfer(struct rig *r, uint32_t handle, uint32_t id, uint32_t format, const void *payload, size_t len,
                                    bool more)
{
    size_t list, frame = rig_begin_frame(r, HUB_FRAME_AMQP, HUB_TRANSFER, &list);

    hub_put_uint(&r->out, handle);
    hub_put_uint(&r->out, id);
    hub_put_binary(&r->out, &id, sizeof id);
    hub_put_uint(&r->out, format);
    hub_put_bool(&r->out, false);
    hub_put_bool(&r->out, more);
    hub_put_compound_end(&r->out, list, 6);
    hub_buf_put(&r->out, payload, len);
    hub_frame_end(&r->out, frame);
}

/* A delivery of one event with this body, in as many frames as it takes. */
static inline void rig_put_event(struct rig *r, uint32_t handle, uint32_t id, const void *body, size_t len)
{
    struct hub_buf m = {0};

    hub_put_descriptor(&m, HUB_SECTION_DATA);
    hub_put_binary(&m, body, len);
    for (size_t at = 0; at < m.len;) {
        size_t part = m.len - at < 60000 ? m.len - at : 60000;
        rig_put_transfer(r, handle, id, 0, m.data + at, part, at + part < m.len);
        at += part;
    }
    hub_buf_free(&m);
}

static inline void rig_put_credit(struct rig *r, uint32_t handle, uint32_t delivery_count, uint32_t credit, bool drain)
{
    hub_put_flow(&r->out, 0,
                 &(struct hub_flow){.next_incoming_id = 1,
                                    .incoming_window = 5000,
                                    .next_outgoing_id = 0,
                                    .outgoing_window = 5000,
                                    .has_link = true,
                                    .handle = handle,
                                    .delivery_count = delivery_count,
                                    .link_credit = credit,
                                    .drain = drain});
}

static inline uint64_t rig_stored(struct rig *r)
{
    uint64_t events = 0;

    for (uint32_t i = 0; i < r->broker.entities[0]->partition_count; i++)
        events += r->broker.entities[0]->partitions[i].counts.events;
    return events;
}

static inline void rig_disconnect(struct rig *r)
{
    if (r->conn)
        hub_conn_free(r->conn);
    r->conn = NULL;
    close(r->fd);
}

static inline void rig_close(struct rig *r)
{
    rig_disconnect(r);
    hub_broker_free(&r->broker);
    hub_buf_free(&r->in);
    hub_buf_free(&r->out);
}

#endif
