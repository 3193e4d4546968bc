/* Reads encoded AMQP 1.0 values, bounded by the bytes that are there. */
#include "trace_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEX_BYTES_MAX 16u

static bool content_take(struct trace_cursor *from, uint8_t code, struct trace_value *value);
static bool scalar_take(struct trace_cursor *from, uint8_t code, struct trace_scalar *scalar);
static bool bytes_take(struct trace_cursor *from, size_t len, const uint8_t **data);
static bool length_take(struct trace_cursor *from, size_t width, uint64_t *len);
static uint64_t load_be(const uint8_t *data, size_t len);
static int64_t load_signed(const struct trace_scalar *scalar);
static size_t hex_text(const uint8_t *data, size_t len, char *to, size_t to_len);
static size_t real_text(const struct trace_scalar *scalar, char *to, size_t to_len);
static size_t uuid_text(const uint8_t *data, char *to, size_t to_len);

bool trace_value_next(struct trace_cursor *from, struct trace_value *value)
{
    const uint8_t *code;
    memset(value, 0, sizeof *value);
    if (!bytes_take(from, 1, &code))
        return false;
    if (*code == TRACE_CODE_DESCRIBED) {
        value->is_described = true;
        if (!bytes_take(from, 1, &code) || !scalar_take(from, *code, &value->descriptor) || !bytes_take(from, 1, &code))
            return false;
    }
    return content_take(from, *code, value);
}

bool trace_array_begin(struct trace_cursor *from, uint8_t *code)
{
    const uint8_t *at;
    struct trace_scalar ignored;
    if (!bytes_take(from, 1, &at))
        return false;
    if (*at == TRACE_CODE_DESCRIBED && (!bytes_take(from, 1, &at) || !scalar_take(from, *at, &ignored) || !bytes_take(from, 1, &at)))
        return false;
    *code = *at;
    return true;
}

bool trace_array_next(struct trace_cursor *from, uint8_t code, struct trace_value *value)
{
    memset(value, 0, sizeof *value);
    return content_take(from, code, value);
}

bool trace_is_list(const struct trace_value *value)
{
    return value->of.code == 0x45 || value->of.code == 0xc0 || value->of.code == 0xd0;
}
bool trace_is_map(const struct trace_value *value)
{
    return value->of.code == 0xc1 || value->of.code == 0xd1;
}
bool trace_is_array(const struct trace_value *value)
{
    return value->of.code == 0xe0 || value->of.code == 0xf0;
}
bool trace_is_text(const struct trace_scalar *scalar)
{
    return scalar->code == 0xa1 || scalar->code == 0xb1 || scalar->code == 0xa3 || scalar->code == 0xb3;
}
bool trace_text_is(const struct trace_scalar *scalar, const char *text)
{
    return trace_is_text(scalar) && scalar->len == strlen(text) && memcmp(scalar->data, text, scalar->len) == 0;
}

bool trace_number(const struct trace_scalar *scalar, uint64_t *number)
{
    switch (scalar->code) {
    case 0x41:
    case 0x42:
        *number = scalar->code == TRACE_CODE_TRUE;
        return true;
    case 0x43:
    case 0x44:
    case 0x50:
    case 0x52:
    case 0x53:
    case 0x56:
    case 0x60:
    case 0x70:
    case 0x80:
        *number = load_be(scalar->data, scalar->len);
        return true;
    default:
        return false;
    }
}

size_t trace_scalar_text(const struct trace_scalar *scalar, char *to, size_t to_len)
{
    uint64_t number;
    to[0] = '\0';
    if (trace_is_text(scalar))
        return trace_clean(scalar->data, scalar->len, to, to_len);
    if (scalar->code == 0x41 || scalar->code == 0x42 || scalar->code == 0x56)
        return (size_t)snprintf(to, to_len, "%s", trace_number(scalar, &number) && number ? "true" : "false");
    if (trace_number(scalar, &number))
        return (size_t)snprintf(to, to_len, "%" PRIu64, number);
    switch (scalar->code) {
    case 0x51: /* byte, short, int, long, timestamp */
    case 0x54:
    case 0x55:
    case 0x61:
    case 0x71:
    case 0x81:
    case 0x83:
        return (size_t)snprintf(to, to_len, "%" PRId64, load_signed(scalar));
    case 0x72:
    case 0x82:
        return real_text(scalar, to, to_len);
    case 0x98:
        return uuid_text(scalar->data, to, to_len);
    case 0x73: /* char, decimals, binary */
    case 0x74:
    case 0x84:
    case 0x94:
    case 0xa0:
    case 0xb0:
        return hex_text(scalar->data, scalar->len, to, to_len);
    default:
        return 0;
    }
}

static bool content_take(struct trace_cursor *from, uint8_t code, struct trace_value *value)
{
    uint64_t len = 0, count = 0;
    if (code < 0xc0 || code == TRACE_CODE_DESCRIBED)
        return scalar_take(from, code, &value->of);
    size_t width = code & 0x10 ? 4 : 1;
    value->of.code = code;
    if ((code & 0xf) > 1 || !length_take(from, width, &len) || len < width || !length_take(from, width, &count))
        return false;
    len -= width;
    value->count = (uint32_t)count;
    value->of.len = len < from->left ? (size_t)len : from->left;
    return bytes_take(from, value->of.len, &value->of.data);
}

static bool scalar_take(struct trace_cursor *from, uint8_t code, struct trace_scalar *scalar)
{
    static const uint8_t fixed[] = {[4] = 0, [5] = 1, [6] = 2, [7] = 4, [8] = 8, [9] = 16};
    uint64_t len;
    scalar->code = code;
    if (code >= 0xc0 || code < 0x40)
        return false;
    if (code >= 0xa0) {
        if (!length_take(from, code >= 0xb0 ? 4 : 1, &len) || len > from->left)
            return false;
        scalar->len = (size_t)len;
    } else {
        scalar->len = fixed[code >> 4];
    }
    return bytes_take(from, scalar->len, &scalar->data);
}

static bool bytes_take(struct trace_cursor *from, size_t len, const uint8_t **data)
{
    if (len > from->left)
        return false;
    *data = from->at;
    from->at += len;
    from->left -= len;
    return true;
}

static bool length_take(struct trace_cursor *from, size_t width, uint64_t *len)
{
    const uint8_t *data;
    if (!bytes_take(from, width, &data))
        return false;
    *len = load_be(data, width);
    return true;
}

static uint64_t load_be(const uint8_t *data, size_t len)
{
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++)
        number = number << 8 | data[i];
    return number;
}

static int64_t load_signed(const struct trace_scalar *scalar)
{
    unsigned unused_bits = 64 - 8 * (unsigned)scalar->len;
    return (int64_t)(load_be(scalar->data, scalar->len) << unused_bits) >> unused_bits;
}

static size_t hex_text(const uint8_t *data, size_t len, char *to, size_t to_len)
{
    size_t at = (size_t)snprintf(to, to_len, "0x");
    for (size_t i = 0; i < len && i < HEX_BYTES_MAX; i++)
        at += (size_t)snprintf(to + at, to_len - at, "%02x", data[i]);
    if (len > HEX_BYTES_MAX)
        at += (size_t)snprintf(to + at, to_len - at, "…%zu", len);
    return at;
}

static size_t real_text(const struct trace_scalar *scalar, char *to, size_t to_len)
{
    uint64_t bits = load_be(scalar->data, scalar->len);
    uint32_t half = (uint32_t)bits;
    double number;
    float single;
    memcpy(&single, &half, sizeof single);
    memcpy(&number, &bits, sizeof number);
    return (size_t)snprintf(to, to_len, "%g", scalar->len == sizeof single ? (double)single : number);
}

static size_t uuid_text(const uint8_t *data, char *to, size_t to_len)
{
    size_t at = 0;
    for (int i = 0; i < 16; i++)
        at += (size_t)snprintf(to + at, to_len - at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", data[i]);
    return at;
}
