/* Is it UTF-8, and how many characters? Pure. */
#include <string.h>

#include "ehring_internal.h"

static size_t ascii_prefix_len(const uint8_t *bytes, size_t len);
static int sequence_len(const uint8_t *bytes, size_t len);

int64_t utf8_count(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    int64_t count = 0;

    while (len > 0) {
        size_t step = ascii_prefix_len(at, len);
        if (step > 0) {
            count += (int64_t)step;
        } else {
            int sequence = sequence_len(at, len);
            if (sequence < 0)
                return -1;
            step = (size_t)sequence;
            count++;
        }
        at += step;
        len -= step;
    }
    return count;
}

/* Eight bytes at a time: keys are mostly ASCII. */
static size_t ascii_prefix_len(const uint8_t *bytes, size_t len)
{
    size_t done = 0;
    uint64_t word;

    for (; len - done >= sizeof(word); done += sizeof(word)) {
        memcpy(&word, bytes + done, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    if (len >= sizeof(word) && len - done < sizeof(word)) { /* the last word overlaps what was looked at */
        memcpy(&word, bytes + len - sizeof(word), sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) == 0)
            return len;
    }
    while (done < len && bytes[done] < 0x80)
        done++;
    return done;
}

/* Length of the sequence of two to four bytes at `bytes`, or -1: cut short, a stray continuation, overlong, a surrogate, or beyond
 * U+10FFFF. */
static int sequence_len(const uint8_t *bytes, size_t len)
{
    uint8_t lead = bytes[0];
    uint8_t second_min = 0x80, second_max = 0xbf;
    int count;

    if (lead >= 0xc2 && lead <= 0xdf) {
        count = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        count = 3;
        second_min = lead == 0xe0 ? 0xa0 : 0x80;
        second_max = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        count = 4;
        second_min = lead == 0xf0 ? 0x90 : 0x80;
        second_max = lead == 0xf4 ? 0x8f : 0xbf;
    } else {
        return -1;
    }
    if (len < (size_t)count || bytes[1] < second_min || bytes[1] > second_max)
        return -1;
    for (int i = 2; i < count; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return -1;
    return count;
}
