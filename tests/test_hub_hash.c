/* Keys meet the partitions that the service's own SDKs choose. */
#include "tests/hub_vectors.h"
#include "tools/hub/hash.h"

Test(hub_hash, every_published_key_has_its_hash_and_partition)
{
    cJSON *json = vectors_read("partition-keys.json"), *row, *partition;
    int rows = 0;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "cases"))
    {
        struct hub_bytes key;
        hub_unhex(hub_text(row, "utf8_hex"), &key);
        cr_expect_eq(hub_key_hash(key.at, key.len), cJSON_GetObjectItem(row, "hash16")->valueint, "key %s", hub_text(row, "key"));
        cJSON_ArrayForEach(partition, cJSON_GetObjectItem(row, "partition"))
        {
            uint32_t count = (uint32_t)atoi(partition->string);
            cr_expect_eq(hub_key_partition(key.at, key.len, count), (uint32_t)partition->valueint, "key %s of %u", hub_text(row, "key"),
                         count);
        }
        rows++;
    }
    cr_expect_eq(rows, 35);
    cJSON_Delete(json);
}
