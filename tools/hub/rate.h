/* A limit of bytes and events per second over a short window, as the service has it for its throughput units. */
#ifndef HUB_RATE_H
#define HUB_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct hub_rate {
    uint64_t bytes_per_second, events_per_second; /* 0: no limit */
    int64_t window_ms;
    double bytes, events; /* taken and not yet run off */
    int64_t at_ms;        /* when they were so many */
};

/* Takes a delivery unless the window is used up. A delivery that begins within the limit is taken whole, and what it is over is owed. */
bool hub_rate_take(struct hub_rate *r, int64_t now_ms, uint64_t events, uint64_t bytes);

#endif
