/* The values within a dead letter that are not plain texts. */
#include "letter_value.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { UUID_TEXT_LEN = 36 };

static int digit_of(char c);
static bool uuid_of(const char *text, uint8_t uuid[16]);
static bool number_of(const char *text, enum ehring_type type, struct ehring_property *property);
static bool double_of(const char *text, double *real);

char *value_base64(const char *text, size_t *len)
{
    size_t text_len = strlen(text), pad = 0;
    char *bytes = text_len % 4 == 0 ? malloc(text_len / 4 * 3 + 1) : NULL;

    if (!bytes)
        return NULL;
    while (pad < 2 && text_len > pad && text[text_len - 1 - pad] == '=')
        pad++;
    *len = text_len / 4 * 3 - pad;
    for (size_t i = 0, out = 0; i < text_len; i += 4) {
        uint32_t four = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = i + k >= text_len - pad ? 0 : digit_of(text[i + k]);
            if (digit < 0) {
                free(bytes);
                return NULL;
            }
            four = four << 6 | (uint32_t)digit;
        }
        for (int shift = 16; shift >= 0 && out < *len; shift -= 8)
            bytes[out++] = (char)(four >> shift & 0xff);
    }
    bytes[*len] = '\0';
    return bytes;
}

bool value_identity(const char *text, struct ehring_identity *identity)
{
    char *end;

    if (strnlen(text, UUID_TEXT_LEN + 2) < UUID_TEXT_LEN + 2 || text[UUID_TEXT_LEN] != ':' || !uuid_of(text, identity->ring_uuid))
        return false;
    text += UUID_TEXT_LEN + 1;
    errno = 0;
    identity->pos = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0;
}

bool value_property(const cJSON *item, const char *name, const char *text, size_t len, struct ehring_property *property)
{
    static const char *const names[] = {
        [EHRING_TYPE_TEXT] = "string",         [EHRING_TYPE_BOOL] = "bool",     [EHRING_TYPE_INT] = "int",
        [EHRING_TYPE_UINT] = "uint",           [EHRING_TYPE_DOUBLE] = "double", [EHRING_TYPE_BYTES] = "binary",
        [EHRING_TYPE_TIMESTAMP] = "timestamp", [EHRING_TYPE_UUID] = "uuid"};
    const cJSON *type_item = cJSON_GetObjectItemCaseSensitive(item, "type"), *value = cJSON_GetObjectItemCaseSensitive(item, "value");
    int type = EHRING_TYPE_TEXT;
    uint8_t *uuid;

    while (type <= EHRING_TYPE_UUID && !(cJSON_IsString(type_item) && strcmp(type_item->valuestring, names[type]) == 0))
        type++;
    *property = (struct ehring_property){.name = name, .type = (enum ehring_type)type, .len = len};
    if (type == EHRING_TYPE_BOOL) {
        property->value.yes = cJSON_IsTrue(value);
        return cJSON_IsBool(value);
    }
    if (!text || type > EHRING_TYPE_UUID)
        return false;
    switch (property->type) {
    case EHRING_TYPE_TEXT:
        property->value.text = text;
        return true;
    case EHRING_TYPE_BYTES:
        property->value.bytes = text;
        return true;
    case EHRING_TYPE_UUID:
        uuid = malloc(16);
        if (!uuid || len != UUID_TEXT_LEN || !uuid_of(text, uuid)) {
            free(uuid);
            return false;
        }
        property->value.uuid = uuid;
        return true;
    case EHRING_TYPE_BOOL:
    case EHRING_TYPE_INT:
    case EHRING_TYPE_UINT:
    case EHRING_TYPE_DOUBLE:
    case EHRING_TYPE_TIMESTAMP:
        break;
    }
    return number_of(text, property->type, property);
}

static bool number_of(const char *text, enum ehring_type type, struct ehring_property *property)
{
    char *end = NULL;

    if (type == EHRING_TYPE_DOUBLE)
        return double_of(text, &property->value.f64);
    errno = 0;
    if (type == EHRING_TYPE_UINT && text[0] != '-')
        property->value.u64 = strtoull(text, &end, 10);
    else if (type != EHRING_TYPE_UINT)
        property->value.i64 = strtoll(text, &end, 10);
    return end && end != text && !*end && errno == 0;
}

/* "nan:" and the bits in hexadecimal, or what strtod reads. */
static bool double_of(const char *text, double *real)
{
    char *end;
    uint64_t bits;

    if (strncmp(text, "nan:", 4) == 0) {
        bits = strtoull(text + 4, &end, 16);
        memcpy(real, &bits, sizeof(bits));
        return strlen(text) == 20 && !*end;
    }
    *real = strtod(text, &end); /* the smallest ones set ERANGE and are right */
    return end != text && !*end;
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool uuid_of(const char *text, uint8_t uuid[16])
{
    int at = 0;

    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
            return false;
        unsigned byte = 0;
        for (int half = 0; half < 2; half++, at++) {
            char c = text[at];
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
                return false;
            byte = byte << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        uuid[i] = (uint8_t)byte;
    }
    return true;
}
