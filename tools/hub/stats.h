/* What a hub took, as text for people and as JSON. */
#ifndef HUB_STATS_H
#define HUB_STATS_H

#include "broker.h"

#include <stdio.h>

/* Prints a line per hub and partition. */
void hub_stats_print(const struct hub_broker *b, FILE *to);

/* The same and more as JSON; the caller frees it. NULL: no memory. */
char *hub_stats_json(const struct hub_broker *b);

/* Writes the JSON into a file that appears whole. 0 or a negative errno. */
int hub_stats_write(const struct hub_broker *b, const char *path);

#endif
