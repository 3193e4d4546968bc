/* Where a running process spends its time: perf looks at it many times a second, and what it saw is counted by what it lay in. */
#include "bench/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/scratch.h"

#define EVENT "cpu-clock" /* a timer of the kernel: virtual machines seldom have the processor's counters */
#define RATE "1999"       /* a second; a prime, so that nothing periodic is always or never met */
#define ANSWER_MS 10000
#define END_MS 20000
#define POLL_MS 20
#define STATUS_NOT_FOUND 127
#define SAMPLES_MIN 100u
#define PATH_BYTES (SCRATCH_PATH_BYTES + 32)

struct frame { /* a line of perf script */
    uint64_t address;
    char name[PROFILE_NAME_BYTES];
    char file[PROFILE_NAME_BYTES]; /* without its directory */
};

struct sample {
    bool seen;          /* it has a frame */
    struct frame inner; /* where the processor was */
    bool in_send, in_receive, in_other_end;
};

static int make_pipe(const char *path, int *fd);
static int tell(struct profile_run *run, const char *command);
static int end_run(struct profile_run *run, int grace_ms);
static int explain(const char *dir, int status, char why[PROFILE_WHY_BYTES]);
static bool is_reason(const char *line);
static void path_of(const char *dir, const char *name, char path[PATH_BYTES]);
static int count_lines(FILE *from, const char *program, struct profile *out);
static bool parse_frame(const char *line, struct frame *frame);
static void add_frame(struct sample *sample, const struct frame *frame);
static void count_sample(const struct sample *sample, const char *program, struct profile *out);
static enum profile_part part_of(const struct sample *sample, const char *program);
static void count_function(const char *name, enum profile_part part, struct profile *out);
static bool lets_interrupts_in(const struct frame *frame);
static bool is_kernel(const struct frame *frame);
static bool begins(const char *text, const char *with);
static int compare_functions(const void *a, const void *b);

int profile_start(const char *dir, pid_t pid, struct profile_run *run, char why[PROFILE_WHY_BYTES])
{
    char data[PATH_BYTES], log[PATH_BYTES], control[PATH_BYTES], answer[PATH_BYTES], fifos[2 * PATH_BYTES + 8], target[24];
    const char *const argv[] = {"perf", "record", "-e",        EVENT, "-F", RATE, "-g", "--no-buildid-cache", "-D", "-1",
                                "-p",   target,   "--control", fifos, "-o", data, NULL};
    int err;

    *run = (struct profile_run){.perf = CHILD_NONE, .control_fd = -1, .answer_fd = -1, .dir = dir};
    path_of(dir, "perf.data", data);
    path_of(dir, "perf.log", log);
    path_of(dir, "perf.control", control);
    path_of(dir, "perf.answer", answer);
    snprintf(fifos, sizeof(fifos), "fifo:%s,%s", control, answer);
    snprintf(target, sizeof(target), "%ld", (long)pid);
    (void)remove(log);
    (void)remove(data);
    err = make_pipe(control, &run->control_fd);
    if (!err)
        err = make_pipe(answer, &run->answer_fd);
    if (!err)
        err = child_start(argv, log, &run->perf);
    if (!err)
        err = tell(run, "enable\n");
    if (err) {
        int status = end_run(run, 0);

        err = err == -EINTR ? err : explain(dir, status, why);
    }
    return err;
}

int profile_stop(struct profile_run *run, char why[PROFILE_WHY_BYTES])
{
    int err = tell(run, "stop\n");
    int status = end_run(run, err ? 0 : END_MS);

    if (err == -EINTR || (!err && status == 0))
        return err;
    return explain(run->dir, status, why);
}

int profile_read(const char *dir, const char *program, struct profile *out, char why[PROFILE_WHY_BYTES])
{
    char data[PATH_BYTES], log[PATH_BYTES];
    const char *const argv[] = {"perf", "script", "-i", data, "-F", "tid,ip,sym,dso", NULL};
    struct child perf;
    FILE *from;
    int err, status;

    *out = (struct profile){0};
    path_of(dir, "perf.data", data);
    path_of(dir, "perf.log", log);
    err = child_start(argv, log, &perf);
    if (err)
        return err;
    from = fdopen(perf.out_fd, "r");
    if (from) {
        perf.out_fd = -1; /* closed with the stream */
        err = count_lines(from, program, out);
        fclose(from);
    }
    status = err ? child_stop(&perf, 0) : child_wait(&perf, END_MS);
    if (err)
        return err;
    if (status || !from)
        return explain(dir, status, why);
    qsort(out->function, out->function_count, sizeof(out->function[0]), compare_functions);
    if (out->count < SAMPLES_MIN)
        snprintf(why, PROFILE_WHY_BYTES, "No profile of the shipper: perf saw it %u times, too few to say anything.", out->count);
    else if (out->part[PROFILE_SEND] + out->part[PROFILE_OTHER_END] + out->part[PROFILE_RECEIVE] + out->part[PROFILE_KERNEL] == 0)
        snprintf(why, PROFILE_WHY_BYTES, "No profile of the shipper: perf may not look into the kernel (kernel.perf_event_paranoid).");
    else
        return 0;
    return -EOPNOTSUPP;
}

/* Open at both ends: neither side waits for the other one to come. */
static int make_pipe(const char *path, int *fd)
{
    (void)remove(path);
    if (mkfifo(path, 0600))
        return -errno;
    *fd = open(path, O_RDWR | O_CLOEXEC);
    return *fd < 0 ? -errno : 0;
}

/* 0 when perf has done it; -EPIPE: it ended; -ETIMEDOUT; -EINTR: the run was interrupted. */
static int tell(struct profile_run *run, const char *command)
{
    int64_t deadline_ns = measure_now_ns() + ANSWER_MS * INT64_C(1000000);
    struct pollfd readable = {.fd = run->answer_fd, .events = POLLIN};
    char answer[16];

    if (write(run->control_fd, command, strlen(command)) < 0)
        return -errno;
    while (measure_now_ns() < deadline_ns) {
        if (scratch_interrupted())
            return -EINTR;
        if (poll(&readable, 1, POLL_MS) > 0)
            return read(run->answer_fd, answer, sizeof(answer)) > 0 ? 0 : -EPIPE;
        if (!child_runs(&run->perf))
            return -EPIPE;
    }
    return -ETIMEDOUT;
}

/* Waits so long for it to end by itself. Returns its exit status. */
static int end_run(struct profile_run *run, int grace_ms)
{
    int status = run->perf.pid <= 0                        ? 0
                 : grace_ms > 0 || !child_runs(&run->perf) ? child_wait(&run->perf, END_MS)
                                                           : child_stop(&run->perf, 0);

    if (run->control_fd >= 0)
        close(run->control_fd);
    if (run->answer_fd >= 0)
        close(run->answer_fd);
    run->control_fd = run->answer_fd = -1;
    return status;
}

/* In perf's own words, if it had some. Returns -EOPNOTSUPP. */
static int explain(const char *dir, int status, char why[PROFILE_WHY_BYTES])
{
    char path[PATH_BYTES], line[160] = "";
    bool found = false;
    FILE *log;

    path_of(dir, "perf.log", path);
    log = status == STATUS_NOT_FOUND ? NULL : fopen(path, "re");
    while (log && !found && fgets(line, sizeof(line), log)) {
        line[strcspn(line, "\n")] = 0;
        found = is_reason(line);
    }
    if (log)
        fclose(log);
    if (status == STATUS_NOT_FOUND)
        snprintf(why, PROFILE_WHY_BYTES, "No profile of the shipper: perf is not installed (linux-perf).");
    else if (found)
        snprintf(why, PROFILE_WHY_BYTES, "No profile of the shipper: perf could not look at it: %s", line);
    else
        snprintf(why, PROFILE_WHY_BYTES, "No profile of the shipper: perf ended with status %d.", status);
    return -EOPNOTSUPP;
}

static bool is_reason(const char *line)
{
    return line[0] && strcmp(line, "Error:") != 0 && !begins(line, "Events ") && !begins(line, "[ perf record");
}

static void path_of(const char *dir, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", dir, name);
}

/* A sample is a line with the thread, then a line for each frame from the inside out, which begins with a tab. 0, or -EINTR. */
static int count_lines(FILE *from, const char *program, struct profile *out)
{
    struct sample sample = {0};
    struct frame frame;
    char *line = NULL;
    size_t room = 0;

    while (!scratch_interrupted() && getline(&line, &room, from) > 0) {
        if (line[0] == '\t' && parse_frame(line, &frame))
            add_frame(&sample, &frame);
        else if (line[0] == ' ' || line[0] == '\n' || (line[0] >= '0' && line[0] <= '9')) {
            count_sample(&sample, program, out);
            sample = (struct sample){0};
        }
    }
    count_sample(&sample, program, out);
    free(line);
    return scratch_interrupted() ? -EINTR : 0;
}

/* "ADDRESS NAME (FILE)": a name may have spaces, and "[unknown]" stands for none. */
static bool parse_frame(const char *line, struct frame *frame)
{
    const char *name, *file = strrchr(line, '('), *slash;
    char *end = NULL;

    *frame = (struct frame){.address = strtoull(line, &end, 16)};
    name = end + strspn(end, " ");
    if (end == line || *end != ' ' || !file || file <= name)
        return false;
    snprintf(frame->name, sizeof(frame->name), "%.*s", (int)(file - name - (file[-1] == ' ')), name);
    file++;
    slash = strrchr(file, '/');
    file = slash ? slash + 1 : file;
    snprintf(frame->file, sizeof(frame->file), "%.*s", (int)strcspn(file, ")\n"), file);
    return true;
}

/* What happens while interrupts are held off is seen where they are let in again: its function is the one that held them off. */
static void add_frame(struct sample *sample, const struct frame *frame)
{
    if (!sample->seen || (is_kernel(frame) && lets_interrupts_in(&sample->inner)))
        sample->inner = *frame;
    sample->seen = true;
    if (!is_kernel(frame))
        return;
    sample->in_send |= begins(frame->name, "tcp_sendmsg");
    sample->in_receive |= begins(frame->name, "tcp_recvmsg");
    sample->in_other_end |= strcmp(frame->name, "net_rx_action") == 0;
}

static void count_sample(const struct sample *sample, const char *program, struct profile *out)
{
    enum profile_part part;

    if (!sample->seen)
        return;
    part = part_of(sample, program);
    out->count++;
    out->part[part]++;
    if (sample->inner.name[0] != '[')
        count_function(sample->inner.name, part, out);
}

static enum profile_part part_of(const struct sample *sample, const char *program)
{
    const char *file = sample->inner.file;

    if (is_kernel(&sample->inner))
        return sample->in_other_end ? PROFILE_OTHER_END
               : sample->in_send    ? PROFILE_SEND
               : sample->in_receive ? PROFILE_RECEIVE
                                    : PROFILE_KERNEL;
    if (begins(file, "libcrypto.") || begins(file, "libssl."))
        return PROFILE_OPENSSL;
    if (begins(file, "libqpid-proton"))
        return PROFILE_PROTON;
    if (begins(file, "libc.") || begins(file, "libc-"))
        return PROFILE_LIBC;
    return strcmp(file, program) == 0 ? PROFILE_OWN : PROFILE_ELSE;
}

/* One that the kernel comes to in several ways is one function. */
static void count_function(const char *name, enum profile_part part, struct profile *out)
{
    enum profile_part of = part < PROFILE_KERNEL ? PROFILE_KERNEL : part;
    struct profile_function *function;

    for (uint32_t i = 0; i < out->function_count; i++) {
        function = &out->function[i];
        if (function->part == of && strcmp(function->name, name) == 0) {
            function->count++;
            return;
        }
    }
    if (out->function_count == PROFILE_FUNCTIONS_MAX)
        return;
    function = &out->function[out->function_count++];
    *function = (struct profile_function){.part = of, .count = 1};
    snprintf(function->name, sizeof(function->name), "%s", name);
}

static bool lets_interrupts_in(const struct frame *frame)
{
    return is_kernel(frame) && (strstr(frame->name, "irq_enable") || strstr(frame->name, "spin_unlock_irq"));
}

/* The upper half of the addresses, on all 64-bit machines. */
static bool is_kernel(const struct frame *frame)
{
    return frame->address >> 63;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int compare_functions(const void *a, const void *b)
{
    const struct profile_function *x = a, *y = b;

    return (x->count < y->count) - (x->count > y->count);
}
