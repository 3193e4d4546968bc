/* The stream filter behind proton that gives batch transfers their message format, in place and without changing a length. Copies nothing.
 * Proton 0.37 writes format 0 for every transfer. A batch delivery has an 8-byte tag whose first 4 bytes alone are unique; proton writes it
 * as a0 08 T0..T7 43; the filter makes of these eleven bytes a0 04 T0..T3 70 80 01 37 00. All other deliveries have shorter tags. Removable
 * when proton can set the format. */
#ifndef EHRING_FORMAT_H
#define EHRING_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_TAG_BYTES 8u /* a delivery with a tag of this length is a batch */
#define FORMAT_HELD_MAX 64u /* less than this is left behind at the end of a call: a transfer's performative up to the format field */

struct format_filter {   /* zero-initialised: at the start of the stream (protocol headers included) */
    uint32_t frame_left; /* bytes of the present frame that are still to come */
};

/* Looks at the `len` bytes of proton's output that follow those it has let pass so far and patches them in place. Returns how many of them
 * may go out now: all but a head that `data` cuts. Those left behind stay with the caller (in proton's own output buffer: just do not pop
 * them) and begin the next call's `data`, with more behind them. -EBADMSG: not AMQP frames. A caller that keeps `passed` bytes at the front
 * of the pending output: passed += format_filter(&filter, start + passed, pending - passed); pop n; passed -= n. */
int64_t format_filter(struct format_filter *filter, uint8_t *data, size_t len);

#endif
