/* Sends cJSON values through libehring with content type application/json. Header-only: the program links cJSON itself. */
#ifndef EHRING_JSON_H
#define EHRING_JSON_H

#include <cjson/cJSON.h>
#include <string.h>

#include "ehring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sends `value`, printed without white space, with the options of `event` (its data and len are ignored; its content_type stays if there is
 * one). Allocates for the text. The handle's thread. As ehring_send_event(); EHRING_E_INVALID: value is NULL or cannot be printed. The
 * caller keeps both. cJSON holds numbers as double: integers beyond 2^53 lose digits before they come here. */
static inline int ehring_send_json_event(struct ehring *ring, const cJSON *value, const struct ehring_event *event)
{
    struct ehring_event whole = *event;
    char *text = value ? cJSON_PrintUnformatted(value) : NULL;
    int err;

    whole.data = text;
    whole.len = text ? strlen(text) : 1; /* no text: NULL with a length is refused and counted like every other bad argument */
    if (!whole.content_type)
        whole.content_type = "application/json";
    err = ehring_send_event(ring, &whole);
    cJSON_free(text);
    return err;
}

/* Sends `value` with a partition key (NUL-terminated UTF-8 or NULL). As ehring_send_json_event(). */
static inline int ehring_send_json(struct ehring *ring, const cJSON *value, const char *key)
{
    struct ehring_event event;

    memset(&event, 0, sizeof(event));
    event.key = key;
    return ehring_send_json_event(ring, value, &event);
}

#ifdef __cplusplus
}
#endif

#endif
