/* What the kernel counts about another process: processor time, memory, sleeps. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>
#include <sys/types.h>

struct proc_memory {       /* resident */
    uint64_t anon_bytes;   /* heap, stacks */
    uint64_t file_bytes;   /* program and libraries, shared with others too */
    uint64_t shared_bytes; /* tmpfs: the rings */
};

struct proc_ticks { /* of all threads, in hundredths of a second: too coarse but for their ratio */
    uint64_t user;
    uint64_t system;
};

/* Each: 0, or -errno when the process is gone. */
int proc_read_memory(pid_t pid, struct proc_memory *memory);
int proc_read_cpu_ns(pid_t pid, int64_t *cpu_ns); /* user and system, all threads */
int proc_read_ticks(pid_t pid, struct proc_ticks *ticks);
int proc_read_sleeps(pid_t pid, uint64_t *sleeps); /* voluntary context switches of all its threads */

#endif
