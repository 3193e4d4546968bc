/* Reading AMQP 1.0 values out of bytes that nobody vouches for. */
#include "codec.h"

#include <errno.h>
#include <string.h>

static int value_read(struct hub_in *in, struct hub_value *v, int depth);
static int described_read(struct hub_in *in, struct hub_value *v, int depth);
static int body_read(struct hub_in *in, uint8_t code, struct hub_value *v, int depth);
static int fixed_read(struct hub_in *in, uint8_t code, struct hub_value *v);
static int variable_read(struct hub_in *in, uint8_t code, struct hub_value *v);
static int compound_read(struct hub_in *in, uint8_t code, struct hub_value *v, int depth);
static int array_head_read(struct hub_value *v, int depth);
static int inside_check(const struct hub_value *v, int depth);
static int items_check(const struct hub_value *v, int depth);
static int elements_check(const struct hub_value *v, int depth);
static int type_of(uint8_t code);
static uint64_t load_be(const uint8_t *p, size_t len);
static void number_set(struct hub_value *v, uint8_t code, const uint8_t *p, size_t width);
static size_t utf8_step(const uint8_t *p, size_t left);

int hub_value_read(struct hub_in *in, struct hub_value *v)
{
    struct hub_in at = *in;
    int rc = value_read(&at, v, 0);

    if (rc == 0)
        *in = at;
    return rc;
}

int hub_value_check(struct hub_in *in, struct hub_value *v)
{
    struct hub_in at = *in;
    int rc = value_read(&at, v, 0);

    if (rc == 0)
        rc = inside_check(v, 0);
    if (rc == 0)
        *in = at;
    return rc;
}

struct hub_in hub_value_items(const struct hub_value *v)
{
    return hub_in_of(v->bytes, v->len);
}

int hub_array_next(const struct hub_value *array, struct hub_in *items, struct hub_value *v)
{
    const uint8_t *start = items->at;
    int rc = body_read(items, array->element, v, 1);

    v->raw = start;
    v->raw_len = (size_t)(items->at - start);
    return rc;
}

bool hub_map_find(const struct hub_value *map, const char *key, struct hub_value *v)
{
    struct hub_in items = hub_value_items(map);
    struct hub_value k;

    if (map->type != HUB_MAP)
        return false;
    while (hub_in_left(&items) > 0) {
        if (hub_value_read(&items, &k) < 0 || hub_value_read(&items, v) < 0)
            return false;
        if (hub_value_is(&k, key))
            return true;
    }
    return false;
}

bool hub_value_is(const struct hub_value *v, const char *text)
{
    if (v->type != HUB_STRING && v->type != HUB_SYMBOL)
        return false;
    return v->len == strlen(text) && memcmp(v->bytes, text, v->len) == 0;
}

int hub_value_integer(const struct hub_value *v, int64_t *number)
{
    if (v->type >= HUB_UBYTE && v->type <= HUB_ULONG) {
        if (v->u > INT64_MAX)
            return -EINVAL;
        *number = (int64_t)v->u;
        return 0;
    }
    if ((v->type >= HUB_BYTE && v->type <= HUB_LONG) || v->type == HUB_TIMESTAMP) {
        *number = v->i;
        return 0;
    }
    return -EINVAL;
}

int hub_value_text(const struct hub_value *v, char *text, size_t size)
{
    if (v->type != HUB_STRING && v->type != HUB_SYMBOL && v->type != HUB_BINARY)
        return -EINVAL;
    if (v->len >= size || memchr(v->bytes, 0, v->len))
        return -EINVAL;
    memcpy(text, v->bytes, v->len);
    text[v->len] = 0;
    return 0;
}

bool hub_utf8_check(const uint8_t *bytes, size_t len, size_t *chars)
{
    size_t count = 0;

    for (size_t i = 0; i < len; count++) {
        size_t step = utf8_step(bytes + i, len - i);
        if (step == 0)
            return false;
        i += step;
    }
    if (chars)
        *chars = count;
    return true;
}

uint32_t hub_load_u32(const uint8_t *p)
{
    return (uint32_t)load_be(p, 4);
}

void hub_store_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static int value_read(struct hub_in *in, struct hub_value *v, int depth)
{
    const uint8_t *start = in->at;
    int rc;

    if (depth > HUB_DEPTH_MAX || in->at == in->end)
        return -EBADMSG;
    uint8_t code = *in->at++;
    rc = code == 0 ? described_read(in, v, depth) : body_read(in, code, v, depth);
    v->raw = start;
    v->raw_len = (size_t)(in->at - start);
    return rc;
}

/* A descriptor that is itself described is allowed by nobody we know, and would nest without bound. */
static int described_read(struct hub_in *in, struct hub_value *v, int depth)
{
    struct hub_value descriptor, inner;
    int rc;

    if (in->at == in->end || *in->at == 0)
        return -EBADMSG;
    rc = value_read(in, &descriptor, depth + 1);
    if (rc < 0)
        return rc;
    const uint8_t *start = in->at;
    rc = value_read(in, &inner, depth + 1);
    if (rc < 0)
        return rc;
    *v = (struct hub_value){.type = HUB_DESCRIBED, .bytes = start, .len = (size_t)(in->at - start)};
    if (descriptor.type == HUB_ULONG)
        v->u = descriptor.u;
    return 0;
}

/* What follows a constructor; elements of an array come here without one of their own. */
static int body_read(struct hub_in *in, uint8_t code, struct hub_value *v, int depth)
{
    int type = type_of(code);

    if (type < 0)
        return -EBADMSG;
    *v = (struct hub_value){.type = (enum hub_type)type};
    if (code < 0xa0)
        return fixed_read(in, code, v);
    if (code < 0xc0)
        return variable_read(in, code, v);
    return compound_read(in, code, v, depth);
}

static int fixed_read(struct hub_in *in, uint8_t code, struct hub_value *v)
{
    static const uint8_t widths[] = {0, 1, 2, 4, 8, 16};
    size_t width = widths[(code >> 4) - 4];

    if (hub_in_left(in) < width)
        return -EBADMSG;
    if (code == 0x56 && *in->at > 1)
        return -EBADMSG;
    number_set(v, code, in->at, width);
    in->at += width;
    return 0;
}

static int variable_read(struct hub_in *in, uint8_t code, struct hub_value *v)
{
    size_t prefix = code < 0xb0 ? 1 : 4;

    if (hub_in_left(in) < prefix)
        return -EBADMSG;
    size_t len = (size_t)load_be(in->at, prefix);
    in->at += prefix;
    if (hub_in_left(in) < len)
        return -EBADMSG;
    v->bytes = in->at;
    v->len = len;
    in->at += len;
    return 0;
}

/* Size counts the bytes behind itself, the count field included. */
static int compound_read(struct hub_in *in, uint8_t code, struct hub_value *v, int depth)
{
    size_t prefix = code & 0x10 ? 4 : 1;

    if (hub_in_left(in) < prefix)
        return -EBADMSG;
    size_t len = (size_t)load_be(in->at, prefix);
    in->at += prefix;
    if (hub_in_left(in) < len || len < prefix)
        return -EBADMSG;
    v->count = (uint32_t)load_be(in->at, prefix);
    v->bytes = in->at + prefix;
    v->len = len - prefix;
    in->at += len;
    if (v->type == HUB_ARRAY)
        return array_head_read(v, depth);
    return v->count > v->len ? -EBADMSG : 0;
}

/* A descriptor before the element constructor is stepped over: no element of ours is described. */
static int array_head_read(struct hub_value *v, int depth)
{
    struct hub_in in = hub_in_of(v->bytes, v->len);
    struct hub_value descriptor;

    if (hub_in_left(&in) == 0)
        return v->count == 0 ? 0 : -EBADMSG;
    if (*in.at == 0) {
        in.at++;
        if (hub_in_left(&in) == 0 || *in.at == 0 || value_read(&in, &descriptor, depth + 1) < 0)
            return -EBADMSG;
        if (hub_in_left(&in) == 0)
            return -EBADMSG;
    }
    v->element = *in.at++;
    if (type_of(v->element) < 0)
        return -EBADMSG;
    /* Elements without a body would let a short array claim any count. */
    if (v->element < 0x50 && v->count > HUB_DEPTH_MAX)
        return -EBADMSG;
    v->bytes = in.at;
    v->len = hub_in_left(&in);
    return v->element >= 0x50 && v->count > v->len ? -EBADMSG : 0;
}

static int inside_check(const struct hub_value *v, int depth)
{
    struct hub_in in = hub_value_items(v);
    struct hub_value inner;

    if (depth > HUB_DEPTH_MAX)
        return -EBADMSG;
    if (v->type == HUB_STRING)
        return hub_utf8_check(v->bytes, v->len, NULL) ? 0 : -EBADMSG;
    if (v->type == HUB_LIST || v->type == HUB_MAP)
        return items_check(v, depth);
    if (v->type == HUB_ARRAY)
        return elements_check(v, depth);
    if (v->type != HUB_DESCRIBED)
        return 0;
    if (value_read(&in, &inner, depth + 1) < 0)
        return -EBADMSG;
    return inside_check(&inner, depth + 1);
}

static int items_check(const struct hub_value *v, int depth)
{
    struct hub_in in = hub_value_items(v);
    struct hub_value item;

    if (v->type == HUB_MAP && v->count % 2 != 0)
        return -EBADMSG;
    for (uint32_t i = 0; i < v->count; i++) {
        if (value_read(&in, &item, depth + 1) < 0 || inside_check(&item, depth + 1) < 0)
            return -EBADMSG;
    }
    return hub_in_left(&in) == 0 ? 0 : -EBADMSG;
}

static int elements_check(const struct hub_value *v, int depth)
{
    struct hub_in in = hub_value_items(v);
    struct hub_value item;

    for (uint32_t i = 0; i < v->count; i++) {
        if (body_read(&in, v->element, &item, depth + 1) < 0 || inside_check(&item, depth + 1) < 0)
            return -EBADMSG;
    }
    return hub_in_left(&in) == 0 ? 0 : -EBADMSG;
}

/* The type of a constructor, or -1. The table holds types plus one, so that what is not in it is 0. */
static int type_of(uint8_t code)
{
    static const uint8_t types[256] = {
        [0x40] = 1 + HUB_NULL,      [0x41] = 1 + HUB_BOOL,      [0x42] = 1 + HUB_BOOL,       [0x56] = 1 + HUB_BOOL,
        [0x50] = 1 + HUB_UBYTE,     [0x60] = 1 + HUB_USHORT,    [0x43] = 1 + HUB_UINT,       [0x52] = 1 + HUB_UINT,
        [0x70] = 1 + HUB_UINT,      [0x44] = 1 + HUB_ULONG,     [0x53] = 1 + HUB_ULONG,      [0x80] = 1 + HUB_ULONG,
        [0x51] = 1 + HUB_BYTE,      [0x61] = 1 + HUB_SHORT,     [0x54] = 1 + HUB_INT,        [0x71] = 1 + HUB_INT,
        [0x55] = 1 + HUB_LONG,      [0x81] = 1 + HUB_LONG,      [0x72] = 1 + HUB_FLOAT,      [0x82] = 1 + HUB_DOUBLE,
        [0x74] = 1 + HUB_DECIMAL32, [0x84] = 1 + HUB_DECIMAL64, [0x94] = 1 + HUB_DECIMAL128, [0x73] = 1 + HUB_CHAR,
        [0x83] = 1 + HUB_TIMESTAMP, [0x98] = 1 + HUB_UUID,      [0xa0] = 1 + HUB_BINARY,     [0xb0] = 1 + HUB_BINARY,
        [0xa1] = 1 + HUB_STRING,    [0xb1] = 1 + HUB_STRING,    [0xa3] = 1 + HUB_SYMBOL,     [0xb3] = 1 + HUB_SYMBOL,
        [0x45] = 1 + HUB_LIST,      [0xc0] = 1 + HUB_LIST,      [0xd0] = 1 + HUB_LIST,       [0xc1] = 1 + HUB_MAP,
        [0xd1] = 1 + HUB_MAP,       [0xe0] = 1 + HUB_ARRAY,     [0xf0] = 1 + HUB_ARRAY};

    return types[code] - 1;
}

static uint64_t load_be(const uint8_t *p, size_t len)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++)
        v = v << 8 | p[i];
    return v;
}

static void number_set(struct hub_value *v, uint8_t code, const uint8_t *p, size_t width)
{
    uint64_t u = load_be(p, width > 8 ? 8 : width);
    uint32_t bits = (uint32_t)u;
    float single;

    v->bytes = p;
    v->len = width;
    v->u = code == 0x41 ? 1 : u;
    if (width == 1)
        v->i = (int8_t)u;
    else if (width == 2)
        v->i = (int16_t)u;
    else if (width == 4)
        v->i = (int32_t)u;
    else
        v->i = (int64_t)u;
    if (code == 0x72) {
        memcpy(&single, &bits, sizeof(single));
        v->f = (double)single;
    } else if (code == 0x82) {
        memcpy(&v->f, &u, sizeof(v->f));
    }
}

/* Length of the character at p, 0 when it is none: no overlong forms, no surrogates, nothing above U+10FFFF. */
static size_t utf8_step(const uint8_t *p, size_t left)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len;
    uint32_t c;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < len)
        return 0;
    c = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < lowest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return len;
}
