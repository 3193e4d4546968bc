/* Where a running process spends its time: perf looks at it many times a second, and what it saw is counted by what it lay in. */
#ifndef BENCH_PROFILE_H
#define BENCH_PROFILE_H

#include <stdint.h>
#include <sys/types.h>

#include "bench/child.h"

#define PROFILE_NAME_BYTES 56u
#define PROFILE_FUNCTIONS_MAX 2048u
#define PROFILE_WHY_BYTES 320u

enum profile_part {
    PROFILE_SEND,      /* kernel, below tcp_sendmsg */
    PROFILE_OTHER_END, /* kernel, taking packets in: over loopback the sender's time pays for what a receiver's machine would do */
    PROFILE_RECEIVE,   /* kernel, below tcp_recvmsg */
    PROFILE_KERNEL,    /* the rest of it */
    PROFILE_OPENSSL,
    PROFILE_PROTON,
    PROFILE_LIBC,
    PROFILE_OWN, /* the program itself */
    PROFILE_ELSE,
    PROFILE_PARTS
};

struct profile_function {
    char name[PROFILE_NAME_BYTES];
    enum profile_part part;
    uint32_t count;
};

struct profile { /* samples, each in the innermost function */
    uint32_t count;
    uint32_t part[PROFILE_PARTS];
    uint32_t function_count;
    struct profile_function function[PROFILE_FUNCTIONS_MAX]; /* the most frequent first; what has no symbol is none */
};

struct profile_run { /* perf while it looks */
    struct child perf;
    int control_fd;
    int answer_fd;
    const char *dir;
};

/* Starts perf on all threads of `pid`, its files in `dir`, which must outlive the run; returns when it is looking. 0 (profile_stop must
 * follow); -EOPNOTSUPP with a sentence in `why`: it is not here, or may not look; -EINTR. */
int profile_start(const char *dir, pid_t pid, struct profile_run *run, char why[PROFILE_WHY_BYTES]);
/* Ends it. As above. */
int profile_stop(struct profile_run *run, char why[PROFILE_WHY_BYTES]);
/* Counts what the last run in `dir` saw. As above; -EOPNOTSUPP too if it saw too little to say anything. */
int profile_read(const char *dir, const char *program, struct profile *out, char why[PROFILE_WHY_BYTES]);

#endif
