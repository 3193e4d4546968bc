/* What both network backends share: the handle table, the double send buffers, the events being gathered. Private to shipper/net*.c. */
#ifndef EHRING_NET_INTERNAL_H
#define EHRING_NET_INTERNAL_H

#include <linux/time_types.h>

#include "shipper/net.h"

/* More slots than handles: an ended handle keeps its slot as long as the kernel holds a buffer of it. */
#define NET_SLOTS 2048
#define NET_FOR_EVER_NS INT64_MAX

enum net_state { NET_SLOT_FREE, NET_CONNECTING, NET_OPEN, NET_WATCHING, NET_ENDING };

struct net_handle {
    enum net_state state;
    int id;          /* generation and slot: the number of an ended handle is not given again for a million handles */
    int fd;          /* -1: none, its family is not known to the kernel */
    bool is_callers; /* a watched descriptor: never ours to close */
    int due_error;   /* a NET_FAILED to be told, negative errno */
    bool due_sent;   /* a NET_SENT to be told */
    int send_error;  /* why nothing more can be sent; what was received before is still told first */

    /* The caller fills one buffer, the other is under way; they change places when the latter is taken whole. */
    uint8_t *send_buffer[2];
    size_t send_len[2], send_taken;
    unsigned fill;

    /* epoll's */
    uint32_t ready;
    int64_t deadline_ns;

    /* io_uring's */
    uint32_t in_flight, cancelled; /* sets of enum op */
    unsigned cancel_count;         /* cancellations not answered yet */
    uint64_t starved_since;        /* the round in which no provided buffer was left for it; 0: it had one since */
    uint8_t *receive_buffer;       /* only without provided buffers */
    struct __kernel_timespec connect_wait;
    struct sockaddr_storage address;
    socklen_t address_len;
};

struct net {
    enum net_kind kind;
    struct net_epoll *epoll;
    struct net_uring *uring;
    uint64_t syscall_count;
    int live_count; /* handles the caller knows */
    int due_count;  /* handles with something due */
    int slots_used; /* one past the highest slot ever taken */
    int cursor;     /* the slot whose turn is first, so that nobody starves when the events are full */
    struct net_handle handle[NET_SLOTS];
};

struct net_gather {
    struct net_event *event;
    int count;
};
static inline bool net_gather_full(const struct net_gather *told)
{
    return told->count >= NET_EVENTS_MAX;
}
static inline void net_tell(struct net_gather *told, struct net_event event)
{
    told->event[told->count++] = event;
}

/* The table. Take: NULL when NET_HANDLES_MAX are live. Find: NULL for a handle that has ended. Retire: the caller's handle is gone, its
 * slot not yet. Free: the slot too; the send buffers stay for the next one. */
struct net_handle *net_handle_take(struct net *net, enum net_state state);
struct net_handle *net_handle_find(const struct net *net, int id);
void net_handle_retire(struct net *net, struct net_handle *handle);
void net_handle_free(struct net *net, struct net_handle *handle);
static inline struct net_handle *net_handle_turn(struct net *net, int i)
{
    return &net->handle[(net->cursor + i) % net->slots_used];
}

/* What is due from earlier calls. */
void net_due_failed(struct net *net, struct net_handle *handle, int error);
void net_due_sent(struct net *net, struct net_handle *handle);
void net_tell_due(struct net *net, struct net_gather *told);

/* The sender: bytes to send next (0: none); what the kernel took of them (true: a buffer is free again). */
int net_sender_open(struct net_handle *handle);
size_t net_sender_next(struct net_handle *handle, const uint8_t **data);
bool net_sender_take(struct net_handle *handle, size_t len);

/* Time left until `until_ns`: 0 is the past, NET_FOR_EVER_NS stays. */
int64_t net_time_left_ns(int64_t until_ns);

/* The backends. `wait` looks at least once, returns 0 or a negative errno. `connect` and `watch` have a handle with a descriptor; a
 * negative errno leaves it to the caller. `end` forgets the handle at once for the caller, the slot when the kernel has let go. */
int net_epoll_open(struct net *net, char *why, size_t why_len);
void net_epoll_close(struct net *net);
int net_epoll_connect(struct net *net, struct net_handle *handle, int64_t timeout_ns);
int net_epoll_watch(struct net *net, struct net_handle *handle);
void net_epoll_end(struct net *net, struct net_handle *handle);
int net_epoll_wait(struct net *net, int64_t until_ns, struct net_gather *told);

int net_uring_open(struct net *net, char *why, size_t why_len);
void net_uring_close(struct net *net);
int net_uring_connect(struct net *net, struct net_handle *handle, int64_t timeout_ns);
int net_uring_watch(struct net *net, struct net_handle *handle);
void net_uring_end(struct net *net, struct net_handle *handle);
int net_uring_wait(struct net *net, int64_t until_ns, struct net_gather *told);

#endif
