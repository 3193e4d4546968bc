/* Sends the conformance list as a program of ours would: into a ring, or straight to the hub. list.mjs and judge.py know the same rules.
 * usage: conform ring LIST STREAM                              with EHRING_RINGS set
 *        conform direct LIST HUB CONNECTION_STRING_FILE CA_FILE */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ehring.h"
#include "ehring_direct.h"

#define BODY_MAX (1u << 20)
#define PROPERTIES_MAX 128
#define BATCH_MAX 256
#define WAIT_MS 30000

/* One event of the list. */
struct item {
    uint32_t n;
    size_t len;
    bool is_largest; /* as large as is taken; len is then what is tried */
    uint8_t *body;
    const char *content_type, *message_id, *correlation_id;
    struct ehring_property properties[PROPERTIES_MAX];
    size_t property_count;
};

/* Where the list goes. */
struct out {
    struct ehring *ring;
    struct ehring_direct *direct;
};

static void die(const char *why)
{
    fprintf(stderr, "conform: %s\n", why);
    exit(1);
}

static char *file_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, BODY_MAX);
    if (!f || !text || fread(text, 1, BODY_MAX - 1, f) == 0)
        die(path);
    fclose(f);
    return text;
}

static void body_make(uint32_t n, uint8_t *to, size_t len)
{
    uint32_t state = n;
    for (size_t k = 0; k < len; k++) {
        state = state * 1664525u + 1013904223u;
        to[k] = (uint8_t)(state >> 24);
    }
}

/* ---- from the list ---- */

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Two digits a byte, dashes between them ignored. */
static size_t hex_read(const char *text, uint8_t **bytes)
{
    size_t len = 0;
    *bytes = calloc(1, strlen(text) / 2 + 1);
    if (!*bytes)
        die("out of memory");
    for (unsigned value = 0; *text; text += 2) {
        if (*text == '-')
            text++;
        if (sscanf(text, "%2x", &value) != 1)
            die("hexadecimal digits are not what they should be");
        (*bytes)[len++] = (uint8_t)value;
    }
    return len;
}

/* -ENOTSUP: a type that the way does not carry. */
static int property_read(const struct out *out, const cJSON *pair, struct ehring_property *to)
{
    const char *name = pair->string, *type = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0)),
               *text = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1));
    uint8_t *bytes = NULL;
    if (strcmp(type, "string") == 0)
        *to = ehring_property_text(name, text);
    else if (strcmp(type, "bool") == 0)
        *to = ehring_property_bool(name, strcmp(text, "true") == 0);
    else if (strcmp(type, "int") == 0 || strcmp(type, "long") == 0)
        *to = ehring_property_int(name, strtoll(text, NULL, 10));
    else if (strcmp(type, "ulong") == 0)
        *to = ehring_property_uint(name, strtoull(text, NULL, 10));
    else if (strcmp(type, "double") == 0)
        *to = ehring_property_double(name, strtod(text, NULL));
    else if (strcmp(type, "timestamp") == 0)
        *to = ehring_property_timestamp(name, strtoll(text, NULL, 10));
    else if (strcmp(type, "binary") == 0) {
        size_t len = hex_read(text, &bytes);
        *to = ehring_property_bytes(name, bytes, len);
    } else if (strcmp(type, "uuid") == 0) {
        hex_read(text, &bytes);
        *to = ehring_property_uuid(name, bytes);
        return out->direct ? -ENOTSUP : 0;
    } else
        die(type);
    return 0;
}

static void item_read(const struct out *out, const cJSON *event, struct item *to)
{
    const cJSON *len = cJSON_GetObjectItemCaseSensitive(event, "len"), *pair;
    memset(to, 0, sizeof *to);
    to->n = (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(event, "n"));
    to->is_largest = cJSON_IsString(len);
    to->len = to->is_largest ? BODY_MAX : (size_t)len->valuedouble;
    to->body = malloc(to->len + 1);
    if (!to->body)
        die("out of memory");
    body_make(to->n, to->body, to->len);
    to->content_type = text_of(event, "contentType");
    to->message_id = text_of(event, "messageId");
    to->correlation_id = text_of(event, "correlationId");
    to->properties[to->property_count++] = ehring_property_int("n", to->n);
    to->properties[to->property_count++] = ehring_property_int("len", (int64_t)to->len);
    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(event, "properties"))
    {
        if (property_read(out, pair, &to->properties[to->property_count]) == 0)
            to->property_count++;
    }
}

/* ---- to the ring ---- */

static int ring_send(struct ehring *ring, const struct item *item, const char *key, const char *partition_id)
{
    struct ehring_event event = {.data = item->body,
                                 .len = item->len,
                                 .key = key,
                                 .partition_id = partition_id,
                                 .content_type = item->content_type,
                                 .message_id = item->message_id,
                                 .correlation_id = item->correlation_id,
                                 .properties = item->properties,
                                 .property_count = item->property_count};
    return ehring_send_event(ring, &event);
}

/* Only what it has shipped tells the shipper, and the shipper the ring, what the hub's link takes. */
static int ring_send_largest(struct ehring *ring, struct item *item, const char *partition_id)
{
    int rc = ehring_flush(ring, WAIT_MS, NULL);
    while (rc == 0 && (rc = ring_send(ring, item, NULL, partition_id)) == EHRING_E_EVENT_TOO_LARGE) {
        item->properties[1].value.i64 = (int64_t)--item->len;
        rc = 0;
    }
    return rc;
}

static int ring_send_all(struct ehring *ring, struct item *items, size_t count, const char *key, const char *partition_id)
{
    int rc = 0;
    if (items->is_largest)
        return ring_send_largest(ring, items, partition_id);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = ring_send(ring, &items[i], key, partition_id);
    return rc;
}

/* ---- straight to the hub ---- */

static void direct_properties(const struct item *item, struct ehring_direct_property *to)
{
    for (size_t i = 0; i < item->property_count; i++) {
        const struct ehring_property *from = &item->properties[i];
        to[i] = (struct ehring_direct_property){.name = from->name, .type = (enum ehring_direct_type)from->type, .len = from->len};
        memcpy(&to[i].value, &from->value, sizeof to[i].value);
    }
}
_Static_assert(sizeof((struct ehring_property *)0)->value == sizeof((struct ehring_direct_property *)0)->value, "the values are alike");

static int direct_send_all(struct ehring_direct *direct, struct item *items, size_t count, const char *key, const char *partition_id)
{
    static struct ehring_direct_event events[BATCH_MAX];
    static struct ehring_direct_property properties[BATCH_MAX][PROPERTIES_MAX];
    int rc;
    for (size_t i = 0; i < count; i++) {
        direct_properties(&items[i], properties[i]);
        events[i] = (struct ehring_direct_event){.data = items[i].body,
                                                 .len = items[i].len,
                                                 .content_type = items[i].content_type,
                                                 .message_id = items[i].message_id,
                                                 .correlation_id = items[i].correlation_id,
                                                 .properties = properties[i],
                                                 .property_count = items[i].property_count};
    }
    do {
        rc = count == 1 ? ehring_direct_send(direct, events, key, partition_id, WAIT_MS)
                        : ehring_direct_send_batch(direct, events, count, key, partition_id, WAIT_MS);
        if (rc == -EMSGSIZE && items->len == BODY_MAX)
            printf("direct: %s\n", ehring_direct_error(direct));
    } while (rc == -EMSGSIZE && items->is_largest && (properties[0][1].value.i64 = (int64_t)--events->len, --items->len) > 0);
    if (rc != 0)
        fprintf(stderr, "conform: event %u: %s\n", items->n, ehring_direct_error(direct));
    return rc;
}

/* ---- all ---- */

static int send_all(const struct out *out, const cJSON *sends)
{
    static struct item items[BATCH_MAX];
    const cJSON *send, *event;
    cJSON_ArrayForEach(send, sends)
    {
        const char *key = text_of(send, "key"), *partition_id = text_of(send, "partition");
        size_t count = 0;
        cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(send, "events"))
        {
            if (count == BATCH_MAX)
                die("a batch of the list is too large");
            item_read(out, event, &items[count++]);
        }
        int rc = out->direct ? direct_send_all(out->direct, items, count, key, partition_id)
                             : ring_send_all(out->ring, items, count, key, partition_id);
        if (rc != 0) {
            fprintf(stderr, "conform: event %u of %zu bytes: %s\n", items->n, items->len, out->direct ? "refused" : ehring_error_text(rc));
            return rc;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct out out = {NULL, NULL};
    char why[EHRING_DIRECT_ERROR_BYTES];
    int rc = -EINVAL;
    if (argc == 6 && strcmp(argv[1], "direct") == 0) {
        char *connection = file_read(argv[4]);
        connection[strcspn(connection, "\n")] = '\0';
        rc = ehring_direct_open(connection, &(struct ehring_direct_options){.hub = argv[3], .ca_file = argv[5]}, &out.direct, why,
                                sizeof why);
        if (rc != 0)
            die(why);
    } else if (argc == 4 && strcmp(argv[1], "ring") == 0) {
        rc = ehring_open(&(struct ehring_options){.stream = argv[3], .full = EHRING_FULL_WAIT, .capacity_bytes = 16u << 20}, &out.ring);
        if (rc != 0)
            die(ehring_open_error());
    } else
        die("usage: conform ring LIST STREAM | conform direct LIST HUB CONNECTION_STRING_FILE CA_FILE");
    cJSON *list = cJSON_Parse(file_read(argv[2]));
    if (!list)
        die("the list is no JSON");
    rc = send_all(&out, cJSON_GetObjectItemCaseSensitive(list, "sends"));
    cJSON_Delete(list);
    if (out.ring && rc == 0)
        rc = ehring_flush(out.ring, WAIT_MS, NULL);
    if (out.ring)
        ehring_close(out.ring);
    ehring_direct_close(out.direct);
    return rc != 0;
}
