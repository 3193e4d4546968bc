/* Sockets, timers and wake-ups behind one interface; io_uring and epoll behind it. One `struct net` per worker thread, used by it alone
 * from its first net_wait on; opening, watching and beginning a connect may come before, on another thread. */
#ifndef EHRING_NET_H
#define EHRING_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum net_kind { NET_AUTO, NET_URING, NET_EPOLL };

#define NET_HANDLES_MAX 1024 /* connections and watches of one worker */
#define NET_SEND_BUFFER_BYTES (256u << 10)
#define NET_EVENTS_MAX 64

struct net;

/* NET_AUTO takes io_uring if the kernel (and its seccomp profile) lets us have all we use, else epoll. `why` gets the sentence for the log:
 * which and why. NET_URING fails with a negative errno where NET_AUTO would fall back. */
int net_open(enum net_kind kind, struct net **out, char *why, size_t why_len);
void net_close(struct net *net); /* NULL is fine; closes all handles. By the thread that waits, or after its end */
enum net_kind net_kind_of(const struct net *net);

/* Begins a TCP connect (non-blocking, TCP_NODELAY, close-on-exec). A handle >= 0, or a negative errno. The answer is a NET_CONNECTED or
 * NET_FAILED event; -ETIMEDOUT after `timeout_ns`. */
int net_connect(struct net *net, const struct sockaddr *address, socklen_t address_len, int64_t timeout_ns);

/* Watches a descriptor of the caller's for readability (level-triggered: the caller drains it). Handle or negative errno. */
int net_watch(struct net *net, int fd);

/* Room for bytes to send on a connected handle: the address of at most NET_SEND_BUFFER_BYTES, 0 while both of the handle's two buffers are
 * under way. Bytes written there and committed go out in order, by the next net_wait at the latest. */
size_t net_send_space(struct net *net, int handle, uint8_t **to);
void net_send_commit(struct net *net, int handle, size_t len);
size_t net_send_pending(const struct net *net,
                        int handle); /* committed bytes that the kernel has not taken, as far as the last net_wait knows */

/* Ends a handle: a socket is closed (bytes not taken yet are lost), a watch forgotten. No later net_wait tells of it. A handle that an
 * event further on in the same array has ended already is not an error here nor above: its number is not given again for a million
 * handles. */
void net_end(struct net *net, int handle);

enum net_event_kind {
    NET_CONNECTED,
    NET_FAILED,   /* error: connect did not succeed; the handle is ended already */
    NET_RECEIVED, /* data, len: valid until the next net_wait */
    NET_SENT,     /* room again: a send buffer was taken whole */
    NET_ENDED,    /* error 0: the peer closed; else -errno. The handle is ended already */
    NET_WATCHED,  /* the watched descriptor is readable */
};
struct net_event {
    enum net_event_kind kind;
    int handle;
    int error; /* 0 or negative errno */
    const uint8_t *data;
    size_t len;
};

/* Submits what is to be sent and waits up to `timeout_ns` (0: only look; negative: for ever) for events. The only place where a worker
 * waits. Returns the count of events filled in (at most NET_EVENTS_MAX), 0 on time-out, negative errno if the backend itself broke. EINTR
 * is handled inside. */
int net_wait(struct net *net, int64_t timeout_ns, struct net_event events[NET_EVENTS_MAX]);

/* System calls so far: for the counters. */
uint64_t net_syscall_count(const struct net *net);

#endif
