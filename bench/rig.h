/* What `ship` measures: a hub that swallows, a shipper on its rings, both started here with directories of their own. */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/child.h"
#include "bench/scratch.h"

#define RIG_STREAM "bench"

enum rig_transport { RIG_TLS, RIG_PLAIN };
extern const char *const rig_transport_names[];

struct rig_options {
    uint32_t workers;
    const char *net; /* auto, uring, epoll */
    enum rig_transport transport;
    uint32_t partitions;
    uint32_t linger_ms;
    uint32_t token_seconds; /* life of the shipper's tokens */
    uint32_t connections;   /* the shipper's max_size */
    uint32_t delay_ms;      /* the hub answers so much later */
    bool fixed_port;        /* of the transport: the service's own, which official SDKs insist on */
};

struct rig {
    char state_dir[SCRATCH_PATH_BYTES]; /* hub's state, configuration, logs */
    char rings_dir[SCRATCH_PATH_BYTES];
    char address[16]; /* the hub's: one of loopback that is this run's alone */
    uint16_t amqp_port;
    uint16_t amqps_port;
    char policy[64]; /* name and key with which the hub lets in */
    char key[128];
    struct child hub;
    struct child shipper;
};

/* Starts both and waits until the stream's directory is there. 0, or a negative errno after lines on stderr. rig_stop ends and removes all,
 * also after an error. */
int rig_start(const struct rig_options *options, struct rig *rig);
void rig_stop(struct rig *rig);

/* 0; -EINTR: the run was interrupted; -ECHILD after lines on stderr: hub or shipper ended. */
int rig_check(struct rig *rig);
/* The end of the logs on stderr: why it does not work. */
void rig_print_logs(const struct rig *rig);

/* The shipper's counters of the stream, added up over its workers. */
struct rig_counters {
    uint64_t token_count;
    uint64_t connection_lost_count;
    uint64_t link_ended_count;
    uint64_t unknown_deliveries;
    uint64_t batch_count;
    uint64_t batch_events;
    uint64_t sent_bytes;
    uint64_t sleep_count;
};
/* 0 or -errno after a line on stderr. */
int rig_read_counters(const struct rig *rig, struct rig_counters *counters);

#endif
