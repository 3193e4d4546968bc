/*
 * The AMQP 1.0 type system: reads values out of bytes that nobody vouches for, and writes them into a buffer.
 *
 * Reading is shallow and copies nothing: a value points into the bytes it was read from. Every length is bounded by
 * the enclosing value, nesting by HUB_DEPTH_MAX.
 */
#ifndef HUB_CODEC_H
#define HUB_CODEC_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUB_DEPTH_MAX = 16 };

enum hub_type {
    HUB_NULL,
    HUB_BOOL,
    HUB_UBYTE,
    HUB_USHORT,
    HUB_UINT,
    HUB_ULONG,
    HUB_BYTE,
    HUB_SHORT,
    HUB_INT,
    HUB_LONG,
    HUB_FLOAT,
    HUB_DOUBLE,
    HUB_DECIMAL32,
    HUB_DECIMAL64,
    HUB_DECIMAL128,
    HUB_CHAR,
    HUB_TIMESTAMP,
    HUB_UUID,
    HUB_BINARY,
    HUB_STRING,
    HUB_SYMBOL,
    HUB_LIST,
    HUB_MAP,
    HUB_ARRAY,
    HUB_DESCRIBED,
};

/* Bytes still to be read. */
struct hub_in {
    const uint8_t *at;
    const uint8_t *end;
};

struct hub_value {
    enum hub_type type;
    uint64_t u;           /* bool, unsigned, char; numeric descriptor of a described value, else 0 */
    int64_t i;            /* signed, timestamp in ms */
    double f;             /* float, double */
    const uint8_t *bytes; /* content: text, items of a list, map or array, the value inside a described one */
    size_t len;           /* of content */
    uint32_t count;       /* items of list, map (keys and values) or array */
    uint8_t element;      /* array: constructor of its elements */
    const uint8_t *raw;   /* the whole value as encoded, constructor included */
    size_t raw_len;
};

static inline struct hub_in hub_in_of(const uint8_t *bytes, size_t len)
{
    return (struct hub_in){bytes, bytes ? bytes + len : bytes};
}

static inline size_t hub_in_left(const struct hub_in *in)
{
    return (size_t)(in->end - in->at);
}

/* Reads one value and steps over it. 0, or -EBADMSG: `in` is then unchanged. Contents are not looked at. */
int hub_value_read(struct hub_in *in, struct hub_value *v);

/* Like hub_value_read, and checks everything inside: bounds, counts, even maps, UTF-8 of strings. */
int hub_value_check(struct hub_in *in, struct hub_value *v);

/* The items of a list, map or array, to be read by hub_value_read (list, map) or hub_array_next. */
struct hub_in hub_value_items(const struct hub_value *v);

/* Reads the next element of an array. `items` comes from hub_value_items of the same array. */
int hub_array_next(const struct hub_value *array, struct hub_in *items, struct hub_value *v);

/* Finds the value of a string or symbol key in a map. False: absent or the map is malformed. */
bool hub_map_find(const struct hub_value *map, const char *key, struct hub_value *v);

/* Whether a string or symbol has exactly this text. */
bool hub_value_is(const struct hub_value *v, const char *text);

/* Any integer type as a signed number; 0, or -EINVAL for other types and values above INT64_MAX. */
int hub_value_integer(const struct hub_value *v, int64_t *number);

/* Copies text (string, symbol, binary) with a final NUL. -EINVAL: another type, longer than `size` - 1, or a NUL inside. */
int hub_value_text(const struct hub_value *v, char *text, size_t size);

/* Whether the bytes are UTF-8; counts their characters (code points) when `chars` is not NULL. */
bool hub_utf8_check(const uint8_t *bytes, size_t len, size_t *chars);

/* Writers: append one value, the shortest form where there is a choice. */
void hub_put_null(struct hub_buf *b);
void hub_put_bool(struct hub_buf *b, bool v);
void hub_put_ubyte(struct hub_buf *b, uint8_t v);
void hub_put_ushort(struct hub_buf *b, uint16_t v);
void hub_put_uint(struct hub_buf *b, uint32_t v);
void hub_put_ulong(struct hub_buf *b, uint64_t v);
void hub_put_byte(struct hub_buf *b, int8_t v);
void hub_put_short(struct hub_buf *b, int16_t v);
void hub_put_int(struct hub_buf *b, int32_t v);
void hub_put_long(struct hub_buf *b, int64_t v);
void hub_put_float(struct hub_buf *b, float v);
void hub_put_double(struct hub_buf *b, double v);
void hub_put_char(struct hub_buf *b, uint32_t v);
void hub_put_timestamp(struct hub_buf *b, int64_t ms);
void hub_put_uuid(struct hub_buf *b, const uint8_t uuid[16]);
void hub_put_binary(struct hub_buf *b, const void *bytes, size_t len);
void hub_put_string(struct hub_buf *b, const char *text);
void hub_put_string_len(struct hub_buf *b, const void *text, size_t len);
void hub_put_symbol(struct hub_buf *b, const char *text);

/* Appends a descriptor; the value that follows is the described one. */
void hub_put_descriptor(struct hub_buf *b, uint64_t code);

/* Begins a list or map and returns its place; put the items, then end it with their number (map: keys and values). */
size_t hub_put_list_begin(struct hub_buf *b);
size_t hub_put_map_begin(struct hub_buf *b);
void hub_put_compound_end(struct hub_buf *b, size_t place, uint32_t count);

/* Appends an array of strings (symbols). */
void hub_put_string_array(struct hub_buf *b, const char *const *texts, uint32_t count);
void hub_put_symbol_array(struct hub_buf *b, const char *const *texts, uint32_t count);

/* Big-endian words, as on the wire. */
uint32_t hub_load_u32(const uint8_t *p);
void hub_store_u32(uint8_t *p, uint32_t v);

#endif
