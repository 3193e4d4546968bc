/* The segment of one stream that is being written. */
#include "shipper/deadletter_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/deadletter.h"

enum { NAMES_TRIED_MAX = 1000 };
static const char suffix[] = ".jsonl";

static bool segment_is_full(const struct deadletter_segment *segment, const struct deadletter_limits *limits, size_t len);
static bool segment_is_gone(const struct deadletter_segment *segment);
static void segment_end(struct deadletter_segment *segment);
static void dir_leave(struct deadletter_segment *segment);
static int segment_begin(struct deadletter_segment *segment, char *error, size_t error_cap);
static int segment_make(struct deadletter_segment *segment);
static int segment_lock(const struct deadletter_segment *segment);
static int dir_enter(struct deadletter_segment *segment, char *error, size_t error_cap);
static int dir_make(const char *path);
static uint32_t number_last(int dir_fd);
static int write_whole(int fd, const char *text, size_t len);

void deadletter_segment_init(struct deadletter_segment *segment, const char *dir, const char *stream)
{
    *segment = (struct deadletter_segment){.dir_fd = -1, .fd = -1};
    snprintf(segment->dir, sizeof segment->dir, "%s/%s", dir, stream);
}

void deadletter_segment_close(struct deadletter_segment *segment)
{
    segment_end(segment);
    dir_leave(segment);
}

int deadletter_segment_append(struct deadletter_segment *segment, const struct deadletter_limits *limits, const char *text, size_t len,
                              char *error, size_t error_cap)
{
    if (segment->fd >= 0 && segment_is_gone(segment)) { /* with its directory perhaps */
        segment_end(segment);
        dir_leave(segment);
    }
    if (segment->fd >= 0 && segment_is_full(segment, limits, len))
        segment_end(segment);
    int rc = segment->fd >= 0 ? 0 : segment_begin(segment, error, error_cap);
    if (rc != 0)
        return rc;
    rc = write_whole(segment->fd, text, len);
    bool written = rc == 0;
    if (written && fsync(segment->fd) != 0)
        rc = -errno;
    if (rc == 0) {
        segment->len += len;
        return 0;
    }
    snprintf(error, error_cap, "dead letters: %s bytes to %s failed (%zu bytes): %s", written ? "syncing" : "appending", segment->path, len,
             strerror(-rc));
    /* after a failed fsync nobody knows which pages are on the disk: that file is written no more */
    if (ftruncate(segment->fd, (off_t)segment->len) != 0 || written)
        segment_end(segment);
    return rc;
}

static bool segment_is_full(const struct deadletter_segment *segment, const struct deadletter_limits *limits, size_t len)
{
    uint64_t bytes_max = limits->segment_bytes_max ? limits->segment_bytes_max : DEADLETTER_SEGMENT_BYTES_DEFAULT;
    uint32_t seconds_max = limits->segment_seconds_max ? limits->segment_seconds_max : DEADLETTER_SEGMENT_SECONDS_DEFAULT;
    if (segment->len == 0) /* one job may be larger than a segment */
        return false;
    return segment->len + len > bytes_max || clock_mono_ns() - segment->opened_ns >= seconds_max * CLOCK_NS_PER_SECOND;
}

/* Somebody removed the file under us: what is appended would never be seen. */
static bool segment_is_gone(const struct deadletter_segment *segment)
{
    struct stat info;
    return fstat(segment->fd, &info) != 0 || info.st_nlink == 0;
}

/* An empty one is not left behind. */
static void segment_end(struct deadletter_segment *segment)
{
    if (segment->fd < 0)
        return;
    if (segment->len == 0)
        unlinkat(segment->dir_fd, strrchr(segment->path, '/') + 1, 0);
    close(segment->fd);
    segment->fd = -1;
    segment->len = 0;
}

static void dir_leave(struct deadletter_segment *segment)
{
    if (segment->dir_fd >= 0)
        close(segment->dir_fd);
    segment->dir_fd = -1;
}

static int segment_begin(struct deadletter_segment *segment, char *error, size_t error_cap)
{
    int rc = segment->dir_fd >= 0 ? 0 : dir_enter(segment, error, error_cap);
    if (rc != 0)
        return rc;
    rc = segment_make(segment);
    if (rc == -ENOENT) { /* the directory was removed: make it again */
        dir_leave(segment);
        rc = dir_enter(segment, error, error_cap);
        if (rc != 0)
            return rc;
        rc = segment_make(segment);
    }
    if (rc == 0 && fsync(segment->dir_fd) != 0) { /* the name must be on the disk, too */
        rc = -errno;
        segment_end(segment);
    }
    if (rc != 0)
        snprintf(error, error_cap, "dead letters: a segment in %s cannot be made: %s", segment->dir, strerror(-rc));
    return rc;
}

/* Under a name that was never used, so that no half line of an earlier life is appended to. */
static int segment_make(struct deadletter_segment *segment)
{
    char stamp[32];
    time_t now = (time_t)(clock_wall_ns() / CLOCK_NS_PER_SECOND);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (int tried = 0; tried < NAMES_TRIED_MAX; tried++) {
        segment->number++;
        snprintf(segment->path, sizeof segment->path, "%s/%s-%06" PRIu32 "%s", segment->dir, stamp, segment->number, suffix);
        segment->fd = openat(segment->dir_fd, strrchr(segment->path, '/') + 1, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (segment->fd < 0 && errno != EEXIST)
            return -errno;
        if (segment->fd < 0)
            continue;
        segment->len = 0;
        segment->opened_ns = clock_mono_ns();
        if (segment_lock(segment) == 0)
            return 0;
        close(segment->fd); /* between making and locking somebody began to purge it */
        segment->fd = -1;
    }
    return -EEXIST;
}

/* Released by the kernel with the descriptor, whatever ends this process. */
static int segment_lock(const struct deadletter_segment *segment)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(segment->fd, F_OFD_SETLK, &lock) != 0)
        return -errno;
    return segment_is_gone(segment) ? -ENOENT : 0;
}

static int dir_enter(struct deadletter_segment *segment, char *error, size_t error_cap)
{
    char at[sizeof segment->dir];
    int rc = 0;
    for (const char *end = segment->dir; rc == 0 && end;) { /* from the top: what is missing is made */
        end = strchr(end + 1, '/');
        snprintf(at, sizeof at, "%.*s", (int)(end ? end - segment->dir : (ptrdiff_t)strlen(segment->dir)), segment->dir);
        rc = dir_make(at);
    }
    if (rc == 0) {
        segment->dir_fd = open(segment->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        rc = segment->dir_fd < 0 ? -errno : 0;
    }
    if (rc == 0)
        segment->number = number_last(segment->dir_fd);
    else
        snprintf(error, error_cap, "dead letters: directory %s: %s", at, strerror(-rc));
    return rc;
}

/* Made with its name on the disk, or there already. */
static int dir_make(const char *path)
{
    char parent[1200];
    if (mkdir(path, 0750) != 0)
        return errno == EEXIST ? 0 : -errno;
    snprintf(parent, sizeof parent, "%s/..", path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
    if (fd >= 0 && fsync(fd) != 0)
        rc = -errno;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The highest number of a segment that is there: names sort by the time they were made even within a second. */
static uint32_t number_last(int dir_fd)
{
    uint32_t last = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        unsigned number;
        int end = 0;
        if (sscanf(entry->d_name, "%*8[0-9]T%*6[0-9]Z-%u%n", &number, &end) == 1 && strcmp(entry->d_name + end, suffix) == 0 &&
            number > last && number < UINT32_MAX - NAMES_TRIED_MAX)
            last = number;
    }
    closedir(dir);
    return last;
}

static int write_whole(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, text, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        text += written;
        len -= (size_t)written;
    }
    return 0;
}
