/* Whether a hub is worth an attempt just now: closed while it works, open after failures in a row, half-open for one probe. Pure; time is
 * passed in. */
#include "shipper/circuit.h"

bool circuit_allows(const struct circuit *circuit, int64_t now_ns)
{
    switch (circuit->state) {
    case CIRCUIT_CLOSED:
        return true;
    case CIRCUIT_OPEN:
        return now_ns >= circuit->open_until_ns;
    case CIRCUIT_HALF_OPEN:
        return false;
    }
    return false;
}

void circuit_begin(struct circuit *circuit)
{
    if (circuit->state == CIRCUIT_OPEN)
        circuit->state = CIRCUIT_HALF_OPEN;
}

void circuit_succeeded(struct circuit *circuit)
{
    *circuit = (struct circuit){.state = CIRCUIT_CLOSED};
}

void circuit_failed(struct circuit *circuit, int64_t now_ns, int64_t wait_ns)
{
    if (circuit->failure_count < UINT32_MAX)
        circuit->failure_count++;
    if (circuit->state == CIRCUIT_OPEN || (circuit->state == CIRCUIT_CLOSED && circuit->failure_count < CIRCUIT_FAILURES_MAX))
        return;
    circuit->state = CIRCUIT_OPEN;
    circuit->open_until_ns = now_ns + wait_ns;
}

void circuit_abandoned(struct circuit *circuit)
{
    if (circuit->state == CIRCUIT_HALF_OPEN)
        circuit->state = CIRCUIT_OPEN; /* its time was up already */
}

int64_t circuit_next_ns(const struct circuit *circuit)
{
    return circuit->state == CIRCUIT_OPEN ? circuit->open_until_ns : INT64_MAX;
}
