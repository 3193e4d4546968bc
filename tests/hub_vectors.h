/* The published vectors, as the hub's tests read them. */
#ifndef TESTS_HUB_VECTORS_H
#define TESTS_HUB_VECTORS_H

#include "tests/vectors.h"

#include <stdint.h>
#include <string.h>

struct hub_bytes {
    uint8_t at[4096];
    size_t len;
};

static inline const char *hub_text(const cJSON *row, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(row, name);

    cr_assert(cJSON_IsString(item), "no text %s", name);
    return item->valuestring;
}

static inline void hub_unhex(const char *hex, struct hub_bytes *to)
{
    to->len = strlen(hex) / 2;
    cr_assert_leq(to->len, sizeof to->at);
    for (size_t i = 0; i < to->len; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        to->at[i] = (uint8_t)byte;
    }
}

/* The bytes of a named row of `list` ("messages" or "frames") in messages.json; stores its format when asked for. */
static inline void hub_vector(const char *list, const char *name, struct hub_bytes *to, uint32_t *format)
{
    cJSON *json = vectors_read("messages.json"), *row;

    to->len = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, list))
    {
        if (strcmp(hub_text(row, "name"), name) != 0)
            continue;
        hub_unhex(hub_text(row, "hex"), to);
        if (format)
            *format = (uint32_t)cJSON_GetObjectItem(row, "message_format")->valuedouble;
    }
    cJSON_Delete(json);
    cr_assert_gt(to->len, 0, "no vector %s", name);
}

#endif
