/* Real processes for end-to-end programs: a hub and a shipper in a directory of their own, started, killed and started again. Plain
 * asserts. */
#ifndef TESTS_SHIP_RIG_H
#define TESTS_SHIP_RIG_H

#include <arpa/inet.h>
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shipper/counters.h"
#include "tests/port_rig.h"

struct ship_rig {
    char dir[64]; /* of all files; the rings lie in dir/r */
    char build[512];
    pid_t hub;
    pid_t shipper;
    int hub_out; /* what the hub prints */
    char amqp_port[8], amqps_port[8], admin_port[8];
    int port_fd[2]; /* keep the first two while no hub lives */
    char ca[256];
    char connection[256];
};

static inline void rig_path(const struct ship_rig *rig, const char *name, char to[160])
{
    snprintf(to, 160, "%.60s/%.60s", rig->dir, name);
}

static inline int64_t rig_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void rig_pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Starts a program with its output appended to dir/NAME.log; dies with us. */
static inline pid_t rig_spawn(const struct ship_rig *rig, const char *name, char *const argv[], int out_fd)
{
    char log[160];
    pid_t parent = getpid(), pid = fork();
    assert(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    snprintf(log, sizeof log, "%.60s/%.40s.log", rig->dir, name);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out_fd >= 0 ? out_fd : fd, 1);
    dup2(fd, 2);
    execv(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* The line that the hub prints when it listens; also kept: its admin port and its files. false: it ended without. */
static inline bool rig_hub_ready(struct ship_rig *rig, int fd)
{
    char line[1024] = "";
    for (size_t len = 0; len < sizeof line - 1 && !strchr(line, '\n'); len++)
        if (read(fd, line + len, 1) != 1)
            break;
    if (strncmp(line, "ready ", 6) != 0)
        return false;
    sscanf(strstr(line, "admin=") + 6, "%7s", rig->admin_port);
    sscanf(strstr(line, "ca=") + 3, "%255s", rig->ca);
    sscanf(strstr(line, "connection_string_file=") + 23, "%255s", rig->connection);
    return true;
}

/* Starts a hub with `spec` (NAME:PARTITIONS), storing into dir/store, each time on the same ports. Further options may follow,
 * NULL-terminated. */
static inline void rig_hub_start(struct ship_rig *rig, const char *spec, const char *const *more)
{
    char program[600], state[160], store[160];
    snprintf(program, sizeof program, "%s/ehring-hub", rig->build);
    rig_path(rig, "hub", state);
    rig_path(rig, "store", store);
    char *argv[32] = {program,       "--amqp-port", rig->amqp_port, "--amqps-port", rig->amqps_port, "--admin-port",         "0",
                      "--state-dir", state,         "--store-file", store,          "--hub",         (char *)(uintptr_t)spec};
    for (int i = 13; more && *more && i < 31; i++, more++)
        argv[i] = (char *)(uintptr_t)*more;
    for (int64_t end_ms = rig_now_ms() + 20000;; rig_pause_ms(100)) { /* a port of an earlier life may be taken for a while */
        int ready[2], status;
        assert(pipe2(ready, O_CLOEXEC) == 0);
        rig->hub = rig_spawn(rig, "hub", argv, ready[1]);
        close(ready[1]);
        bool is_ready = rig_hub_ready(rig, ready[0]);
        if (rig->hub_out >= 0)
            close(rig->hub_out);
        rig->hub_out = ready[0]; /* stays open: the hub prints its summary there at the end */
        if (is_ready)
            return;
        kill(rig->hub, SIGKILL);
        waitpid(rig->hub, &status, 0);
        if (rig_now_ms() < end_ms)
            continue;
        fprintf(stderr, "the hub is not ready, its log is in %s\n", rig->dir);
        exit(1);
    }
}

/* A directory of its own. */
static inline void rig_init(struct ship_rig *rig)
{
    const char *build = getenv("EHRING_BUILD");
    uint16_t port[2];
    *rig = (struct ship_rig){.hub_out = -1};
    for (int i = 0; i < 2; i++)
        rig->port_fd[i] = port_reserve(&port[i]);
    snprintf(rig->amqp_port, sizeof rig->amqp_port, "%u", port[0]);
    snprintf(rig->amqps_port, sizeof rig->amqps_port, "%u", port[1]);
    signal(SIGPIPE, SIG_IGN);
    snprintf(rig->build, sizeof rig->build, "%s", build ? build : "build");
    snprintf(rig->dir, sizeof rig->dir, "/dev/shm/ehring-test-XXXXXX");
    assert(mkdtemp(rig->dir));
}

/* And a hub in it. */
static inline void rig_open(struct ship_rig *rig, const char *spec, const char *const *more)
{
    rig_init(rig);
    rig_hub_start(rig, spec, more);
}

/* Has the hub play faults, one a line, over its admin port. false: it does not answer with 200. */
static inline bool rig_hub_fault(const struct ship_rig *rig, const char *faults)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(rig->admin_port)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timeval patience = {.tv_sec = 20};
    char text[2048], answer[64] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    int len = snprintf(text, sizeof text, "POST /fault HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(faults), faults);
    assert(len < (int)sizeof text);
    bool is_played = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && write(fd, text, (size_t)len) == len &&
                     recv(fd, answer, sizeof answer - 1, MSG_WAITALL) > 0 && strstr(answer, " 200 ");
    close(fd);
    return is_played;
}

/* Starts the shipper for stream `stream` into hub `hub`. `net`: auto, uring or epoll. `more`: further lines of the stream's section. */
static inline void rig_ship(struct ship_rig *rig, const char *stream, const char *hub, int workers, const char *net, const char *more)
{
    char program[600], config[160];
    rig_path(rig, "shipper.conf", config);
    FILE *to = fopen(config, "w");
    assert(to);
    fprintf(to,
            "[shipper]\nrings = %s/r\ndead_letters = %s/dead\nworkers = %d\nnet = %s\nlog_level = info\n[stream %s]\nhub = %s\n"
            "connection_string = ${file:%s}\nca_file = %s\n%s\n",
            rig->dir, rig->dir, workers, net, stream, hub, rig->connection, rig->ca, more ? more : "");
    fclose(to);
    snprintf(program, sizeof program, "%s/ehring-shipper", rig->build);
    rig->shipper = rig_spawn(rig, "shipper", (char *[]){program, "--config", config, NULL}, -1);
}

/* Sends a signal and waits. Returns the wait status. */
static inline int rig_end(pid_t *pid, int number)
{
    int status = 0;
    kill(*pid, number);
    assert(waitpid(*pid, &status, 0) == *pid);
    *pid = 0;
    return status;
}

static inline int rig_ring_count(const struct ship_rig *rig, const char *stream)
{
    char path[200];
    int count = 0;
    snprintf(path, sizeof path, "%s/r/%s", rig->dir, stream);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += strlen(entry->d_name) > 5 && strcmp(entry->d_name + strlen(entry->d_name) - 5, ".ring") == 0;
    if (dir)
        closedir(dir);
    return count;
}

/* Waits until the shipper has drained and removed every ring of dead producers. false: not within the time. */
static inline bool rig_wait_drained(const struct ship_rig *rig, const char *stream, int64_t wait_ms)
{
    for (int64_t end_ms = rig_now_ms() + wait_ms; rig_now_ms() < end_ms; rig_pause_ms(50))
        if (rig_ring_count(rig, stream) == 0)
            return true;
    return false;
}

static inline void rig_show_log(const struct ship_rig *rig, const char *name)
{
    char command[300];
    snprintf(command, sizeof command, "tail -n 40 %s/%s.log >&2", rig->dir, name);
    if (system(command) != 0)
        fprintf(stderr, "no log %s\n", name);
}

/* Waits until the log holds `text`. false: not within the time. */
static inline bool rig_log_says(const struct ship_rig *rig, const char *name, const char *text, int64_t wait_ms)
{
    char command[400];
    snprintf(command, sizeof command, "grep -qF -- '%.200s' %s/%s.log", text, rig->dir, name);
    for (int64_t end_ms = rig_now_ms() + wait_ms;; rig_pause_ms(20)) {
        if (system(command) == 0)
            return true;
        if (rig_now_ms() >= end_ms)
            return false;
    }
}

/* The stream's counters as they are now. All zero before a shipper has made the file. */
static inline void rig_counters(const struct ship_rig *rig, const char *stream, struct counters_words *to)
{
    char path[200];
    struct ring_stat_header header;
    memset(to, 0, sizeof *to);
    snprintf(path, sizeof path, "%s/r/%s.stat", rig->dir, stream);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    if (pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header && header.values_len >= sizeof *to)
        assert(pread(fd, to, sizeof *to, (off_t)header.values_off) == (ssize_t)sizeof *to);
    close(fd);
}

/* Ends what runs and removes all files. Exits with 1 if a sanitizer has left a report in a log of hub or shipper. */
static inline void rig_close(struct ship_rig *rig)
{
    char command[200];
    if (rig->shipper)
        rig_end(&rig->shipper, SIGKILL);
    if (rig->hub)
        rig_end(&rig->hub, SIGTERM);
    if (rig->hub_out >= 0)
        close(rig->hub_out);
    for (int i = 0; i < 2; i++)
        close(rig->port_fd[i]);
    snprintf(command, sizeof command, "grep -hE -A30 'Sanitizer|runtime error:' %s/*.log >&2", rig->dir);
    bool report = system(command) == 0;
    snprintf(command, sizeof command, "rm -rf %s", rig->dir);
    if (getenv("KEEP") || system(command) != 0)
        fprintf(stderr, "left behind: %s\n", rig->dir);
    if (report)
        exit(1);
}

#endif
