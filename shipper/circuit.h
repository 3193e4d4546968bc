/* Whether a hub is worth an attempt just now: closed while it works, open after failures in a row, half-open for one probe. Pure; time is
 * passed in. */
#ifndef EHRING_CIRCUIT_H
#define EHRING_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#define CIRCUIT_FAILURES_MAX 5 /* in a row: the last of them opens it */

enum circuit_state { CIRCUIT_CLOSED = 0, CIRCUIT_OPEN = 1, CIRCUIT_HALF_OPEN = 2 }; /* values of a gauge */

struct circuit { /* all zero: closed */
    enum circuit_state state;
    uint32_t failure_count; /* in a row */
    int64_t open_until_ns;
};

/* May an attempt begin? Closed: yes. Open: not before its time is up; then yes. Half-open: no, one is under way. Changes nothing. */
bool circuit_allows(const struct circuit *circuit, int64_t now_ns);
/* An attempt begins that circuit_allows: of an open circuit it is the probe. It must come to circuit_succeeded, circuit_failed or
 * circuit_abandoned. */
void circuit_begin(struct circuit *circuit);
/* Anything was accepted. Closes. */
void circuit_succeeded(struct circuit *circuit);
/* An attempt failed. Opens for wait_ns if it was the probe or one too many in a row. What began before it opened does not lengthen that. */
void circuit_failed(struct circuit *circuit, int64_t now_ns, int64_t wait_ns);
/* The attempt told nothing (throttled, normal life, given up by us): of a half-open circuit, another probe may begin. */
void circuit_abandoned(struct circuit *circuit);
/* When circuit_allows changes by time alone; INT64_MAX: does not. */
int64_t circuit_next_ns(const struct circuit *circuit);

#endif
