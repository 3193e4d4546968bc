/* Where a record belongs: the service's hash of its key, its domain, and the lane that owns a domain. Part of the format, since done_pos is
 * kept by domain: shipper and ledger must agree. Pure. */
#ifndef EHRING_RING_ROUTE_H
#define EHRING_RING_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/* The service's 16-bit key hash: Jenkins lookup3 hashlittle2, both words xored, cut to 16 bits, signed. Empty key: 0. */
int16_t ring_key_hash(const uint8_t *key, size_t len);
/* Index into the hub's partition ids: |hash % count| with C's remainder. count > 0. */
uint32_t ring_partition_of_hash(int16_t hash, uint32_t count);

#define RING_PARTITION_NONE UINT32_MAX
/* Domain of an explicit or hashed partition, and back (RING_PARTITION_NONE for a class). */
uint32_t ring_partition_domain(uint32_t partition);
uint32_t ring_domain_partition(uint32_t domain);
/* The domain of a record: explicit partition, else the caller's or our hash of the key, else the class of its stripe. A partition beyond
 * the table falls back to the class, so that it stays deliverable. RING_DOMAINS_MAX: a key, and partition_count is 0. */
uint32_t ring_domain_of(const struct ring_record *record, uint32_t partition_count);
/* The one owner function: which lane of `lane_count` a domain belongs to. */
uint32_t ring_domain_lane(uint32_t domain, uint32_t lane_count);

#endif
