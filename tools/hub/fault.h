/* Faults on demand: says of each delivery whether something is to go wrong with it. */
#ifndef HUB_FAULT_H
#define HUB_FAULT_H

#include "frame.h"

#include <stdbool.h>
#include <stdint.h>

enum { HUB_FAULTS_MAX = 16 };

enum hub_fault_kind {
    HUB_FAULT_REJECT,
    HUB_FAULT_RELEASE,
    HUB_FAULT_MODIFY,
    HUB_FAULT_THROTTLE,
    HUB_FAULT_SILENT,
    HUB_FAULT_DROP,
    HUB_FAULT_DETACH,
    HUB_FAULT_TOKEN_REFUSE,
};

struct hub_fault {
    enum hub_fault_kind kind;
    uint64_t every; /* deliveries */
    uint64_t seen;
    struct hub_error error;
};

struct hub_faults {
    struct hub_fault at[HUB_FAULTS_MAX];
    unsigned count;
};

/* Reads KIND[:N[:CONDITION[:TEXT]]], as in `reject:100:amqp:internal-error:try later`. 0, -EINVAL or -ENOSPC. */
int hub_faults_add(struct hub_faults *f, const char *spec);

/* Counts one delivery in every fault; the first one that is due, or NULL. */
const struct hub_fault *hub_faults_next(struct hub_faults *f);

/* Whether every token is to be refused. */
bool hub_faults_refuse_tokens(const struct hub_faults *f);

#endif
