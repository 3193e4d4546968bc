/* What the kernel counts about another process: processor time, memory, sleeps. */
#include "bench/proc.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int read_field(const char *path, const char *name, uint64_t *value);

int proc_read_memory(pid_t pid, struct proc_memory *memory)
{
    uint64_t anon_kib = 0, file_kib = 0, shared_kib = 0;
    char path[64];
    int err;

    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    err = read_field(path, "RssAnon:", &anon_kib);
    if (!err)
        err = read_field(path, "RssFile:", &file_kib);
    if (!err)
        err = read_field(path, "RssShmem:", &shared_kib);
    *memory = (struct proc_memory){.anon_bytes = anon_kib << 10, .file_bytes = file_kib << 10, .shared_bytes = shared_kib << 10};
    return err;
}

/* Its clock and not /proc/PID/stat: nanoseconds instead of hundredths of a second. */
int proc_read_cpu_ns(pid_t pid, int64_t *cpu_ns)
{
    struct timespec used;
    clockid_t clock;
    int err = clock_getcpuclockid(pid, &clock);

    if (err)
        return -err;
    if (clock_gettime(clock, &used))
        return -errno;
    *cpu_ns = used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
    return 0;
}

/* The program's name is in parentheses and may hold anything: the fields are counted from the last one on. */
int proc_read_ticks(pid_t pid, struct proc_ticks *ticks)
{
    char path[64], line[1024], *name_end;
    unsigned long long user, system;
    FILE *file;
    int err = -ENODATA;

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    if (fgets(line, sizeof(line), file)) {
        name_end = strrchr(line, ')');
        if (name_end && sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) == 2) {
            *ticks = (struct proc_ticks){user, system};
            err = 0;
        }
    }
    fclose(file);
    return err;
}

int proc_read_sleeps(pid_t pid, uint64_t *sleeps)
{
    char path[320];
    struct dirent *task;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
    tasks = opendir(path);
    if (!tasks)
        return -errno;
    *sleeps = 0;
    while ((task = readdir(tasks))) {
        uint64_t count = 0;

        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%ld/task/%s/status", (long)pid, task->d_name);
        if (read_field(path, "voluntary_ctxt_switches:", &count) == 0)
            *sleeps += count;
    }
    closedir(tasks);
    return 0;
}

static int read_field(const char *path, const char *name, uint64_t *value)
{
    FILE *file = fopen(path, "re");
    char line[256];
    int err = -ENODATA;

    if (!file)
        return -errno;
    while (err && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0) {
            *value = strtoull(line + strlen(name), NULL, 10);
            err = 0;
        }
    fclose(file);
    return err;
}
