/* What `ship` measures: a hub that swallows, a shipper on its rings, both started here with directories of their own. */
#include "bench/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"
#include "ringbuf/ring_stat.h"

#define RINGS_PARENT "/dev/shm"
#define STATE_PARENT "/tmp"
#define START_MS 15000
#define STOP_MS 5000
#define LOG_TAIL_BYTES 2000

const char *const rig_transport_names[] = {"tls", "plain", NULL};

static int start_hub(const struct rig_options *options, struct rig *rig);
static void choose_address(struct rig *rig);
static int note_hub(struct rig *rig, const char *line);
static int write_config(const struct rig_options *options, const struct rig *rig, const char *path);
static int start_shipper(const struct rig_options *options, struct rig *rig);
static int wait_for_stream(struct rig *rig);
static void log_path(const struct rig *rig, const char *program, char *path, size_t path_len);
static void print_log_tail(const struct rig *rig, const char *program);
static void add_counter(const struct ring_stat_view *view, const struct ring_stat_desc *line, const char *name, uint64_t *sum);

int rig_start(const struct rig_options *options, struct rig *rig)
{
    int err;

    *rig = (struct rig){.hub = CHILD_NONE, .shipper = CHILD_NONE};
    err = scratch_make(STATE_PARENT, rig->state_dir);
    if (!err)
        err = scratch_make(RINGS_PARENT, rig->rings_dir);
    if (err)
        fprintf(stderr, "ehring-bench: cannot make a directory in %s and in %s: %s\n", STATE_PARENT, RINGS_PARENT, strerror(-err));
    if (!err)
        err = start_hub(options, rig);
    if (!err)
        err = start_shipper(options, rig);
    return err;
}

void rig_stop(struct rig *rig)
{
    child_stop(&rig->shipper, STOP_MS);
    child_stop(&rig->hub, STOP_MS);
    scratch_remove(rig->rings_dir);
    scratch_remove(rig->state_dir);
    rig->rings_dir[0] = rig->state_dir[0] = 0;
}

int rig_check(struct rig *rig)
{
    const char *ended = !child_runs(&rig->hub) ? "ehring-hub" : !child_runs(&rig->shipper) ? "ehring-shipper" : NULL;

    if (scratch_interrupted())
        return -EINTR;
    if (!ended)
        return 0;
    fprintf(stderr, "ehring-bench: %s ended too early\n", ended);
    rig_print_logs(rig);
    return -ECHILD;
}

void rig_print_logs(const struct rig *rig)
{
    print_log_tail(rig, "ehring-hub");
    print_log_tail(rig, "ehring-shipper");
}

int rig_read_counters(const struct rig *rig, struct rig_counters *counters)
{
    char path[SCRATCH_PATH_BYTES + 32], why[256] = "";
    struct ring_stat_view view;
    int err;

    *counters = (struct rig_counters){0};
    snprintf(path, sizeof(path), "%s/%s.stat", rig->rings_dir, RIG_STREAM);
    err = ring_stat_view_open(path, &view, why, sizeof(why));
    if (err) {
        fprintf(stderr, "ehring-bench: the shipper's counters %s: %s\n", path, why);
        return err;
    }
    for (uint32_t i = 0; i < view.count; i++) {
        add_counter(&view, &view.table[i], "batch_count", &counters->batch_count);
        add_counter(&view, &view.table[i], "batch_events", &counters->batch_events);
        add_counter(&view, &view.table[i], "sent_bytes", &counters->sent_bytes);
        add_counter(&view, &view.table[i], "sleep_count", &counters->sleep_count);
        add_counter(&view, &view.table[i], "token_count", &counters->token_count);
        add_counter(&view, &view.table[i], "connection_lost_count", &counters->connection_lost_count);
        add_counter(&view, &view.table[i], "link_ended_count", &counters->link_ended_count);
        add_counter(&view, &view.table[i], "unknown_deliveries", &counters->unknown_deliveries);
    }
    ring_stat_view_close(&view);
    return 0;
}

static int start_hub(const struct rig_options *options, struct rig *rig)
{
    char program[4096], log[SCRATCH_PATH_BYTES + 32], hub[64], delay[16], line[1024];
    const char *amqp_port = options->fixed_port && options->transport == RIG_PLAIN ? "5672" : "0";
    const char *amqps_port = options->fixed_port && options->transport == RIG_TLS ? "5671" : "0";
    const char *const argv[] = {program,       "--listen",     rig->address, "--amqp-port", amqp_port, "--amqps-port",           amqps_port,
                                "--state-dir", rig->state_dir, "--hub",      hub,           "--sink",  "--disposition-delay-ms", delay,
                                NULL};
    int err = child_find("ehring-hub", program, sizeof(program));

    if (err)
        return err;
    choose_address(rig);
    log_path(rig, "ehring-hub", log, sizeof(log));
    snprintf(hub, sizeof(hub), "%s:%u", RIG_STREAM, options->partitions);
    snprintf(delay, sizeof(delay), "%u", options->delay_ms);
    err = child_start(argv, log, &rig->hub);
    if (!err)
        err = child_read_line(&rig->hub, line, sizeof(line), START_MS);
    if (!err)
        err = note_hub(rig, line);
    if (err && err != -EINTR) {
        fprintf(stderr, "ehring-bench: ehring-hub did not become ready: %s\n", strerror(-err));
        print_log_tail(rig, "ehring-hub");
    }
    return err;
}

/* By the process's id, so that two runs can have the same port. */
static void choose_address(struct rig *rig)
{
    unsigned id = (unsigned)getpid() % (250u * 250u);

    snprintf(rig->address, sizeof(rig->address), "127.81.%u.%u", 1 + id / 250u, 1 + id % 250u);
}

/* Its ports from the line that says it is ready, name and key from its connection string. */
static int note_hub(struct rig *rig, const char *line)
{
    char path[SCRATCH_PATH_BYTES + 32], text[1024] = "";
    const char *policy, *key;
    FILE *file;

    if (sscanf(line, "ready amqp=%hu amqps=%hu", &rig->amqp_port, &rig->amqps_port) != 2)
        return -EPROTO;
    snprintf(path, sizeof(path), "%s/connection-string", rig->state_dir);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    if (!fgets(text, sizeof(text), file))
        text[0] = 0;
    fclose(file);
    policy = strstr(text, "SharedAccessKeyName=");
    key = strstr(text, "SharedAccessKey=");
    if (!policy || !key || sscanf(policy, "SharedAccessKeyName=%63[^;\n]", rig->policy) != 1 ||
        sscanf(key, "SharedAccessKey=%127[^;\n]", rig->key) != 1)
        return -EPROTO;
    return 0;
}

static int write_config(const struct rig_options *options, const struct rig *rig, const char *path)
{
    FILE *file = fopen(path, "w");
    int len;

    if (!file)
        return -errno;
    len = fprintf(
        file,
        "[shipper]\nrings = %s\nworkers = %u\nnet = %s\nlog_level = info\n\n"
        "[stream %s]\nhub = %s\nconnection_string = ${file:%s/connection-string%s}\nlinger_ms = %u\ntoken_seconds = %u\nmax_size = %u\n",
        rig->rings_dir, options->workers, options->net, RIG_STREAM, RIG_STREAM, rig->state_dir,
        options->transport == RIG_PLAIN ? "-plain" : "", options->linger_ms, options->token_seconds, options->connections);
    if (len > 0 && options->transport == RIG_TLS)
        len = fprintf(file, "ca_file = %s/ca.pem\n", rig->state_dir);
    return fclose(file) || len < 0 ? -EIO : 0;
}

static int start_shipper(const struct rig_options *options, struct rig *rig)
{
    char program[4096], log[SCRATCH_PATH_BYTES + 32], config[SCRATCH_PATH_BYTES + 32];
    const char *const argv[] = {program, "--config", config, NULL};
    int err = child_find("ehring-shipper", program, sizeof(program));

    if (err)
        return err;
    log_path(rig, "ehring-shipper", log, sizeof(log));
    snprintf(config, sizeof(config), "%s/shipper.conf", rig->state_dir);
    err = write_config(options, rig, config);
    if (!err)
        err = child_start(argv, log, &rig->shipper);
    if (err) {
        fprintf(stderr, "ehring-bench: cannot start ehring-shipper: %s\n", strerror(-err));
        return err;
    }
    return wait_for_stream(rig);
}

static int wait_for_stream(struct rig *rig)
{
    int64_t deadline_ns = measure_now_ns() + START_MS * INT64_C(1000000);
    char path[SCRATCH_PATH_BYTES + 32];
    int err = 0;

    snprintf(path, sizeof(path), "%s/%s", rig->rings_dir, RIG_STREAM);
    while (!err && access(path, W_OK) != 0) {
        err = rig_check(rig);
        if (!err && measure_now_ns() > deadline_ns) {
            fprintf(stderr, "ehring-bench: ehring-shipper did not make %s within %d ms\n", path, START_MS);
            rig_print_logs(rig);
            err = -ETIMEDOUT;
        }
        measure_sleep_until_ns(measure_now_ns() + INT64_C(5000000));
    }
    return err;
}

static void log_path(const struct rig *rig, const char *program, char *path, size_t path_len)
{
    snprintf(path, path_len, "%s/%s.log", rig->state_dir, program);
}

static void print_log_tail(const struct rig *rig, const char *program)
{
    char path[SCRATCH_PATH_BYTES + 32], text[LOG_TAIL_BYTES + 1];
    ssize_t len;
    int fd;

    log_path(rig, program, path, sizeof(path));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (lseek(fd, -LOG_TAIL_BYTES, SEEK_END) < 0)
        lseek(fd, 0, SEEK_SET);
    len = read(fd, text, LOG_TAIL_BYTES);
    close(fd);
    text[len > 0 ? len : 0] = 0;
    fprintf(stderr, "--- %s said at last:\n%s", program, text);
}

static void add_counter(const struct ring_stat_view *view, const struct ring_stat_desc *line, const char *name, uint64_t *sum)
{
    if (strncmp(line->name, name, sizeof(line->name)) != 0)
        return;
    for (uint32_t i = 0; i < line->count; i++)
        *sum += ring_stat_value(view, line, i);
}
