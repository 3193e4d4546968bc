/* Peers in shared memory: a ring of Concurrency Kit into which payloads are copied, and a queue under a process-shared mutex. */
#ifndef BENCH_PEER_MEMORY_H
#define BENCH_PEER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct peer_memory; /* of either kind */

/* For messages of `len` bytes in about `bytes` of memory. 0 with the messages that have room in *room; -ENOMEM; of ck_ring also -ENOSYS:
 * not built in (libck-dev), -EMSGSIZE: not for such a length. Close takes NULL. */
int peer_ck_open(size_t len, uint64_t bytes, struct peer_memory **out, uint32_t *room);
int peer_mutex_open(size_t len, uint64_t bytes, struct peer_memory **out, uint32_t *room);
void peer_memory_close(struct peer_memory *memory);

/* Writes `count` messages, takes `count` out to `to`. 0, or -EAGAIN: no room, or none there. */
int peer_ck_write(struct peer_memory *memory, const void *data, uint32_t count);
int peer_ck_read(struct peer_memory *memory, void *to, uint32_t count);
int peer_mutex_write(struct peer_memory *memory, const void *data, uint32_t count);
int peer_mutex_read(struct peer_memory *memory, void *to, uint32_t count);

/* Messages that are there, as either end sees it while the other one is at work. */
uint32_t peer_ck_count(struct peer_memory *memory);
uint32_t peer_mutex_count(struct peer_memory *memory);

#endif
