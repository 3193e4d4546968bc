/* Other senders into the same hub: programs of their own that say how many events were accepted, measured from outside. */
#ifndef BENCH_SENDER_H
#define BENCH_SENDER_H

#include <stddef.h>
#include <stdint.h>

#include "bench/measure.h"
#include "bench/rig.h"

enum sender_kind { SENDER_PROTON, SENDER_JAVASCRIPT, SENDER_PYTHON };
#define SENDERS 3
extern const char *const sender_names[];  /* of the option, NULL behind the last */
extern const char *const sender_titles[]; /* what they are and how they send */

struct sender_figures {
    double events_per_second;
    double cpu_seconds_per_million; /* of the sender alone */
    double sender_cores;
    double hub_cores;
    struct measure_series rates; /* of each tenth of the time */
    struct measure_series cpu_per_million;
};

/* Starts it, forgets the first second after its first event, measures `seconds`, ends it. 0; -EOPNOTSUPP with a sentence in `why`: it is
 * not here, or did not get through; -EINTR. */
int sender_measure(const struct rig *rig, enum sender_kind kind, enum rig_transport transport, uint32_t event_len, uint32_t seconds,
                   struct sender_figures *out, char *why, size_t why_len);

#endif
