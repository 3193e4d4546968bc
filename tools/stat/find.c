/* Which files there are to look at. */
#include "find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ring_suffix[] = ".ring", stat_suffix[] = ".stat";

static int find_rings(DIR *rings, const char *stream, struct stat_list *list);
static int add(struct stat_list *list, bool is_ring, const char *stream, size_t stream_len, const char *name);
static bool ends_with(const char *name, const char *suffix);
static int by_name(const void *left, const void *right);

int stat_find(const char *rings_dir, const char *stream, struct stat_list *list, int *unreadable)
{
    DIR *rings = opendir(rings_dir);
    struct dirent *entry;
    int err = rings ? 0 : -errno;

    *list = (struct stat_list){0};
    *unreadable = 0;
    while (!err && (entry = readdir(rings))) {
        size_t stem_len = strlen(entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (ends_with(entry->d_name, stat_suffix)) {
            stem_len -= sizeof(stat_suffix) - 1;
            if (!stream || (strlen(stream) == stem_len && memcmp(stream, entry->d_name, stem_len) == 0))
                err = add(list, false, entry->d_name, stem_len, entry->d_name);
        } else if (!stream || strcmp(stream, entry->d_name) == 0) {
            int found = find_rings(rings, entry->d_name, list);
            if (found == -ENOMEM)
                err = found;
            else if (found < 0) {
                fprintf(stderr, "ehring-stat: %s/%s: %s\n", rings_dir, entry->d_name, strerror(-found));
                ++*unreadable;
            }
        }
    }
    if (rings)
        closedir(rings);
    if (err)
        fprintf(stderr, "ehring-stat: %s: %s\n", rings_dir, strerror(-err));
    else if (list->count > 0)
        qsort(list->file, list->count, sizeof(*list->file), by_name);
    return err;
}

void stat_list_free(struct stat_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->file[i].stream);
        free(list->file[i].name);
    }
    free(list->file);
    *list = (struct stat_list){0};
}

/* What is not a directory (locks, sockets) has no rings. */
static int find_rings(DIR *rings, const char *stream, struct stat_list *list)
{
    int fd = openat(dirfd(rings), stream, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err = 0;
    struct dirent *entry;
    DIR *dir;

    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : -errno;
    dir = fdopendir(fd);
    if (!dir) {
        err = -errno;
        close(fd);
        return err;
    }
    while (!err && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && ends_with(entry->d_name, ring_suffix))
            err = add(list, true, stream, strlen(stream), entry->d_name);
    closedir(dir);
    return err;
}

static int add(struct stat_list *list, bool is_ring, const char *stream, size_t stream_len, const char *name)
{
    struct stat_file file = {.is_ring = is_ring, .stream = strndup(stream, stream_len), .name = strdup(name)};

    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        struct stat_file *more = realloc(list->file, cap * sizeof(*more));
        if (more) {
            list->file = more;
            list->cap = cap;
        }
    }
    if (!file.stream || !file.name || list->count == list->cap) {
        free(file.stream);
        free(file.name);
        return -ENOMEM;
    }
    list->file[list->count++] = file;
    return 0;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    return len > suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static int by_name(const void *left, const void *right)
{
    const struct stat_file *a = left, *b = right;
    int order = strcmp(a->stream, b->stream);

    if (order == 0)
        order = (int)a->is_ring - (int)b->is_ring;
    return order ? order : strcmp(a->name, b->name);
}
