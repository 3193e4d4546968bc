/* What the files of the configuration share: the table of fields, the draft that a file is read into, and the report of its errors. */
#ifndef EHRING_CONFIG_INTERNAL_H
#define EHRING_CONFIG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config.h"

#define CONFIG_LINE_BYTES_MAX 4096u
#define CONFIG_VALUE_BYTES_MAX 4096u /* after the secrets are filled in */
#define CONFIG_FILE_BYTES_MAX (1u << 20)
#define CONFIG_BELL_PATH_BYTES_MAX 107u /* sockaddr_un's */

enum config_section { CONFIG_SECTION_NONE, CONFIG_SECTION_SHIPPER, CONFIG_SECTION_STREAM, CONFIG_SECTION_BAD };
enum config_kind { CONFIG_TEXT, CONFIG_PATH, CONFIG_NUMBER, CONFIG_BYTES, CONFIG_WORD, CONFIG_LEVELS };

/* clang-format off */
enum config_key { /* index into config_fields */
    KEY_RINGS, KEY_WORKERS, KEY_NET, KEY_LOG_LEVEL, KEY_DRAIN, KEY_DEAD_LETTERS,
    KEY_DEAD_LETTER_SEGMENT_BYTES, KEY_DEAD_LETTER_SEGMENT_SECONDS,
    KEY_TYPE, KEY_HUB, KEY_CONNECTION_STRING, KEY_CONNECTION_STRING_SECONDARY, KEY_NAMESPACE, KEY_SHARED_ACCESS_KEY_NAME, KEY_SHARED_ACCESS_KEY,
    KEY_SHARED_ACCESS_KEY_SECONDARY, KEY_CREDENTIAL, KEY_TENANT_ID, KEY_CLIENT_ID, KEY_CLIENT_SECRET, KEY_CLIENT_CERTIFICATE,
    KEY_CLIENT_CERTIFICATE_PASSWORD, KEY_TOKEN_FILE, KEY_OBJECT_ID, KEY_RESOURCE_ID, KEY_AUTHORITY_HOST,
    KEY_BROKER, KEY_ADDRESS, KEY_OPEN_HOSTNAME, KEY_SASL_USER, KEY_SASL_PASSWORD, KEY_KEY_PROPERTY, KEY_WINDOW_EVENTS,
    KEY_TRANSPORT, KEY_ENDPOINT, KEY_PROXY, KEY_PROXY_USER, KEY_PROXY_PASSWORD,
    KEY_CA_FILE, KEY_CA_DIR, KEY_TLS_CERTIFICATE, KEY_TLS_KEY, KEY_TLS_KEY_PASSWORD, KEY_GROUP,
    KEY_LINGER, KEY_BATCH_BYTES, KEY_BATCH_COUNT, KEY_INFLIGHT_BYTES, KEY_CONNECT_TIMEOUT, KEY_RETRY_BACKOFF, KEY_RETRY_BACKOFF_MAX,
    KEY_TOKEN, KEY_PARTITION_REFRESH,
    KEY_MAX_SIZE, KEY_CLIENT_LIMIT, KEY_MAX_IDLE, KEY_MAX_LIFESPAN, KEY_MAX_CONCURRENT_CONNECTS, KEY_READY_MESSAGE,
    KEY_MAX_RETRIES, KEY_MAX_AGE, KEY_THROUGHPUT_UNITS,
    KEY_COUNT
};
/* clang-format on */

/* With which type of peer a key has a meaning. */
enum config_of_type { CONFIG_ANY_TYPE, CONFIG_EVENT_HUBS_ONLY, CONFIG_AMQP_ONLY };

struct config_field {
    enum config_section section;
    const char *name;
    enum config_kind kind;
    enum config_effect effect; /* of a change while running */
    bool secret;               /* its value is in no message */
    bool zero_is_none;         /* 0 is allowed below min and means: no limit of ours */
    bool of_door;              /* of struct door: also a setting of libehring-direct */
    enum config_of_type of_type;
    const char *const *words; /* CONFIG_WORD: what is allowed, by the value it stands for; ends with NULL */
    size_t offset, size;      /* in struct config (shipper) or struct config_draft (stream) */
    uint64_t min, max;
    const char *unit;
    const char *standard; /* the default as text, NULL: none */
    const char *meaning;
};
extern const struct config_field config_fields[KEY_COUNT];

struct config_draft { /* a stream while its section is read */
    struct config_stream stream;
    char connection_string[CONFIG_VALUE_BYTES_MAX + 1];
    char connection_string_secondary[CONFIG_VALUE_BYTES_MAX + 1];
    char namespace_host[320];
    char broker[300];
    char address[257];
    char shared_access_key_name[257];
    char shared_access_key[513];
    char shared_access_key_secondary[513];
    unsigned section_line;
    unsigned line[KEY_COUNT]; /* 0: the key is not in the file */
};

struct config_report {
    const char *path; /* NULL: there is no file, and lines mean nothing */
    FILE *to;
    unsigned error_count;
};
/* ---- config_report.c ---- */
/* `FILE:LINE: KEY: …`; key NULL: left out. */
void config_complain(struct config_report *report, unsigned line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void config_warn(struct config_report *report, unsigned line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts `value` into the field's place behind `base`. 0, or -EINVAL with a sentence that names what is allowed and does not hold the value.
 */
int config_field_set(const struct config_field *field, const char *value, void *base, char *why, size_t why_len);
void config_field_set_standards(enum config_section section, void *base);
/* The field, or NULL. */
const struct config_field *config_field_find(enum config_section section, const char *name);
/* The name in this section that `name` may have been meant to be, or NULL. */
const char *config_field_near(enum config_section section, const char *name);
/* "a number from 1 to 16" */
void config_field_limits(const struct config_field *field, char *to, size_t to_len);
/* Its value as it would stand in a file; empty: none. Of a key of a stream `base` is the struct config_stream, and it must be in there. */
void config_field_text(const struct config_field *field, const void *base, char *to, size_t to_len);
bool config_field_fits(const struct config_field *field, enum door_type type);
bool config_field_is_kept(const struct config_field *field);     /* in struct config or struct config_stream, not in a draft only */
void config_bytes_text(uint64_t bytes, char *to, size_t to_len); /* "64 MiB" */

/* Replaces ${env:NAME}, ${file:PATH} and ${credential:NAME}. Returns how many there were, or -EINVAL with a sentence. A world-readable file
 * is told in `warning`, else it is empty. `to` may hold secrets afterwards. */
int config_secret_expand(const char *value, char *to, size_t cap, char *why, size_t why_len, char *warning, size_t warning_len);

/* Reads all sections; drafts[CONFIG_STREAMS_MAX] is the caller's. Errors go to the report. 0, or -errno: the file cannot be read. */
int config_parse(const char *path, struct config *config, struct config_draft *drafts, struct config_report *report);
/* Checks what a draft says of its peer and finishes draft->stream.door. */
void config_door_finish(struct config_draft *draft, struct config_report *report);
/* Checks a draft as a whole and finishes draft->stream. */
void config_stream_finish(const struct config *config, struct config_draft *draft, struct config_report *report);

#endif
