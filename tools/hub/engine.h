/* What the parts of the protocol engine share: connection, session, link. Code that works on them is in the modules. */
#ifndef HUB_ENGINE_H
#define HUB_ENGINE_H

#include "address.h"
#include "broker.h"
#include "buf.h"
#include "frame.h"
#include "store.h"
#include "stream.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HUB_FRAME_BYTES_MAX = 65536,
    HUB_CHANNEL_MAX = 255,
    HUB_HANDLE_MAX = 255,
    HUB_GRANTS_MAX = 64,
    HUB_WINDOW = 5000,
    HUB_REPLIES_MAX = 64,
    HUB_OUT_BYTES_MAX = 4 << 20,       /* above it a connection is not read */
    HUB_OUT_BYTES_PUMP = 512 << 10,    /* above it receivers get nothing more */
    HUB_PARTIAL_BYTES_MAX = 256 << 20, /* half-received deliveries of one connection */
    HUB_LINKS_MAX = 4096,              /* of one connection */
};

/* Limits that are the same for all connections. */
struct hub_limits {
    uint64_t message_bytes_max;
    uint32_t credit;
    int64_t disposition_delay_ms, idle_timeout_ms, token_wait_ms;
};

enum hub_conn_state {
    HUB_CONN_START,     /* a protocol header is due */
    HUB_CONN_SASL,      /* sasl-init is due */
    HUB_CONN_SASL_DONE, /* the AMQP header is due */
    HUB_CONN_HEADER,    /* open is due */
    HUB_CONN_OPEN,
    HUB_CONN_CLOSING, /* close was sent: nothing more is read, the rest goes out */
    HUB_CONN_DEAD,    /* to be freed at once */
};

/* A claim that a connection was granted by a token. */
struct hub_grant {
    char path[HUB_PATH_MAX];
    int64_t expiry_s;
    unsigned rights; /* enum hub_right */
};

struct hub_conn {
    struct hub_broker *broker;
    const struct hub_limits *limits;
    struct hub_stream stream;
    struct hub_buf in, out;
    struct hub_buf delayed; /* disposition frames that wait, see settle.c */
    struct hub_buf spare;   /* of the last delivery in several frames, for the next one */
    enum hub_conn_state state;
    uint64_t id;
    unsigned login; /* rights by PLAIN with a good key: no tokens needed; 0: none */
    bool saw_token, peer_closed;
    uint32_t peer_frame_bytes_max;
    int64_t peer_idle_ms, last_in_ms, last_out_ms, open_ms, close_ms;
    struct hub_session *sessions[HUB_CHANNEL_MAX + 1];
    struct hub_grant *grants;
    unsigned grant_count, link_count, cbs_senders, cbs_receivers;
    uint64_t next_session_id;
    size_t partial_bytes;
    struct hub_error error; /* why it was closed */
    struct hub_conn *next;  /* of the broker's */
};

struct hub_session {
    struct hub_conn *conn;
    uint16_t channel;
    uint64_t id; /* tells a session from an earlier one on the channel */
    bool ending; /* end was sent, the peer's is due */
    uint32_t next_incoming_id, incoming_window;
    uint32_t next_outgoing_id, remote_window, next_delivery_id;
    bool has_accepted; /* accepted deliveries that were not told yet: */
    uint32_t accepted_first, accepted_last;
    struct hub_link *links[HUB_HANDLE_MAX + 1];
};

struct hub_link {
    struct hub_session *session;
    uint32_t handle;
    char name[HUB_NAME_MAX];
    char path[HUB_PATH_MAX]; /* of the entity, for claims and texts */
    enum hub_node node;
    bool peer_sends;
    bool detaching;   /* detach was sent, the peer's is due */
    bool settle_sent; /* we send settled */
    struct hub_entity *entity;
    struct hub_partition *partition; /* NULL: link to the hub */
    uint32_t delivery_count, credit;
    /* peer sends */
    uint64_t message_bytes_max, peer_message_bytes_max; /* of the delivery on its way; what the peer said, 0: nothing */
    bool in_delivery, delivery_settled;
    uint32_t delivery_id, delivery_format;
    uint64_t delivery_len;
    struct hub_buf partial;
    /* we send */
    bool drain;
    uint64_t next_tag;
    char address[HUB_NAME_MAX]; /* the peer's target: where replies are sent to */
    struct hub_buf sending;     /* the delivery that is going out */
    struct hub_buf replies;     /* requests answered and not sent yet: u32 length, message */
    unsigned reply_count;
    struct hub_cursor cursor;
    char group[HUB_NAME_MAX];
    bool has_epoch;
    int64_t epoch;
    struct hub_link *next_receiver;
};

#endif
