/* Feeds the SDK's test: COUNT events into the stream `ship`, each with body, key, ids and properties that follow from its number. shipped.mjs knows the rule too.
 * usage: feed COUNT, with EHRING_RINGS set */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ehring.h"

#define PARTITIONS 4u
#define PROPERTIES 9

static void body_make(uint32_t i, uint8_t *to, size_t len)
{
    uint32_t state = i;
    for (size_t k = 0; k < len; k++) {
        state = state * 1664525u + 1013904223u;
        to[k] = (uint8_t)(state >> 24);
    }
}

static size_t properties_make(uint32_t i, struct ehring_property to[PROPERTIES])
{
    static char text[32];
    static uint8_t bytes[64], uuid[16];
    to[0] = ehring_property_int("n", i);
    if (i % 2 == 0)
        return 1;
    snprintf(text, sizeof text, "gr\u00fc\u00dfe %u \U0001f680", i);
    body_make(i, bytes, sizeof bytes);
    memset(uuid, (int)(i % 256), sizeof uuid);
    to[1] = ehring_property_text("text", text);
    to[2] = ehring_property_bool("bool", i % 4 == 1);
    to[3] = ehring_property_int("negative", -(int64_t)i * 1000000);
    to[4] = ehring_property_uint("uint", (UINT64_C(1) << 40) + i);
    to[5] = ehring_property_double("double", (double)i / 8);
    to[6] = ehring_property_timestamp("time", INT64_C(1700000000000) + i);
    to[7] = ehring_property_bytes("bytes", bytes, i % 64);
    to[8] = ehring_property_uuid("uuid", uuid);
    return PROPERTIES;
}

static int send_one(struct ehring *ring, uint32_t i)
{
    static uint8_t body[60000];
    struct ehring_property properties[PROPERTIES];
    char key[32], partition[8], message_id[16], correlation_id[16];
    struct ehring_event event = {.data = body, .message_id = message_id, .properties = properties, .len = i % 500 == 0 ? sizeof body : i * 37 % 900};
    snprintf(key, sizeof key, "schl\u00fcssel %u", i % 50);
    snprintf(partition, sizeof partition, "%u", i / 3 % PARTITIONS);
    snprintf(message_id, sizeof message_id, "m%u", i);
    snprintf(correlation_id, sizeof correlation_id, "c%u", i);
    body_make(i, body, event.len);
    event.property_count = properties_make(i, properties);
    event.key = i % 3 == 0 ? key : NULL;
    event.partition_id = i % 3 == 1 ? partition : NULL;
    event.correlation_id = i % 4 == 0 ? correlation_id : NULL;
    event.content_type = i % 7 == 0 ? "application/json" : NULL;
    event.schema_version = i % 10 == 0 ? "v1" : NULL;
    event.traceparent = i % 5 == 0 ? "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" : NULL;
    event.time_ns = i % 11 == 0 ? EHRING_TIME_NOW : 0;
    return ehring_send_event(ring, &event);
}

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    struct ehring *ring;
    int rc = ehring_open(&(struct ehring_options){.stream = "ship", .full = EHRING_FULL_WAIT}, &ring);
    if (rc != 0) {
        fprintf(stderr, "feed: %s\n", ehring_open_error());
        return 1;
    }
    for (uint32_t i = 1; rc == 0 && i <= count; i++)
        rc = send_one(ring, i);
    if (rc != 0)
        fprintf(stderr, "feed: %s\n", ehring_error_text(rc));
    ehring_close(ring);
    return rc != 0;
}
