/* INI (libinih) to an immutable struct, by one table of fields with unit, default and limits. Unknown keys and bad values are errors with
 * file, line and key. */
#ifndef EHRING_CONFIG_H
#define EHRING_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "door.h"
#include "net.h"

#define CONFIG_STREAMS_MAX 64
#define CONFIG_WORKERS_MAX 16
#define CONFIG_CONNECTIONS_MAX 256 /* of a stream */
#define CONFIG_READY_MESSAGE_BYTES_MAX 255

/* What a running shipper does about another value, the least first. */
enum config_effect {
    CONFIG_AT_USE,   /* it is read where it is used: in force at once */
    CONFIG_NEW_PEER, /* the stream's connections are drained and replaced */
    CONFIG_NEW_HUB,  /* and its rings are attached anew, under the partitions of the other hub */
    CONFIG_AT_START, /* nothing: the old value stays until a restart */
};

struct config_stream {
    char name[64]; /* also the directory's name */
    struct door door;
    char group[64];                                         /* producers' group of the stream's directory; empty: none */
    uint32_t linger_ms;                                     /* 5 */
    uint64_t batch_bytes_max;                               /* 0: the link's */
    uint32_t batch_count_max;                               /* 0: none */
    uint64_t inflight_bytes_max;                            /* 64 MiB */
    uint32_t connect_timeout_seconds;                       /* 10 */
    uint32_t retry_backoff_ms;                              /* 800 */
    uint32_t retry_backoff_max_seconds;                     /* 60 */
    uint32_t token_seconds;                                 /* life of a SAS token of ours: 3600 */
    uint32_t partition_refresh_seconds;                     /* 300 */
    uint32_t max_size;                                      /* 10 connections, over all workers */
    uint32_t client_limit;                                  /* 100 links on a connection */
    uint32_t max_idle_seconds;                              /* 300 */
    uint32_t max_lifespan_seconds;                          /* 0: for ever */
    uint32_t max_concurrent_connects;                       /* a third of max_size, at least 1 */
    char ready_message[CONFIG_READY_MESSAGE_BYTES_MAX + 1]; /* empty: none */
    uint32_t max_retries;                                   /* 0: for ever */
    uint32_t max_age_seconds;                               /* 0: for ever */
    uint32_t throughput_units;                              /* 0: no quota of ours */
    uint32_t window_events;                                 /* DOOR_AMQP: 256 messages of a domain under way at once */
};
struct config {
    char path[1024];
    char rings[1024];                     /* /dev/shm/ehring */
    uint32_t workers;                     /* 1 */
    enum net_kind net;                    /* auto */
    char log_level[256];                  /* info */
    uint32_t drain_seconds;               /* 30 */
    char dead_letters[1024];              /* /var/lib/ehring/dead-letters */
    uint64_t dead_letter_segment_bytes;   /* 16 MiB */
    uint32_t dead_letter_segment_seconds; /* 3600 */
    uint32_t stream_count;
    struct config_stream stream[CONFIG_STREAMS_MAX];
};

/* Reads and checks `path`. *out is the caller's (config_free). 0, or -EINVAL/-errno after having written one line per error to `errors`
 * (`FILE:LINE: key: what is wrong, what is allowed`). Secrets: ${env:NAME}, ${file:PATH}, ${credential:NAME} (systemd's
 * $CREDENTIALS_DIRECTORY), inside any value. */
int config_read(const char *path, struct config **out, FILE *errors);
void config_free(struct config *config); /* wipes secrets */
/* Prints the configuration in force as INI, secrets masked. */
void config_print(const struct config *config, FILE *to);
/* One line per key: section, name, unit, default, limits, meaning; for --help-config and the man page. */
void config_print_keys(FILE *to);

#endif
