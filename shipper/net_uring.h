/* One io_uring and its provided buffers, as the io_uring backend's files share them. Private to shipper/net_uring*.c. */
#ifndef EHRING_NET_URING_H
#define EHRING_NET_URING_H

#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shipper/net_internal.h"

#define URING_BUFFERS 64u /* a power of two */
#define URING_BUFFER_BYTES 16384u
#define URING_BUFFER_GROUP 0

struct net_uring {
    struct io_uring ring;
    bool is_begun;  /* the first wait makes its thread the one that submits */
    bool is_asleep; /* made disabled, so that the thread that opens it need not be the one that waits */
    pthread_t owner;
    struct io_uring_buf_ring *provided; /* NULL: each handle receives into a buffer of its own */
    uint8_t *provided_bytes;
    uint16_t lent[URING_BUFFERS]; /* in events of the last wait */
    unsigned lent_count;
    uint64_t round; /* counts the armings */
};

/* Makes the ring with the best of what the kernel has. A negative errno and the sentence why not, or 0 and what it has. */
int net_uring_setup(struct net_uring *uring, char *why, size_t why_len);
void net_uring_teardown(struct net_uring *uring);

/* A provided buffer: where it is; lent to the caller until the next recycle. */
uint8_t *net_uring_buffer(const struct net_uring *uring, uint16_t index);
void net_uring_lend(struct net_uring *uring, uint16_t index);
void net_uring_recycle(struct net_uring *uring);

#endif
