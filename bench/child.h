/* A program this run starts: found beside ehring-bench, its output read, ended with this run whatever happens. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;  /* 0: none */
    int out_fd; /* its standard output, -1: none */
};
#define CHILD_NONE ((struct child){.out_fd = -1})

/* Path of a file beside this program, else in $EHRING_BUILD; may be "peers/x". 0 or -ENOENT. */
int child_look(const char *name, char *path, size_t path_len);
/* Path of a program of ours, as child_look. 0, or -ENOENT after a line on stderr. */
int child_find(const char *name, char *path, size_t path_len);

/* Starts argv[0] (searched in PATH if it has no slash) in a process group of its own; stderr is appended to `log_path`. It gets KILL when
 * the calling thread ends. 0 or -errno; a program that is not there exits with 127. child_stop ends it. */
int child_start(const char *const argv[], const char *log_path, struct child *child);

/* The next line of its output without the newline. 0, -ETIMEDOUT, -EPIPE (it closed its output), -EINTR (the run was interrupted). */
int child_read_line(struct child *child, char *line, size_t line_len, int timeout_ms);

bool child_runs(struct child *child);

/* TERM, up to `grace_ms` of waiting, then KILL. None is fine. Returns its exit status, or 128 and the signal's number. */
int child_stop(struct child *child, int grace_ms);
/* Waits until it ends by itself; KILL when the time is over or the run is interrupted. As child_stop. */
int child_wait(struct child *child, int timeout_ms);

#endif
