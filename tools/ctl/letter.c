/* One dead letter: a line of a segment taken apart. Trusts nothing in it: somebody may have edited the file. */
#include "letter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "letter_value.h"
#include "options.h"

static int take_identity(struct letter *letter, char *why, size_t why_cap);
static int take_verdict(struct letter *letter, char *why, size_t why_cap);
static int take_route(struct letter *letter, char *why, size_t why_cap);
static int take_texts(struct letter *letter, char *why, size_t why_cap);
static int take_properties(struct letter *letter, char *why, size_t why_cap);
static int take_text(struct letter *letter, const cJSON *object, const char *name, struct letter_text *text, bool *was_base64);
static int take_time(const cJSON *object, const char *name, const char **text, int64_t *wall_ns);
static int wrong(char *why, size_t why_cap, const char *format, ...) __attribute__((format(printf, 3, 4)));

int letter_parse(const char *line, size_t len, struct letter *letter, char *why, size_t why_cap)
{
    int err;

    memset(letter, 0, offsetof(struct letter, property));
    letter->decoded_count = 0;
    letter->object = cJSON_ParseWithLength(line, len);
    if (!cJSON_IsObject(letter->object))
        err = wrong(why, why_cap, "it is not a JSON object");
    else if ((err = take_identity(letter, why, why_cap)) == 0 && (err = take_verdict(letter, why, why_cap)) == 0 &&
             (err = take_route(letter, why, why_cap)) == 0 && (err = take_texts(letter, why, why_cap)) == 0)
        err = take_properties(letter, why, why_cap);
    if (err)
        letter_free(letter);
    return err;
}

void letter_free(struct letter *letter)
{
    for (size_t i = 0; i < letter->decoded_count; i++)
        free(letter->decoded[i]);
    letter->decoded_count = 0;
    cJSON_Delete(letter->object);
    letter->object = NULL;
}

int letter_event(const struct letter *letter, enum letter_times times, struct ehring_event *event, char *why, size_t why_cap)
{
    const struct {
        const char *name;
        const struct letter_text *text;
    } c_texts[] = {{"content_type", &letter->content_type},
                   {"message_id", &letter->message_id},
                   {"correlation_id", &letter->correlation_id},
                   {"schema_version", &letter->schema_version},
                   {"traceparent", &letter->traceparent}};

    for (size_t i = 0; i < sizeof(c_texts) / sizeof(c_texts[0]); i++)
        if (c_texts[i].text->bytes && strlen(c_texts[i].text->bytes) != c_texts[i].text->len) {
            snprintf(why, why_cap, "its %s holds a NUL", c_texts[i].name);
            return -EINVAL;
        }
    *event = (struct ehring_event){.data = letter->body.bytes,
                                   .len = letter->body.len,
                                   .key = letter->key.bytes,
                                   .key_len = letter->key.len,
                                   .partition_id = letter->partition,
                                   .content_type = letter->content_type.bytes,
                                   .message_id = letter->message_id.bytes,
                                   .correlation_id = letter->correlation_id.bytes,
                                   .schema_version = letter->schema_version.bytes,
                                   .traceparent = letter->traceparent.bytes,
                                   .properties = letter->property,
                                   .property_count = letter->property_count,
                                   .time_ns = letter->has_time && times == LETTER_WITH_TIME ? letter->time_ns : 0,
                                   .has_key_hash = letter->has_key_hash,
                                   .key_hash = letter->key_hash};
    return 0;
}

static int take_identity(struct letter *letter, char *why, size_t why_cap)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(letter->object, "version");
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(letter->object, "id");

    if (!cJSON_IsNumber(version) || version->valuedouble != LETTER_VERSION)
        return wrong(why, why_cap, "its version is not %d", LETTER_VERSION);
    if (!cJSON_IsString(id) || !value_identity(id->valuestring, &letter->id))
        return wrong(why, why_cap, "it has no id of the form uuid:position");
    snprintf(letter->id_text, sizeof(letter->id_text), "%s", id->valuestring);
    if (take_text(letter, letter->object, "stream", &letter->stream, NULL) ||
        take_text(letter, letter->object, "ring", &letter->ring, NULL))
        return wrong(why, why_cap, "its stream or ring is not a text");
    return 0;
}

static int take_verdict(struct letter *letter, char *why, size_t why_cap)
{
    const cJSON *reason = cJSON_GetObjectItemCaseSensitive(letter->object, "reason");
    const cJSON *attempts = cJSON_GetObjectItemCaseSensitive(letter->object, "attempts");
    int64_t first_ns = 0, last_ns = 0;

    if (!cJSON_IsString(reason))
        return wrong(why, why_cap, "it has no reason");
    letter->reason = reason->valuestring;
    if (cJSON_IsNumber(attempts) && attempts->valuedouble >= 0 && attempts->valuedouble < 1e15)
        letter->attempts = (uint64_t)attempts->valuedouble;
    if (take_text(letter, letter->object, "condition", &letter->condition, NULL) ||
        take_text(letter, letter->object, "description", &letter->description, NULL))
        return wrong(why, why_cap, "its condition or description is not a text");
    if (take_time(letter->object, "first_time", &letter->first_time, &first_ns) ||
        take_time(letter->object, "last_time", &letter->last_time, &last_ns) ||
        take_time(letter->object, "time", &letter->time, &letter->time_ns))
        return wrong(why, why_cap, "its first_time, last_time or time is not of RFC 3339 in UTC");
    letter->has_time = letter->time != NULL;
    letter->when_ns = letter->last_time ? last_ns : letter->first_time ? first_ns : letter->time_ns;
    return 0;
}

static int take_route(struct letter *letter, char *why, size_t why_cap)
{
    const cJSON *hash = cJSON_GetObjectItemCaseSensitive(letter->object, "key_hash");
    const cJSON *partition = cJSON_GetObjectItemCaseSensitive(letter->object, "partition");

    if (take_text(letter, letter->object, "key", &letter->key, NULL))
        return wrong(why, why_cap, "its key is not a text");
    if (hash && (!cJSON_IsNumber(hash) || hash->valuedouble < INT16_MIN || hash->valuedouble > INT16_MAX))
        return wrong(why, why_cap, "its key_hash is not a number of 16 bits");
    if (partition && !cJSON_IsString(partition))
        return wrong(why, why_cap, "its partition is not a text");
    letter->has_key_hash = hash != NULL;
    letter->key_hash = hash ? (int16_t)hash->valueint : 0;
    letter->partition = partition ? partition->valuestring : NULL;
    return 0;
}

static int take_texts(struct letter *letter, char *why, size_t why_cap)
{
    const struct {
        const char *name;
        struct letter_text *text;
    } texts[] = {{"content_type", &letter->content_type},
                 {"message_id", &letter->message_id},
                 {"correlation_id", &letter->correlation_id},
                 {"schema_version", &letter->schema_version},
                 {"traceparent", &letter->traceparent}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (take_text(letter, letter->object, texts[i].name, texts[i].text, NULL))
            return wrong(why, why_cap, "its %s is not a text", texts[i].name);
    if (take_text(letter, letter->object, "body", &letter->body, &letter->body_is_binary) || !letter->body.bytes)
        return wrong(why, why_cap, "it has no body, neither as a text nor in base64");
    return 0;
}

static int take_properties(struct letter *letter, char *why, size_t why_cap)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(letter->object, "properties"), *item;

    if (list && !cJSON_IsArray(list))
        return wrong(why, why_cap, "its properties are not an array");
    cJSON_ArrayForEach(item, list)
    {
        struct letter_text name, text;
        size_t count = letter->property_count;
        if (count == EHRING_PROPERTIES_MAX)
            return wrong(why, why_cap, "it has more than %u properties", EHRING_PROPERTIES_MAX);
        if (take_text(letter, item, "name", &name, NULL) || !name.bytes || strlen(name.bytes) != name.len)
            return wrong(why, why_cap, "property %zu has no name, or one with a NUL", count);
        if (take_text(letter, item, "value", &text, NULL) ||
            !value_property(item, name.bytes, text.bytes, text.len, &letter->property[count]))
            return wrong(why, why_cap, "property %zu has an unknown type, or a value that is not of it", count);
        letter->property_count++;
        if (letter->property[count].type == EHRING_TYPE_UUID) /* its bytes were made */
            letter->decoded[letter->decoded_count++] = (void *)(uintptr_t)letter->property[count].value.uuid;
    }
    return 0;
}

/* `name`, or what `name`_base64 says. Absent is no error. */
static int take_text(struct letter *letter, const cJSON *object, const char *name, struct letter_text *text, bool *was_base64)
{
    char full_name[64];
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    *text = (struct letter_text){0};
    if (cJSON_IsString(item)) {
        *text = (struct letter_text){item->valuestring, strlen(item->valuestring)};
        return 0;
    }
    snprintf(full_name, sizeof(full_name), "%s_base64", name);
    if (!item)
        item = cJSON_GetObjectItemCaseSensitive(object, full_name);
    else if (cJSON_IsBool(item)) /* a property's value */
        return 0;
    if (!item)
        return 0;
    char *bytes = cJSON_IsString(item) ? value_base64(item->valuestring, &text->len) : NULL;
    if (!bytes)
        return -EBADMSG;
    if (was_base64)
        *was_base64 = true;
    letter->decoded[letter->decoded_count++] = bytes;
    text->bytes = bytes;
    return 0;
}

static int take_time(const cJSON *object, const char *name, const char **text, int64_t *wall_ns)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!item)
        return 0;
    if (!cJSON_IsString(item) || !option_rfc3339(item->valuestring, wall_ns))
        return -EBADMSG;
    *text = item->valuestring;
    return 0;
}

static int wrong(char *why, size_t why_cap, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, why_cap, format, args);
    va_end(args);
    return -EBADMSG;
}
