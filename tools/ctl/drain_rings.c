/* The rings of one stream or all, and whether all that was written is settled. */
#include "drain_rings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "ringbuf/ring_order.h"

static int open_stream(struct drain_rings *rings, int rings_fd, const char *stream);
static int open_ring(struct drain_rings *rings, int dir_fd, const char *stream, const char *name);
static int grow(struct drain_rings *rings);
static void look(const struct drain_rings *rings, struct drain_ring *ring);
static uint64_t gate_of(const struct drain_ring *ring);
static int is_gone(const struct drain_rings *rings, const struct drain_ring *ring);
static void unknown(struct drain_ring *ring, const char *why);
static int ends_with_ring(const char *name);

int drain_rings_open(struct drain_rings *rings, const char *rings_dir, const char *stream)
{
    DIR *dir = opendir(rings_dir);
    struct dirent *entry;
    int err = dir ? 0 : -errno;

    *rings = (struct drain_rings){.dir = rings_dir};
    if (dir && stream)
        err = open_stream(rings, dirfd(dir), stream);
    while (dir && !stream && !err && (entry = readdir(dir)))
        if (option_is_name(entry->d_name))
            err = open_stream(rings, dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
    if (err)
        fprintf(stderr, "ehring-ctl: %s%s%s: %s\n", rings_dir, stream ? "/" : "", stream ? stream : "", strerror(-err));
    else
        drain_rings_look(rings);
    return err;
}

void drain_rings_close(struct drain_rings *rings)
{
    for (size_t i = 0; i < rings->count; i++) {
        ring_close(rings->ring[i].ring);
        free(rings->ring[i].stream);
        free(rings->ring[i].name);
    }
    free(rings->ring);
    *rings = (struct drain_rings){0};
}

void drain_rings_look(struct drain_rings *rings)
{
    rings->waiting_count = 0;
    for (size_t i = 0; i < rings->count; i++) {
        if (rings->ring[i].state == DRAIN_WAITING)
            look(rings, &rings->ring[i]);
        rings->waiting_count += rings->ring[i].state == DRAIN_WAITING;
    }
}

uint64_t drain_ring_left(const struct drain_ring *ring)
{
    uint64_t left = ring->target_pos - gate_of(ring);

    return left <= ring_capacity(ring->ring) ? left : 0; /* the gate has passed it */
}

uint64_t drain_rings_left(const struct drain_rings *rings)
{
    uint64_t left = 0;

    for (size_t i = 0; i < rings->count; i++)
        if (rings->ring[i].state == DRAIN_WAITING)
            left += drain_ring_left(&rings->ring[i]);
    return left;
}

/* What is no directory (locks, sockets) has no rings. Each stream that was asked for must be there. */
static int open_stream(struct drain_rings *rings, int rings_fd, const char *stream)
{
    int fd = openat(rings_fd, stream, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir) {
        err = -errno;
        if (fd >= 0)
            close(fd);
        return err == -ENOTDIR || err == -ELOOP ? 0 : err;
    }
    while (!err && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && ends_with_ring(entry->d_name))
            err = open_ring(rings, fd, stream, entry->d_name);
    closedir(dir);
    return err;
}

static int open_ring(struct drain_rings *rings, int dir_fd, const char *stream, const char *name)
{
    struct drain_ring ring = {.stream = strdup(stream), .name = strdup(name)};
    struct ring_refusal why = {0};
    int err = ring.stream && ring.name && grow(rings) == 0 ? 0 : -ENOMEM;

    if (!err) {
        err = ring_open(dir_fd, name, RING_ACCESS_VIEW, &ring.ring, &why);
        if (err && err != -ENOENT) { /* that one is drained and removed meanwhile */
            fprintf(stderr, "ehring-ctl: %s/%s/%s: %s\n", rings->dir, stream, name, why.text);
            rings->unreadable_count++;
        }
        if (err) {
            free(ring.stream);
            free(ring.name);
            return 0;
        }
        ring.target_pos = order_observe(&ring_producer(ring.ring)->hot.write_pos);
        rings->ring[rings->count++] = ring;
        return 0;
    }
    free(ring.stream);
    free(ring.name);
    return err;
}

static int grow(struct drain_rings *rings)
{
    if (rings->count < rings->cap)
        return 0;
    size_t cap = rings->cap ? rings->cap * 2 : 64;
    struct drain_ring *more = realloc(rings->ring, cap * sizeof(*more));
    if (!more)
        return -ENOMEM;
    rings->ring = more;
    rings->cap = cap;
    return 0;
}

/* Whether the file is there is looked at before the gate: a drained ring's gate has reached its end by the time the file goes. */
static void look(const struct drain_rings *rings, struct drain_ring *ring)
{
    int gone = is_gone(rings, ring);
    uint64_t gate_pos = gate_of(ring);

    if (ring_faulted(ring->ring))
        unknown(ring, "the file was cut while it was looked at");
    else if (ring_quarantined(ring->ring) != RING_QUARANTINE_NONE)
        unknown(ring, "in quarantine: nobody will drain it; ehring-stat tells why");
    else if (gate_pos - ring->target_pos <= INT64_MAX)
        ring->state = DRAIN_SETTLED;
    else if (ring->target_pos - gate_pos > ring_capacity(ring->ring))
        unknown(ring, "its positions cannot be");
    else if (gone && !ring_is_this_boot(ring->ring))
        ring->state = DRAIN_SETTLED; /* what had not reached the disk before the reboot was dropped and counted */
    else if (gone)
        unknown(ring, "it was removed before all of it was settled");
}

static uint64_t gate_of(const struct drain_ring *ring)
{
    return order_load_gate(&ring_shipper(ring->ring)->gate.gate_pos);
}

static int is_gone(const struct drain_rings *rings, const struct drain_ring *ring)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s/%s", rings->dir, ring->stream, ring->name);
    return access(path, F_OK) != 0 && errno == ENOENT;
}

static void unknown(struct drain_ring *ring, const char *why)
{
    ring->state = DRAIN_UNKNOWN;
    ring->why = why;
}

static int ends_with_ring(const char *name)
{
    size_t len = strlen(name);

    return len > 5 && strcmp(name + len - 5, ".ring") == 0;
}
