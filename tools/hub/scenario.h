/*
 * A script of faults that are played in order, from a file with one step a line:
 *
 *   wait events=N | deliveries=N | connections=N     until so many more have come since the step before
 *   wait time=T
 *   any fault, see ehring-hub(1)
 *
 * Empty lines and lines that begin with # are passed over.
 */
#ifndef HUB_SCENARIO_H
#define HUB_SCENARIO_H

#include "broker.h"

struct hub_scenario;

/* Reads a file whole. 0, or a negative errno with file, line, and what is wrong and allowed in `why`. */
int hub_scenario_read(const char *path, struct hub_scenario **scenario, char why[HUB_WHY_MAX]);

/* Does every step whose turn has come. Call it before anything is counted, then whenever something was counted and when its time has come.
 */
void hub_scenario_step(struct hub_scenario *s, struct hub_broker *b);

/* When a wait for a time ends (monotonic ms); INT64_MAX: it waits for no time. */
int64_t hub_scenario_next_ms(const struct hub_scenario *s);

/* Steps done, of how many. */
unsigned hub_scenario_done(const struct hub_scenario *s);
unsigned hub_scenario_steps(const struct hub_scenario *s);

/* Takes NULL. */
void hub_scenario_free(struct hub_scenario *s);

#endif
