/* Keys go where the service would put them: every row of the published vectors, every partition count in them. */
#include <criterion/criterion.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_layout.h"
#include "ringbuf/ring_route.h"
#include "tests/vectors.h"

static size_t hex_read(const char *hex, uint8_t *to)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++)
        sscanf(hex + 2 * i, "%2hhx", &to[i]);
    return len;
}

Test(ring_route, hashes_and_places_every_key_of_the_vectors_as_the_service_does)
{
    cJSON *json = vectors_read("partition-keys.json"), *row, *count;
    int rows = 0, places = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "cases"))
    {
        uint8_t key[512];
        size_t len = hex_read(cJSON_GetObjectItem(row, "utf8_hex")->valuestring, key);
        cr_assert_eq(len, (size_t)cJSON_GetObjectItem(row, "utf8_len")->valueint);
        int16_t hash = ring_key_hash(key, len);
        const char *name = cJSON_GetObjectItem(row, "key")->valuestring;
        cr_expect_eq(hash, cJSON_GetObjectItem(row, "hash16")->valueint, "key %s", name);
        cJSON_ArrayForEach(count, cJSON_GetObjectItem(row, "partition"))
        {
            cr_expect_eq(ring_partition_of_hash(hash, (uint32_t)atoi(count->string)), (uint32_t)count->valueint, "key %s of %s", name,
                         count->string);
            places++;
        }
        rows++;
    }
    cr_expect_eq(rows, 35);
    cr_expect_eq(places, 35 * 12);
    cJSON_Delete(json);
}

Test(ring_route, a_key_may_begin_at_any_address_and_end_at_the_end_of_its_memory)
{
    for (size_t len = 1; len < 40; len++) {
        uint8_t *exact = malloc(len), shifted[64];
        memset(exact, 'k', len);
        int16_t hash = ring_key_hash(exact, len);
        for (size_t off = 0; off < 8; off++) {
            memset(shifted, 0xff, sizeof shifted);
            memset(shifted + off, 'k', len);
            cr_assert_eq(ring_key_hash(shifted + off, len), hash);
        }
        free(exact);
    }
}

Test(ring_route, every_hash_is_within_any_count)
{
    static const uint32_t counts[] = {1, 2, 3, 7, 32, 2000, 32768, 65537, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int hash = INT16_MIN; hash <= INT16_MAX; hash++)
            cr_assert_lt(ring_partition_of_hash((int16_t)hash, counts[i]), counts[i]);
}

Test(ring_route, domains_of_partitions_are_apart_from_those_of_classes)
{
    for (uint32_t partition = 0; partition < RING_PARTITIONS_MAX; partition++) {
        uint32_t domain = ring_partition_domain(partition);
        cr_assert_geq(domain, RING_CLASS_COUNT);
        cr_assert_lt(domain, RING_DOMAINS_MAX);
        cr_assert_eq(ring_domain_partition(domain), partition);
    }
    for (uint32_t class = 0; class < RING_CLASS_COUNT; class ++)
        cr_assert_eq(ring_domain_partition(class), RING_PARTITION_NONE);
}

Test(ring_route, lanes_share_partitions_and_classes_evenly)
{
    for (uint32_t lanes = 1; lanes <= RING_LANES_MAX; lanes++) {
        int owned[RING_LANES_MAX] = {0};
        for (uint32_t domain = 0; domain < 16 * lanes; domain++) {
            cr_assert_lt(ring_domain_lane(domain, lanes), lanes);
            owned[ring_domain_lane(domain, lanes)]++;
        }
        for (uint32_t lane = 0; lane < lanes; lane++)
            cr_assert_eq(owned[lane], 16);
    }
}
