/* The message-format filter: walks from frame head to frame head and overwrites tag and format of batch transfers. */
#include "format.h"

#include <errno.h>
#include <string.h>

enum { HEAD_SHORT = 0 }; /* undecided: the frame's head is not all there */
enum tag_place { TAG_SHORT = -1, TAG_NONE = -2 };

static int64_t frame_examine(uint8_t *data, size_t len);
static int tag_find(const uint8_t *body, size_t len);
static void tag_replace(uint8_t *tag);
static size_t uint_width(uint8_t code);
static uint32_t load_be32(const uint8_t *from);

int64_t format_filter(struct format_filter *filter, uint8_t *data, size_t len)
{
    size_t passed = 0;
    while (passed < len) {
        if (filter->frame_left == 0) {
            int64_t size = frame_examine(data + passed, len - passed);
            if (size < 0)
                return size;
            if (size == HEAD_SHORT)
                break;
            filter->frame_left = (uint32_t)size;
        }
        size_t step = len - passed < filter->frame_left ? len - passed : filter->frame_left;
        filter->frame_left -= (uint32_t)step;
        passed += step;
    }
    return (int64_t)passed;
}

/* Size of the frame (or protocol header) that begins at `data`, patched if it is a batch transfer; HEAD_SHORT; or -EBADMSG. */
static int64_t frame_examine(uint8_t *data, size_t len)
{
    if (len < 8)
        return HEAD_SHORT;
    if (memcmp(data, "AMQP", 4) == 0)
        return 8;
    uint32_t size = load_be32(data);
    uint32_t body_off = data[4] * 4u;
    if (body_off < 8 || body_off > size)
        return -EBADMSG;
    if (data[5] != 0 || body_off == size) /* SASL, or a keep-alive */
        return size;
    size_t seen = len < size ? len : size;
    if (seen < body_off)
        return HEAD_SHORT;
    int tag_off = tag_find(data + body_off, seen - body_off);
    if (tag_off == TAG_SHORT && seen < size)
        return HEAD_SHORT;
    if (tag_off >= 0)
        tag_replace(data + body_off + tag_off);
    return size;
}

/* Offset of a batch transfer's tag field within the performative; TAG_NONE: nothing to patch here; TAG_SHORT: undecided. */
static int tag_find(const uint8_t *body, size_t len)
{
    static const uint8_t transfer[3] = {0x00, 0x53, 0x14};
    if (memcmp(body, transfer, len < 3 ? len : 3) != 0)
        return TAG_NONE;
    if (len < 4)
        return TAG_SHORT;
    if (body[3] != 0xc0 && body[3] != 0xd0)
        return TAG_NONE;
    size_t at = body[3] == 0xc0 ? 6 : 12;
    if (len < at)
        return TAG_SHORT;
    uint32_t field_count = body[3] == 0xc0 ? body[5] : load_be32(body + 8);
    if (field_count < 4)
        return TAG_NONE;
    for (int field = 0; field < 2; field++) { /* handle, delivery-id */
        if (at >= len)
            return TAG_SHORT;
        size_t width = uint_width(body[at]);
        if (width == 0)
            return TAG_NONE;
        at += width;
    }
    if ((at < len && body[at] != 0xa0) || (at + 1 < len && body[at + 1] != FORMAT_TAG_BYTES))
        return TAG_NONE;
    if (at + FORMAT_TAG_BYTES + 3 > len)
        return TAG_SHORT;
    return body[at + FORMAT_TAG_BYTES + 2] == 0x43 ? (int)at : TAG_NONE;
}

/* a0 08 T0..T7 43 becomes a0 04 T0..T3 70 80 01 37 00. */
static void tag_replace(uint8_t *tag)
{
    static const uint8_t format[5] = {0x70, 0x80, 0x01, 0x37, 0x00};
    tag[1] = 4;
    memcpy(tag + 6, format, sizeof format);
}

/* Encoded bytes of a uint or null, constructor included; 0: something else. */
static size_t uint_width(uint8_t code)
{
    switch (code) {
    case 0x40:
    case 0x43:
        return 1;
    case 0x52:
        return 2;
    case 0x70:
        return 5;
    default:
        return 0;
    }
}

static uint32_t load_be32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, 4);
    return __builtin_bswap32(value);
}
