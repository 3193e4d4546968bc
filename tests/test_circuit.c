/* The circuit of a hub: when it opens, whom it lets through, when it closes. */
#include <criterion/criterion.h>

#include "shipper/circuit.h"
#include "shipper/clock.h"

#define WAIT (10 * CLOCK_NS_PER_SECOND)
#define START (100 * CLOCK_NS_PER_SECOND)

static struct circuit opened(void)
{
    struct circuit circuit = {0};
    for (int i = 0; i < CIRCUIT_FAILURES_MAX; i++)
        circuit_failed(&circuit, START, WAIT);
    return circuit;
}

Test(circuit, stays_closed_below_the_threshold)
{
    struct circuit circuit = {0};
    for (int i = 0; i < CIRCUIT_FAILURES_MAX - 1; i++) {
        cr_assert(circuit_allows(&circuit, START));
        circuit_begin(&circuit);
        circuit_failed(&circuit, START, WAIT);
    }
    cr_assert_eq(circuit.state, CIRCUIT_CLOSED);
    cr_assert(circuit_allows(&circuit, START));
    cr_assert_eq(circuit_next_ns(&circuit), INT64_MAX);
}

Test(circuit, counts_only_failures_in_a_row)
{
    struct circuit circuit = {0};
    for (int i = 0; i < 10 * CIRCUIT_FAILURES_MAX; i++) {
        circuit_failed(&circuit, START, WAIT);
        if (i % (CIRCUIT_FAILURES_MAX - 1) == 0)
            circuit_succeeded(&circuit);
    }
    cr_assert_eq(circuit.state, CIRCUIT_CLOSED);
}

Test(circuit, opens_until_its_time_is_up)
{
    struct circuit circuit = opened();
    cr_assert_eq(circuit.state, CIRCUIT_OPEN);
    cr_assert_eq(circuit_next_ns(&circuit), START + WAIT);
    cr_assert_not(circuit_allows(&circuit, START));
    cr_assert_not(circuit_allows(&circuit, START + WAIT - 1));
    cr_assert(circuit_allows(&circuit, START + WAIT));
    cr_assert(circuit_allows(&circuit, START + WAIT), "asking alone changes nothing");
}

Test(circuit, lets_one_probe_through)
{
    struct circuit circuit = opened();
    circuit_begin(&circuit);
    cr_assert_eq(circuit.state, CIRCUIT_HALF_OPEN);
    cr_assert_not(circuit_allows(&circuit, START + 100 * WAIT));
    cr_assert_eq(circuit_next_ns(&circuit), INT64_MAX);
}

Test(circuit, closes_when_the_probe_succeeds)
{
    struct circuit circuit = opened();
    circuit_begin(&circuit);
    circuit_succeeded(&circuit);
    cr_assert_eq(circuit.state, CIRCUIT_CLOSED);
    for (int i = 0; i < CIRCUIT_FAILURES_MAX - 1; i++)
        circuit_failed(&circuit, START, WAIT);
    cr_assert_eq(circuit.state, CIRCUIT_CLOSED, "the count began anew");
}

Test(circuit, opens_again_at_the_first_failure_of_a_probe)
{
    struct circuit circuit = opened();
    circuit_begin(&circuit);
    circuit_failed(&circuit, START + WAIT, 2 * WAIT);
    cr_assert_eq(circuit.state, CIRCUIT_OPEN);
    cr_assert_not(circuit_allows(&circuit, START + 3 * WAIT - 1));
    cr_assert(circuit_allows(&circuit, START + 3 * WAIT));
}

Test(circuit, is_not_held_open_by_what_began_before)
{
    struct circuit circuit = opened();
    for (int i = 0; i < 100; i++)
        circuit_failed(&circuit, START + WAIT / 2, WAIT);
    cr_assert_eq(circuit_next_ns(&circuit), START + WAIT);
    circuit_succeeded(&circuit);
    cr_assert_eq(circuit.state, CIRCUIT_CLOSED, "a late success counts");
}

Test(circuit, lets_another_probe_through_when_one_told_nothing)
{
    struct circuit circuit = opened();
    circuit_begin(&circuit);
    circuit_abandoned(&circuit);
    cr_assert(circuit_allows(&circuit, START + WAIT));
    cr_assert_not(circuit_allows(&circuit, START + WAIT - 1));
    struct circuit closed = {0};
    circuit_abandoned(&closed);
    cr_assert_eq(closed.state, CIRCUIT_CLOSED);
}
