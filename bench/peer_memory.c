/* Peers in shared memory: a ring of Concurrency Kit into which payloads are copied, and a queue under a process-shared mutex.
 * Both have slots of one length, known when they are compiled or opened: what a ring of variable length does without. */
#include "bench/peer_memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if __has_include(<ck_ring.h>)
#include <ck_ring.h>
#define HAVE_CK 1
#else
#define HAVE_CK 0
struct ck_ring {
    int none;
};
#endif

#define SLOTS_MIN 8u

struct mutex_queue { /* at the start of the mapping */
    pthread_mutex_t lock;
    uint64_t head;
    uint64_t tail;
};

struct peer_memory {
    uint8_t *map; /* shared, as another process would have it */
    size_t map_len;
    uint8_t *slots;
    size_t len;
    uint32_t slot_count; /* a power of two */
    struct ck_ring ck;
    struct mutex_queue *queue;
    int (*ck_write)(struct peer_memory *memory, const void *data, uint32_t count);
    int (*ck_read)(struct peer_memory *memory, void *to, uint32_t count);
};

static int map_slots(size_t len, uint64_t bytes, size_t head_len, struct peer_memory **out);

#if HAVE_CK
/* Each length is a type of its own, copied by value: the fastest that this library offers. */
#define CK_SIZES(X) X(16) X(64) X(256) X(1024) X(4096) X(16384) X(65536)
#define CK_OF(size)                                                                                                                        \
    struct message_##size {                                                                                                                \
        uint8_t bytes[size];                                                                                                               \
    };                                                                                                                                     \
    CK_RING_PROTOTYPE(of_##size, message_##size)                                                                                           \
    static int ck_write_##size(struct peer_memory *memory, const void *data, uint32_t count)                                               \
    {                                                                                                                                      \
        bool room = true;                                                                                                                  \
        for (uint32_t i = 0; i < count; i++)                                                                                               \
            room &= ck_ring_enqueue_spsc_of_##size(&memory->ck, (void *)memory->slots, (void *)(uintptr_t)data);                           \
        return room ? 0 : -EAGAIN;                                                                                                         \
    }                                                                                                                                      \
    static int ck_read_##size(struct peer_memory *memory, void *to, uint32_t count)                                                        \
    {                                                                                                                                      \
        bool there = true;                                                                                                                 \
        for (uint32_t i = 0; i < count; i++)                                                                                               \
            there &= ck_ring_dequeue_spsc_of_##size(&memory->ck, (void *)memory->slots, to);                                               \
        return there ? 0 : -EAGAIN;                                                                                                        \
    }
CK_SIZES(CK_OF)

static const struct {
    size_t len;
    int (*write)(struct peer_memory *memory, const void *data, uint32_t count);
    int (*read)(struct peer_memory *memory, void *to, uint32_t count);
} ck_sizes[] = {
#define CK_ROW(size) {size, ck_write_##size, ck_read_##size},
    CK_SIZES(CK_ROW)};

int peer_ck_open(size_t len, uint64_t bytes, struct peer_memory **out, uint32_t *room)
{
    uint32_t i = 0;
    int err;

    *out = NULL;
    while (i < sizeof(ck_sizes) / sizeof(ck_sizes[0]) && ck_sizes[i].len != len)
        i++;
    if (i == sizeof(ck_sizes) / sizeof(ck_sizes[0]))
        return -EMSGSIZE;
    err = map_slots(len, bytes, 0, out);
    if (err)
        return err;
    ck_ring_init(&(*out)->ck, (*out)->slot_count);
    (*out)->ck_write = ck_sizes[i].write;
    (*out)->ck_read = ck_sizes[i].read;
    *room = (*out)->slot_count - 1;
    return 0;
}

uint32_t peer_ck_count(struct peer_memory *memory)
{
    return ck_ring_size(&memory->ck);
}
#else
int peer_ck_open(size_t len, uint64_t bytes, struct peer_memory **out, uint32_t *room)
{
    (void)len;
    (void)bytes;
    (void)room;
    *out = NULL;
    return -ENOSYS;
}

uint32_t peer_ck_count(struct peer_memory *memory)
{
    (void)memory;
    return 0;
}
#endif

int peer_mutex_open(size_t len, uint64_t bytes, struct peer_memory **out, uint32_t *room)
{
    pthread_mutexattr_t shared;
    int err = map_slots(len, bytes, sizeof(struct mutex_queue), out);

    if (err)
        return err;
    (*out)->queue = (struct mutex_queue *)(void *)(*out)->map;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&(*out)->queue->lock, &shared);
    pthread_mutexattr_destroy(&shared);
    *room = (*out)->slot_count;
    return 0;
}

void peer_memory_close(struct peer_memory *memory)
{
    if (!memory)
        return;
    if (memory->queue)
        pthread_mutex_destroy(&memory->queue->lock);
    munmap(memory->map, memory->map_len);
    free(memory);
}

int peer_ck_write(struct peer_memory *memory, const void *data, uint32_t count)
{
    return memory->ck_write(memory, data, count);
}

int peer_ck_read(struct peer_memory *memory, void *to, uint32_t count)
{
    return memory->ck_read(memory, to, count);
}

int peer_mutex_write(struct peer_memory *memory, const void *data, uint32_t count)
{
    struct mutex_queue *queue = memory->queue;
    bool room = true;

    for (uint32_t i = 0; i < count; i++) {
        pthread_mutex_lock(&queue->lock);
        room = queue->head - queue->tail < memory->slot_count;
        if (room)
            memcpy(memory->slots + (queue->head++ & (memory->slot_count - 1)) * memory->len, data, memory->len);
        pthread_mutex_unlock(&queue->lock);
    }
    return room ? 0 : -EAGAIN;
}

int peer_mutex_read(struct peer_memory *memory, void *to, uint32_t count)
{
    struct mutex_queue *queue = memory->queue;
    bool there = true;

    for (uint32_t i = 0; i < count; i++) {
        pthread_mutex_lock(&queue->lock);
        there = queue->head != queue->tail;
        if (there)
            memcpy(to, memory->slots + (queue->tail++ & (memory->slot_count - 1)) * memory->len, memory->len);
        pthread_mutex_unlock(&queue->lock);
    }
    return there ? 0 : -EAGAIN;
}

uint32_t peer_mutex_count(struct peer_memory *memory)
{
    struct mutex_queue *queue = memory->queue;
    uint64_t count;

    pthread_mutex_lock(&queue->lock);
    count = queue->head - queue->tail;
    pthread_mutex_unlock(&queue->lock);
    return (uint32_t)count;
}

static int map_slots(size_t len, uint64_t bytes, size_t head_len, struct peer_memory **out)
{
    struct peer_memory *memory = calloc(1, sizeof(*memory));

    *out = NULL;
    if (!memory)
        return -ENOMEM;
    memory->len = len;
    memory->slot_count = SLOTS_MIN;
    while ((uint64_t)memory->slot_count * 2 * len <= bytes)
        memory->slot_count *= 2;
    head_len = (head_len + 127) & ~(size_t)127;
    memory->map_len = head_len + memory->slot_count * len;
    memory->map = mmap(NULL, memory->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory->map == MAP_FAILED) {
        free(memory);
        return -ENOMEM;
    }
    memory->slots = memory->map + head_len;
    *out = memory;
    return 0;
}
