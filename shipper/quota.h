/* A token bucket for throughput as Event Hubs counts it: bytes and events, each event as good as 1,000 bytes. Pure; time is passed in. */
#ifndef EHRING_QUOTA_H
#define EHRING_QUOTA_H

#include <stdint.h>

#define QUOTA_UNIT_BYTES 1000000 /* of one throughput unit, per second */
#define QUOTA_EVENT_BYTES 1000   /* 1,000 events weigh as much as 1,000,000 bytes */
#define QUOTA_BURST_NS INT64_C(200000000)

struct quota {                     /* all zero: no limit */
    int64_t rate_bytes_per_second; /* and as many events as this allows; 0: no limit */
    int64_t bytes_due_ns;          /* when the debt of bytes is paid, and that of events */
    int64_t events_due_ns;
};

/* One worker's share of `throughput_units`; 0 units: no limit. worker_count >= 1. */
void quota_init(struct quota *quota, uint32_t throughput_units, uint32_t worker_count);
/* The rate changes, what was charged before stays paid or owed. 0: no limit. */
void quota_set_rate(struct quota *quota, int64_t rate_bytes_per_second);

/* How long to wait before this much may go; 0: now. What is more than a burst goes as soon as nothing is owed, and owes the rest. */
int64_t quota_wait_ns(const struct quota *quota, int64_t now_ns, uint64_t bytes, uint64_t events);
/* This much goes now. */
void quota_charge(struct quota *quota, int64_t now_ns, uint64_t bytes, uint64_t events);

#endif
