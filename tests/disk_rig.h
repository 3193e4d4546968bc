/* A directory on a disk: /dev/shm is none, and on some machines neither is /tmp. */
#ifndef TESTS_DISK_RIG_H
#define TESTS_DISK_RIG_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_internal.h"

/* Makes a directory of the test's own. False: there is no disk here that we may write to. */
static inline bool disk_dir(char dir[80])
{
    const char *parents[] = {"/var/tmp", "/tmp", getenv("EHRING_BUILD")};

    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        int fd = parents[i] && strlen(parents[i]) < 60 ? open(parents[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        bool fits = fd >= 0 && !ring_fs_in_memory(fd);
        if (fd >= 0)
            close(fd);
        snprintf(dir, 80, "%.59s/ehring-XXXXXX", fits ? parents[i] : "");
        if (fits && mkdtemp(dir))
            return true;
    }
    return false;
}

#endif
