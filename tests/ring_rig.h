/* A stream's directory in shared memory, a writer on it and a reader's view of the same file. For criterion and plain programs alike. */
#ifndef RING_RIG_H
#define RING_RIG_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"

#define RIG_NEED(condition)                                                                                                                \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                                \
            abort();                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

/* Built with the thread sanitizer. */
#if defined(__SANITIZE_THREAD__)
#define RIG_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RIG_TSAN 1
#endif
#endif
#ifndef RIG_TSAN
#define RIG_TSAN 0
#endif

struct rig {
    char rings[64];
    char dir[80];
    int dir_fd;
    char file[256];
    struct ring_writer *writer;
    struct ring *ring;
    struct ring_lane lane;
    struct ring_walk walk;
};

static inline void rig_dirs(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    strcpy(rig->rings, "/dev/shm/ring-test-XXXXXX");
    RIG_NEED(mkdtemp(rig->rings) != NULL);
    snprintf(rig->dir, sizeof(rig->dir), "%s/orders", rig->rings);
    RIG_NEED(mkdir(rig->dir, 0770) == 0);
    rig->dir_fd = open(rig->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    RIG_NEED(rig->dir_fd >= 0);
}

static inline void rig_write(struct rig *rig, uint64_t capacity)
{
    struct ring_refusal why = {0};
    int err =
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig->dir, .name = "rig", .capacity = capacity}, &rig->writer, &why);

    if (err)
        fprintf(stderr, "ring_writer_open: %d %s\n", err, why.text);
    RIG_NEED(err == 0);
    snprintf(rig->file, sizeof(rig->file), "%s", strrchr(ring_writer_path(rig->writer), '/') + 1);
}

static inline void rig_attach(struct rig *rig, enum ring_access access)
{
    struct ring_refusal why = {0};
    int err = ring_open(rig->dir_fd, rig->file, access, &rig->ring, &why);

    if (err)
        fprintf(stderr, "ring_open: %d %s\n", err, why.text);
    RIG_NEED(err == 0);
}

/* The ring of a producer elsewhere; no name if there is none. */
static inline void rig_find(struct rig *rig)
{
    DIR *stream = opendir(rig->dir);
    struct dirent *entry;

    RIG_NEED(stream != NULL);
    rig->file[0] = '\0';
    while ((entry = readdir(stream)) != NULL)
        if (strstr(entry->d_name, ".ring"))
            snprintf(rig->file, sizeof(rig->file), "%s", entry->d_name);
    closedir(stream);
}

/* A shipper of one lane. */
static inline void rig_ship(struct rig *rig)
{
    rig_attach(rig, RING_ACCESS_SHIPPER);
    RIG_NEED(ring_lanes_begin(rig->ring, 1) == 0);
    ring_lane_open(&rig->lane, rig->ring, 0);
}

/* A writer of `capacity` bytes and a shipper of one lane. */
static inline void rig_open(struct rig *rig, uint64_t capacity)
{
    rig_dirs(rig);
    rig_write(rig, capacity);
    rig_ship(rig);
}

static inline void rig_remove(const char *dir)
{
    DIR *stream = opendir(dir);
    struct dirent *entry;

    while (stream && (entry = readdir(stream)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream)
        closedir(stream);
    rmdir(dir);
}

static inline void rig_close(struct rig *rig)
{
    ring_close(rig->ring);
    ring_writer_close(rig->writer);
    close(rig->dir_fd);
    rig_remove(rig->dir);
    rig_remove(rig->rings);
}

/* How many names the stream's directory has. */
static inline int rig_file_count(const struct rig *rig)
{
    DIR *stream = opendir(rig->dir);
    int count = -2;

    RIG_NEED(stream != NULL);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static inline int rig_put(struct rig *rig, const void *data, uint32_t len)
{
    return ring_writer_put(rig->writer, &(struct ring_shape){.payload_len = len}, data);
}

static inline void rig_ack(struct rig *rig, uint64_t pos)
{
    ring_lane_ack(&rig->lane, pos, pos);
}

/* Walks up to what is written; returns the number of records of the last walk. */
static inline int rig_walk(struct rig *rig)
{
    uint64_t write_pos;

    RIG_NEED(ring_lane_look(&rig->lane, &write_pos) == 0);
    return ring_walk(rig->ring, &rig->lane.walk_pos, write_pos, &rig->walk);
}

/* Takes all there is and gives the space back; returns the number of events. */
static inline int rig_drain(struct rig *rig)
{
    int count, sum = 0;

    while ((count = rig_walk(rig)) > 0)
        sum += count;
    RIG_NEED(count == 0);
    rig_ack(rig, rig->lane.walk_pos);
    return sum;
}

/* The writable bytes of the file, as a hostile member of the group has them. */
static inline uint8_t *rig_bytes(const struct rig *rig)
{
    int fd = openat(rig->dir_fd, rig->file, O_RDWR | O_CLOEXEC);
    uint8_t *bytes = mmap(NULL, ring_header(rig->ring)->file_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    RIG_NEED(fd >= 0 && bytes != MAP_FAILED);
    close(fd);
    return bytes;
}

static inline int64_t rig_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline int64_t rig_soon_ns(int64_t ms)
{
    return rig_now_ns() + ms * 1000000;
}

/* xorshift: a seed is printed and can be given again. */
static inline uint64_t rig_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint64_t rig_seed(int argc, char *argv[])
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)rig_now_ns() ^ (uint64_t)getpid() << 40;

    if (seed == 0)
        seed = 1;
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

#endif
