/* A store file as JSON Lines. */
#ifndef HUB_DUMP_H
#define HUB_DUMP_H

#include "store.h"

#include "buf.h"

#include <stdio.h>

/* Prints all records of a store file. 0 or a negative errno. */
int hub_dump(const char *path, FILE *to);

/* Appends one event as a JSON object and a line end. */
void hub_dump_event(struct hub_buf *line, const char *hub, uint32_t partition, const struct hub_record *r);

#endif
