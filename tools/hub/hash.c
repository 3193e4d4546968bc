/* Partition key to partition, as the service and its SDKs compute it. */
#include "hash.h"

#include <stdlib.h>
#include <string.h>

struct mix {
    uint32_t a, b, c;
};

static void mix_add(struct mix *m, const uint8_t *block);
static void mix_round(struct mix *m);
static void mix_last(struct mix *m);
static uint32_t word_le(const uint8_t *p);

static inline uint32_t rotl(uint32_t v, unsigned bits)
{
    return v << bits | v >> (32 - bits);
}

int16_t hub_key_hash(const uint8_t *key, size_t len)
{
    uint32_t seed = 0xdeadbeefu + (uint32_t)len;
    struct mix m = {seed, seed, seed};
    uint8_t tail[12] = {0};

    while (len > sizeof(tail)) {
        mix_add(&m, key);
        mix_round(&m);
        key += sizeof(tail);
        len -= sizeof(tail);
    }
    if (len > 0) {
        memcpy(tail, key, len);
        mix_add(&m, tail);
        mix_last(&m);
    }
    return (int16_t)(uint16_t)(m.c ^ m.b);
}

/* The remainder keeps the hash's sign, so that -1 and 1 meet: a modulo that is never negative picks other partitions. */
uint32_t hub_key_partition(const uint8_t *key, size_t len, uint32_t partition_count)
{
    return (uint32_t)abs(hub_key_hash(key, len) % (int)partition_count);
}

static void mix_add(struct mix *m, const uint8_t *block)
{
    m->a += word_le(block);
    m->b += word_le(block + 4);
    m->c += word_le(block + 8);
}

static void mix_round(struct mix *m)
{
    uint32_t a = m->a, b = m->b, c = m->c;

    a -= c;
    a ^= rotl(c, 4);
    c += b;
    b -= a;
    b ^= rotl(a, 6);
    a += c;
    c -= b;
    c ^= rotl(b, 8);
    b += a;
    a -= c;
    a ^= rotl(c, 16);
    c += b;
    b -= a;
    b ^= rotl(a, 19);
    a += c;
    c -= b;
    c ^= rotl(b, 4);
    b += a;
    *m = (struct mix){a, b, c};
}

static void mix_last(struct mix *m)
{
    uint32_t a = m->a, b = m->b, c = m->c;

    c ^= b;
    c -= rotl(b, 14);
    a ^= c;
    a -= rotl(c, 11);
    b ^= a;
    b -= rotl(a, 25);
    c ^= b;
    c -= rotl(b, 16);
    a ^= c;
    a -= rotl(c, 4);
    b ^= a;
    b -= rotl(a, 14);
    c ^= b;
    c -= rotl(b, 24);
    *m = (struct mix){a, b, c};
}

static uint32_t word_le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
