/* A scripted AMQP peer in memory, made of proton's own driver: what a hub would answer to a connection, for the connection's tests. */
#ifndef EHRING_TESTS_CONN_PEER_H
#define EHRING_TESTS_CONN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/transport.h>

#include "shipper/conn.h"

#define PEER_DELIVERIES_MAX 64

enum peer_outcome { PEER_HOLD, PEER_ACCEPT, PEER_REJECT, PEER_RELEASE, PEER_MODIFY, PEER_MODIFY_FAILED, PEER_MODIFY_HERE };

struct peer_delivery {
    char address[64];
    size_t len;
    uint64_t sum; /* of the bytes */
    size_t tag_len;
    pn_delivery_t *pn; /* while held */
};
struct peer {
    pn_connection_driver_t driver;
    /* the script */
    int cbs_status;            /* 0: no answer */
    const char *cbs_condition; /* error-condition of the answer, of $management too */
    int management_status;
    bool refuse_requests; /* rejects the message of a request instead of answering it */
    uint32_t partitions;
    const char *refuse;  /* this address is refused */
    bool detach_at_once; /* links are detached with their attach */
    int credit;          /* per sender link of the other side */
    uint64_t message_bytes_max;
    size_t session_bytes; /* the session window, in frames of 64 KiB */
    enum peer_outcome outcome;
    bool discard; /* reads bodies without looking at them */
    /* what came */
    pn_link_t *cbs_reply, *management_reply;
    pn_link_t *last_link;
    char put_token_type[128], put_token_name[256], put_token_body[256];
    char read_name[128];
    pn_atom_t last_id; /* of the last request on $cbs */
    struct peer_delivery delivery[PEER_DELIVERIES_MAX];
    int delivery_count;
    size_t message_len; /* of all deliveries */
    size_t aborted_count;
    char order[4096]; /* last character of the address of each piece that came */
    size_t order_len;
    struct {
        pn_link_t *link;
        size_t len;
        uint64_t sum;
    } partial[64];
    /* every byte the connection put out and got, for format checks and for the fuzzer */
    uint8_t *sent, *got;
    size_t sent_len, got_len, record_cap;
};

static inline void peer_open(struct peer *peer)
{
    memset(peer, 0, sizeof *peer);
    peer->cbs_status = 202;
    peer->management_status = 200;
    peer->partitions = 4;
    peer->credit = 100;
    peer->message_bytes_max = 1048576;
    peer->session_bytes = 4 << 20;
    peer->outcome = PEER_ACCEPT;
    pn_connection_driver_init(&peer->driver, NULL, NULL);
    pn_transport_set_server(peer->driver.transport);
    pn_transport_set_max_frame(peer->driver.transport, 65536);
    pn_transport_set_channel_max(peer->driver.transport, 4999);
    pn_transport_set_idle_timeout(peer->driver.transport, 240000);
    pn_sasl_allowed_mechs(pn_sasl(peer->driver.transport), "ANONYMOUS");
    pn_transport_require_auth(peer->driver.transport, false);
}

static inline void peer_free(struct peer *peer)
{
    pn_connection_driver_destroy(&peer->driver);
    free(peer->sent);
    free(peer->got);
}

static inline void peer_record(struct peer *peer, size_t cap)
{
    peer->record_cap = cap;
    peer->sent = malloc(cap);
    peer->got = malloc(cap);
}

static inline void peer_get_string(pn_data_t *map, const char *name, char *to, size_t cap)
{
    to[0] = '\0';
    pn_data_rewind(map);
    if (!pn_data_next(map) || pn_data_type(map) != PN_MAP || !pn_data_enter(map))
        return;
    while (pn_data_next(map)) {
        pn_bytes_t key = pn_data_get_bytes(map);
        bool hit = key.size == strlen(name) && memcmp(key.start, name, key.size) == 0;
        if (!pn_data_next(map))
            return;
        if (hit && pn_data_type(map) == PN_STRING) {
            pn_bytes_t text = pn_data_get_bytes(map);
            snprintf(to, cap, "%.*s", (int)text.size, text.start);
        }
    }
}

static inline void peer_put(pn_data_t *data, const char *name, const char *text)
{
    pn_data_put_string(data, pn_bytes(strlen(name), name));
    pn_data_put_string(data, pn_bytes(strlen(text), text));
}

static inline void peer_reply(struct peer *peer, pn_link_t *link, pn_atom_t id, int status)
{
    pn_message_t *message = pn_message();
    pn_message_set_correlation_id(message, id);
    pn_data_t *properties = pn_message_properties(message);
    pn_data_put_map(properties);
    pn_data_enter(properties);
    pn_data_put_string(properties, pn_bytes(11, "status-code"));
    pn_data_put_int(properties, status);
    peer_put(properties, "status-description", status < 300 ? "Accepted" : "ExpiredToken: The\ntoken is expired");
    if (peer->cbs_condition) {
        pn_data_put_string(properties, pn_bytes(15, "error-condition"));
        pn_data_put_symbol(properties, pn_bytes(strlen(peer->cbs_condition), peer->cbs_condition));
    }
    pn_data_exit(properties);
    if (link == peer->management_reply) {
        pn_data_t *body = pn_message_body(message);
        pn_data_put_map(body);
        pn_data_enter(body);
        peer_put(body, "name", "hub1");
        pn_data_put_string(body, pn_bytes(13, "partition_ids"));
        pn_data_put_array(body, false, PN_STRING);
        pn_data_enter(body);
        for (uint32_t i = 0; i < peer->partitions; i++) {
            char text[16];
            snprintf(text, sizeof text, "%u", i);
            pn_data_put_string(body, pn_bytes(strlen(text), text));
        }
        pn_data_exit(body);
        pn_data_exit(body);
    }
    char bytes[65536];
    size_t len = sizeof bytes;
    pn_message_encode(message, bytes, &len);
    pn_message_free(message);
    pn_delivery(link, pn_dtag("r", 1));
    pn_link_send(link, bytes, len);
    pn_delivery_t *delivery = pn_link_current(link);
    pn_link_advance(link);
    pn_delivery_settle(delivery);
}

static inline void peer_request(struct peer *peer, const char *node, const char *bytes, size_t len)
{
    pn_message_t *message = pn_message();
    if (pn_message_decode(message, bytes, len) == 0) {
        pn_data_t *properties = pn_message_properties(message);
        pn_atom_t id = pn_message_get_id(message);
        if (strcmp(node, "$cbs") == 0) {
            peer->last_id = id;
            peer_get_string(properties, "type", peer->put_token_type, sizeof peer->put_token_type);
            peer_get_string(properties, "name", peer->put_token_name, sizeof peer->put_token_name);
            pn_data_t *body = pn_message_body(message);
            pn_data_rewind(body);
            if (pn_data_next(body) && pn_data_type(body) == PN_STRING)
                snprintf(peer->put_token_body, sizeof peer->put_token_body, "%.*s", (int)pn_data_get_string(body).size,
                         pn_data_get_string(body).start);
            if (peer->cbs_status && peer->cbs_reply)
                peer_reply(peer, peer->cbs_reply, id, peer->cbs_status);
        } else {
            peer_get_string(properties, "name", peer->read_name, sizeof peer->read_name);
            if (peer->management_reply)
                peer_reply(peer, peer->management_reply, id, peer->management_status);
        }
    }
    pn_message_free(message);
}

static inline void peer_settle(pn_delivery_t *pn, enum peer_outcome outcome)
{
    pn_disposition_t *local = pn_delivery_local(pn);
    switch (outcome) {
    case PEER_HOLD:
        return;
    case PEER_ACCEPT:
        pn_delivery_update(pn, PN_ACCEPTED);
        break;
    case PEER_REJECT:
        pn_condition_set_name(pn_disposition_condition(local), "com.microsoft:server-busy");
        pn_condition_set_description(pn_disposition_condition(local), "Please wait 4 seconds and try again.");
        pn_delivery_update(pn, PN_REJECTED);
        break;
    case PEER_RELEASE:
        pn_delivery_update(pn, PN_RELEASED);
        break;
    case PEER_MODIFY_FAILED:
        pn_disposition_set_failed(local, true);
        pn_delivery_update(pn, PN_MODIFIED);
        break;
    case PEER_MODIFY_HERE:
        pn_disposition_set_undeliverable(local, true); /* fall through */
    case PEER_MODIFY:
        pn_delivery_update(pn, PN_MODIFIED);
        break;
    }
    pn_delivery_settle(pn);
}

static inline void peer_link_open(struct peer *peer, pn_link_t *link)
{
    const char *target = pn_terminus_get_address(pn_link_remote_target(link));
    const char *source = pn_terminus_get_address(pn_link_remote_source(link));
    pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
    if (pn_link_is_sender(link)) {
        pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
        pn_link_open(link);
        if (source && strcmp(source, "$cbs") == 0)
            peer->cbs_reply = link;
        else
            peer->management_reply = link;
        return;
    }
    if (peer->refuse && target && strcmp(peer->refuse, target) == 0) {
        pn_terminus_set_type(pn_link_target(link), PN_UNSPECIFIED); /* a null target, then the detach */
        pn_condition_set_name(pn_link_condition(link), "amqp:unauthorized-access");
        pn_condition_set_description(pn_link_condition(link), "Unauthorized access. 'Send' claim(s) are required");
        pn_link_open(link);
        pn_link_close(link);
        return;
    }
    pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
    pn_link_set_max_message_size(link, peer->message_bytes_max);
    pn_link_open(link);
    if (peer->detach_at_once) {
        pn_condition_set_name(pn_link_condition(link), "amqp:link:detach-forced");
        pn_link_close(link);
        return;
    }
    bool is_request = target && target[0] == '$';
    if (is_request || peer->credit > 0)
        pn_link_flow(link, is_request ? 100 : peer->credit);
    if (!is_request)
        peer->last_link = link;
}

static inline void peer_take(struct peer *peer, pn_link_t *link, pn_delivery_t *pn)
{
    static char bytes[1 << 17];
    const char *address = pn_terminus_get_address(pn_link_target(link));
    int slot = 0;
    while (slot < 63 && peer->partial[slot].link && peer->partial[slot].link != link)
        slot++;
    peer->partial[slot].link = link;
    ssize_t got = 0, request_len = 0;
    while ((got = pn_link_recv(link, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < got && !peer->discard; i++)
            peer->partial[slot].sum = peer->partial[slot].sum * 31 + (uint8_t)bytes[i];
        peer->partial[slot].len += (size_t)got;
        request_len = got;
        if (address[0] != '$' && peer->order_len < sizeof peer->order - 1)
            peer->order[peer->order_len++] = address[strlen(address) - 1];
    }
    if (pn_delivery_aborted(pn)) {
        peer->aborted_count++;
        peer->partial[slot].len = peer->partial[slot].sum = 0;
        pn_delivery_settle(pn);
        return;
    }
    if (pn_delivery_partial(pn))
        return;
    pn_link_advance(link);
    size_t len = peer->partial[slot].len;
    uint64_t sum = peer->partial[slot].sum;
    peer->partial[slot].len = peer->partial[slot].sum = 0;
    if (address[0] == '$' && peer->refuse_requests) {
        peer_settle(pn, PEER_REJECT);
        return;
    }
    if (address[0] == '$') {
        peer_request(peer, address, bytes, (size_t)request_len);
        peer_settle(pn, PEER_ACCEPT);
        return;
    }
    peer->message_len += len;
    if (peer->delivery_count < PEER_DELIVERIES_MAX) {
        struct peer_delivery *delivery = &peer->delivery[peer->delivery_count];
        snprintf(delivery->address, sizeof delivery->address, "%s", address);
        delivery->len = len;
        delivery->sum = sum;
        delivery->tag_len = pn_delivery_tag(pn).size;
        delivery->pn = peer->outcome == PEER_HOLD ? pn : NULL;
    }
    peer->delivery_count++;
    if (peer->credit > 0)
        pn_link_flow(link, 1);
    peer_settle(pn, peer->outcome);
}

static inline void peer_turn(struct peer *peer)
{
    pn_event_t *event;
    while ((event = pn_connection_driver_next_event(&peer->driver))) {
        switch ((int)pn_event_type(event)) {
        case PN_CONNECTION_REMOTE_OPEN:
            pn_connection_set_container(peer->driver.connection, "peer_G1");
            pn_connection_open(peer->driver.connection);
            break;
        case PN_CONNECTION_REMOTE_CLOSE:
            pn_connection_close(peer->driver.connection);
            break;
        case PN_SESSION_REMOTE_OPEN:
            pn_session_set_incoming_capacity(pn_event_session(event), peer->session_bytes);
            pn_session_open(pn_event_session(event));
            break;
        case PN_SESSION_REMOTE_CLOSE:
            pn_session_close(pn_event_session(event));
            break;
        case PN_LINK_REMOTE_OPEN:
            if (pn_link_state(pn_event_link(event)) & PN_LOCAL_UNINIT)
                peer_link_open(peer, pn_event_link(event));
            break;
        case PN_LINK_REMOTE_CLOSE:
            pn_link_close(pn_event_link(event));
            break;
        case PN_DELIVERY:
            if (pn_link_is_receiver(pn_event_link(event)) && pn_delivery_readable(pn_event_delivery(event)))
                peer_take(peer, pn_event_link(event), pn_event_delivery(event));
            break;
        default:
            break;
        }
    }
}

static inline void peer_input(struct peer *peer, const uint8_t *data, size_t len)
{
    size_t used = 0;
    while (used < len) {
        pn_rwbytes_t room = pn_connection_driver_read_buffer(&peer->driver);
        if (room.size == 0)
            break;
        size_t part = len - used < room.size ? len - used : room.size;
        memcpy(room.start, data + used, part);
        pn_connection_driver_read_done(&peer->driver, part);
        used += part;
        peer_turn(peer);
    }
}

/* Bytes of the connection to the peer. */
static inline bool peer_pump_in(struct peer *peer, struct conn *conn, size_t step)
{
    bool any = false;
    const uint8_t *data;
    size_t len;
    while ((len = conn_output(conn, &data)) > 0) {
        if (len > step)
            len = step;
        if (peer->got && peer->got_len + len <= peer->record_cap) {
            memcpy(peer->got + peer->got_len, data, len);
            peer->got_len += len;
        }
        peer_input(peer, data, len);
        conn_output_done(conn, len);
        any = true;
    }
    return any;
}

/* Bytes of the peer to the connection. */
static inline bool peer_pump_out(struct peer *peer, struct conn *conn, size_t step)
{
    bool any = false;
    for (;;) {
        peer_turn(peer);
        pn_bytes_t out = pn_connection_driver_write_buffer(&peer->driver);
        if (out.size == 0)
            return any;
        size_t len = out.size < step ? out.size : step;
        if (peer->sent && peer->sent_len + len <= peer->record_cap) {
            memcpy(peer->sent + peer->sent_len, out.start, len);
            peer->sent_len += len;
        }
        conn_input(conn, (const uint8_t *)out.start, len);
        pn_connection_driver_write_done(&peer->driver, len);
        any = true;
    }
}

/* Both ways until nothing moves, at most `step` bytes at a time. */
static inline void peer_pump(struct peer *peer, struct conn *conn, size_t step)
{
    bool any = true;
    while (any) {
        any = peer_pump_in(peer, conn, step);
        any = peer_pump_out(peer, conn, step) || any;
    }
}

#endif
