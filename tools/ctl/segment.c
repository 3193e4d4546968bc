/* The segments of dead letters that lie in a directory, and their lines. */
#include "segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

static const char suffix[] = ".jsonl";

enum wanted { WANTED_DIRS, WANTED_SEGMENTS };

static int list(const char *path, enum wanted wanted, const char *only, struct segment_names *names);
static bool fits(int dir_fd, const char *name, enum wanted wanted);
static int add(struct segment_names *names, const char *name);
static int by_text(const void *left, const void *right);
static bool is_whole(struct segment *segment, ssize_t len);

int segment_streams(const char *dir, const char *stream, struct segment_names *names)
{
    return list(dir, WANTED_DIRS, stream, names);
}

int segment_list(const char *dir, const char *stream, struct segment_names *names)
{
    char path[4096];

    *names = (struct segment_names){0};
    if (snprintf(path, sizeof(path), "%s/%s", dir, stream) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    return list(path, WANTED_SEGMENTS, NULL, names);
}

void segment_names_free(struct segment_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    *names = (struct segment_names){0};
}

int segment_open(struct segment *segment, const char *dir, const char *stream, const char *name)
{
    int fd, err = 0;

    *segment = (struct segment){0};
    if (snprintf(segment->path, sizeof(segment->path), "%s/%s/%s", dir, stream, name) >= (int)sizeof(segment->path))
        return -ENAMETOOLONG;
    segment->name = strrchr(segment->path, '/') + 1;
    fd = open(segment->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    segment->file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (segment->file)
        return 0;
    err = -errno;
    if (fd >= 0)
        close(fd);
    fprintf(stderr, "ehring-ctl: %s: %s\n", segment->path, strerror(-err));
    return err;
}

int segment_next(struct segment *segment, struct letter *letter)
{
    char why[200];

    for (;;) {
        errno = 0;
        ssize_t len = getline(&segment->line, &segment->line_cap, segment->file);
        if (len <= 0) {
            int err = ferror(segment->file) || errno == ENOMEM ? -(errno ? errno : EIO) : 0;
            if (err)
                fprintf(stderr, "ehring-ctl: %s: %s\n", segment->path, strerror(-err));
            return err;
        }
        segment->line_number++;
        if (!is_whole(segment, len))
            return 0;
        segment->bytes += (uint64_t)len;
        segment->line[len - 1] = '\0';
        int err = letter_parse(segment->line, (size_t)len - 1, letter, why, sizeof(why));
        if (err == 0)
            return 1;
        segment->bad_count++;
        fprintf(stderr, "ehring-ctl: %s: line %" PRIu64 " is no dead letter: %s\n", segment->path, segment->line_number,
                err == -ENOMEM ? "no memory" : why);
    }
}

void segment_close(struct segment *segment)
{
    if (segment->file)
        fclose(segment->file);
    free(segment->line);
    *segment = (struct segment){0};
}

/* The writer's lock is on the open file, whatever namespace its process is in. */
bool segment_is_written(const struct segment *segment)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    return fcntl(fileno(segment->file), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int segment_keep(const struct segment *segment)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    if (fcntl(fileno(segment->file), F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static bool is_whole(struct segment *segment, ssize_t len)
{
    if (segment->line[len - 1] == '\n')
        return true;
    segment->torn_bytes = (uint64_t)len;
    fprintf(stderr, "ehring-ctl: %s: line %" PRIu64 " is cut short after %zd bytes and left out%s\n", segment->path, segment->line_number,
            len, segment_is_written(segment) ? ": it is being written" : ": its writer was killed, the event stayed in its ring");
    return false;
}

static int list(const char *path, enum wanted wanted, const char *only, struct segment_names *names)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int err = dir ? 0 : -errno;

    *names = (struct segment_names){0};
    while (!err && (entry = readdir(dir)))
        if ((!only || strcmp(only, entry->d_name) == 0) && fits(dirfd(dir), entry->d_name, wanted))
            err = add(names, entry->d_name);
    if (dir)
        closedir(dir);
    if (err)
        segment_names_free(names);
    else if (names->count > 0)
        qsort(names->name, names->count, sizeof(*names->name), by_text);
    return err;
}

static bool fits(int dir_fd, const char *name, enum wanted wanted)
{
    size_t len = strlen(name);
    struct stat info;

    if (!option_is_name(name))
        return false;
    if (wanted == WANTED_SEGMENTS)
        return len >= sizeof(suffix) && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0;
    return fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

static int add(struct segment_names *names, const char *name)
{
    if (names->count == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 64;
        char **more = realloc(names->name, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        names->name = more;
        names->cap = cap;
    }
    names->name[names->count] = strdup(name);
    return names->name[names->count] ? (names->count++, 0) : -ENOMEM;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}
