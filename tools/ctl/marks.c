/* Which letters were replayed. */
#include "marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "letter_value.h"
#include "segment.h"

static int complain(const char *path, int err);
static size_t place_of(const struct marks *marks, const struct ehring_identity *id);
static int grow(struct marks *marks);
static int cut_half_line(int fd);
static int sync_dir_of(const char *path);
static int write_whole(int fd, const char *text, size_t len);

int marks_load(struct marks *marks, const char *segment_path)
{
    char path[4200], *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int err = 0;

    snprintf(path, sizeof(path), "%s" MARKS_SUFFIX, segment_path);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? 0 : complain(path, -errno);
    while (!err && (len = getline(&line, &cap, file)) > 0) {
        struct ehring_identity id;
        if (line[len - 1] != '\n')
            break;
        line[len - 1] = '\0';
        if (value_identity(line, &id))
            err = marks_add(marks, &id);
    }
    if (!err && ferror(file))
        err = -EIO;
    fclose(file);
    free(line);
    return err ? complain(path, err) : 0;
}

int marks_load_stream(struct marks *marks, const char *dir, const char *stream)
{
    struct segment_names names;
    char path[4096];
    int err = segment_list(dir, stream, &names);

    if (err)
        return complain(dir, err);
    for (size_t i = 0; !err && i < names.count; i++)
        err = snprintf(path, sizeof(path), "%s/%s/%s", dir, stream, names.name[i]) < (int)sizeof(path) ? marks_load(marks, path)
                                                                                                       : -ENAMETOOLONG;
    segment_names_free(&names);
    return err;
}

int marks_add(struct marks *marks, const struct ehring_identity *id)
{
    int err = marks->count * 2 >= marks->cap ? grow(marks) : 0;

    if (err)
        return err;
    size_t at = place_of(marks, id);
    marks->count += !marks->used[at];
    marks->used[at] = true;
    marks->slot[at] = *id;
    return 0;
}

bool marks_have(const struct marks *marks, const struct ehring_identity *id)
{
    return marks->cap > 0 && marks->used[place_of(marks, id)];
}

void marks_free(struct marks *marks)
{
    free(marks->slot);
    free(marks->used);
    *marks = (struct marks){0};
}

int marks_append(const char *segment_path, const struct ehring_identity *id, size_t count)
{
    char path[4200], *text = malloc(count * EHRING_IDENTITY_TEXT_BYTES + 1);
    size_t len = 0;
    int err = text ? 0 : -ENOMEM;

    snprintf(path, sizeof(path), "%s" MARKS_SUFFIX, segment_path);
    for (size_t i = 0; text && i < count; i++) {
        ehring_identity_text(&id[i], text + len);
        len += strlen(text + len);
        text[len++] = '\n';
    }
    int fd = err ? -1 : open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (!err && fd < 0)
        err = -errno;
    if (!err)
        err = cut_half_line(fd);
    if (!err)
        err = write_whole(fd, text, len);
    if (!err && fsync(fd) != 0)
        err = -errno;
    if (!err)
        err = sync_dir_of(path);
    if (fd >= 0)
        close(fd);
    free(text);
    return err ? complain(path, err) : 0;
}

int marks_lock(const char *dir, const char *stream)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[4200];

    snprintf(path, sizeof(path), "%s/%s/.ctl.lock", dir, stream);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0 && errno == ENOENT) {
        fprintf(stderr, "ehring-ctl: no dead letters of stream %s in %s\n", stream, dir);
        return -ENOENT;
    }
    if (fd < 0)
        return complain(path, -errno);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return fd;
    int err = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
    close(fd);
    if (err != -EBUSY)
        return complain(path, err);
    fprintf(stderr, "ehring-ctl: another ehring-ctl replays or purges the dead letters of stream %s\n", stream);
    return err;
}

static int complain(const char *path, int err)
{
    fprintf(stderr, "ehring-ctl: %s: %s\n", path, strerror(-err));
    return err;
}

/* Where the id is or would be; the table is never full. */
static size_t place_of(const struct marks *marks, const struct ehring_identity *id)
{
    uint64_t hash = id->pos * UINT64_C(0x9e3779b97f4a7c15), word;

    memcpy(&word, id->ring_uuid + 8, sizeof(word));
    hash ^= word;
    hash ^= hash >> 29;
    size_t at = hash * UINT64_C(0xbf58476d1ce4e5b9) >> 20 & (marks->cap - 1);
    while (marks->used[at] && (marks->slot[at].pos != id->pos || memcmp(marks->slot[at].ring_uuid, id->ring_uuid, 16) != 0))
        at = (at + 1) & (marks->cap - 1);
    return at;
}

static int grow(struct marks *marks)
{
    struct marks more = {.cap = marks->cap ? marks->cap * 2 : 1024};

    more.slot = calloc(more.cap, sizeof(*more.slot));
    more.used = calloc(more.cap, sizeof(*more.used));
    if (!more.slot || !more.used) {
        marks_free(&more);
        return -ENOMEM;
    }
    for (size_t i = 0; i < marks->cap; i++)
        if (marks->used[i])
            marks_add(&more, &marks->slot[i]);
    marks_free(marks);
    *marks = more;
    return 0;
}

/* What a kill left of a line: no mark, and the next one must not be glued to it. */
static int cut_half_line(int fd)
{
    struct stat info;
    char last[EHRING_IDENTITY_TEXT_BYTES + 1];

    if (fstat(fd, &info) != 0)
        return -errno;
    off_t from = info.st_size > (off_t)sizeof(last) ? info.st_size - (off_t)sizeof(last) : 0;
    ssize_t len = pread(fd, last, sizeof(last), from);
    if (len < 0)
        return -errno;
    const char *newline = memrchr(last, '\n', (size_t)len);
    off_t whole = newline ? from + (newline + 1 - last) : from;
    return whole == info.st_size || ftruncate(fd, whole) == 0 ? 0 : -errno;
}

static int sync_dir_of(const char *path)
{
    char dir[4200];

    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = fd < 0 ? -errno : 0;
    if (fd >= 0 && fsync(fd) != 0)
        err = -errno;
    if (fd >= 0)
        close(fd);
    return err;
}

/* What does not fit leaves a half line, which the next call cuts off. */
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
