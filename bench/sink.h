/* How much the hub takes at all: one connection that sends batches which were encoded once, as fast as they are accepted. */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <stdint.h>

#include "bench/measure.h"
#include "bench/rig.h"

/* Full batches of events of `event_len` bytes for `seconds`, over TLS or plain as the rig has it. Events per second in each tenth of the
 * time into `rates`. 0; -EINTR; another negative code after a line on stderr. */
int sink_measure(const struct rig *rig, enum rig_transport transport, uint32_t event_len, uint32_t seconds, struct measure_series *rates);
/* What making a connection costs: this thread's time in ms for TLS, login, session and link, of several in turn. As above. */
int sink_measure_connect(const struct rig *rig, enum rig_transport transport, struct measure_series *cpu_ms);

#endif
