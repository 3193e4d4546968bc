/* What a run leaves behind: nothing. Directories of its own, and the signals that end it early but in order. */
#include "bench/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"

static _Atomic uint32_t interrupted;

static void note_signal(int number);
static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place);

int scratch_make(const char *parent, char path[SCRATCH_PATH_BYTES])
{
    int len = snprintf(path, SCRATCH_PATH_BYTES, "%s/ehring-bench.XXXXXX", parent);
    int err = 0;

    if (len < 0 || (unsigned)len >= SCRATCH_PATH_BYTES)
        err = -ENAMETOOLONG;
    else if (!mkdtemp(path))
        err = -errno;
    if (err)
        path[0] = 0;
    return err;
}

bool scratch_is_disk(const char *dir)
{
    struct statfs fs;

    return statfs(dir, &fs) == 0 && (uint64_t)fs.f_type != TMPFS_MAGIC && (uint64_t)fs.f_type != RAMFS_MAGIC;
}

void scratch_remove(const char *path)
{
    if (path[0])
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_catch_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

bool scratch_interrupted(void)
{
    return order_none_load32(&interrupted) != 0;
}

static void note_signal(int number)
{
    order_none_store32(&interrupted, (uint32_t)number);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    remove(path);
    return 0;
}
