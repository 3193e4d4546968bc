/* Event to domain: the service's hash of the key, partitions, classes of unkeyed events, and which worker owns a domain. Pure. */
#ifndef EHRING_PARTITION_H
#define EHRING_PARTITION_H

#include <stddef.h>
#include <stdint.h>

/* The service's 16-bit key hash: Jenkins lookup3 hashlittle2, both words xored, cut to 16 bits, signed. Empty key: 0. */
int16_t partition_hash(const uint8_t *key, size_t len);
/* Index into the hub's partition ids: |hash % count| with C's remainder. count > 0. */
uint32_t partition_of_hash(int16_t hash, uint32_t count);

#define PARTITION_NONE UINT32_MAX
/* Domain of an explicit or hashed partition, and back (PARTITION_NONE for a class). */
uint32_t partition_domain(uint32_t partition);
uint32_t partition_of_domain(uint32_t domain);
/* The one owner function: which lane of `lane_count` a domain belongs to. */
uint32_t partition_lane(uint32_t domain, uint32_t lane_count);

#endif
