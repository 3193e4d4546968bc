/* A ring's file as somebody else opens it: the ladder of checks, the mapping by regions, liveness. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_stat.h"

#define FS_TMPFS 0x01021994
#define FS_RAMFS 0x858458f6
#define FS_HUGETLBFS 0x958458f6

static int open_file(int dir_fd, const char *file_name, enum ring_access access, int *fd, struct ring_refusal *why);
static int refuse_open(int dir_fd, const char *file_name, int err, struct ring_refusal *why);
static int check_file(int fd, const char *file_name, uint64_t *file_len, struct ring_refusal *why);
static int read_header(int fd, const char *file_name, uint64_t file_len, struct ring_header *header, struct ring_refusal *why);
static const char *inconsistency(const struct ring_header *header, uint64_t page_len);
static int read_at(int fd, void *to, size_t len, off_t off);
static uint64_t round_up(uint64_t len, uint64_t unit);
static bool is_zero(const uint8_t id[16]);
static uint64_t boottime_ns(void);

struct ring_geometry ring_geometry_of(uint64_t capacity)
{
    uint64_t page_len = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t table_len = ring_table_fill(NULL, NULL) * sizeof(struct ring_stat_desc);
    struct ring_geometry geometry = {.page_len = (uint32_t)page_len, .capacity = capacity};

    geometry.producer_off = round_up(sizeof(struct ring_header) + table_len, page_len);
    geometry.shipper_off = geometry.producer_off + round_up(sizeof(struct ring_producer), page_len);
    geometry.data_off = geometry.shipper_off + round_up(sizeof(struct ring_shipper), page_len);
    geometry.file_len = geometry.data_off + capacity;
    return geometry;
}

int ring_map(int fd, const struct ring_geometry *geometry, enum ring_side side, uint8_t **out)
{
    uint8_t *map = mmap(NULL, geometry->file_len, PROT_READ, MAP_SHARED, fd, 0);
    int err = 0;

    if (map == MAP_FAILED)
        return -errno;
    switch (side) {
    case RING_SIDE_PRODUCER:
        err = mprotect(map + geometry->producer_off, geometry->shipper_off - geometry->producer_off, PROT_READ | PROT_WRITE);
        if (!err)
            err = mprotect(map + geometry->data_off, geometry->capacity, PROT_READ | PROT_WRITE);
        break;
    case RING_SIDE_SHIPPER:
        err = mprotect(map + geometry->shipper_off, geometry->data_off - geometry->shipper_off, PROT_READ | PROT_WRITE);
        break;
    case RING_SIDE_VIEW:
        break;
    }
    if (err) {
        err = -errno;
        munmap(map, geometry->file_len);
        return err;
    }
    *out = map;
    return 0;
}

int ring_open(int dir_fd, const char *file_name, enum ring_access access, struct ring **out, struct ring_refusal *why)
{
    struct ring *ring = NULL;
    struct ring_geometry geometry;
    uint64_t file_len = 0;
    int fd = -1, err;

    *out = NULL;
    if (strlen(file_name) > NAME_MAX)
        return ring_refuse(why, RING_ABSENT, -ENAMETOOLONG, "ring name has more than %d bytes", NAME_MAX);
    err = open_file(dir_fd, file_name, access, &fd, why);
    if (err)
        goto out;
    err = check_file(fd, file_name, &file_len, why);
    if (err)
        goto out;
    ring = calloc(1, sizeof(*ring));
    if (!ring) {
        err = ring_refuse(why, RING_ABSENT, -ENOMEM, "ring %.100s: no memory for a handle of %zu bytes", file_name, sizeof(*ring));
        goto out;
    }
    err = read_header(fd, file_name, file_len, &ring->header, why);
    if (err)
        goto out;
    geometry = (struct ring_geometry){.file_len = file_len,
                                      .producer_off = ring->header.producer_off,
                                      .shipper_off = ring->header.shipper_off,
                                      .data_off = ring->header.data_off,
                                      .capacity = ring->header.capacity};
    err = ring_map(fd, &geometry, access == RING_ACCESS_SHIPPER ? RING_SIDE_SHIPPER : RING_SIDE_VIEW, &ring->map);
    if (err) {
        ring_refuse(why, RING_NOT_PERMITTED, err, "ring %.100s: cannot map %llu bytes: %s (the limit of mappings is vm.max_map_count)",
                    file_name, (unsigned long long)file_len, strerrordesc_np(-err));
        goto out;
    }
    ring->map_len = file_len;
    ring->guard = ring_guard_add(ring->map, file_len);
    if (!ring->guard) {
        err = ring_refuse(why, RING_NOT_PERMITTED, -ENOMEM, "ring %.100s: cannot be guarded against SIGBUS", file_name);
        goto out;
    }
    ring->producer = (const struct ring_producer *)(ring->map + geometry.producer_off);
    ring->shipper = (struct ring_shipper *)(ring->map + geometry.shipper_off);
    ring->data = ring->map + geometry.data_off;
    ring->capacity = geometry.capacity;
    ring->mask = geometry.capacity - 1;
    ring->access = access;
    ring->bell_base = boottime_ns(); /* grows faster than anybody can sleep */
    ring->in_memory = ring_fs_in_memory(fd);
    memcpy(ring->name, file_name, strlen(file_name) + 1);
    uint32_t reason = order_none_load32(&ring->shipper->control.quarantine);
    order_none_store32(&ring->quarantine, reason <= RING_QUARANTINE_POSITIONS ? reason : RING_QUARANTINE_POSITIONS);
    if (why)
        *why = (struct ring_refusal){.rung = RING_READY};
    *out = ring;
    ring = NULL;
out:
    ring_close(ring);
    if (fd >= 0)
        close(fd);
    return err;
}

void ring_close(struct ring *ring)
{
    if (!ring)
        return;
    ring_guard_remove(ring->guard);
    if (ring->map)
        munmap(ring->map, ring->map_len);
    free(ring);
}

bool ring_faulted(const struct ring *ring)
{
    return ring->guard && ring_guard_faulted(ring->guard);
}
const char *ring_name(const struct ring *ring)
{
    return ring->name;
}
const struct ring_header *ring_header(const struct ring *ring)
{
    return &ring->header;
}
uint64_t ring_capacity(const struct ring *ring)
{
    return ring->capacity;
}
const struct ring_producer *ring_producer(const struct ring *ring)
{
    return ring->producer;
}
const struct ring_shipper *ring_shipper(const struct ring *ring)
{
    return ring->shipper;
}

int ring_is_orphan(int dir_fd, const char *file_name)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(dir_fd, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int err;

    if (fd < 0)
        return -errno;
    err = fcntl(fd, F_OFD_GETLK, &lock) == 0 ? 0 : -errno;
    close(fd);
    return err ? err : lock.l_type == F_UNLCK;
}

bool ring_is_this_boot(const struct ring *ring)
{
    uint8_t now[16];

    ring_boot_id(now);
    if (is_zero(now) ||
        is_zero(ring->header.boot_id)) /* no /proc: what lies in memory did not outlive a boot, of a disk nothing is known */
        return ring->in_memory;
    return memcmp(now, ring->header.boot_id, sizeof(now)) == 0;
}

int ring_refuse(struct ring_refusal *why, enum ring_rung rung, int err, const char *format, ...)
{
    va_list args;

    if (!why)
        return err;
    why->rung = rung;
    va_start(args, format);
    vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    return err;
}

bool ring_fs_in_memory(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return false;
    uint64_t type = (uint64_t)fs.f_type;
    return type == FS_TMPFS || type == FS_RAMFS || type == FS_HUGETLBFS;
}

void ring_boot_id(uint8_t boot_id[16])
{
    char text[37] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    unsigned byte;
    size_t at = 0;

    memset(boot_id, 0, 16);
    if (fd < 0)
        return;
    if (read(fd, text, 36) != 36)
        text[0] = '\0';
    close(fd);
    for (const char *c = text; *c && at < 16; c += 2) {
        if (*c == '-')
            c++;
        if (sscanf(c, "%2x", &byte) != 1)
            break;
        boot_id[at++] = (uint8_t)byte;
    }
}

static int open_file(int dir_fd, const char *file_name, enum ring_access access, int *fd, struct ring_refusal *why)
{
    int mode = access == RING_ACCESS_SHIPPER ? O_RDWR : O_RDONLY;

    *fd = openat(dir_fd, file_name, mode | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return *fd >= 0 ? 0 : refuse_open(dir_fd, file_name, -errno, why);
}

static int refuse_open(int dir_fd, const char *file_name, int err, struct ring_refusal *why)
{
    struct stat stat = {0};

    if (err == -ENOENT)
        return ring_refuse(why, RING_ABSENT, err, "ring %.100s is absent", file_name);
    if (err == -ELOOP)
        return ring_refuse(why, RING_NOT_PERMITTED, err, "ring %.100s is a symbolic link", file_name);
    if (err == -EACCES && fstatat(dir_fd, file_name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
        return ring_refuse(why, RING_NOT_PERMITTED, err,
                           "ring %.60s is owned by uid %u and not open to uid %u: add a default ACL u:%u:rw to the stream's directory",
                           file_name, (unsigned)stat.st_uid, (unsigned)geteuid(), (unsigned)geteuid());
    return ring_refuse(why, RING_NOT_PERMITTED, err, "ring %.100s: cannot open: %s", file_name, strerrordesc_np(-err));
}

static int check_file(int fd, const char *file_name, uint64_t *file_len, struct ring_refusal *why)
{
    struct stat stat;

    if (fstat(fd, &stat) != 0)
        return ring_refuse(why, RING_NOT_PERMITTED, -errno, "ring %.100s: cannot stat", file_name);
    if (!S_ISREG(stat.st_mode))
        return ring_refuse(why, RING_NOT_PERMITTED, -EPERM, "ring %.100s is not a regular file", file_name);
    if (stat.st_nlink == 0)
        return ring_refuse(why, RING_ABSENT, -ENOENT, "ring %.100s was removed", file_name);
    if (stat.st_nlink != 1)
        return ring_refuse(why, RING_NOT_PERMITTED, -EPERM, "ring %.100s has %lu names instead of 1", file_name,
                           (unsigned long)stat.st_nlink);
    if (stat.st_mode & S_IWOTH)
        return ring_refuse(why, RING_NOT_PERMITTED, -EPERM, "ring %.100s has mode %04o: anybody may write it, chmod o-w", file_name,
                           (unsigned)(stat.st_mode & 07777));
    *file_len = (uint64_t)stat.st_size;
    return 0;
}

/* By pread, not through a mapping: a file that shrinks meanwhile is an error and no signal. The version first: what it stands for is older.
 */
static int read_header(int fd, const char *file_name, uint64_t file_len, struct ring_header *header, struct ring_refusal *why)
{
    const char *wrong;
    uint32_t version;

    if (file_len < sizeof(*header))
        return ring_refuse(why, RING_TOO_SHORT, -EBADMSG, "ring %.100s has %llu bytes, a header has %zu", file_name,
                           (unsigned long long)file_len, sizeof(*header));
    if (read_at(fd, &header->version, sizeof(header->version), offsetof(struct ring_header, version)) != 0)
        return ring_refuse(why, RING_TOO_SHORT, -EBADMSG, "ring %.100s: its header cannot be read", file_name);
    version = order_load_version(&header->version);
    if (read_at(fd, header, sizeof(*header), 0) != 0)
        return ring_refuse(why, RING_TOO_SHORT, -EBADMSG, "ring %.100s: its header cannot be read", file_name);
    if (header->magic != RING_MAGIC)
        return ring_refuse(why, RING_NOT_A_RING, -EBADMSG, "ring %.100s begins with %016llx instead of %016llx", file_name,
                           (unsigned long long)header->magic, (unsigned long long)RING_MAGIC);
    if (version == 0)
        return ring_refuse(why, RING_UNPUBLISHED, -EAGAIN, "ring %.100s is not published", file_name);
    if (version != RING_VERSION)
        return ring_refuse(why, RING_WRONG_VERSION, -EPROTONOSUPPORT, "ring %.100s has version %u, this program reads %u", file_name,
                           version, RING_VERSION);
    wrong = inconsistency(header, (uint64_t)sysconf(_SC_PAGESIZE));
    if (wrong)
        return ring_refuse(why, RING_INCONSISTENT, -EBADMSG, "ring %.100s: its %s cannot be", file_name, wrong);
    if (header->file_len != file_len)
        return ring_refuse(why, file_len < header->file_len ? RING_TOO_SHORT : RING_INCONSISTENT, -EBADMSG,
                           "ring %.100s has %llu bytes instead of %llu", file_name, (unsigned long long)file_len,
                           (unsigned long long)header->file_len);
    header->name[RING_NAME_BYTES - 1] = '\0';
    header->stream[RING_NAME_BYTES - 1] = '\0';
    return 0;
}

/* Which field of a geometry is wrong; NULL: none. Every sum is of numbers bounded before. */
static const char *inconsistency(const struct ring_header *header, uint64_t page_len)
{
    uint64_t capacity = header->capacity;

    if (header->header_len != sizeof(*header))
        return "header length";
    if (capacity < RING_CAPACITY_MIN || capacity > RING_CAPACITY_MAX || (capacity & (capacity - 1)) != 0)
        return "capacity";
    if (header->page_len != page_len)
        return "page size on this machine";
    if ((header->producer_off | header->shipper_off | header->data_off) % page_len != 0)
        return "alignment of regions";
    if (header->producer_off < sizeof(*header) || header->producer_off > RING_CAPACITY_MAX)
        return "producer's offset";
    if (header->shipper_off < header->producer_off + sizeof(struct ring_producer) || header->shipper_off > RING_CAPACITY_MAX)
        return "shipper's offset";
    if (header->data_off < header->shipper_off + sizeof(struct ring_shipper) || header->data_off > RING_CAPACITY_MAX)
        return "data's offset";
    if (header->file_len != header->data_off + capacity)
        return "file length";
    if (header->stat_desc_len != sizeof(struct ring_stat_desc) || header->stat_off < sizeof(*header) ||
        header->stat_off > header->producer_off ||
        header->stat_count > (header->producer_off - header->stat_off) / sizeof(struct ring_stat_desc))
        return "table of counters";
    return NULL;
}

static int read_at(int fd, void *to, size_t len, off_t off)
{
    ssize_t got;

    do
        got = pread(fd, to, len, off);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)len ? 0 : -EIO;
}

static uint64_t round_up(uint64_t len, uint64_t unit)
{
    return (len + unit - 1) / unit * unit;
}

static bool is_zero(const uint8_t id[16])
{
    static const uint8_t zero[16];

    return memcmp(id, zero, sizeof(zero)) == 0;
}

static uint64_t boottime_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}
