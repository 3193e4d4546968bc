/* The stream filter behind proton that gives batch transfers their message format, in place and without changing a length.
 * Proton 0.37 writes format 0 for every transfer. A batch delivery has an 8-byte tag whose first 4 bytes alone are unique; proton writes it as a0 08 T0..T7 43; the
 * filter makes of these eleven bytes a0 04 T0..T3 70 80 01 37 00. All other deliveries have shorter tags. Removable when proton can set the format. */
#ifndef EHRING_FORMAT_H
#define EHRING_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_HELD_MAX 64u /* a transfer's performative up to the format field is never longer */

struct format_filter { /* zero-initialised: at the start of the stream (protocol headers included) */
    uint32_t state;
    uint32_t frame_left;  /* bytes of the present frame that are still to come */
    uint32_t held_len;
    uint32_t reserved;
    uint8_t held[FORMAT_HELD_MAX];
};

/* Passes `len` bytes of proton's output through, patching `data` in place. A head cut by the end of the data is held back and comes out in front of the next call:
 * `to` gets at most held + len bytes (cap >= len + FORMAT_HELD_MAX), may be the same memory only if nothing is held. Returns the count written. -EBADMSG: not AMQP frames. */
int64_t format_filter(struct format_filter *filter, const uint8_t *data, size_t len, uint8_t *to, size_t cap);

#endif
