/* Which files there are to look at: the .ring files of the streams' directories and the shipper's .stat files, sorted by name. */
#ifndef STAT_FIND_H
#define STAT_FIND_H

#include <stdbool.h>
#include <stddef.h>

struct stat_file {
    bool is_ring;
    char *stream; /* the directory's name, or what the stat file is called without ".stat" */
    char *name;   /* of the file */
};

struct stat_list {
    struct stat_file *file;
    size_t count, cap;
};

/* `stream` NULL: of all streams. A stream's stat file comes before its rings. 0 with the list owned by the caller, or a negative errno
 * after a message on stderr: the directory cannot be read. *unreadable counts stream directories that cannot. */
int stat_find(const char *rings_dir, const char *stream, struct stat_list *list, int *unreadable);
void stat_list_free(struct stat_list *list);

#endif
