/* Room for a ring before its first event: file system, memory cgroup, file size limit, pages. An error at open, never a signal later. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ring_internal.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#define TOUCH_ON_DISK_BYTES_MAX (UINT64_C(256) << 20)

/* In a virtual machine whose hypervisor keeps page tables of its own, populating fills the guest's alone: the first access to each page
 * still costs 7 us. A load is one. So much of a ring at the most, a tenth of a second. */
#define LOOK_BYTES_MAX (UINT64_C(64) << 20)

static int refuse_full(int fd, const char *dir, uint64_t len, int err, struct ring_refusal *why);
static uint64_t cgroup_free(void);
static uint64_t cgroup_free_in(const char *root, char *group, const char *limit_name, const char *usage_name);
static bool read_number(const char *dir, const char *group, const char *name, uint64_t *value);
static uint64_t read_reclaimable(const char *dir, const char *group);

int ring_space_take(int fd, const char *dir, uint64_t len, bool in_memory, struct ring_refusal *why)
{
    struct rlimit limit;
    uint64_t free_bytes;
    int err;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < len) /* else SIGXFSZ */
        return ring_refuse(why, RING_ABSENT, -ENOSPC, "a ring in %.80s wants %llu bytes, the limit of file sizes (RLIMIT_FSIZE) is %llu",
                           dir, (unsigned long long)len, (unsigned long long)limit.rlim_cur);
    if (in_memory && (free_bytes = cgroup_free()) < len)
        return ring_refuse(why, RING_ABSENT, -ENOSPC, "a ring in %.80s wants %llu bytes, the memory cgroup has %llu free", dir,
                           (unsigned long long)len, (unsigned long long)free_bytes);
    do
        err = fallocate(fd, 0, 0, (off_t)len) == 0 ? 0 : -errno;
    while (err == -EINTR);
    if (err == -EOPNOTSUPP)
        err = -posix_fallocate(fd, 0, (off_t)len);
    return err ? refuse_full(fd, dir, len, err, why) : 0;
}

void ring_space_touch(uint8_t *data, uint64_t capacity, uint32_t page_len, bool in_memory)
{
    (void)madvise(data, capacity, MADV_HUGEPAGE);
    if (!in_memory && capacity > TOUCH_ON_DISK_BYTES_MAX)
        return;
    if (madvise(data, capacity, MADV_POPULATE_WRITE) != 0) {
        for (uint64_t at = 0; at < capacity; at += page_len)
            *(_Atomic uint8_t *)(data + at) = 0;
        return;
    }
    for (uint64_t at = 0; in_memory && at < capacity && at < LOOK_BYTES_MAX; at += page_len)
        (void)*(const volatile uint8_t *)(data + at);
}

static int refuse_full(int fd, const char *dir, uint64_t len, int err, struct ring_refusal *why)
{
    struct statvfs fs = {0};

    if (err != -ENOSPC && err != -EDQUOT)
        return ring_refuse(why, RING_ABSENT, err, "a ring in %.80s wants %llu bytes: %s", dir, (unsigned long long)len,
                           strerrordesc_np(-err));
    (void)fstatvfs(fd, &fs);
    return ring_refuse(why, RING_ABSENT, -ENOSPC, "a ring in %.80s wants %llu bytes, %llu are free there", dir, (unsigned long long)len,
                       (unsigned long long)fs.f_bavail * fs.f_frsize);
}

/* What this process's memory cgroup has left, file cache counted as free; UINT64_MAX: no limit, or not known. */
static uint64_t cgroup_free(void)
{
    char line[512];
    uint64_t least = UINT64_MAX, left;
    FILE *file = fopen("/proc/self/cgroup", "re");

    if (!file)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), file)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (strcmp(controllers, ":") == 0)
            left = cgroup_free_in("/sys/fs/cgroup", group, "memory.max", "memory.current");
        else if (strstr(controllers, "memory"))
            left = cgroup_free_in("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes");
        else
            continue;
        least = left < least ? left : least;
    }
    fclose(file);
    return least;
}

/* The tightest limit from the group up to the root of what is mounted: in a container the path may be the host's and only the root is here.
 */
static uint64_t cgroup_free_in(const char *root, char *group, const char *limit_name, const char *usage_name)
{
    uint64_t least = UINT64_MAX, limit, usage;

    for (;;) {
        if (read_number(root, group, limit_name, &limit) && read_number(root, group, usage_name, &usage)) {
            uint64_t reclaimable = read_reclaimable(root, group);
            usage = usage > reclaimable ? usage - reclaimable : 0;
            uint64_t left = limit > usage ? limit - usage : 0;
            least = left < least ? left : least;
        }
        char *slash = strrchr(group, '/');
        if (!slash || group[0] == '\0')
            return least;
        *slash = '\0';
    }
}

/* False for "max" too: no limit here. */
static bool read_number(const char *dir, const char *group, const char *name, uint64_t *value)
{
    char path[PATH_MAX];
    unsigned long long number;
    int len = snprintf(path, sizeof(path), "%s%s/%s", dir, group, name);
    FILE *file = len > 0 && (size_t)len < sizeof(path) ? fopen(path, "re") : NULL;

    if (!file)
        return false;
    bool found = fscanf(file, "%llu", &number) == 1;
    fclose(file);
    if (found)
        *value = number;
    return found;
}

static uint64_t read_reclaimable(const char *dir, const char *group)
{
    char path[PATH_MAX], key[64];
    unsigned long long number;
    uint64_t sum = 0;
    int len = snprintf(path, sizeof(path), "%s%s/memory.stat", dir, group);
    FILE *file = len > 0 && (size_t)len < sizeof(path) ? fopen(path, "re") : NULL;

    if (!file)
        return 0;
    while (fscanf(file, "%63s %llu", key, &number) == 2)
        if (strcmp(key, "inactive_file") == 0 || strcmp(key, "active_file") == 0)
            sum += number;
    fclose(file);
    return sum;
}
