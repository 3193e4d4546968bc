/* Writing AMQP 1.0 values into a buffer. */
#include "codec.h"

#include <string.h>

enum { COMPOUND_HEAD = 9, COMPOUND8_HEAD = 3 };

static void put_code_be(struct hub_buf *b, uint8_t code, uint64_t v, size_t width);
static void put_variable(struct hub_buf *b, uint8_t code8, const void *bytes, size_t len);
static void put_text_array(struct hub_buf *b, uint8_t code, const char *const *texts, uint32_t count);
static size_t put_compound_begin(struct hub_buf *b, uint8_t code32);

void hub_put_null(struct hub_buf *b)
{
    hub_buf_put_byte(b, 0x40);
}

void hub_put_bool(struct hub_buf *b, bool v)
{
    hub_buf_put_byte(b, v ? 0x41 : 0x42);
}

void hub_put_ubyte(struct hub_buf *b, uint8_t v)
{
    put_code_be(b, 0x50, v, 1);
}

void hub_put_ushort(struct hub_buf *b, uint16_t v)
{
    put_code_be(b, 0x60, v, 2);
}

void hub_put_uint(struct hub_buf *b, uint32_t v)
{
    if (v == 0)
        hub_buf_put_byte(b, 0x43);
    else if (v < 256)
        put_code_be(b, 0x52, v, 1);
    else
        put_code_be(b, 0x70, v, 4);
}

void hub_put_ulong(struct hub_buf *b, uint64_t v)
{
    if (v == 0)
        hub_buf_put_byte(b, 0x44);
    else if (v < 256)
        put_code_be(b, 0x53, v, 1);
    else
        put_code_be(b, 0x80, v, 8);
}

void hub_put_byte(struct hub_buf *b, int8_t v)
{
    put_code_be(b, 0x51, (uint8_t)v, 1);
}

void hub_put_short(struct hub_buf *b, int16_t v)
{
    put_code_be(b, 0x61, (uint16_t)v, 2);
}

void hub_put_int(struct hub_buf *b, int32_t v)
{
    if (v >= -128 && v < 128)
        put_code_be(b, 0x54, (uint8_t)v, 1);
    else
        put_code_be(b, 0x71, (uint32_t)v, 4);
}

void hub_put_long(struct hub_buf *b, int64_t v)
{
    if (v >= -128 && v < 128)
        put_code_be(b, 0x55, (uint8_t)v, 1);
    else
        put_code_be(b, 0x81, (uint64_t)v, 8);
}

void hub_put_float(struct hub_buf *b, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof(bits));
    put_code_be(b, 0x72, bits, 4);
}

void hub_put_double(struct hub_buf *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    put_code_be(b, 0x82, bits, 8);
}

void hub_put_char(struct hub_buf *b, uint32_t v)
{
    put_code_be(b, 0x73, v, 4);
}

void hub_put_timestamp(struct hub_buf *b, int64_t ms)
{
    put_code_be(b, 0x83, (uint64_t)ms, 8);
}

void hub_put_uuid(struct hub_buf *b, const uint8_t uuid[16])
{
    hub_buf_put_byte(b, 0x98);
    hub_buf_put(b, uuid, 16);
}

void hub_put_binary(struct hub_buf *b, const void *bytes, size_t len)
{
    put_variable(b, 0xa0, bytes, len);
}

void hub_put_string(struct hub_buf *b, const char *text)
{
    put_variable(b, 0xa1, text, strlen(text));
}

void hub_put_string_len(struct hub_buf *b, const void *text, size_t len)
{
    put_variable(b, 0xa1, text, len);
}

void hub_put_symbol(struct hub_buf *b, const char *text)
{
    put_variable(b, 0xa3, text, strlen(text));
}

void hub_put_descriptor(struct hub_buf *b, uint64_t code)
{
    hub_buf_put_byte(b, 0);
    hub_put_ulong(b, code);
}

size_t hub_put_list_begin(struct hub_buf *b)
{
    return put_compound_begin(b, 0xd0);
}

size_t hub_put_map_begin(struct hub_buf *b)
{
    return put_compound_begin(b, 0xd1);
}

/* The long head was left free; what turns out short enough is moved up behind the short one. */
void hub_put_compound_end(struct hub_buf *b, size_t place, uint32_t count)
{
    uint8_t *head = b->data + place;
    size_t len = b->len - place - COMPOUND_HEAD;

    if (len <= 254 && count <= 255) {
        head[0] = (uint8_t)(head[0] - 0x10);
        head[1] = (uint8_t)(len + 1);
        head[2] = (uint8_t)count;
        memmove(head + COMPOUND8_HEAD, head + COMPOUND_HEAD, len);
        b->len -= COMPOUND_HEAD - COMPOUND8_HEAD;
        return;
    }
    hub_store_u32(head + 1, (uint32_t)(len + 4));
    hub_store_u32(head + 5, count);
}

void hub_put_string_array(struct hub_buf *b, const char *const *texts, uint32_t count)
{
    put_text_array(b, 0xb1, texts, count);
}

void hub_put_symbol_array(struct hub_buf *b, const char *const *texts, uint32_t count)
{
    put_text_array(b, 0xb3, texts, count);
}

static void put_code_be(struct hub_buf *b, uint8_t code, uint64_t v, size_t width)
{
    uint8_t *p = hub_buf_room(b, width + 1);

    p[0] = code;
    for (size_t i = 0; i < width; i++)
        p[1 + i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    b->len += width + 1;
}

static void put_variable(struct hub_buf *b, uint8_t code8, const void *bytes, size_t len)
{
    if (len < 256)
        put_code_be(b, code8, len, 1);
    else
        put_code_be(b, (uint8_t)(code8 + 0x10), len, 4);
    hub_buf_put(b, bytes, len);
}

static void put_text_array(struct hub_buf *b, uint8_t code, const char *const *texts, uint32_t count)
{
    size_t size = 5;
    uint8_t word[4];

    for (uint32_t i = 0; i < count; i++)
        size += 4 + strlen(texts[i]);
    put_code_be(b, 0xf0, size, 4);
    hub_store_u32(word, count);
    hub_buf_put(b, word, 4);
    hub_buf_put_byte(b, code);
    for (uint32_t i = 0; i < count; i++) {
        hub_store_u32(word, (uint32_t)strlen(texts[i]));
        hub_buf_put(b, word, 4);
        hub_buf_put(b, texts[i], strlen(texts[i]));
    }
}

static size_t put_compound_begin(struct hub_buf *b, uint8_t code32)
{
    size_t place = b->len;

    hub_buf_room(b, COMPOUND_HEAD)[0] = code32;
    b->len += COMPOUND_HEAD;
    return place;
}
