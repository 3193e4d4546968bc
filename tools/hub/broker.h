/* The hubs of this process: entities, partitions, policies, counters. Chooses partitions and stores; looks into no connection. */
#ifndef HUB_BROKER_H
#define HUB_BROKER_H

#include "fault.h"
#include "message.h"
#include "sas.h"
#include "store.h"
#include "storefile.h"

#include <openssl/evp.h>

#include <stdbool.h>
#include <stdint.h>

enum { HUB_GROUPS_MAX = 20, HUB_ENTITIES_MAX = 64, HUB_PARTITIONS_MAX = 2048 };

struct hub_conn;
struct hub_link;
struct hub_listeners;
struct hub_scenario;

/* What carries AMQP. */
enum hub_transport { HUB_TRANSPORT_AMQP, HUB_TRANSPORT_AMQPS, HUB_TRANSPORT_WS, HUB_TRANSPORT_WSS, HUB_TRANSPORTS };

struct hub_counts {
    uint64_t events, batches, bytes, batch_events_max, dropped_events;
};

struct hub_partition {
    struct hub_entity *entity;
    uint32_t index;
    char id[12];
    struct hub_log log;
    struct hub_counts counts;
    struct hub_link *receivers; /* links that read here */
};

struct hub_entity {
    char name[HUB_NAME_MAX];
    struct hub_partition *partitions;
    uint32_t partition_count, next_partition;
    char groups[HUB_GROUPS_MAX][HUB_NAME_MAX];
    unsigned group_count;
    int64_t created_ms;
    size_t memory_bytes, segment_bytes;
};

struct hub_broker {
    struct hub_entity *entities[HUB_ENTITIES_MAX];
    unsigned entity_count;
    struct hub_policies policies;
    EVP_PKEY *jwt_key; /* of who signs JSON web tokens; NULL: none are taken */
    struct hub_faults faults;
    struct hub_scenario *scenario;   /* NULL: none */
    struct hub_listeners *listeners; /* NULL: none */
    struct hub_conn *conns;          /* the open ones; conn.c keeps the list */
    struct hub_storefile *file;      /* NULL: none */
    bool sink, verbose;              /* verbose: refusals go to stderr */
    size_t store_bytes_max;
    int64_t now_ms;              /* wall clock, once per turn */
    int64_t now_mono_ms;         /* of a clock that only grows */
    uint64_t events, deliveries; /* stored events; whole deliveries that came in, whatever became of them */
    uint64_t connections_by[HUB_TRANSPORTS], handshakes_failed, handshakes_refused, upgrades_refused;
    uint64_t connections, rejected, released, modified, throttled, unanswered; /* throttled ones are rejected too */
    uint64_t tokens_accepted, tokens_refused, requests_failed, links_refused, links_detached, connections_cut, faults_played;
    char host[HUB_NAME_MAX]; /* for texts */
};

/* Adds a hub from NAME:PARTITIONS[:group,group]. 0, -EINVAL, -EEXIST or -ENOSPC. */
int hub_broker_add(struct hub_broker *b, const char *spec);

/* The hub of this name (case ignored), or NULL. */
struct hub_entity *hub_broker_find(const struct hub_broker *b, const char *name);

/* The partition of this id, or NULL. */
struct hub_partition *hub_entity_partition(struct hub_entity *e, const char *id);

/* Whether the hub has this consumer group. */
bool hub_entity_has_group(const struct hub_entity *e, const char *group);

/* The partition for a message on a link to the hub: by the envelope's key, else the next in turn. */
struct hub_partition *hub_entity_choose(struct hub_entity *e, const struct hub_message *m);

/* Stores (a sink: counts) a message that was checked, of `len` encoded bytes. */
void hub_broker_store(struct hub_broker *b, struct hub_partition *p, const struct hub_message *m, size_t len);

/* The setting of this kind that stands now, or NULL. */
static inline const struct hub_fault *hub_broker_fault(const struct hub_broker *b, enum hub_fault_kind kind)
{
    return b->faults.count == 0 ? NULL : hub_faults_find(&b->faults, kind, b->now_mono_ms);
}

/* Takes back what a store file holds; records of hubs that are not there are left out. 0 or a negative errno. */
int hub_broker_load(struct hub_broker *b, const char *path);

void hub_broker_free(struct hub_broker *b);

#endif
