/* One dead letter: a line of a segment taken apart, and the event that it holds. The line's format is in ehring-ctl(1). */
#ifndef CTL_LETTER_H
#define CTL_LETTER_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ehring.h"

#define LETTER_VERSION 1
#define LETTER_TEXT_BYTES_MAX 96u /* of an id's text, with its NUL */

struct letter_text { /* `bytes` NULL: absent; a NUL follows the last one */
    const char *bytes;
    size_t len;
};

struct letter {
    cJSON *object; /* owns the texts, with `decoded` */
    struct ehring_identity id;
    char id_text[LETTER_TEXT_BYTES_MAX];
    const char *reason; /* never NULL */
    struct letter_text stream, ring, condition, description;
    uint64_t attempts;
    const char *first_time, *last_time; /* as written; NULL: absent */
    int64_t when_ns;                    /* last_time, else first_time, else the event's time, else 0 */
    /* the event */
    struct letter_text key, body, content_type, message_id, correlation_id, schema_version, traceparent;
    const char *partition; /* NULL: none */
    const char *time;
    bool has_time, has_key_hash, body_is_binary;
    int64_t time_ns;
    int16_t key_hash;
    size_t property_count;
    struct ehring_property property[EHRING_PROPERTIES_MAX];
    /* what base64 became */
    size_t decoded_count;
    void *decoded[EHRING_PROPERTIES_MAX * 3 + 16];
};

/* 0; -EBADMSG with what is wrong with the line, -ENOMEM; the letter is then empty. */
int letter_parse(const char *line, size_t len, struct letter *letter, char *why, size_t why_cap);
void letter_free(struct letter *letter);

enum letter_times { LETTER_WITH_TIME, LETTER_WITHOUT_TIME };
/* The event, pointing into the letter. 0, or -EINVAL with what of it no call of libehring can take. */
int letter_event(const struct letter *letter, enum letter_times times, struct ehring_event *event, char *why, size_t why_cap);

#endif
