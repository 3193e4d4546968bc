/* Where an event belongs: the service's key hash, and the arithmetic between partitions, domains and lanes. */
#include "ring_route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct hash_words {
    uint32_t a, b, c;
};

static void words_add(struct hash_words *words, const uint8_t *from);
static void words_mix(struct hash_words *words);
static void words_finish(struct hash_words *words);
static uint32_t rotate(uint32_t value, unsigned bits);

int16_t ring_key_hash(const uint8_t *key, size_t len)
{
    uint32_t seed = UINT32_C(0xdeadbeef) + (uint32_t)len;
    struct hash_words words = {seed, seed, seed};
    if (len == 0)
        return 0;
    for (; len > 12; key += 12, len -= 12) {
        words_add(&words, key);
        words_mix(&words);
    }
    uint8_t tail[12] = {0};
    memcpy(tail, key, len);
    words_add(&words, tail);
    words_finish(&words);
    return (int16_t)(uint16_t)(words.c ^ words.b);
}

uint32_t ring_partition_of_hash(int16_t hash, uint32_t count)
{
    assert(count > 0);
    /* As wide as both: the remainder of a count beyond INT_MAX must not become unsigned. */
    return (uint32_t)llabs((long long)hash % (long long)count);
}

uint32_t ring_partition_domain(uint32_t partition)
{
    return RING_CLASS_COUNT + partition;
}

uint32_t ring_domain_partition(uint32_t domain)
{
    return domain < RING_CLASS_COUNT ? RING_PARTITION_NONE : domain - RING_CLASS_COUNT;
}

uint32_t ring_domain_of(const struct ring_record *record, uint32_t partition_count)
{
    int16_t hash;
    if (record->flags & RING_FLAG_ROUTE_PARTITION)
        return record->route < RING_PARTITIONS_MAX ? ring_partition_domain(record->route) : ring_class_of(record->pos);
    if (record->flags & RING_FLAG_ROUTE_HASH)
        hash = (int16_t)record->route;
    else if (record->key_len)
        hash = ring_key_hash(record->key, record->key_len);
    else
        return ring_class_of(record->pos);
    return partition_count ? ring_partition_domain(ring_partition_of_hash(hash, partition_count)) : RING_DOMAINS_MAX;
}

uint32_t ring_domain_lane(uint32_t domain, uint32_t lane_count)
{
    assert(lane_count > 0);
    return domain % lane_count;
}

static void words_add(struct hash_words *words, const uint8_t *from)
{
    uint32_t word[3];
    memcpy(word, from, 12);
    words->a += word[0];
    words->b += word[1];
    words->c += word[2];
}

/* clang-format off */
static void words_mix(struct hash_words *words)
{
    uint32_t a = words->a, b = words->b, c = words->c;
    a -= c; a ^= rotate(c, 4); c += b;
    b -= a; b ^= rotate(a, 6); a += c;
    c -= b; c ^= rotate(b, 8); b += a;
    a -= c; a ^= rotate(c, 16); c += b;
    b -= a; b ^= rotate(a, 19); a += c;
    c -= b; c ^= rotate(b, 4); b += a;
    *words = (struct hash_words){a, b, c};
}

static void words_finish(struct hash_words *words)
{
    uint32_t a = words->a, b = words->b, c = words->c;
    c ^= b; c -= rotate(b, 14);
    a ^= c; a -= rotate(c, 11);
    b ^= a; b -= rotate(a, 25);
    c ^= b; c -= rotate(b, 16);
    a ^= c; a -= rotate(c, 4);
    b ^= a; b -= rotate(a, 14);
    c ^= b; c -= rotate(b, 24);
    *words = (struct hash_words){a, b, c};
}
/* clang-format on */

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}
