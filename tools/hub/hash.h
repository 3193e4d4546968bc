/* Partition key to partition, as the service and its SDKs compute it. */
#ifndef HUB_HASH_H
#define HUB_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The signed 16-bit hash of a key's UTF-8 bytes. */
int16_t hub_key_hash(const uint8_t *key, size_t len);

/* Index of the key's partition among `partition_count`, which is at least 1. */
uint32_t hub_key_partition(const uint8_t *key, size_t len, uint32_t partition_count);

#endif
