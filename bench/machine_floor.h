/* What this machine can do at best on the way of an event: encrypt, carry over loopback, copy. Bytes per second, each for one core busy
 * with it. */
#ifndef BENCH_MACHINE_FLOOR_H
#define BENCH_MACHINE_FLOOR_H

#include <stdint.h>

struct machine_floor { /* 0: could not be measured */
    double aes128_gcm;
    double aes256_gcm;
    double loopback; /* TCP between two processes, both of them at work: the pair's throughput */
    double memcpy;   /* of events of the given size behind a 16-byte head, within the L2 cache */
};

/* Measures each for `seconds`. What cannot be measured is said on stderr and 0. -EINTR: the run was interrupted; else 0. */
int machine_floor_measure(uint32_t seconds, uint32_t event_len, struct machine_floor *out);

#endif
