/* The command line. */
#ifndef HUB_OPTIONS_H
#define HUB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUB_REPEAT_MAX = 64 };

struct hub_options {
    uint16_t amqp_port, amqps_port, ws_port, wss_port, admin_port;
    bool has_ws, has_wss, has_admin, no_tls, no_plain, sink, emulator, verbose;
    const char *cert, *key, *client_ca, *client_cert_dir, *cert_fault, *jwt_key;
    const char *state_dir, *policy, *key_file, *secondary_key_file, *listen_policy, *ports_file, *store_file, *stats_file, *dump, *scenario;
    const char *listens[HUB_REPEAT_MAX]; /* at least one */
    const char *names[HUB_REPEAT_MAX], *hubs[HUB_REPEAT_MAX], *faults[HUB_REPEAT_MAX];
    unsigned listen_count, name_count, hub_count, fault_count;
    uint64_t message_bytes_max, store_bytes_max;
    uint64_t throttle_bytes, throttle_events; /* per second; 0: no limit */
    uint32_t credit;
    int64_t disposition_delay_ms, idle_timeout_ms, token_wait_ms;
};

enum hub_options_result { HUB_OPTIONS_RUN, HUB_OPTIONS_HELP, HUB_OPTIONS_BAD };

/* Reads the arguments over the defaults. Help went to stdout, what is bad to stderr. */
enum hub_options_result hub_options_read(struct hub_options *o, int argc, char **argv);

#endif
