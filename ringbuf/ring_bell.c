/* Sleep and wake, both ways: the shipper's sleeping flag and its doorbell, the producer's waits on the gate. */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"

#define BELL_MODE 0666 /* who may pass the directories may ring */
#define BELL_DRAIN_MAX 256

static int bell_address(const char *path, struct sockaddr_un *address);
static void bell_if_asleep(struct ring_writer *writer);
static bool gate_wait(const _Atomic uint64_t *gate, uint64_t gate_pos, int64_t deadline_ns);
static int64_t monotonic_ns(void);

int ring_bell_open(const char *path)
{
    struct sockaddr_un address;
    int fd = -1, err = bell_address(path, &address);

    if (err)
        return err;
    if (unlink(path) != 0 && errno != ENOENT)
        return -errno;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || chmod(path, BELL_MODE) != 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

void ring_bell_drain(int fd)
{
    char bytes[64];

    for (int i = 0; i < BELL_DRAIN_MAX && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0; i++)
        ; /* one who rings without end wakes the reader again, he does not hold it here */
}

void ring_bell_set(struct ring *ring, uint64_t number)
{
    order_store_sleeping(&ring->shipper->sleeping.number, number ? ring->bell_base + number : 0); /* S1 */
}

int ring_bell_barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0 ? 0 : -errno;
}

__attribute__((cold)) int ring_bell_answer(struct ring_writer *writer, uint64_t number)
{
    writer->bell_seen = number;
    if (number == 0)
        return 0;
    int saved_errno = errno;
    ring_bell_send(writer->bell_path);
    errno = saved_errno;
    order_none_add64(&writer->producer->counters.bell_count, 1);
    return 0;
}

/* A socket of its own for each ring of the bell: the application may close descriptors it does not know, and a sleep is rare. A thread that
 * is cancelled does not end here, in the middle of a call that was to send an event. */
void ring_bell_send(const char *path)
{
    struct sockaddr_un address;
    int fd, cancel_state;

    if (bell_address(path, &address) != 0)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sendto(fd, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof(address));
        close(fd);
    }
    pthread_setcancelstate(cancel_state, &cancel_state);
}

int ring_writer_wait_room(struct ring_writer *writer, const struct ring_shape *shape, int64_t deadline_ns)
{
    struct ring_place place;
    bool in_time = true;
    int err = 0;

    if (!ring_writer_alive(writer))
        return -EOWNERDEAD;
    ring_writer_publish(writer); /* what nobody sees nobody takes */
    err = ring_writer_place(writer, shape, &place);
    if (err || ring_writer_fits(writer, &place))
        return err;
    order_none_add64(&writer->producer->counters.wait_count, 1);
    order_store_waiting(&writer->producer->hot.waiting, 1); /* W1 */
    while (!ring_writer_fits(writer, &place) && in_time) {
        bell_if_asleep(writer);
        in_time = gate_wait(writer->released, writer->gate_pos, deadline_ns);
    }
    order_store_waiting(&writer->producer->hot.waiting, 0);
    return ring_writer_fits(writer, &place) ? 0 : -ETIMEDOUT;
}

int ring_writer_flush(struct ring_writer *writer, int64_t deadline_ns, uint64_t *left_bytes)
{
    const _Atomic uint64_t *gate = NULL;
    uint64_t gate_pos;
    bool in_time = true;

    *left_bytes = 0;
    if (!ring_writer_alive(writer))
        return -EOWNERDEAD;
    ring_writer_publish(writer);
    gate = &writer->shipper->gate.gate_pos;
    order_none_store64(&writer->producer->hot.flush_pos, writer->pos);
    order_store_waiting(&writer->producer->hot.waiting, 1); /* W1 */
    while ((gate_pos = order_load_gate(gate)) < writer->pos && in_time) {
        bell_if_asleep(writer);
        in_time = gate_wait(gate, gate_pos, deadline_ns);
    }
    order_store_waiting(&writer->producer->hot.waiting, 0);
    *left_bytes = gate_pos < writer->pos ? writer->pos - gate_pos : 0;
    return *left_bytes == 0 ? 0 : -ETIMEDOUT;
}

uint64_t ring_flush_pos(const struct ring *ring)
{
    return order_none_load64(&ring->producer->hot.flush_pos);
}

static int bell_address(const char *path, struct sockaddr_un *address)
{
    size_t len = strlen(path);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    memcpy(address->sun_path, path, len + 1);
    return 0;
}

/* Also a sleep that was answered already: the byte may have been taken before the wish to wait was there. */
static void bell_if_asleep(struct ring_writer *writer)
{
    uint64_t number = order_load_sleeping_fenced(&writer->shipper->sleeping.number);

    if (number != 0)
        ring_bell_answer(writer, number);
}

/* Waits until the low half of the gate is another one; false: the deadline has passed. In slices: a shipper may be killed between its
 * store and its wake. */
static bool gate_wait(const _Atomic uint64_t *gate, uint64_t gate_pos, int64_t deadline_ns)
{
    int64_t now = monotonic_ns(), until = now + RING_SLICE_NS;
    struct timespec at;

    if (now >= deadline_ns)
        return false;
    if (until > deadline_ns)
        until = deadline_ns;
    at = (struct timespec){.tv_sec = until / INT64_C(1000000000), .tv_nsec = until % INT64_C(1000000000)};
    (void)syscall(SYS_futex, (const uint32_t *)(const void *)gate, FUTEX_WAIT_BITSET, (uint32_t)gate_pos, &at, NULL,
                  FUTEX_BITSET_MATCH_ANY);
    return true;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}
