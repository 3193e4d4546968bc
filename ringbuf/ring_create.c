/* Makes a ring file whole: nameless, allocated, filled in, locked, and only then under its final name. */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_stat.h"

#define CAPACITY_DEFAULT (UINT64_C(8) << 20)
#define UUID_TEXT 37
#define FILE_MODE 0660

struct draft { /* a file that has no final name yet */
    int dir_fd;
    int fd;
    char dot_name[NAME_MAX + 1]; /* empty: the file has no name at all */
    char file_name[NAME_MAX + 1];
    char name[RING_NAME_BYTES];
    char *dir; /* absolute, no slash at the end */
};

static int draft_name(const struct ring_writer_options *options, struct draft *draft, uint8_t uuid[16], struct ring_refusal *why);
static int draft_paths(const struct ring_writer_options *options, struct draft *draft, struct ring_created *out, struct ring_refusal *why);
static int draft_open(struct draft *draft, struct ring_refusal *why);
static int draft_fill(struct draft *draft, const struct ring_writer_options *options, struct ring_created *out, struct ring_refusal *why);
static int draft_lock(const struct draft *draft, struct ring_refusal *why);
static int draft_publish(struct draft *draft, struct ring_refusal *why);
static int draft_sync(const struct draft *draft, struct ring_refusal *why);
static void name_sync(const struct draft *draft);
static void fill_header(struct ring_header *header, const struct draft *draft, const struct ring_created *created, bool times_all);
static int make_uuid(uint8_t uuid[16], char text[UUID_TEXT]);
static void clean_name(const char *from, char to[RING_NAME_BYTES]);
static int capacity_of(uint64_t wanted, uint64_t *capacity, struct ring_refusal *why);
static char *absolute_dir(const char *dir);
static bool register_membarrier(void);

int ring_create(const struct ring_writer_options *options, struct ring_created *out, struct ring_refusal *why)
{
    struct draft draft = {.dir_fd = -1, .fd = -1};
    uint64_t capacity = 0;
    int err;

    *out = (struct ring_created){0};
    if ((err = capacity_of(options->capacity, &capacity, why)) != 0 || (err = draft_name(options, &draft, out->uuid, why)) != 0 ||
        (err = draft_paths(options, &draft, out, why)) != 0 || (err = draft_open(&draft, why)) != 0)
        goto out;
    out->geometry = ring_geometry_of(capacity);
    out->registered = register_membarrier();
    if ((err = draft_fill(&draft, options, out, why)) != 0 || (err = draft_lock(&draft, why)) != 0 ||
        (options->group_sync && out->on_disk && (err = draft_sync(&draft, why)) != 0) || (err = draft_publish(&draft, why)) != 0)
        goto out;
    if (options->group_sync && out->on_disk)
        name_sync(&draft);
out:
    if (draft.dot_name[0])
        unlinkat(draft.dir_fd, draft.dot_name, 0);
    if (draft.fd >= 0)
        close(draft.fd); /* the lock stays: the mapping holds the description */
    if (draft.dir_fd >= 0)
        close(draft.dir_fd);
    free(draft.dir);
    if (err && out->map)
        munmap(out->map, out->map_len);
    return err;
}

static int draft_name(const struct ring_writer_options *options, struct draft *draft, uint8_t uuid[16], struct ring_refusal *why)
{
    char text[UUID_TEXT];
    int err;

    if (options->name && (strlen(options->name) >= RING_NAME_BYTES || options->name[0] == '\0'))
        return ring_refuse(why, RING_ABSENT, -EINVAL, "ring name has %zu bytes instead of 1 to %u", strlen(options->name),
                           RING_NAME_BYTES - 1);
    clean_name(options->name ? options->name : program_invocation_short_name, draft->name);
    if (options->name && strcmp(options->name, draft->name) != 0)
        return ring_refuse(why, RING_ABSENT, -EINVAL, "ring name \"%s\" is not made of A-Z a-z 0-9 . _ - or begins with a dot",
                           options->name);
    if ((err = make_uuid(uuid, text)) != 0)
        return ring_refuse(why, RING_ABSENT, err, "no random bytes for the ring's uuid: %s", strerrordesc_np(-err));
    snprintf(draft->file_name, sizeof(draft->file_name), "%s.%d.%s.ring", draft->name, (int)getpid(), text);
    return 0;
}

static int draft_paths(const struct ring_writer_options *options, struct draft *draft, struct ring_created *out, struct ring_refusal *why)
{
    if (!options->stream_dir || options->stream_dir[0] == '\0')
        return ring_refuse(why, RING_ABSENT, -EINVAL, "no stream directory named");
    draft->dir = absolute_dir(options->stream_dir);
    if (!draft->dir)
        return ring_refuse(why, RING_ABSENT, -ENOMEM, "no memory for a path");
    int len = snprintf(out->path, sizeof(out->path), "%s/%s", draft->dir, draft->file_name);
    if (len < 0 || (size_t)len >= sizeof(out->path))
        return ring_refuse(why, RING_ABSENT, -ENAMETOOLONG, "stream directory %.100s… has a path of more than %zu bytes", draft->dir,
                           sizeof(out->path));
    len = snprintf(out->bell_path, sizeof(out->bell_path), "%s.bell", draft->dir);
    if (len < 0 || (size_t)len >= sizeof(out->bell_path))
        return ring_refuse(why, RING_ABSENT, -ENAMETOOLONG, "doorbell %.100s….bell has %d bytes, a socket's path at most %u", draft->dir,
                           len, RING_BELL_PATH_BYTES - 1);
    if (strlen(strrchr(draft->dir, '/') + 1) >= RING_NAME_BYTES)
        return ring_refuse(why, RING_ABSENT, -ENAMETOOLONG, "stream name %.80s… has more than %u bytes", strrchr(draft->dir, '/') + 1,
                           RING_NAME_BYTES - 1);
    return 0;
}

static int draft_open(struct draft *draft, struct ring_refusal *why)
{
    int err = 0;

    draft->dir_fd = open(draft->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (draft->dir_fd < 0)
        return ring_refuse(why, RING_ABSENT, -errno, "stream directory %.120s: %s", draft->dir, strerrordesc_np(errno));
    draft->fd = openat(draft->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (draft->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
        snprintf(draft->dot_name, sizeof(draft->dot_name), ".%.*s", NAME_MAX - 1, draft->file_name);
        draft->fd = openat(draft->dir_fd, draft->dot_name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
        if (draft->fd < 0) {
            err = -errno;
            draft->dot_name[0] = '\0';
            errno = -err;
        }
    }
    if (draft->fd < 0)
        return ring_refuse(why, RING_NOT_PERMITTED, -errno, "cannot make a file in %.120s: %s", draft->dir, strerrordesc_np(errno));
    if (fchmod(draft->fd, FILE_MODE) != 0)
        return ring_refuse(why, RING_NOT_PERMITTED, -errno, "cannot set the mode of a file in %.120s: %s", draft->dir,
                           strerrordesc_np(errno));
    return 0;
}

static int draft_fill(struct draft *draft, const struct ring_writer_options *options, struct ring_created *out, struct ring_refusal *why)
{
    const struct ring_geometry *geometry = &out->geometry;
    bool in_memory = ring_fs_in_memory(draft->fd);
    struct ring_header header = {0};
    size_t constants_len = geometry->producer_off;
    uint8_t *constants = NULL;
    int err;

    out->on_disk = !in_memory;
    err = ring_space_take(draft->fd, draft->dir, geometry->file_len, in_memory, why);
    if (err)
        return err;
    constants = calloc(1, constants_len);
    if (!constants)
        return ring_refuse(why, RING_ABSENT, -ENOMEM, "no memory");
    fill_header(&header, draft, out, options->times_all);
    ring_table_fill((struct ring_stat_desc *)(constants + sizeof(header)), geometry);
    memcpy(constants, &header, sizeof(header));
    order_publish_version(&((struct ring_header *)constants)->version, RING_VERSION);
    /* All but the version, then the version: a file that is found half-filled (no O_TMPFILE, power cut) is unpublished. */
    size_t after = offsetof(struct ring_header, version) + sizeof(header.version);
    if (pwrite(draft->fd, constants + after, constants_len - after, (off_t)after) != (ssize_t)(constants_len - after) ||
        pwrite(draft->fd, constants, after, 0) != (ssize_t)after)
        err = ring_refuse(why, RING_ABSENT, -EIO, "cannot fill a ring in %.120s", draft->dir);
    free(constants);
    if (!err && (err = ring_map(draft->fd, geometry, RING_SIDE_PRODUCER, &out->map)) != 0)
        ring_refuse(why, RING_ABSENT, err, "cannot map %llu bytes: %s", (unsigned long long)geometry->file_len, strerrordesc_np(-err));
    if (err)
        return err;
    out->map_len = geometry->file_len;
    if (madvise(out->map, out->map_len, MADV_DONTFORK) != 0)
        return ring_refuse(why, RING_ABSENT, -errno, "MADV_DONTFORK: %s", strerrordesc_np(errno));
    ring_space_touch(out->map + geometry->data_off, geometry->capacity, geometry->page_len, in_memory);
    return 0;
}

/* On the description through which the ring is mapped: the lock lives as long as the mapping, whoever inherits descriptors. */
static int draft_lock(const struct draft *draft, struct ring_refusal *why)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(draft->fd, F_OFD_SETLK, &lock) != 0)
        return ring_refuse(why, RING_ABSENT, -errno, "cannot lock a ring in %.120s: %s", draft->dir, strerrordesc_np(errno));
    return 0;
}

static int draft_publish(struct draft *draft, struct ring_refusal *why)
{
    char link[64];
    int err;

    if (draft->dot_name[0]) {
        err = linkat(draft->dir_fd, draft->dot_name, draft->dir_fd, draft->file_name, 0) == 0 ? 0 : -errno;
    } else {
        err = linkat(draft->fd, "", draft->dir_fd, draft->file_name, AT_EMPTY_PATH) == 0 ? 0 : -errno;
        if (err && err != -EEXIST) { /* kernels before 6.10 want a capability for that */
            snprintf(link, sizeof(link), "/proc/self/fd/%d", draft->fd);
            err = linkat(AT_FDCWD, link, draft->dir_fd, draft->file_name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
        }
    }
    if (err)
        return ring_refuse(why, RING_NOT_PERMITTED, err, "cannot name a ring in %.120s: %s", draft->dir, strerrordesc_np(-err));
    return 0;
}

static int draft_sync(const struct draft *draft, struct ring_refusal *why)
{
    if (fsync(draft->fd) == 0)
        return 0;
    return ring_refuse(why, RING_ABSENT, -errno, "cannot sync a ring in %.120s: %s", draft->dir, strerrordesc_np(errno));
}

/* The name too must survive a power cut. Where the directory may not be read, the file system's own order must do. */
static void name_sync(const struct draft *draft)
{
    int fd = openat(draft->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static void fill_header(struct ring_header *header, const struct draft *draft, const struct ring_created *created, bool times_all)
{
    const struct ring_geometry *geometry = &created->geometry;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    header->magic = RING_MAGIC;
    header->header_len = sizeof(*header);
    header->file_len = geometry->file_len;
    header->producer_off = geometry->producer_off;
    header->shipper_off = geometry->shipper_off;
    header->data_off = geometry->data_off;
    header->capacity = geometry->capacity;
    header->page_len = geometry->page_len;
    header->stat_off = sizeof(*header);
    header->stat_count = ring_table_fill(NULL, NULL);
    header->stat_desc_len = sizeof(struct ring_stat_desc);
    header->flags = (created->registered ? (uint32_t)RING_HEADER_MEMBARRIER : 0) | (times_all ? (uint32_t)RING_HEADER_TIMES_ALL : 0);
    header->pid = (uint32_t)getpid();
    header->uid = (uint32_t)geteuid();
    header->created_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    memcpy(header->uuid, created->uuid, sizeof(header->uuid));
    ring_boot_id(header->boot_id);
    memcpy(header->name, draft->name, sizeof(header->name));
    snprintf(header->stream, sizeof(header->stream), "%s", strrchr(draft->dir, '/') + 1);
}

static int make_uuid(uint8_t uuid[16], char text[UUID_TEXT])
{
    size_t at = 0;

    if (getrandom(uuid, 16, 0) != 16)
        return -EIO;
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    for (int i = 0; i < 16; i++)
        at += (size_t)snprintf(text + at, UUID_TEXT - at, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
    return 0;
}

/* A program may be called anything: what cannot be in a ring's name becomes an underscore. */
static void clean_name(const char *from, char to[RING_NAME_BYTES])
{
    size_t len = 0;

    for (; from[len] && len < RING_NAME_BYTES - 1; len++) {
        char c = from[len];
        bool fine =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || (c == '.' && len > 0);
        to[len] = fine ? c : '_';
    }
    if (len == 0)
        to[len++] = '_';
    to[len] = '\0';
}

static int capacity_of(uint64_t wanted, uint64_t *capacity, struct ring_refusal *why)
{
    if (wanted > RING_CAPACITY_MAX)
        return ring_refuse(why, RING_ABSENT, -EINVAL, "capacity %llu exceeds %llu", (unsigned long long)wanted,
                           (unsigned long long)RING_CAPACITY_MAX);
    *capacity = wanted ? RING_CAPACITY_MIN : CAPACITY_DEFAULT;
    while (*capacity < wanted)
        *capacity *= 2;
    return 0;
}

/* Absolute, so that a chdir of the program does not silence its bell. */
static char *absolute_dir(const char *dir)
{
    char *cwd = dir[0] == '/' ? NULL : getcwd(NULL, 0), *path = NULL;
    size_t len;

    if (dir[0] != '/' && !cwd)
        return NULL;
    if (asprintf(&path, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", dir) < 0)
        path = NULL;
    free(cwd);
    for (len = path ? strlen(path) : 0; len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    return path;
}

static bool register_membarrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}
