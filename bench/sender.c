/* Other senders into the same hub: programs of their own that say how many events were accepted, measured from outside. */
#include "bench/sender.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/child.h"
#include "bench/proc.h"
#include "bench/scratch.h"

#define FIRST_MS 30000
#define LINE_MS 20000
#define STOP_MS 5000
#define WARMUP_NS INT64_C(1000000000)
#define STRETCHES 10
#define CANNOT "cannot "
#define REASON_BYTES 128u
#define PYTHON "/usr/bin/python3" /* Debian's: the one that has Debian's SDK */

const char *const sender_names[] = {"proton", "javascript", "python", NULL};
const char *const sender_titles[] = {"proton, a message each", "JavaScript SDK, full batches", "Python SDK, full batches"};
static const char *const sender_files[] = {"peers/proton-sender", "sdk/bench_sender.mjs", "peers/sender.py"};
static const char *const sender_missing[] = {"was not built", "is not there: tests/sdk/install, or make bench",
                                             "is not there: python3-azure"};

struct look { /* what a line says, and what the kernel counted then */
    int64_t time_ns;
    uint64_t accepted;
    int64_t cpu_ns;
    int64_t hub_cpu_ns;
};

static int start(const struct rig *rig, enum sender_kind kind, enum rig_transport transport, uint32_t event_len, struct child *child);
static int watch(const struct rig *rig, struct child *child, uint32_t seconds, struct sender_figures *out, char reason[REASON_BYTES]);
static int look_at(const struct rig *rig, struct child *child, int timeout_ms, struct look *look, char reason[REASON_BYTES]);
static void add_stretch(const struct look *from, const struct look *to, struct sender_figures *out);

int sender_measure(const struct rig *rig, enum sender_kind kind, enum rig_transport transport, uint32_t event_len, uint32_t seconds,
                   struct sender_figures *out, char *why, size_t why_len)
{
    struct child child = CHILD_NONE;
    char reason[REASON_BYTES] = "";
    int err;

    *out = (struct sender_figures){0};
    err = start(rig, kind, transport, event_len, &child);
    if (err) {
        snprintf(why, why_len, "Not measured: %s %s.", sender_titles[kind], sender_missing[kind]);
        return -EOPNOTSUPP;
    }
    err = watch(rig, &child, seconds, out, reason);
    child_stop(&child, STOP_MS);
    if (err && err != -EINTR && reason[0]) {
        snprintf(why, why_len, "Not measured: %s: cannot %s.", sender_titles[kind], reason);
        err = -EOPNOTSUPP;
    } else if (err && err != -EINTR) {
        snprintf(why, why_len, "Not measured: %s did not get through %s TLS.", sender_titles[kind],
                 transport == RIG_TLS ? "with" : "without");
        err = -EOPNOTSUPP;
    }
    return err;
}

static int start(const struct rig *rig, enum sender_kind kind, enum rig_transport transport, uint32_t event_len, struct child *child)
{
    char file[4096], connection[SCRATCH_PATH_BYTES + 32], ca[SCRATCH_PATH_BYTES + 32], port[16], size[16], log[SCRATCH_PATH_BYTES + 32];
    const char *const by_address[] = {file,       rig->address, port, transport == RIG_TLS ? ca : "-", RIG_STREAM, rig->policy,
                                      connection, size,         NULL};
    const char *const by_string[] = {kind == SENDER_PYTHON ? PYTHON : "node", file, connection, RIG_STREAM, ca, size, NULL};

    if (child_look(sender_files[kind], file, sizeof(file)) || (kind == SENDER_PYTHON && access(PYTHON, X_OK)))
        return -ENOENT;
    snprintf(port, sizeof(port), "%u", transport == RIG_TLS ? rig->amqps_port : rig->amqp_port);
    snprintf(size, sizeof(size), "%u", event_len);
    snprintf(ca, sizeof(ca), "%s/ca.pem", rig->state_dir);
    snprintf(connection, sizeof(connection), "%s/connection-string%s", rig->state_dir, transport == RIG_PLAIN ? "-plain" : "");
    snprintf(log, sizeof(log), "%s/sender.log", rig->state_dir);
    setenv("NODE_EXTRA_CA_CERTS", ca, 1);
    return child_start(kind == SENDER_PROTON ? by_address : by_string, log, child);
}

/* Each line is "accepted N", N from the start on; or the first and only one "cannot" and why. */
static int watch(const struct rig *rig, struct child *child, uint32_t seconds, struct sender_figures *out, char reason[REASON_BYTES])
{
    int64_t length_ns = seconds * INT64_C(1000000000) / STRETCHES;
    struct look first, from, now;
    int err = look_at(rig, child, FIRST_MS, &first, reason);

    now = first;
    while (!err && now.time_ns - first.time_ns < WARMUP_NS)
        err = look_at(rig, child, LINE_MS, &now, reason);
    first = from = now;
    while (!err && now.time_ns - first.time_ns < STRETCHES * length_ns) {
        err = look_at(rig, child, LINE_MS, &now, reason);
        if (!err && now.time_ns - from.time_ns >= length_ns) {
            add_stretch(&from, &now, out);
            from = now;
        }
    }
    if (!err && now.accepted > first.accepted) {
        double ns = (double)(now.time_ns - first.time_ns), events = (double)(now.accepted - first.accepted);

        out->events_per_second = events * 1e9 / ns;
        out->sender_cores = (double)(now.cpu_ns - first.cpu_ns) / ns;
        out->hub_cores = (double)(now.hub_cpu_ns - first.hub_cpu_ns) / ns;
        out->cpu_seconds_per_million = (double)(now.cpu_ns - first.cpu_ns) / 1e9 / (events / 1e6);
    }
    return err ? err : now.accepted > first.accepted ? 0 : -ENODATA;
}

static int look_at(const struct rig *rig, struct child *child, int timeout_ms, struct look *look, char reason[REASON_BYTES])
{
    unsigned long long accepted = 0;
    char line[REASON_BYTES + 16];
    int err = child_read_line(child, line, sizeof(line), timeout_ms);

    if (!err && sscanf(line, "accepted %llu", &accepted) != 1) {
        err = -EPROTO;
        if (strncmp(line, CANNOT, strlen(CANNOT)) == 0)
            snprintf(reason, REASON_BYTES, "%.*s", (int)REASON_BYTES - 1, line + strlen(CANNOT));
    }
    look->time_ns = measure_now_ns();
    look->accepted = accepted;
    if (!err)
        err = proc_read_cpu_ns(child->pid, &look->cpu_ns);
    if (!err)
        err = proc_read_cpu_ns(rig->hub.pid, &look->hub_cpu_ns);
    return err;
}

static void add_stretch(const struct look *from, const struct look *to, struct sender_figures *out)
{
    double events = (double)(to->accepted - from->accepted);

    if (events <= 0)
        return;
    measure_add(&out->rates, events * 1e9 / (double)(to->time_ns - from->time_ns));
    measure_add(&out->cpu_per_million, (double)(to->cpu_ns - from->cpu_ns) / 1e9 / (events / 1e6));
}
